"""How well annotations of an image agree: those of a model, of the data set, of people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from platemark.datasets.manifest import Annotation
from platemark.geometry import iou_matrix
from platemark.metrics import match_detections
from platemark.types import Mark, PlateMark

SAME_IOU = 0.5
"""From this overlap on two boxes are of one mark."""

_NOTHING = 0.5
"""Certainty of an image in which the model finds no mark, not annotated yet."""
_AGREED_EMPTY, _MISSED = 0.9, 0.2
"""Certainty where model and annotation both have no mark; where the model has not one that is
annotated."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of marks of one or many images; adding joins them.

    Attributes:
        images: Images that were compared.
        equal: Of these, images with the same marks and texts.
        first: Marks that the first has.
        second: Marks that the second has.
        both: Marks that both have.
        texts: Of these, those whose text both give.
        same_text: Of these, those with the same text.
    """

    images: int = 0
    equal: int = 0
    first: int = 0
    second: int = 0
    both: int = 0
    texts: int = 0
    same_text: int = 0

    @classmethod
    def of(cls, first: Sequence[Annotation], second: Sequence[Annotation]) -> Self:
        """Compare the marks of one image."""
        pairs = _pairs(first, second, np.ones(len(first)))
        texts = [(a.text, b.text) for a, b in pairs if a.text is not None and b.text is not None]
        same = sum(a == b for a, b in texts)
        all_marks = len(first) == len(second) == len(pairs)
        return cls(
            1,
            int(all_marks and all(a.text == b.text for a, b in pairs)),
            len(first),
            len(second),
            len(pairs),
            len(texts),
            same,
        )

    def __add__(self, other: "Agreement") -> "Agreement":
        mine, theirs = self.to_dict(), other.to_dict()
        return Agreement(**{key: value + theirs[key] for key, value in mine.items()})

    def to_dict(self) -> dict[str, int]:
        """Return the counts."""
        return {name: getattr(self, name) for name in self.__slots__}


def certainty(found: Sequence[Mark], annotated: Sequence[Annotation] | None) -> float:
    """Probability, by the model alone, that all that is annotated in an image is right.

    It is that of the least certain mark: a mark that was found and is not annotated, or a plate
    with another text, is as certain as the model takes itself to be wrong there.

    Args:
        found: The marks that the model found.
        annotated: The marks that are annotated; None where there are no annotations, so that
            those that were found stand for them.
    """
    if annotated is None:
        return min(map(_probability, found), default=_NOTHING)
    own = [Annotation(box=mark.box, text=mark.text) for mark in found]
    scores = np.array([mark.score for mark in found])
    pairs = {id(a): b for a, b in _pairs(own, annotated, scores)}
    values = [_MISSED] * (len(annotated) - len(pairs))
    for mark, one in zip(found, own, strict=True):
        truth = pairs.get(id(one))
        if truth is None:
            values.append(1.0 - mark.score)
        elif truth.text is None or mark.text is None or not isinstance(mark, PlateMark):
            values.append(mark.score)
        else:
            right = _probability(mark)
            values.append(right if truth.text == mark.text else 1.0 - right)
    return min(values, default=_AGREED_EMPTY)


def _probability(mark: Mark) -> float:
    """That a mark is one, and for a plate that its text is right."""
    return mark.score * (mark.text_score if isinstance(mark, PlateMark) else 1.0)


def _pairs(
    first: Sequence[Annotation], second: Sequence[Annotation], scores: Any
) -> list[tuple[Annotation, Annotation]]:
    matches = match_detections(
        iou_matrix(_boxes(first), _boxes(second)), scores, threshold=SAME_IOU
    )
    return [(a, second[to]) for a, to in zip(first, matches.tolist(), strict=True) if to >= 0]


def _boxes(marks: Iterable[Annotation]) -> Any:
    return np.array([mark.box for mark in marks], dtype=np.float64).reshape(-1, 4)
