"""Ink masks made ready to be matched: brought to one frame, at several resolutions.

Convention: the frame of an imprint has its origin in the middle of the ink's bounding box, and half
of the box's longer side as its unit; a view is a square picture of the frame from -`REACH` to
`REACH`. Pixels are continuous, column ``j`` covers ``[j, j + 1)``.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray
from platemark.imaging.image import Pixels
from platemark.imaging.warp import warp
from platemark.masks import InkCrop, InkMask, SoftMask
from platemark.matching.features import LocalFeatures
from platemark.types import Embedding, StampMark

Picture = NDArray[np.float32]
Ink = NDArray[np.uint8]
Planes = NDArray[np.uint8]
Imprint = StampMark | InkCrop | InkMask | SoftMask | Ink | NDArray[np.bool_]

REACH = 1.4
"""How far a view reaches, so that ink which another imprint has beyond this one is in it too."""

COARSE, MIDDLE, FINE = 64, 128, 256
"""Sides of the views at which imprints are aligned."""

INKED = 128
"""From this value of a mask on a pixel is ink."""
# The ink of an imprint without a thousandth of it at each edge has the box; specks do not move it.
_STRAY = 0.001
_LEAST_INK = 12
_HARDLY_LARGER = 0.8

# Spectra are compared over half a turn in `DIRECTIONS` directions, and over rings whose radii grow
# by a constant factor, up to `_SPECTRUM_REACH` cycles over a view.
DIRECTIONS, _RINGS, _FIRST_RING, _SPECTRUM_REACH = 180, 64, 16, 60.0
RING_STEP = float(np.log(_SPECTRUM_REACH) / _RINGS)
# Unwrapped about a centre: steps round it, and rings but for those at the centre itself.
TURNS, _RADII, _FIRST_RADIUS = 160, 32, 6
_UNWRAPPED_REACH = 1.1
ZOOMS = (1.0, 0.9, 1.1)
_CENTRES = [(0.0, 0.0)] + [
    (0.11 * float(np.cos(turn)), 0.11 * float(np.sin(turn)))
    for turn in np.arange(0.0, 2.0 * np.pi, np.pi / 4.0)
]
_MOST_POINTS = 5000


@dataclass(frozen=True, eq=False)
class Level:
    """A view of an imprint, made ready for alignment by gradients.

    Attributes:
        strokes: (S, S) the ink's strokes, bright and with dark surroundings, equally strong all
            over the imprint whatever the pressure was.
        density: (S, S) how much ink is about each pixel.
        points: (N, 2) places in the frame that have ink.
        values: (N,) strokes there.
        densities: (N,) density there.
        slopes: (N, 8) how the values change with each parameter of a homography, see
            `alignment.refine`.
    """

    strokes: Picture
    density: Picture
    points: Picture
    values: Picture
    densities: Picture
    slopes: Picture

    @cached_property
    def both(self) -> Picture:
        """Strokes and density as one picture (S, S, 2)."""
        return np.dstack([self.strokes, self.density])


@dataclass(frozen=True, eq=False)
class InkTemplate:
    """An imprint ready to be matched against others; what is worked out once is kept.

    Attributes:
        mask: (h, w) uint8, 255 where it is surely ink.
        centre: Middle (2,) of the ink's bounding box in pixels of the mask.
        radius: Half of the longer side of the box in pixels; 0 where there is no ink.
        half: Half of its width and height (2,), in units of the frame.
        pixels: (h, w, 3) uint8 RGB, the imprint itself; None where only its ink is known.
        embedding: Its embedding; None where there is none.
    """

    mask: Ink
    centre: FloatArray
    radius: float
    half: FloatArray
    pixels: Pixels | None = None
    embedding: Embedding | None = None

    @classmethod
    def of(
        cls, imprint: Imprint, pixels: Pixels | None = None, embedding: Embedding | None = None
    ) -> Self:
        """Prepare an imprint.

        Args:
            imprint: A stamp that was found, of which the crop is taken, or the mask where it has
                none; a crop; the part with ink of an ink mask; a soft mask; or a mask (h, w) uint8,
                255 where it is surely ink, or bool.
            pixels: (h, w, 3) uint8 RGB, the picture that the ink of a mask was found in. With it,
                ink that was missed or that is hidden by print is told from ink that is not there.
            embedding: The embedding of the imprint; that of a stamp is taken from it.

        Raises:
            ValueError: One is of another shape or dtype.
        """
        match imprint:
            case StampMark():
                return cls.of(imprint.crop or imprint.mask, None, imprint.embedding)
            case InkCrop():
                return cls.of(imprint.ink, imprint.pixels, embedding)
            case InkMask():
                return cls.of(imprint.crop()[0], pixels, embedding)
            case SoftMask():
                mask: Ink | NDArray[np.bool_] = imprint.to_uint8()
            case _:
                mask = imprint
        if mask.ndim != 2 or 0 in mask.shape or mask.dtype not in (np.uint8, np.bool_):
            raise ValueError(
                f"an ink mask is (h, w) uint8 or bool, got {mask.shape} of {mask.dtype}"
            )
        if pixels is not None and (pixels.shape != (*mask.shape, 3) or pixels.dtype != np.uint8):
            raise ValueError(
                f"the picture of ink {mask.shape} is (h, w, 3) uint8 of the same size, "
                f"got {pixels.shape} of {pixels.dtype}"
            )
        ink = np.asarray(mask, dtype=np.uint8) * np.uint8(255 if mask.dtype == np.bool_ else 1)
        inked = ink >= INKED
        if np.count_nonzero(inked) < _LEAST_INK:
            return cls(ink, np.array(ink.shape[::-1]) / 2.0, 0.0, np.ones(2))
        (left, right), (top, bottom) = _extent(inked.sum(axis=0)), _extent(inked.sum(axis=1))
        centre = np.array([left + right, top + bottom]) / 2.0
        sides = np.array([right - left, bottom - top])
        return cls(ink, centre, float(sides.max()) / 2.0, sides / sides.max(), pixels, embedding)

    @property
    def corners(self) -> FloatArray:
        """Corners (4, 2) of the ink's bounding box in the frame."""
        ends = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        return np.asarray(self.half * ends, dtype=np.float64)

    @property
    def to_frame(self) -> FloatArray:
        """Homography (3, 3) from pixels of the mask to the frame."""
        zoom = 1.0 / self.radius
        x, y = -zoom * self.centre
        return np.array([[zoom, 0.0, x], [0.0, zoom, y], [0.0, 0.0, 1.0]])

    def view(self, side: int) -> Picture:
        """Ink (side, side) float32 in 0..1 as the frame shows it."""
        zoom = side / (2.0 * REACH * self.radius)
        ink, factors = self.mask, np.ones(2)
        if zoom < 1.0:
            height, width = self.mask.shape
            size = max(1, round(width * zoom)), max(1, round(height * zoom))
            ink = np.asarray(cv2.resize(self.mask, size, interpolation=cv2.INTER_AREA))
            factors = np.array(size) / (width, height)
        own = np.diag([*(1.0 / factors), 1.0])
        seen = warp(ink, frame_to_view(side) @ self.to_frame @ own, (side, side))
        return np.asarray(seen, dtype=np.float32) / np.float32(255.0)

    def scaled(self, side: int) -> tuple[Planes, FloatArray]:
        """Ink, grey and colourfulness of the imprint, its longer side about ``side`` pixels.

        It is never enlarged, and not made smaller where it is hardly larger.

        Returns:
            (h, w, 3) uint8, and the homography (3, 3) from its pixels to the frame.
        """
        zoom = side / (2.0 * self.radius)
        if side not in self._scaled:
            size = self.mask.shape[1::-1]
            if zoom < _HARDLY_LARGER:
                size = max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))
            self._scaled[side] = planes_of(*(_shrunk(part, size) for part in self._parts))
        planes = self._scaled[side]
        shrunk = np.array(planes.shape[1::-1]) / self.mask.shape[1::-1]
        return planes, self.to_frame @ np.diag([*(1.0 / shrunk), 1.0])

    @property
    def _parts(self) -> tuple[Ink, Pixels]:
        """The ink and its picture, which is rendered from the ink where there is none."""
        if self.pixels is not None:
            return self.mask, self.pixels
        return self.mask, np.repeat(np.uint8(255) - self.mask[..., None], 3, axis=2)

    @cached_property
    def _scaled(self) -> dict[int, Planes]:
        return {}

    @cached_property
    def features(self) -> LocalFeatures:
        """Its local features."""
        ink, pixels = self._parts
        return LocalFeatures.of(pixels, ink)

    @cached_property
    def middle(self) -> Picture:
        """The view of `MIDDLE`."""
        return self.view(MIDDLE)

    @cached_property
    def _strokes(self) -> Picture:
        return strokes_of(self.middle, 1.0, 4.0)

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """Transform of the log-polar magnitudes of the strokes' own transform.

        It does not change when the imprint is moved; turning and zooming it shifts the magnitudes
        (Reddy and Chatterji 1996, An FFT-based technique for image registration).
        """
        magnitudes = np.sqrt(np.abs(np.fft.fftshift(np.fft.fft2(self._strokes))))
        centre = (MIDDLE / 2.0, MIDDLE / 2.0)
        rings = cv2.warpPolar(
            magnitudes.astype(np.float32),
            (_RINGS, 2 * DIRECTIONS),
            centre,
            _SPECTRUM_REACH,
            cv2.WARP_POLAR_LOG | cv2.INTER_LINEAR,
        )
        varying = _varying(np.asarray(rings[:DIRECTIONS, _FIRST_RING:], dtype=np.float32))
        shape = (DIRECTIONS, 2 * varying.shape[1])
        return np.asarray(np.fft.rfft2(varying, shape), dtype=np.complex64)

    @cached_property
    def unwrapped(self) -> NDArray[np.complex64]:
        """Transform (F, R) along the turn of the strokes unwrapped about the origin."""
        return self._unwrapped(1.0, (0.0, 0.0))

    @cached_property
    def unwrapped_about(self) -> NDArray[np.complex64]:
        """The same (K, F, R) at each of `ZOOMS` and, for each, about several likely centres."""
        return np.stack([self._unwrapped(zoom, at) for zoom in ZOOMS for at in _CENTRES])

    def _unwrapped(self, zoom: float, at: tuple[float, float]) -> NDArray[np.complex64]:
        unit, middle = MIDDLE / (2.0 * REACH), MIDDLE / 2.0 - 0.5
        centre = (middle + unit * at[0], middle + unit * at[1])
        reach = unit * _UNWRAPPED_REACH * zoom
        rings = cv2.warpPolar(self._strokes, (_RADII, TURNS), centre, reach, cv2.INTER_LINEAR)
        varying = _varying(np.asarray(rings[:, _FIRST_RADIUS:], dtype=np.float32))
        return np.asarray(np.fft.rfft(varying, axis=0), dtype=np.complex64)

    @cached_property
    def coarse_strokes(self) -> Picture:
        """Strokes of the coarse view."""
        coarse = cv2.resize(self.middle, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        return strokes_of(np.asarray(coarse, dtype=np.float32), 0.8, 3.0)

    @cached_property
    def coarse_spectrum(self) -> NDArray[np.complex128]:
        """Transform of the coarse strokes with room to shift them."""
        return np.asarray(np.fft.rfft2(self.coarse_strokes, ROOM))

    @cached_property
    def _levels(self) -> dict[int, Level]:
        return {}

    def level(self, side: int) -> Level:
        """The view of a side, ready for alignment."""
        if side not in self._levels:
            ink = self.middle if side == MIDDLE else self.view(side)
            self._levels[side] = _level(ink)
        return self._levels[side]


ROOM = (3 * COARSE // 2, 3 * COARSE // 2)
"""Shape of the pictures in which coarse views are shifted against each other."""


@lru_cache(maxsize=8)
def frame_to_view(side: int) -> FloatArray:
    """Homography (3, 3) from the frame to the pixels of a view."""
    zoom = side / (2.0 * REACH)
    return np.array([[zoom, 0.0, side / 2.0], [0.0, zoom, side / 2.0], [0.0, 0.0, 1.0]])


def planes_of(ink: Ink, pixels: Pixels) -> Planes:
    """What a comparer sees of an imprint, whatever light it was taken in.

    Args:
        ink: (h, w) uint8, 255 where it is surely ink.
        pixels: (h, w, 3) uint8 RGB.

    Returns:
        (h, w, 3) uint8: the ink; the least of the three colours, white for the paper and black for
        the darkest; how far the largest of the three is above it, for coloured ink.
    """
    red, green, blue = cv2.split(pixels)
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    dark, light = np.percentile(least[::2, ::2], (2.0, 90.0))
    gain = 225.0 / max(float(light - dark), 32.0)
    grey = cv2.addWeighted(least, gain, least, 0.0, 10.0 - gain * float(dark))
    colourful = cv2.addWeighted(most, gain, least, -gain, 0.0)
    return np.asarray(cv2.merge([ink, grey, colourful]), dtype=np.uint8)


def _shrunk(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def blur(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur; sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)


def strokes_of(ink: Picture, fine: float, coarse: float) -> Picture:
    """Ink with its surroundings taken off: a difference of Gaussians (S, S)."""
    return blur(ink, fine) - blur(ink, coarse)


def _extent(amounts: NDArray[np.integer]) -> tuple[float, float]:
    """First and last column (or row), exclusive, of ink without what is astray."""
    sums = np.cumsum(amounts)
    stray = _STRAY * float(sums[-1])
    first = int(np.searchsorted(sums, stray, side="right"))
    last = int(np.searchsorted(sums, float(sums[-1]) - stray, side="left"))
    return float(first), float(last + 1)


def _varying(rings: Picture) -> Picture:
    """Rings (T, R) without what does not change round them, of unit length."""
    varying = rings - rings.mean(axis=0, keepdims=True)
    return np.asarray(varying / max(float(np.linalg.norm(varying)), 1e-6), dtype=np.float32)


def _level(ink: Picture) -> Level:
    side = len(ink)
    soft, density = blur(ink, 1.2), blur(ink, 4.0)
    band = soft - density
    energy = np.sqrt(blur(band * band, 5.0))
    strokes = band / (energy + 0.25 * float(energy.max()) + 1e-6)
    unit = side / (2.0 * REACH)
    across = cv2.Sobel(strokes, cv2.CV_32F, 1, 0, ksize=3, scale=unit / 8.0)
    down = cv2.Sobel(strokes, cv2.CV_32F, 0, 1, ksize=3, scale=unit / 8.0)
    chosen = np.flatnonzero(soft > 0.05 * float(soft.max()))
    if len(chosen) > _MOST_POINTS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_POINTS).astype(int)]
    row, column = np.divmod(chosen, side)
    x = ((column + 0.5) / unit - REACH).astype(np.float32)
    y = ((row + 0.5) / unit - REACH).astype(np.float32)
    gx, gy = across.ravel()[chosen], down.ravel()[chosen]
    along = -(gx * x + gy * y)
    slopes = np.stack([gx * x, gx * y, gx, gy * x, gy * y, gy, along * x, along * y], axis=1)
    return Level(
        np.asarray(strokes, dtype=np.float32),
        density,
        np.stack([x, y], axis=1),
        np.asarray(strokes.ravel()[chosen], dtype=np.float32),
        density.ravel()[chosen],
        np.asarray(slopes, dtype=np.float32),
    )
