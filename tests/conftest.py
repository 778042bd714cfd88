"""Plates that a few lines can find and read exactly: the pipeline's own steps without its networks.

A painted plate is a rectangle with a red border; the blue of its ground says what it reads.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Character, Crop, Detection, Reading

Paint = Callable[..., Path]
TEXTS = ("AB12CD", "O0I1", "KA777", "", "XY99")


class PaintedDetector:
    """Finds red frames; the fuller the red, the better the score."""

    def __init__(self, min_score: float | None = None) -> None:
        self._min_score = 0.5 if min_score is None else min_score

    def __call__(self, image: ImageInput, *, min_score: float | None = None) -> list[Detection]:
        pixels = Image.read(image).pixels
        red = (pixels[..., 0] > 100) & (pixels[..., 1] < 20)
        count, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        found = [self._detection(pixels, *stats[label, :4].tolist()) for label in range(1, count)]
        least = self._min_score if min_score is None else min_score
        kept = (detection for detection in found if detection.score >= least)
        return sorted(kept, key=lambda detection: -detection.score)

    @staticmethod
    def _detection(pixels: Pixels, x: int, y: int, width: int, height: int) -> Detection:
        box = (x, y, x + width, y + height)
        quad = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        return Detection("plate", float(pixels[y, x, 0]) / 255, box, quad)


class PaintedReader:
    """Reads the blue in the middle of a plate."""

    crop_size = (48, 16)
    margin = 0.0

    def __call__(self, crops: Sequence[Crop | Pixels]) -> list[Reading]:
        return [self._reading(crop.pixels) for crop in crops if isinstance(crop, Crop)]

    @staticmethod
    def _reading(pixels: Pixels) -> Reading:
        text = TEXTS[round(int(pixels[8, 24, 2]) / 50) % len(TEXTS)]
        if not text:
            return Reading(None, 0.0)
        return Reading(text, 0.9, tuple(Character(char, 0.95) for char in text))


@pytest.fixture
def painted_pipeline() -> PlatePipeline:
    """The plate pipeline with parts that find and read painted plates."""
    return PlatePipeline(PaintedDetector(), PaintedReader())  # type: ignore[arg-type]


@pytest.fixture
def painted_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that loads the bundled models get the parts for painted plates."""

    def from_pretrained(
        model: object = None, *, threads: int | None = None, min_score: float | None = None
    ) -> PlatePipeline:
        return PlatePipeline(PaintedDetector(min_score), PaintedReader())  # type: ignore[arg-type]

    monkeypatch.setattr(PlatePipeline, "from_pretrained", from_pretrained)


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Paint a picture with plates and return where it lies, under the test's own folder."""

    def picture(name: str, *plates: tuple[tuple[int, int, int, int], str], red: int = 255) -> Path:
        pixels = np.full((240, 320, 3), 90, np.uint8)
        for (x0, y0, x1, y1), text in plates:
            pixels[y0:y1, x0:x1] = (red, 0, 0)
            pixels[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = (50, 200, 50 * TEXTS.index(text))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        return path

    return picture
