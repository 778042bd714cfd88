"""Did one stamp make two imprints? Found, laid on each other, judged, and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from typing import Self

import numpy as np

from platemark.errors import InputError
from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.imaging.draw import draw_difference
from platemark.imaging.image import Image, ImageInput
from platemark.imaging.ink import edge_width
from platemark.imaging.sources import open_pages
from platemark.matching import InkTemplate
from platemark.matching.template import SURE
from platemark.stamps.pipeline import StampPipeline
from platemark.tasks.comparer import InkMatch, match_ink
from platemark.types import Comparison, Detection, StampMark, as_box, as_quad

# So many stamps of a picture are tried, the surest ones.
_MOST_STAMPS = 4
# Edges wider than this share of the imprint's longer side leave no small letters.
_WIDEST_EDGE = 1.0 / 36.0


def compare(
    a: StampMark | ImageInput,
    b: StampMark | ImageInput,
    *,
    pipeline: StampPipeline | None = None,
    page_a: int = 0,
    page_b: int = 0,
    cropped: bool = False,
) -> Comparison:
    """Compare two imprints: did one stamp make both?

    It is symmetric: the other way round gives the same score and verdict, and the inverse
    transform. Where a picture shows several stamps, the four surest are tried and the two that
    match best are compared; the reason says so.

    Args:
        a: A stamp that was found, or a picture with one: a path, bytes, an (H, W, 3) uint8 RGB
            array, a PIL image or an `Image`; also a PDF or TIFF.
        b: Likewise.
        pipeline: Finds the stamps in pictures, and has the comparer; by default the bundled models,
            loaded once.
        page_a: Page of the first document, counted from 0.
        page_b: Page of the second document.
        cropped: The pictures were cut out around one stamp each, so none is looked for.

    Returns:
        The comparison, in pixels of the two pictures; of a mark, in pixels of its page.

    Raises:
        InputError: A picture shows no stamp, or a document has no such page.
        UnreadableImage: A file is missing, empty, damaged or no image.
        UnsupportedInput: It is a folder, a video or a PDF with a password.
        InputTooLarge: It has too many pixels.
        ModelError: The bundled models cannot be used.
        InferenceFailed: A network did not run.
    """
    first = _imprints(a, pipeline, page_a, cropped=cropped)
    second = _imprints(b, pipeline, page_b, cropped=cropped)
    comparer = pipeline.comparer if pipeline else match_ink
    found = [(x, y, comparer(x.template, y.template)) for x, y in product(first, second)]
    x, y, match = max(found, key=lambda pair: (pair[2].doubt is None, pair[2].score))
    comparison = _comparison(x, y, match)
    if len(found) == 1:
        return comparison
    chosen = f"the best match of {_count(first)} in the first picture, {len(second)} in the second"
    return replace(comparison, reason=f"{comparison.reason} ({chosen})")


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
        ink = crop.ink >= SURE
        edge = edge_width(crop.pixels, ink) if ink.any() else None
        blurred = edge is not None and edge > _WIDEST_EDGE * 2.0 * template.radius
        return cls(mark, template, to_page, blurred)


def _shifted(across: float, down: float, left: float, top: float) -> FloatArray:
    """Homography (3, 3) that scales and then shifts."""
    return np.array([[across, 0.0, left], [0.0, down, top], [0.0, 0.0, 1.0]])


def _imprints(
    value: StampMark | ImageInput, pipeline: StampPipeline | None, page: int, *, cropped: bool
) -> list[_Imprint]:
    """The stamps of an input, the surest first."""
    if isinstance(value, StampMark):
        return [_Imprint.of(value)]
    pages = open_pages(value)
    if not 0 <= page < len(pages):
        source = pages.read(0).source
        raise InputError(
            f"{source} has no page {page}; its pages are 0 to {len(pages) - 1}", source=source
        )
    image = pages.read(page)
    finder = pipeline or _bundled()
    marks = finder.describe(image, [_whole(image)]) if cropped else finder.marks(image)
    if not marks:
        raise InputError(
            f"no stamp was found in {image.source}, page {page}; give a picture that shows one, or "
            "one cut out around it and say that it is cropped",
            source=image.source,
        )
    return [_Imprint.of(stamp) for stamp in marks[:_MOST_STAMPS]]


@lru_cache(maxsize=1)
def _bundled() -> StampPipeline:
    return StampPipeline.from_pretrained()


def _whole(image: Image) -> Detection:
    """All of a picture as one stamp."""
    width, height = float(image.width), float(image.height)
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return Detection("stamp", 1.0, as_box((0.0, 0.0, width, height)), as_quad(corners))


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
        transform=(transform / transform[2, 2]).tolist(),
        a=a.mark.box,
        b=b.mark.box,
        differences=tuple(map(as_box, regions)),
        draw=partial(
            draw_difference,
            a.template.mask >= SURE,
            b.template.mask >= SURE,
            match.transform,
            match.regions,
            f"{verdict}: {reason} (probability of one stamp {match.score:.0%})",
        ),
    )


def _judged(match: InkMatch, *, blurred: bool) -> tuple[str, str]:
    """Verdict and reason; the comparer knows only imprints whose letters are apart."""
    if match.doubt is not None:
        return "unsure", match.doubt
    if blurred:
        return "unsure", "too blurred"
    if match.verdict == "same":
        return "same", "the ink agrees wherever both have some"
    places = len(match.regions)
    if match.verdict == "unsure":
        return "unsure", f"what differs may be chance, {_places(places)}"
    return "different", f"they differ {_places(places)}" if places else "they do not fit together"


def _places(count: int) -> str:
    return "in one place" if count == 1 else f"in {count} places"


def _count(stamps: Sequence[_Imprint]) -> str:
    return "one stamp" if len(stamps) == 1 else f"{len(stamps)} stamps"
