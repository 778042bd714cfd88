"""Descriptions of one stamp are the same wherever, however large and however turned it lies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.geometry import box_to_quad
from platemark.imaging.image import Image
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Detection, StampMark, as_box, as_quad

Draw = Callable[..., NDArray[np.float32]]
LETTER = Path(__file__).parents[2] / "examples" / "documents" / "letter-seal.jpg"


@pytest.fixture(scope="module")
def pipeline() -> StampPipeline:
    return StampPipeline.from_pretrained(threads=1)


def seal() -> PIL.Image.Image:
    return PIL.Image.open(LETTER).convert("RGB").crop((150, 832, 325, 995))


def only_stamp(pipeline: StampPipeline, page: PIL.Image.Image) -> StampMark:
    (mark,) = pipeline(np.asarray(page)).marks
    assert isinstance(mark, StampMark)
    return mark


def words(mark: StampMark) -> tuple[str, str, float | None]:
    return mark.shape, mark.color, mark.rotation


def places() -> Iterator[tuple[int, int]]:
    random = np.random.default_rng(18)
    for _ in range(12):
        x, y = random.integers((0, 0), (800 - 175, 1100 - 163))
        yield int(x), int(y)


def test_the_same_seal_at_many_places(pipeline: StampPipeline) -> None:
    said = set()
    for x, y in places():
        page = PIL.Image.new("RGB", (800, 1100), "white")
        page.paste(seal(), (x, y))
        said.add(words(only_stamp(pipeline, page)))
    assert said == {("circle", "blue", None)}


@pytest.mark.parametrize("scale", [0.7, 0.85, 1.2, 1.6])
def test_the_same_seal_at_many_scales(pipeline: StampPipeline, scale: float) -> None:
    page = PIL.Image.new("RGB", (800, 1100), "white")
    page.paste(seal().resize((round(175 * scale), round(163 * scale))), (301, 402))
    assert words(only_stamp(pipeline, page)) == ("circle", "blue", None)


@pytest.mark.parametrize("turn", [-70, -25, 10, 45, 90, 180])
def test_the_same_seal_at_many_turns(pipeline: StampPipeline, turn: int) -> None:
    page = PIL.Image.new("RGB", (800, 1100), "white")
    page.paste(seal().rotate(turn, expand=True, fillcolor="white", resample=3), (301, 402))
    assert words(only_stamp(pipeline, page)) == ("circle", "blue", None)


def described(
    pipeline: StampPipeline, page: NDArray[np.uint8], middle: float, half: tuple[float, float]
) -> list[StampMark]:
    """What is said of a stamp in the middle of a page whose box is found a little differently."""
    random = np.random.default_rng(7)
    boxes = [
        np.add((*np.subtract(middle, half), *np.add(middle, half)), random.uniform(-3, 3, 4))
        for _ in range(4)
    ]
    found = [Detection("stamp", 0.9, as_box(box), as_quad(box_to_quad(box))) for box in boxes]
    return pipeline.describe(Image.read(page), found)


@pytest.mark.parametrize("turn", [-30, 0, 20, 75])
def test_a_framed_rectangle_is_one_at_every_turn(
    pipeline: StampPipeline, draw_stamp: Draw, turn: int
) -> None:
    page = np.full((400, 400, 3), 250, np.uint8)
    ink = draw_stamp(page, "rectangle", (200, 200), 220, turn=turn) > 0.5
    half = (ink.any(axis=0).sum() / 2, ink.any(axis=1).sum() / 2)
    for mark in described(pipeline, page, 200, half):
        assert (mark.shape, mark.color) == ("rectangle", "blue")
        assert mark.rotation == pytest.approx(turn, abs=3)


@pytest.mark.parametrize("lines", [(), ("ACME", "Kyiv")])
def test_an_upright_oval_is_not_turned(
    pipeline: StampPipeline, draw_stamp: Draw, lines: tuple[str, ...]
) -> None:
    page = np.full((400, 400, 3), 250, np.uint8)
    draw_stamp(page, "oval", (200, 200), 240, turn=90, text=())
    draw_stamp(page, "other", (200, 200), 150, text=lines)
    for mark in described(pipeline, page, 200, (73, 120)):
        assert mark.shape == "oval"
        assert mark.rotation == pytest.approx(0, abs=3)
