"""Marks in a video: one event for each vehicle or stamp, told from the best of its frames.

The marks of a frame are matched with those of earlier ones by where they should be now, as far as
their speed tells, and by what they are; nearest first. The readings of one plate that are most
certain are decided together, as are views of a plate in a photo.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nlargest
from typing import Any, Generic, TypeVar

import numpy as np

from platemark.imaging.image import Image
from platemark.imaging.video import Frame
from platemark.metrics.text import edit_distance
from platemark.parallel import map_in_order
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Mark, PlateMark, StampMark

MarkT = TypeVar("MarkT", bound=Mark)

# A mark that is not seen for this many seconds has gone.
_GONE_S = 3.0
# How far a mark may be from where it should be, in lengths of itself: as it is, where it is nearly
# the same, and where two plates are read with certainty and have nothing to do with each other.
_REACH, _REACH_OF_ALIKE = 1.5, 6.0
_CERTAIN, _OTHER_EDITS = 0.9, 2
# Least cosine similarity of the embeddings of two views of a stamp.
_ALIKE = 0.8
# Of one mark, two boxes do not differ more in length from one frame to the next.
_GROWTH = 2.0
# Share of the newest step in the speed of a mark.
_NEWEST = 0.5
# At most this many views of a mark, those of the highest confidence, decide what it is.
_VIEWS = 8
# A mark is reported that was seen in this many frames, or is read with high confidence.
_LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Event:
    """A vehicle, or a stamp, was there.

    Attributes:
        source: The video.
        mark: Its plate, or the stamp, as it is in the best frame, with what all frames together
            say.
        start: When it was first seen, in seconds from the beginning of the video.
        end: When it was last seen.
        frame: Number of the best frame, counted from 0.
        frames: In how many it was seen.
        image: The best frame.
    """

    source: str
    mark: PlateMark | StampMark
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
    pipeline: Pipeline[Any],
    frames: Iterable[Frame],
    *,
    min_text_score: float = 0.5,
    workers: int = 1,
) -> Iterator[Event]:
    """Find the vehicles of a video by their plates, or its stamps, each once it has gone.

    Args:
        pipeline: Finds and reads the plates of a frame, or the stamps.
        frames: In their order, see `platemark.imaging.video.read_video`.
        min_text_score: Plates that are read with less certainty are left out.
        workers: Frames that are worked on at a time.

    Raises:
        InputError: The video cannot be read.
        InferenceFailed: A network did not run.
    """
    if isinstance(pipeline, PlatePipeline):
        return _watch(_Plates(pipeline, min_text_score), pipeline, frames, workers)
    return _watch(_Stamps(), pipeline, frames, workers)


def _watch(
    kind: "_Kind[MarkT]", pipeline: Pipeline[MarkT], frames: Iterable[Frame], workers: int
) -> Iterator[Event]:
    tracks: list[_Track[MarkT]] = []
    with closing(map_in_order(partial(_detect, pipeline), frames, workers)) as detected:
        for frame, marks in detected:
            gone = [track for track in tracks if frame.seconds - track.last > _GONE_S]
            tracks = [track for track in tracks if track not in gone]
            yield from _told(gone)
            tracks += _matched(kind, tracks, frame, marks)
    yield from _told(tracks)


def _detect(pipeline: Pipeline[MarkT], frame: Frame) -> tuple[Frame, list[MarkT]]:
    return frame, pipeline.marks(frame.image)


class _Kind(ABC, Generic[MarkT]):
    """What is to be known of a kind of marks to follow them."""

    @abstractmethod
    def reach(self, one: MarkT, other: MarkT) -> float:
        """How far apart two sightings of a mark may be, in its lengths, by what they are."""

    @abstractmethod
    def worth(self, mark: MarkT) -> float:
        """How well a mark is seen in a frame."""

    @abstractmethod
    def certainty(self, mark: MarkT) -> float:
        """How much a mark says of what it is; 0 for nothing."""

    @abstractmethod
    def decide(self, best: MarkT, views: list[MarkT], frames: int) -> PlateMark | StampMark | None:
        """What all views of a mark together say of the one in the best frame; None for no event."""


class _Plates(_Kind[PlateMark]):
    def __init__(self, pipeline: PlatePipeline, min_text_score: float) -> None:
        self._pipeline, self._min_text_score = pipeline, min_text_score

    def reach(self, one: PlateMark, other: PlateMark) -> float:
        if one.text is None or other.text is None:
            return _REACH
        if one.text == other.text:
            return math.inf
        edits = edit_distance(one.text, other.text)
        if edits == 1:
            return _REACH_OF_ALIKE
        certain = min(one.text_score, other.text_score) >= _CERTAIN
        return 0.0 if certain and edits > _OTHER_EDITS else _REACH

    def worth(self, mark: PlateMark) -> float:
        return mark.text_score

    def certainty(self, mark: PlateMark) -> float:
        return 0.0 if mark.text is None else mark.text_score

    def decide(self, best: PlateMark, views: list[PlateMark], frames: int) -> PlateMark | None:
        if not views:
            return None
        reading = self._pipeline.decoder([view.reading for view in views])
        often = frames >= _LEAST_FRAMES or reading.score >= _CERTAIN
        if reading.text is None or reading.score < self._min_text_score or not often:
            return None
        return PlateMark.of(best.detection, reading)


class _Stamps(_Kind[StampMark]):
    def reach(self, one: StampMark, other: StampMark) -> float:
        known, shown = _design(one), _design(other)
        if known and shown:
            return math.inf if known == shown else 0.0
        if one.embedding is None or other.embedding is None:
            return _REACH
        alike = float(np.dot(one.embedding.vector, other.embedding.vector))
        return _REACH_OF_ALIKE if alike >= _ALIKE else _REACH

    def worth(self, mark: StampMark) -> float:
        return mark.score

    def certainty(self, mark: StampMark) -> float:
        known = mark.identity
        return max(mark.text_score, known.similarity if known and known.accepted else 0.0)

    def decide(self, best: StampMark, views: list[StampMark], frames: int) -> StampMark | None:
        if frames < _LEAST_FRAMES and best.score < _CERTAIN:
            return None
        read = max([best, *views], key=lambda one: one.text_score)
        known = max(
            (one.identity for one in [best, *views] if one.identity),
            key=lambda one: (one.accepted, one.similarity),
            default=None,
        )
        return replace(
            best,
            text=read.text,
            text_score=read.text_score,
            lines=read.lines,
            fields=read.fields,
            identity=known,
        )


def _design(mark: StampMark) -> str | None:
    """The known stamp that a mark is of."""
    return mark.identity.design if mark.identity and mark.identity.accepted else None


@dataclass(eq=False)
class _Track(Generic[MarkT]):
    """A mark over the frames.

    Attributes:
        kind: What is known of marks like it.
        first: When it was first seen, in seconds.
        last: When it was last seen.
        mark: As it was then.
        best: The frame in which it was seen best, and the mark there.
        frames: In how many it was seen.
        speed: Of its centre, in pixels a second across and down.
        views: Those that say most.
    """

    kind: _Kind[MarkT]
    first: float
    last: float
    mark: MarkT
    best: tuple[Frame, MarkT]
    frames: int = 1
    speed: tuple[float, float] = (0.0, 0.0)
    views: list[MarkT] = field(default_factory=list)

    def distance(self, mark: MarkT, now: float) -> float | None:
        """How far a mark is from where this one should be, in lengths; None for another one."""
        lengths = _length(self.mark), _length(mark)
        if max(lengths) > _GROWTH * min(lengths):
            return None
        x, y = _centre(self.mark)
        passed = now - self.last
        to_x, to_y = _centre(mark)
        away = math.hypot(
            to_x - x - self.speed[0] * passed, to_y - y - self.speed[1] * passed
        ) / max(lengths)
        return away if away <= self.kind.reach(self.best[1], mark) else None

    def add(self, frame: Frame, mark: MarkT) -> None:
        """Take the mark as it is in another frame."""
        passed = max(frame.seconds - self.last, 1e-3)
        steps = zip(_centre(self.mark), _centre(mark), self.speed, strict=True)
        vx, vy = (old + _NEWEST * ((there - here) / passed - old) for here, there, old in steps)
        self.speed = vx, vy
        self.last, self.mark = frame.seconds, mark
        self.frames += 1
        self.take(mark)
        if self._worth(mark) > self._worth(self.best[1]):
            self.best = frame, mark

    def take(self, mark: MarkT) -> None:
        """Take what a view says into account."""
        if self.kind.certainty(mark) > 0.0:
            self.views = nlargest(_VIEWS, [*self.views, mark], key=self.kind.certainty)

    def _worth(self, mark: MarkT) -> tuple[float, float]:
        return min(self.kind.worth(mark), _CERTAIN), _length(mark)


def _matched(
    kind: _Kind[MarkT], tracks: list[_Track[MarkT]], frame: Frame, marks: list[MarkT]
) -> list[_Track[MarkT]]:
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
        track = _Track(kind, frame.seconds, frame.seconds, mark, (frame, mark))
        track.take(mark)
        new.append(track)
    return new


def _told(tracks: Iterable[_Track[MarkT]]) -> Iterator[Event]:
    """The events of marks that have gone, in the order in which they came."""
    for track in sorted(tracks, key=lambda one: one.first):
        frame, mark = track.best
        decided = track.kind.decide(mark, track.views, track.frames)
        if decided is not None:
            yield Event(
                frame.image.source,
                decided,
                track.first,
                track.last,
                frame.number,
                track.frames,
                frame.image,
            )


def _length(mark: Mark) -> float:
    return max(mark.box[2] - mark.box[0], mark.box[3] - mark.box[1])


def _centre(mark: Mark) -> tuple[float, float]:
    return (mark.box[0] + mark.box[2]) / 2.0, (mark.box[1] + mark.box[3]) / 2.0
