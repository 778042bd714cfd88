"""Registration numbers by published examples, and dates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.stamps.fields import find_fields
from platemark.types import StampField

PUBLISHED = [
    ("ИНН 7707083893", "inn"),  # Sberbank
    ("ИНН 500100732259", "inn"),  # example of the Federal Tax Service
    ("ОГРН 1027700132195", "ogrn"),  # Sberbank
    ("ОГРНИП 304500116000157", "ogrn"),  # example of the Federal Tax Service
    ("ЄДРПОУ 14360570", "edrpou"),  # PrivatBank
    ("Ідентифікаційний код 00032129", "edrpou"),  # Oschadbank
    ("БИН 971240001315", "bin"),  # Kaspi Bank
    ("БСН 940140000385", "bin"),  # Halyk Bank
    ("УНП 200988541", "unp"),
    ("NIP 123-456-32-18", "nip"),
    ("REGON 192598184", "regon"),
    ("IČO: 25596641", "ico"),
    ("IČO 00006947", "ico"),  # Czech Ministry of Finance
    ("ПИБ 101134702", "pib"),
    ("ЕИК 175074752", "eik"),
    ("ΑΦΜ 094259216", "afm"),
    ("VAT DE136695976", "vat"),
    ("IČ DPH SK2022749619", "vat"),
    ("27AAPFU0939F1ZV", "gstin"),
]


@pytest.mark.parametrize(("text", "kind"), PUBLISHED)
def test_published_numbers_have_right_check_digits(text: str, kind: str) -> None:
    (found,) = find_fields([text])
    assert (found.kind, found.valid) == (kind, True)


@pytest.mark.parametrize(("text", "kind"), PUBLISHED)
def test_a_wrong_last_digit_is_marked(text: str, kind: str) -> None:
    last = "W" if text[-1] == "V" else str((int(text[-1]) + 1) % 10)
    (found,) = find_fields([text[:-1] + last])
    assert (found.kind, found.valid) == (kind, False)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("12.03.2016", "2016-03-12"),
        ("12/03/16", "2016-03-12"),
        ("2020-08-06", "2020-08-06"),
        ("06 ДЕК 1979", "1979-12-06"),
        ("MAY 24, 2023", "2023-05-24"),
        ("21 JUL 2017", "2017-07-21"),
        ("3 ΑΥΓ 1998", "1998-08-03"),
        ("01.02.61", "1961-02-01"),
    ],
)
def test_dates(text: str, day: str) -> None:
    assert find_fields([text]) == (StampField("date", day),)


@pytest.mark.parametrize("text", ["31.02.2020", "7707083893", "Tel. 478 886 368", "99.99.9999", ""])
def test_other_figures_are_no_fields(text: str) -> None:
    assert find_fields([text]) == ()


def test_fields_come_once_in_the_order_of_the_lines() -> None:
    lines = ["ИНН 7707083893 ОГРН 1027700132195", "12.03.2016", "ИНН 7707083893"]
    assert [found.kind for found in find_fields(lines)] == ["ogrn", "inn", "date"]


@given(st.text(max_size=60))
def test_any_text_has_fields_or_none(text: str) -> None:
    assert all(found.value for found in find_fields([text]))
