"""Composites: what is laid where, what is said of it, and what differs between their parts."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.errors import DatasetError
from platemark.train.composites import Composite, CompositeStudio, Overlay, Part


def ink_mark() -> Overlay:
    """A dark frame on paper, 60 by 40, with a margin of 10."""
    keep = np.ones((60, 80, 3), np.float32)
    keep[10:50, 10:70] = 0.1
    keep[20:40, 20:60] = 1.0
    return Overlay.of_ink(keep)


def green_label() -> Overlay:
    return Overlay.of_label(
        np.full((40, 60, 3), (0, 255, 0), np.uint8), np.full((40, 60), 255, np.uint8)
    )


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        shade = np.full((300, 300, 3), 20 * number + 10, np.uint8)
        PIL.Image.fromarray(shade).save(folder / f"{number:02d}.png")
    return folder


def made(studio: CompositeStudio, count: int) -> list[Composite]:
    return [studio.window(256, np.random.default_rng(number)) for number in range(count)]


def test_an_overlay_is_as_large_as_what_is_seen_of_it() -> None:
    assert ink_mark().size.tolist() == [60.0, 40.0]
    assert green_label().size.tolist() == [60.0, 40.0]
    shrunk = ink_mark().shrunk(0.5)
    assert shrunk.keep.shape == (30, 40, 3)
    assert shrunk.size.tolist() == [30.0, 20.0]


def test_the_box_is_where_the_mark_is() -> None:
    studio = CompositeStudio({"label": [green_label()]})
    seen = 0
    for composite in made(studio, 40):
        for mark in composite.marks:
            pixels = composite.pixels.astype(int)
            green = pixels[..., 1] - pixels[..., [0, 2]].max(axis=2) > 120
            x0, y0, x1, y1 = mark.box.round().astype(int).tolist()
            if not mark.counts or (y1 - y0) * (x1 - x0) < 900:
                continue
            inside = green[y0:y1, x0:x1].mean()
            beside = green.copy()
            beside[max(y0 - 3, 0) : y1 + 3, max(x0 - 3, 0) : x1 + 3] = False
            seen += inside > 0.25
            # Near-copies are of the same green, and apart.
            assert (mark.name, inside > 0.05) == ("label", True)
            assert not green[max(y0 - 3, 0) : y1 + 3, max(x0 - 3, 0) : x1 + 3].all() or inside > 0.9
    assert seen >= 10


def test_a_composite_is_the_same_each_time_and_the_mark_is_missing_at_times() -> None:
    first, second = (made(CompositeStudio({"frame": [ink_mark()]}), 12) for _ in range(2))
    assert all(
        np.array_equal(a.pixels, b.pixels) and len(a.marks) == len(b.marks)
        for a, b in zip(first, second, strict=True)
    )
    assert {len(one.marks) for one in first} == {0, 1}


def test_an_altered_mark_keeps_its_outline_and_differs() -> None:
    rng = np.random.default_rng(0)
    noise = np.asarray(rng.random((80, 80, 3)), np.float32) * np.float32(0.6)
    mark = Overlay.of_ink(noise)
    for _ in range(5):
        other = mark.altered(rng)
        assert other.size.tolist() == mark.size.tolist()
        assert not np.array_equal(other.keep, mark.keep)
        assert np.allclose(np.sort(other.keep.ravel()).mean(), noise.mean(), atol=0.1)


def test_no_picture_is_both_learned_from_and_reported_on(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "grounds", 10)

    def shades(part: Part) -> set[int]:
        studio = CompositeStudio({"frame": [ink_mark()]}, folder, part=part)
        return {int(path.stem) for path in studio.pictures}

    parts: list[set[int]] = [shades("learn"), shades("choose"), shades("report")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert set.union(*parts) == set(range(10))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures"):
        CompositeStudio({"frame": [ink_mark()]}, tmp_path)


def test_pictures_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "grounds", 1)
    (folder / "99.png").write_bytes(b"no picture")
    assert len(made(CompositeStudio({"frame": [ink_mark()]}, folder), 12)) == 12
    (folder / "00.png").write_bytes(b"nor this")
    with pytest.raises(DatasetError, match="can be read"):
        made(CompositeStudio({"frame": [ink_mark()]}, folder), 12)


def test_ink_on_a_dark_ground_is_on_paper(tmp_path: Path) -> None:
    folder = tmp_path / "dark"
    folder.mkdir()
    black: NDArray[np.uint8] = np.zeros((300, 300, 3), np.uint8)
    PIL.Image.fromarray(black).save(folder / "black.png")
    studio = CompositeStudio({"frame": [ink_mark()]}, folder)
    laid = [one for one in made(studio, 30) if one.marks and one.marks[0].counts]
    for composite in laid:
        x0, y0, x1, y1 = composite.marks[0].box.round().astype(int).tolist()
        assert composite.pixels[y0:y1, x0:x1].max() > 100
