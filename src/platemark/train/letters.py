"""Which letters stand where in a stamp: what an embedder is taught to tell apart."""

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import StampLine
from platemark.geometry import FloatArray, apply_homography

_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CYRILLIC = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзиклмнопрстуфхцчшщъыьэюяІі"
_GREEK = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρστυφχψως"
LETTERS = "0123456789" + _LATIN + _CYRILLIC + _GREEK + "№&-/"
"""Those told apart. Letters with accents count as those without; other scripts do not count."""

_NUMBERS = {letter: number for number, letter in enumerate(LETTERS)}


class Letters(NamedTuple):
    """The letters of one picture of a stamp.

    Attributes:
        numbers: (K,) int64, places in ``LETTERS``.
        ring: (K,) bool, whether they stand round the ring.
        points: (K, 2) float64, their middles.
        known: whether anybody noted where letters stand; else there may be any.
    """

    numbers: NDArray[np.int64]
    ring: NDArray[np.bool_]
    points: FloatArray
    known: bool

    @classmethod
    def of(cls, lines: Iterable[StampLine]) -> "Letters":
        """Those of annotated lines, in pixels of the stored picture."""
        numbers: list[int] = []
        ring: list[bool] = []
        points: list[tuple[float, float]] = []
        known = False
        for line in lines:
            known = known or bool(line.places)
            for letter, place in zip(line.text, line.places, strict=False):
                number = _NUMBERS.get(unicodedata.normalize("NFD", letter)[0])
                if place is not None and number is not None:
                    numbers.append(number)
                    ring.append(line.path == "ring")
                    points.append(place)
        places = np.array(points, np.float64).reshape(-1, 2)
        return cls(np.array(numbers, np.int64), np.array(ring, bool), places, known)

    def moved(self, matrix: FloatArray) -> "Letters":
        """The same letters taken through a homography (3, 3)."""
        return self._replace(points=apply_homography(matrix, self.points))
