"""Seals on receipts of any length are found, each once."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from platemark.geometry import iou_matrix
from platemark.tasks.detector import Detector

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.from_pretrained(kind="stamp", threads=1)


def receipt(height: int, width: int = 600) -> PIL.Image.Image:
    """One receipt after the other, without their own stamps."""
    paper = PIL.Image.open(DOCUMENTS / "receipt-posted.jpg").convert("RGB")
    part = paper.crop((0, 140, paper.width, paper.height))
    part = part.resize((width, round(part.height * width / part.width)))
    page = PIL.Image.new("RGB", (width, height), "white")
    for top in range(0, height, part.height):
        page.paste(part, (0, top))
    return page


@pytest.mark.parametrize(
    ("height", "tops"), [(3000, (250, 1420, 2600)), (12_000, (400, 1150, 6020, 7777, 11_700))]
)
@pytest.mark.parametrize("wide", [False, True])
def test_seals_on_a_long_receipt(
    detector: Detector, height: int, tops: tuple[int, ...], wide: bool
) -> None:
    letter = PIL.Image.open(DOCUMENTS / "letter-seal.jpg").convert("RGB")
    seal = letter.crop((150, 832, 325, 995)).resize((150, 140))
    page = receipt(height)
    for top in tops:
        page.paste(seal, (300, top))
    boxes = [(306, top + 6, 440, top + 134) for top in tops]
    if wide:
        page = page.transpose(PIL.Image.Transpose.ROTATE_90)
        boxes = [(y0, 600 - x1, y1, 600 - x0) for x0, y0, x1, y1 in boxes]
    found = detector(np.asarray(page))
    overlaps = iou_matrix(boxes, [mark.box for mark in found])
    assert (overlaps > 0.7).sum(axis=1).tolist() == [1] * len(tops)
    assert (overlaps > 0.0).sum(axis=1).tolist() == [1] * len(tops)
