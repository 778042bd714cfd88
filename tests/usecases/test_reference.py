"""The mark of one picture: where it is, what is refused, what is ink and what is opaque."""

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.errors import InputError, NoStampFound, SeveralStamps
from platemark.imaging.image import Image, read_alpha
from platemark.stamps.pipeline import StampPipeline
from platemark.usecases.reference import read_reference

Pixels = NDArray[np.uint8]
DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
SEALS = {
    "letter-seal.jpg": (141, 822, 333, 1004),
    "letter-composite.jpg": (160, 14, 318, 190),
}


@pytest.fixture(scope="module")
def pipeline() -> StampPipeline:
    return StampPipeline.from_pretrained()


def seal(side: int = 200, text: str = "ACME") -> Pixels:
    """A round blue seal on white paper."""
    page = np.full((side, side, 3), 250, np.uint8)
    middle = (side // 2, side // 2)
    for radius in (0.46, 0.34):
        cv2.circle(page, middle, round(radius * side), (40, 60, 190), max(2, side // 50))
    cv2.putText(
        page, text, (round(0.22 * side), round(0.56 * side)), 0, side / 180, (40, 60, 190), 3
    )
    return page


def save(path: Path, pixels: Pixels) -> Path:
    PIL.Image.fromarray(pixels).save(path)
    return path


def test_a_stamp_on_a_page_is_found_and_is_ink(pipeline: StampPipeline, tmp_path: Path) -> None:
    page = np.full((900, 700, 3), 250, np.uint8)
    page[500:700, 300:500] = seal()
    found = read_reference(pipeline, save(tmp_path / "acme.png", page))
    assert (found.name, found.alpha) == ("acme", None)
    width, height = found.box[2] - found.box[0], found.box[3] - found.box[1]
    assert 165 < width < 225
    assert 165 < height < 225
    assert found.ink.shape == found.pixels.shape[:2]
    assert found.ink.max() > 200


def test_a_box_says_where_it_is(pipeline: StampPipeline, tmp_path: Path) -> None:
    path = save(tmp_path / "page.png", np.hstack([seal(), seal(text="OTHER")]))
    found = read_reference(pipeline, path, (200, 0, 400, 200), name="other")
    assert found.name == "other"
    assert found.pixels.shape[1] < 250


def test_two_different_stamps_are_refused_with_their_boxes(
    pipeline: StampPipeline, tmp_path: Path
) -> None:
    page = np.full((700, 700, 3), 250, np.uint8)
    for (name, (x0, y0, x1, y1)), (x, y) in zip(SEALS.items(), ((60, 60), (420, 380)), strict=True):
        letter = Image.read(DOCUMENTS / name).pixels
        page[y : y + y1 - y0, x : x + x1 - x0] = letter[y0:y1, x0:x1]
    with pytest.raises(SeveralStamps, match=r"with a box, one of: \d+,\d+,\d+,\d+; \d+"):
        read_reference(pipeline, save(tmp_path / "two.png", page))


@pytest.mark.parametrize(
    ("pixels", "error", "says"),
    [
        (np.full((200, 200, 3), 250, np.uint8), NoStampFound, "shows nothing"),
        (seal()[::6, ::6].copy(), InputError, "at least 48"),
        ((238 + seal() // 20).astype(np.uint8), NoStampFound, "nothing|no contrast"),
    ],
)
def test_what_shows_too_little_is_refused(
    pipeline: StampPipeline, tmp_path: Path, pixels: Pixels, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_reference(pipeline, save(tmp_path / "seal.png", pixels))


def test_a_box_beside_the_picture_is_refused(pipeline: StampPipeline, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not on"):
        read_reference(pipeline, save(tmp_path / "seal.png", seal()), (300, 300, 400, 400))


def test_a_coloured_label_is_opaque_as_a_whole(pipeline: StampPipeline, tmp_path: Path) -> None:
    label = np.full((120, 200, 3), (250, 200, 20), np.uint8)
    cv2.putText(label, "FRESH", (20, 75), 0, 1.6, (200, 20, 20), 6)
    found = read_reference(pipeline, save(tmp_path / "label.png", label), (0, 0, 200, 120))
    assert found.alpha is not None
    assert found.alpha.min() == 255


def test_a_coloured_label_is_taken_to_its_edge_without_a_box(
    pipeline: StampPipeline, tmp_path: Path
) -> None:
    label = np.full((120, 180, 3), (250, 190, 20), np.uint8)
    cv2.putText(label, "FRESH", (14, 78), 0, 1.5, (190, 20, 20), 6, cv2.LINE_AA)
    found = read_reference(pipeline, save(tmp_path / "label.png", label))
    assert found.box == (0.0, 0.0, 180.0, 120.0)
    assert found.alpha is not None


def test_a_cut_out_with_transparent_paper_is_taken_as_it_is(
    pipeline: StampPipeline, tmp_path: Path
) -> None:
    page = np.pad(seal(), ((40, 60), (30, 20), (0, 0)), constant_values=250)
    alpha = np.where(page.min(axis=2) < 200, 255, 0).astype(np.uint8)
    path = save(tmp_path / "cut.png", np.dstack([page, alpha]))
    found = read_reference(pipeline, path)
    assert found.alpha is None  # its strokes do not fill it
    assert abs(found.box[2] - found.box[0] - np.ptp(np.flatnonzero(alpha.any(axis=0)))) <= 2


def test_a_filled_cut_out_is_opaque(pipeline: StampPipeline, tmp_path: Path) -> None:
    pixels = np.zeros((150, 150, 4), np.uint8)
    cv2.circle(pixels, (75, 75), 70, (220, 30, 30, 255), -1)
    cv2.putText(pixels, "LOGO", (25, 85), 0, 1.1, (255, 255, 255, 255), 3)
    found = read_reference(pipeline, save(tmp_path / "logo.png", pixels))
    assert found.alpha is not None
    assert 0 < found.alpha.mean() < 255


def test_alpha_is_read_where_there_is_some(tmp_path: Path) -> None:
    solid = save(tmp_path / "solid.png", np.full((4, 6, 4), 255, np.uint8))
    assert read_alpha(solid) is None
    assert read_alpha(save(tmp_path / "rgb.png", np.zeros((4, 6, 3), np.uint8))) is None
    values = np.zeros((4, 6, 4), np.uint8)
    values[1, 2, 3] = 200
    alpha = read_alpha(save(tmp_path / "some.png", values))
    assert alpha is not None
    assert (alpha.shape, alpha[1, 2], alpha.sum()) == ((4, 6), 200, 200)
