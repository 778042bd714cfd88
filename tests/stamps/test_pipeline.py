import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

import platemark as pm
from platemark.errors import ModelMismatch, ModelNotFound
from platemark.models import store

Draw = Callable[..., NDArray[np.float32]]


def paper(width: int = 600, height: int = 400) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 240, np.uint8)


@pytest.fixture
def stamps(stamp_models: Path) -> pm.StampPipeline:
    return pm.StampPipeline.from_pretrained(stamp_models, threads=1)


def test_a_stamp_is_found_cut_out_described_and_embedded(
    stamps: pm.StampPipeline, draw_stamp: Draw
) -> None:
    page = paper()
    ink = draw_stamp(page, "rectangle", (300, 200), 300, "red", turn=8)
    (mark,) = stamps(page).marks
    assert (mark.kind, mark.shape, mark.color) == ("stamp", "rectangle", "red")
    assert mark.rotation == pytest.approx(8, abs=2)
    assert mark.score == pytest.approx(0.9)
    assert np.allclose(mark.quad[0], (300 - 137, 200 - 98), atol=6)
    mask = mark.mask.to_array()
    assert mask.shape == (400, 600)
    assert (mask & (ink > 0.5)).sum() / (mask | (ink > 0.5)).sum() > 0.7
    assert mark.embedding.model == "stamp-embedder@1"
    assert mark.embedding.vector.shape == (16,)
    assert (mark.text, mark.identity, mark.lines) == (None, None, ())


def test_the_json_is_that_of_the_interface(
    stamps: pm.StampPipeline, draw_stamp: Draw, tmp_path: Path
) -> None:
    page = paper()
    draw_stamp(page, "circle", (300, 200), 200)
    path = tmp_path / "page.png"
    PIL.Image.fromarray(page).save(path)
    result = stamps(path)
    data = json.loads(json.dumps(result.to_dict()))
    (mark,) = data["marks"]
    named = ["kind", "score", "box", "quad", "shape", "color", "rotation", "mask"]
    assert list(mark) == [*named, "text", "text_score", "lines", "identity"]
    assert mark["mask"]["size"] == [400, 600]
    assert pm.Result.from_dict(data).to_dict() == data
    with_vector = result.to_dict(embedding=True)
    assert len(with_vector["marks"][0]["embedding"]) == 16
    assert pm.Result.from_dict(with_vector).marks[0].embedding == result.marks[0].embedding


def test_the_same_stamp_has_nearly_the_same_vector(
    stamp_pipeline: pm.StampPipeline, draw_stamp: Draw
) -> None:
    page = paper(900, 300)
    for x, color, shape in ((150, "blue", "circle"), (450, "red", "circle"), (750, "red", "other")):
        draw_stamp(page, shape, (x, 150), 200, color)
    marks = sorted(stamp_pipeline(page).marks, key=lambda mark: mark.box[0])
    first, second, other = (mark.embedding.vector for mark in marks)
    assert first @ second > 0.99 > first @ other


def test_a_blank_page_has_no_marks(stamps: pm.StampPipeline) -> None:
    result = stamps(paper())
    assert (result.marks, result.error) == ((), None)


def test_sixty_stamps_on_a_page(stamp_pipeline: pm.StampPipeline, draw_stamp: Draw) -> None:
    page = paper(1000, 1000)
    shapes = ("circle", "rectangle", "triangle")
    for number in range(60):
        column, row = number % 8, number // 8
        centre = (62 + 125 * column, 62 + 125 * row)
        draw_stamp(page, shapes[number % 3], centre, 90, text=())
    marks = stamp_pipeline(page).marks
    assert len(marks) == 60
    for mark in marks:
        column, row = (round((mark.box[axis] - 12) / 125) for axis in (0, 1))
        assert mark.shape == shapes[(8 * row + column) % 3]


def test_a_stamp_larger_than_the_page(stamps: pm.StampPipeline, draw_stamp: Draw) -> None:
    page = paper(200, 150)
    draw_stamp(page, "circle", (100, 75), 900, text=())
    page[70:80, 20:180] = (40, 60, 170)
    (mark,) = stamps(page).marks
    assert mark.mask.size == (150, 200)
    assert mark.mask.area > 1000


def test_a_photo_instead_of_a_scan(stamps: pm.StampPipeline) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for mark in stamps(noise).marks:
        assert mark.to_dict()["mask"]["size"] == [300, 400]


def test_a_detection_without_ink_is_a_mark_without_looks(stamps: pm.StampPipeline) -> None:
    box, quad = (10.0, 10.0, 60.0, 50.0), ((10, 10), (60, 10), (60, 50), (10, 50))
    found = [pm.Detection("stamp", 0.7, box, quad)]
    (mark,) = stamps.describe(pm.Image(paper()), found)
    assert (mark.shape, mark.color, mark.rotation, mark.embedding) == ("other", "other", None, None)
    assert (mark.box, mark.quad, mark.mask.area) == (box, quad, 0)


def test_documents_go_page_by_page(
    stamps: pm.StampPipeline, draw_stamp: Draw, tmp_path: Path
) -> None:
    pages = []
    for size in (100, 200, 300):
        page = paper()
        draw_stamp(page, "circle", (300, 200), size)
        pages.append(PIL.Image.fromarray(page))
    path = tmp_path / "scan.pdf"
    pages[0].save(path, save_all=True, append_images=pages[1:], resolution=72)
    results = stamps.pages(path)
    assert len(results) == 3
    widths = [np.ptp([x for x, _ in result.marks[0].quad]) / result.width for result in results]
    assert widths == sorted(widths)


def test_memory_does_not_grow_with_the_pages(
    stamps: pm.StampPipeline, draw_stamp: Draw, tmp_path: Path
) -> None:
    page = paper()
    draw_stamp(page, "circle", (300, 200), 200)
    picture = PIL.Image.fromarray(page)
    path = tmp_path / "long.tiff"
    picture.save(path, save_all=True, append_images=[picture] * 29, compression="tiff_lzw")
    held = []
    tracemalloc.start()
    for result in stamps.stream(str(path)):
        assert len(result.marks) == 1
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # A page is 720 kB of pixels.
    assert held[-1] - held[5] < 200_000


def test_one_model_takes_the_place_of_the_bundled_one(
    stamp_models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "BUNDLED", stamp_models)
    own = tmp_path / "own"
    shutil.copytree(stamp_models / "stamp-segmenter", own / "stamp-segmenter")
    for model in (None, own, own / "stamp-segmenter", "stamp-embedder", stamp_models):
        assert pm.StampPipeline.from_pretrained(model).embedder.name == "stamp-embedder@1"
    with pytest.raises(ModelNotFound):
        pm.StampPipeline.from_pretrained("nothing")


def test_a_plate_model_is_refused(
    stamp_models: Path, make_reader: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUNDLED", stamp_models)
    with pytest.raises(ModelMismatch, match="is a plate reader"):
        pm.StampPipeline.from_pretrained(make_reader("own-reader"))


def test_min_score_is_that_of_the_detector(stamp_models: Path, draw_stamp: Draw) -> None:
    page = paper()
    draw_stamp(page, "circle", (300, 200), 200)
    assert pm.StampPipeline.from_pretrained(stamp_models, min_score=0.95)(page).marks == ()
