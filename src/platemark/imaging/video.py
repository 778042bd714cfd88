"""Videos as frames, one at a time: the only place that reads them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from platemark.errors import UnreadableImage, UnsupportedInput
from platemark.imaging.formats import HEAD, format_of
from platemark.imaging.image import Image, open_file

# A video that states no rate, or an impossible one, is taken for one of so many frames a second.
_USUAL_RATE, _HIGHEST_RATE = 25.0, 1000.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video.

    Attributes:
        image: Its pixels, turned upright; its ``page`` is the number of the frame.
        number: Counted from 0, those that were passed over included.
        seconds: When it is shown, from the beginning of the video.
    """

    image: Image
    number: int
    seconds: float


def read_video(path: str | os.PathLike[str], *, rate: float | None = None) -> Iterator[Frame]:
    """Read the frames of a video file, each when it is asked for.

    Args:
        path: MP4, MOV, MKV, WebM, AVI, MPEG.
        rate: Frames a second at most; others are passed over, which costs a fraction of reading
            them. None for all.

    Raises:
        UnreadableImage: The file is missing or damaged.
        UnsupportedInput: It is no video, or an address.
        ValueError: ``rate`` is not above 0.
    """
    if rate is not None and rate <= 0:
        raise ValueError(f"rate is above 0, got {rate}")
    name = os.fspath(path)
    with open_file(name, name, video=True) as stream:
        if format_of(stream.peek(HEAD)) != "video":
            raise UnsupportedInput(
                f"{name} is no video; for pictures: platemark plates {name}", source=name
            )
    # FFmpeg and nothing else, since others take names for patterns of file names.
    capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    try:
        stated = capture.get(cv2.CAP_PROP_FPS)
        step = 1.0 / (stated if 0.0 < stated <= _HIGHEST_RATE else _USUAL_RATE)
        number, due = 0, 0.0
        while capture.grab():
            # Containers whose frames have no times give 0 for each.
            seconds = max(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, 0.0) or number * step
            if rate is None or seconds >= due - step / 2.0:
                decoded, pixels = capture.retrieve()
                if decoded:
                    rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
                    yield Frame(Image(rgb, name, number), number, seconds)
                    due = due if rate is None else max(due + 1.0 / rate, seconds)
            number += 1
        if not number:
            raise UnreadableImage(f"{name} is damaged: it has no frame to read", source=name)
    finally:
        capture.release()
