import asyncio
import io
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from platemark.errors import InferenceFailed, UnreadableImage
from platemark.imaging.draw import draw_marks
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.types import Detection, PlateMark, Result


def detect(image: Image) -> list[Detection]:
    """One mark in the upper half of every picture; a picture 13 wide fails."""
    if image.width == 13:
        raise InferenceFailed(f"{image.source} is unlucky", source=image.source)
    width, height = image.width, image.height / 2
    quad = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return [Detection("plate", 0.9, (0, 0, width, height), quad)]


class Widths(Pipeline[PlateMark]):
    """Says of every mark how wide the picture is."""

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        return [
            PlateMark(item.score, item.box, item.quad, text=f"W{image.width}")
            for item in detections
        ]


@pytest.fixture
def pipeline() -> Widths:
    return Widths(detect)


def save(path: Path, *widths: int) -> Path:
    first, *others = [PIL.Image.new("RGB", (width, 20)) for width in widths]
    first.save(path, **({"save_all": True, "append_images": others} if others else {}))
    return path


def test_one_image_gives_one_result(pipeline: Widths, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 30)
    result = pipeline(path)
    assert (result.source, result.page, result.width, result.height) == (str(path), 0, 30, 20)
    assert [mark.text for mark in result.marks] == ["W30"]
    assert result.elapsed_ms > 0
    assert result.error is None


def test_all_kinds_of_input_give_the_same_marks(pipeline: Widths, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 30)
    with PIL.Image.open(path) as picture:
        inputs = [
            path,
            str(path),
            path.read_bytes(),
            np.asarray(picture),
            picture,
            Image.read(path),
        ]
        assert len({pipeline(value).marks for value in inputs}) == 1


def test_one_image_that_fails_raises(pipeline: Widths, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="does not exist"):
        pipeline(tmp_path / "none.jpg")
    with pytest.raises(InferenceFailed):
        pipeline(save(tmp_path / "a.png", 13))


def test_a_verifier_drops_candidates_and_changes_scores(pipeline: Widths) -> None:
    def halve(image: Image, detections: Sequence[Detection]) -> list[Detection]:
        return [replace(item, score=item.score / 2) for item in detections if image.width < 40]

    verified = Widths(detect, halve)
    for width, scores in ((30, [0.45]), (50, [])):
        picture = PIL.Image.new("RGB", (width, 20))
        assert [mark.score for mark in verified(picture).marks] == scores
        # one contract for every way to ask
        assert [mark.score for mark in verified.marks(Image.read(picture))] == scores
        without = verified.with_parts(verifier=None)
        assert without(picture).marks == tuple(without.marks(Image.read(picture)))
        assert without(picture).marks == pipeline(picture).marks
    assert verified.verifier is halve
    with pytest.raises(TypeError, match="has no part 'gate'"):
        verified.with_parts(gate=None)


def test_what_the_last_search_of_a_page_finds_is_covered_too() -> None:
    calls = iter(range(100))

    def one_more(image: Image, *, min_score: float = 0.5) -> list[Detection]:
        x = 20.0 * next(calls)
        return [Detection.given("plate", (x, 5.0, x + 10.0, 10.0))]

    covered = Widths(one_more).redact(np.full((20, 400, 3), 200, np.uint8), "box")
    assert len(covered.marks) == next(calls) > 2
    for mark in covered.marks:
        x0, y0, x1, y1 = map(int, mark.box)
        assert not covered.image.pixels[y0:y1, x0:x1].any()


def test_a_stream_goes_on_after_errors(pipeline: Widths, tmp_path: Path) -> None:
    save(tmp_path / "a.png", 30)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    save(tmp_path / "c.png", 13)
    save(tmp_path / "d.tif", 40, 13, 50)
    inputs = [tmp_path, tmp_path / "none.jpg"]
    results = list(pipeline.stream(inputs, workers=1))
    together = list(pipeline.stream(inputs, workers=3))
    assert list(map(timeless, together)) == list(map(timeless, results))
    codes = [result.error and result.error.code for result in results]
    bad, unlucky = "unreadable_image", "inference_failed"
    assert codes == [None, bad, unlucky, None, unlucky, None, bad]
    assert [result.page for result in results] == [0, 0, 0, 0, 1, 2, 0]
    assert results[1].to_dict()["source"] == str(tmp_path / "b.jpg")


def timeless(result: Result) -> dict[str, object]:
    """The JSON of a result without the time it took."""
    return {key: value for key, value in result.to_dict().items() if key != "elapsed_ms"}


def test_a_stream_is_lazy(pipeline: Widths, tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.png", 30) for i in range(2)]
    results = pipeline.stream(paths, workers=1)
    assert next(results).error is None
    paths[1].unlink()
    assert next(results).error is not None


def test_a_stream_works_on_several_pages_at_a_time(tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def meet(image: Image) -> list[Detection]:
        together.wait(60)
        return detect(image)

    scan = save(tmp_path / "scan.tif", 30, 40, 50, 60)
    for inputs in (scan, save(tmp_path / "scan.pdf", 30, 40), [scan, Image.read(scan)] * 2):
        results = list(Widths(meet).stream(inputs, workers=2))
        assert all(result.error is None for result in results)
    with pytest.raises(ValueError, match="workers is at least 1"):
        Widths(meet).stream(scan, workers=0)


def test_a_stream_takes_an_array_as_it_was_when_it_was_given(pipeline: Widths) -> None:
    frame = np.zeros((20, 30, 3), np.uint8)

    def camera() -> Iterator[np.ndarray]:
        for level in range(8):
            frame[:] = level
            yield frame

    def level(image: Image) -> list[Detection]:
        time.sleep(0.005)
        return [replace(detect(image)[0], score=int(image.pixels.max()) / 10)]

    results = Widths(level).stream(camera(), workers=2)
    assert [result[0].score for result in results] == [n / 10 for n in range(8)]


def test_a_picture_given_twice_is_loaded_once(pipeline: Widths, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as picture:
        for result in pipeline.stream([picture] * 20, workers=4):
            assert drawn(result, noise)


@pytest.mark.parametrize("suffix", [".tif", ".pdf"])
def test_pages_are_looked_at_when_they_are_asked_for(tmp_path: Path, suffix: str) -> None:
    seen: list[int] = []

    def note(image: Image) -> list[Detection]:
        seen.append(image.page)
        return detect(image)

    pages = Widths(note).pages(save(tmp_path / f"scan{suffix}", 30, 40, 50))
    assert len(pages) == 3
    assert seen == []
    assert pages[2].page == pages[-1].page == 2
    assert seen == [2]
    assert [result.page for result in pages] == [0, 1, 2]
    assert [result.page for result in pages[1:]] == [1, 2]
    assert seen == [2, 0, 1]
    with pytest.raises(IndexError):
        pages[3]


@pytest.mark.parametrize("suffix", [".tif", ".pdf"])
def test_a_document_as_one_image_is_its_first_page_and_a_warning(
    pipeline: Widths, tmp_path: Path, suffix: str
) -> None:
    scan = save(tmp_path / f"scan{suffix}", 30, 40)
    with pytest.warns(UserWarning, match=r"has 2 pages.*pipeline\.pages\(") as warned:
        assert pipeline(scan).page == 0
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="only the first"):
        assert [result.page for result in pipeline([scan])] == [0]


def test_a_list_of_images_gives_a_list(pipeline: Widths, tmp_path: Path) -> None:
    good, missing = save(tmp_path / "a.png", 30), tmp_path / "none.png"
    array = np.zeros((20, 40, 3), np.uint8)
    for images in ([good, missing, array], (good, missing, array)):
        results = pipeline(images)
        assert [result.width for result in results] == [30, 0, 40]
        assert results[1].error is not None
        assert results[1].source == str(missing)
    assert pipeline([]) == []


def test_images_are_done_beside_an_event_loop(pipeline: Widths, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 30)

    async def both() -> list[Result]:
        return await asyncio.gather(pipeline.acall(path), pipeline.acall(path.read_bytes()))

    assert [result.marks for result in asyncio.run(both())] == [pipeline(path).marks] * 2
    with pytest.raises(UnreadableImage):
        asyncio.run(pipeline.acall(tmp_path / "none.png"))


def drawn(result: Result, pixels: np.ndarray) -> bool:
    return np.array_equal(np.asarray(result.plot()), draw_marks(pixels, result.marks))


def test_plot_draws_on_the_image_wherever_it_came_from(pipeline: Widths, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(noise).save(buffer, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(buffer.getvalue())
    for value in (path, noise, buffer.getvalue()):
        assert drawn(pipeline(value), noise)
        (result,) = pipeline.stream([value])
        assert drawn(result, noise)


def test_results_of_files_do_not_hold_their_pixels(pipeline: Widths, tmp_path: Path) -> None:
    path = save(tmp_path / "scan.tif", 30, 40)
    page = pipeline.pages(path)[1]
    assert page.plot().size == (40, 20)
    path.unlink()
    with pytest.raises(UnreadableImage, match="does not exist"):
        page.plot()


def test_a_renamed_array_is_not_mistaken_for_a_file(pipeline: Widths, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 30)
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert drawn(pipeline(Image.read(noise, str(path))), noise)
