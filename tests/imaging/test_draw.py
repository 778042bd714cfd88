from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from platemark.errors import UnreadableImage
from platemark.geometry import (
    box_to_quad,
    enlarge_quad,
    quad_to_box,
)
from platemark.imaging.draw import cut_mark, cut_out, draw_marks, draw_page
from platemark.imaging.warp import rectify
from platemark.masks import InkMask
from platemark.types import PlateMark, StampMark, as_box, as_quad

QUAD = np.array([[60.0, 50.0], [240.0, 70.0], [236.0, 130.0], [64.0, 104.0]])


def ramp(width: int = 320, height: int = 200) -> np.ndarray:
    """A picture whose colour tells the place: red is x, green is y, in 255ths of the size."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    planes = (x * 255 / width, y * 255 / height, np.zeros_like(x))
    return np.stack(planes, axis=2).round().astype(np.uint8)


def place(pixels: np.ndarray, width: int = 320, height: int = 200) -> np.ndarray:
    return pixels[..., :2] * np.array([width / 255, height / 255])


def mark(quad: np.ndarray, text: str | None = "AB123") -> PlateMark:
    return PlateMark(0.9, as_box(quad_to_box(quad)), as_quad(quad), text=text, text_score=0.8)


def test_marks_are_drawn_on_a_copy() -> None:
    before = ramp()
    drawn = draw_marks(before, [mark(QUAD)])
    assert np.array_equal(before, ramp())
    assert drawn.shape == before.shape
    changed = np.argwhere((drawn != before).any(axis=2))
    assert len(changed) > 200
    # Corners are marked, the inside of the plate is not touched.
    for x, y in QUAD:
        assert np.abs(changed - (y, x)).sum(axis=1).min() <= 3
    inner = rectify(drawn, enlarge_quad(QUAD, -0.1)).pixels
    assert np.array_equal(inner, rectify(before, enlarge_quad(QUAD, -0.1)).pixels)
    assert np.array_equal(draw_marks(before, []), before)


@pytest.mark.parametrize("corner", [(0, 0), (290, 0), (0, 190), (290, 190)])
@pytest.mark.parametrize("text", ["AB123", "ЖЩ 豊田 500"])
def test_labels_stay_within_the_picture(corner: tuple[int, int], text: str | None) -> None:
    quad = box_to_quad([*corner, corner[0] + 30, corner[1] + 10])
    drawn = draw_marks(np.zeros((200, 320, 3), np.uint8), [mark(quad, text)])
    green = (drawn == (0, 200, 83)).all(axis=2)
    box_area = 30 * 10
    assert green.sum() > box_area
    assert not green.all()


def test_a_plate_that_is_not_legible_is_a_box_alone() -> None:
    quad = box_to_quad([100, 100, 200, 140])
    drawn = draw_marks(np.zeros((200, 320, 3), np.uint8), [mark(quad, None)])
    inside, outline = np.s_[106:134, 106:194], np.s_[96:144, 96:204]
    assert drawn[outline].any()
    assert not drawn[inside].any()
    drawn[outline] = 0
    assert not drawn.any()


def test_lines_and_letters_grow_with_the_picture() -> None:
    def share(scale: int) -> float:
        blank = np.zeros((400 * scale, 640 * scale, 3), np.uint8)
        return float(draw_marks(blank, [mark(QUAD * scale)]).any(axis=2).mean())

    assert share(6) == pytest.approx(share(2), rel=0.35)


def test_a_page_is_read_again_to_be_drawn_on(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.fromarray(ramp()).save(path)
    drawn = draw_page(str(path), 0, [mark(QUAD)])
    assert np.array_equal(np.asarray(drawn), draw_marks(ramp(), [mark(QUAD)]))
    with pytest.raises(UnreadableImage, match="no page 1"):
        draw_page(str(path), 1, [])


def stamped(ink: tuple[int, int, int], print_beneath: bool = False) -> tuple[np.ndarray, InkMask]:
    """A page with a ring of ink, and where the ring is."""
    page = np.full((200, 320, 3), (238, 232, 214), np.uint8)
    y, x = np.mgrid[0:200, 0:320] + 0.5
    ring = np.abs(np.hypot(x - 160, y - 100) - 50) < 6
    page[ring] = ink
    if print_beneath:
        page[95:105] = 20
    return page, InkMask.of(ring, ring.shape)


def stamp_mark(mask: InkMask) -> StampMark:
    quad = box_to_quad([104, 44, 216, 156])
    return StampMark(0.9, as_box([104, 44, 216, 156]), as_quad(quad), "circle", "blue", None, mask)


@pytest.mark.parametrize("ink", [(40, 60, 170), (200, 30, 40), (50, 50, 55)])
def test_a_stamp_is_cut_out_without_its_paper(ink: tuple[int, int, int]) -> None:
    page, mask = stamped(ink)
    layer = cut_out(page, mask)
    pixels = np.asarray(layer)
    assert layer.mode == "RGBA"
    assert abs(pixels.shape[0] - 112) <= 4
    opaque = pixels[..., 3] > 250
    assert opaque.sum() == pytest.approx(mask.area, rel=0.1)
    assert np.abs(pixels[opaque][:, :3].astype(int) - ink).max() < 20
    assert pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, 3] == 0


def test_a_cut_out_laid_on_its_paper_is_the_page_again() -> None:
    page, mask = stamped((40, 60, 170))
    layer = cut_out(page, mask)
    paper = PIL.Image.new("RGB", layer.size, (238, 232, 214))
    paper.paste(layer, mask=layer)
    top = 100 - layer.height // 2
    left = 160 - layer.width // 2
    own = page[top : top + layer.height, left : left + layer.width].astype(int)
    assert np.abs(np.asarray(paper).astype(int) - own).mean() < 2


def test_print_beneath_the_ink_is_not_darker_than_the_ink() -> None:
    pixels = np.asarray(cut_out(*stamped((40, 60, 170), print_beneath=True)))
    seen = pixels[pixels[..., 3] > 0]
    assert seen[:, 2].min() > 120


def test_without_ink_the_cut_out_is_one_transparent_pixel() -> None:
    page, mask = stamped((40, 60, 170))
    empty = InkMask.of(np.zeros((1, 1)), mask.size)
    assert cut_out(page, empty).getpixel((0, 0)) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="another size"):
        cut_out(page[:100], mask)


def test_marks_are_cut_as_their_kind_asks() -> None:
    page, mask = stamped((40, 60, 170))
    assert cut_mark(page, stamp_mark(mask)).mode == "RGBA"
    assert cut_mark(page, mark(QUAD)).mode == "RGB"


def test_the_ink_of_stamps_is_drawn_round_and_stays_as_it_is() -> None:
    page, mask = stamped((40, 60, 170))
    drawn = draw_marks(page, [stamp_mark(mask)])
    orange = (drawn == (255, 109, 0)).all(axis=2)
    assert orange.any()
    y, x = np.nonzero(orange)
    around = np.abs(np.hypot(x + 0.5 - 160, y + 0.5 - 100) - 61) < 3
    assert around.sum() > 300
    assert (drawn == page).all(axis=2)[mask.to_array()].mean() > 0.95
