"""What is said of plates beside their text: region, lines, orientation, whether the text is hidden.

- *region*: country and type, right where it is one of those that the annotation leaves open; of
  scenes the plates found count, of crops what is said from the annotated corners. *By text* is what
  the same text tells without the picture.
- *lines* and *obscured*: the same plates, where annotated.
- *upright* and *orientation*: from the annotated corners; each plate also stands turned and
  mirrored, and right is who says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from platemark.datasets import PlateAnnotation
from platemark.geometry import FloatArray
from platemark.imaging.image import Image
from platemark.metrics import Ranking, Rate
from platemark.plates.formats import UNKNOWN_REGION, regions_meant
from platemark.plates.pipeline import PlatePipeline
from platemark.types import ORIENTATIONS, Obscured, Region


@dataclass(frozen=True)
class ClassOutcome:
    """What is said of one annotated plate.

    Attributes:
        truth: The annotation.
        found: Whether the plate was found, or is a crop; else only ``stood`` counts.
        region: Region by picture and text.
        by_text: Region by the text alone.
        known: The region codes that can be said.
        lines: Number of lines, None where nothing is said.
        obscured: Whether a part is hidden, None where nothing is said.
        stood: What is said of it upright and in every other way to stand, in the order of
            `ORIENTATIONS`; empty where nothing is said.
    """

    truth: PlateAnnotation
    found: bool
    region: Region | None
    by_text: Region | None
    known: frozenset[str]
    lines: int | None
    obscured: Obscured | None
    stood: tuple[str, ...]

    def fits(self, region: Region | None) -> bool:
        """Whether a region is one that the annotation leaves open; None is `UNKNOWN_REGION`."""
        code = UNKNOWN_REGION if region is None else region.code
        return code in regions_meant(self.truth.region, self.known)


@dataclass(frozen=True)
class ClassScores:
    """How often what is said of plates beside their text is right.

    Attributes:
        region: By picture and text.
        region_by_text: By the text alone, of the same plates.
        lines: Number of lines.
        upright: Plates from corners that start at their own top-left, said to be upright.
        orientation: Plates that stand in every way, each said to.
        obscured: How obscured plates rank above others.
    """

    region: Rate
    region_by_text: Rate
    lines: Rate
    upright: Rate
    orientation: Rate
    obscured: Ranking

    @classmethod
    def of(cls, outcomes: Sequence[ClassOutcome]) -> "ClassScores":
        """Count over annotated plates."""
        found = [one for one in outcomes if one.found]
        placed = [one for one in found if one.truth.region is not None]
        counted = [one for one in found if one.truth.lines is not None and one.lines is not None]
        judged = [
            (one.obscured.score, bool(one.truth.obscured))
            for one in found
            if one.obscured is not None and one.truth.obscured is not None
        ]
        stood = [
            (value == said, way == 0)
            for one in outcomes
            for way, (value, said) in enumerate(zip(ORIENTATIONS, one.stood, strict=False))
        ]
        right, upright = zip(*stood, strict=True) if stood else ((), ())
        return cls(
            region=Rate(sum(one.fits(one.region) for one in placed), len(placed)),
            region_by_text=Rate(sum(one.fits(one.by_text) for one in placed), len(placed)),
            lines=Rate(sum(one.lines == one.truth.lines for one in counted), len(counted)),
            upright=Rate(sum(compress(right, upright)), sum(upright)),
            orientation=Rate(sum(right), len(right)),
            obscured=Ranking.of([score for score, _ in judged], [hidden for _, hidden in judged]),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "region": self.region.to_dict(),
            "region_by_text": self.region_by_text.to_dict(),
            "lines": self.lines.to_dict(),
            "upright": self.upright.to_dict(),
            "orientation": self.orientation.to_dict(),
            "obscured": self.obscured.to_dict(),
        }


def stood(pipeline: PlatePipeline, image: Image, corners: FloatArray) -> tuple[str, ...]:
    """How a plate is said to stand, upright, turned and mirrored, in the order of `ORIENTATIONS`.

    Args:
        pipeline: The pipeline as users run it.
        image: Shows the plate.
        corners: (4, 2), clockwise from its own top-left.
    """
    turned = [np.roll(corners, turns, axis=0) for turns in range(len(ORIENTATIONS) - 1)]
    flipped = np.array([(image.width, 0.0)]) + corners[[1, 0, 3, 2]] * (-1.0, 1.0)
    mirror = Image(image.pixels[:, ::-1])
    said = [*pipeline.classify(image, turned), *pipeline.classify(mirror, [flipped])]
    return tuple(one.orientation.value for one in said if one is not None)
