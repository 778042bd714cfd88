"""Every format: what is written is read back."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platemark.datasets import (
    Dataset,
    Manifest,
    ManifestEntry,
    PlateAnnotation,
    StampAnnotation,
    convert,
    write_manifest,
)
from platemark.geometry import is_convex, quad_to_box

WIDTH, HEIGHT = 640, 480
WHOLE = ("via", "via1", "coco", "voc", "labelstudio", "labelme", "cvat")
"""Formats that keep all of an annotation."""
GEOMETRY = ("yolo", "yolo-obb", "yolo-pose")
CROPS = ("csv", "nomeroff")


@pytest.fixture(scope="session")
def png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("png") / "image.png"
    PIL.Image.new("RGB", (WIDTH, HEIGHT), "grey").save(file)
    return file


def on_grid(value: float) -> float:
    return round(value * 8) / 8


@st.composite
def quads(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Corners of a turned and slanted rectangle, from its own top-left."""
    x, y = draw(st.floats(100, 540)), draw(st.floats(100, 380))
    wide, high = draw(st.floats(10, 80)), draw(st.floats(5, 40))
    turn = np.deg2rad(draw(st.floats(-180, 180)))
    corners = np.array([(-wide, -high), (wide, -high), (wide * 0.9, high), (-wide, high)])
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + (
        x,
        y,
    )
    return tuple((on_grid(px), on_grid(py)) for px, py in turned)


@st.composite
def places(draw: st.DrawFn) -> dict[str, Any]:
    """A box, or a quad with its bounds or a box that is not quite these."""
    if draw(st.booleans()):
        x0, y0 = on_grid(draw(st.floats(0, 500))), on_grid(draw(st.floats(0, 400)))
        sides = (on_grid(draw(st.floats(1, 100))), on_grid(draw(st.floats(1, 60))))
        return {"box": (x0, y0, x0 + sides[0], y0 + sides[1])}
    quad = draw(quads().filter(lambda quad: is_convex(np.array(quad))))
    box = quad_to_box(np.array(quad)).tolist()
    return {
        "quad": quad,
        "box": tuple(box[:2] + [side + draw(st.sampled_from([0, 1.5])) for side in box[2:]]),
    }


texts = st.none() | st.text("AZ09ÄЖ京", min_size=1, max_size=9)
plates = st.builds(
    lambda place, **said: PlateAnnotation(**place, **said),
    places(),
    text=texts,
    region=st.sampled_from([None, "eu-de", "cn"]),
    lines=st.sampled_from([None, 1, 2]),
    obscured=st.sampled_from([None, True]),
)
stamps = st.builds(
    lambda place, **said: StampAnnotation(**place, **said),
    places(),
    text=st.sampled_from([None, "ACME Ltd / Kyiv", '"<Möbel & Söhne>", №7', "12"]),
    shape=st.sampled_from([None, "circle", "other"]),
    rotation=st.sampled_from([None, 12.5]),
    identity=st.sampled_from([None, "acme-1"]),
    lines=st.sampled_from([(), ({"text": "ACME", "path": "ring"},)]),
)
entries = st.builds(
    ManifestEntry,
    image=st.just(""),
    width=st.just(WIDTH),
    height=st.just(HEIGHT),
    plates=st.lists(plates, max_size=3).map(tuple),
    stamps=st.lists(stamps, max_size=2).map(tuple),
    ignore=st.sampled_from([(), ((1.0, 2.0, 30.0, 40.0),)]),
    split=st.sampled_from(["train", "dev", "test"]),
    source=st.sampled_from([None, "own & others"]),
)


def own_set(folder: Path, png: Path, rows: list[ManifestEntry]) -> Path:
    """A manifest with an image for each row, in folders."""
    manifest = folder / "own" / "annotations.jsonl"
    named = [
        row.model_copy(update={"image": f"images/{n % 2}/{n}.png"}) for n, row in enumerate(rows)
    ]
    write_manifest(manifest, named)
    for row in named:
        (manifest.parent / row.image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(png, manifest.parent / row.image)
    return manifest


def there_and_back(folder: Path, manifest: Path, name: str) -> list[ManifestEntry]:
    convert(Dataset.open(manifest), folder / name, name)
    back = folder / "back.jsonl"
    assert convert(Dataset.open(folder / name), back).images == len(Manifest.read(manifest))
    read = Manifest.read(back)
    assert all(read.path(entry).is_file() for entry in read)
    return sorted(read, key=lambda entry: int(Path(entry.image).stem.rpartition("_")[2]))


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=12, deadline=None)
@given(rows=st.lists(entries, min_size=1, max_size=4))
def test_all_of_an_annotation_comes_back(
    name: str, rows: list[ManifestEntry], png: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(name)
    back = there_and_back(folder, own_set(folder, png, rows), name)
    for before, after in zip(rows, back, strict=True):
        assert after.model_copy(update={"image": ""}) == before


@pytest.mark.parametrize("name", GEOMETRY)
@settings(max_examples=12, deadline=None)
@given(rows=st.lists(entries, min_size=1, max_size=4))
def test_yolo_gives_back_what_its_labels_hold(
    name: str, rows: list[ManifestEntry], png: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(name)
    back = there_and_back(folder, own_set(folder, png, rows), name)
    for before, after in zip(rows, back, strict=True):
        assert after.split == before.split
        for kind in ("plates", "stamps"):
            for one, other in zip(getattr(before, kind), getattr(after, kind), strict=True):
                if name != "yolo-obb":
                    assert other.box == one.box
                if name == "yolo":
                    assert other.quad is None
                else:
                    assert other.corners.tolist() == one.corners.tolist()


@pytest.mark.parametrize("name", CROPS)
def test_crops_come_back(name: str, png: Path, tmp_path: Path) -> None:
    whole = (0.0, 0.0, float(WIDTH), float(HEIGHT))
    lines = 2 if name == "nomeroff" else None
    rows = [
        ManifestEntry(
            image="",
            width=WIDTH,
            height=HEIGHT,
            plates=(PlateAnnotation(box=whole, text=text, region=region, lines=lines),),
            kind="crop",
            split=split,
        )
        for text, region, split in [
            ("AC4921CB", "eu-ua-2015", "train"),
            ("B777OO77", "ru", "dev"),
            ("DE1", "eu-de", "test"),
            ("X", None, "train"),
        ]
    ]
    back = there_and_back(tmp_path, own_set(tmp_path, png, rows), name)
    assert [entry.model_copy(update={"image": ""}) for entry in back] == rows
