"""``platemark synth stamps``: annotated scenes, imprints and artworks in a folder."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from platemark.datasets.manifest import StampLine, StampShape
from platemark.geometry import FloatArray, apply_homography, box_to_quad, homography
from platemark.imaging.image import Pixels
from platemark.synth.documents.pages import PageStudio
from platemark.synth.generate import CHUNK, Picture, write_pictures
from platemark.synth.stamps.designs import Design
from platemark.synth.stamps.imprint import StampLabel
from platemark.synth.stamps.pasted import PasteStudio
from platemark.synth.stamps.studio import IMPRINT_SIDES, StampStudio

PictureKind = Literal["scenes", "pasted", "imprints", "artworks"]


@dataclass(frozen=True)
class _Order:
    """What a worker process needs to make any picture of the set on its own."""

    seed: int
    kind: PictureKind
    fonts: Path | None
    backgrounds: Path | None
    imprints_per_design: int
    near_copies: float
    sides: tuple[float, float]
    shapes: tuple[StampShape, ...]
    masks: bool
    real: Path | None

    def open(self) -> Callable[[int], Picture]:
        return _Maker(self)


def generate(
    output: Path,
    count: int,
    seed: int,
    *,
    kind: PictureKind = "scenes",
    fonts: Path | None = None,
    backgrounds: Path | None = None,
    imprints_per_design: int = 5,
    near_copies: float = 0.0,
    sides: tuple[float, float] = IMPRINT_SIDES,
    shapes: Collection[str] = (),
    masks: bool = True,
    real: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make annotated pictures; a seed gives the same pictures with any number of workers.

    Args:
        output: folder for ``images/``, ``masks/`` and ``annotations.jsonl``; made if missing.
        count: number of pictures.
        seed: picks every random choice.
        kind: ``scenes`` (any number of stamps on a page, for detector and verifier), ``pasted``
            (real imprints on the pages of ``backgrounds``, for the same), ``imprints`` (one stamp
            close up, for segmenter and embedder) or ``artworks`` (clean coverage, white is ink).
        fonts: folder of fonts beside the bundled ones.
        backgrounds: folder of pictures of pages without stamps.
        imprints_per_design: how many imprints in a row are of one design.
        near_copies: share of the designs of imprints and artworks that are near-copies of an
            earlier one. It and its copies have the same string as ``family`` in the manifest.
        sides: least and greatest long side of imprints in pixels.
        shapes: all designs have one of these outlines; empty for any.
        masks: whether to write the ink mask of every stamp.
        real: manifest of annotated scans, whose stamps of the train split are pasted.
        workers: processes; None for one per core.
        progress: called with (done, count).

    Returns:
        The manifest, in the package's annotation format.

    Raises:
        DatasetError: A font or picture cannot be used; the message names it.
        ValueError: A count is not positive, the share of copies not in 0..1, the sides are no
            range from 32 pixels up, no stamps have such a shape, or ``pasted`` lacks real scans or
            backgrounds.
    """
    if count < 1 or imprints_per_design < 1 or not 0 <= near_copies <= 1:
        raise ValueError(
            f"expected positive counts and a share in 0..1, got count {count}, "
            f"{imprints_per_design} imprints for a design, {near_copies} near-copies"
        )
    if not 32 <= sides[0] <= sides[1]:
        raise ValueError(f"expected sides of at least 32 pixels, least first, got {sides}")
    if kind == "pasted" and (real is None or backgrounds is None):
        raise ValueError("to paste takes a manifest of real scans and backgrounds to paste onto")
    order = _Order(
        seed,
        kind,
        fonts,
        backgrounds,
        imprints_per_design,
        near_copies,
        sides,
        stamp_shapes(shapes),
        masks,
        real,
    )
    return write_pictures(order, output, count, workers=workers, progress=progress)


def stamp_shapes(names: Collection[str]) -> tuple[StampShape, ...]:
    """The outlines of these names.

    Raises:
        ValueError: No stamps have such a shape.
    """
    known: tuple[StampShape, ...] = get_args(StampShape)
    if unknown := set(names).difference(known):
        there = ", ".join(known)
        raise ValueError(f"no stamps are of the shape {min(unknown)!r}; there are: {there}")
    return tuple(shape for shape in known if shape in names)


# Each purpose has random numbers of its own, so that pictures, designs and papers do not depend on
# one another, nor on the process that makes them.
_PICTURES, _DESIGNS, _COPIES, _PAPERS = range(4)
# Setting a page takes as long as all else, so two scenes share one.
_SCENES_PER_PAPER = 2


class _Maker:
    """Makes picture i of an order."""

    def __init__(self, order: _Order) -> None:
        self._order = order
        studio = self._studio = StampStudio(order.fonts, order.backgrounds, order.shapes)
        self._design = lru_cache(maxsize=2)(self._make_design)
        self._original = lru_cache(maxsize=2)(
            lambda number: studio.designs.design(self._rng(_DESIGNS, number))
        )
        self._paper = lru_cache(maxsize=1)(lambda number: studio.paper(self._rng(_PAPERS, number)))
        self._papers = lru_cache(maxsize=1)(
            lambda number: studio.papers(self._rng(_PAPERS, number))
        )

        self._pasting = (
            PasteStudio(order.real, PageStudio(order.fonts, order.backgrounds), order.shapes)
            if order.kind == "pasted" and order.real is not None
            else None
        )

    def __call__(self, index: int) -> Picture:
        rng = self._rng(_PICTURES, index)
        match self._order.kind:
            case "scenes":
                return self._scene(index, rng)
            case "pasted":
                return self._pasted(rng)
            case "imprints":
                return self._imprint(index, rng)
            case "artworks":
                return self._artwork(index)

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self._order.seed, purpose, number))

    def _scene(self, index: int, rng: np.random.Generator) -> Picture:
        pixels, stamps, ignore = self._studio.scene(rng, self._paper(index // _SCENES_PER_PAPER))
        boxes = [[round(side, 2) for side in box] for box in ignore]
        return self._picture(pixels, stamps, {"ignore": boxes, "kind": "scene"})

    def _pasted(self, rng: np.random.Generator) -> Picture:
        assert self._pasting is not None, "opened for such pictures alone"
        pixels, stamps = self._pasting.scene(rng)
        rows = [{"box": np.round(stamp.box, 2).tolist(), "shape": stamp.shape} for stamp in stamps]
        return Picture(pixels, {"stamps": rows, "kind": "scene"})

    def _imprint(self, index: int, rng: np.random.Generator) -> Picture:
        family, design = self._design(index // self._order.imprints_per_design)
        papers = self._papers(index // CHUNK)
        pixels, label = self._studio.imprint(design, rng, papers, self._order.sides)
        return self._picture(pixels, [label], {"kind": "crop", "family": family})

    def _artwork(self, index: int) -> Picture:
        family, design = self._design(index)
        pixels, quad = self._studio.artwork(design)
        (x0, y0), (x1, y1) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
        stamp = {
            "box": [round(side, 2) for side in (x0, y0, x1, y1)],
            "quad": np.round(quad, 2).tolist(),
            "shape": design.shape,
            "rotation": 0.0,
            **_said(design.identity, design.lines, design.places, quad),
        }
        return Picture(pixels, {"stamps": [stamp], "kind": "isolated", "family": family})

    def _picture(self, pixels: Pixels, labels: list[StampLabel], row: dict[str, Any]) -> Picture:
        height, width = pixels.shape[:2]
        masks = tuple(label.mask(width, height) for label in labels) if self._order.masks else ()
        return Picture(pixels, {"stamps": [_stamp_row(label) for label in labels], **row}, masks)

    def _make_design(self, number: int) -> tuple[str, Design]:
        """The family and design of a number: a new one, or a near-copy of an earlier new one."""
        first = number
        while first and self._rng(_COPIES, first).random() < self._order.near_copies:
            first -= 1
        original = self._original(first)
        if first == number:
            return original.identity, original
        try:
            copy = self._studio.designs.near_copy(original, self._rng(_DESIGNS, number))
        except ValueError:  # there are designs in which nothing can be changed
            design = self._studio.designs.design(self._rng(_DESIGNS, number))
            return design.identity, design
        return original.identity, copy


def _stamp_row(label: StampLabel) -> dict[str, Any]:
    return {
        "box": [round(side, 2) for side in label.box],
        "quad": np.round(label.quad, 2).tolist(),
        "shape": label.shape,
        "color": label.color,
        "rotation": round(label.rotation, 2),
        **_said(label.identity, label.lines, label.places, label.quad),
    }


def _said(
    identity: str, lines: tuple[StampLine, ...], places: tuple[FloatArray, ...], quad: FloatArray
) -> dict[str, Any]:
    """Whose it is, what it says, and where each character stands in the picture."""
    to_picture = homography(box_to_quad((0.0, 0.0, 1.0, 1.0)), quad)
    rows = []
    for line, middles in zip(lines, places, strict=True):
        row: dict[str, Any] = {"text": line.text, "path": line.path}
        if np.isfinite(middles).any():
            seen = np.round(apply_homography(to_picture, middles), 1).tolist()
            row["places"] = [None if np.isnan(x) else (x, y) for x, y in seen]
        rows.append(row)
    return {"identity": identity, "text": " / ".join(line.text for line in lines), "lines": rows}
