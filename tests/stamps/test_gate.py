"""What counts as a stamp: surely found, or with ink to be seen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from platemark.imaging.image import Image
from platemark.masks import SoftMask
from platemark.stamps.pipeline import InkGate, StampPipeline
from platemark.tasks.verifier import Verifier
from platemark.types import Detection, as_box, as_quad

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
THRESHOLDS = {"sure_score": 0.7, "least_contrast": 30.0}
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


def gate(mask: SoftMask) -> InkGate:
    """The gate, of a segmenter that finds one mask everywhere."""
    return InkGate(lambda image, boxes: [mask for _ in boxes], confident=0.7, contrast=30.0)


@pytest.mark.parametrize(
    ("score", "darker", "admitted"),
    [(0.7, 4, True), (0.69, 4, False), (0.69, 25, False), (0.69, 40, True), (0.4, 100, True)],
)
def test_doubtful_detections_need_ink_that_is_seen(
    score: float, darker: int, admitted: bool
) -> None:
    image, mask = ring(darker)
    assert bool(gate(mask)(image, [detection(score)])) is admitted


def test_a_doubtful_detection_without_ink_is_no_stamp() -> None:
    image, _ = ring(100)
    nothing = SoftMask(np.zeros((60, 60), np.float32), 20, 20)
    sure, doubtful = detection(0.8), detection(0.6)
    assert gate(nothing)(image, [sure, doubtful]) == [sure]


def test_a_card_without_both_thresholds_has_no_gate() -> None:
    _, mask = ring(0)
    segmenter = gate(mask).segmenter
    assert InkGate.of(segmenter, {"min_score": 0.5, "sure_score": 0.7}) is None
    assert InkGate.of(segmenter, THRESHOLDS) == InkGate(segmenter, 0.7, 30.0)


class _Finds:
    """Finds a stamp in one place, with two scores."""

    def __call__(self, image: Image) -> list[Detection]:
        return [detection(0.9), detection(0.6)]


def test_the_pipeline_leaves_out_what_has_no_ink(stamp_pipeline: StampPipeline) -> None:
    faint, _ = ring(6)
    dark, _ = ring(120)
    inked = InkGate.of(stamp_pipeline.segmenter, THRESHOLDS)
    gated = stamp_pipeline.with_parts(detector=_Finds(), verifier=inked)
    for pipeline, image, scores in (
        (gated, faint, [0.9]),
        (gated, dark, [0.9, 0.6]),
        (gated.with_parts(verifier=None), faint, [0.9, 0.6]),
    ):
        assert [mark.score for mark in pipeline(image).marks] == scores
        assert [mark.score for mark in pipeline.marks(image)] == scores
    # what is described is not dropped
    found = gated.detector(faint)
    assert [mark.score for mark in gated.describe(faint, found)] == [0.9, 0.6]


def test_a_least_score_replaces_the_gate() -> None:
    # a detector that is named has no verifier beside it
    gated = StampPipeline.from_pretrained("stamp-detector", threads=1)
    assert isinstance(gated.verifier, InkGate)
    assert (gated.verifier.confident, gated.verifier.contrast) == (0.7, 30.0)
    plain = StampPipeline.from_pretrained("stamp-detector", threads=1, min_score=0.5)
    assert plain.verifier is None


def test_the_bundled_verifier_keeps_seals_and_drops_what_else_is_proposed() -> None:
    pipeline = StampPipeline.from_pretrained(threads=1)
    names = ("letter-seal", "letter-without", "letter-composite")
    pages = [Image.read(DOCUMENTS / f"{name}.jpg") for name in names]
    proposed = [len(pipeline.detector(page)) for page in pages]
    found = [len(pipeline.find(page)) for page in pages]
    assert found[:2] == [1, 0]
    assert sum(found) < sum(proposed)


def test_a_verifier_takes_the_place_of_the_gate(
    stamp_models: Path, make_verifier: Callable[..., Path]
) -> None:
    """It hears of what the detector finds at a low score, and says what counts."""
    without = StampPipeline.from_pretrained(stamp_models, threads=1)
    assert without.verifier is None
    make_verifier()  # beside the others
    pipeline = StampPipeline.from_pretrained(stamp_models, threads=1)
    assert isinstance(pipeline.verifier, Verifier)
    assert [model.card.task for model in pipeline.models][:2] == ["detector", "verifier"]
    pixels = np.full((200, 300, 3), 230, np.uint8)
    pixels[40:140, 60:160] = (40, 60, 170)
    image = Image.read(pixels)
    (found,) = pipeline.find(image)
    (proposed,) = pipeline.detector(image)
    (expected,) = pipeline.verifier(image, [proposed])
    assert found == expected
    assert found.score != proposed.score
    assert [mark.score for mark in pipeline(image).marks] == [found.score]
    stricter = StampPipeline.from_pretrained(stamp_models, threads=1, min_score=found.score + 1e-6)
    assert stricter(image).marks == ()
    assert pipeline.with_min_score(found.score + 1e-6).find(image) == []
    assert len(pipeline.with_min_score(0.0).find(image)) == 1
