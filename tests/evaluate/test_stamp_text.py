"""How readings of stamps are counted."""

import pytest

from platemark.datasets.manifest import StampAnnotation, StampLine
from platemark.evaluate.stamp_text import StampReadings, plain, words_found
from platemark.masks import InkMask
from platemark.types import StampMark, TextLine

BOX = (0.0, 0.0, 8.0, 6.0)
QUAD = ((0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0))


def truth(*lines: tuple[str, str]) -> StampAnnotation:
    made = [StampLine.model_validate({"text": text, "path": path}) for text, path in lines]
    return StampAnnotation(box=BOX, lines=tuple(made), text=" / ".join(text for text, _ in lines))


def mark(*lines: str | None) -> StampMark:
    read = tuple(TextLine(text, "straight") for text in lines)
    return StampMark(0.9, BOX, QUAD, "other", "other", None, InkMask((6, 8), "`1"), lines=read)


def test_each_line_is_compared_with_the_nearest_reading() -> None:
    stamp = truth(("ABCDEF", "ring"), ("2016", "straight"))
    found = StampReadings.of([(stamp, mark("2017", "ABCXEF", None))])
    assert [line.read for line in found.lines] == ["ABCXEF", "2017"]
    scores = found.scores()
    assert (scores["all"].errors, scores["all"].characters) == (2, 10)
    assert scores["ring"].error_rate == pytest.approx(1 / 6)


def test_what_is_not_read_is_all_errors() -> None:
    stamp = truth(("ABCDEF", "ring"))
    for nothing in (None, mark(), mark(None), mark("123")):
        scores = StampReadings.of([(stamp, nothing)]).scores()["all"]
        assert scores.errors == scores.characters == 6


def test_case_ornaments_and_twins_count_only_in_the_exact_figure() -> None:
    assert plain("* Town *") == plain("TOWN")
    scores = StampReadings.of([(truth(("ОАО", "ring")), mark("OAO"))]).scores()["all"]
    assert scores.errors == 0
    assert scores.exact_errors == 3


def test_lines_of_unknown_letters_are_not_counted() -> None:
    found = StampReadings.of([(truth(("公司", "ring"), ("Вход", "straight")), mark("Вход"))])
    assert [line.script for line in found.lines] == ["cyrillic"]


def test_words_of_a_text_known_in_part() -> None:
    assert words_found("GLOBUS EXPORTS / IN 12", ["globus, 12"]).hits == 1
    assert words_found("GLOBUS EXPORTS / IN 12", []).n == 2
    stamp = StampAnnotation(box=BOX, text="PAID / 公司 / Łódź")
    found = StampReadings.of([(stamp, mark("PAID ŁÓDŹ"))])
    assert (found.contained.hits, found.contained.n) == (2, 2)
