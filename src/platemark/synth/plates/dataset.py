"""``platemark synth plates``: annotated scenes and crops in a folder with their manifest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from platemark.plates.formats import PlateFormat, load_formats, read_formats
from platemark.synth.generate import Picture, write_pictures
from platemark.synth.plates.studio import PlateLabel, PlateStudio

PictureKind = Literal["scenes", "crops"]


@dataclass(frozen=True)
class _Order:
    """What a worker process needs to make any picture of the set on its own."""

    seed: int
    kind: PictureKind
    fonts: Path | None
    backgrounds: Path | None
    over: Path | None
    own: Path | None
    regions: tuple[str, ...]
    lines: int | None

    def open(self) -> Callable[[int], Picture]:
        formats = plate_formats(self.regions, self.lines, self.own)
        studio = PlateStudio(self.fonts, self.backgrounds, formats, self.over)
        return partial(_make, self, studio)


def generate(
    output: Path,
    count: int,
    seed: int,
    *,
    kind: PictureKind = "scenes",
    fonts: Path | None = None,
    backgrounds: Path | None = None,
    over: Path | None = None,
    formats: Path | None = None,
    regions: Sequence[str] = (),
    lines: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make annotated pictures; a seed gives the same pictures with any number of workers.

    Args:
        output: folder for the pictures (``images/``) and ``annotations.jsonl``; made if missing.
        count: number of pictures.
        seed: picks every random choice; picture i depends on (seed, i) alone.
        kind: ``scenes`` (any number of plates, for the detector) or ``crops`` (one plate close up,
            for the reader).
        fonts: folder of fonts searched before the bundled ones.
        backgrounds: folder of photos without plates.
        over: manifest of real photos; part of the scenes paint new plates over the annotated ones
            (of its train split alone).
        formats: a plate format of one's own, or a folder of them, see `plate_formats`.
        regions: codes of the plate formats to draw; none for all.
        lines: only plates with this number of lines; None for any number.
        workers: processes; None for one per core.
        progress: called with (done, count).

    Returns:
        The manifest, in the package's annotation format.

    Raises:
        ValueError: There is no plate format of a code in ``regions``, or none of them has
            plates with that number of lines.
        FormatError: A plate format of one's own cannot be used; the message names file and key.
        DatasetError: A font, photo or manifest cannot be used; the message names it.
    """
    plate_formats(regions, lines, formats)
    order = _Order(seed, kind, fonts, backgrounds, over, formats, tuple(regions), lines)
    return write_pictures(order, output, count, workers=workers, progress=progress)


def plate_formats(
    codes: Sequence[str] = (), lines: int | None = None, own: Path | None = None
) -> list[PlateFormat]:
    """Plate formats to draw from.

    Args:
        codes: of the formats; none for all of `own`, or, without `own`, for all packaged ones.
        lines: only drawings with this number of lines; None for any number.
        own: a plate format of one's own, or a folder of them.

    Raises:
        ValueError: There is no format of a code, or none with that number of lines.
        FormatError: A file of `own` cannot be used.
    """
    known = read_formats(own) if own and not codes else load_formats(own)
    if unknown := set(codes).difference(known):
        raise ValueError(
            f"no plate format has the code {', '.join(sorted(unknown))}; "
            f"there are: {', '.join(known)}"
        )
    formats = [known[code] for code in codes or known]
    if lines is None:
        return formats
    fitting = [one for one in (each.with_lines(lines) for each in formats) if one is not None]
    if not fitting:
        raise ValueError(
            f"no plate format of {', '.join(codes) or 'all'} has plates of {lines} lines"
        )
    return fitting


def _make(order: _Order, studio: PlateStudio, index: int) -> Picture:
    rng = np.random.default_rng((order.seed, index))
    labels: list[PlateLabel]
    if order.kind == "crops":
        pixels, label = studio.crop(rng)
        labels = [label]
    else:
        pixels, labels = studio.scene(rng)
    kind = "crop" if order.kind == "crops" else "scene"
    return Picture(pixels, {"plates": [_plate_row(label) for label in labels], "kind": kind})


def _plate_row(label: PlateLabel) -> dict[str, Any]:
    return {
        "box": [round(value, 2) for value in label.box],
        "quad": None if label.quad is None else np.round(label.quad, 2).tolist(),
        "text": label.text,
        "region": label.region,
        "lines": label.rows,
        "obscured": label.obscured,
    }
