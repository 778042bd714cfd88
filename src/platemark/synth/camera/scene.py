"""What road and camera do to a flat mark: dirt, light, perspective, optics, sensor, compression.

All images are (H, W, 3) uint8 RGB. Quads are (4, 2) float pixels, clockwise from the mark's own
top-left, in the continuous frame where pixel (column j, row i) covers [j, j+1) x [i, i+1).
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import box_to_quad, homography
from platemark.imaging.image import Pixels, compressed
from platemark.imaging.warp import warp
from platemark.synth.camera.backgrounds import smooth_noise

Quad = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """How far a plate turns from the camera: standard deviations of normal draws, in degrees."""

    yaw: float = 22.0
    pitch: float = 9.0
    roll: float = 4.5


def tilted_quad(
    width: float, aspect: float, rng: np.random.Generator, pose: Pose | None = None
) -> Quad:
    """Corners of a plate seen by a pinhole camera after a random rotation, centred on the origin.

    Args:
        width: width of the plate in pixels as if seen head-on.
        aspect: width / height of the plate.
        rng: source of the pose.
        pose: spread of the rotation.

    Returns:
        (4, 2) float64 corners.
    """
    pose = pose or Pose()
    yaw, pitch, roll = np.radians(
        np.clip(rng.normal(0, [pose.yaw, pose.pitch, pose.roll]), [-58, -32, -25], [58, 32, 25])
    )
    half = np.array([[-1, -1 / aspect], [1, -1 / aspect], [1, 1 / aspect], [-1, 1 / aspect]]) / 2
    points = np.column_stack([half, np.zeros(4)])
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    turn_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    turned = points @ (turn_z @ turn_x @ turn_y).T
    distance = float(rng.uniform(2.5, 12.0))
    projected = turned[:, :2] * (distance / (distance + turned[:, 2:3]))
    return np.asarray((projected - projected.mean(axis=0)) * width)


def weather(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Wear and light on the plate: embossed edges, fading, dirt, scratches, shadows, glare."""
    out = pixels.astype(np.float32)
    height, width = out.shape[:2]
    if rng.random() < 0.5:
        out = _emboss(out, rng)
    if rng.random() < 0.25:
        grey = out.mean(axis=(0, 1), keepdims=True)
        out += (grey - out) * float(rng.uniform(0.1, 0.65))
    if rng.random() < 0.4:
        noise = smooth_noise(height, width, int(rng.integers(3, 25)), rng)
        threshold = float(rng.uniform(0.4, 0.8))
        cover = np.clip((noise - threshold) * 4, 0, 1)[..., None] * float(rng.uniform(0.15, 0.75))
        mud = np.float32(rng.uniform(50, 170)) * np.array(
            [1.05, 1.0, rng.uniform(0.75, 1.0)], np.float32
        )
        out += (mud - out) * cover
    if rng.random() < 0.12:
        _scratch(out, rng)
    if rng.random() < 0.3:
        out *= _shadow(height, width, rng)[..., None]
    if rng.random() < 0.15:
        out += _glare(height, width, rng)[..., None]
    return np.clip(out, 0, 255).astype(np.uint8)


def _emboss(out: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    grey = out.mean(axis=2)
    dx, dy = int(rng.choice([-2, -1, 1, 2])), int(rng.choice([-2, -1, 1, 2]))
    relief = grey - np.roll(grey, (dy, dx), (0, 1))
    raised = cv2.GaussianBlur(relief, (0, 0), 1.0)[..., None]
    return np.asarray(out + raised * float(rng.uniform(0.1, 0.6)), np.float32)


def _scratch(out: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = out.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        ends = rng.random((2, 2)) * [width, height]
        shade = float(rng.uniform(30, 230))
        start, stop = ends.round().astype(int).tolist()
        cv2.line(out, start, stop, (shade,) * 3, int(rng.integers(1, 3)), cv2.LINE_AA)


def _shadow(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Multiplier with a straight or wavy edge between light and shade."""
    angle = float(rng.uniform(0, 2 * np.pi))
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    side = (xs - rng.uniform(0, width)) * np.cos(angle) + (ys - rng.uniform(0, height)) * np.sin(
        angle
    )
    side += (smooth_noise(height, width, 8, rng) - 0.5) * height * float(rng.uniform(0, 0.6))
    softness = float(rng.uniform(0.01, 0.15)) * height
    lit = 1 / (1 + np.exp(np.clip(-side / softness, -30, 30)))
    return np.asarray(1 - lit * float(rng.uniform(0.2, 0.65)), np.float32)


def _glare(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = float(rng.uniform(0.2, 0.9)) * height
    distance = (xs - rng.uniform(0, width)) ** 2 + (ys - rng.uniform(0, height)) ** 2
    return np.asarray(np.exp(-distance / (2 * radius**2)) * float(rng.uniform(40, 180)), np.float32)


def paste(canvas: Pixels, pixels: Pixels, alpha: Pixels, quad: Quad) -> None:
    """Lay a flat picture on the canvas in place, its corners on ``quad``, clipped at the edges.

    The source is shrunk with area averaging first where the quad is much smaller, so that fine
    print does not alias.

    Args:
        canvas: (H, W, 3) uint8, written to.
        pixels: (h, w, 3) uint8.
        alpha: (h, w) uint8 cover, 255 where the picture hides the canvas.
        quad: corners on the canvas.
    """
    shrink = _mean_side(quad) / ((pixels.shape[0] + pixels.shape[1]) / 2)
    if shrink < 0.75:
        size = (
            max(4, round(pixels.shape[1] * shrink * 1.2)),
            max(4, round(pixels.shape[0] * shrink * 1.2)),
        )
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    x0, y0 = np.floor(quad.min(axis=0)).astype(int) - 1
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int) + 1
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x1, canvas.shape[1]), min(y1, canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    corners = box_to_quad((0.0, 0.0, pixels.shape[1], pixels.shape[0]))
    matrix, size = homography(corners, quad - [x0, y0]), (int(x1 - x0), int(y1 - y0))
    warped = warp(pixels, matrix, size, fill=None)
    cover = warp(alpha, matrix, size)[..., None].astype(np.float32) / 255
    patch = canvas[y0:y1, x0:x1]
    patch[:] = (patch + (warped.astype(np.float32) - patch) * cover + 0.5).astype(np.uint8)


def _mean_side(quad: Quad) -> float:
    sides = np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1)
    return float(sides.mean())


@dataclass(frozen=True)
class Camera:
    """One camera and moment: everything after the light has left the scene.

    Attributes:
        gain: exposure multiplier.
        contrast: multiplier about mid-grey.
        balance: (3,) white-balance multipliers for R, G, B.
        blur: standard deviation of the optical blur, pixels.
        motion: length of the motion blur, pixels.
        motion_angle: its direction, radians.
        noise: standard deviation of the sensor noise, grey levels.
        jpeg: JPEG quality, or None for no compression.
        halo: overshoot of in-camera sharpening, 0 for none.
    """

    gain: float
    contrast: float
    balance: tuple[float, float, float]
    blur: float
    motion: float
    motion_angle: float
    noise: float
    jpeg: int | None
    halo: float

    @classmethod
    def draw(cls, rng: np.random.Generator, plate_height: float) -> Self:
        """A random camera whose blur keeps a plate of ``plate_height`` pixels mostly legible."""
        dark = rng.random() < 0.12
        tint = 0.06 if rng.random() < 0.85 else 0.2
        balance = np.exp(rng.normal(0, tint, 3))
        legible = 0.03 * plate_height
        return cls(
            gain=float(rng.uniform(0.25, 0.6) if dark else np.exp(rng.normal(0, 0.28))),
            contrast=float(rng.uniform(0.45, 1.3)),
            balance=(float(balance[0]), float(balance[1]), float(balance[2])),
            blur=float(
                rng.exponential(0.4)
                if rng.random() < 0.65
                else rng.uniform(0.3, 1.4) * max(legible, 0.4)
            ),
            motion=float(rng.uniform(1, 4.5) * max(legible, 0.5)) if rng.random() < 0.15 else 0.0,
            motion_angle=float(rng.normal(0, 0.6)),
            noise=float(rng.exponential(4.0) * (1.6 if dark else 1.0)),
            jpeg=int(rng.integers(25, 96)) if rng.random() < 0.8 else None,
            halo=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.25 else 0.0,
        )

    def shoot(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """The picture this camera takes of a scene."""
        out: NDArray[np.float32] = image.astype(np.float32)
        if self.blur > 0.2:
            out = _floats(cv2.GaussianBlur(out, (0, 0), self.blur))
        if self.motion > 1:
            kernel = _motion_kernel(self.motion, self.motion_angle)
            out = _floats(cv2.filter2D(out, -1, kernel))
        out = (out - 128) * self.contrast + 128
        out = out * (self.gain * np.array(self.balance, np.float32))
        if self.noise > 0.5:
            out += rng.normal(0, self.noise, out.shape).astype(np.float32)
        if self.halo:
            out += (out - cv2.GaussianBlur(out, (0, 0), 1.2)) * self.halo
        pixels = np.clip(out, 0, 255).astype(np.uint8)
        return compressed(pixels, self.jpeg) if self.jpeg else pixels


def _floats(pixels: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(pixels, np.float32)


def _motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle = size / 2 - 0.5
    dx, dy = np.cos(angle) * (length - 1) / 2, np.sin(angle) * (length - 1) / 2
    start = (round(middle - dx), round(middle - dy))
    stop = (round(middle + dx), round(middle + dy))
    cv2.line(kernel, start, stop, 1.0, 1, cv2.LINE_AA)
    return kernel / max(float(kernel.sum()), 1e-6)
