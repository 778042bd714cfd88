"""Two imprints on one canvas, as the comparer sees them.

The canvas shows the frame of the first imprint (see `template`), its longer side equally long
whatever its size was, and around it as much as the second has beyond.
"""

import numpy as np

from platemark.geometry import FloatArray, apply_homography
from platemark.imaging.warp import warp
from platemark.matching.template import InkTemplate, Planes
from platemark.models.card import ComparerPreprocess

_EMPTY = (0.0, 255.0, 0.0)


def overlay(
    spec: ComparerPreprocess, a: InkTemplate, b: InkTemplate, matrix: FloatArray
) -> tuple[Planes, FloatArray]:
    """Lay aligned imprints on one canvas, as small as holds both.

    Args:
        spec: The section of the comparer's card.
        a: The first imprint.
        b: The second.
        matrix: (3, 3) homography from the frame of the first to that of the second.

    Returns:
        The canvas (H, W, 6) uint8: ink, grey and colourfulness of the first and then of the second;
        and the homography (3, 3) from the frame of the first to its pixels.
    """
    back = np.linalg.inv(matrix)
    others = apply_homography(back, b.corners)
    low = np.minimum(a.corners.min(axis=0), others.min(axis=0))
    high = np.maximum(a.corners.max(axis=0), others.max(axis=0))
    unit, step = spec.content / 2.0, spec.multiple / 2.0
    half = unit * np.clip(np.maximum(-low, high), 0.0, 1.0) + spec.margin
    width, height = (2.0 * step * np.ceil(half / step)).astype(int).tolist()
    to_canvas = frame_to_canvas(spec, width, height)
    canvases = (to_canvas, to_canvas @ back)
    return on_canvas(spec, a, b, canvases, (width, height)), to_canvas


def frame_to_canvas(spec: ComparerPreprocess, width: int, height: int) -> FloatArray:
    """Homography (3, 3) from the frame of the first imprint to a canvas with it in the middle."""
    unit = spec.content / 2.0
    return np.array([[unit, 0.0, width / 2.0], [0.0, unit, height / 2.0], [0.0, 0.0, 1.0]])


def on_canvas(
    spec: ComparerPreprocess,
    a: InkTemplate,
    b: InkTemplate,
    to_canvas: tuple[FloatArray, FloatArray],
    size: tuple[int, int],
) -> Planes:
    """The canvas (H, W, 6) of imprints whose frames the homographies (3, 3) take to it.

    Args:
        spec: The section of the comparer's card.
        a: The first imprint.
        b: The second.
        to_canvas: The homography of each.
        size: Width and height of the canvas.
    """
    laid = [
        _warped(template.scaled(spec.content), matrix, size)
        for template, matrix in zip((a, b), to_canvas, strict=True)
    ]
    return np.concatenate(laid, axis=2)


def _warped(scaled: tuple[Planes, FloatArray], matrix: FloatArray, size: tuple[int, int]) -> Planes:
    """The planes of an imprint whose frame a homography takes to the canvas."""
    planes, to_frame = scaled
    return warp(planes, matrix @ to_frame, size, fill=_EMPTY)
