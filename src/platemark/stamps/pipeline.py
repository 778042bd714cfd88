"""Stamps and seals: the parts and the order of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Image
from platemark.imaging.ink import ink_and_paper, positive
from platemark.masks import InkCrop, InkMask, SoftMask
from platemark.models.onnx import OnnxModel
from platemark.models.store import ModelName, bundled_names, choose_parts
from platemark.pipeline import Covering, Pipeline
from platemark.protocols import (
    Compares,
    Embeds,
    Finds,
    Identifies,
    ReadsStrips,
    Segments,
    Verifies,
)
from platemark.stamps.appearance import describe_ink
from platemark.stamps.fields import find_fields
from platemark.stamps.likeness import CANDIDATE_SCORE, Likeness, Recognised
from platemark.stamps.reading import StampText, read_stamp
from platemark.tasks.comparer import Comparer, bundled_comparer, match_ink
from platemark.tasks.detector import Detector
from platemark.tasks.embedder import Embedder
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.tasks.verifier import Verifier
from platemark.types import Detection, Embedding, StampMark

# At most this number of stamps is held as soft masks at a time; a page may have many, and they may
# be large.
_BATCH = 16
# Longer side of the crops that marks carry, in pixels: ten for each millimetre of a large stamp.
_CROP_SIDE = 640
# Least probability of ink, where the segmenter does not say it.
_MASK_SCORE = 0.5
_VERIFIER = "stamp-verifier"
_PARTS = ("detector", "verifier", "segmenter", "embedder", "comparer", "reader")


@dataclass(frozen=True)
class InkGate:
    """Which detections count as stamps: high-confidence ones, and others whose ink is seen.

    Holes punched into paper, dents and folds have the outline of a stamp, but no ink.

    Attributes:
        segmenter: Finds the ink of the low-confidence ones.
        confident: Detections with this score pass, however faint they are.
        contrast: Others pass when their ink is darker than the paper by this many grey levels, in
            the colour of the light in which it differs most.
    """

    segmenter: Segments
    confident: float
    contrast: float

    @classmethod
    def of(cls, segmenter: Segments, thresholds: Mapping[str, float]) -> Self | None:
        """The gate that a detector's card states, or None."""
        if "sure_score" not in thresholds or "least_contrast" not in thresholds:
            return None
        return cls(segmenter, thresholds["sure_score"], thresholds["least_contrast"])

    def __call__(self, image: Image, detections: Sequence[Detection]) -> list[Detection]:
        """Return the detections that count, in their order."""
        return [one for one in detections if one.score >= self.confident or self._inked(image, one)]

    def _inked(self, image: Image, detection: Detection) -> bool:
        (mask,) = self.segmenter(image, [detection.box])
        colors = ink_and_paper(mask.cut(image.pixels), mask.probability)
        return colors is not None and float((colors[1] - colors[0]).max()) >= self.contrast


class StampPipeline(Pipeline[StampMark]):
    """Finds stamps, tells their ink from the print beneath, describes, embeds and reads it.

    Args:
        detector: Finds the stamps.
        segmenter: Tells the ink of a stamp.
        embedder: Makes an embedding of the ink.
        registry: The known stamps, of which each mark's ``identity`` names the one it is most
            like; without one, ``identity`` is None.
        comparer: Judges two imprints for `platemark.compare`; by default the bundled one.
        verifier: Says which detections count; by default all do. See `Verifier`, `InkGate` and
            `Likeness`.
        reader: Reads the lines of stamps; without it they have no text.

    Raises:
        VectorMismatch: The embeddings of the registry are of another model than the embedder.
    """

    covering = Covering(min_score=0.1, margin=0.1)

    def __init__(
        self,
        detector: Finds,
        segmenter: Segments,
        embedder: Embeds,
        registry: Identifies | None = None,
        comparer: Compares | None = None,
        verifier: Verifies | None = None,
        reader: ReadsStrips | None = None,
    ) -> None:
        super().__init__(detector, verifier)
        self.reader = reader
        self.segmenter = segmenter
        self.embedder = embedder
        self.registry = registry
        self.comparer: Compares = comparer or match_ink
        if registry is not None:
            registry.check_model(embedder.name)

    @classmethod
    def from_pretrained(
        cls,
        model: ModelName = None,
        *,
        threads: int | None = None,
        min_score: float | None = None,
        registry: Identifies | None = None,
        read: bool = False,
    ) -> Self:
        """Load the models.

        Args:
            model: None for the bundled models; a folder with the folders ``stamp-detector``,
                ``stamp-verifier``, ``stamp-segmenter``, ``stamp-embedder``, ``stamp-comparer`` and
                ``stamp-reader``, or some of them; or one model (a bundled name, a model folder, an
                ``.onnx`` with its card beside it), which takes the place of the bundled one.
                Another detector than the bundled one has no verifier unless it comes with it. One
                that ``platemark learn`` taught finds the marks it was taught alone, and each mark
                says which it is.
            threads: Threads for one run, see `OnnxModel`; by default one.
            min_score: Least score of a stamp; by default the verifier's card says it, or that of
                the detector, at times with the help of the ink, see `InkGate`.
            registry: The known stamps.
            read: Whether to read the stamps; it takes longer than all else.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model is none for stamps.
            VectorMismatch: The vectors of the registry are of another model.
        """
        parts = choose_parts(model, "stamp", _PARTS)
        segmenter = Segmenter.from_pretrained(parts["segmenter"], threads=threads)
        verifier: Verifies | None = None
        bundled = parts["detector"] is None and _VERIFIER in bundled_names()
        if bundled or parts["verifier"] is not None:
            verifier = Verifier.from_pretrained(
                parts["verifier"], threads=threads, min_score=min_score
            )
            min_score = verifier.candidate_score
        detector = Detector.from_pretrained(
            parts["detector"], kind="stamp", threads=threads, min_score=min_score
        )
        embedder = Embedder.from_pretrained(parts["embedder"], threads=threads)
        comparer = load_comparer(model)
        taught = Likeness.of(detector.model, segmenter, embedder, comparer or match_ink)
        if taught is not None:
            detector = Detector(detector.model, min_score=CANDIDATE_SCORE)
            verifier = taught if min_score is None else taught.with_min_score(min_score)
        elif min_score is None:
            verifier = InkGate.of(segmenter, detector.model.card.thresholds)
        return cls(
            detector,
            segmenter,
            embedder,
            registry,
            comparer,
            verifier,
            StampReader.from_pretrained(parts["reader"], threads=threads) if read else None,
        )

    @property
    def models(self) -> list[OnnxModel]:
        """The networks of those of its parts that have one."""
        comparer = bundled_comparer() if self.comparer is match_ink else self.comparer
        parts = (
            self.detector,
            self.verifier,
            self.segmenter,
            self.embedder,
            comparer,
            self.reader,
        )
        models = [getattr(part, "model", None) for part in parts]
        return [model for model in models if isinstance(model, OnnxModel)]

    def with_min_score(self, min_score: float) -> Self:
        """Return a copy that keeps all stamps with at least this score.

        Raises:
            ValueError: ``min_score`` is no probability.
        """
        if isinstance(self.verifier, (Verifier, Likeness)):
            return self.with_parts(verifier=self.verifier.with_min_score(min_score))
        return super().with_min_score(min_score)

    def _find(self, image: Image) -> Sequence[Detection]:
        """Find stamps; on a negative, light ink on dark paper, those of its positive."""
        return super()._find(positive(image))

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[StampMark]:
        """Segment, describe, embed and identify stamps: a mark for each, in the same order.

        A stamp in which no ink is found has the shape and colour ``"other"`` and no embedding.
        Stamps of a negative are cropped from its positive, and have the colour of that.

        Raises:
            InferenceFailed: A network did not run.
            RegistryError: The registry does not answer.
        """
        image = positive(image)
        marks: list[StampMark] = []
        for start in range(0, len(detections), _BATCH):
            batch = detections[start : start + _BATCH]
            masks = self.segmenter(image, [detection.box for detection in batch])
            vectors = self.embedder(masks)
            marks += [
                self._identified(self._mark(image, *parts))
                for parts in zip(batch, masks, vectors, strict=True)
            ]
        return marks

    def _mark(
        self, image: Image, detection: Detection, mask: SoftMask, vector: NDArray[np.float32]
    ) -> StampMark:
        ink = mask.probability > getattr(self.segmenter, "mask_score", _MASK_SCORE)
        appearance = describe_ink(image.pixels, mask) if ink.any() else None
        said = None
        if self.reader is not None:
            said = read_stamp(mask.cut(image.pixels), mask.probability, self.reader)
        mark = StampMark(
            score=detection.score,
            box=detection.box,
            quad=detection.quad if appearance is None else appearance.quad,
            shape="other" if appearance is None else appearance.shape,
            color="other" if appearance is None else appearance.color,
            rotation=None if appearance is None else appearance.rotation,
            mask=InkMask.of(ink, (image.height, image.width), mask.left, mask.top),
            identity=detection.identity if isinstance(detection, Recognised) else None,
            embedding=None if appearance is None else Embedding(vector, self.embedder.name),
            crop=cut_out(image, mask, segmenter=getattr(self.segmenter, "name", "")),
        )
        return mark if said is None else _with_text(mark, said, mask)

    def _identified(self, mark: StampMark) -> StampMark:
        if self.registry is None:
            return mark
        candidates = self.registry.identify(mark, 1)
        return replace(mark, identity=candidates[0].identity) if candidates else mark


def _with_text(mark: StampMark, said: StampText, mask: SoftMask) -> StampMark:
    """A mark with what was read of it; places in pixels of the page."""
    lines = tuple(
        replace(line, places=tuple((x + mask.left, y + mask.top) for x, y in line.places))
        for line in said.lines
    )
    return replace(
        mark,
        text=said.text,
        text_score=said.score,
        lines=lines,
        fields=find_fields([line.text for line in lines if line.text]),
        mirrored=said.mirrored,
    )


def whole_picture(image: Image) -> list[Detection]:
    """Find one stamp that fills the picture: a detector of stamps already cropped."""
    return [Detection.given("stamp", (0.0, 0.0, float(image.width), float(image.height)))]


def load_comparer(model: ModelName) -> Comparer | None:
    """Load the comparer of a choice of stamp models; None where it leaves the bundled one.

    Args:
        model: As for `StampPipeline.from_pretrained`.

    Raises:
        ModelNotFound: There is no such model.
        ModelCorrupt: A file differs from the model's card.
        ModelMismatch: The model is none for stamps.
    """
    chosen = choose_parts(model, "stamp", _PARTS)["comparer"]
    return None if chosen is None else Comparer.from_pretrained(chosen, threads=1)


def cut_out(
    image: Image, mask: SoftMask, side: int = _CROP_SIDE, *, segmenter: str = ""
) -> InkCrop:
    """Cut an imprint out of its page, at most ``side`` pixels long and never enlarged.

    Args:
        image: The page.
        mask: The ink of the imprint, in pixels of the page.
        side: Longer side of the crop at most, in pixels.
        segmenter: Name and version of the model that found the ink.
    """
    # Copied, so that a mark does not hold its whole page.
    pixels = mask.cut(image.pixels).copy()
    ink = mask.to_uint8()
    height, width = ink.shape
    if max(height, width) > side:
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels, ink = (
            np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            for part in (pixels, ink)
        )
    box = (mask.left, mask.top, mask.left + width, mask.top + height)
    return InkCrop(pixels, ink, box, image.source, image.page, segmenter)
