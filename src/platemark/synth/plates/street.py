"""What stands in scenes beside plates: real photos to paint over, car bodies, decoys."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import Manifest
from platemark.errors import DatasetError
from platemark.imaging.image import Image, Pixels
from platemark.synth.camera.scene import Quad, paste, tilted_quad
from platemark.synth.plates.lettering import write_text
from platemark.synth.plates.texture import Texture
from platemark.synth.plates.typefaces import FontLibrary

_SIGNS = """
sale taxi bank hotel parking open cafe pizza pharmacy service auto market school bakery garage
rent cars school bus police delivery express water gas station center club music books turbo
diesel quattro hybrid sport gti limited super extra premium no entry stop exit danger private
property customers only max height reserved call now
"""
_WORDS = _SIGNS.split()


@dataclass(frozen=True)
class RealPlate:
    """An annotated plate in a real photo: its box, and its corners where they are known."""

    box: NDArray[np.float64]
    quad: Quad | None


class RealPhotos:
    """The train photos of a manifest, to paint over.

    Args:
        manifest: annotated photos; its test split is never opened.
        long_side: photos are shrunk to this on loading.

    Raises:
        DatasetError: The manifest cannot be read, or has no scenes in its train split.
    """

    def __init__(self, manifest: Path, long_side: int = 800) -> None:
        self._manifest = Manifest.read(manifest, split="train", kind="scene")
        if not len(self._manifest):
            raise DatasetError("its train split has no scenes to paint over", file=manifest)
        self._long_side = long_side

    def __len__(self) -> int:
        return len(self._manifest)

    def load(self, index: int) -> tuple[Pixels, list[RealPlate]]:
        """Photo ``index`` as (H, W, 3) uint8 RGB and its plates in its pixels.

        Raises:
            DatasetError: The photo cannot be read.
        """
        entry = self._manifest.entries[index]
        pixels = Image.read(self._manifest.path(entry)).pixels.copy()  # it is painted on
        scale = min(1.0, self._long_side / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        if scale < 1:
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        ratio = np.array([size[0] / entry.width, size[1] / entry.height])
        plates = [
            RealPlate(
                np.array(plate.box) * np.tile(ratio, 2),
                plate.corners * ratio if plate.quad is not None else None,
            )
            for plate in entry.plates
        ]
        return pixels, plates


def upright_quad(box: NDArray[np.float64], texture: Texture) -> Quad | None:
    """The box as a quad for the texture, or None where it is so high that its plate must be turned.

    Which way it is turned cannot be told from a box, and a new plate laid the wrong way leaves
    parts of the old one.
    """
    x0, y0, x1, y1 = box
    aspect = texture.pixels.shape[1] / texture.pixels.shape[0]
    if (x1 - x0) / max(y1 - y0, 1e-6) < 0.82 * aspect:
        return None
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def repaint(photo: Pixels, texture: Texture, quad: Quad, rng: np.random.Generator) -> None:
    """Lay a plate over the one at ``quad``, matched in light, colour and sharpness; in place."""
    low = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 4, 0)
    high = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 4, photo.shape[1::-1])
    if (high - low < 6).any():
        return
    region = photo[low[1] : high[1], low[0] : high[0]]
    before = region.copy()
    after = region.copy()
    paste(after, _match_light(texture.pixels, before, rng), texture.alpha, quad - low)
    cover: NDArray[np.float32] = np.zeros(region.shape[:2], np.float32)
    cv2.fillConvexPoly(cover, (quad - low).round().astype(np.int32), 1.0)
    blur = _matching_blur(after, before)
    if blur > 0:
        after = np.asarray(cv2.GaussianBlur(after, (0, 0), blur), np.uint8)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(blur, 0.5)), np.float32)
    mixed = before + (after.astype(np.float32) - before) * np.clip(cover * 1.3, 0, 1)[..., None]
    mixed += rng.normal(0, rng.uniform(0, 3), mixed.shape)
    region[:] = np.clip(mixed, 0, 255).astype(np.uint8)


def _match_light(plate: Pixels, original: Pixels, rng: np.random.Generator) -> Pixels:
    """Stretches the plate's dark and light tones onto those of the original, channel by channel."""
    dark, light = np.percentile(original.reshape(-1, 3), [8, 92], axis=0)
    ink, ground = np.percentile(plate.mean(axis=2), [5, 90])
    unit = (plate.astype(np.float32) - ink) / max(ground - ink, 40.0)
    contrast = float(rng.uniform(0.85, 1.15))
    toned = dark + unit * np.maximum(light - dark, 25) * contrast
    return np.asarray(np.clip(toned, 0, 255), np.uint8)


def _matching_blur(after: Pixels, before: Pixels) -> float:
    """The Gaussian blur at which the new plate is no sharper than the old one was."""
    wanted = _sharpness(before)
    for sigma in (0.0, 0.4, 0.6, 0.8, 1.1, 1.5, 2.0):
        softened = cv2.GaussianBlur(after, (0, 0), sigma) if sigma else after
        if _sharpness(np.asarray(softened, np.uint8)) <= 1.25 * wanted:
            return sigma
    return 2.5


def _sharpness(pixels: Pixels) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / (grey.var() + 20))


def car_body(
    canvas: Pixels, centre: NDArray[np.float64], width: float, rng: np.random.Generator
) -> None:
    """Draw a bumper or boot lid around a plate: panels, a grille, a recess, lamps; in place."""
    height, span = canvas.shape[0], float(rng.uniform(2.2, 4.5)) * width
    shade = np.full(3, rng.uniform(10, 240))
    if rng.random() < 0.5:
        shade += (rng.uniform(0, 255, 3) - shade) * rng.uniform(0.1, 0.8)
    top = centre[1] - float(rng.uniform(0.3, 1.0)) * width
    bottom = centre[1] + float(rng.uniform(0.2, 0.7)) * width
    x0, x1 = (
        centre[0] - span * float(rng.uniform(0.35, 0.65)),
        centre[0] + span * float(rng.uniform(0.35, 0.65)),
    )
    layer = canvas.copy()
    cv2.rectangle(layer, _point(x0, top), _point(x1, bottom), shade.tolist(), -1)
    for _ in range(int(rng.integers(1, 6))):
        y = float(rng.uniform(top, min(bottom, height)))
        line = np.clip(shade * rng.uniform(0.3, 1.5), 0, 255).tolist()
        cv2.line(
            layer,
            _point(x0, y),
            _point(x1, y + rng.normal(0, 3)),
            line,
            int(rng.integers(1, max(2, int(width // 12)))),
            cv2.LINE_AA,
        )
    if rng.random() < 0.6:
        recess = np.clip(shade * rng.uniform(0.2, 0.9), 0, 255).tolist()
        half = np.array([0.5 * width * rng.uniform(1.05, 1.7), 0.2 * width * rng.uniform(0.8, 1.6)])
        cv2.rectangle(layer, _point(*(centre - half)), _point(*(centre + half)), recess, -1)
    for side in (x0, x1):
        if rng.random() < 0.6:
            lamp = rng.choice(np.array([[170, 20, 20], [230, 225, 210], [220, 120, 30]])).tolist()
            axes = (max(2, round(0.25 * width)), max(2, round(0.12 * width)))
            cv2.ellipse(
                layer, _point(side, top + 0.3 * width), axes, 0, 0, 360, lamp, -1, cv2.LINE_AA
            )
    softened = cv2.GaussianBlur(layer, (0, 0), max(0.6, 0.01 * width))
    canvas[:] = softened if rng.random() < 0.3 else np.where(layer == canvas, canvas, softened)


def _point(x: float, y: float) -> tuple[int, int]:
    return round(float(x)), round(float(y))


def look_alike(canvas: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> None:
    """Draw what a careless detector takes for a plate: a badge, sign, shop name, number or grid."""
    height, width = canvas.shape[:2]
    size = float(np.exp(rng.uniform(np.log(24), np.log(0.45 * width))))
    kind = str(rng.choice(["sign", "words", "phone", "grid", "badge", "panel", "light"]))
    aspect = float(rng.uniform(1.2, 9.0))
    pixels = np.full((64, max(32, round(64 * aspect)), 3), rng.integers(0, 255, 3), np.uint8)
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    ink_value = 20 if pixels.mean() > 120 else 235
    ink = (ink_value, ink_value, ink_value)
    if rng.random() < 0.3:
        ink = tuple(int(c) for c in rng.integers(0, 255, 3))  # type: ignore[assignment]
    if kind in ("words", "badge"):
        alpha[:] = 0
    if kind == "grid":
        step = int(rng.integers(6, 16))
        pixels[:, ::step] = ink_value
        pixels[::step] = ink_value
    elif kind == "light":
        cv2.circle(pixels, (pixels.shape[1] // 2, 32), 28, (255, 250, 235), -1, cv2.LINE_AA)
    elif kind != "panel":
        _letter(
            pixels,
            _sign_text(kind, rng),
            fonts,
            rng,
            ink,
            alpha if kind in ("words", "badge") else None,
        )
    quad = tilted_quad(size, pixels.shape[1] / 64, rng) + rng.random(2) * [width, height]
    paste(canvas, pixels, alpha, quad)


def _sign_text(kind: str, rng: np.random.Generator) -> str:
    if kind == "phone":
        digits = "".join(str(d) for d in rng.integers(0, 10, 10))
        return str(
            rng.choice(
                [
                    f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
                    f"+{digits}",
                    f"{digits[:3]} {digits[3:]}",
                ]
            )
        )
    words = " ".join(rng.choice(_WORDS, int(rng.integers(1, 4))))
    return words.upper() if rng.random() < 0.4 else words.title() if rng.random() < 0.5 else words


def _letter(
    pixels: Pixels,
    text: str,
    fonts: FontLibrary,
    rng: np.random.Generator,
    ink: tuple[int, int, int],
    alpha: Pixels | None,
) -> None:
    lines = 1 if rng.random() < 0.7 else 2
    size = float(rng.uniform(0.35, 0.75)) * 64 / lines
    for line in range(lines):
        y = 64 * (line + 0.5) / lines
        write_text(
            pixels, text, fonts, rng, pixels.shape[1] / 2, y, size, ink, 0.92 * pixels.shape[1]
        )
        if alpha is not None:
            stencil = np.zeros_like(pixels)
            write_text(
                stencil,
                text,
                fonts,
                rng,
                pixels.shape[1] / 2,
                y,
                size,
                (255, 255, 255),
                0.92 * pixels.shape[1],
            )
            np.maximum(alpha, stencil[..., 0], out=alpha)
