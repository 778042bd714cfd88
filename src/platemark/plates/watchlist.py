"""A list of texts that plates are checked against, with tolerance for what a reader confuses."""

import csv
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from platemark.errors import InputError
from platemark.plates.decoding import PlateDecoder, blurred, likelihoods
from platemark.plates.formats import normalise
from platemark.types import Frames, Reading, Watched

# Least share of the likelihood of a text and the best other one, see docs/accuracy.md.
LEAST_SHARE = 0.1
# Texts are weighed that may be so likely, against the best text.
_LEAST_BOUND = 1e-3


class WatchList:
    """Texts to watch for.

    Args:
        texts: The texts, in any spelling; of a mapping each with a note.

    Raises:
        ValueError: A text has neither letters nor digits.
    """

    def __init__(self, texts: Iterable[str] | Mapping[str, str | None]) -> None:
        notes = texts if isinstance(texts, Mapping) else dict.fromkeys(texts)
        self._notes: dict[str, str | None] = {}
        for text, note in notes.items():
            if not (plain := normalise(text)):
                raise ValueError(f"the watched text {text!r} has neither letters nor digits")
            self._notes.setdefault(plain, note)
        self._texts = list(self._notes)
        self._columns = lru_cache(maxsize=4)(self._columns_of)

    def __len__(self) -> int:
        """Return the number of different texts."""
        return len(self._texts)

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str | None]]]:
        return type(self), (self._notes,)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a list: a text a line, at will with a comma and a note after it, as in CSV.

        Empty lines and those that begin with ``#`` are skipped, and so is the heading ``text``.

        Raises:
            InputError: The file cannot be read, has no texts, or one without letters and digits.
        """
        name = os.fspath(path)
        try:
            content = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise InputError(f"{name} cannot be read: {reason}", source=name) from error
        lines = [line for line in content.splitlines() if line.strip() and line.strip()[0] != "#"]
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        if rows and rows[0][0].lower() == "text":
            rows = rows[1:]
        if not rows:
            raise InputError(f"{name} has no texts to watch for; give one a line", source=name)
        try:
            return cls({row[0]: ", ".join(row[1:]) or None for row in rows})
        except ValueError as error:
            raise InputError(f"{name}: {error}", source=name) from error

    def match(self, reading: Reading, decoder: PlateDecoder) -> Watched | None:
        """The text of the list that a plate most likely shows; None where it shows none.

        The likelihood of a text is weighed against that of the best other text that the plate may
        show, as by `PlateDecoder.verify`: characters that the reader confuses cost as much as it
        confuses them, and O and 0, I and 1 are one.

        Args:
            reading: What the decoder said of the plate, legible or not.
            decoder: The decoder.
        """
        scored = [(decoder.support(reading, text), text) for text in self._possible(reading)]
        score, text = max(scored, default=(0.0, ""))
        return Watched(text, score, self._notes[text]) if score >= LEAST_SHARE else None

    def _possible(self, reading: Reading) -> list[str]:
        """The texts whose share can be enough, in less time than their likelihoods take.

        P(frames | text) is at most the product over the characters of the sum over all frames of
        their probabilities, since a path takes a frame of its own for each.
        """
        texts = [reading.text, *(other.text for other in reading.alternatives)]
        read = [text for text in texts if text]
        if not read or not reading.frames:
            return [text for text in read if text in self._notes]
        views = [blurred(frames) for frames in reading.frames]
        best = float(likelihoods(views, read).mean(axis=0).max())
        bounds = np.mean([self._bounds(view) for view in views], axis=0)
        return [self._texts[row] for row in np.flatnonzero(bounds >= _LEAST_BOUND * best)]

    def _bounds(self, frames: Frames) -> NDArray[np.float64]:
        """What the likelihood of each text (N,) is at most."""
        most = np.concatenate([frames.probabilities.sum(axis=0), [1.0, 0.0]])
        return np.asarray(most[self._columns(frames.alphabet)].prod(axis=1), dtype=np.float64)

    def _columns_of(self, alphabet: str) -> NDArray[np.int_]:
        """The class of each character of each text; two more pad, and stand for no class."""
        at = {char: column for column, char in enumerate(alphabet, start=1)}
        pad = len(alphabet) + 1
        columns = np.full((len(self), max(map(len, self._texts), default=0)), pad)
        for row, text in zip(columns, self._texts, strict=True):
            row[: len(text)] = [at.get(char, pad + 1) for char in text]
        return columns
