"""Grounds for pictures: slow noise, painted surfaces, windows of photos.

Pictures are (H, W, 3) uint8 RGB.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.errors import DatasetError
from platemark.imaging.image import Pixels

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def smooth_noise(
    height: int, width: int, cells: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Slow noise in 0..1, (H, W) float32, with about ``cells`` bumps along the longer side."""
    scale = cells / max(height, width)
    grid = rng.random((max(2, round(height * scale) + 1), max(2, round(width * scale) + 1))).astype(
        np.float32
    )
    return np.asarray(
        cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32
    )


def random_window(photo: Pixels, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """A random window (height, width, 3) of a photo at any scale, mirrored half of the time."""
    largest = min(photo.shape[0] / height, photo.shape[1] / width)
    scale = largest * float(rng.uniform(0.35, 1.0))
    window_h, window_w = max(1, int(height * scale)), max(1, int(width * scale))
    y = int(rng.integers(photo.shape[0] - window_h + 1))
    x = int(rng.integers(photo.shape[1] - window_w + 1))
    window = photo[y : y + window_h, x : x + window_w]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(window, (width, height), interpolation=method), np.uint8)
    return np.ascontiguousarray(resized[:, ::-1]) if rng.random() < 0.5 else resized


def surface(height: int, width: int, rng: np.random.Generator) -> Pixels:
    """Painted metal or plastic: one colour with a slow change of light and a few edges."""
    colour = np.full(3, rng.uniform(5, 240))
    if rng.random() < 0.4:
        colour += (rng.uniform(0, 255, 3) - colour) * rng.uniform(0.2, 0.9)
    light = 0.6 + 0.8 * smooth_noise(height, width, int(rng.integers(2, 5)), rng)
    canvas = np.asarray(np.clip(colour * light[..., None], 0, 255), np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        ends = (rng.random((2, 2)) * [width, height]).round().astype(int)
        if rng.random() < 0.7:
            ends[1, 1] = ends[0, 1] + rng.integers(-2, 3)
        shade = rng.integers(0, 255, 1).repeat(3)
        thickness = int(rng.integers(1, max(2, height // 8)))
        cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), shade.tolist(), thickness, cv2.LINE_AA)
    return canvas


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, sorted by path.

    Raises:
        DatasetError: There are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise DatasetError(f"there are no pictures in it ({', '.join(_SUFFIXES)})", file=folder)
    return found
