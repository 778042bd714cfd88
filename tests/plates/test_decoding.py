"""Reading under the grammars of the plate formats."""

import math
import pickle
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from platemark.models.card import Calibration
from platemark.plates import decoding
from platemark.plates.decoding import Grammar, PlateDecoder, blurred, likelihoods
from platemark.plates.formats import choose_formats, load_formats
from platemark.types import Alternative, Character, Frames, Reading, Region

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ"
FORMATS = load_formats()
decode = PlateDecoder()


def frames_of(text: str, *doubts: tuple[int, str, float], sure: float = 0.98) -> Frames:
    """Frames that show a text; a doubt gives another character of a place a probability."""
    blank = np.zeros(1 + len(ALPHABET))
    blank[0] = 1.0
    rows = [blank]
    for place, char in enumerate(text):
        row = np.full(1 + len(ALPHABET), (1.0 - sure) / len(ALPHABET))
        row[1 + ALPHABET.index(char)] = sure
        for at, other, probability in doubts:
            if at == place:
                row[1 + ALPHABET.index(other)] = probability
                row[1 + ALPHABET.index(char)] = sure - probability
        rows += [row / row.sum(), blank]
    return Frames(np.array(rows), ALPHABET)


def seen(text: str, *doubts: tuple[int, str, float], score: float = 0.9) -> Reading:
    characters = tuple(Character(char, score) for char in text)
    return Reading(text, score, characters, frames=(frames_of(text, *doubts),))


@st.composite
def small(draw: st.DrawFn) -> Frames:
    """Frames of few steps over a few characters, some of one shape."""
    steps = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(size=(steps, 5)) * draw(st.sampled_from([0.5, 2.0, 6.0]))
    weights = np.exp(logits)
    return Frames(weights / weights.sum(axis=1, keepdims=True), "O0B8")


def brute_force(frames: Frames) -> dict[str, float]:
    """The probability of every text: that of all its paths together."""
    total: dict[str, float] = {}
    rows = frames.probabilities.tolist()
    for path in product(range(1 + len(frames.alphabet)), repeat=len(rows)):
        text = "".join(frames.alphabet[label - 1] for label, _ in groupby(path) if label)
        chance = math.prod(row[label] for row, label in zip(rows, path, strict=True))
        total[text] = total.get(text, 0.0) + chance
    return total


TWO = Grammar({code: FORMATS[code] for code in ("eu-sm", "eu-mc", "xx-vanity")})


@given(small())
def test_a_wide_search_finds_all_that_the_grammars_allow(frames: Frames) -> None:
    truth = brute_force(frames)
    found = TWO.search(frames, width=10**6, floor=0.0)
    assert set(found) == {text for text in truth if TWO.matches(text)}
    chances = [truth[text] for text in found]
    assert chances == pytest.approx(sorted(chances, reverse=True))


@given(small())
def test_the_best_text_is_that_of_brute_force(frames: Frames) -> None:
    truth = {text: chance for text, chance in brute_force(blurred(frames)).items() if text}
    wanted = {
        text: chance * np.exp(decoding.GRAMMAR * TWO.log_prior(text) + decoding.LENGTH * len(text))
        for text, chance in truth.items()
    }
    reading = Reading(
        None, 0.0, (), tuple(Alternative(text, 0.1) for text in wanted), frames=(frames,)
    )
    told = PlateDecoder(TWO.formats)([reading])
    assert told.text is not None
    assert wanted[told.text] == pytest.approx(max(wanted.values()))
    share = wanted[told.text] / sum(wanted.values())
    assert told.score == pytest.approx(share * sum(truth.values()))
    ratio = told.alternatives[0].score / told.score
    assert ratio == pytest.approx(sorted(wanted.values())[-2] / max(wanted.values()))


@given(small(), small())
def test_likelihoods_are_exact_for_crops_of_any_length(first: Frames, second: Frames) -> None:
    truths = [brute_force(first), brute_force(second)]
    texts = sorted(truths[0].keys() & truths[1].keys())
    for row, truth in zip(likelihoods([first, second], texts), truths, strict=True):
        assert row == pytest.approx([truth[text] for text in texts])


@pytest.mark.parametrize("code", FORMATS)
def test_the_examples_of_a_format_are_read_and_its_counterexamples_match_nothing(
    code: str,
) -> None:
    alone = PlateDecoder({code: FORMATS[code]})
    for text in FORMATS[code].examples:
        if set(text) <= set(ALPHABET):
            told = alone([seen(text)])
            assert told.text == text
            assert told.matches_format is FORMATS[code].strict
    for text in FORMATS[code].counterexamples:
        assert not alone.grammar.matches(text)


@given(st.sampled_from(sorted(FORMATS)), st.integers(0, 2**32 - 1))
def test_plates_of_every_format_have_a_share_in_it(code: str, seed: int) -> None:
    text = FORMATS[code].sample(np.random.default_rng(seed)).text
    assert 0.0 < decode.grammar.share(code, text) <= 1.0


@pytest.mark.parametrize(
    ("read", "right", "code"),
    [
        ("P7770M977", "P777OM977", "ru"),
        ("RVIOCYE", "RV10CYE", None),
        ("MH1ZAB1234", "MH12AB1234", "in"),
    ],
)
def test_what_a_format_settles_is_settled(read: str, right: str, code: str | None) -> None:
    told = decode([seen(read)])
    assert told.text == right
    assert "".join(character.char for character in told.characters) == right
    assert (told.region and told.region.code) == code


def test_a_district_code_tells_the_umlaut() -> None:
    german = PlateDecoder(choose_formats(FORMATS, ["de"]))
    told = german([seen("GOAB123", (1, "Ö", 0.3))])
    assert told.text == "GÖAB123"
    assert told.region is not None
    assert told.region.code == "eu-de"


@pytest.mark.parametrize("text", ["EXCUSEM3", "ZOOM0", "BIGCHEESE", "S0FTB0Y"])
def test_a_personal_text_is_not_bent_into_a_format(text: str) -> None:
    told = decode([seen(text)])
    assert told.text == text
    assert told.region is None


def test_a_region_is_told_where_one_country_has_the_text() -> None:
    told = decode([seen("AC4249CB")])
    assert told.region is not None
    assert FORMATS[told.region.code].country == "UA"
    assert decode([seen("AB123CD")]).region is None


def test_regions_narrow_the_choice() -> None:
    french = PlateDecoder(choose_formats(FORMATS, ["eu-fr"]))
    told = french([seen("AB123CD")])
    assert told.region is not None
    assert told.region.code == "eu-fr"
    assert told.matches_format
    foreign = french([seen("AC4249CB")])
    assert (foreign.text, foreign.region, foreign.matches_format) == ("AC4249CB", None, False)


def test_regions_go_by_code_family_and_country() -> None:
    assert set(choose_formats(FORMATS, ["eu-ua"])) == {
        *("eu-ua-1995", "eu-ua-2004", "eu-ua-2015", "eu-ua-custom"),
    }
    assert "eu-ua-2015" in choose_formats(FORMATS, ["UA"])
    assert set(choose_formats(FORMATS, ["br", "eu-pl"])) == {"br", "br-mercosul", "eu-pl"}
    assert "ru" not in choose_formats(FORMATS, None, ["ru"])
    assert choose_formats(FORMATS, ["xx-unknown"]) == {}
    with pytest.raises(ValueError, match="no plate format is called 'eu-pll'; near it: eu-pl"):
        choose_formats(FORMATS, ["eu-pll"])


def test_a_default_region_is_given_where_the_text_tells_none() -> None:
    told = PlateDecoder(FORMATS, default="eu-it")([seen("AB123CD")])
    assert told.region is not None
    assert told.region.code == "eu-it"
    assert 0.0 < told.region.score < 0.9
    assert PlateDecoder(FORMATS, default="eu-it")([seen("HELLO1")]).region == Region("eu-it", 0.0)


def test_several_views_are_weighed_together() -> None:
    views = [seen("AB12", (3, "7", 0.45)), seen("AB17"), seen("AB17", score=0.95)]
    told = decode(views)
    assert told.text == "AB17"
    assert told.characters == views[2].characters
    assert len(told.frames) == 3
    assert told.alternatives[0].text == "AB12"


def test_a_reader_without_frames_has_its_texts_weighed() -> None:
    characters = tuple(Character(char, 0.6) for char in "AA01Z3BC")
    reading = Reading("AA01Z3BC", 0.5, characters, (Alternative("AA0123BC", 0.3),))
    told = decode([reading])
    assert told.text == "AA0123BC"
    assert told.alternatives[0].text == "AA01Z3BC"
    assert told.score > told.alternatives[0].score
    assert told.score + told.alternatives[0].score == pytest.approx(0.8)
    assert [character.char for character in told.characters] == list("AA0123BC")


def test_nothing_legible_stays_nothing() -> None:
    told = decode([Reading(None, 0.0), Reading(None, 0.0)])
    assert (told.text, told.score, told.matches_format, told.region) == (None, 0.0, False, None)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_shares_are_probabilities(first: float, second: float) -> None:
    assume(first + second <= 1.0)
    told = decode([Reading("AB12", first, (), (Alternative("AB17", second),))])
    assert 0.0 <= told.score <= 1.0
    assert told.score + sum(other.score for other in told.alternatives) <= 1.0 + 1e-9


def test_calibration_changes_scores_and_not_their_order() -> None:
    views = [seen("AB12", (3, "7", 0.45)), seen("AB17")]
    raw = decode(views)
    told = PlateDecoder(calibration=Calibration(scale=1.0, bias=2.0))(views)
    assert told.text == raw.text
    assert told.score > raw.score
    assert told.alternatives[0].text == raw.alternatives[0].text
    assert told.alternatives[0].score < raw.alternatives[0].score


def test_a_decoder_can_be_pickled_when_it_was_used() -> None:
    decode([seen("AC4249CB")])
    again = pickle.loads(pickle.dumps(decode))
    assert again([seen("P7770M977")]).text == "P777OM977"


def test_the_picture_settles_what_formats_leave_open() -> None:
    reading = seen("AB0123", (2, "O", 0.49))
    latvian, lithuanian = ({code: 0.9, "xx-unknown": 0.1} for code in ("eu-lv", "eu-lt"))
    told = decode([reading], latvian)
    assert (told.text, told.region and told.region.code) == ("AB0123", "eu-lv")
    told = decode([reading], lithuanian)
    assert (told.text, told.region and told.region.code) == ("ABO123", "eu-lt")


@pytest.mark.parametrize("text", ["EXCUSEM3", "ZOOM0"])
def test_a_picture_bends_no_personal_text(text: str) -> None:
    told = decode([seen(text)], {"eu-de": 0.97, "xx-unknown": 0.03})
    assert told.text == text


@given(st.floats(0.05, 0.95), st.floats(0.0, 1.0))
def test_picture_and_text_join_as_bayes_says(french: float, score: float) -> None:
    grammar = Grammar({code: FORMATS[code] for code in ("eu-fr", "eu-it")})
    picture = {"eu-fr": french, "eu-it": 0.95 - french, "cn": 0.05}
    usual = {code: FORMATS[code].weight for code in grammar.formats}
    part = decoding.USUAL_REGION
    joint = {}
    for code, chance in picture.items():
        mixed = (1 - part) * chance + part * usual.get(code, 0.0) / sum(usual.values())
        ruled = grammar.shares("AB123CD").get(code, 0.0) * 36**7 if code in usual else 1.0
        joint[code] = mixed * (1 - score + score * ruled**decoding.TOLD)
    region = grammar.region_seen({"AB123CD": score}, picture)
    assert region.code == max(joint, key=lambda code: joint[code])
    assert region.score == pytest.approx(max(joint.values()) / sum(joint.values()))


def test_formats_that_no_classifier_knows_share_what_is_unknown() -> None:
    grammar = Grammar({code: FORMATS[code] for code in ("eu-fr", "kz")})
    prior = grammar.prior({"eu-fr": 0.4, "xx-unknown": 0.6})
    assert 0.3 < prior["kz"] < prior["eu-fr"] < 0.7
    assert sum(prior.values()) == pytest.approx(1.0)


def test_only_regions_that_are_expected_are_told() -> None:
    korean = {"kr": 0.95, "eu-fr": 0.03, "xx-unknown": 0.02}
    told = decode([Reading(None, 0.0)], korean)
    assert told.region is not None
    assert told.region.code == "kr"
    french = PlateDecoder(choose_formats(FORMATS, ["eu-fr"]))
    assert french([Reading(None, 0.0)], korean).region is None
    told = french([seen("AB123CD")], {"eu-it": 0.5, "eu-fr": 0.5})
    assert told.region is not None
    assert told.region.code == "eu-fr"


def test_what_is_of_no_region_gets_the_default() -> None:
    unknown = {"xx-unknown": 0.97, "eu-fr": 0.03}
    told = decode([seen("SWIFT")], unknown)
    assert told.region is not None
    assert told.region.code == "xx-unknown"
    told = PlateDecoder(default="in")([seen("SWIFT")], unknown)
    assert told.region is not None
    assert told.region.code == "in"
    assert decode([Reading(None, 0.0)], unknown).region is not None
