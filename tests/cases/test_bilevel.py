"""The ink of a scan of one bit is black."""

from pathlib import Path

import PIL.Image
import pytest

from platemark.stamps.pipeline import StampPipeline

LETTER = Path(__file__).parents[2] / "examples" / "documents" / "letter-seal.jpg"


@pytest.mark.parametrize("dither", [PIL.Image.Dither.FLOYDSTEINBERG, PIL.Image.Dither.NONE])
def test_ink_of_a_scan_of_one_bit_is_black(tmp_path: Path, dither: PIL.Image.Dither) -> None:
    path = tmp_path / "scan.tif"
    scan = PIL.Image.open(LETTER).resize((1600, 2200)).convert("1", dither=dither)
    scan.save(path, compression="group4")
    (mark,) = StampPipeline.from_pretrained(threads=1)(path).marks
    assert mark.color == "black"
