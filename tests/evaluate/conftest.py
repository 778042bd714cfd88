"""Stamps for tests: red blots on grey pages, and a pipeline that finds and compares them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.imaging.image import Image
from platemark.masks import InkMask
from platemark.pipeline import Pipeline
from platemark.types import Detection, Embedding, StampMark

SIZE = (240, 320)


class Blots:
    """Finds red blots; the fuller the red of the brightest pixel, the better the score."""

    def __call__(self, image: Image, *, min_score: float | None = None) -> list[Detection]:
        red = _ink(image.pixels).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(red, connectivity=8)
        found = []
        for label in range(1, count):
            x, y, width, height, _ = stats[label].tolist()
            score = float(image.pixels[labels == label].max()) / 255
            box = (x, y, x + width, y + height)
            quad = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
            found.append(Detection("stamp", score, box, quad))
        return [one for one in found if one.score >= (0.5 if min_score is None else min_score)]


class BlotPipeline(Pipeline[StampMark]):
    """Cuts blots out by their colour; the vector is the ink, brought to 8 by 8."""

    def __init__(self) -> None:
        super().__init__(Blots())

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[StampMark]:
        return [self._mark(image, detection) for detection in detections]

    @staticmethod
    def _mark(image: Image, detection: Detection) -> StampMark:
        x0, y0, x1, y1 = (int(value) for value in detection.box)
        ink = _ink(image.pixels[y0:y1, x0:x1])
        small = cv2.resize(ink.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA).ravel()
        vector = np.append(small - small.mean(), 0.01)
        return StampMark(
            detection.score,
            detection.box,
            detection.quad,
            "other",
            "red",
            None,
            InkMask.of(ink, (image.height, image.width), x0, y0),
            embedding=Embedding(vector / np.linalg.norm(vector), "blots@1"),
        )


def _ink(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((pixels[..., 0] > 60) & (pixels[..., 1] < 20))


def _ink_of(figure: str, width: int, height: int) -> NDArray[np.bool_]:
    ink = np.zeros((height, width), np.uint8)
    cv2.rectangle(ink, (0, 0), (width - 1, height - 1), 1, 3)
    if "x" in figure:
        cv2.line(ink, (0, height // 2), (width, height // 2), 1, 9)
    if "y" in figure:
        cv2.line(ink, (width // 2, 0), (width // 2, height), 1, 9)
    if "d" in figure:
        cv2.line(ink, (0, 0), (width, height), 1, 9)
    return ink.astype(bool)


@pytest.fixture
def blot_pipeline() -> BlotPipeline:
    """The steps of the stamp pipeline, with parts that find and compare red blots."""
    return BlotPipeline()


@pytest.fixture
def ink_of() -> Callable[[str, int, int], NDArray[np.bool_]]:
    """Draw a frame, crossed by the lines that tell one figure from another: x, y and d."""
    return _ink_of


@pytest.fixture
def paint_stamps(tmp_path: Path) -> Callable[..., Path]:
    """Save a grey page with red stamps: a box, its figure and how red it is."""

    def paint(name: str, *stamps: tuple[Sequence[int], str, int]) -> Path:
        pixels = np.full((*SIZE, 3), 180, np.uint8)
        for (x0, y0, x1, y1), figure, red in stamps:
            pixels[y0:y1, x0:x1][_ink_of(figure, x1 - x0, y1 - y0)] = (red, 0, 0)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        return path

    return paint
