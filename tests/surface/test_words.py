"""Code and documentation speak the language of the field, never a dialect beside it."""

import re
from pathlib import Path

import pytest

import platemark

PACKAGE = Path(platemark.__file__).parent
ROOT = PACKAGE.parents[1]
# What may not be said, and what to say.
WORDS = {
    r"looks?|looked|looking": "run the detector, search, check, compare, resemble",
    r"so many": "a number, at most this number",
    r"figures": "metrics, or digits",
    r"ahead": "prefetched",
    r"drawn": "synthetic, generated, rendered, outlined, sampled",
    r"nobody": "unknown, none",
    r"unsure|sure|surer|surest": "low-confidence, high-confidence, highest score first",
    r"doubtful": "low-confidence",
    r"likeliest": "top, most probable",
    r"anew": "again; recompute, rebuild",
    r"parted": "separated, comma-separated",
    r"(?<!the )(?<!one )(?<!each )pass(ed|es)? over": "skip, ignore, discard",
    r"lets? go|letting go": "close",
    r"see that": "check that",
    r"damaged": "corrupt, stale, missing",
    r"cut out": "cropped, segmented, separated",
    r"learned on": "fine-tuned, trained further",
    r"went on from|goes on from": "fine-tuned from, continues from",
    r"relight|disturb": "augment",
    r"flattened": "rectified",
    r"told apart": "distinguished, separated",
    r"not there any more|no longer there": "missing, removed",
}
# What stands all the same, and why.
ALLOWED = {
    r"[\"`]unsure[\"`]": "a verdict in the JSON of comparisons",
    r"mismatch, unsure": "the same, in a help text",
    r"looked up": "what is done with keys of a table",
    r"\blooks(: int|: Deprecated| is not None|$|=\))": "an argument kept as a deprecated alias",
    r"look=Lettering\(": "identities of synthetic designs are hashes of it",
}

SOURCES = [*PACKAGE.rglob("*.py")]
PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FILES = sorted(file for file in [*SOURCES, *PAGES] if file.is_file())


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_uses_the_words_of_the_field(file: Path) -> None:
    found = [
        f"{number}: {hit[0]!r}; say: {instead}"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for word, instead in WORDS.items()
        for hit in re.finditer(rf"\b(?:{word})\b", stripped(line), re.IGNORECASE)
    ]
    assert not found, "\n".join([named(file), *found])


def stripped(line: str) -> str:
    """A line without what is allowed in it."""
    for allowed in ALLOWED:
        line = re.sub(allowed, "", line)
    return line


def test_the_words_are_found() -> None:
    assert re.search(rf"\b(?:{'|'.join(WORDS)})\b", stripped("It looks at so many pages anew"))
    assert stripped('the verdict "unsure"') == "the verdict "
