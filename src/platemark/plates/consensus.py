"""A second opinion on a plate that was not read surely: cut a little differently and read again."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from platemark.geometry import FloatArray, enlarge_quad
from platemark.types import Alternative, Reading

_WIDER, _TIGHTER = 0.04, -0.035
_ACROSS, _ALONG = 0.03, 0.025


def other_views(quad: FloatArray) -> list[FloatArray]:
    """Quads that a detector as good might have given: wider, tighter, and moved each way.

    Args:
        quad: (4, 2) corners, clockwise from the plate's top-left.
    """
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2 * _ACROSS
    right = (quad[1] - quad[0] + quad[2] - quad[3]) / 2 * _ALONG
    moved = [quad + step for step in (down, -down, right, -right)]
    return [enlarge_quad(quad, _WIDER), enlarge_quad(quad, _TIGHTER), *moved]


def agree(readings: Sequence[Reading]) -> Reading:
    """Join readings of one plate: a text scores its mean over them, alternatives included.

    Args:
        readings: At least one; the characters are those of the surest that shows the winning text.
    """
    scores: dict[str, float] = defaultdict(float)
    for reading in readings:
        if reading.text is not None:
            scores[reading.text] += reading.score / len(readings)
        for other in reading.alternatives:
            scores[other.text] += other.score / len(readings)
    if not scores:
        return readings[0]
    ranked = sorted(scores, key=lambda text: -scores[text])
    shown = [reading for reading in readings if reading.text == ranked[0]]
    if not shown:
        # The winner is an alternative everywhere, so no view has characters for it.
        return max(readings, key=lambda reading: reading.score)
    kept = max(len(reading.alternatives) for reading in readings)
    others = tuple(Alternative(text, min(1.0, scores[text])) for text in ranked[1 : kept + 1])
    surest = max(shown, key=lambda reading: reading.score)
    return Reading(ranked[0], float(np.clip(scores[ranked[0]], 0, 1)), surest.characters, others)
