"""How well the texts of stamps are read.

Lines whose text is annotated are compared one by one: each with a read line, the nearest pairs
(edit distance) first; what is not read counts as deleted. Where
only a stamp's text is known, and that in part, its words are searched among those that were read.

Case does not count, nor do ornaments, and letters of one shape in several scripts are one; the
exact count beside it counts case and script too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from platemark.datasets.manifest import StampAnnotation
from platemark.metrics import Rate
from platemark.metrics.text import edit_distance
from platemark.tasks.scripts import fold, script_of
from platemark.types import StampMark

_LEAST_WORD = 3


@dataclass(frozen=True)
class LineOutcome:
    """What became of one annotated line.

    Attributes:
        text: What it says.
        read: What was read of it, empty where nothing was.
        path: ``"ring"`` or ``"straight"``.
        script: That of most of its letters, or None.
    """

    text: str
    read: str
    path: str
    script: str | None


@dataclass(frozen=True)
class LineScores:
    """How well some lines are read.

    Attributes:
        lines: How many.
        characters: How many they have.
        errors: Characters wrong, missing or too many, case and script aside.
        exact_errors: The same, case and script counted.
        words: Words of three letters and more that were read.
    """

    lines: int
    characters: int
    errors: int
    exact_errors: int
    words: Rate

    @classmethod
    def of(cls, outcomes: Iterable[LineOutcome]) -> Self:
        """Count over lines."""
        lines = list(outcomes)
        hits = total = errors = exact = characters = 0
        for line in lines:
            wanted, got = plain(line.text), plain(line.read)
            characters += len(wanted)
            errors += edit_distance(got, wanted)
            exact += edit_distance(line.read, line.text)
            found = words_found(line.text, [line.read])
            hits, total = hits + found.hits, total + found.n
        return cls(len(lines), characters, errors, exact, Rate(hits, total))

    @property
    def error_rate(self) -> float:
        """Errors per character; NaN where there is none."""
        return self.errors / self.characters if self.characters else float("nan")

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "lines": self.lines,
            "characters": self.characters,
            "cer": self.error_rate if self.characters else None,
            "cer_exact": self.exact_errors / self.characters if self.characters else None,
            "words": self.words.to_dict(),
        }


@dataclass(frozen=True)
class StampReadings:
    """What was read of annotated stamps.

    Attributes:
        lines: One per annotated line whose letters the reader knows.
        contained: Of stamps of which only a text is known: its words that were read.
    """

    lines: tuple[LineOutcome, ...]
    contained: Rate

    @classmethod
    def of(cls, stamps: Iterable[tuple[StampAnnotation, StampMark | None]]) -> Self:
        """Judge the readings of stamps; None where a stamp was not read."""
        lines: list[LineOutcome] = []
        hits = total = 0
        for truth, mark in stamps:
            read = [line.text for line in mark.lines if line.text] if mark else []
            if truth.lines:
                lines += _line_outcomes(truth, read)
            elif truth.text:
                found = words_found(truth.text, read)
                hits, total = hits + found.hits, total + found.n
        return cls(tuple(lines), Rate(hits, total))

    def scores(self) -> dict[str, LineScores]:
        """Metrics over all lines, by path, and by script."""
        parts = {"all": list(self.lines)}
        for line in self.lines:
            parts.setdefault(line.path, []).append(line)
            parts.setdefault(line.script or "no script", []).append(line)
        return {name: LineScores.of(part) for name, part in parts.items() if part}

    def to_dict(self) -> Mapping[str, object]:
        """Return the JSON object."""
        return {
            "lines": {name: scores.to_dict() for name, scores in self.scores().items()},
            "words_contained": self.contained.to_dict(),
        }


def plain(text: str) -> str:
    """A text without what does not count: case, ornaments, twins of other scripts."""
    return (fold(text) or text).casefold()


def words_found(text: str, read: Iterable[str]) -> Rate:
    """How many words of a text are among those that were read.

    Args:
        text: The words; those shorter than three letters and digits, and those of letters that the
            reader does not know, are not counted.
        read: Lines that were read.
    """
    known = {word for line in read for word in _words(line)}
    wanted = [word for word in _words(text) if len(word) >= _LEAST_WORD]
    return Rate(sum(word in known for word in wanted), len(wanted))


def _words(text: str) -> list[str]:
    cleaned = (fold(word) for word in text.split())
    stripped = (
        "".join(char for char in word.casefold() if char.isalnum()) for word in cleaned if word
    )
    return [word for word in stripped if word]


def _line_outcomes(truth: StampAnnotation, read: Sequence[str]) -> list[LineOutcome]:
    known = [line for line in truth.lines if fold(line.text)]
    if not known:
        return []
    pairs = sorted(
        (edit_distance(plain(got), plain(line.text)) / len(plain(line.text)), wanted, column)
        for wanted, line in enumerate(known)
        for column, got in enumerate(read)
    )
    taken: dict[int, int] = {}
    for distance, wanted, column in pairs:
        # A reading that shares nothing with the line is another's, or of no line.
        if distance < 1 and wanted not in taken and column not in taken.values():
            taken[wanted] = column
    return [
        LineOutcome(
            line.text,
            read[taken[index]] if index in taken else "",
            line.path,
            script_of(fold(line.text) or ""),
        )
        for index, line in enumerate(known)
    ]
