"""What a part of a pipeline is: any object with the call given here fits, whoever wrote it.

All images are `Image`: upright RGB pixels. All coordinates are pixels of the image, see
`platemark.types`. A part may be called by several threads at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from platemark.masks import SoftMask
from platemark.types import (
    Box,
    Crop,
    Detection,
    Identity,
    PlateClasses,
    Reading,
    StampMark,
    StripCharacter,
)

if TYPE_CHECKING:
    from platemark.imaging.image import Image, Pixels
    from platemark.matching import InkTemplate
    from platemark.tasks.comparer import InkMatch


class Finds(Protocol):
    """A detector, as `platemark.Detector` is one."""

    def __call__(self, image: Image, /) -> Sequence[Detection]:
        """Find marks, highest score first; empty where there are none."""
        ...


class Verifies(Protocol):
    """A second stage after a detector: it drops candidates, or gives them another score."""

    def __call__(self, image: Image, detections: Sequence[Detection], /) -> Sequence[Detection]:
        """Return the detections that count, highest score first."""
        ...


class Reads(Protocol):
    """A reader, as `platemark.PlateReader` is one.

    It may have the attributes ``crop_size``, width and height of the crops it wants (by default
    they have the size of the mark), and ``margin``, what they show around the mark as a fraction of
    its width and height (by default nothing).
    """

    def __call__(self, crops: Sequence[Crop], /) -> Sequence[Reading]:
        """Read rectified marks, one reading for each in the same order."""
        ...


class StripSize(Protocol):
    """How a line of a stamp is cut for a reader of strips."""

    @property
    def height(self) -> int:
        """Rows of a strip."""
        ...

    @property
    def capital(self) -> float:
        """Height of a capital letter in it, in pixels."""
        ...

    @property
    def lead(self) -> float:
        """What it shows before and behind the text, in heights of a capital."""
        ...


class ReadsStrips(Protocol):
    """A reader of upright strips, as `platemark.StampReader` is one."""

    @property
    def strip(self) -> StripSize:
        """How strips are cut for it."""
        ...

    @property
    def legible_score(self) -> float:
        """Least mean score of the characters of a line that counts as read."""
        ...

    def text_score(self, scores: Sequence[float], /) -> float:
        """Probability that a text whose characters have these scores is right."""
        ...

    def __call__(self, strips: Sequence[Pixels], /) -> Sequence[Sequence[StripCharacter]]:
        """Read (H, W) uint8 grey strips, the characters of each from left to right."""
        ...


class Classifies(Protocol):
    """A classifier of plates, as `platemark.PlateClassifier` is one.

    It may have the attributes ``crop_size`` and ``margin``, as for `Reads`.
    """

    def __call__(self, crops: Sequence[Crop], /) -> Sequence[PlateClasses]:
        """Describe rectified plates, each in the same order."""
        ...


class Segments(Protocol):
    """A segmenter, as `platemark.Segmenter` is one.

    It may have the attribute ``mask_score``, the least probability of ink (by default 0.5).
    """

    def __call__(self, image: Image, boxes: Sequence[Box], /) -> Sequence[SoftMask]:
        """Find the ink in boxes, one mask for each in the same order."""
        ...


class Embeds(Protocol):
    """An embedder, as `platemark.Embedder` is one."""

    @property
    def name(self) -> str:
        """Name and version, ``name@version``; embeddings of different ones are not compared."""
        ...

    def __call__(self, masks: Sequence[SoftMask], /) -> NDArray[np.float32]:
        """Embed ink masks: (N, D) of unit length, in the same order."""
        ...


class Compares(Protocol):
    """A comparer of two imprints, as `platemark.Comparer` is one."""

    def __call__(self, a: InkTemplate, b: InkTemplate, /, *, quick: bool = False) -> InkMatch:
        """Compare; ``quick`` where most pairs are strangers and time counts."""
        ...


class Identified(Protocol):
    """A candidate for whose stamp it is, as `platemark.Candidate` is one."""

    @property
    def identity(self) -> Identity:
        """What a mark says of it."""
        ...


class Identifies(Protocol):
    """Known stamps, as `platemark.Registry` keeps them."""

    def check_model(self, model: str, /) -> None:
        """Check that embeddings of a model, ``name@version``, can be looked up.

        Raises:
            VectorMismatch: They cannot.
        """

    def identify(self, stamp: StampMark, top_k: int = ..., /) -> Sequence[Identified]:
        """Return the known stamps that a stamp may be, highest score first."""
        ...
