"""The failures of an evaluation as pictures, with a contact page to browse them."""

import csv
import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import ArrayLike

from platemark.evaluate import (
    ImageOutcome,
    Imprint,
    Outcome,
    PageOutcome,
    PlateOutcome,
    StampEvaluation,
    StampOutcome,
)
from platemark.evaluate.retrieval import Miss
from platemark.geometry import box_to_quad
from platemark.imaging.image import Image, Pixels
from platemark.imaging.warp import rectify
from platemark.types import Box, StampMark
from platemark.usecases.export import PictureNames

TRUTH, FOUND = (0, 170, 60), (225, 30, 30)
_PHOTO_SIDE, _LINE, _GAP = 960, 22, 12
_PLATE_SIZE, _STAMP_SIZE = (320, 110), (480, 200)
_MOST_PANELS = 12
"""Marks shown beside one photo; the index lists the others too."""
_STAMP_MARGIN = 0.15
"""What is shown around a stamp, as a fraction of its size."""


@dataclass(frozen=True)
class FailureRow:
    """One failure, as the index lists it.

    Attributes:
        source: Path of the image.
        problem: ``error``, ``missed``, ``misread``, ``false``, ``mask`` or ``neighbour``.
        truth: Annotated text or identity, empty where there is none.
        reading: What was answered instead, empty where there is nothing.
        score: Score or similarity of the answer, None without one.
        picture: File name of the picture, empty for an image that could not be opened.
    """

    source: str
    problem: str
    truth: str = ""
    reading: str = ""
    score: float | None = None
    picture: str = ""


@dataclass(frozen=True)
class Fault:
    """One failure within an image.

    Attributes:
        problem: See `FailureRow`.
        truth: See `FailureRow`.
        reading: See `FailureRow`.
        score: See `FailureRow`.
        caption: Lines written beneath its picture.
        cut: Makes its picture from the image.
    """

    problem: str
    truth: str
    reading: str
    score: float | None
    caption: Sequence[str]
    cut: Callable[[Image], Pixels]


@dataclass(frozen=True)
class FailureSheet:
    """The failures of one image.

    Attributes:
        outcome: What became of the image.
        truth: Corners (4, 2) of every annotated mark.
        faults: The failures, empty for an image that could not be opened.
        panel_size: Width and height of the picture of each.
    """

    outcome: Outcome
    truth: Sequence[ArrayLike]
    faults: Sequence[Fault]
    panel_size: tuple[int, int]

    def rows(self, picture: str) -> list[FailureRow]:
        """The lines of the index."""
        source, error = str(self.outcome.path), self.outcome.result.error
        if error is not None:
            return [FailureRow(source, "error", reading=error.message)]
        return [
            FailureRow(source, f.problem, f.truth, f.reading, f.score, picture) for f in self.faults
        ]

    def picture(self) -> PIL.Image.Image:
        """Draw the image with truth and marks, and beside it each mark that failed."""
        image = Image.read(self.outcome.path)
        scale = min(1.0, _PHOTO_SIDE / max(image.width, image.height))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        photo = PIL.Image.fromarray(image.pixels).resize(size)
        draw = PIL.ImageDraw.Draw(photo)
        for corners in self.truth:
            _outline(draw, np.asarray(corners) * scale, TRUTH, width=5)
        for mark in self.outcome.result.marks:
            _outline(draw, np.array(mark.quad) * scale, FOUND, width=2)
        shown = self.faults[:_MOST_PANELS]
        panels = [_panel(fault.cut(image), fault.caption, self.panel_size) for fault in shown]
        height = max(photo.height, sum(panel.height for panel in panels))
        sheet = PIL.Image.new("RGB", (photo.width + self.panel_size[0] + _GAP, height), "white")
        sheet.paste(photo, (0, 0))
        top = 0
        for panel in panels:
            sheet.paste(panel, (photo.width + _GAP, top))
            top += panel.height
        return sheet


def write_failures(sheets: Iterable[FailureSheet], folder: Path) -> int:
    """Write a picture for every image with a failure, and ``index.html`` and ``index.csv``.

    In the pictures the truth is green and what was found is red.

    Args:
        sheets: Images with failures.
        folder: Where to write; it exists.

    Returns:
        The number of images with a failure.
    """
    names = PictureNames()
    rows: list[FailureRow] = []
    images = 0
    for sheet in sheets:
        images += 1
        picture = ""
        if sheet.outcome.result.error is None:
            picture = names.stem(str(sheet.outcome.path), 0) + ".jpg"
            sheet.picture().save(folder / picture, quality=90)
        rows.extend(sheet.rows(picture))
    _write_csv(rows, folder / "index.csv")
    (folder / "index.html").write_text(_page(rows), encoding="utf-8")
    return images


def plate_failures(outcomes: Iterable[ImageOutcome]) -> Iterator[FailureSheet]:
    """The failures of the photos that have any: plates missed, misread or not there."""
    for outcome in outcomes:
        if outcome.failed:
            truth = [plate.truth.corners for plate in outcome.plates]
            yield FailureSheet(outcome, truth, _plate_faults(outcome), _PLATE_SIZE)


def stamp_failures(evaluation: StampEvaluation) -> Iterator[FailureSheet]:
    """The failures of the pages and crops that have any.

    Stamps missed or not there; ink segmented badly; imprints, cropped by their annotated boxes,
    whose nearest neighbour is of another stamp.
    """
    misses: dict[Path, list[Miss]] = {}
    for miss in evaluation.retrieval["annotated"].misses():
        misses.setdefault(miss.query.path, []).append(miss)
    for outcome in evaluation.outcomes:
        wrong = misses.get(outcome.path, [])
        if outcome.failed or wrong:
            truth = [stamp.truth.corners for stamp in outcome.stamps]
            yield FailureSheet(outcome, truth, _stamp_faults(outcome, wrong), _STAMP_SIZE)


def _plate_faults(outcome: ImageOutcome) -> list[Fault]:
    faults = [fault for plate in outcome.plates if (fault := _plate_fault(plate))]
    for mark in outcome.false_marks:
        text, caption = mark.text or "", f"false plate {mark.score:.2f}"
        lines = [caption, f"read: {mark.text or '-'}"]
        faults.append(Fault("false", "", text, mark.score, lines, _upright(mark.quad)))
    return faults


def _plate_fault(plate: PlateOutcome) -> Fault | None:
    if plate.mark is not None and plate.right:
        return None
    problem = "missed" if plate.mark is None else "misread"
    alone = plate.reading.text if plate.reading else None
    caption = [
        f"{problem}: {plate.truth.text or '(no text annotated)'}",
        f"read: {plate.text or '-'}   from true corners: {alone or '-'}",
    ]
    score = plate.mark.score if plate.mark else None
    cut = _upright(plate.truth.corners)
    return Fault(problem, plate.truth.text or "", plate.text or "", score, caption, cut)


def _stamp_faults(outcome: PageOutcome, misses: Iterable[Miss]) -> list[Fault]:
    faults = [_missed(stamp) for stamp in outcome.missed]
    faults += [
        Fault("false", "", "", mark.score, [f"false mark {mark.score:.2f}"], _around(mark.box))
        for mark in (outcome.false_marks if outcome.entry.kind == "scene" else ())
    ]
    faults += [
        _bad_mask(stamp, stamp.mask_iou, stamp.mark)
        for stamp in outcome.stamps
        if stamp.mark is not None and stamp.mask_iou is not None and stamp.bad_mask
    ]
    return faults + [_neighbour(miss) for miss in misses]


def _missed(stamp: StampOutcome) -> Fault:
    name = _name(stamp)
    lines = [f"missed: {name or '(no text annotated)'}"]
    return Fault("missed", name, "", None, lines, _around(stamp.truth.box))


def _bad_mask(stamp: StampOutcome, iou: float, mark: StampMark) -> Fault:
    def cut(image: Image) -> Pixels:
        """The stamp with what was taken for its ink in red."""
        pixels = image.pixels.copy()
        pixels[mark.mask.to_array()] = FOUND
        return np.concatenate([_around(mark.box)(image), _around(mark.box)(Image(pixels))], axis=1)

    lines = [f"ink mask IoU {iou:.2f}", "red: taken for ink"]
    return Fault("mask", _name(stamp), f"IoU {iou:.2f}", mark.score, lines, cut)


def _neighbour(miss: Miss) -> Fault:
    def cut(image: Image) -> Pixels:
        """The imprint, the one taken for it, and the one that should have been."""
        own = _around(miss.query.box)(image)
        shown = [own, *(_imprint(i) for i in (miss.nearest, miss.best_right) if i is not None)]
        return _side_by_side(shown)

    other = miss.nearest.identity if miss.nearest else ""
    lines = [
        f"{miss.query.identity}: nearest is {other or 'nothing'} ({miss.similarity:.3f});",
        f"last: the nearest of the same stamp ({miss.right_similarity:.3f})",
    ]
    score = miss.similarity if miss.nearest else None
    return Fault("neighbour", miss.query.identity, other, score, lines, cut)


def _name(stamp: StampOutcome) -> str:
    return stamp.truth.text or stamp.truth.identity or ""


def _upright(corners: ArrayLike) -> Callable[[Image], Pixels]:
    return lambda image: rectify(image.pixels, corners).pixels


def _around(box: Box) -> Callable[[Image], Pixels]:
    return lambda image: rectify(image.pixels, box_to_quad(box), margin=_STAMP_MARGIN).pixels


def _imprint(imprint: Imprint) -> Pixels:
    return _around(imprint.box)(Image.read(imprint.path))


def _side_by_side(pictures: Sequence[Pixels]) -> Pixels:
    """Pictures brought to one height, with white between them."""
    height = _STAMP_SIZE[1]
    row: list[Pixels] = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        row += [np.full((height, _GAP, 3), 255, np.uint8), np.asarray(scaled, dtype=np.uint8)]
    return np.concatenate(row[1:], axis=1)


def _outline(
    draw: PIL.ImageDraw.ImageDraw, corners: ArrayLike, colour: tuple[int, int, int], width: int
) -> None:
    points = [(x, y) for x, y in np.asarray(corners, dtype=np.float64).tolist()]
    draw.line([*points, points[0]], fill=colour, width=width)


def _panel(pixels: Pixels, lines: Sequence[str], size: tuple[int, int]) -> PIL.Image.Image:
    crop = PIL.Image.fromarray(pixels)
    scale = min(size[0] / crop.width, size[1] / crop.height)
    crop = crop.resize((max(1, int(crop.width * scale)), max(1, int(crop.height * scale))))
    panel = PIL.Image.new("RGB", (size[0], crop.height + _LINE * len(lines) + 12), "white")
    panel.paste(crop, (0, 0))
    draw, font = PIL.ImageDraw.Draw(panel), PIL.ImageFont.load_default(size=15)
    for number, line in enumerate(lines):
        draw.text((2, crop.height + 2 + number * _LINE), line, fill="black", font=font)
    return panel


def _write_csv(rows: Sequence[FailureRow], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(field.name for field in fields(FailureRow))
        writer.writerows(map(astuple, rows))


def _page(rows: Sequence[FailureRow]) -> str:
    panels = []
    for row in rows:
        caption = f"{row.problem}: {row.truth or '-'} read as {row.reading or '-'} ({row.source})"
        picture = f'<img loading="lazy" src="{html.escape(row.picture)}">' if row.picture else ""
        panels.append(f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>")
    return (
        '<!doctype html><meta charset="utf-8"><title>Failures</title>'
        "<style>body{font:15px sans-serif}img{max-width:100%}figure{margin:0 0 2em}</style>"
        f"<h1>{len(rows)} failures</h1><p>Green: the truth. Red: what was found.</p>"
        + "\n".join(panels)
    )
