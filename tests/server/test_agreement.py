"""How certain an image is, and how well annotations of it agree."""

import pytest

from platemark.apps.review.agreement import Agreement, certainty
from platemark.datasets.manifest import Annotation
from platemark.types import PlateMark

BOX, FAR = (10.0, 10.0, 60.0, 30.0), (100.0, 10.0, 150.0, 30.0)


def found(box: tuple[float, float, float, float], text: str | None = "AB1") -> PlateMark:
    x0, y0, x1, y1 = box
    quad = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return PlateMark(0.9, box, quad, text, 0.8 if text else 0.0)


def marked(box: tuple[float, float, float, float], text: str | None = "AB1") -> Annotation:
    return Annotation(box=box, text=text)


@pytest.mark.parametrize(
    ("marks", "annotated", "expected"),
    [
        ([found(BOX)], None, 0.72),  # nobody annotated: that of the model itself
        ([], None, 0.5),
        ([found(BOX)], [marked(BOX)], 0.72),
        ([found(BOX)], [marked(BOX, "AB7")], 0.28),  # one of the two is wrong
        ([found(BOX)], [marked(BOX, None)], 0.9),
        ([found(BOX), found(FAR)], [marked(BOX)], 0.1),  # a mark that was forgotten
        ([found(BOX)], [marked(BOX), marked(FAR)], 0.2),
        ([], [], 0.9),
    ],
)
def test_the_least_certain_mark_counts(
    marks: list[PlateMark], annotated: list[Annotation] | None, expected: float
) -> None:
    assert certainty(marks, annotated) == pytest.approx(expected)


def test_agreements_count_marks_and_texts_and_add_up() -> None:
    same = Agreement.of([marked(BOX)], [marked(BOX)])
    differs = Agreement.of([marked(BOX), marked(FAR)], [marked(BOX, "X")])
    assert (same.equal, differs.equal) == (1, 0)
    assert (same + differs).to_dict() == {
        **{"images": 2, "equal": 1, "first": 3, "second": 2},
        **{"both": 2, "texts": 2, "same_text": 1},
    }
