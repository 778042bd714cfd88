import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        ("s3://bucket/clip.mp4", UnsupportedInput, "no address of a video"),
        ("rtsp://me:secret@127.0.0.1:1/gate", UnreadableImage, "^rtsp://127.0.0.1:1/gate has no"),
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


class _Camera(BaseHTTPRequestHandler):
    """Sends 25 pictures a second, each of a level of its own, and breaks off after 40."""

    sent = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):
            for _ in range(40):
                level = type(self).sent
                type(self).sent += 1
                stream = io.BytesIO()
                PIL.Image.new("RGB", (64, 48), (level, level, level)).save(stream, "JPEG")
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {stream.tell()}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + stream.getvalue() + b"\r\n")
                time.sleep(0.04)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def camera() -> Iterator[str]:
    """The address of a live stream."""
    _Camera.sent = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Camera) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://me:secret@127.0.0.1:{server.server_port}/gate.mjpg"
        server.shutdown()
        thread.join()


def test_a_live_stream_gives_its_newest_frame_and_is_opened_again(camera: str) -> None:
    frames = read_video(camera)
    numbers, level = [], 0.0
    while level < 41:  # as the camera sends after it broke off
        frame = next(frames)
        level = float(frame.image.pixels.mean())
        numbers.append(frame.number)
        time.sleep(0.15)
    assert "secret" not in frame.image.source
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - numbers[0] > len(numbers)  # some were dropped
    frames.close()  # type: ignore[attr-defined]
    assert "platemark-stream" not in {thread.name for thread in threading.enumerate()}
