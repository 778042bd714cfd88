"""Videos, live streams and cameras as frames, one at a time: the only place that reads them."""

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import cv2
import numpy as np
from cv2.typing import MatLike

from platemark.errors import UnreadableImage, UnsupportedInput
from platemark.imaging.formats import HEAD, format_of
from platemark.imaging.image import Image, is_address, open_file

# A video that states no rate, or an impossible one, is taken for one of this many frames a second.
_USUAL_RATE, _HIGHEST_RATE = 25.0, 1000.0
_STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt")
_DEVICE = re.compile(r"(?:/dev/video)?([0-9]{1,3})", re.ASCII)
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")
# How long a stream may take to open, and be silent; and how long to wait before it is opened again,
# twice as long after each time that fails.
_TIMEOUT_MS, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10_000, 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video.

    Attributes:
        image: Its pixels, turned upright; its ``page`` is the number of the frame.
        number: Counted from 0, those that were skipped included.
        seconds: When it is shown, from the beginning of the video, or when it came.
    """

    image: Image
    number: int
    seconds: float


def read_video(source: str | os.PathLike[str], *, rate: float | None = None) -> Iterator[Frame]:
    """Read the frames of a video, each when it is asked for.

    A live stream, or a camera, has no end. Frames that come while none is asked for are dropped,
    but for the newest; when it breaks off it is opened again, as often as need be.

    Args:
        source: A file (MP4, MOV, MKV, WebM, AVI, MPEG), the address of a file or stream
            (``rtsp://``, ``https://`` ...), or a camera of this machine: its number, counted from
            0, or on Linux ``/dev/video0``. A password in an address is left out of results and
            errors.
        rate: Frames a second at most; others are skipped, which costs a fraction of reading
            them. None for all.

    Raises:
        UnreadableImage: It is missing or corrupt, or cannot be reached.
        UnsupportedInput: It is no video, or an address of another sort.
        ValueError: ``rate`` is not above 0.
    """
    if rate is not None and rate <= 0:
        raise ValueError(f"rate is above 0, got {rate}")
    place = os.fspath(source)
    name = _PASSWORD.sub("", place)
    camera = _camera(place)
    if camera is not None:
        capture = _open(place)
        if not capture.isOpened():
            raise UnreadableImage(
                f"{name}: there is no such camera, or another program has it, or it may not be "
                "used; cameras are counted from 0",
                source=name,
            )
    elif is_address(place):
        if place.split(":")[0].lower() not in _STREAMS:
            raise UnsupportedInput(
                f"{name} is no address of a video; those begin with {', '.join(_STREAMS)}",
                source=name,
            )
    else:
        with open_file(place, name, video=True) as stream:
            if format_of(stream.peek(HEAD)) != "video":
                raise UnsupportedInput(
                    f"{name} is no video; for pictures: platemark plates {name}", source=name
                )
    if camera is None:
        capture = _open(place)
        endless = is_address(place) and capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    if camera is not None or (endless and capture.isOpened()):
        shown = _live(place, capture, _Pace(rate, 0.0))
    else:
        shown = _recorded(capture, name, rate)
    for number, seconds, pixels in shown:
        rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
        yield Frame(Image(rgb, name, number), number, seconds)


def _camera(place: str) -> int | None:
    """The number of a camera of this machine; None for a file or an address."""
    device = _DEVICE.fullmatch(place)
    return int(device[1]) if device and not Path(place).is_file() else None


def _open(place: str) -> cv2.VideoCapture:
    if (camera := _camera(place)) is not None:
        return cv2.VideoCapture(camera, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    # FFmpeg and nothing else, since others take names for patterns of file names.
    timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
    options = [word for timeout in timeouts for word in (timeout, _TIMEOUT_MS)]
    return cv2.VideoCapture(place, cv2.CAP_FFMPEG, options)


class _Pace:
    """Says which frames are taken, to keep to a frame rate; ``slack`` in seconds."""

    def __init__(self, rate: float | None, slack: float) -> None:
        self._step = 0.0 if rate is None else 1.0 / rate
        self._due, self._slack = 0.0, slack

    def takes(self, seconds: float) -> bool:
        """Whether a frame at this time is."""
        if self._step and seconds < self._due - self._slack:
            return False
        self._due = max(self._due + self._step, seconds)
        return True


def _recorded(
    capture: cv2.VideoCapture, name: str, rate: float | None
) -> Iterator[tuple[int, float, MatLike]]:
    """Number, time and BGR pixels of the frames of a file."""
    try:
        stated = capture.get(cv2.CAP_PROP_FPS)
        step = 1.0 / (stated if 0.0 < stated <= _HIGHEST_RATE else _USUAL_RATE)
        pace, number = _Pace(rate, step / 2.0), 0
        while capture.grab():
            # Containers whose frames have no times give 0 for each.
            seconds = max(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, 0.0) or number * step
            if pace.takes(seconds):
                decoded, pixels = capture.retrieve()
                if decoded:
                    yield number, seconds, pixels
            number += 1
        if not number:
            raise UnreadableImage(
                f"{name} has no frame to read: it is corrupt, or cannot be reached", source=name
            )
    finally:
        capture.release()


def _live(
    place: str, capture: cv2.VideoCapture, pace: _Pace
) -> Iterator[tuple[int, float, MatLike]]:
    """Number, time and BGR pixels of the newest frame of a stream, whenever it is asked for."""
    newest: Queue[tuple[int, float, MatLike]] = Queue(1)
    ended = threading.Event()
    receiver = threading.Thread(
        target=_receive,
        name="platemark-stream",
        args=(place, capture, pace, newest, ended),
        daemon=True,
    )
    receiver.start()
    try:
        while True:
            yield newest.get()
    finally:
        ended.set()
        receiver.join(_TIMEOUT_MS / 1e3)


def _receive(
    place: str,
    capture: cv2.VideoCapture,
    pace: _Pace,
    newest: "Queue[tuple[int, float, MatLike]]",
    ended: threading.Event,
) -> None:
    start, number, pause = time.monotonic(), 0, _FIRST_PAUSE_S
    while not ended.is_set():
        while not ended.is_set() and capture.grab():
            pause = _FIRST_PAUSE_S
            seconds = time.monotonic() - start
            if pace.takes(seconds):
                decoded, pixels = capture.retrieve()
                if decoded:
                    with suppress(Empty):
                        newest.get_nowait()
                    newest.put((number, seconds, pixels))
            number += 1
        capture.release()
        if ended.wait(pause):
            return
        pause = min(2.0 * pause, _LONGEST_PAUSE_S)
        capture = _open(place)
    capture.release()
