"""Sets of synthetic pictures: reproducible, exactly labelled, and true to the split."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.datasets.manifest import Manifest
from platemark.errors import DatasetError, UnreadableImage
from platemark.geometry import is_convex
from platemark.imaging.image import Pixels
from platemark.imaging.warp import rectify
from platemark.plates.formats import load_formats
from platemark.synth.camera.scene import paste
from platemark.synth.plates import generate
from platemark.synth.plates.censor import censored
from platemark.synth.plates.studio import PlateLabel, PlateStudio
from platemark.synth.plates.texture import draw_plate
from platemark.synth.plates.typefaces import FontLibrary


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def photo(path: Path, seed: int = 0) -> Path:
    """A photo of coloured noise, 320x240."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(pixels, (0, 0), 3))
    return path


def annotate(folder: Path, **splits: str) -> Path:
    """A manifest of scenes with one plate each: name of the photo and its split."""
    rows = [
        {
            "image": f"{name}.jpg",
            "width": 320,
            "height": 240,
            "plates": [{"box": [100, 100, 200, 125], "quad": None, "text": None}],
            "kind": "scene",
            "split": split,
        }
        for name, split in splits.items()
    ]
    manifest = folder / "annotations.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def scenes(studio: PlateStudio, count: int) -> list[tuple[Pixels, list[PlateLabel]]]:
    return [studio.scene(np.random.default_rng(seed)) for seed in range(count)]


def test_pictures_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    for workers in (1, 2):
        generate(tmp_path / str(workers), 52, 7, kind="crops", workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.parametrize("kind", ["scenes", "crops"])
def test_a_seed_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    sets = {}
    for name, count, seed in (("a", 3, 1), ("b", 3, 1), ("longer", 4, 1), ("other", 3, 2)):
        generate(tmp_path / name, count, seed, kind=kind, workers=1)  # type: ignore[arg-type]
        sets[name] = files(tmp_path / name)
    assert sets["a"] == sets["b"]
    assert not any(sets["other"][key] == value for key, value in sets["a"].items())
    pictures = {key: value for key, value in sets["a"].items() if key.endswith(".jpg")}
    assert pictures.items() <= sets["longer"].items()


@pytest.mark.parametrize("kind", ["scenes", "crops"])
def test_the_manifest_says_what_is_in_the_pictures(tmp_path: Path, kind: str) -> None:
    told: list[tuple[int, int]] = []
    path = generate(
        tmp_path,
        6,
        3,
        kind=kind,  # type: ignore[arg-type]
        workers=1,
        progress=lambda done, count: told.append((done, count)),
    )
    manifest = Manifest.read(path)
    assert told[-1] == (6, 6)
    assert len(manifest) == 6
    assert {(entry.kind, entry.split) for entry in manifest} == {(kind.removesuffix("s"), "train")}
    for entry in manifest:
        picture = cv2.imread(str(manifest.path(entry)))
        assert picture is not None
        assert picture.shape == (entry.height, entry.width, 3)
    assert any(entry.plates for entry in manifest)


@pytest.mark.parametrize("backgrounds", [False, True])
def test_labels_are_exact(tmp_path: Path, backgrounds: bool) -> None:
    for index in range(2):
        photo(tmp_path / f"{index}.jpg", index)
    studio = PlateStudio(backgrounds=tmp_path if backgrounds else None)
    formats = load_formats()
    read = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        crop, crop_label = studio.crop(rng)
        scene, scene_labels = studio.scene(rng)
        pictures = [(crop, crop_label), *((scene, label) for label in scene_labels)]
        for picture, label in pictures:
            assert label.quad is not None
            assert label.region is not None
            assert is_convex(label.quad)
            assert (label.quad >= 0).all()
            assert (label.quad <= picture.shape[1::-1]).all()
            assert label.text is None or formats[label.region].matches(label.text)
            assert label.box == (*label.quad.min(axis=0), *label.quad.max(axis=0))
            read += label.text is not None
        assert crop_label.text is not None
    assert read > 20


def test_a_censored_plate_has_no_text_and_keeps_its_shape() -> None:
    studio = PlateStudio()
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        plate = studio.texture(rng)
        hidden = censored(plate, studio.fonts, rng)
        assert (hidden.text, hidden.obscured, plate.obscured) == (None, True, False)
        assert (hidden.rows, hidden.format_code) == (plate.rows, plate.format_code)
        assert hidden.pixels.shape == plate.pixels.shape
        assert np.array_equal(hidden.alpha, plate.alpha)
        shares.append((hidden.pixels != plate.pixels).any(axis=2).mean())
    # at least about a character of each, and most of many
    assert np.quantile(shares, 0.1) > 0.02
    assert np.median(shares) > 0.1
    assert max(shares) > 0.5


def test_scenes_say_which_plates_are_obscured(tmp_path: Path) -> None:
    manifest = Manifest.read(generate(tmp_path, 12, 5, workers=1))
    plates = [plate for entry in manifest for plate in entry.plates]
    assert {plate.obscured for plate in plates} == {True, False}
    assert all((plate.text is None) == plate.obscured for plate in plates)


def test_a_rectified_crop_is_the_plate_again() -> None:
    fonts, quad = FontLibrary(), np.array([[30.0, 40], [330, 25], [340, 95], [25, 112]])
    for code in ("eu-de", "ru", "br-mercosul", "us"):
        rng = np.random.default_rng(3)
        texture = draw_plate(load_formats()[code].sample(rng), fonts, rng)
        canvas = np.full((150, 380, 3), 120, np.uint8)
        paste(canvas, texture.pixels, texture.alpha, quad)
        size = (texture.pixels.shape[1], texture.pixels.shape[0])
        back = rectify(canvas, quad, size).pixels
        assert np.corrcoef(back.ravel(), texture.pixels.ravel())[0, 1] > 0.9


def test_photos_of_the_test_split_are_never_opened(tmp_path: Path) -> None:
    photo(tmp_path / "mine.jpg")
    (tmp_path / "theirs.jpg").write_bytes(b"would be an error")
    over = annotate(tmp_path, mine="train", theirs="test", missing="test")
    assert len(scenes(PlateStudio(over=over), 12)) == 12


def test_painted_over_plates_change_only_their_surroundings(tmp_path: Path) -> None:
    photo(tmp_path / "mine.png")
    manifest = annotate(tmp_path, mine="train")
    manifest.write_text(manifest.read_text().replace("mine.jpg", "mine.png"))
    studio = PlateStudio(over=manifest)
    plain = cv2.imread(str(tmp_path / "mine.png"))
    assert plain is not None
    for seed in range(6):
        canvas, (label,) = studio._repainted(np.random.default_rng(seed))
        changed = np.flatnonzero((canvas != plain[..., ::-1]).any(axis=2).any(axis=0))
        assert label.box == pytest.approx((100, 100, 200, 125))
        assert (label.region is None) == (not len(changed))
        if len(changed):
            assert changed.min() >= 90
            assert changed.max() <= 210


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures"):
        PlateStudio(backgrounds=tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match=r"broken\.jpg"):
        scenes(PlateStudio(backgrounds=tmp_path), 9)
    over = annotate(tmp_path, missing="train")
    with pytest.raises(UnreadableImage, match=r"missing\.jpg"):
        scenes(PlateStudio(over=over), 9)
    with pytest.raises(DatasetError, match="train split"):
        PlateStudio(over=annotate(tmp_path, one="test"))
