"""Ink: what a stamp leaves of its design on paper, and how the page shows through it.

Coverage and alpha are (H, W) pictures of one imprint in its own upright frame, at a scale of pixels
per millimetre. Points are (x, y) in the continuous frame where pixel (column j, row i) covers
[j, j+1) x [i, i+1).
"""

import colorsys
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import apply_homography, translation
from platemark.imaging.image import Pixels
from platemark.imaging.warp import warp
from platemark.masks import SoftMask
from platemark.synth.camera.backgrounds import smooth_noise
from platemark.synth.canvas import Colour

Alpha = NDArray[np.float32]
MM_PER_INCH = 25.4

# Share of an imprint's full ink from which a pixel counts as ink.
INK_SHARE = 0.35

# Share of the stamps, then least and most hue (degrees), saturation and value of the full ink.
_COLOURS: dict[str, tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "blue": (0.42, (203, 244), (0.5, 0.95), (0.45, 0.95)),
    "red": (0.22, (338, 373), (0.5, 0.93), (0.62, 0.95)),
    "violet": (0.12, (258, 305), (0.4, 0.8), (0.35, 0.8)),
    "black": (0.14, (0, 360), (0.0, 0.15), (0.04, 0.3)),
    "green": (0.06, (112, 166), (0.5, 0.9), (0.3, 0.68)),
    "brown": (0.04, (21, 40), (0.5, 0.8), (0.3, 0.56)),
}


@dataclass(frozen=True)
class Ink:
    """One pad of ink and the hand that stamps with it.

    Attributes:
        name: name of the colour.
        rgb: colour of full ink on white paper.
        strength: alpha of full ink, 0..1.
        body: how much the ink hides what is beneath instead of tinting it, 0..1.
        repel: how much of the ink dark print keeps off, 0..1.
        spread: reach of the ink into the paper in millimetres.
        gain: how much wider (above 0) or thinner (below 0) strokes get, as a share of coverage.
        ragged: how uneven the edges of strokes are, 0..1.
        uneven: how much the pressure varies over the imprint, 0..1.
        tilt: how much less ink one side, or the middle, has than the other, 0..1.
        missing: share of the imprint that did not touch the paper, about.
        grain: how much of the ink the roughness of the paper takes, 0..1.
        rim: how much darker the edges of strokes are than their middle, 0..1.
        smear: length of the smear in millimetres.
        strike: strength of a second imprint beside the first, 0 for none.
    """

    name: str
    rgb: tuple[int, int, int]
    strength: float = 1.0
    body: float = 0.0
    repel: float = 0.0
    spread: float = 0.0
    gain: float = 0.0
    ragged: float = 0.0
    uneven: float = 0.0
    tilt: float = 0.0
    missing: float = 0.0
    grain: float = 0.0
    rim: float = 0.0
    smear: float = 0.0
    strike: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A random ink; most are sound, a few are starved, flooded, smeared or struck twice."""

        def some(chance: float, low: float, high: float) -> float:
            return float(rng.uniform(low, high)) if rng.random() < chance else 0.0

        name, rgb = _colour(rng)
        starved = rng.random() < 0.16
        flooded = not starved and rng.random() < 0.14
        return cls(
            name,
            rgb,
            strength=float(rng.uniform(0.3, 0.75) if rng.random() < 0.15 else rng.uniform(0.75, 1)),
            body=some(0.4, 0.02, 0.35),
            repel=some(0.4, 0.1, 0.8),
            spread=float(rng.uniform(0.02, 0.09)) * (2.0 if flooded else 1.0),
            gain=float(rng.uniform(0.15, 0.3) if flooded else rng.normal(-0.12 * starved, 0.05)),
            ragged=some(0.6, 0.05, 0.5),
            uneven=some(0.65, 0.05, 0.55),
            tilt=some(0.2, 0.2, 1.0),
            missing=some(0.18, 0.03, 0.35),
            grain=float(rng.uniform(0.3, 0.9)) if starved else some(0.6, 0.03, 0.3),
            rim=some(0.35, 0.1, 0.7),
            smear=some(0.05, 0.4, 2.5),
            strike=some(0.06, 0.2, 0.9),
        )

    @classmethod
    def sound(cls, rng: np.random.Generator) -> Self:
        """An ink of a pad in order, pressed with care: even and whole."""
        ink = cls.draw(rng)
        return replace(
            ink,
            strength=float(rng.uniform(0.85, 1)),
            spread=min(ink.spread, 0.06),
            gain=float(rng.normal(0, 0.04)),
            uneven=min(ink.uneven, 0.25),
            tilt=0.0,
            missing=0.0,
            grain=min(ink.grain, 0.15),
            smear=0.0,
            strike=0.0,
        )

    def print(self, coverage: Pixels, rng: np.random.Generator, scale: float = 8.0) -> Alpha:
        """Press a design onto smooth paper.

        Args:
            coverage: (H, W) uint8, 255 for full ink. What smears, or is struck beside it, is cut at
                the picture's edges: leave some room.
            rng: decides where the ink is missing.
            scale: pixels per millimetre of the coverage.

        Returns:
            (H, W) float32 in 0..1: how much of the ink's colour each pixel takes on.
        """
        height, width = coverage.shape
        alpha = self._flow(np.divide(coverage, 255, dtype=np.float32), rng, scale)
        alpha *= self._pressure(height, width, rng)
        if self.missing:
            alpha *= _touched(height, width, self.missing, rng)
        if self.grain:
            alpha *= _paper(height, width, self.grain, rng, scale)
        if self.strike:
            alpha = np.maximum(alpha, self.strike * _shifted(alpha, rng, scale))
        if self.smear:
            alpha = _smeared(alpha, self.smear * scale, rng)
        return np.asarray(np.clip(alpha * self.strength, 0, 1), np.float32)

    def _flow(self, coverage: Alpha, rng: np.random.Generator, scale: float) -> Alpha:
        """Strokes as wide as the ink makes them: coverage blurred, then cut by a soft threshold."""
        height, width = coverage.shape
        sigma = self.spread * scale
        soft = _blur(coverage, sigma) if sigma > 0.25 else coverage
        threshold: Alpha | float = 0.5 - self.gain
        if self.ragged:
            cells = _cells(coverage, 0.35 * scale)
            noise = smooth_noise(height, width, cells, rng)
            threshold = threshold + 0.8 * self.ragged * (noise - 0.5)
        # As steep as the blur made it shallow, so that sharp edges stay antialiased ones.
        steep = 1.0 + min(sigma, 2.0)
        alpha = np.clip((soft - threshold) * steep + 0.5, 0, 1)
        if self.rim:
            alpha *= 1 - self.rim * _blur(soft, max(0.18 * scale, 0.8)) ** 2
            alpha /= max(1 - 0.25 * self.rim, 0.1)
        return np.asarray(np.where(soft > 0.004, alpha, 0), np.float32)

    def _pressure(self, height: int, width: int, rng: np.random.Generator) -> Alpha:
        """How hard each part was pressed: patches of the pad, a tilted hand or a hollow middle."""
        press = np.ones((height, width), np.float32)
        if self.uneven:
            cells = int(rng.integers(2, 8)), int(rng.integers(15, 50))
            for share, count in zip((0.7, 0.3), cells, strict=True):
                noise = smooth_noise(height, width, count, rng)
                press -= self.uneven * share * np.clip(1.6 * noise - 0.3, 0, 1)
        if self.tilt:
            y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            if rng.random() < 0.7:
                angle = float(rng.uniform(0, 2 * np.pi))
                ramp = 0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle))
            else:
                ramp = 1.1 - np.hypot(x - rng.uniform(-0.4, 0.4), y - rng.uniform(-0.4, 0.4))
            press = press * (1 - self.tilt * np.clip(ramp, 0, 1))
        return np.asarray(press, np.float32)


def _colour(rng: np.random.Generator) -> tuple[str, tuple[int, int, int]]:
    shares = np.array([share for share, *_ in _COLOURS.values()])
    name = list(_COLOURS)[int(rng.choice(len(shares), p=shares / shares.sum()))]
    _, *ranges = _COLOURS[name]
    hue, saturation, value = (float(rng.uniform(*limits)) for limits in ranges)
    red, green, blue = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return name, (round(255 * red), round(255 * green), round(255 * blue))


def _blur(values: Alpha, sigma: float) -> Alpha:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _cells(values: Alpha, size: float) -> int:
    """Number of bumps of about ``size`` pixels, at least 2 each, along the longer side."""
    return max(2, round(float(max(values.shape)) / max(size, 2.0)))


def _touched(height: int, width: int, missing: float, rng: np.random.Generator) -> Alpha:
    """1 where the stamp touched the paper; blobs, or one side, are left out."""
    noise = smooth_noise(height, width, int(rng.integers(2, 14)), rng)
    if rng.random() < 0.4:
        angle = float(rng.uniform(0, 2 * np.pi))
        y, x = np.ogrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
        noise = 0.3 * noise + 0.7 * (0.5 + x * np.cos(angle) + y * np.sin(angle))
    level = float(np.quantile(noise[::4, ::4], missing))
    return np.asarray(np.clip((noise - level) * float(rng.uniform(5, 40)) + 0.5, 0, 1), np.float32)


def _paper(height: int, width: int, grain: float, rng: np.random.Generator, scale: float) -> Alpha:
    """Share of the ink that stays where the fibres are high; bare spots where they are low."""
    fine = rng.random((height, width), np.float32)
    size = float(rng.uniform(0.12, 0.4)) * scale
    if size > 1.2:
        fine = 0.5 + (_blur(fine, size / 2) - 0.5) * min(size * 1.6, 8.0)
    bare = np.clip((fine - 1 + 0.6 * grain) * 4, 0, 1)
    return np.asarray((1 - 0.5 * grain * np.clip(fine, 0, 1)) * (1 - grain * bare), np.float32)


def _shifted(alpha: Alpha, rng: np.random.Generator, scale: float) -> Alpha:
    height, width = alpha.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 1.2)), 1.0)
    turn[:, 2] += rng.normal(0, 0.6 * scale, 2).clip(-1.5 * scale, 1.5 * scale)
    return warp(alpha, turn, (width, height))


def _smeared(alpha: Alpha, length: float, rng: np.random.Generator) -> Alpha:
    """Ink smeared to one side, ever thinner."""
    steps = max(2, min(12, round(length)))
    angle = float(rng.uniform(0, 2 * np.pi))
    out, thin = alpha, float(rng.uniform(0.3, 0.8))
    for step in range(1, steps + 1):
        way = length * step / steps
        shift = translation(way * np.cos(angle), way * np.sin(angle))
        moved = warp(alpha, shift, alpha.shape[::-1])
        out = np.maximum(out, moved * np.float32(thin * (1 - step / (steps + 1))))
    return out


def full_ink(alpha: Alpha) -> float:
    """The alpha of an imprint's full ink: what the most inked twentieth of its inked pixels has.

    A pixel is ink from ``INK_SHARE`` of it on, so that a pale imprint is as much ink as a strong
    one. 1 where there is no ink.
    """
    most = float(alpha.max(initial=0))
    return float(np.quantile(alpha[alpha > 0.05 * most], 0.95)) if most else 1.0


def warp_on_page(
    values: Alpha, matrix: ArrayLike, width: int, height: int
) -> tuple[Alpha, int, int] | None:
    """Take a picture through a homography, of the result only the part on the page.

    Args:
        values: (h, w) float32, 0 outside.
        matrix: (3, 3) from its pixels to those of the page.
        width: width of the page.
        height: height of the page.

    Returns:
        The part (h', w') float32 and the column and row at which it begins; None where nothing of
        it is on the page.
    """
    rows, columns = values.shape
    corners = apply_homography(matrix, [(0, 0), (columns, 0), (columns, rows), (0, rows)])
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), (width, height))
    if right <= left or bottom <= top:
        return None
    moved = translation(-left, -top) @ np.asarray(matrix, np.float64)
    part = warp(values, moved, (int(right - left), int(bottom - top)))
    return part, int(left), int(top)


def stamp_on(page: Pixels, alpha: Alpha, ink: Ink, matrix: ArrayLike) -> SoftMask | None:
    """Lay an imprint on a page in place: the ink takes its share of the page's light (multiply).

    Args:
        page: (H, W, 3) uint8 RGB, written to.
        alpha: (h, w) float32, from :meth:`Ink.print`.
        ink: its colour, and how it goes with what is printed on the page.
        matrix: (3, 3) homography from pixels of ``alpha`` to those of the page.

    Returns:
        The share of the full ink that each pixel has (see :func:`full_ink`); None where the imprint
        lies beside the page.
    """
    laid = warp_on_page(alpha, matrix, page.shape[1], page.shape[0])
    if laid is None:
        return None
    part, left, top = laid
    region = page[top : top + part.shape[0], left : left + part.shape[1]]
    light = region.astype(np.float32)
    cover = part[..., None]
    if ink.repel:
        dark = 1 - light.min(axis=2, keepdims=True) / 255
        cover = cover * (1 - ink.repel * np.clip(1.6 * dark - 0.5, 0, 1))
    colour = np.array(ink.rgb, np.float32)
    tinted = light * (colour / 255)
    tinted += ink.body * (colour - tinted)
    region[:] = (light + (tinted - light) * cover + 0.5).astype(np.uint8)
    share = np.clip(part / full_ink(alpha), 0, 1)
    return SoftMask(np.asarray(share, np.float32), left, top)


def print_ink(
    pixels: Pixels, mask: NDArray[np.uint8], x: int, y: int, colour: Colour, density: float = 1.0
) -> None:
    """Multiply a colour into a picture through a mask, in place; clipped at the edges.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (h, w) uint8 coverage.
        x: column of the mask's left edge.
        y: row of the mask's top edge.
        colour: RGB of full coverage on white.
        density: 0..1, how much of the ink there is.
    """
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], pixels.shape[1]), min(y + mask.shape[0], pixels.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cover = np.ascontiguousarray(mask[y0 - y : y1 - y, x0 - x : x1 - x])
    ramp = np.arange(256, dtype=np.float32)[:, None] / 255 * density
    through = 255 - ramp * (255 - np.array(colour, np.float32))
    table = np.round(through).astype(np.uint8).reshape(1, 256, 3)
    passed = cv2.LUT(cv2.merge([cover, cover, cover]), table)
    patch = pixels[y0:y1, x0:x1]
    patch[:] = cv2.multiply(patch, passed, scale=1 / 255)
