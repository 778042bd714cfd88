"""What counts as a stamp: surely found, or with ink to be seen."""

import numpy as np
import pytest

from platemark.imaging.image import Image
from platemark.masks import SoftMask
from platemark.stamps.pipeline import InkGate, StampPipeline
from platemark.types import Detection, as_box, as_quad

GATE = InkGate(sure=0.7, contrast=30.0)
BOX = (20.0, 20.0, 80.0, 80.0)


def ring(darker: int) -> tuple[Image, SoftMask]:
    """Paper with a ring that is so many grey levels darker, and the ink found of it."""
    rows, columns = np.mgrid[:100, :100]
    distance = np.hypot(rows - 50, columns - 50)
    on_ring = (distance > 20) & (distance < 28)
    pixels = np.full((100, 100, 3), 240, np.uint8)
    pixels[on_ring, 0] -= darker  # in red light alone
    return Image.read(pixels), SoftMask(on_ring[20:80, 20:80].astype(np.float32), 20, 20)


def detection(score: float) -> Detection:
    x0, y0, x1, y1 = BOX
    return Detection("stamp", score, as_box(BOX), as_quad(((x0, y0), (x1, y0), (x1, y1), (x0, y1))))


@pytest.mark.parametrize(
    ("score", "darker", "admitted"),
    [(0.7, 4, True), (0.69, 4, False), (0.69, 25, False), (0.69, 40, True), (0.4, 100, True)],
)
def test_doubtful_detections_need_ink_that_is_seen(
    score: float, darker: int, admitted: bool
) -> None:
    image, mask = ring(darker)
    assert GATE.admits(image, detection(score), mask) is admitted


def test_a_doubtful_detection_without_ink_is_no_stamp() -> None:
    image, _ = ring(100)
    nothing = SoftMask(np.zeros((60, 60), np.float32), 20, 20)
    assert not GATE.admits(image, detection(0.6), nothing)
    assert GATE.admits(image, detection(0.8), nothing)


def test_a_card_without_both_thresholds_has_no_gate() -> None:
    assert InkGate.of({"min_score": 0.5, "sure_score": 0.7}) is None
    assert InkGate.of({"sure_score": 0.7, "least_contrast": 30.0}) == GATE


class _Finds:
    """Finds a stamp in one place, with two scores."""

    def __call__(self, image: Image) -> list[Detection]:
        return [detection(0.9), detection(0.6)]


def test_the_pipeline_leaves_out_what_has_no_ink(stamp_pipeline: StampPipeline) -> None:
    parts = stamp_pipeline.segmenter, stamp_pipeline.embedder
    faint, _ = ring(6)
    dark, _ = ring(120)
    gated = StampPipeline(_Finds(), *parts, gate=GATE)  # type: ignore[arg-type]
    assert [mark.score for mark in gated(faint).marks] == [0.9]
    assert [mark.score for mark in gated(dark).marks] == [0.9, 0.6]
    plain = StampPipeline(_Finds(), *parts)  # type: ignore[arg-type]
    assert [mark.score for mark in plain(faint).marks] == [0.9, 0.6]
    # another finder has rules of its own
    other = gated.with_detector(_Finds())
    assert [mark.score for mark in other(faint).marks] == [0.9, 0.6]


def test_a_least_score_replaces_the_gate() -> None:
    assert StampPipeline.from_pretrained(threads=1).gate == GATE
    assert StampPipeline.from_pretrained(threads=1, min_score=0.5).gate is None
