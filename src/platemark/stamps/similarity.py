"""How alike stamps are by their vectors, as a matrix, and that matrix as a picture."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import ArrayLike, NDArray

from platemark.imaging.draw import system_font
from platemark.imaging.image import Pixels

_ROWS = 512
_MOST_CELLS = 1600
_LARGEST_CELL = 40
_MOST_LABELS = 80
_WHITE, _BLACK = (255, 255, 255), (20, 20, 20)


def cosine_similarity(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """Cosine similarity (N, M) of unit vectors ``a`` (N, D) with ``b`` (M, D), in -1..1."""
    product = np.asarray(a, dtype=np.float32) @ np.asarray(b, dtype=np.float32).T
    return np.asarray(np.clip(product, -1.0, 1.0), dtype=np.float32)


def similarity_rows(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Rows (R, N) of the similarity matrix of vectors (N, D), some at a time, top to bottom.

    The whole matrix of many stamps need not fit into memory.
    """
    for start in range(0, len(vectors), _ROWS):
        yield cosine_similarity(vectors[start : start + _ROWS], vectors)


def heat_map(vectors: NDArray[np.float32], labels: Sequence[str]) -> PIL.Image.Image:
    """Draw the similarity matrix: dark for strangers, bright for the same, with a scale beside.

    Args:
        vectors: (N, D) float32 of unit length.
        labels: (N,) names of the rows; left out where there are too many to be read.

    Returns:
        An RGB picture; one cell for each pair, or the means of pairs where there are very many.
    """
    cells = _cells(vectors)
    size = max(len(cells), 1)
    cell = max(1, min(_LARGEST_CELL, _MOST_CELLS // size))
    matrix = np.repeat(np.repeat(_colors(cells), cell, axis=0), cell, axis=1)
    named = list(labels) if len(labels) <= _MOST_LABELS else []
    return _with_labels(matrix, named, cell)


def _cells(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix (S, S), averaged to at most `_MOST_CELLS` rows and columns."""
    rows = [_averaged(rows, len(rows), _MOST_CELLS) for rows in similarity_rows(vectors)]
    matrix = np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)
    return _averaged(matrix, _MOST_CELLS, _MOST_CELLS)


def _averaged(rows: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    size = (min(width, rows.shape[1]), min(height, rows.shape[0]))
    if 0 in size or size == rows.shape[::-1]:
        return rows
    return np.asarray(cv2.resize(rows, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _colors(similarity: NDArray[np.float32]) -> Pixels:
    """Viridis (..., 3), dark for a similarity of 0 and below, bright for 1."""
    levels = np.arange(256, dtype=np.uint8)
    palette = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS).reshape(256, 3)[:, ::-1]
    shades = np.rint(255.0 * np.clip(similarity, 0.0, 1.0)).astype(int)
    return np.asarray(palette[shades], dtype=np.uint8)


def _with_labels(matrix: Pixels, labels: Sequence[str], cell: int) -> PIL.Image.Image:
    """Set the rows' names left of a rendered matrix, the columns' above, a scale to the right."""
    font = system_font(max(10, min(15, cell - 2)))
    names = [PIL.Image.new("RGB", _text_size(label, font), _WHITE) for label in labels]
    for name, label in zip(names, labels, strict=True):
        PIL.ImageDraw.Draw(name).text((2, 0), label, fill=_BLACK, font=font)
    edge = max((name.width for name in names), default=0) + 12
    height, width = matrix.shape[:2]
    picture = PIL.Image.new("RGB", (edge + width + 80, edge + max(height, 120) + 12), _WHITE)
    picture.paste(PIL.Image.fromarray(matrix), (edge, edge))
    # Small cells have room for the name of every second, third ... stamp only.
    step = max((name.height for name in names), default=1) // cell + 1
    for index, name in list(enumerate(names))[:: step if cell < 14 else 1]:
        centre = edge + index * cell + cell // 2
        picture.paste(name, (edge - name.width - 4, centre - name.height // 2))
        upright = name.rotate(90, expand=True)
        picture.paste(upright, (centre - upright.width // 2, edge - upright.height - 4))
    _draw_scale(picture, (edge + width + 16, edge), max(height, 120))
    return picture


def _text_size(text: str, font: object) -> tuple[int, int]:
    pen = PIL.ImageDraw.Draw(PIL.Image.new("RGB", (1, 1)))
    _, _, right, bottom = pen.textbbox((2, 0), text, font=font)  # type: ignore[arg-type]
    return max(1, round(right) + 2), max(1, round(bottom) + 2)


def _draw_scale(picture: PIL.Image.Image, corner: tuple[int, int], height: int) -> None:
    ramp = np.repeat(np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None], 16, axis=1)
    picture.paste(PIL.Image.fromarray(_colors(ramp)), corner)
    pen, font = PIL.ImageDraw.Draw(picture), system_font(13)
    for value in (1.0, 0.5, 0.0):
        y = corner[1] + (1.0 - value) * (height - 1)
        pen.text((corner[0] + 20, y), f"{value:g}", fill=_BLACK, font=font, anchor="lm")
