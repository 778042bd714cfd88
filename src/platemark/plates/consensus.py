"""A second opinion on plates that were not read surely: other views of them, and their grammar."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from platemark.geometry import FloatArray, enlarge_quad
from platemark.plates.formats import is_regular
from platemark.types import Alternative, Character, Reading

_WIDER, _TIGHTER = 0.04, -0.035
_ACROSS, _ALONG = 0.03, 0.025
# How much less likely than a text in a known format one is that fits none (personal texts, errors
# such as O for 0). 1 would ignore the formats; 0.15 to 0.5 served held-out plates alike.
_IRREGULAR = 0.3


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


def prefer_formats(reading: Reading) -> Reading:
    """Weigh a text and its alternatives of the same length by whether a known format has them.

    Letters and digits of one shape (O and 0, I and 1) are told apart by their place in this way.
    """
    if reading.text is None:
        return reading
    rivals = [other for other in reading.alternatives if len(other.text) == len(reading.text)]
    weighed = {
        text: score * (1.0 if is_regular(text) else _IRREGULAR)
        for text, score in [(reading.text, reading.score), *((r.text, r.score) for r in rivals)]
    }
    named = reading.score + sum(rival.score for rival in rivals)
    total = sum(weighed.values()) + _IRREGULAR * max(0.0, 1.0 - named)
    best = max(weighed, key=lambda text: weighed[text])
    characters = tuple(
        old if old.char == char else Character(char, 1.0 - old.score)
        for char, old in zip(best, reading.characters, strict=True)
    )
    changed = {text: weight / total for text, weight in weighed.items()}
    others = [(other.text, changed.get(other.text, other.score)) for other in reading.alternatives]
    if best != reading.text:
        others = [(text, score) for text, score in others if text != best]
        others.append((reading.text, changed[reading.text]))
    others.sort(key=lambda other: -other[1])
    return Reading(best, changed[best], characters, tuple(Alternative(*other) for other in others))
