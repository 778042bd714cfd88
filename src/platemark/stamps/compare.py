"""Did one stamp make two imprints? Aligned, compared, and shown in an overlay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Self

import numpy as np

from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.imaging.draw import draw_difference
from platemark.imaging.ink import edge_width
from platemark.matching import InkTemplate
from platemark.matching.template import INKED
from platemark.protocols import Compares
from platemark.tasks.comparer import InkMatch, match_ink
from platemark.types import Comparison, Evidence, StampMark, as_box, as_matrix

# At most this number of stamps of a picture is tried, those with the highest scores.
_MOST_STAMPS = 4
# Edges wider than this share of the imprint's longer side leave no small letters; edges of
# this number of pixels are sharp whatever the size.
_WIDEST_EDGE, _SHARP = 1.0 / 36.0, 3.5


def compare_stamps(
    first: Sequence[StampMark], second: Sequence[StampMark], comparer: Compares = match_ink
) -> Comparison:
    """Compare the stamps of two pictures: the two that match best are compared.

    It is symmetric: the other way round gives the same score and verdict, and the inverse
    transform. Where a picture shows several stamps, the four with the highest scores are tried; the
    reason says so.

    Args:
        first: The stamps of the first picture, at least one.
        second: Those of the second.
        comparer: Judges two imprints; by default the bundled one.

    Returns:
        The comparison, in pixels of the pages.

    Raises:
        ModelError: The bundled comparer cannot be used.
        InferenceFailed: The network did not run.
    """
    imprints = [[_Imprint.of(stamp) for stamp in _best(stamps)] for stamps in (first, second)]
    found = [(x, y, comparer(x.template, y.template)) for x, y in product(*imprints)]
    x, y, match = max(found, key=lambda pair: (pair[2].doubt is None, pair[2].score))
    notes = [
        f"page {page + 1} of the {name}"
        for name, page in (("first", x.page), ("second", y.page))
        if page
    ]
    if len(found) > 1:
        count = _count(len(imprints[0]))
        others = len(imprints[1])
        notes.append(f"the best match of {count} in the first picture, {others} in the second")
    comparison = _comparison(x, y, match)
    if not notes:
        return comparison
    return replace(comparison, reason=f"{comparison.reason} ({'; '.join(notes)})")


def _best(stamps: Sequence[StampMark]) -> list[StampMark]:
    return sorted(stamps, key=lambda stamp: -stamp.score)[:_MOST_STAMPS]


@dataclass(frozen=True, eq=False)
class _Imprint:
    """One imprint and where it is on its page.

    Attributes:
        mark: The stamp.
        template: It made ready to be matched, some part of the page.
        to_page: Homography (3, 3) from pixels of that part to pixels of the page.
        blurred: Whether its edges are seen to be so wide that letters run into each other.
    """

    mark: StampMark
    template: InkTemplate
    to_page: FloatArray
    blurred: bool

    @property
    def page(self) -> int:
        """The page it is on, counted from 0."""
        return self.mark.crop.page if self.mark.crop else 0

    @classmethod
    def of(cls, mark: StampMark) -> Self:
        """Take a stamp; one that does not carry its picture is compared by its mask alone."""
        template, crop = InkTemplate.of(mark), mark.crop
        if crop is None:
            _, column, row = mark.mask.crop()
            return cls(mark, template, _shifted(1.0, 1.0, column, row), False)
        height, width = crop.ink.shape
        left, top, right, bottom = crop.box
        to_page = _shifted((right - left) / width, (bottom - top) / height, left, top)
        ink = crop.ink >= INKED
        edge = edge_width(crop.pixels, ink) if ink.any() else None
        blurred = edge is not None and edge > max(_SHARP, _WIDEST_EDGE * 2.0 * template.radius)
        return cls(mark, template, to_page, blurred)


def _shifted(across: float, down: float, left: float, top: float) -> FloatArray:
    """Homography (3, 3) that scales and then shifts."""
    return np.array([[across, 0.0, left], [0.0, down, top], [0.0, 0.0, 1.0]])


def _comparison(a: _Imprint, b: _Imprint, match: InkMatch) -> Comparison:
    verdict, reason = _judged(match, blurred=a.blurred or b.blurred)
    if verdict == "same":  # what may differ somewhere is not held against it
        match = replace(match, regions=np.zeros((0, 4)))
    transform = b.to_page @ match.transform @ np.linalg.inv(a.to_page)
    regions = quad_to_box(apply_homography(a.to_page, box_to_quad(match.regions)))
    return Comparison(
        score=match.score,
        verdict=verdict,
        reason=reason,
        transform=as_matrix(transform / transform[2, 2]),
        a=a.mark.box,
        b=b.mark.box,
        differences=tuple(map(as_box, regions)),
        draw=partial(
            draw_difference,
            a.template.mask >= INKED,
            b.template.mask >= INKED,
            match.transform,
            match.regions,
            f"{verdict}: {reason} (probability of one stamp {match.score:.0%})",
        ),
        evidence=Evidence(
            a=a.mark,
            b=b.mark,
            transform=as_matrix(match.transform),
            regions=tuple(map(as_box, match.regions)),
            design=match.design,
            detail=match.detail,
            similarity=match.signals.similarity,
            features=match.signals.features,
        ),
    )


def _judged(match: InkMatch, *, blurred: bool) -> tuple[str, str]:
    """Verdict and reason; where the picture is blurred, two designs alone are told."""
    if match.doubt is not None:
        return "unsure", match.doubt
    places = _places(len(match.regions))
    if match.verdict == "different" and match.design < match.detail:
        return "different", "they do not fit together"
    if blurred:
        return "unsure", "too blurred"
    if match.verdict == "different":
        return "different", f"they differ {places}"
    if match.verdict == "same" and match.legible:
        return "same", "the ink agrees wherever both have some"
    if match.verdict == "same":
        return "same", "the designs agree; single letters cannot be compared at this size"
    if match.design < match.detail:
        return "unsure", "they have too little in common to tell one design from two"
    return "unsure", f"what differs may be chance, {places}"


def _places(count: int) -> str:
    return "in one place" if count == 1 else f"in {count} places"


def _count(stamps: int) -> str:
    return "one stamp" if stamps == 1 else f"{stamps} stamps"
