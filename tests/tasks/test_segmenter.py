from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.errors import ModelMismatch, UnreadableImage
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.segmenter import Segmenter

BLUE = (40, 60, 170)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def page(width: int = 400, height: int = 300) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 240, np.uint8)


@pytest.fixture
def segmenter(stamp_models: Path) -> Segmenter:
    return Segmenter.from_pretrained(stamp_models / "stamp-segmenter", threads=1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(20, 500), st.integers(20, 500), st.data())
def test_ink_comes_back_to_the_place_it_was_cut_from(
    segmenter: Segmenter, width: int, height: int, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 16)), data.draw(st.integers(0, height - 16))
    x1, y1 = data.draw(st.integers(x0 + 16, width)), data.draw(st.integers(y0 + 16, height))
    pixels = page(width, height)
    pixels[y0:y1, x0:x1] = BLUE
    (mask,) = segmenter(pixels, [(x0, y0, x1, y1)])
    rows, columns = np.nonzero(mask.probability > 0.5)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    error = np.abs(np.add(found, (mask.left, mask.top) * 2) - (x0, y0, x1, y1)).max()
    assert error <= max(1.0, 1.2 * max(x1 - x0, y1 - y0) / 64)
    assert mask.left + mask.probability.shape[1] <= width
    assert mask.top + mask.probability.shape[0] <= height


@pytest.mark.parametrize("size", range(18, 54, 4))
def test_a_stamp_of_few_pixels_is_not_moved_by_averaging(segmenter: Segmenter, size: int) -> None:
    pixels = page()
    pixels[60 : 60 + size, 100 : 100 + size] = BLUE
    (mask,) = segmenter(pixels, [(100, 60, 100 + size, 60 + size)])
    rows, columns = np.indices(mask.probability.shape) + 0.5
    weights = mask.probability / mask.probability.sum()
    middle = mask.left + (columns * weights).sum(), mask.top + (rows * weights).sum()
    assert middle == pytest.approx((100 + size / 2, 60 + size / 2), abs=0.06)


def test_the_mask_reaches_a_margin_beyond_the_box(segmenter: Segmenter) -> None:
    (mask,) = segmenter(page(), [(100, 50, 200, 100)])
    assert (mask.left, mask.top) == (92, 42)
    assert mask.probability.shape == (66, 116)
    assert mask.probability.dtype == np.float32
    assert mask.probability.max() < 0.5


@pytest.mark.parametrize("shape", ["circle", "rectangle"])
@pytest.mark.parametrize("size", [180, 700])
def test_the_page_sharpens_masks_that_are_coarser(
    segmenter: Segmenter,
    draw_stamp: Callable[..., NDArray[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
    shape: str,
    size: int,
) -> None:
    pixels = page(800, 800)
    ink = draw_stamp(pixels, shape, (400, 400), size, turn=20) > 0.5
    box = (400 - size / 2, 400 - size / 2, 400 + size / 2, 400 + size / 2)
    (sharp,) = segmenter(pixels, [box])
    monkeypatch.setattr("platemark.tasks.segmenter._SHARPEN_UP_TO", 0)
    (coarse,) = segmenter(pixels, [box])
    own = sharp.cut(ink)
    gain = iou(sharp.probability > 0.5, own) - iou(coarse.probability > 0.5, own)
    assert gain > 0.15


def test_many_boxes_go_in_batches_and_keep_their_order(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    run = OnnxModel.run

    def spy(self: OnnxModel, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        batches.extend(len(value) for value in inputs.values())
        return run(self, **inputs)

    monkeypatch.setattr(OnnxModel, "run", spy)
    pixels = page(60 * 20, 40)
    for number in range(60):
        pixels[10:30, 20 * number + 5 : 20 * number + 5 + number // 6] = BLUE
    boxes = [(20 * number, 5, 20 * number + 20, 35) for number in range(60)]
    widths = [int((mask.probability[20] > 0.5).sum()) for mask in segmenter(pixels, boxes)]
    assert np.abs(np.subtract(widths, [number // 6 for number in range(60)])).max() <= 1
    assert batches == [16, 16, 16, 12]
    assert segmenter(pixels, []) == []


def test_a_box_that_is_larger_than_the_page(segmenter: Segmenter) -> None:
    pixels = page(50, 40)
    pixels[:] = BLUE
    (mask,) = segmenter(pixels, [(-100, -100, 500, 500)])
    assert mask.probability.shape == (40, 50)
    assert mask.probability.min() > 0.5


@pytest.mark.parametrize("box", [(500, 10, 520, 30), (30, 30, 10, 10), (0, 0, np.nan, 5)])
def test_a_box_that_is_none_is_a_mistake(segmenter: Segmenter, box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="box"):
        segmenter(page(), [box])


def test_another_model_is_refused(stamp_models: Path) -> None:
    with pytest.raises(ModelMismatch, match="is a stamp embedder"):
        Segmenter.from_pretrained(stamp_models / "stamp-embedder")
    with pytest.raises(ModelMismatch, match="is no segmenter"):
        Segmenter(OnnxModel(locate_model(stamp_models / "stamp-embedder")))


def test_what_is_no_image_is_an_error(segmenter: Segmenter) -> None:
    with pytest.raises(UnreadableImage):
        segmenter(b"", [(0, 0, 1, 1)])


@pytest.mark.parametrize("shade", [255, 232, 128])
def test_bare_paper_has_no_ink(shade: int) -> None:
    bundled = Segmenter.from_pretrained(threads=1)
    paper = np.full((300, 400, 3), shade, np.uint8)
    (mask,) = bundled(paper, [(50, 50, 250, 250)])
    assert mask.probability.max() < bundled.mask_score
