from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.errors import InputError, UnreadableImage
from platemark.geometry import apply_homography
from platemark.imaging.image import Pixels
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Comparison, StampMark
from platemark.usecases.compare import compare

Draw = Callable[..., NDArray[np.float32]]
TEXT = ("ACME Ltd", "No 12345", "Kyiv 2021")


@pytest.fixture
def page(draw_stamp: Draw) -> Callable[..., Pixels]:
    """Paper with one stamp on it."""

    def make(text: tuple[str, ...] = TEXT, turn: float = 0.0, at: float = 200.0) -> Pixels:
        paper = np.full((400, 460, 3), 240, np.uint8)
        draw_stamp(paper, "circle", (at, 200), 300, "blue", turn=turn, text=text)
        return paper

    return make


def marks(pipeline: StampPipeline, pixels: Pixels) -> list[StampMark]:
    return [mark for mark in pipeline(pixels).marks if isinstance(mark, StampMark)]


def test_marks_are_compared_in_pixels_of_their_pages(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    (a,), (b,) = marks(stamp_pipeline, page()), marks(stamp_pipeline, page(turn=90.0, at=220.0))
    found = compare(a, b)
    assert (found.verdict, found.a, found.b) == ("same", a.box, b.box)
    # The middle of the stamp, and what is above it is to the right of it after a quarter turn.
    moved = apply_homography(found.transform, [(200.0, 200.0), (200.0, 100.0)])
    assert np.abs(moved - [(220.0, 200.0), (320.0, 200.0)]).max() < 3.0
    assert "ink agrees" in found.reason


def test_pictures_and_marks_give_the_same(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    one, two = page(), page(turn=33.0)
    (a,), (b,) = marks(stamp_pipeline, one), marks(stamp_pipeline, two)
    assert compare(one, PIL.Image.fromarray(two), pipeline=stamp_pipeline) == compare(a, b)


def test_it_is_symmetric(stamp_pipeline: StampPipeline, page: Callable[..., Pixels]) -> None:
    (a,), (b,) = marks(stamp_pipeline, page()), marks(stamp_pipeline, page(turn=33.0))
    there, back = compare(a, b), compare(b, a)
    assert (there.score, there.verdict, there.reason) == (back.score, back.verdict, back.reason)
    both = np.array(there.transform) @ np.array(back.transform)
    assert np.abs(both / both[2, 2] - np.eye(3)).max() < 1e-6


def test_another_number_is_seen_and_drawn(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    other = ("ACME Ltd", "No 98765", "Kyiv 2021")
    found = compare(page(), page(other), pipeline=stamp_pipeline)
    assert found.verdict == "different"
    assert "they differ in" in found.reason
    x0, y0, x1, y1 = found.differences[0]
    assert x0 < 200 < x1 + 40
    assert y0 - 20 < 200 < y1 + 20
    picture = np.asarray(found.plot())
    colours = {tuple(colour) for colour in picture.reshape(-1, 3)[::7].tolist()}
    assert {(0, 114, 178), (230, 159, 0), (60, 60, 60)} <= colours


def test_of_several_stamps_the_best_match_is_taken(
    stamp_pipeline: StampPipeline, draw_stamp: Draw, page: Callable[..., Pixels]
) -> None:
    paper = np.full((400, 800, 3), 240, np.uint8)
    draw_stamp(paper, "rectangle", (180, 200), 280, "red", text=("PAID", "BANK"))
    draw_stamp(paper, "circle", (600, 200), 300, "blue")
    found = compare(paper, page(), pipeline=stamp_pipeline)
    assert found.verdict == "same"
    assert found.a[0] > 400
    assert "the best match of 2 stamps" in found.reason


def test_a_picture_without_a_stamp_is_an_error(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels], tmp_path: Path
) -> None:
    blank = tmp_path / "blank.png"
    PIL.Image.new("RGB", (200, 200), "white").save(blank)
    with pytest.raises(InputError, match=r"no stamp was found in .*blank\.png") as raised:
        compare(page(), blank, pipeline=stamp_pipeline)
    assert raised.value.source == str(blank)
    with pytest.raises(UnreadableImage, match="missing"):
        compare(tmp_path / "missing.png", page(), pipeline=stamp_pipeline)


def test_a_cut_out_needs_no_finding(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    a, b = page()[40:360, 40:360], page(turn=120.0)[40:360, 40:360]
    found = compare(a, b, pipeline=stamp_pipeline, cropped=True)
    assert found.verdict == "same"
    assert found.a == (0.0, 0.0, 320.0, 320.0)


def test_a_cut_out_without_ink_leaves_it_open(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    blank = np.full((100, 100, 3), 255, np.uint8)
    found = compare(page(), blank, pipeline=stamp_pipeline, cropped=True)
    assert (found.verdict, found.reason) == ("unsure", "too little ink")
    assert found.plot().size[0] > 0


def test_blurred_pictures_leave_it_open(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    blurred = np.asarray(cv2.GaussianBlur(page(), (0, 0), 7.0), np.uint8)
    found = compare(blurred, blurred, pipeline=stamp_pipeline, cropped=True)
    assert (found.verdict, found.reason) == ("unsure", "too blurred")


def test_pages_of_documents(stamp_pipeline: StampPipeline, page: Callable[..., Pixels]) -> None:
    sheets = [PIL.Image.new("RGB", (460, 400), "white"), PIL.Image.fromarray(page(turn=15.0))]
    data = BytesIO()
    sheets[0].save(data, "TIFF", save_all=True, append_images=sheets[1:])
    found = compare(page(), data.getvalue(), pipeline=stamp_pipeline, page_b=1)
    assert found.verdict == "same"
    for wrong in (2, -1):
        with pytest.raises(InputError, match=f"has 2 pages, no page {wrong} "):
            compare(page(), data.getvalue(), pipeline=stamp_pipeline, page_b=wrong)


def test_the_first_page_that_shows_a_stamp_is_taken(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels], tmp_path: Path
) -> None:
    white = PIL.Image.new("RGB", (460, 400), "white")
    stamped = [PIL.Image.fromarray(page(text)) for text in (TEXT, ("ACME Ltd", "No 98765", ""))]
    scan = tmp_path / "scan.tiff"
    white.save(scan, save_all=True, append_images=[*stamped, white])
    found = compare(scan, page(), pipeline=stamp_pipeline)
    assert found.verdict == "same"
    assert "page 2 of the first" in found.reason
    assert compare(page(), f"{scan}#page=3", pipeline=stamp_pipeline).verdict == "different"
    assert compare(f"{scan}#page=2", page(), pipeline=stamp_pipeline) == found
    for wrong, message in (("#page=4", "no stamp was found"), ("#page=5", "no page 4")):
        with pytest.raises(InputError, match=message):
            compare(f"{scan}{wrong}", page(), pipeline=stamp_pipeline)
    # a file that is really called so comes first
    stamped[0].save(named := tmp_path / "a.png#page=3", "PNG")
    assert compare(named, page(), pipeline=stamp_pipeline).verdict == "same"


def test_a_comparison_comes_back_from_its_json(
    stamp_pipeline: StampPipeline, page: Callable[..., Pixels]
) -> None:
    data = compare(page(), page(turn=9.0), pipeline=stamp_pipeline).to_dict()
    assert list(data) == ["score", "verdict", "reason", "transform", "a", "b"]
    again = Comparison.from_dict(data)
    assert again.to_dict() == data
    with pytest.raises(ValueError, match="no imprints to draw"):
        again.plot()


@pytest.mark.parametrize(
    "wrong", [{"verdict": "perhaps"}, {"score": 1.5}, {"transform": [[1.0, 0.0], [0.0, 1.0]]}]
)
def test_a_comparison_is_valid_from_birth(wrong: dict[str, object]) -> None:
    right = {
        "score": 0.9,
        "verdict": "same",
        "reason": "the ink agrees",
        "transform": np.eye(3).tolist(),
        "a": (0.0, 0.0, 1.0, 1.0),
        "b": (0.0, 0.0, 1.0, 1.0),
    }
    assert Comparison.from_dict(right).verdict == "same"
    with pytest.raises(ValueError, match=r"verdict|score|3x3"):
        Comparison.from_dict(right | wrong)
