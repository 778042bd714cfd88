"""Ink on paper: masks brought to the resolution of the page, and ink taken off its paper."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray
from platemark.imaging.image import Image, Pixels
from platemark.masks import BoolMask

Probability = NDArray[np.float32]

# How far the pixels of ink and of paper spread about their means, in parts of their difference.
_SPREAD = 0.3
# Ink and paper of one neighbourhood differ at least this much of what they do on the whole.
_LEAST_DIFFERENCE = 0.2
_SAMPLES = 20_000
# Ink takes at least this much, as optical density, of some colour of the light.
_FAINTEST = 0.03
# Edges with less contrast (grey levels) tell nothing about sharpness.
_SEEN = 16.0
# A page is a negative when its median is darker than this (grey levels), its middle half no more
# spread, what is bright on it brighter by this, and of that no more than this share of the page
# wider than any stroke.
_DARK, _EVEN, _BRIGHTER, _MOST_BROAD = 96.0, 24.0, 80.0, 0.01
_POLARITY_SIDE, _STROKE = 512, 25
# The strongest ink of a stamp is no darker than this share of its usual ink.
_DARKEST = 0.8
# Inks nearer to grey than this cosine cannot be told from print by their colour.
_GREY_INK = 0.97


def positive(image: Image) -> Image:
    """Return a page with dark ink on light paper: a negative is inverted, others stay as they are.

    A negative is evenly dark all over but for strokes. A dark table with paper on it is none.
    """
    grey = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _POLARITY_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lower, median, upper, brightest = np.percentile(small, (25, 50, 75, 99.5))
    if median >= _DARK or upper - lower > _EVEN or brightest - median < _BRIGHTER:
        return image
    bright = (small > (median + brightest) / 2.0).astype(np.uint8)
    broad = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((_STROKE, _STROKE), np.uint8))
    return image if broad.mean() > _MOST_BROAD else replace(image, pixels=255 - image.pixels)


def sharpen_mask(pixels: Pixels, probability: Probability, reach: float) -> Probability:
    """Bring a mask that is coarser than its picture to the picture's own edges.

    The coarse mask is the prior of each pixel; the likelihoods of ink and paper are normal, about
    the local means that the mask gives them, along the direction of colour that tells the two
    apart best (Fisher's linear discriminant). It is one step of expectation-maximisation with a
    mixture that varies over the picture.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        probability: (h, w) float32 in 0..1, how probably each pixel is ink.
        reach: Half the side of a neighbourhood in pixels: about two pixels of the coarse mask.

    Returns:
        (h, w) float32 in 0..1; the mask itself where it shows no ink or no paper.
    """
    inkness = _inkness(pixels, probability)
    if inkness is None:
        return probability
    side = 2 * max(1, round(reach)) + 1

    def mean(values: Probability) -> Probability:
        return np.asarray(cv2.blur(values, (side, side)), dtype=np.float32)

    share = mean(probability)
    of_ink, of_all = mean(probability * inkness), mean(inkness)
    # A twentieth of a neighbourhood of pure ink, or paper, keeps the means from wandering.
    ink = (of_ink + 0.05) / (share + 0.05)
    paper = (of_all - of_ink) / (1.0 - share + 0.05)
    contrast = np.maximum(ink - paper, _LEAST_DIFFERENCE)
    evidence = (inkness - (ink + paper) / 2.0) * contrast / _SPREAD**2
    prior = np.clip(probability, 0.01, 0.99)
    odds = prior / (1.0 - prior) * np.exp(np.clip(evidence, -30.0, 30.0))
    return np.asarray(odds / (1.0 + odds), dtype=np.float32)


def ink_and_paper(pixels: Pixels, probability: Probability) -> tuple[FloatArray, FloatArray] | None:
    """Estimate the colours of ink and of the paper around it.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        probability: (h, w) how probably each pixel is ink.

    Returns:
        The ink (3,) as it lies on the paper, and the paper (3,), both in 1..255 and the ink no
        lighter than the paper; None where there is no ink, or none that can be seen.
    """
    step = max(1, probability.size // _SAMPLES)
    colors, sample = pixels.reshape(-1, 3)[::step], probability.reshape(-1)[::step]
    ink, around = (colors[chosen].astype(np.float64) for chosen in (sample > 0.5, sample < 0.1))
    if not len(ink):
        return None
    paper = np.percentile(around, 75, axis=0) if len(around) else np.full(3, 255.0)
    paper = np.maximum(paper, 1.0)
    density = np.log(paper / np.clip(ink, 1.0, paper))
    strength = density.max(axis=1)
    # Paper that shows between the dots of a halftone, or was taken for ink, says nothing of it.
    seen = strength >= _FAINTEST
    if not seen.any():
        return None
    density, strength = density[seen], strength[seen]
    # Weak pixels are the rims of strokes; the strongest may be print beneath the ink.
    strong = (strength >= np.percentile(strength, 40)) & (strength <= np.percentile(strength, 85))
    taken = np.median(density[strong], axis=0)
    return paper * np.exp(-taken), paper


def ink_strength(pixels: Pixels, probability: Probability) -> Pixels | None:
    """How much of a stamp's ink lies on each pixel: dark where there is much, as grey.

    The optical density of a pixel is split between the ink and a neutral black (print, a pen); the
    pixel's own darkness, which is sharper than its colour, counts as far as it is the ink's.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        probability: (h, w) how probably each pixel is ink.

    Returns:
        (h, w) uint8, 255 for bare paper, 255 / 4 for ink as strong as usual; None where there is
        no ink, or none that can be seen.
    """
    colors = ink_and_paper(pixels, probability)
    if colors is None:
        return None
    ink, paper = colors
    step = np.log(np.maximum(paper, 1.0) / np.clip(np.arange(256.0)[:, None], 1.0, None))
    levels = np.clip(step, -1.0, 4.0).astype(np.float32)
    density = np.asarray(cv2.LUT(pixels, np.ascontiguousarray(levels[:, None, :])), np.float32)
    own = np.log(paper / ink)
    strength = density @ (own / (own @ own)).astype(np.float32)
    share = _own_share(density, own)
    if share is not None:
        strength *= share
    return np.asarray(np.clip(255.0 - 191.0 * strength, 0.0, 255.0), np.uint8)


def _own_share(density: NDArray[np.float32], own: FloatArray) -> NDArray[np.float32] | None:
    """Part (h, w) of each pixel's darkness that is of the ink's colour; None for a grey ink."""
    black = np.ones(3)
    cosine = float(own @ black) / float(np.linalg.norm(own) * np.sqrt(3.0))
    if cosine > _GREY_INK:
        return None
    parts = density @ np.linalg.pinv(np.stack([own, black])).astype(np.float32)
    parts = np.maximum(cv2.GaussianBlur(parts, (0, 0), 0.8), 0.0)
    of_ink, of_black = parts[..., 0] * float(own.max()), parts[..., 1]
    share = (2.0 * of_ink + 0.02) / (of_ink + of_black + 0.02)
    return np.asarray(np.clip(share, 0.0, 1.0), np.float32)


def lift_ink(pixels: Pixels, mask: BoolMask) -> Pixels:
    """Take ink off its paper, so that it can be laid on other paper.

    How opaque a pixel is says how far its colour is from that of the paper towards that of the
    ink; its colour is what remains when the share of the paper is taken off.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        mask: (h, w) bool, where there is ink; its rims are taken in too.

    Returns:
        (h, w, 4) uint8 RGBA, wholly transparent where there is no ink, or none that can be seen.
    """
    lifted = np.zeros((*mask.shape, 4), dtype=np.uint8)
    soft = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0), dtype=np.float32)
    colors = ink_and_paper(pixels, mask.astype(np.float32))
    if colors is None:
        return lifted
    ink, paper = (np.asarray(color, dtype=np.float32) for color in colors)
    given = pixels.astype(np.float32)
    share = np.clip((paper - given) @ (paper - ink) / float((paper - ink) @ (paper - ink)), 0, 1)
    # What is dark for another reason, such as print beside the ink, stays behind.
    alpha = share * np.clip(2.0 * soft, 0.0, 1.0)
    own = (given - (1.0 - share[..., None]) * paper) / np.maximum(share[..., None], 0.2)
    # Print beneath the ink is darker than any ink of this stamp.
    lifted[..., :3] = np.rint(np.clip(own, _DARKEST * ink, 255.0))
    lifted[..., 3] = np.rint(255.0 * alpha)
    lifted[lifted[..., 3] == 0] = 0
    return lifted


def _inkness(pixels: Pixels, probability: Probability) -> Probability | None:
    """Where each pixel (h, w) is between the mean paper, 0, and the mean ink, 1; None if unclear.

    Pixels far beyond either are cut to -0.5 and 1.5.
    """
    step = max(1, probability.size // _SAMPLES)
    colors = pixels.reshape(-1, 3)[::step].astype(np.float64)
    sample = probability.reshape(-1)[::step].astype(np.float64)
    ink_weight, paper_weight = np.clip(sample - 0.6, 0, None), np.clip(0.3 - sample, 0, None)
    if min(ink_weight.sum(), paper_weight.sum()) < 1.0:
        return None
    ink = np.average(colors, axis=0, weights=ink_weight)
    paper = np.average(colors, axis=0, weights=paper_weight)
    offsets = colors - np.where(sample[:, None] > 0.5, ink, paper)
    weight = ink_weight + paper_weight
    scatter = (offsets * weight[:, None]).T @ offsets / weight.sum() + 20.0 * np.eye(3)
    direction = np.linalg.solve(scatter, ink - paper)
    length = float(direction @ (ink - paper))
    if length < 1e-3:
        return None
    direction /= length
    along = cv2.transform(pixels.astype(np.float32), direction.astype(np.float32).reshape(1, 3))
    return np.asarray(np.clip(along - float(direction @ paper), -0.5, 1.5), dtype=np.float32)


def edge_width(pixels: Pixels, mask: BoolMask) -> float | None:
    """How many pixels the edges of ink take from paper to ink: about 2 where all is sharp.

    It is the contrast across an edge by the steepest slope there, the median along all edges, in
    the channel of the light that shows the ink best.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        mask: (h, w) bool, where there is ink.

    Returns:
        The width in pixels; None where there are no edges to be seen.
    """
    darkest = pixels.min(axis=2).astype(np.float32)
    across = cv2.Sobel(darkest, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(darkest, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    reach = 2 * max(2, round(max(mask.shape) / 40)) + 1
    window = np.ones((reach, reach), np.uint8)
    slope = cv2.dilate(np.hypot(across, down), window)
    contrast = cv2.dilate(darkest, window) - cv2.erode(darkest, window)
    ink = mask.astype(np.uint8)
    edge = (ink > 0) & (cv2.erode(ink, np.ones((3, 3), np.uint8)) == 0) & (contrast > _SEEN)
    if not edge.any():
        return None
    return float(np.median(contrast[edge] / np.maximum(slope[edge], 1e-3)))
