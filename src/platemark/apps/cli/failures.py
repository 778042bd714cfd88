"""The failures of an evaluation as pictures, with a contact page to look through them."""

import csv
import html
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import ArrayLike

from platemark.apps.cli.output import PictureNames
from platemark.evaluate import ImageOutcome, PlateOutcome
from platemark.imaging.draw import rectify
from platemark.imaging.image import Image

TRUTH, FOUND = (0, 170, 60), (225, 30, 30)
_PHOTO_SIDE, _CROP_SIZE, _LINE = 960, (320, 110), 22
_MOST_PANELS = 12
"""Plates shown beside one photo; the index lists the others too."""


@dataclass(frozen=True)
class FailureRow:
    """One failure, as the index lists it.

    Attributes:
        source: Path of the image.
        problem: ``error``, ``missed``, ``misread`` or ``false``.
        truth: Annotated text, empty where there is none.
        reading: Text that was read, empty where there is none.
        score: Score of the mark, None without a mark.
        picture: File name of the picture, empty for an image that could not be opened.
    """

    source: str
    problem: str
    truth: str = ""
    reading: str = ""
    score: float | None = None
    picture: str = ""


def write_failures(outcomes: Iterable[ImageOutcome], folder: Path) -> int:
    """Write a picture for every image with a failure, and ``index.html`` and ``index.csv``.

    In the pictures the truth is green and what was found is red.

    Args:
        outcomes: Images of an evaluation; those without failure are passed over.
        folder: Where to write; it exists.

    Returns:
        The number of images with a failure.
    """
    names = PictureNames()
    rows: list[FailureRow] = []
    images = 0
    for outcome in outcomes:
        if not outcome.failed:
            continue
        images += 1
        picture = ""
        if outcome.result.error is None:
            picture = names.stem(str(outcome.path), 0) + ".jpg"
            failure_picture(outcome).save(folder / picture, quality=90)
        rows.extend(_rows(outcome, picture))
    _write_csv(rows, folder / "index.csv")
    (folder / "index.html").write_text(_page(rows), encoding="utf-8")
    return images


def failure_picture(outcome: ImageOutcome) -> PIL.Image.Image:
    """Draw the photo with truth and marks, and beside it each plate that failed."""
    image = Image.read(outcome.path)
    scale = min(1.0, _PHOTO_SIDE / max(image.width, image.height))
    photo = PIL.Image.fromarray(image.pixels)
    photo = photo.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    draw = PIL.ImageDraw.Draw(photo)
    for plate in outcome.plates:
        _outline(draw, plate.truth.corners * scale, TRUTH, width=5)
    for mark in outcome.result.marks:
        _outline(draw, [(x * scale, y * scale) for x, y in mark.quad], FOUND, width=2)
    panels = [_panel(image, corners, lines) for corners, lines in _panels(outcome)[:_MOST_PANELS]]
    height = max(photo.height, sum(panel.height for panel in panels))
    sheet = PIL.Image.new("RGB", (photo.width + _CROP_SIZE[0] + 12, height), "white")
    sheet.paste(photo, (0, 0))
    top = 0
    for panel in panels:
        sheet.paste(panel, (photo.width + 12, top))
        top += panel.height
    return sheet


def _problem(plate: PlateOutcome) -> str | None:
    if plate.mark is None:
        return "missed"
    return None if plate.right else "misread"


def _rows(outcome: ImageOutcome, picture: str) -> list[FailureRow]:
    source = str(outcome.path)
    if outcome.result.error is not None:
        return [FailureRow(source, "error", reading=outcome.result.error.message)]
    rows = [
        FailureRow(
            source,
            problem,
            plate.truth.text or "",
            plate.text or "",
            plate.mark.score if plate.mark else None,
            picture,
        )
        for plate in outcome.plates
        if (problem := _problem(plate))
    ]
    rows += [
        FailureRow(source, "false", "", mark.text or "", mark.score, picture)
        for mark in outcome.false_marks
    ]
    return rows


def _panels(outcome: ImageOutcome) -> list[tuple[ArrayLike, list[str]]]:
    """Corners to cut out and the caption, for each failure of an image."""
    panels: list[tuple[ArrayLike, list[str]]] = []
    for plate in outcome.plates:
        if problem := _problem(plate):
            alone = plate.reading.text if plate.reading else None
            caption = [
                f"{problem}: {plate.truth.text or '(no text annotated)'}",
                f"read: {plate.text or '-'}   from true corners: {alone or '-'}",
            ]
            panels.append((plate.truth.corners, caption))
    for mark in outcome.false_marks:
        panels.append((mark.quad, [f"false plate {mark.score:.2f}", f"read: {mark.text or '-'}"]))
    return panels


def _outline(
    draw: PIL.ImageDraw.ImageDraw, corners: ArrayLike, colour: tuple[int, int, int], width: int
) -> None:
    points = [(x, y) for x, y in np.asarray(corners, dtype=np.float64).tolist()]
    draw.line([*points, points[0]], fill=colour, width=width)


def _panel(image: Image, corners: ArrayLike, lines: Sequence[str]) -> PIL.Image.Image:
    crop = PIL.Image.fromarray(rectify(image.pixels, corners).pixels)
    scale = min(_CROP_SIZE[0] / crop.width, _CROP_SIZE[1] / crop.height)
    crop = crop.resize((max(1, int(crop.width * scale)), max(1, int(crop.height * scale))))
    panel = PIL.Image.new("RGB", (_CROP_SIZE[0], crop.height + _LINE * len(lines) + 12), "white")
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
    figures = []
    for row in rows:
        caption = f"{row.problem}: {row.truth or '-'} read as {row.reading or '-'} ({row.source})"
        picture = f'<img loading="lazy" src="{html.escape(row.picture)}">' if row.picture else ""
        figures.append(f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>")
    return (
        '<!doctype html><meta charset="utf-8"><title>Failures</title>'
        "<style>body{font:15px sans-serif}img{max-width:100%}figure{margin:0 0 2em}</style>"
        f"<h1>{len(rows)} failures</h1><p>Green: the truth. Red: what was found.</p>"
        + "\n".join(figures)
    )
