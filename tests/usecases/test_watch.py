"""Events of plates that move through frames."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from platemark.imaging.image import Image
from platemark.imaging.video import Frame
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Alternative, PlateMark
from platemark.usecases.watch import Event, watch

RATE = 10


def plate(
    text: str | None, x: float, y: float = 100, score: float = 0.95, w: float = 60
) -> PlateMark:
    box = (x, y, x + w, y + w / 4)
    quad = ((x, y), (x + w, y), (x + w, y + w / 4), (x, y + w / 4))
    others = () if text is not None else (Alternative("AB", 0.1),)
    return PlateMark(0.9, box, quad, text, 0.0 if text is None else score, (), others)


class Script(PlatePipeline):
    """Finds in each frame what a script says."""

    def __init__(self, script: Sequence[Sequence[PlateMark]]) -> None:
        super().__init__(lambda image: [], lambda crops: [])  # type: ignore[arg-type]
        self.script = script

    def marks(self, image: Image) -> list[PlateMark]:
        return list(self.script[image.page])


def frames(count: int) -> Iterator[Frame]:
    blank = np.zeros((8, 8, 3), np.uint8)
    for number in range(count):
        yield Frame(Image(blank, "clip.mp4", number), number, number / RATE)


def events(script: Sequence[Sequence[PlateMark]], **more: float) -> list[Event]:
    one = list(watch(Script(script), frames(len(script)), **more))  # type: ignore[arg-type]
    two = list(watch(Script(script), frames(len(script)), workers=3, **more))  # type: ignore[arg-type]
    assert one == two
    return one


def told(
    script: Sequence[Sequence[PlateMark]], **more: float
) -> list[tuple[str | None, float, float]]:
    return [(event.mark.text, event.start, event.end) for event in events(script, **more)]


def test_a_plate_that_moves_is_one_event() -> None:
    script = [[], *([plate("AA1234BB", 10 + 40 * n)] for n in range(20)), [], []]
    (event,) = events(script)
    assert event.to_dict()["text"] == "AA1234BB"
    assert (event.start, event.end, event.frames) == (0.1, 2.0, 20)
    assert event.to_dict()["source"] == "clip.mp4"
    assert set(event.to_dict()) > {"kind", "text_score", "region", "box", "frame", "start", "end"}


def test_frames_in_which_it_is_missed_do_not_cut_it() -> None:
    script = [
        [] if n % 4 == 3 or 8 < n < 20 else [plate("AA1234BB", 10 + 8 * n)] for n in range(30)
    ]
    assert told(script) == [("AA1234BB", 0.0, 2.9)]


def test_two_that_cross_stay_two() -> None:
    script = [
        [plate("AA1234BB", 20 * n, 100), plate("KA7777XX", 400 - 20 * n, 104)] for n in range(20)
    ]
    assert sorted(told(script)) == [("AA1234BB", 0.0, 1.9), ("KA7777XX", 0.0, 1.9)]


def test_plates_in_one_place_one_after_the_other_are_two() -> None:
    script = [
        *([plate("AA1234BB", 100)] for _ in range(9)),
        *([plate("KA7777XX", 104)] for _ in range(9)),
    ]
    assert told(script) == [("AA1234BB", 0.0, 0.8), ("KA7777XX", 0.9, 1.7)]


def test_who_comes_back_much_later_is_another_event() -> None:
    script = [*([plate("AA1234BB", 100)] for _ in range(5)), *([[]] * 50)]
    assert told([*script, *script]) == [("AA1234BB", 0.0, 0.4), ("AA1234BB", 5.5, 5.9)]


def test_events_come_when_a_vehicle_has_gone_and_not_at_the_end() -> None:
    script = [*([plate("AA1234BB", 100)] for _ in range(5)), *([[]] * 500)]
    looked: list[int] = []

    def counted() -> Iterator[Frame]:
        for frame in frames(len(script)):
            looked.append(frame.number)
            yield frame

    assert next(watch(Script(script), counted())).mark.text == "AA1234BB"
    assert len(looked) < 50


def test_most_certain_readings_decide_together() -> None:
    script = [
        [plate("AA1234B8" if n % 3 == 0 else "AA1234BB", 10 + 5 * n, score=0.7)] for n in range(12)
    ]
    (event,) = events(script)
    assert event.mark.text == "AA1234BB"
    blurred = [[plate(None, 10 + 5 * n)] for n in range(20)]
    assert told([*blurred, *script]) == [("AA1234BB", 2.0, 3.1)]  # it is elsewhere: another plate
    far = [[plate("AA1234BB", 110 + 5 * n)] for n in range(12)]
    assert told([*blurred, *far]) == [("AA1234BB", 0.0, 3.1)]


def test_what_is_seen_once_or_never_read_is_no_event() -> None:
    once = [[plate("THANHHIE", 300, score=0.7)] if n == 4 else [] for n in range(9)]
    assert told(once) == []
    assert told([[plate("AA1234BB", 300, score=0.95)], [], []]) == [("AA1234BB", 0.0, 0.0)]
    assert told([[plate(None, 30)] for _ in range(30)]) == []
    doubtful = [[plate("AA1234BB", 30, score=0.3)] for _ in range(30)]
    assert told(doubtful) == []
    assert told(doubtful, min_text_score=0.2) == [("AA1234BB", 0.0, 2.9)]


def test_the_best_frame_is_the_largest_of_those_read_well() -> None:
    sizes = [30, 40, 50, 60, 70, 80]
    scores = [0.95, 0.95, 0.97, 0.96, 0.95, 0.4]
    script = [
        [plate("AA1234BB", 100, w=w, score=score)] for w, score in zip(sizes, scores, strict=True)
    ]
    (event,) = events(script)
    assert event.frame == 4
    assert event.mark.box == (100, 100, 170, 117.5)
    assert event.image.page == 4


def test_errors_of_the_video_are_raised() -> None:
    def broken() -> Iterator[Frame]:
        yield from frames(2)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(watch(Script([[], [], []]), broken(), workers=2))
