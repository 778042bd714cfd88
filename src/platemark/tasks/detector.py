"""Finds marks in images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.geometry import (
    FloatArray,
    box_to_quad,
    clip_boxes,
    coverage_matrix,
    iou_matrix,
    is_convex,
    nms,
)
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.models.card import (
    Calibration,
    CoarseLooks,
    DetectorDecode,
    DetectorPreprocess,
    Refine,
)
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import letterbox_image, shrunk
from platemark.models.store import ModelName, find_model
from platemark.tasks.calibrate import calibrate, checked_score
from platemark.types import Detection

_DEFAULT_MIN_SCORE = 0.5
# A crop shows the same mark where it overlaps the first finding so much: the boxes of marks of a
# few pixels are off by much of their size.
_SAME_MARK = 0.2
# A candidate is a part of a larger mark with a higher score that covers this share of it, and that
# it covers no more of.
_PART = 0.8
# A picture whose sides differ by more than this factor is tiled, since one pass would shrink its
# marks too much. A tile is this many times as long as wide, and shares a square with the next.
_TILED_FROM = 3.0
_TILE_RATIO = 2.5
# Tiles share this much of the shorter side at the line between them, for boxes that jitter.
_SLACK = 0.05


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What the network found, best first.

    Attributes:
        boxes: (K, 4) in pixels of the image.
        quads: (K, 4, 2) in pixels of the image.
        scores: (K,) calibrated.
        zoom: (K,) how many pixels of the network's input one pixel of the image was.
    """

    boxes: FloatArray
    quads: FloatArray
    scores: FloatArray
    zoom: FloatArray

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        return type(self)(
            self.boxes[chosen], self.quads[chosen], self.scores[chosen], self.zoom[chosen]
        )

    def shift(self, x: int, y: int) -> Self:
        """The same in pixels of an image of which this one is the part from (x, y) on."""
        by = np.array([x, y], dtype=np.float64)
        return type(self)(self.boxes + np.tile(by, 2), self.quads + by, self.scores, self.zoom)

    def without_parts(self, larger: Self) -> Self:
        """Those that are no parts of larger marks, as a pass at another resolution found them."""
        of = coverage_matrix(self.boxes, larger.boxes) >= _PART
        of &= coverage_matrix(larger.boxes, self.boxes).T < _PART
        of &= larger.scores > self.scores[:, None]
        return self.take(np.logical_not(of.any(axis=1)))

    def join(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.quads, other.quads]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.zoom, other.zoom]),
        )


class Detector:
    """Finds marks of one kind; may be shared by threads.

    The card of the model says which passes an image gets besides the first: one over a crop around
    each small candidate, at a higher resolution; one over the whole image where that finds nothing
    with confidence, small images enlarged for it; and some at a low resolution, for marks that fill
    much of the image. Images much longer than wide, or wider than long,
    are also tiled, each tile with passes of its own: their number grows with the ratio of the
    sides.

    Args:
        model: A network with the input ``images`` (N, H, W, 3) uint8 RGB and the outputs ``boxes``
            (N, K, 4), ``quads`` (N, K, 4, 2) and ``scores`` (N, K).
        min_score: Least score of a detection; by default that of the card.

    Raises:
        ModelMismatch: The model's card is not that of a detector.
        ValueError: ``min_score`` is no probability.
    """

    def __init__(self, model: OnnxModel, *, min_score: float | None = None) -> None:
        spec, decode = model.card.preprocess, model.card.decode
        if not isinstance(spec, DetectorPreprocess) or not isinstance(decode, DetectorDecode):
            raise ModelMismatch(f"model {model.card.name} is no detector")
        self._model, self._spec, self._iou = model, spec, decode.iou
        stated = model.card.thresholds.get("min_score", _DEFAULT_MIN_SCORE)
        self._min_score = stated if min_score is None else checked_score(min_score)

    @classmethod
    def from_pretrained(
        cls,
        model: ModelName = None,
        *,
        kind: str = "plate",
        threads: int | None = None,
        min_score: float | None = None,
    ) -> Self:
        """Load a detector.

        Args:
            model: None for the bundled one, a bundled name, a model folder, or an ``.onnx`` with
                its card beside it.
            kind: The marks it is to find.
            threads: Threads for one run, see `OnnxModel`; by default one.
            min_score: Least score of a detection; by default that of the card.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model is no detector of this kind.
        """
        found = find_model(model, task="detector", kind=kind)
        return cls(OnnxModel(found, threads=threads), min_score=min_score)

    @property
    def model(self) -> OnnxModel:
        """The network and its card."""
        return self._model

    def __call__(self, image: ImageInput, *, min_score: float | None = None) -> list[Detection]:
        """Find marks.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            min_score: Least score of a detection, where it is not that of the detector.

        Returns:
            Detections in pixels of the image, best first; empty when nothing was found.

        Raises:
            UnreadableImage: The input is no image.
            InferenceFailed: The network did not run.
            ValueError: ``min_score`` is no probability.
        """
        pixels = Image.read(image).pixels
        least = self._min_score if min_score is None else checked_score(min_score)
        found = self._find(pixels)
        found = found.take(found.scores >= least)
        return self._detections(found.take(nms(found.boxes, found.scores, self._iou)))

    def _find(self, pixels: Pixels) -> _Candidates:
        """Candidates of an image, and of the tiles of one that is long or wide.

        A tile counts for marks that are centred in its own part and no longer than what two tiles
        share, which therefore lie whole in it; the image as one counts for longer marks.
        """
        found = self._passes(pixels)
        axis = int(pixels.shape[0] > pixels.shape[1])  # of the boxes: 0 is x, 1 is y
        long, short = pixels.shape[1 - axis], pixels.shape[axis]
        spans = _tiles(long, short, round(self._spec.long_side / self._spec.max_upscale))
        if len(spans) < 2:
            return found
        longer = found.take(found.boxes[:, axis + 2] - found.boxes[:, axis] > short)
        parts = [longer]
        for begin, end, own_begin, own_end in spans:
            tile = pixels[begin:end] if axis else pixels[:, begin:end]
            seen = self._passes(tile).shift(*((0, begin) if axis else (begin, 0)))
            first, last = seen.boxes[:, axis], seen.boxes[:, axis + 2]
            centre = (first + last) / 2.0
            own = (centre >= own_begin) & (centre <= own_end)
            parts.append(seen.take(own & (last - first <= short)).without_parts(longer))
        return reduce(_Candidates.join, parts)

    def _passes(self, pixels: Pixels) -> _Candidates:
        """Candidates of an image or tile, of all passes on it as a whole."""
        scaled = shrunk(pixels, self._spec.long_side)
        found = self._pass(pixels, self._spec.long_side, scaled)
        if self._spec.refine is not None:
            found = self._refine(pixels, found, self._spec.refine)
        if (long_side := self._second_pass(pixels, found)) is not None:
            found = found.join(self._pass(pixels, long_side))
        if self._spec.coarse_looks is not None:
            large = self._large(pixels, self._spec.coarse_looks, scaled)
            found = found.without_parts(large).join(large)
        return found

    def _pass(
        self, pixels: Pixels, long_side: int, scaled: Pixels | None = None, margin: float = 0.0
    ) -> _Candidates:
        """Run the network over an image.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            long_side: Length to which its long side is scaled.
            scaled: The same image at fewer pixels, which costs less to fit.
            margin: Padding on each side, as a fraction of ``long_side``.
        """
        height, width = pixels.shape[:2]
        tensor, fit = letterbox_image(
            pixels if scaled is None else scaled,
            self._spec,
            long_side=long_side,
            border=round(margin * long_side),
        )
        fit = replace(fit, width=width, height=height)
        (found,) = self._run(tensor)
        corners = fit.inverse(found.boxes.reshape(-1, 2, 2))
        return _Candidates(
            clip_boxes(corners.reshape(-1, 4), width, height),
            fit.inverse(found.quads),
            found.scores,
            np.full(len(found.scores), fit.scale[0]),
        )

    def _run(self, images: Pixels) -> list[_Candidates]:
        """Run the network; what it finds is in pixels of its input."""
        outputs = self._model.run(images=images)
        calibration: Calibration = self._model.card.calibration
        return [
            _Candidates(
                np.asarray(boxes, dtype=np.float64),
                np.asarray(quads, dtype=np.float64),
                calibrate(scores, calibration),
                np.ones(len(scores)),
            )
            for boxes, quads, scores in zip(
                outputs["boxes"], outputs["quads"], outputs["scores"], strict=True
            )
        ]

    def _second_pass(self, pixels: Pixels, found: _Candidates) -> int | None:
        """Return the long side for a second pass, or None where the first is good enough.

        It takes the image as a whole, since a network of convolutions does so faster than tile by
        tile.
        """
        second, own = self._spec.second_look, int(max(pixels.shape[:2]))
        if second is None:
            return None
        widths = (found.boxes[:, 2] - found.boxes[:, 0]) * found.zoom
        if np.any((found.scores >= second.below_score) & (widths >= second.below_width)):
            return None
        if found.scores.max(initial=0.0) < second.from_score:
            return None
        least = round(second.from_ratio * self._spec.long_side)
        if least > own * self._spec.max_upscale:
            return None
        return min(second.long_side, max(own, least))

    def _large(self, pixels: Pixels, coarse: CoarseLooks, scaled: Pixels) -> _Candidates:
        """Candidates of the passes at low resolution, for what fills much of the image."""
        views = [
            self._pass(pixels, long_side, scaled, coarse.margin) for long_side in coarse.long_sides
        ]
        found = reduce(_Candidates.join, views)
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1)
        return found.take(sides >= coarse.from_share * max(pixels.shape[:2]))

    def _refine(self, pixels: Pixels, found: _Candidates, refine: Refine) -> _Candidates:
        """Judge small candidates again, each in a crop at more pixels."""
        found = found.take(nms(found.boxes, found.scores, self._iou))
        widths = np.maximum(found.boxes[:, 2] - found.boxes[:, 0], 1e-9)
        zoom = np.minimum(refine.width / widths, 1.0)
        asked = (found.scores >= refine.from_score) & (found.scores < refine.below_score)
        asked &= (widths * found.zoom < refine.below_width) & (widths > 1.0)
        asked &= zoom > refine.from_ratio * found.zoom
        chosen = np.flatnonzero(asked)[: refine.limit].tolist()
        if not chosen:
            return found
        views = [_view(pixels, found.boxes[i], zoom[i], refine.side, self._spec) for i in chosen]
        nearer = self._run(np.concatenate([tensor for tensor, _, _ in views]))
        height, width = pixels.shape[:2]
        boxes, quads, scores = found.boxes.copy(), found.quads.copy(), found.scores.copy()
        for index, (_, scale, origin), view in zip(chosen, views, nearer, strict=True):
            seen = (view.boxes.reshape(-1, 2, 2) / scale + origin).reshape(-1, 4)
            same = iou_matrix(boxes[index], seen)[0] >= _SAME_MARK
            best = int(np.argmax(np.where(same, view.scores, -1.0)))
            scores[index] = view.scores[best] if same[best] else 0.0
            if same[best]:
                boxes[index] = clip_boxes(seen[best], width, height)
                quads[index] = view.quads[best] / scale + origin
        return _Candidates(boxes, quads, scores, found.zoom).take(scores > 0.0)

    def _detections(self, found: _Candidates) -> list[Detection]:
        return [
            Detection(
                self._model.card.kind,
                float(score),
                box.tolist(),
                (quad if is_convex(quad) else box_to_quad(box)).tolist(),
            )
            for box, quad, score in zip(found.boxes, found.quads, found.scores, strict=True)
            if box[2] > box[0] and box[3] > box[1]
        ]


def _view(
    pixels: Pixels,
    box: Sequence[float] | FloatArray,
    zoom: float,
    side: int,
    spec: DetectorPreprocess,
) -> tuple[Pixels, FloatArray, FloatArray]:
    """Cut the surroundings of a box out at a zoom: (1, side, side, 3), its scale and its origin."""
    reach = side / zoom / 2.0
    x, y = (box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = pixels[top : int(y + reach), left : int(x + reach)]
    tensor = np.full((1, side, side, 3), spec.pad, np.uint8)
    long_side = min(side, max(1, round(max(part.shape[:2]) * zoom)))
    scaled, fit = letterbox_image(part, spec, long_side=long_side)
    tensor[0, : scaled.shape[1], : scaled.shape[2]] = scaled[0]
    return tensor, fit.scale, np.array([left, top], dtype=np.float64)


def _tiles(long: int, short: int, least: int) -> list[tuple[int, int, float, float]]:
    """Cut a long side into tiles of one length.

    Args:
        long: Length of the side in pixels.
        short: Length of the other one.
        least: Tiles are no shorter than this: the network's input would not show them larger.

    Returns:
        Of each tile its begin and end, and begin and end of the part that is its own. Two tiles
        share at least ``short`` pixels; the line between their own parts is in the middle of that.
        One tile alone where the side is not long.
    """
    size = max(round(_TILE_RATIO * short), least)
    if long <= max(_TILED_FROM * short, size):
        return [(0, long, 0.0, float(long))]
    count = 1 + math.ceil((long - size) / (size - short))
    begins = [round(index * (long - size) / (count - 1)) for index in range(count)]
    lines = [(before + size + begin) / 2.0 for before, begin in pairwise(begins)]
    slack = _SLACK * short
    return [
        (begin, begin + size, line - slack, following + slack)
        for begin, line, following in zip(begins, [0.0, *lines], [*lines, long], strict=True)
    ]
