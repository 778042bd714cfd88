"""Plates whose text is hidden, as people hide it before they publish a photo of their car."""

from dataclasses import replace

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.synth.texture import Texture

_PLAIN = ((250, 250, 250), (235, 235, 235), (128, 128, 128), (12, 12, 12), (30, 30, 34))


def censored(texture: Texture, rng: np.random.Generator) -> Texture:
    """The plate with its text covered, blurred or in coarse squares, and without a text."""
    ways = (_cover, _cover, _blur, _mosaic)
    pixels = ways[int(rng.integers(len(ways)))](texture.pixels.copy(), rng)
    return replace(texture, pixels=pixels, text=None)


def _cover(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One colour over the plate, or over all but its rim and bands."""
    colour = np.array(_PLAIN[int(rng.integers(len(_PLAIN)))], np.float32)
    if rng.random() < 0.2:
        colour = rng.uniform(0, 255, 3).astype(np.float32)
    height, width = pixels.shape[:2]
    rim = int(rng.choice([0, 0, height // 20, height // 10]))
    left = int(rng.choice([0, 0, width // 10]))
    opacity = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.85, 1.0))
    inner = pixels[rim : height - rim, rim + left : width - rim]
    inner[:] = np.clip(inner + (colour - inner) * opacity, 0, 255).astype(np.uint8)
    return pixels


def _blur(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    sigma = float(rng.uniform(0.12, 0.3)) * pixels.shape[0]
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def _mosaic(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    rows = int(rng.integers(2, 5))
    columns = max(2, round(rows * width / height))
    coarse = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST))
