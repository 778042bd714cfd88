"""Small plates in a photo of 12 megapixels are found by the bundled models."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.geometry import iou_matrix
from platemark.imaging.image import Image
from platemark.plates.pipeline import PlatePipeline

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
# A photo of examples/, its plate's box there, and where the photo is put into the large one.
PLACED = [
    ("suv-malaysia.jpg", (93, 194, 157, 221), (2900, 1700)),
    ("front-latvia.jpg", (154, 241, 220, 267), (400, 2300)),
]


@pytest.fixture(scope="module")
def pipeline() -> PlatePipeline:
    return PlatePipeline.from_pretrained(threads=2)


@pytest.mark.parametrize(("name", "box", "corner"), PLACED)
def test_a_plate_that_the_first_look_cannot_see_is_found(
    pipeline: PlatePipeline,
    name: str,
    box: tuple[int, int, int, int],
    corner: tuple[int, int],
) -> None:
    photo = Image.read(PHOTOS / name).pixels
    small = cv2.resize(photo, (32, 24), interpolation=cv2.INTER_AREA)
    large = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4), (4000, 3000))
    x, y = corner
    large[y : y + photo.shape[0], x : x + photo.shape[1]] = photo
    marks = pipeline(np.asarray(large, np.uint8)).marks
    truth = np.array([box], dtype=float) + np.array([x, y, x, y])
    assert any(iou_matrix(mark.box, truth)[0, 0] >= 0.5 for mark in marks)
