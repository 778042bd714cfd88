"""Plate formats against their own examples, and what a faulty file says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.errors import FormatError
from platemark.plates.formats import PlateFormat, candidates, load_formats, normalise

FORMATS = load_formats()
SOUND = """\
code = "xx-test"
name = "Test"
country = "XX"
alphabet = "LATIN-noIO"
patterns = ["@@(A)#{2,3}"]
examples = ["AB12", "ABA12", "AB123"]
counterexamples = ["AB1", "IO12", "AB1234"]
prefixes = ["KA", "KB"]

[defaults]
size = [520, 110]
inks = ["#141414"]
fonts = ["din"]

[[drawings]]
rows = ["%*##|#"]
grounds = ["#ffffff>#dfe8ff"]
"""

seeds = st.integers(0, 2**32 - 1)
codes = st.sampled_from(sorted(FORMATS))


def write(folder: Path, text: str) -> Path:
    path = folder / "xx-test.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("plate_format", FORMATS.values(), ids=FORMATS)
def test_a_format_takes_its_examples_and_refuses_its_counterexamples(
    plate_format: PlateFormat,
) -> None:
    assert plate_format.problem() is None
    assert all(plate_format.matches(text) for text in plate_format.examples)
    assert not any(plate_format.matches(text) for text in plate_format.counterexamples)


def test_the_countries_promised_are_there() -> None:
    promised = (
        "eu-ua-1995 eu-ua-2004 eu-ua-2015 ru by kz ge am kg md eu-de eu-pl eu-sk eu-cz eu-at eu-hu "
        "eu-ro eu-hr eu-it eu-fr eu-es eu-pt eu-nl eu-be eu-gb eu-lt eu-lv eu-ee eu-se eu-no eu-fi "
        "tr br br-mercosul us xx-vanity eu-ua-custom xx-transit su ua-military ru-military uz in "
        "vn ae co mx ar eu-ch eu-gr eu-dk eu-si eu-bg eu-ie eu-lu eu-is eu-cy eu-mt eu-me eu-mk "
        "eu-al eu-ba eu-li eu-mc eu-sm eu-ad eu-va eu-gi eu-im eu-je eu-fo eu-xk eu-rs"
    )
    assert set(promised.split()) <= set(FORMATS)


@given(codes, seeds)
def test_a_sample_matches_the_grammar_of_its_own_format(code: str, seed: int) -> None:
    sample = FORMATS[code].sample(np.random.default_rng(seed))
    assert sample.code == code
    assert FORMATS[code].matches(sample.text)
    assert normalise(sample.text) == sample.text
    assert sample.drawing in FORMATS[code].drawings
    assert len(sample.rows) == len(sample.drawing.rows)


@given(codes, seeds)
def test_the_same_seed_draws_the_same_plate(code: str, seed: int) -> None:
    first, second = (FORMATS[code].sample(np.random.default_rng(seed)) for _ in range(2))
    assert first == second


def test_drawings_come_in_proportion_to_their_weight(tmp_path: Path) -> None:
    rare = '[[drawings]]\nrows = ["@@##"]\ngrounds = ["#ffffff"]\nweight = 0.25\n'
    write(tmp_path, f"{SOUND}\n{rare}")
    plate_format = load_formats(tmp_path)["xx-test"]
    rng = np.random.default_rng(7)
    share = np.mean([plate_format.sample(rng).drawing.weight == 0.25 for _ in range(4000)])
    assert share == pytest.approx(0.2, abs=0.03)


def test_rows_keep_their_layout_and_the_text_drops_it(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    sample = load_formats(tmp_path)["xx-test"].sample(np.random.default_rng(1))
    (row,) = sample.rows
    kinds = [token.kind for token in row]
    assert kinds == ["char", "char", "emblem", "char", "char", "field", "char"]
    assert sample.text[:2] in {"KA", "KB"}
    assert sample.text[2:].isdecimal()
    assert len(sample.text) == 5


@given(st.text())
def test_normalise_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ac 4249-cb", "AC4249CB"),
        ("А123ВС·77", "A123BC77"),
        ("mü ab 12", "MÜAB12"),
        ("MU\u0308 AB 12", "MÜAB12"),
        (" -. ", ""),
    ],
)
def test_normalise_examples(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(codes, seeds)
def test_candidates_hold_the_format_a_sample_came_from(code: str, seed: int) -> None:
    assert code in candidates(FORMATS[code].sample(np.random.default_rng(seed)).text)


@pytest.mark.parametrize(
    ("text", "code"), [("AC4249CB", "eu-ua-2015"), ("A123BC77", "ru"), ("ABC1D23", "br-mercosul")]
)
def test_candidates_of_real_plates(text: str, code: str) -> None:
    assert code in candidates(text)


def test_a_prefix_in_a_pattern_is_one_of_the_formats(tmp_path: Path) -> None:
    write(tmp_path, SOUND.replace('["@@(A)#{2,3}"]', '["%(A)#{2,3}"]').replace('"AB', '"KA'))
    plate_format = load_formats(tmp_path)["xx-test"]
    assert plate_format.matches("KB123")
    assert not plate_format.matches("KC123")
    (shapes,) = plate_format.shapes
    assert [shape.count for shape in shapes] == [200, 2000, 200, 2000]
    assert shapes[0].allows("KA12")
    assert not shapes[0].allows("AA12")


def test_a_row_outside_the_prefixes_of_its_pattern_is_refused(tmp_path: Path) -> None:
    text = SOUND.replace('"@@(A)#{2,3}"', '"%#{2,3}"').replace("%*##|#", "K[ABC]##")
    write(tmp_path, text.replace('["AB12", "ABA12", "AB123"]', '["KA12", "KB12", "KB123"]'))
    with pytest.raises(FormatError, match=r"drawings\[0\].rows.*matches no pattern"):
        load_formats(tmp_path)


def test_candidates_of_text_that_is_no_plate() -> None:
    assert candidates("") == []
    assert candidates("THIS IS FAR TOO LONG FOR A PLATE") == []


def test_a_users_folder_adds_formats_and_replaces_packaged_ones(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    (tmp_path / "ru.toml").write_text(SOUND.replace("xx-test", "ru"), encoding="utf-8")
    formats = load_formats(tmp_path)
    assert set(formats) == {*FORMATS, "xx-test"}
    assert formats["ru"].name == "Test"
    assert formats["xx-test"].drawings[0].size == (520, 110)
    assert load_formats()["ru"].name != "Test"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "Test"', 'nome = "Test"', "name"),
        ('name = "Test"', 'name = "Test"\ncolour = "red"', "colour"),
        ('"@@(A)#{2,3}"', '"@@("', "patterns[0]"),
        ('"@@(A)#{2,3}"', '"@@#{3,2}"', "patterns[0]"),
        ('"@@(A)#{2,3}"', '"@@ ##"', "patterns[0]"),
        ('"AB123"]', '"ABC"]', "examples[2]"),
        ('"AB1",', '"AB12",', "counterexamples[0]"),
        ('examples = ["AB12", ', "examples = [", "examples"),
        ('"%*##|#"', '"%*###|#"', "drawings[0].rows"),
        ('"%*##|#"', '"I@##"', "drawings[0].rows"),
        ('["KA", "KB"]', "[]", "drawings[0].rows"),
        ('["din"]', '["comic"]', "drawings[0].fonts[0]"),
        ('"#ffffff>#dfe8ff"', '"white"', "drawings[0].grounds[0]"),
        ("[[drawings]]", "[[drawings]]\nshade = 1", "drawings[0].shade"),
        ('"LATIN-noIO"', '"LATIN minus IO"', "alphabet"),
        ('code = "xx-test"', 'code = "xx-other"', "code"),
    ],
)
def test_a_faulty_file_is_named_with_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert SOUND.count(old) == 1
    path = write(tmp_path, SOUND.replace(old, new))
    with pytest.raises(FormatError) as caught:
        load_formats(tmp_path)
    assert f"{path}: {key}: " in str(caught.value)
    assert caught.value.source == str(path)
    assert caught.value.code == "format_error"


@pytest.mark.parametrize("content", [b"code = ", b"\xff\xfe", b"defaults = 3\n"])
def test_a_file_that_is_no_format_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"broken\.toml"):
        load_formats(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nowhere"):
        load_formats(tmp_path / "nowhere")


def test_the_example_of_the_guide_is_a_format(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")
    example = guide.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "eu-is.toml").write_text(example, encoding="utf-8")
    assert load_formats(tmp_path)["eu-is"].matches("AB-C12")
