"""Results as tables."""

import sys

import pytest

import platemark as pm
from platemark.errors import MissingExtra
from platemark.types import Identity, Region
from platemark.usecases.export import PLATES, STAMPS

QUAD = ((1.0, 2.0), (9.0, 2.0), (9.0, 4.0), (1.0, 4.0))
PLATE = pm.PlateMark(0.9, (1.0, 2.0, 9.0, 4.0), QUAD, "AB12", 0.8, region=Region("eu-de", 0.7))
BLANK = pm.PlateMark(0.6, (1.0, 2.0, 9.0, 4.0), QUAD)
STAMP = pm.StampMark(
    *(0.97, (1.0, 2.0, 4.0, 5.0), QUAD, "circle", "blue", None, pm.InkMask((6, 8), "816000c0")),
    identity=Identity("ACME", "01J", 0.91, True),
)
CARS = pm.Result("two.jpg", 0, 640, 480, (PLATE, BLANK))
PAGE = pm.Result("scan.pdf", 3, 8, 6, (STAMP,))
BAD = pm.Result("bad.jpg", error=pm.Failure("unreadable_image", "bad.jpg is empty"))


def test_a_table_of_results_has_the_columns_of_the_csv() -> None:
    table = pm.to_pandas([CARS, BAD])
    assert tuple(table.columns) == PLATES.columns
    assert table["source"].tolist() == ["two.jpg", "two.jpg", "bad.jpg"]
    assert table["text"].tolist()[0] == "AB12"
    assert table["region"].tolist()[0] == "eu-de"
    assert table["error_code"].tolist()[2] == "unreadable_image"
    assert table.loc[0, ["x0", "y0", "x1", "y1"]].tolist() == [1.0, 2.0, 9.0, 4.0]


def test_one_result_or_a_generator_of_both_kinds_will_do() -> None:
    table = pm.to_pandas(PAGE)
    assert tuple(table.columns) == STAMPS.columns
    assert table.loc[0, ["page", "color", "identity"]].tolist() == [3, "blue", "ACME"]
    both = pm.to_pandas(result for result in (CARS, PAGE))
    assert set(both.columns) == {*PLATES.columns, *STAMPS.columns}
    assert both["kind"].tolist() == ["plate", "plate", "stamp"]
    assert len(pm.to_pandas([])) == 0


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"\[pandas\]"):
        pm.to_pandas([CARS])
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtra, match=r"\[supervision\]"):
        CARS.to_supervision()
