import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from platemark.masks import InkMask, SoftMask, decode_runs, encode_runs

RING = np.abs(np.hypot(*(np.mgrid[0:9, 0:12] - np.array([4, 5])[:, None, None])) - 3) < 0.8
LOW = np.zeros((3508, 2480), dtype=bool)
LOW[3000:3100, 2000:2300] = True
# What pycocotools 2.0 makes of these masks.
GOLDEN = [
    (np.zeros((4, 5), dtype=bool), "d0"),
    (np.ones((3, 7), dtype=bool), "0e0"),
    (RING, "d053NN01O10OO30M110O1O022j0"),
    (LOW, "h_Vf6T3`Z3" + "0" * 597 + "hfUc0"),
]

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14))


def on_page(part: NDArray[np.bool_], size: tuple[int, int], left: int, top: int) -> np.ndarray:
    page = np.zeros(size, dtype=bool)
    page[top : top + part.shape[0], left : left + part.shape[1]] = part
    return page


@pytest.mark.parametrize(("mask", "counts"), GOLDEN)
def test_masks_are_written_as_pycocotools_does(mask: NDArray[np.bool_], counts: str) -> None:
    made = InkMask.of(mask, mask.shape)
    assert made.to_dict() == {"size": list(mask.shape), "counts": counts}
    assert np.array_equal(InkMask.from_dict(made.to_dict()).to_array(), mask)


@given(masks, st.tuples(*[st.integers(0, 5)] * 4))
def test_a_part_lies_on_the_page_where_it_was_put(
    part: NDArray[np.bool_], around: tuple[int, int, int, int]
) -> None:
    left, top, right, bottom = around
    size = (part.shape[0] + top + bottom, part.shape[1] + left + right)
    page = on_page(part, size, left, top)
    mask = InkMask.of(part, size, left, top)
    assert mask == InkMask.of(page, size)
    assert np.array_equal(mask.to_array(), page)
    assert mask.area == page.sum()
    assert np.array_equal(on_page(*_placed(mask)), page)


def _placed(mask: InkMask) -> tuple[NDArray[np.bool_], tuple[int, int], int, int]:
    part, left, top = mask.crop()
    return part, mask.size, left, top


@given(masks)
def test_a_crop_is_tight(mask: NDArray[np.bool_]) -> None:
    part, _, _ = InkMask.of(mask, mask.shape).crop()
    if mask.any():
        assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
    else:
        assert not part.any()


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_run_lengths_come_back(runs: list[int]) -> None:
    assert decode_runs(encode_runs(runs)).tolist() == runs


@given(st.text(max_size=12))
def test_any_text_is_run_lengths_or_a_value_error(text: str) -> None:
    try:
        decode_runs(text)
    except ValueError:
        return
    assert text.isascii()


@pytest.mark.parametrize("counts", ["", "é", "P", "d1", "~~", "oooooooooo0"])
def test_run_lengths_that_are_not_those_of_the_page_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run length"):
        InkMask((4, 5), counts)


def test_a_part_beyond_the_page_is_refused() -> None:
    with pytest.raises(ValueError, match="not within"):
        InkMask.of(np.ones((3, 3)), (4, 4), 2, 0)


def test_a_soft_mask_covers_its_part_of_the_page() -> None:
    page = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    soft = SoftMask(np.zeros((2, 3), np.float32), left=4, top=1)
    assert np.array_equal(soft.cut(page), page[1:3, 4:7])
    with pytest.raises(ValueError, match="float32"):
        SoftMask(np.zeros((2, 3)))  # type: ignore[arg-type]
