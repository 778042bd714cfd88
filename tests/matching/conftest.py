"""Imprints drawn with a font of the package, so that a letter can be changed."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest
from numpy.typing import NDArray

import platemark

Ink = NDArray[np.uint8]
Imprint = Callable[..., Ink]
FONT = Path(platemark.__file__).parent / "synth" / "fonts" / "LiberationSans-Bold.ttf"
SIDE = 300


@cache
def artwork(lines: tuple[str, ...]) -> Ink:
    """A round stamp with lines of text, 300 pixels wide, drawn at twice the size."""
    picture = PIL.Image.new("L", (2 * SIDE, 2 * SIDE))
    pen = PIL.ImageDraw.Draw(picture)
    pen.ellipse((4, 4, 2 * SIDE - 5, 2 * SIDE - 5), outline=255, width=14)
    pen.ellipse((36, 36, 2 * SIDE - 37, 2 * SIDE - 37), outline=255, width=5)
    for number, line in enumerate(lines):
        y = 2 * SIDE * (number + 1) / (len(lines) + 1)
        pen.text((SIDE, y), line, fill=255, font=PIL.ImageFont.truetype(FONT, 58), anchor="mm")
    return np.asarray(picture.resize((SIDE, SIDE), PIL.Image.Resampling.BOX), np.uint8)


def pressed(
    lines: tuple[str, ...], *, turn: float = 0.0, zoom: float = 1.0, missing: float = 0.0
) -> Ink:
    """An imprint: turned (degrees), zoomed, a share of it from the left without ink."""
    ink = artwork(lines).copy()
    ink[:, : round(missing * SIDE)] = 0
    size = round(1.5 * zoom * SIDE)
    matrix = cv2.getRotationMatrix2D((SIDE / 2.0, SIDE / 2.0), turn, zoom)
    matrix[:, 2] += size / 2.0 - SIDE / 2.0
    return np.asarray(cv2.warpAffine(ink, matrix, (size, size), flags=cv2.INTER_AREA), np.uint8)


LINES = ("NOTARY OFFICE", "No 4821/7", "RIVERTON")
"""What the stamp of the tests says."""


@pytest.fixture(scope="session")
def imprint() -> Imprint:
    """Press the stamp of the tests, or one that says something else."""

    def press(*lines: str, turn: float = 0.0, zoom: float = 1.0, missing: float = 0.0) -> Ink:
        return pressed(lines or LINES, turn=turn, zoom=zoom, missing=missing)

    return press
