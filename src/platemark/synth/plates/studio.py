"""Plates in pictures with exact corners and text: crops for the reader, scenes for the detector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from platemark.geometry import apply_homography, box_to_quad, homography
from platemark.imaging.image import Image, Pixels
from platemark.plates.formats import PlateFormat, load_formats
from platemark.synth.camera.backgrounds import picture_files, random_window, surface
from platemark.synth.camera.scene import Camera, Pose, Quad, paste, tilted_quad, weather
from platemark.synth.plates.censor import censored
from platemark.synth.plates.lettering import write_text
from platemark.synth.plates.street import RealPhotos, car_body, look_alike, repaint, upright_quad
from platemark.synth.plates.texture import Texture, draw_plate
from platemark.synth.plates.typefaces import FontLibrary

# Share of the plates in scenes whose text is hidden.
_CENSORED = 0.07


@dataclass(frozen=True)
class PlateLabel:
    """The truth about one plate: box and corners in pixels, text, format code, number of rows,
    whether its text is hidden.

    For a real plate that was left as it is, only the box is known and the rest is None.
    """

    box: tuple[float, float, float, float]
    quad: Quad | None = None
    text: str | None = None
    region: str | None = None
    rows: int | None = None
    obscured: bool | None = None

    @classmethod
    def of(cls, texture: Texture, quad: Quad) -> Self:
        """The label of a texture laid on ``quad``."""
        (x0, y0), (x1, y1) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
        return cls(
            (x0, y0, x1, y1),
            quad,
            texture.text,
            texture.format_code,
            texture.rows,
            texture.obscured,
        )


class PlateStudio:
    """Everything needed to draw plates; one per process, as typefaces and photos are cached in it.

    Args:
        fonts: folder of fonts, or None for the bundled ones.
        backgrounds: folder of photos without plates, or None for plain surfaces only.
        formats: plate formats to draw; None for all packaged ones.
        over: manifest of real photos whose annotated plates are painted over in half of the scenes;
            its test split is never opened.

    Raises:
        DatasetError: There are no fonts, photos or train scenes where they were to be.
    """

    def __init__(
        self,
        fonts: Path | None = None,
        backgrounds: Path | None = None,
        formats: Sequence[PlateFormat] | None = None,
        over: Path | None = None,
    ) -> None:
        self.fonts = FontLibrary(fonts)
        self.formats = tuple(formats or load_formats().values())
        weights = np.array([plate_format.weight for plate_format in self.formats])
        self._shares = weights / weights.sum()
        self._photo_files = picture_files(backgrounds) if backgrounds else []
        self._photos: dict[Path, Pixels] = {}
        self._real = RealPhotos(over) if over else None

    def texture(self, rng: np.random.Generator) -> Texture:
        """A flat plate of a random format, worn by weather."""
        plate_format = self.formats[int(rng.choice(len(self.formats), p=self._shares))]
        texture = draw_plate(plate_format.sample(rng), self.fonts, rng)
        return replace(texture, pixels=weather(texture.pixels, rng))

    def _texture_of_scene(self, rng: np.random.Generator) -> Texture:
        """As :meth:`texture`, its text hidden at times: it is a plate all the same."""
        texture = self.texture(rng)
        return censored(texture, self.fonts, rng) if rng.random() < _CENSORED else texture

    def backdrop(self, height: int, width: int, rng: np.random.Generator) -> Pixels:
        """Part of a photo, or a plain painted surface, (H, W, 3) uint8."""
        if self._photo_files and rng.random() < 0.5:
            return self._photo_window(height, width, rng)
        return surface(height, width, rng)

    def crop(self, rng: np.random.Generator) -> tuple[Pixels, PlateLabel]:
        """A plate close up, as small in pixels as cameras give it, with some surroundings."""
        texture = self.texture(rng)
        rows = 1.0 if texture.rows == 1 else 1.6
        plate_height = float(np.exp(rng.uniform(np.log(9.5), np.log(52)))) * rows
        aspect = texture.pixels.shape[1] / texture.pixels.shape[0]
        quad = tilted_quad(plate_height * aspect, aspect, rng, Pose())
        room = 0.22 * plate_height + 3
        quad = quad - quad.min(axis=0) + room + rng.random(2)
        width, height = np.ceil(quad.max(axis=0) + room).astype(int)
        canvas = self.backdrop(int(height), int(width), rng)
        mount(canvas, texture, quad, rng, self.fonts)
        picture = Camera.draw(rng, plate_height / rows).shoot(canvas, rng)
        return picture, PlateLabel.of(texture, quad)

    def scene(self, rng: np.random.Generator) -> tuple[Pixels, list[PlateLabel]]:
        """A whole picture about 640 px long with any number of plates and things like them."""
        if self._real is not None and rng.random() < 0.5:
            canvas, labels = self._repainted(rng)
        else:
            canvas, labels = self._composed(rng)
        smallest = min((label.box[3] - label.box[1] for label in labels), default=20.0)
        return Camera.draw(rng, smallest).shoot(canvas, rng), labels

    def _repainted(self, rng: np.random.Generator) -> tuple[Pixels, list[PlateLabel]]:
        assert self._real is not None, "called only with photos to paint over"
        canvas, plates = self._real.load(int(rng.integers(len(self._real))))
        labels = []
        for plate in plates:
            x0, y0, x1, y1 = plate.box.tolist()
            texture = self._texture_like((x1 - x0) / (y1 - y0), rng)
            quad = plate.quad if plate.quad is not None else upright_quad(plate.box, texture)
            if quad is None or rng.random() < 0.1:
                labels.append(PlateLabel((x0, y0, x1, y1)))
                continue
            repaint(canvas, texture, quad, rng)
            labels.append(PlateLabel.of(texture, quad))
        return canvas, labels

    def _texture_like(self, aspect: float, rng: np.random.Generator, tries: int = 4) -> Texture:
        """Of a few plates the one whose shape is nearest to the wanted aspect."""
        textures = [self._texture_of_scene(rng) for _ in range(tries)]
        return min(
            textures, key=lambda t: abs(np.log(t.pixels.shape[1] / t.pixels.shape[0] / aspect))
        )

    def _composed(self, rng: np.random.Generator) -> tuple[Pixels, list[PlateLabel]]:
        width = int(rng.integers(512, 700))
        height = int(width * rng.uniform(0.6, 1.0))
        plain = not self._photo_files or rng.random() < 0.12
        canvas = surface(height, width, rng) if plain else self._photo_window(height, width, rng)
        for _ in range(int(rng.poisson(1.5))):
            look_alike(canvas, self.fonts, rng)
        labels: list[PlateLabel] = []
        for _ in range(int(rng.choice(5, p=[0.14, 0.46, 0.2, 0.12, 0.08]))):
            texture = self._texture_of_scene(rng)
            aspect = texture.pixels.shape[1] / texture.pixels.shape[0]
            plate_width = float(np.exp(rng.uniform(np.log(18), np.log(0.6 * width)))) * min(
                1.0, aspect / 3
            )
            quad = tilted_quad(plate_width, aspect, rng)
            reach = (quad.max(axis=0) - quad.min(axis=0)) / 2 + 2
            if (2 * reach > [width, height]).any():
                continue
            quad = quad + rng.uniform(reach, np.array([width, height]) - reach)
            if any(_touch(quad, label.box) for label in labels):
                continue
            if rng.random() < 0.5 and not labels:
                car_body(canvas, quad.mean(axis=0), plate_width, rng)
            mount(canvas, texture, quad, rng, self.fonts)
            labels.append(PlateLabel.of(texture, quad))
        return canvas, labels

    def _photo_window(self, height: int, width: int, rng: np.random.Generator) -> Pixels:
        photo = self._photo(self._photo_files[int(rng.integers(len(self._photo_files)))])
        return random_window(photo, height, width, rng)

    def _photo(self, path: Path) -> Pixels:
        if path not in self._photos:
            self._photos[path] = Image.read(path).pixels
        return self._photos[path]


def mount(
    canvas: Pixels, texture: Texture, quad: Quad, rng: np.random.Generator, fonts: FontLibrary
) -> None:
    """Put the plate on the canvas: sometimes in a dealer's frame, or with a cast shadow."""
    if rng.random() < 0.45:
        frame, frame_quad = dealer_frame(texture, quad, rng, fonts)
        paste(canvas, frame, np.full(frame.shape[:2], 255, np.uint8), frame_quad)
    elif rng.random() < 0.4:
        drop = rng.uniform(0.0, 0.05, 2) * np.linalg.norm(quad[3] - quad[0])
        shadow = np.zeros((8, 8, 3), np.uint8)
        paste(canvas, shadow, np.full((8, 8), int(rng.integers(60, 200)), np.uint8), quad + drop)
    paste(canvas, texture.pixels, texture.alpha, quad)
    if rng.random() < 0.06:
        _cover_corner(canvas, quad, rng)


def dealer_frame(
    texture: Texture, quad: Quad, rng: np.random.Generator, fonts: FontLibrary
) -> tuple[Pixels, Quad]:
    """A plate holder: flat picture and its corners.

    Its lower bar may carry a dealer's name, which is not plate text.
    """
    height, width = 100, max(60, round(100 * texture.pixels.shape[1] / texture.pixels.shape[0]))
    side, top = float(rng.uniform(0.01, 0.08)), float(rng.uniform(0.01, 0.1))
    bottom = float(rng.uniform(0.02, 0.28))
    pad_x, pad_top, pad_bottom = round(side * height), round(top * height), round(bottom * height)
    shade = float(rng.choice([rng.uniform(5, 60), rng.uniform(120, 235)]))
    frame = np.full((height + pad_top + pad_bottom, width + 2 * pad_x, 3), shade, np.uint8)
    if bottom > 0.12:
        letters = list("ABCDEFGHIKLMNOPRSTUVWXYZ.-0123456789")
        name = "".join(rng.choice(letters, int(rng.integers(5, 18))))
        ink = (20, 20, 20) if shade > 110 else (225, 225, 225)
        line = height + pad_top + pad_bottom * 0.5
        write_text(
            frame, name, fonts, rng, frame.shape[1] / 2, line, 0.55 * pad_bottom, ink, 0.8 * width
        )
    inner = box_to_quad((pad_x, pad_top, pad_x + width, pad_top + height))
    corners = box_to_quad((0, 0, frame.shape[1], frame.shape[0]))
    return frame, apply_homography(homography(inner, quad), corners)


def _cover_corner(canvas: Pixels, quad: Quad, rng: np.random.Generator) -> None:
    """Something in front of the plate's edge: a tow ball, a bumper lip, a branch."""
    start = quad[int(rng.integers(4))]
    reach = 0.12 * float(np.linalg.norm(quad[3] - quad[0]))
    shade = rng.integers(0, 200, 1).repeat(3).tolist()
    centre = (start + rng.normal(0, reach / 2, 2)).round().astype(int).tolist()
    cv2.circle(canvas, centre, max(1, round(reach)), shade, -1, cv2.LINE_AA)


def _touch(quad: Quad, box: tuple[float, float, float, float]) -> bool:
    """Whether a quad comes near a box."""
    low, high = quad.min(axis=0), quad.max(axis=0)
    room = 0.6 * (high - low)
    return bool((low - room < box[2:]).all() and (high + room > box[:2]).all())
