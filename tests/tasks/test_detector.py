from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.errors import ModelMismatch, UnreadableImage
from platemark.geometry import box_to_quad
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.detector import Detector, _Candidates

MakeModel = Callable[..., Path]
Box = tuple[int, int, int, int]


def photo(width: int, height: int, *boxes: Box) -> NDArray[np.uint8]:
    """A grey photo with white plates."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    return pixels


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of all inputs that networks were given."""
    shapes: list[tuple[int, ...]] = []
    run = OnnxModel.run

    def spy(self: OnnxModel, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        shapes.extend(value.shape for value in inputs.values())
        return run(self, **inputs)

    monkeypatch.setattr(OnnxModel, "run", spy)
    return shapes


def test_a_plate_is_found_where_it_is_and_once(make_detector: MakeModel) -> None:
    detector = Detector.from_pretrained(make_detector(), threads=1)
    (found,) = detector(photo(640, 480, (200, 100, 320, 140)))
    assert found.kind == "plate"
    assert found.score == pytest.approx(0.9)
    assert found.box == (200, 100, 320, 140)
    assert found.quad == ((200, 100), (320, 100), (320, 140), (200, 140))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(100, 1500), st.integers(100, 1500), st.data())
def test_boxes_come_back_from_the_letterbox(
    make_detector: MakeModel, width: int, height: int, data: st.DataObject
) -> None:
    least = max(width, height) // 20 + 2
    x0, y0 = data.draw(st.integers(0, width - least)), data.draw(st.integers(0, height - least))
    x1, y1 = data.draw(st.integers(x0 + least, width)), data.draw(st.integers(y0 + least, height))
    (found,) = Detector.from_pretrained(make_detector(), threads=1)(
        photo(width, height, (x0, y0, x1, y1))
    )
    step = max(width, height) / 320
    assert np.abs(np.subtract(found.box, (x0, y0, x1, y1))).max() <= max(step, 1.0)
    assert found.box[2] <= width
    assert found.box[3] <= height


def test_nothing_found_is_an_empty_list(make_detector: MakeModel) -> None:
    detector = Detector.from_pretrained(make_detector())
    assert detector(photo(640, 480)) == []
    assert detector(photo(1, 1)) == []


def test_min_score_of_the_call_the_detector_and_the_card(make_detector: MakeModel) -> None:
    pixels = photo(320, 320, (100, 100, 110, 104))
    folder = make_detector(sure_width=20, thresholds={"min_score": 0.1})
    assert [found.score for found in Detector.from_pretrained(folder)(pixels)] == [
        pytest.approx(0.2)
    ]
    assert Detector.from_pretrained(folder, min_score=0.3)(pixels) == []
    assert Detector.from_pretrained(folder)(pixels, min_score=0.3) == []
    assert len(Detector.from_pretrained(folder, min_score=0.3)(pixels, min_score=0.0)) == 1


def test_scores_are_calibrated_by_the_card(make_detector: MakeModel) -> None:
    folder = make_detector(calibration={"scale": 0.5, "bias": -0.2})
    (found,) = Detector.from_pretrained(folder)(photo(320, 320, (100, 100, 150, 120)))
    logit = 0.5 * np.log(0.9 / 0.1) - 0.2
    assert found.score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


SECOND_LOOK = {"long_side": 320, "second_look": {"long_side": 960, "below_score": 0.5}}


def test_a_small_plate_in_a_large_photo_is_found_at_the_second_look(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    pixels = photo(1600, 1200, (800, 600, 860, 620))
    assert Detector.from_pretrained(make_detector(sure_width=20))(pixels) == []
    detector = Detector.from_pretrained(make_detector(sure_width=20, preprocess=SECOND_LOOK))
    (found,) = detector(pixels)
    assert np.abs(np.subtract(found.box, (800, 600, 860, 620))).max() <= 1600 / 960
    assert looks == [(1, 256, 320, 3), (1, 256, 320, 3), (1, 736, 960, 3)]


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (photo(1600, 1200, (400, 300, 800, 500)), "the first look is sure"),
        (photo(500, 400, (100, 100, 110, 104)), "the photo is not much larger than the first look"),
    ],
)
def test_the_common_case_is_one_look(
    make_detector: MakeModel, looks: list[tuple[int, ...]], pixels: NDArray[np.uint8], reason: str
) -> None:
    Detector.from_pretrained(make_detector(sure_width=20, preprocess=SECOND_LOOK))(pixels)
    assert len(looks) == 1, reason


def test_the_second_look_does_not_enlarge(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    Detector.from_pretrained(make_detector(preprocess=SECOND_LOOK))(photo(640, 480))
    assert looks == [(1, 256, 320, 3), (1, 480, 640, 3)]


def test_what_fills_the_image_is_looked_for_from_afar(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    def found(box: Box, from_share: float) -> int:
        coarse = {"long_sides": [320, 160], "from_share": from_share}
        card = {"preprocess": {"long_side": 640, "coarse_looks": coarse}, "decode": {"iou": 0.9}}
        return len(Detector.from_pretrained(make_detector(**card))(photo(1600, 1200, box)))

    small, large = (805, 601, 845, 619), (105, 101, 1445, 1119)
    assert found(large, 0.4) == 1  # all looks see the same
    assert looks == [(1, 480, 640, 3), (1, 256, 320, 3), (1, 128, 160, 3)]
    # from afar the small one is off by much of its size, so that it would be found anew
    assert (found(small, 0.01), found(small, 0.4)) == (3, 1)


def test_the_low_resolution_pass_may_pad_the_image(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    coarse = {"long_sides": [160], "margin": 0.5, "from_share": 0.5}
    card = {"preprocess": {"long_side": 640, "coarse_looks": coarse}, "decode": {"iou": 0.99}}
    box = (105, 105, 1445, 1115)
    first, second = Detector.from_pretrained(make_detector(**card))(photo(1600, 1200, box))
    assert looks == [(1, 480, 640, 3), (1, 288, 320, 3)]
    for found in (first, second):
        assert np.abs(np.subtract(found.box, box)).max() <= 1600 / 160


def test_parts_of_a_larger_mark_are_no_marks() -> None:
    def found(*boxes: Box, scores: Sequence[float]) -> _Candidates:
        array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        return _Candidates(array, box_to_quad(array), np.array(scores), np.ones(len(array)))

    whole = found((0, 0, 100, 40), scores=[0.8])
    part, better, same, beside = (2, 2, 50, 38), (50, 2, 98, 38), (1, 1, 98, 39), (90, 0, 140, 40)
    seen = found(part, better, same, beside, scores=[0.5, 0.9, 0.5, 0.5])
    assert seen.without_parts(whole).boxes.tolist() == [list(box) for box in (better, same, beside)]
    assert len(seen.without_parts(found(scores=[])).boxes) == 4


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(700, 4000), st.integers(8, 190), st.integers(8, 190), st.booleans(), st.data())
def test_marks_of_long_and_wide_images_are_found_once(
    make_detector: MakeModel, long: int, along: int, across: int, wide: bool, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, long - along))
    box = (5, first, 5 + across, first + along)
    width, height = 200, long
    if wide:
        box, width, height = (first, 5, first + along, 5 + across), long, 200
    (found,) = Detector.from_pretrained(make_detector(), threads=1)(photo(width, height, box))
    # a tile of 500 pixels is seen at 320
    assert np.abs(np.subtract(found.box, box)).max() <= 600 / 320


def test_a_mark_longer_than_the_tiles_is_found_once(make_detector: MakeModel) -> None:
    (found,) = Detector.from_pretrained(make_detector())(photo(4000, 400, (500, 100, 3500, 300)))
    assert np.abs(np.subtract(found.box, (500, 100, 3500, 300))).max() <= 4000 / 320


def test_the_passes_of_long_images_grow_with_their_length(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    detector = Detector.from_pretrained(make_detector(preprocess={"long_side": 320}))

    def shapes(width: int, height: int) -> list[tuple[int, ...]]:
        looks.clear()
        detector(photo(width, height))
        return list(looks)

    runs = [len(shapes(200, 200 * ratio)) for ratio in (2, 3, 10, 20, 40, 80)]
    assert runs[:2] == [1, 1]
    assert runs == sorted(runs)
    assert 1.8 < runs[4] / runs[3] < 2.2
    assert 1.8 < runs[5] / runs[4] < 2.2
    assert len({shape[1:] for shape in shapes(200, 8000)[1:]}) == 1
    # tiles are not so short that they would be enlarged: a hair costs little
    assert sum(height * width for _, height, width, _ in shapes(2, 20_000)) < 40 * 20_000


REFINE = {"long_side": 320, "refine": {"below_width": 24, "width": 96, "side": 256}}


@pytest.mark.parametrize(
    "box", [(803, 601, 862, 622), (0, 0, 59, 21), (1541, 1179, 1600, 1200), (3, 1100, 63, 1121)]
)
def test_small_plates_are_looked_at_again_for_their_corners(
    make_detector: MakeModel, looks: list[tuple[int, ...]], box: Box
) -> None:
    pixels = photo(1600, 1200, box)
    (coarse,) = Detector.from_pretrained(make_detector())(pixels)
    (fine,) = Detector.from_pretrained(make_detector(preprocess=REFINE))(pixels)
    assert np.abs(np.subtract(coarse.box, box)).max() >= 1
    assert fine.box == box
    assert np.array(fine.quad)[[0, 2]].ravel().tolist() == list(box)
    assert fine.score == coarse.score
    assert looks[-1] == (1, 256, 256, 3)


def test_a_crop_decides_on_a_small_candidate(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    pixels = photo(1600, 1200, (800, 600, 860, 620))
    weak = {"sure_width": 20, "thresholds": {"min_score": 0.05}}
    (first,) = Detector.from_pretrained(make_detector(**weak))(pixels)
    (judged,) = Detector.from_pretrained(make_detector(**weak, preprocess=REFINE))(pixels)
    assert first.score < 0.5 < judged.score
    for rule in ({"from_score": 0.5}, {"below_score": 0.05}, {"from_ratio": 9.0}):
        spec = REFINE | {"refine": REFINE["refine"] | rule}  # type: ignore[operator]
        (left,) = Detector.from_pretrained(make_detector(**weak, preprocess=spec))(pixels)
        assert left.score == first.score
    looks.clear()
    second = {"second_look": {"long_side": 960, "below_score": 0.5}}
    Detector.from_pretrained(make_detector(**weak, preprocess=REFINE | second))(pixels)
    # what the crop finds makes another pass needless
    assert looks == [(1, 256, 320, 3), (1, 256, 256, 3)]


def test_there_is_no_second_pass_without_a_trace_of_a_mark(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    second = {"long_side": 960, "below_score": 0.5, "from_score": 0.02}
    spec = {"long_side": 320, "second_look": second}
    detector = Detector.from_pretrained(make_detector(sure_width=20, preprocess=spec))
    detector(photo(1600, 1200))
    assert len(looks) == 1
    detector(photo(1600, 1200, (800, 600, 860, 620)))
    assert len(looks) == 3


def test_plates_that_are_large_enough_are_not_refined(
    make_detector: MakeModel, looks: list[tuple[int, ...]]
) -> None:
    detector = Detector.from_pretrained(make_detector(preprocess=REFINE))
    detector(photo(1600, 1200, (400, 300, 800, 500)))
    detector(photo(320, 240, (100, 100, 110, 104)))  # the photo has no more to show
    assert len(looks) == 2


def test_a_reader_is_no_detector(make_reader: MakeModel) -> None:
    with pytest.raises(ModelMismatch, match="is a plate reader"):
        Detector.from_pretrained(make_reader())
    with pytest.raises(ModelMismatch, match="is no detector"):
        Detector(OnnxModel(locate_model(make_reader())))


def test_what_is_no_image_is_an_error_not_an_empty_list(make_detector: MakeModel) -> None:
    with pytest.raises(UnreadableImage):
        Detector.from_pretrained(make_detector())(b"")


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_a_least_score_that_is_no_probability_is_a_mistake(
    make_detector: Callable[..., Path], least: float
) -> None:
    folder = make_detector()
    with pytest.raises(ValueError, match="min_score"):
        Detector.from_pretrained(folder, min_score=least)
    with pytest.raises(ValueError, match="min_score"):
        Detector.from_pretrained(folder)(np.zeros((32, 32, 3), np.uint8), min_score=least)
