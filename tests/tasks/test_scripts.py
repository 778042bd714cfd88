"""Letters of one shape in several scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.tasks.scripts import ALPHABET, fold, script_of, search_key, unfold


@pytest.mark.parametrize(
    "text",
    [
        "ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ",
        "ТОВАРИСТВО «ЗОРЯ» ЄДРПОУ 12345678",
        "Рэспубліка Беларусь",
        "ҚАЗАҚСТАН РЕСПУБЛИКАСЫ",
        "Република Србија Љубица",
        "ΔΗΜΟΣ ΑΘΗΝΑΙΩΝ",
        "Spółka z ograniczoną odpowiedzialnością",
        "TRÉSORERIE GÉNÉRALE",
    ],
)
def test_a_text_comes_back_from_its_shapes(text: str) -> None:
    folded = fold(text)
    assert folded is not None
    assert unfold(folded) == text


def test_each_word_has_its_own_script() -> None:
    folded = fold("ОБЩЕСТВО ООО «ЗОРЯ KZ»")
    assert folded is not None
    assert unfold(folded) == "ОБЩЕСТВО ООО «ЗОРЯ KZ»"


def test_words_without_letters_of_their_own_follow_the_rest() -> None:
    assert unfold("COCHA") == "COCHA"
    assert unfold("COCHA", "cyrillic") == "СОСНА"
    assert unfold("TOM ЛЮДИ") == "ТОМ ЛЮДИ"


@given(st.text(ALPHABET, max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = fold(text)
    assert folded is not None
    assert fold(folded) == folded


@given(st.text(ALPHABET, max_size=30))
def test_unfolding_changes_no_shape(text: str) -> None:
    folded = fold(text)
    assert folded is not None
    meant = unfold(folded)
    assert len(meant) == len(folded)
    assert fold(meant) == folded


def test_scripts_and_unknown_letters() -> None:
    assert script_of("ДЛЯ ДOKУMEHTIB") == "cyrillic"
    assert script_of("FÜR") == "latin"
    assert script_of("ΩΨ") == "greek"
    assert script_of("12 ABC") is None
    assert fold("公司") is None
    assert fold("* TOWN *") == "TOWN"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tresorerie", "TRÉSORERIE"),
        ("lodz", "Łódź"),
        ("AAPEC", "адрес".upper().replace("Д", "А")),
        ("вода", "ВОДА"),
        ("opoccия", "ОРОССИЯ"),
        ("αθηνων", "ΑΘΗΝΏΝ"),
        ("strasse", "Straße"),
        ("№ 5O1", "no 501"),
        ("ИHH З", "ИНН 3"),
    ],
)
def test_a_search_overlooks_case_accents_and_shapes(asked: str, said: str) -> None:
    assert search_key(asked) == search_key(said)


def test_a_search_tells_letters_apart() -> None:
    assert len({search_key(text) for text in ("ACME", "ACNE", "АСМО", "4CME", "A CME")}) == 5


@given(st.text())
def test_a_search_key_is_its_own(text: str) -> None:
    assert search_key(search_key(text)) == search_key(text)
