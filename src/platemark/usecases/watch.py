"""Plates in a video: one event for each vehicle, read from the best of its frames.

The plates of a frame are matched with those of earlier ones by where they should be now, as far as
their speed tells, and by what they say; nearest first. The readings of one plate that are most
certain are decided together, as are views of a plate in a photo.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from typing import Any

from platemark.imaging.image import Image
from platemark.imaging.video import Frame
from platemark.metrics.text import edit_distance
from platemark.parallel import map_in_order
from platemark.plates.pipeline import PlatePipeline
from platemark.types import PlateMark, Reading

# A plate that is not seen for so many seconds has gone.
_GONE_S = 3.0
# How far a plate may be from where it should be, in lengths of itself: as it is, where its text is
# nearly the same, and where both texts are certain and have nothing to do with each other.
_REACH, _REACH_OF_ALIKE = 1.5, 6.0
_CERTAIN, _OTHER_EDITS = 0.9, 2
# Of one plate, two boxes do not differ more in length from one frame to the next.
_GROWTH = 2.0
# Share of the newest step in the speed of a plate.
_NEWEST = 0.5
# So many readings of a plate, the most certain, decide what it says.
_READINGS = 8
# A plate is reported that was seen in so many frames, or is read with certainty.
_LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Event:
    """A vehicle was there.

    Attributes:
        source: The video.
        mark: Its plate as it is in the best frame, with what all frames together say.
        start: When it was first seen, in seconds from the beginning of the video.
        end: When it was last seen.
        frame: Number of the best frame, counted from 0.
        frames: In how many it was seen.
        image: The best frame.
    """

    source: str
    mark: PlateMark
    start: float
    end: float
    frame: int
    frames: int
    image: Image = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "source": self.source,
            **self.mark.to_dict(),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "frame": self.frame,
            "frames": self.frames,
        }


def watch(
    pipeline: PlatePipeline,
    frames: Iterable[Frame],
    *,
    min_text_score: float = 0.5,
    workers: int = 1,
) -> Iterator[Event]:
    """Find the vehicles of a video by their plates, each once it has gone.

    Args:
        pipeline: Finds and reads the plates of a frame.
        frames: In their order, see `platemark.imaging.video.read_video`.
        min_text_score: Plates that are read with less certainty are left out.
        workers: Frames that are worked on at a time.

    Raises:
        InputError: The video cannot be read.
        InferenceFailed: A network did not run.
    """
    tracks: list[_Track] = []
    tell = partial(_told, pipeline, min_text_score)
    look = partial(_look, pipeline)
    with closing(map_in_order(look, frames, workers)) as looked:
        for frame, marks in looked:
            gone = [track for track in tracks if frame.seconds - track.last > _GONE_S]
            tracks = [track for track in tracks if track not in gone]
            yield from tell(gone)
            tracks += _matched(tracks, frame, marks)
    yield from tell(tracks)


def _look(pipeline: PlatePipeline, frame: Frame) -> tuple[Frame, list[PlateMark]]:
    return frame, pipeline.marks(frame.image)


@dataclass(eq=False)
class _Track:
    """A plate over the frames.

    Attributes:
        source: The video.
        first: When it was first seen, in seconds.
        last: When it was last seen.
        mark: As it was then.
        frames: In how many it was seen.
        speed: Of its centre, in pixels a second across and down.
        readings: Those that were most certain.
        best: The frame in which it was read best, and the mark there.
    """

    source: str
    first: float
    last: float
    mark: PlateMark
    best: tuple[Frame, PlateMark]
    frames: int = 1
    speed: tuple[float, float] = (0.0, 0.0)
    readings: list[Reading] = field(default_factory=list)

    def distance(self, mark: PlateMark, now: float) -> float | None:
        """How far a mark is from where this plate should be, in lengths; None for another plate."""
        lengths = _length(self.mark), _length(mark)
        if max(lengths) > _GROWTH * min(lengths):
            return None
        x, y = _centre(self.mark)
        passed = now - self.last
        to_x, to_y = _centre(mark)
        away = math.hypot(
            to_x - x - self.speed[0] * passed, to_y - y - self.speed[1] * passed
        ) / max(lengths)
        return away if away <= _reach(self.best[1], mark) else None

    def add(self, frame: Frame, mark: PlateMark) -> None:
        """Take the plate as it is in another frame."""
        passed = max(frame.seconds - self.last, 1e-3)
        steps = zip(_centre(self.mark), _centre(mark), self.speed, strict=True)
        vx, vy = (old + _NEWEST * ((there - here) / passed - old) for here, there, old in steps)
        self.speed = vx, vy
        self.last, self.mark = frame.seconds, mark
        self.frames += 1
        self.take(mark)
        if _worth(mark) > _worth(self.best[1]):
            self.best = frame, mark

    def take(self, mark: PlateMark) -> None:
        """Take a reading into account."""
        if mark.text is not None:
            readings = [*self.readings, mark.reading]
            self.readings = nlargest(_READINGS, readings, key=lambda one: one.score)


def _matched(tracks: list[_Track], frame: Frame, marks: list[PlateMark]) -> list[_Track]:
    """Give the marks of a frame to the tracks, nearest first, and return tracks of those left."""
    pairs = [
        (away, index, number)
        for index, track in enumerate(tracks)
        for number, mark in enumerate(marks)
        if (away := track.distance(mark, frame.seconds)) is not None
    ]
    left_tracks, left_marks = set(range(len(tracks))), set(range(len(marks)))
    for _, index, number in sorted(pairs):
        if index in left_tracks and number in left_marks:
            left_tracks.remove(index)
            left_marks.remove(number)
            tracks[index].add(frame, marks[number])
    new = []
    for number in sorted(left_marks):
        mark = marks[number]
        track = _Track(frame.image.source, frame.seconds, frame.seconds, mark, (frame, mark))
        track.take(mark)
        new.append(track)
    return new


def _told(
    pipeline: PlatePipeline, min_text_score: float, tracks: Iterable[_Track]
) -> Iterator[Event]:
    """The events of plates that have gone, in the order in which they came."""
    for track in sorted(tracks, key=lambda one: one.first):
        if not track.readings:
            continue
        reading = pipeline.decoder(track.readings)
        often = track.frames >= _LEAST_FRAMES or reading.score >= _CERTAIN
        if reading.text is None or reading.score < min_text_score or not often:
            continue
        frame, mark = track.best
        yield Event(
            track.source,
            PlateMark.of(mark.detection, reading),
            track.first,
            track.last,
            frame.number,
            track.frames,
            frame.image,
        )


def _reach(one: PlateMark, other: PlateMark) -> float:
    """How far apart two sightings of a plate may be, by what they say."""
    if one.text is None or other.text is None:
        return _REACH
    if one.text == other.text:
        return math.inf
    edits = edit_distance(one.text, other.text)
    if edits == 1:
        return _REACH_OF_ALIKE
    certain = min(one.text_score, other.text_score) >= _CERTAIN
    return 0.0 if certain and edits > _OTHER_EDITS else _REACH


def _worth(mark: PlateMark) -> tuple[float, float]:
    return min(mark.text_score, _CERTAIN), _length(mark)


def _length(mark: PlateMark) -> float:
    return max(mark.box[2] - mark.box[0], mark.box[3] - mark.box[1])


def _centre(mark: PlateMark) -> tuple[float, float]:
    return (mark.box[0] + mark.box[2]) / 2.0, (mark.box[1] + mark.box[3]) / 2.0
