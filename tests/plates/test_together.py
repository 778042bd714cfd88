"""Several photos of one car: what the merged reading says, and which plates are one."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from platemark.models.card import Calibration
from platemark.plates.decoding import PlateDecoder, likelihoods
from platemark.plates.together import merge_plates
from platemark.types import Alternative, Detection, Frames, PlateMark, Reading, Result

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DECODER = PlateDecoder(calibration=Calibration())


def frames(*steps: dict[str, float]) -> Frames:
    """A frame for each character, blanks between; what a frame does not name is spread thinly."""
    rows = []
    for step in steps:
        row = np.full(1 + len(ALPHABET), 1e-7)
        for char, share in step.items():
            row[1 + ALPHABET.index(char)] = share
        row[0] = max(1e-7, 1.0 - row[1:].sum())
        rows += [row, np.array([1.0 - 36e-7, *[1e-7] * 36])]
    return Frames(np.array(rows), ALPHABET)


def photo(text: str, score: float = 0.97, **other: dict[int, dict[str, float]]) -> Reading:
    """A reading as the decoder gives it, sure of a text but for the places in ``other``."""
    unsure = other.get("but", {})
    steps = [unsure.get(place, {char: score}) for place, char in enumerate(text)]
    best = "".join(max(step, key=lambda char: step[char]) for step in steps)
    return DECODER([Reading(best, 0.5, frames=(frames(*steps),))])


def test_two_photos_that_each_hide_a_character_tell_the_whole_text() -> None:
    one = photo("AC4921CB", but={2: {"4": 0.42, "9": 0.58}})
    two = photo("AC4921CB", but={5: {"1": 0.42, "3": 0.58}})
    assert (one.text, two.text) == ("AC9921CB", "AC4923CB")
    merged = DECODER.merge([one, two])
    assert merged.text == "AC4921CB"
    assert len(merged.frames) == 2
    assert [character.char for character in merged.characters] == list("AC4921CB")
    assert merged.score > max(one.score, two.score)
    assert merged.score + sum(other.score for other in merged.alternatives) <= 1.0 + 1e-9


def test_the_order_of_photos_is_no_matter_and_one_photo_stays_as_it_is() -> None:
    photos = [photo("AC4921CB", but={place: {"4": 0.5, "1": 0.4, "7": 0.1}}) for place in (2, 3, 4)]
    said = [DECODER.merge(order) for order in itertools.permutations(photos)]
    assert len({(one.text, round(one.score, 9)) for one in said}) == 1
    assert DECODER.merge(photos[:1]) is photos[0]


def test_a_photo_of_something_else_does_not_outvote_two_that_agree() -> None:
    other = photo("KA777")
    merged = DECODER.merge([photo("AC4921CB"), other, photo("AC4921CB")])
    assert merged.text == "AC4921CB"


def test_without_frames_the_scores_of_texts_are_merged() -> None:
    one = Reading("AB12CD", 0.5, alternatives=(Alternative("AB12CO", 0.45),))
    two = Reading("AB12CO", 0.6, alternatives=(Alternative("AB12CD", 0.01),))
    assert DECODER.merge([one, two]).text == "AB12CO"


def test_a_merged_likelihood_is_that_of_each_photo_multiplied() -> None:
    """Photos that are sure of all characters count once: then the ratio of shares is exact."""
    reading = photo("AC4921CB", 1.0 - 1e-5, but={2: {"4": 0.9, "1": 0.1}})
    merged = DECODER.merge([reading, reading])
    best, second = merged.score, merged.alternatives[0].score
    single = reading.score / reading.alternatives[0].score
    assert merged.alternatives[0].text == reading.alternatives[0].text
    # Squared, but for the weights, the grammar that counts once, and look-alikes.
    assert single < best / second < single**2.2


def result(name: str, *plates: tuple[Reading, float]) -> Result:
    marks = tuple(
        PlateMark.of(Detection.given("plate", (0.0, 100.0 * n, width, 100.0 * n + width / 4)), one)
        for n, (one, width) in enumerate(plates)
    )
    return Result(name, width=900, height=900, marks=marks)


def sources(merged: Sequence[object]) -> list[list[str]]:
    return [[view.source for view in one.views] for one in merged]  # type: ignore[attr-defined]


def test_main_plates_are_one_and_bystanders_another() -> None:
    mine = "AC4921CB"
    merged = merge_plates(
        [
            result("a.jpg", (photo(mine, but={2: {"4": 0.4, "1": 0.6}}), 200.0)),
            result("b.jpg", (photo("BM351"), 90.0), (photo(mine), 220.0)),
            result("c.jpg", (photo(mine, but={0: {"A": 0.5, "4": 0.5}}), 240.0)),
            result("d.jpg"),
        ],
        DECODER,
    )
    assert [one.reading.text for one in merged] == [mine, "BM351"]
    assert sorted(sources(merged)[0]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert sources(merged)[1] == ["b.jpg"]
    # The clearest first.
    assert sources(merged)[0][0] == "b.jpg"


def test_photos_of_two_cars_are_told_apart_and_a_photo_shows_a_plate_once() -> None:
    one, two = "AC4921CB", "KA7355HH"
    merged = merge_plates(
        [
            result("a.jpg", (photo(one), 200.0)),
            result("b.jpg", (photo(two), 200.0)),
            result("c.jpg", (photo(two), 200.0), (photo(two), 180.0)),
        ],
        DECODER,
    )
    said = [(plate.reading.text, len(plate.views)) for plate in merged]
    assert said[0] == (two, 2)
    assert sorted(said[1:]) == [(one, 1), (two, 1)]


def test_what_nobody_can_read_is_merged_by_what_it_may_say() -> None:
    faint = photo("AC4921CB", 0.5).illegible()
    assert faint.text is None
    (merged,) = merge_plates(
        [result("a.jpg", (faint, 50.0)), result("b.jpg", (photo("AC4921CB"), 50.0))], DECODER
    )
    assert (merged.reading.text, len(merged.views)) == ("AC4921CB", 2)
    assert merge_plates([result("a.jpg", (Reading(None, 0.0), 50.0))], DECODER) == []
    assert merge_plates([], DECODER) == []


def test_support_is_the_share_of_a_text_against_the_best_other() -> None:
    reading = photo("AC4921CB", but={2: {"4": 0.9, "9": 0.1}})
    likely = likelihoods(reading.frames, ["AC4921CB", "AC9921CB"])[0]
    wanted = likely[1] / likely.sum()
    assert DECODER.support(reading, "AC9921CB") == pytest.approx(wanted, rel=0.05)
