"""Watch lists: what matches, how much is tolerated, and what a list may look like."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from platemark.errors import InputError
from platemark.plates.decoding import PlateDecoder
from platemark.plates.watchlist import LEAST_SHARE, WatchList
from platemark.types import Alternative, Frames, Reading

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DECODER = PlateDecoder()


def reading(text: str, other: dict[int, tuple[str, float]] | None = None) -> Reading:
    """A plate that shows a text, but for places where another character has a share too."""
    rows = []
    for place, char in enumerate(text):
        row = np.full(37, 1e-6)
        second, share = (other or {}).get(place, (char, 0.0))
        row[1 + ALPHABET.index(second)] = share
        row[1 + ALPHABET.index(char)] = 0.99 - share
        row[0] = max(1e-6, 1.0 - row[1:].sum())
        blank = np.full(37, 1e-6)
        blank[0] = 1.0 - 36e-6
        rows += [row, blank]
    return DECODER([Reading(text, 0.5, frames=(Frames(np.array(rows), ALPHABET),))])


def test_a_text_is_matched_however_it_is_spelled() -> None:
    listed = WatchList({"ac 49-21 cb": "stolen", "KA777": None})
    assert len(listed) == 2
    found = listed.match(reading("AC4921CB"), DECODER)
    assert found is not None
    assert (found.text, found.note) == ("AC4921CB", "stolen")
    assert found.score > 0.9
    assert listed.match(reading("BM351"), DECODER) is None


def test_characters_of_one_shape_are_one() -> None:
    found = WatchList(["AC4921CO"]).match(reading("AC4921C0"), DECODER)
    assert found is not None
    assert found.score > 0.9


def test_what_the_reader_confuses_is_tolerated_as_far_as_it_does() -> None:
    listed = WatchList(["AC4921C8"])
    scores = []
    for share in (0.05, 0.2, 0.4):
        found = listed.match(reading("AC4921CB", {7: ("8", share)}), DECODER)
        scores.append(0.0 if found is None else found.score)
    assert scores == sorted(scores)
    assert scores[0] == 0.0
    assert LEAST_SHARE <= scores[1] < scores[2] < 0.5
    assert listed.match(reading("AC4921CB"), DECODER) is None


def test_the_likeliest_of_several_is_given() -> None:
    listed = WatchList(["AC4921C8", "AC4921CB", "AC4921C3"])
    found = listed.match(reading("AC4921CB", {7: ("8", 0.3)}), DECODER)
    assert found is not None
    assert found.text == "AC4921CB"


def test_leaving_texts_out_early_loses_none() -> None:
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(list(ALPHABET), 7)) for _ in range(300)]
    shown = reading(texts[17], {2: ("9", 0.3), 5: ("3", 0.2)})
    kept = WatchList(texts)._possible(shown)
    enough = [text for text in texts if DECODER.support(shown, text) >= LEAST_SHARE]
    assert texts[17] in enough
    assert set(enough) <= set(kept)
    assert len(kept) < 10


def test_without_frames_texts_and_alternatives_are_compared() -> None:
    plain = Reading("AB12CD", 0.8, alternatives=(Alternative("AB12CO", 0.15),))
    found = WatchList(["AB12CO"]).match(plain, DECODER)
    assert found is not None
    assert found.score == pytest.approx(0.15 / 0.95)
    assert WatchList(["XY99"]).match(plain, DECODER) is None
    assert WatchList(["XY99"]).match(Reading(None, 0.0), DECODER) is None


def test_a_text_with_letters_that_the_reader_does_not_know_is_no_match() -> None:
    assert WatchList(["京A12345"]).match(reading("A12345"), DECODER) is None


def test_a_list_is_read_from_lines_or_csv_and_pickles(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('\ufefftext,note\n# bosses\nAC 4921 CB,"the boss, north"\n\nka-777\n')
    listed = WatchList.read(path)
    for one in (listed, pickle.loads(pickle.dumps(listed))):
        assert len(one) == 2
        found = one.match(reading("AC4921CB"), DECODER)
        assert found is not None
        assert found.note == "the boss, north"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no texts"),
        (b"# none\n", "no texts"),
        (b"AB12\n--\n", "neither"),
        (b"\xff\xfe", "text"),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as refused:
        WatchList.read(path)
    assert str(path) in refused.value.message
    with pytest.raises(InputError, match="cannot be read"):
        WatchList.read(tmp_path / "missing.txt")
