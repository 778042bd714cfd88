"""Builds what is published, and fails where a user could not install and use it.

    python .ci/release.py dist

Builds the sdist, and the wheel out of the sdist alone; checks metadata and contents; installs the
wheel without extras into a fresh environment, with the versions of `constraints.txt`, and finds a
plate and a stamp with it.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

from packaging.metadata import Metadata
from trove_classifiers import classifiers

ROOT = Path(__file__).parents[1]
# Of extras and of training; the core does without.
EXTRAS = ("torch", "gradio", "fastapi", "faiss", "pandas")
# Once for each kind: the command and the picture, and what must be found.
USES = (
    ("plates", "photos/golf-front.jpg", "plate"),
    ("stamps", "documents/letter-seal.jpg", "stamp"),
)


class ReleaseError(Exception):
    """What was built cannot be published."""


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist of this checkout and the wheel of the sdist; both are in ``folder``."""
    hatch = (sys.executable, "-m", "hatchling", "build", "--directory", str(folder.absolute()))
    subprocess.run([*hatch, "--target", "sdist"], cwd=ROOT, check=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
        (source,) = Path(unpacked).iterdir()
        subprocess.run([*hatch, "--target", "wheel"], cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def check_contents(wheel: Path) -> None:
    """Check that the wheel has every file of the package that is in version control.

    Raises:
        ReleaseError: It lacks some, or has others that the package is not made of.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "src/platemark"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = filter(None, listed.stdout.split("\0"))
    wanted = {PurePosixPath(name).relative_to("src").as_posix() for name in names}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("platemark/")}
    if missing := sorted(wanted - found):
        raise ReleaseError(f"{wheel.name} lacks {', '.join(missing)}")
    models = [name for name in found if name.endswith("model.onnx")]
    if not models:
        raise ReleaseError(f"{wheel.name} has no models")
    added = {name for name in found - wanted if not name.startswith("platemark/apps/web/examples/")}
    if added:
        raise ReleaseError(f"{wheel.name} has {', '.join(sorted(added))}, which git has not")


def check_metadata(wheel: Path) -> None:
    """Check what an index reads: valid fields, known classifiers, a description, a licence.

    Raises:
        ExceptionGroup: Fields that the specification of core metadata does not allow.
        ReleaseError: Something is missing.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name)
    metadata = Metadata.from_email(text, validate=True)
    if unknown := set(metadata.classifiers or []) - classifiers:
        raise ReleaseError(f"{wheel.name} has the unknown classifiers {', '.join(sorted(unknown))}")
    body = BytesParser().parsebytes(text).get_payload()
    if not body or metadata.description_content_type != "text/markdown":
        raise ReleaseError(f"{wheel.name} has no description in Markdown")
    if metadata.license_expression != "Apache-2.0" or metadata.license_files != ["LICENSE"]:
        raise ReleaseError(f"{wheel.name} does not state its licence")


def check_use(wheel: Path) -> None:
    """Install the wheel without extras into a fresh environment, and use it on the examples.

    Raises:
        ReleaseError: It finds nothing, or the core installs what belongs to extras.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        python = Path(place) / "bin" / "python"
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        constraints = ROOT / "constraints.txt"
        subprocess.run([*install, "--constraint", constraints, wheel.absolute()],
                       env=environment, check=True)  # fmt: skip
        probe = f"import importlib.util as u; print(*filter(u.find_spec, {EXTRAS!r}))"
        done = subprocess.run([python, "-c", probe], cwd=place, env=environment, check=True,
                              capture_output=True, text=True)  # fmt: skip
        if installed := done.stdout.strip():
            raise ReleaseError(f"the core installs {installed}")
        for command, picture, kind in USES:
            done = subprocess.run(
                [python.with_name("platemark"), command, ROOT / "examples" / picture],
                cwd=place, env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            marks = json.loads(done.stdout)["marks"]
            if [mark["kind"] for mark in marks] != [kind]:
                raise ReleaseError(
                    f"platemark {command} finds {marks} in {picture}, not one {kind}"
                )


def main(folder: Path) -> None:
    """Build and check; what is left in ``folder`` can be published."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("platemark-*"):
        old.unlink()
    try:
        sdist, wheel = build(folder)
        check_metadata(wheel)
        check_contents(wheel)
        check_use(wheel)
    except ReleaseError as error:
        sys.exit(str(error))
    for path in (sdist, wheel):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
