"""Stamps read by RapidOCR (Chinese seals, for one): a reader of strips by another engine.

pip install rapidocr onnxruntime
python examples/rapidocr_stamps.py contract.pdf
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

import platemark as pm
from platemark.models.card import StripPreprocess


class RapidReader:
    """RapidOCR's recognition as `platemark.protocols.ReadsStrips`.

    It tells no places of characters, which are taken to be evenly spaced, so that texts of a ring
    are parted less well than with the bundled reader.
    """

    strip = StripPreprocess(height=48, capital=30.0)
    legible_score = 0.6

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        self.engine = RapidOCR(params={"Global.log_level": "error"})

    def text_score(self, scores: Sequence[float]) -> float:
        """The product: RapidOCR gives one score for all characters of a strip."""
        return float(np.prod(scores))

    def __call__(self, strips: Sequence[NDArray[np.uint8]]) -> list[list[pm.StripCharacter]]:
        """Read (H, W) uint8 grey strips."""
        return [self._read(strip) for strip in strips]

    def _read(self, strip: NDArray[np.uint8]) -> list[pm.StripCharacter]:
        found = self.engine(cv2.merge([strip] * 3), use_det=False, use_cls=False, use_rec=True)
        if not found.txts or not found.txts[0]:
            return []
        text, score = found.txts[0], float(found.scores[0])
        middles = (np.arange(len(text)) + 0.5) * strip.shape[1] / len(text)
        pairs = zip(text, middles.tolist(), strict=True)
        return [pm.StripCharacter(char, score, middle) for char, middle in pairs]


def main() -> None:
    """Print what the stamps of the documents named say."""
    stamps = pm.StampPipeline.from_pretrained().with_parts(reader=RapidReader())
    for result in stamps.stream(sys.argv[1:]):
        for mark in result.marks:
            print(result.source, result.page, mark.text)


if __name__ == "__main__":
    main()
