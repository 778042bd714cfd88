"""Baselines of a stamp's texts, and their unwrapping to upright strips by resampling.

A line of text lies about a curve through the middle of its capitals: an arc of an ellipse or a
straight line. Points of the picture are ``(x, y)`` with pixel centres at halves; a place on a line
is ``(along, above)`` in the same pixels: the distance along the curve from where the text begins,
and the distance from the curve towards the tops of the letters.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import FloatArray, apply_homography
from platemark.imaging.image import Pixels
from platemark.imaging.warp import values_at

STRIP_HEIGHT = 32
"""Rows of a strip."""
CAPITAL = 17.0
"""Height of a capital letter in a strip, in pixels."""
MARGIN = 0.35
"""What a strip shows before and behind its text, in heights of a capital."""

_SAMPLES = 720
_SHARPNESS = 0.6
_REFINEMENTS = 12

PathName = Literal["ring", "straight"]


class Baseline(Protocol):
    """A curve through the middle of a text's capitals."""

    @property
    def path(self) -> PathName:
        """Whether the text runs round a ring or straight."""
        ...

    @property
    def length(self) -> float:
        """How long the text is (pixels)."""
        ...

    @property
    def capital(self) -> float:
        """Height of a capital letter (pixels)."""
        ...

    def points(self, along: ArrayLike, above: ArrayLike) -> FloatArray:
        """Points (..., 2) of places on the line."""
        ...

    def places(self, points: ArrayLike) -> FloatArray:
        """Places (..., 2) of points, the inverse of :meth:`points` near the curve."""
        ...


@dataclass(frozen=True, slots=True)
class StraightLine:
    """A straight text.

    Attributes:
        start: Point in the middle of the capitals' height where the text begins.
        angle: Clockwise turn of the reading direction from the x axis (degrees).
        length: How long the text is (pixels).
        capital: Height of a capital letter (pixels).
        slant: Shift of a letter's top to the right, in heights.
    """

    start: tuple[float, float]
    angle: float
    length: float
    capital: float
    slant: float = 0.0

    @property
    def path(self) -> PathName:
        """``straight``."""
        return "straight"

    def _axes(self) -> FloatArray:
        turn = np.radians(self.angle)
        along = np.array([np.cos(turn), np.sin(turn)])
        above = np.array([np.sin(turn), -np.cos(turn)]) + self.slant * along
        return np.stack([along, above])

    def points(self, along: ArrayLike, above: ArrayLike) -> FloatArray:
        """See :class:`Baseline`."""
        places = np.stack(np.broadcast_arrays(*map(np.asarray, (along, above))), axis=-1)
        return np.asarray(self.start + places.astype(np.float64) @ self._axes(), np.float64)

    def places(self, points: ArrayLike) -> FloatArray:
        """See :class:`Baseline`."""
        offsets = np.asarray(points, np.float64) - self.start
        return np.asarray(offsets @ np.linalg.inv(self._axes()), np.float64)


@dataclass(frozen=True, slots=True)
class RingLine:
    """A text round an ellipse.

    Attributes:
        centre: Of the ellipse.
        radii: Its half axes.
        tilt: Clockwise turn of its first half axis from the x axis (degrees).
        start: Where the text begins, clockwise from the first half axis, as the ellipse's own
            parameter (degrees).
        length: How long the text is along the ellipse (pixels).
        capital: Height of a capital letter (pixels).
        inward: Whether the tops of the letters point to the centre: such a text is read
            anticlockwise, others clockwise.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    start: float
    length: float
    capital: float
    inward: bool = False

    @property
    def path(self) -> PathName:
        """``ring``."""
        return "ring"

    @property
    def circumference(self) -> float:
        """Length of the whole ellipse (pixels)."""
        return float(self._arcs()[1][-1])

    def _arcs(self) -> tuple[FloatArray, FloatArray]:
        """Parameters (radians) of one turn from the start in reading direction, ways to each."""
        sign = -1.0 if self.inward else 1.0
        angles = np.radians(self.start) + sign * np.linspace(0.0, 2 * np.pi, _SAMPLES + 1)
        rx, ry = self.radii
        middle = (angles[1:] + angles[:-1]) / 2
        speed = np.hypot(rx * np.sin(middle), ry * np.cos(middle)) * (2 * np.pi / _SAMPLES)
        return angles, np.concatenate([[0.0], np.cumsum(speed)])

    def _turn(self) -> FloatArray:
        turn = np.radians(self.tilt)
        return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def points(self, along: ArrayLike, above: ArrayLike) -> FloatArray:
        """See :class:`Baseline`."""
        angles, ways = self._arcs()
        way = np.asarray(along, np.float64)
        turns = np.floor(way / ways[-1])
        angle = np.interp(way - turns * ways[-1], ways, angles) + turns * (angles[-1] - angles[0])
        rise = np.asarray(above, np.float64) * (-1.0 if self.inward else 1.0)
        rx, ry = self.radii
        normal = np.stack([ry * np.cos(angle), rx * np.sin(angle)], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        on_curve = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=-1)
        return np.asarray((on_curve + rise[..., None] * normal) @ self._turn() + self.centre)

    def places(self, points: ArrayLike) -> FloatArray:
        """See :class:`Baseline`; the way along is between 0 and the circumference."""
        local = (np.asarray(points, np.float64) - self.centre) @ self._turn().T
        rx, ry = self.radii
        angle = np.arctan2(local[..., 1] * rx, local[..., 0] * ry)
        for _ in range(_REFINEMENTS):  # Newton: the offset from the curve is along its normal
            sine, cosine = np.sin(angle), np.cos(angle)
            dx, dy = local[..., 0] - rx * cosine, local[..., 1] - ry * sine
            slope = -dx * rx * sine + dy * ry * cosine
            bend = -dx * rx * cosine - dy * ry * sine - (rx * sine) ** 2 - (ry * cosine) ** 2
            angle = angle - slope / np.where(np.abs(bend) < 1e-9, -1e-9, bend)
        normal = np.stack([ry * np.cos(angle), rx * np.sin(angle)], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        on_curve = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=-1)
        above = ((local - on_curve) * normal).sum(axis=-1) * (-1.0 if self.inward else 1.0)
        angles, ways = self._arcs()
        passed = (angle - angles[0]) * (-1.0 if self.inward else 1.0)
        passed = np.mod(passed, 2 * np.pi)
        along = np.interp(passed, np.abs(angles - angles[0]), ways)
        return np.stack([along, above], axis=-1)


@dataclass(frozen=True, slots=True)
class Strip:
    """A line of text, upright.

    Attributes:
        pixels: (H, W) uint8 grey, ink dark on light.
        line: Where it lies.
        to_line: (2, 3) affine from points of the strip to places on the line.
    """

    pixels: Pixels
    line: Baseline
    to_line: FloatArray

    def points(self, strip_points: ArrayLike) -> FloatArray:
        """Points (..., 2) of the picture for points of the strip."""
        places = np.asarray(strip_points, np.float64) @ self.to_line[:, :2].T + self.to_line[:, 2]
        return self.line.points(places[..., 0], places[..., 1])


def unwrap(
    picture: Pixels,
    line: Baseline,
    *,
    height: int = STRIP_HEIGHT,
    capital: float = CAPITAL,
    margin: float = MARGIN,
    stretch: float = 1.0,
    to_picture: FloatArray | None = None,
) -> Strip:
    """Resample a line of text to an upright strip.

    Args:
        picture: (h, w) uint8 grey.
        line: Where the text lies.
        height: Rows of the strip.
        capital: Height of a capital letter in the strip (pixels).
        margin: What is shown before and behind the text, in heights of a capital.
        stretch: Columns per pixel along, over rows per pixel above.
        to_picture: (3, 3) homography from the plane that the line lies in to the picture; None
            where it lies in the picture.
    """
    scale = capital / line.capital
    step = 1.0 / (scale * stretch)
    width = max(8, round((line.length + 2 * margin * line.capital) / step))
    to_line = np.array(
        [
            [step, 0.0, -margin * line.capital],
            [0.0, -1.0 / scale, height / 2 / scale],
        ]
    )
    along = (np.arange(width) + 0.5) * step + to_line[0, 2]
    above = to_line[1, 2] - (np.arange(height) + 0.5) / scale
    points = line.points(along[None, :], above[:, None])
    if to_picture is not None:
        points = apply_homography(to_picture, points)
    return Strip(sample(picture, points), line, to_line)


def sample(picture: Pixels, points: NDArray[np.floating]) -> Pixels:
    """Grey levels (H, W) at points (H, W, 2), bilinear, of the picture made no sharper than the
    points can tell."""
    pitch = float(np.median(np.linalg.norm(np.diff(points, axis=1), axis=-1)))
    if pitch > 1.0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), _SHARPNESS * pitch), np.uint8)
    return values_at(picture, points, fill=None)
