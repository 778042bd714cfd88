"""What the reader learns from: its crops are those of inference, its texts are classes."""

import json
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from platemark.errors import UnreadableImage  # noqa: E402
from platemark.imaging.image import Pixels  # noqa: E402
from platemark.imaging.warp import rectified, rectify  # noqa: E402
from platemark.models.card import ReaderPreprocess  # noqa: E402
from platemark.models.preprocess import reader_input  # noqa: E402
from platemark.plates.formats import load_formats  # noqa: E402
from platemark.synth.camera.scene import Pose, paste, tilted_quad  # noqa: E402
from platemark.synth.plates.texture import draw_plate  # noqa: E402
from platemark.synth.plates.typefaces import FontLibrary  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.pictures import is_held_out  # noqa: E402
from platemark.train.reader import (  # noqa: E402
    ALPHABET,
    HEIGHT,
    MARGIN,
    WIDTH,
    ReaderTask,
    collapse,
    encode,
    scale,
)

SPEC = ReaderPreprocess(height=HEIGHT, width=WIDTH, margin=MARGIN)


@given(st.lists(st.integers(0, 3), min_size=1))
def test_collapse_merges_repeats_and_drops_blanks(classes: list[int]) -> None:
    assert collapse(np.array(classes)) == [value for value, _ in groupby(classes) if value]


@given(st.text(ALPHABET, min_size=1))
def test_a_text_is_its_classes(text: str) -> None:
    classes = encode(text)
    assert classes is not None
    assert "".join(ALPHABET[value - 1] for value in classes) == text


def test_texts_that_cannot_be_taught() -> None:
    assert encode("") is None
    assert encode("AB-12") is None


def write(folder: Path, picture: Pixels, **fields: object) -> Path:
    """A manifest of one real crop."""
    assert cv2.imwrite(str(folder / "crop.png"), picture[..., ::-1])
    height, width = picture.shape[:2]
    row = {"image": "crop.png", "width": width, "height": height, "kind": "crop", "split": "train"}
    manifest = folder / "annotations.jsonl"
    manifest.write_text(json.dumps(row | fields))
    return manifest


@pytest.mark.parametrize("width", [40, 100, 200, 300, 400, 1000])
def test_training_sees_what_inference_sees(tmp_path: Path, width: int) -> None:
    """Crops are kept small for training; that must not alias, nor differ from inference."""
    rng = np.random.default_rng((1, width))
    texture = draw_plate(load_formats()["eu-de"].sample(rng), FontLibrary(), rng)
    aspect = texture.pixels.shape[1] / texture.pixels.shape[0]
    quad = tilted_quad(width, aspect, rng, Pose(10, 5, 3))
    quad += 0.2 * width - quad.min(axis=0)
    right, bottom = np.ceil(quad.max(axis=0) + 0.2 * width).astype(int)
    picture = np.full((int(bottom), int(right), 3), 90, np.uint8)
    paste(picture, texture.pixels, texture.alpha, quad)
    box = [*quad.min(axis=0), *quad.max(axis=0)]
    plate = {"box": box, "quad": quad.tolist(), "text": texture.text}
    task = ReaderTask([write(tmp_path, picture, plates=[plate])])
    (crop,) = task.real + task.validation
    assert crop.pixels.shape[0] <= 110
    seen = rectified(crop.pixels, crop.quad, (WIDTH, HEIGHT), MARGIN)[0].astype(float)
    expected = reader_input(rectify(picture, quad, (WIDTH, HEIGHT), MARGIN).pixels, SPEC)
    assert np.abs(seen - expected).mean() < 5
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.985


def test_held_out_texts_are_not_learned(tmp_path: Path) -> None:
    texts = [f"AB{number}" for number in range(40)]
    plates = [{"box": [5, 5, 60, 20], "quad": None, "text": text} for text in texts]
    manifest = write(tmp_path, np.zeros((30, 70, 3), np.uint8), plates=plates)
    task = ReaderTask([manifest])
    kept = [text for text in texts if is_held_out(text, 0.12)]
    assert 0 < len(kept) < 15
    assert len(task.validation) == len(kept)
    assert task.size() == len(texts) - len(kept)
    assert all(crop.loose for crop in task.real)


def test_the_test_split_teaches_nothing(tmp_path: Path) -> None:
    plates = [{"box": [5, 5, 60, 20], "quad": None, "text": "AB12"}]
    picture = np.zeros((30, 70, 3), np.uint8)
    manifest = write(tmp_path, picture, plates=plates, split="test")
    (tmp_path / "crop.png").unlink()
    assert ReaderTask([manifest]).size() == 0


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    plates = [{"box": [5, 5, 60, 20], "quad": None, "text": "AB12"}]
    manifest = write(tmp_path, np.zeros((30, 70, 3), np.uint8), plates=plates)
    (tmp_path / "crop.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match=r"crop\.png"):
        ReaderTask([manifest])


def test_batches_depend_on_the_seed_and_the_step_alone(crops: Path) -> None:
    task, schedule = ReaderTask([crops]), Schedule(batch=4, rate=1e-3, seed=3)
    first, second, again = (task.batch(schedule, step) for step in (0, 1, 1))
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert not torch.equal(first[0], second[0])
    pictures, classes, lengths = first
    assert pictures.shape == (4, 1, HEIGHT, WIDTH)
    assert -1 <= pictures.min() < pictures.max() <= 1
    assert int(lengths.sum()) == len(classes)


def test_scale_reaches_both_ends() -> None:
    greys = scale(np.array([[[0, 255]]], np.uint8))
    assert greys.flatten().tolist() == [-1.0, 1.0]
