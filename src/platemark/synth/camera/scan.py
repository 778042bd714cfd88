"""Capture: what a scanner, a fax machine or a phone makes of a page.

Pages and pictures are (H, W, 3) uint8 RGB; points are (x, y) in the continuous frame where pixel
(column j, row i) covers [j, j+1) x [i, i+1).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self

import cv2
import numpy as np
from PIL import Image as PilImage

from platemark.geometry import FloatArray, homography, translation
from platemark.imaging.image import Pixels, compressed
from platemark.imaging.warp import warp
from platemark.synth.camera.backgrounds import smooth_noise, surface
from platemark.synth.camera.ink import Alpha
from platemark.synth.camera.scene import Camera

Device = Literal["flatbed", "phone", "fax"]
Tone = Literal["colour", "grey", "bilevel"]
Binarization = Literal["global", "sauvola", "ordered", "diffused"]

_FAX_DPI = (204, 98)
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.uint8)


@dataclass(frozen=True)
class Capture:
    """A captured page.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        to_picture: (3, 3) homography from pixels of the page to those of the picture.
        tone: whether colours were kept, or greys, or black and white alone.
    """

    pixels: Pixels
    to_picture: FloatArray
    tone: Tone

    def warp_mask(self, mask: Alpha) -> Alpha:
        """Take a mask (H, W) float32 of the page to the picture; beside the page it is 0."""
        size = (self.pixels.shape[1], self.pixels.shape[0])
        return warp(mask, self.to_picture, size)


@dataclass(frozen=True)
class Scanner:
    """One device with its settings.

    Attributes:
        device: what it is.
        tone: what it keeps of the colours.
        binarization: how it makes black and white.
        skew: clockwise turn of the page in degrees.
        perspective: how far a phone's view moves the corners, as a share of the page's sides.
        white: the lightness, 0..1, that becomes white.
        black: the lightness that becomes black.
        gamma: exponent of the lightness.
        balance: factors of red, green and blue.
        blur: standard deviation of the optical blur in pixels; less on pages below 100 dpi.
        halo: overshoot of sharpening, 0 for none.
        noise: standard deviation of the sensor's noise in grey levels.
        fine: whether black and white is made at twice the resolution and then reduced.
        jpeg: JPEG quality; None for no compression.
    """

    device: Device = "flatbed"
    tone: Tone = "colour"
    binarization: Binarization = "global"
    skew: float = 0.0
    perspective: float = 0.0
    white: float = 1.0
    black: float = 0.0
    gamma: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    halo: float = 0.0
    noise: float = 0.0
    fine: bool = False
    jpeg: int | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A random device: mostly a flatbed in colour, else grey or bilevel, a phone, a fax."""
        device: Device = ("flatbed", "phone", "fax")[int(rng.choice(3, p=[0.78, 0.18, 0.04]))]
        tones: tuple[Tone, ...] = ("colour", "grey", "bilevel")
        shares = {"flatbed": (0.76, 0.12, 0.12), "phone": (0.95, 0.05, 0.0), "fax": (0.0, 0.0, 1.0)}
        ways: tuple[Binarization, ...] = ("global", "sauvola", "ordered", "diffused")
        red, green, blue = np.exp(rng.normal(0, 0.025, 3)).tolist()
        clean = rng.random() < 0.5
        return cls(
            device,
            tones[int(rng.choice(3, p=shares[device]))],
            ways[int(rng.choice(4, p=[0.4, 0.35, 0.08, 0.17]))],
            skew=_skew(device, rng),
            perspective=float(rng.uniform(0.01, 0.12)) if device == "phone" else 0.0,
            white=float(rng.uniform(0.82, 0.97) if clean else rng.uniform(0.97, 1.12)),
            black=float(rng.uniform(0.0, 0.12)) * (rng.random() < 0.5),
            gamma=float(np.exp(rng.normal(0, 0.16))),
            balance=(red, green, blue),
            blur=float(rng.exponential(0.35))
            if rng.random() < 0.85
            else float(rng.uniform(0.8, 2)),
            halo=float(rng.uniform(0.2, 1.1)) if rng.random() < 0.35 else 0.0,
            noise=float(rng.exponential(2.5)) if rng.random() < 0.7 else float(rng.uniform(4, 16)),
            fine=bool(rng.random() < 0.55),
            jpeg=int(rng.integers(25, 96)) if rng.random() < 0.85 else None,
        )

    @classmethod
    def usual(cls, rng: np.random.Generator) -> Self:
        """A random device in order: one does not notice blur, noise or compression."""
        return replace(
            cls.draw(rng),
            white=float(rng.uniform(0.85, 1.0)),
            gamma=float(np.exp(rng.normal(0, 0.08))),
            blur=float(min(rng.exponential(0.25), 0.7)),
            noise=float(rng.uniform(0, 3)),
            jpeg=int(rng.integers(60, 96)),
        )

    def capture(self, page: Pixels, rng: np.random.Generator, dpi: float = 100.0) -> Capture:
        """Scan, fax or photograph a page; the picture is as large as the page.

        A page that the device turned by a quarter has its sides swapped.

        Args:
            page: (H, W, 3) uint8 RGB.
            rng: decides on everything the device leaves open: light, shadows, noise.
            dpi: pixels of the page per inch; a fax has fewer.
        """
        to_picture, width, height = self._view(page.shape[1], page.shape[0], rng)
        pixels = self._seen(page, to_picture, width, height, rng)
        if self.device == "phone":
            pixels = self._photographed(pixels, rng, dpi)
        else:
            pixels = self._scanned(pixels, rng, dpi)
        if self.tone != "colour":
            pixels = _rgb(_grey(pixels))
        if self.jpeg is not None:
            pixels = compressed(pixels, self.jpeg)
        return Capture(pixels, to_picture, self.tone)

    def _view(
        self, width: int, height: int, rng: np.random.Generator
    ) -> tuple[FloatArray, int, int]:
        """Where the page comes in the picture, and the size of the picture."""
        quarter = round(self.skew / 90) % 4
        new_width, new_height = (width, height) if quarter % 2 == 0 else (height, width)
        turn = np.radians(self.skew)
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        to_middle = rotation @ translation(-width / 2, -height / 2)
        middle = translation(new_width / 2, new_height / 2) @ to_middle
        if not self.perspective:
            return np.asarray(middle), new_width, new_height
        sides = np.array([new_width, new_height])
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * sides
        inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        # The phone may also be so near that the page's edges are out of the picture.
        moved = rng.uniform(-0.5, 1.0, (4, 2)) * self.perspective * sides
        return homography(corners, corners + inwards * moved) @ middle, new_width, new_height

    def _seen(
        self, page: Pixels, matrix: FloatArray, width: int, height: int, rng: np.random.Generator
    ) -> Pixels:
        if np.allclose(matrix, np.eye(3)):
            return page
        seen = warp(page, matrix, (width, height))
        cover = warp(np.full(page.shape[:2], 255, np.uint8), matrix, (width, height))
        beside = cover < 255
        if not beside.any():
            return seen
        if self.device == "phone":
            behind = surface(height, width, rng)
        else:
            shade = (255, 255, int(rng.integers(200, 256)), int(rng.integers(0, 70)))[
                rng.integers(4)
            ]
            behind = np.full((height, width, 3), shade, np.uint8)
        share = cover[beside][:, None].astype(np.float32) / 255
        # Outside the page the warp gives black, so its part of an edge pixel is already weighted.
        seen[beside] = (seen[beside] + behind[beside] * (1 - share) + 0.5).astype(np.uint8)
        return seen

    def _scanned(self, pixels: Pixels, rng: np.random.Generator, dpi: float) -> Pixels:
        pixels = self._developed(pixels)
        if self.tone == "colour":
            return self._sensed(pixels, rng, dpi)
        grey = self._sensed(_grey(pixels), rng, dpi)
        if self.tone == "bilevel":
            grey = self._faxed(grey, rng, dpi) if self.device == "fax" else self._bilevel(grey, rng)
        return _rgb(grey)

    def _developed(self, pixels: Pixels) -> Pixels:
        """White and black point, gamma and colour balance, through one table."""
        ramp = np.arange(256, dtype=np.float64)[:, None] / 255 * self.balance
        ramp = np.clip((ramp - self.black) / (self.white - self.black), 0, 1) ** self.gamma
        table = np.round(255 * ramp).astype(np.uint8)
        return np.asarray(cv2.LUT(pixels, table[None]), np.uint8)

    def _sensed(self, pixels: Pixels, rng: np.random.Generator, dpi: float) -> Pixels:
        """Optical blur, noise and sharpening; (H, W) or (H, W, 3)."""
        blur = self.blur * min(dpi / 100, 1.0)
        if blur > 0.25:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.uint8)
        if self.noise > 0.7:
            grain = rng.standard_normal(pixels.shape[:2], np.float32) * np.float32(self.noise)
            if pixels.ndim == 3:
                grain = np.repeat(grain[..., None], 3, axis=2)
                tint = rng.standard_normal((64, 64, 3), np.float32) * np.float32(0.6 * self.noise)
                grain += _tiled(tint, pixels.shape[0], pixels.shape[1])
            pixels = np.asarray(cv2.add(pixels, grain, dtype=cv2.CV_8U), np.uint8)
        if self.halo:
            soft = cv2.GaussianBlur(pixels, (0, 0), 1.2)
            sharp = cv2.addWeighted(pixels, 1 + self.halo, soft, -self.halo, 0)
            pixels = np.asarray(sharp, np.uint8)
        return pixels

    def _photographed(self, pixels: Pixels, rng: np.random.Generator, dpi: float) -> Pixels:
        """Uneven light and shadows, then the lens and sensor of a phone."""
        height, width = pixels.shape[:2]
        light = 0.75 + 0.45 * smooth_noise(height, width, int(rng.integers(2, 4)), rng)
        if rng.random() < 0.35:
            light *= _shadow(height, width, rng)
        lit = np.clip(pixels * light[..., None], 0, 255).astype(np.uint8)
        camera = Camera.draw(rng, float(rng.uniform(8, 24)) * min(dpi / 100, 1.0))
        # Who photographs a page sees to it that it can be read.
        return replace(camera, gain=max(camera.gain, 0.6)).shoot(lit, rng)

    def _bilevel(self, grey: Pixels, rng: np.random.Generator) -> Pixels:
        if not self.fine:
            return _BINARIZE[self.binarization](grey, rng)
        height, width = grey.shape
        size = (2 * width, 2 * height)
        large = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        cut = _BINARIZE[self.binarization](large, rng)
        return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def _faxed(self, grey: Pixels, rng: np.random.Generator, dpi: float) -> Pixels:
        """Black and white at the resolution of a fax (ITU-T T.30: 204 x 98 dpi), and back."""
        height, width = grey.shape
        across, down = round(width * _FAX_DPI[0] / dpi), round(height * _FAX_DPI[1] / dpi)
        across, down = max(8, across), max(8, down)
        method = cv2.INTER_AREA if across < width else cv2.INTER_LINEAR
        sent = np.asarray(cv2.resize(grey, (across, down), interpolation=method), np.uint8)
        cut = _BINARIZE[self.binarization](sent, rng)
        return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _skew(device: Device, rng: np.random.Generator) -> float:
    """A page is laid a little askew; now and then it is turned by quarters."""
    skew = float(np.clip(rng.normal(0, 4 if device == "phone" else 0.8), -15, 15))
    if device != "phone" and rng.random() < 0.35:
        skew = 0.0
    if rng.random() < 0.05:
        skew += float(rng.choice([90, 180, 270], p=[0.4, 0.2, 0.4]))
    return skew


def _shadow(height: int, width: int, rng: np.random.Generator) -> Alpha:
    """Light left behind a hand or a phone: one soft edge across the picture."""
    angle = float(rng.uniform(0, 2 * np.pi))
    y, x = np.ogrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    side = x * np.cos(angle) + y * np.sin(angle) + float(rng.uniform(-0.4, 0.4))
    lit = 1 / (1 + np.exp(np.clip(-side / float(rng.uniform(0.004, 0.12)), -30, 30)))
    return np.asarray(1 - float(rng.uniform(0.15, 0.5)) * lit, np.float32)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _rgb(grey: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _tiled(tile: Alpha, height: int, width: int) -> Alpha:
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    return np.tile(tile, (rows, columns, 1))[:height, :width]


def _global(grey: Pixels, rng: np.random.Generator) -> Pixels:
    """One threshold for the page: Otsu's (1979), or one set by hand."""
    if rng.random() < 0.3:
        return np.asarray(cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)[1], np.uint8)
    level = float(rng.uniform(110, 215))
    return np.asarray(cv2.threshold(grey, level, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _sauvola(grey: Pixels, rng: np.random.Generator) -> Pixels:
    """A threshold from the mean and deviation about each pixel (Sauvola and Pietikainen 2000)."""
    side = int(rng.integers(7, 26)) * 2 + 1
    strictness = float(rng.uniform(0.06, 0.34))
    mean = np.asarray(cv2.blur(grey, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
    square = cv2.sqrBoxFilter(grey, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REPLICATE)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    threshold = mean * (1 + strictness * (deviation / 128 - 1))
    return np.where(grey > threshold, 255, 0).astype(np.uint8)


def _ordered(grey: Pixels, rng: np.random.Generator) -> Pixels:
    """Ordered dithering with a 4 x 4 matrix (Bayer 1973)."""
    rows, columns = -(-grey.shape[0] // 4), -(-grey.shape[1] // 4)
    levels = np.tile(_BAYER * 16 + 8, (rows, columns))[: grey.shape[0], : grey.shape[1]]
    return np.where(grey > levels, 255, 0).astype(np.uint8)


def _diffused(grey: Pixels, rng: np.random.Generator) -> Pixels:
    """Error diffusion (Floyd and Steinberg 1976), by Pillow."""
    return np.asarray(PilImage.fromarray(grey).convert("1"), np.uint8) * 255


_BINARIZE: dict[Binarization, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "global": _global,
    "sauvola": _sauvola,
    "ordered": _ordered,
    "diffused": _diffused,
}
