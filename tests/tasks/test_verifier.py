"""The second stage: crops around candidates, and the two scores that become one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.errors import ModelMismatch, UnreadableImage
from platemark.models.card import VerifierPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import verifier_input
from platemark.models.store import locate_model
from platemark.tasks.verifier import Verifier
from platemark.types import Detection

MakeModel = Callable[..., Path]
BLUE = (40, 60, 170)
SPEC = VerifierPreprocess(side=64, context=1.5, outside=0.5)


def page(*patches: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A grey page, 300x200, with blue patches."""
    pixels = np.full((200, 300, 3), 230, np.uint8)
    for x0, y0, x1, y1 in patches:
        pixels[y0:y1, x0:x1] = BLUE
    return pixels


def detection(box: tuple[float, float, float, float], score: float) -> Detection:
    x0, y0, x1, y1 = box
    return Detection("stamp", score, box, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


@pytest.fixture
def verifier(make_verifier: MakeModel) -> Verifier:
    return Verifier.from_pretrained(make_verifier(), threads=1)


STAMP, PRINT = (20, 20, 80, 80), (150, 20, 210, 80)


def test_both_scores_make_the_final_one(make_verifier: MakeModel) -> None:
    calibration = {"scale": 0.7, "bias": -0.3}
    folder = make_verifier(decode={"weight": 0.25}, calibration=calibration)
    verifier = Verifier.from_pretrained(folder, threads=1, min_score=0.0)
    pixels = page(STAMP)
    found = [detection(PRINT, 0.6), detection(STAMP, 0.3)]
    odds = verifier.crop_log_odds(pixels, [one.box for one in found])
    assert odds[1] > 0 > odds[0]
    scores = [
        1 / (1 + np.exp(-(0.7 * (np.log(s / (1 - s)) + 0.25 * o) - 0.3)))
        for s, o in zip((0.6, 0.3), odds, strict=True)
    ]
    verified = verifier(pixels, found)
    assert [one.box for one in verified] == [STAMP, PRINT]
    assert [one.score for one in verified] == pytest.approx(scores[::-1])
    assert verified[0].quad == found[1].quad


def test_what_scores_too_low_is_dropped(verifier: Verifier) -> None:
    found = [detection(PRINT, 0.5), detection(STAMP, 0.2)]
    assert [one.box for one in verifier(page(STAMP), found)] == [STAMP]
    assert len(verifier.with_min_score(0.0)(page(STAMP), found)) == 2
    assert verifier.with_min_score(1.0)(page(STAMP), found) == []
    assert verifier(page(), []) == []
    assert verifier.candidate_score == 0.1


def test_of_two_candidates_one_within_the_other_the_better_stays(verifier: Verifier) -> None:
    part, beside = (20, 20, 80, 50), (60, 20, 120, 80)
    for scores in ((0.6, 0.3), (0.3, 0.6)):
        found = [detection(box, s) for box, s in zip((STAMP, part), scores, strict=True)]
        kept = verifier.with_min_score(0.0)(page(STAMP), found)
        said = verifier.crop_log_odds(page(STAMP), [STAMP, part])
        odds = [np.log(s / (1 - s)) + o for s, o in zip(scores, said, strict=True)]
        assert [one.box for one in kept] == [(STAMP, part)[int(np.argmax(odds))]]
    apart = [detection(STAMP, 0.5), detection(beside, 0.5), detection(PRINT, 0.5)]
    assert len(verifier.with_min_score(0.0)(page(STAMP), apart)) == 3


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-20, 290), st.integers(-20, 190), st.integers(4, 320), st.integers(4, 320))
def test_the_box_lies_in_the_middle_and_keeps_its_aspect(
    x: int, y: int, width: int, height: int
) -> None:
    box = max(x, 0), max(y, 0), min(x + width, 300), min(y + height, 200)
    if box[2] - box[0] < 4 or box[3] - box[1] < 4:
        return
    white = np.zeros((200, 300, 3), np.uint8)
    white[box[1] : box[3], box[0] : box[2]] = 255
    crop = verifier_input(white, box, SPEC).astype(float)
    assert crop.shape == (64, 64, 3)
    scale = 64 / (1.5 * max(box[2] - box[0], box[3] - box[1]))
    half = np.array([box[2] - box[0], box[3] - box[1]]) * scale / 2
    blur = 2 + 2 * scale  # of enlarging
    left, top = np.maximum(np.ceil(32 - half + blur), 0).astype(int)
    right, bottom = np.maximum(np.floor(32 + half - blur), 0).astype(int)
    if left < right and top < bottom:
        assert crop[top:bottom, left:right].min() > 200
    # beyond the page its edge is repeated, which may be white too
    if box[0] >= 100 and box[2] <= 200 and box[1] >= 70 and box[3] <= 130:
        assert crop[:2].max() == 64


def test_what_lies_outside_the_box_has_less_contrast() -> None:
    pixels = page((0, 0, 300, 200))
    crop = verifier_input(pixels, (100, 80, 200, 120), SPEC)
    assert crop[32, 32].tolist() == list(BLUE)
    assert crop[4, 4].tolist() == [84, 94, 149]  # half way to grey 128


def test_a_box_beside_the_page_is_refused(verifier: Verifier) -> None:
    with pytest.raises(ValueError, match="not within the page"):
        verifier(page(), [detection((310, 10, 350, 50), 0.5)])
    with pytest.raises(UnreadableImage):
        verifier(b"no image", [])


def test_many_candidates_are_run_in_parts(verifier: Verifier) -> None:
    boxes = [(x, 20, x + 30, 50) for x in range(0, 260, 7)]
    together = verifier.crop_log_odds(page(STAMP), boxes)
    apart = [verifier.crop_log_odds(page(STAMP), [box])[0] for box in boxes]
    assert together == pytest.approx(apart, abs=1e-4)


def test_other_models_and_scores_are_refused(make_verifier: MakeModel, stamp_models: Path) -> None:
    with pytest.raises(ModelMismatch, match="stamp verifier is needed"):
        Verifier.from_pretrained(stamp_models / "stamp-segmenter")
    with pytest.raises(ModelMismatch, match="is no verifier"):
        Verifier(OnnxModel(locate_model(make_verifier("odd", decode={"iou": 0.5}))))
    with pytest.raises(ValueError, match="probability"):
        Verifier.from_pretrained(make_verifier(), min_score=1.5)
