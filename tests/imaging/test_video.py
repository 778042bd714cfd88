from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from platemark.errors import UnreadableImage, UnsupportedInput
from platemark.imaging.video import read_video

MakeVideo = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Write a video whose frames grow lighter, and redder than blue."""

    def make(name: str = "clip.avi", code: str = "MJPG", count: int = 20, rate: float = 10) -> Path:
        path = tmp_path / name
        size = (64, 48)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, size)
        for number in range(count):
            level = 10 * number
            writer.write(np.full((48, 64, 3), (level // 2, level, level), np.uint8))
        writer.release()
        return path

    return make


@pytest.mark.parametrize(("name", "code"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_frames_come_in_order_with_their_times(make_video: MakeVideo, name: str, code: str) -> None:
    path = make_video(name, code)
    frames = list(read_video(path))
    assert [frame.number for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx([n / 10 for n in range(20)])
    red, _, blue = frames[19].image.pixels.mean(axis=(0, 1))
    assert (red, blue) == (pytest.approx(190, abs=8), pytest.approx(95, abs=8))
    assert (frames[3].image.source, frames[3].image.page) == (str(path), 3)


@pytest.mark.parametrize(
    ("rate", "numbers"),
    [(100, range(20)), (10, range(20)), (5, range(0, 20, 2)), (1, (0, 10)), (0.1, (0,))],
)
def test_frames_are_passed_over_to_keep_to_a_rate(
    make_video: MakeVideo, rate: float, numbers: range | tuple[int, ...]
) -> None:
    frames = list(read_video(make_video(), rate=rate))
    assert [frame.number for frame in frames] == list(numbers)
    assert [frame.seconds for frame in frames] == pytest.approx([n / 10 for n in numbers])


def test_what_is_no_video_says_so(make_video: MakeVideo, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    PIL.Image.new("RGB", (9, 9)).save(picture)
    for name, error, message in (
        (picture, UnsupportedInput, "is no video"),
        (tmp_path, UnsupportedInput, "is a folder"),
        ("rtsp://host/stream", UnsupportedInput, "is an address"),
        (tmp_path / "none.mp4", UnreadableImage, "does not exist"),
    ):
        with pytest.raises(error, match=message):
            next(read_video(name))
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(make_video().read_bytes()[:40])
    with pytest.raises(UnreadableImage, match="no frame"):
        next(read_video(damaged))
    with pytest.raises(ValueError, match="rate is above 0"):
        next(read_video(picture, rate=0))
