"""Strips of real stamps, of which somebody wrote down the texts but not where each letter stands.

A reader that knows a little reads the lines; where what it read is near enough to a text that the
stamp is known to bear, the strip is that text's, and is learnt from as such.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from platemark.datasets.manifest import StampAnnotation
from platemark.imaging.image import Image, Pixels
from platemark.protocols import ReadsStrips
from platemark.stamps.baselines import CAPITAL, unwrap
from platemark.stamps.reading import Piece, find_pieces
from platemark.tasks.scripts import fold
from platemark.tasks.segmenter import Segmenter
from platemark.train.cuts import CUT_HEIGHT, CUT_MARGIN, CutStrip

_SEPARATOR = " / "
_LEAST_LETTERS = 4
# Readings further from a text than this share of its length are of another text.
_NEAR = 0.45


def transcribed_strips(
    image: Image, stamp: StampAnnotation, segmenter: Segmenter, reader: ReadsStrips
) -> Iterator[CutStrip]:
    """The lines of a stamp that are recognised as one of its texts, cut as for training.

    Args:
        image: The page.
        stamp: Its box, and its text: parts separated by ``" / "``, maybe not all of them.
        segmenter: Finds its ink.
        reader: Reads well enough to tell one part from another.
    """
    parts = [text for part in (stamp.text or "").split(_SEPARATOR) if (text := fold(part))]
    (mask,) = segmenter(image, [stamp.box])
    found = find_pieces(mask.cut(image.pixels), mask.probability, reader)
    for piece in found.pieces:
        read = "".join(char.char for char in piece.characters)
        spans = [(best_span(part, read), part) for part in parts if len(part) >= _LEAST_LETTERS]
        if spans:
            span, text = min(spans, key=lambda one: one[0].errors / len(one[1]))
            if span.errors <= _NEAR * len(text) and _whole(span, read, text):
                yield _cut(found.strength, piece, span, text)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a reading that is nearest to a text.

    Attributes:
        errors: Edit distance of the two.
        start, end: Of the part.
    """

    errors: int
    start: int
    end: int


def best_span(text: str, read: str) -> Span:
    """The part of a reading that is nearest to a text (Sellers 1980), case aside."""
    row = [Span(0, column, column) for column in range(len(read) + 1)]
    for count, char in enumerate(text, 1):
        above, row = row, [Span(count, 0, 0)]
        for column, other in enumerate(read, 1):
            steps = (
                (
                    above[column - 1].errors + (char.casefold() != other.casefold()),
                    above[column - 1].start,
                ),
                (above[column].errors + 1, above[column].start),
                (row[-1].errors + 1, row[-1].start),
            )
            errors, start = min(steps)
            row.append(Span(errors, start, column))
    return min(row, key=lambda span: span.errors)


def _whole(span: Span, read: str, text: str) -> bool:
    """Whether the first and the last letter were read, so that the strip has all between."""
    first, last = read[span.start : span.start + 1], read[max(span.end - 1, 0) : span.end]
    return first.casefold() == text[0].casefold() and last.casefold() == text[-1].casefold()


def _cut(strength: Pixels, piece: Piece, span: Span, text: str) -> CutStrip:
    """The strip of a part of a piece, with the text that it has."""
    strip = unwrap(strength, piece.line, height=CUT_HEIGHT, capital=CAPITAL, margin=CUT_MARGIN)
    columns = piece.along * (CAPITAL / piece.line.capital) + CUT_MARGIN * CAPITAL
    own = columns[span.start : span.end]
    spare = CUT_MARGIN * CAPITAL
    first, last = own[0] - spare, own[-1] + spare
    if span.start:
        first = max(first, (columns[span.start - 1] + own[0]) / 2)
    if span.end < len(columns):
        last = min(last, (columns[span.end] + own[-1]) / 2)
    pixels = strip.pixels[:, max(int(first), 0) : int(np.ceil(last))]
    return CutStrip(pixels, text, np.full(len(text), np.nan, np.float32))
