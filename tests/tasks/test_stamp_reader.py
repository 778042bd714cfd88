"""The reader of strips: what it takes, and how its frames become characters."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.errors import ModelMismatch  # noqa: E402
from platemark.models.card import StripPreprocess  # noqa: E402
from platemark.models.preprocess import stretch_contrast, strip_input  # noqa: E402
from platemark.tasks.plate_reader import PlateReader  # noqa: E402
from platemark.tasks.scripts import ALPHABET  # noqa: E402
from platemark.tasks.stamp_reader import StampReader  # noqa: E402
from platemark.train.export import export_strip_reader  # noqa: E402
from platemark.train.nets.lcnet import LcnetReaderNet  # noqa: E402

SPEC = StripPreprocess(height=32, capital=17.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights; the export compares it with itself."""
    torch.manual_seed(3)
    made = tmp_path_factory.mktemp("strip-reader")
    net = LcnetReaderNet(ALPHABET, blocks=((96, 96, 2, True), (96, 96, 2, False))).eval()
    torch.nn.init.zeros_(net.head.bias)
    export_strip_reader(net, made, {"command": "random weights"})
    return made


def strip(width: int, height: int = 32) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width), np.uint8)


def test_strips_of_any_width_are_read_in_order(folder: Path) -> None:
    reader = StampReader.from_pretrained(folder, threads=1)
    strips = [strip(width) for width in (8, 61, 200)]
    together = reader(strips)
    assert together == [reader([one])[0] for one in strips]
    for one, characters in zip(strips, together, strict=True):
        middles = [char.middle for char in characters]
        assert middles == sorted(middles)
        assert all(0 <= middle <= one.shape[1] + SPEC.multiple for middle in middles)
        assert all(char.char in ALPHABET and 0 <= char.score <= 1 for char in characters)


def test_places_are_pixels_of_the_strip_as_given(folder: Path) -> None:
    reader = StampReader.from_pretrained(folder, threads=1)
    once = strip(160)
    twice = np.repeat(np.repeat(once, 2, axis=0), 2, axis=1)
    small, large = reader([once])[0], reader([twice])[0]
    assert [char.char for char in large] == [char.char for char in small]
    assert [char.middle for char in large] == pytest.approx([2 * char.middle for char in small])


def test_what_is_no_strip_is_refused(folder: Path) -> None:
    reader = StampReader.from_pretrained(folder, threads=1)
    with pytest.raises(ValueError, match="uint8 grey"):
        reader([np.zeros((32, 40, 3), np.uint8)])
    with pytest.raises(ModelMismatch):
        PlateReader.from_pretrained(folder)


def test_the_score_of_a_text_falls_with_its_characters(folder: Path) -> None:
    reader = StampReader.from_pretrained(folder, threads=1)
    assert reader.text_score([]) == 0.0
    assert reader.text_score([0.9, 0.9]) > reader.text_score([0.9, 0.5])


@pytest.mark.parametrize(("width", "height"), [(40, 32), (41, 32), (64, 64), (3, 16)])
def test_input_has_the_height_and_multiple_of_the_card(width: int, height: int) -> None:
    made = strip_input(strip(width, height), SPEC)
    assert made.shape[0] == SPEC.height
    assert made.shape[1] % SPEC.multiple == 0


def test_contrast_is_stretched_but_not_of_next_to_nothing() -> None:
    faint = np.full((32, 64), 200, np.uint8)
    faint[8:24, 20:24] = 150
    assert np.ptp(stretch_contrast(faint)) > 200
    noise = np.full((32, 64), 200, np.uint8)
    noise[::2] = 203
    assert np.ptp(stretch_contrast(noise)) < 40
