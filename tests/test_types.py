import base64
import io
import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import PIL.Image
import pytest

from platemark.imaging.draw import draw_image
from platemark.imaging.image import Image
from platemark.types import (
    Alternative,
    Character,
    Crop,
    Detection,
    Embedding,
    Failure,
    Identity,
    InkMask,
    Obscured,
    PlateMark,
    Reading,
    Region,
    Result,
    StampMark,
    TextLine,
    as_box,
)

QUAD = ((412.1, 633.0), (590.7, 636.0), (590.0, 680.2), (412.5, 677.0))
PLATE = PlateMark(
    score=0.98,
    box=(412.1, 633.0, 590.7, 680.2),
    quad=QUAD,
    text="AC4921CB",
    text_score=0.97,
    characters=(Character("A", 0.99),),
    alternatives=(Alternative("AC4921C8", 0.01),),
    matches_format=True,
    region=Region("eu-ua-2015", 0.96),
    lines=1,
    obscured=Obscured(False, 0.01),
)
PLATE_JSON = {
    "kind": "plate",
    "score": 0.98,
    "box": [412.1, 633.0, 590.7, 680.2],
    "quad": [[412.1, 633.0], [590.7, 636.0], [590.0, 680.2], [412.5, 677.0]],
    "text": "AC4921CB",
    "text_score": 0.97,
    "characters": [{"char": "A", "score": 0.99}],
    "alternatives": [{"text": "AC4921C8", "score": 0.01}],
    "matches_format": True,
    "region": {"code": "eu-ua-2015", "score": 0.96},
    "lines": 1,
    "obscured": {"value": False, "score": 0.01},
}
VECTOR = np.array([0.6, 0.0, -0.8], np.float32)
STAMP = StampMark(
    score=0.97,
    box=(1.0, 2.0, 4.0, 5.0),
    quad=((1.0, 2.0), (4.0, 2.0), (4.0, 5.0), (1.0, 5.0)),
    shape="circle",
    color="blue",
    rotation=12.48,
    mask=InkMask.of(np.eye(3, dtype=bool), (6, 8), 1, 2),
    text="ACME / No 7",
    text_score=0.8,
    lines=(TextLine("ACME", "ring"), TextLine("No 7", "straight")),
    identity=Identity("ACME Ltd", "01J", 0.91, True),
    embedding=Embedding(VECTOR, "stamp-embedder@1"),
)
STAMP_JSON = {
    "kind": "stamp",
    "score": 0.97,
    "box": [1.0, 2.0, 4.0, 5.0],
    "quad": [[1.0, 2.0], [4.0, 2.0], [4.0, 5.0], [1.0, 5.0]],
    "shape": "circle",
    "color": "blue",
    "rotation": 12.5,
    "mask": {"size": [6, 8], "counts": "816000c0"},
    "text": "ACME / No 7",
    "text_score": 0.8,
    "lines": [{"text": "ACME", "path": "ring"}, {"text": "No 7", "path": "straight"}],
    "identity": {"name": "ACME Ltd", "design": "01J", "similarity": 0.91, "accepted": True},
}


def test_the_json_of_a_stamp_is_that_of_the_interface() -> None:
    data = STAMP.to_dict()
    assert data == STAMP_JSON
    assert list(data) == list(STAMP_JSON)


def test_the_vector_of_a_stamp_is_given_on_request_and_comes_back() -> None:
    result = Result("a.pdf", 1, 8, 6, (STAMP, PLATE), 2.0)
    assert "embedding" not in result.to_dict()["marks"][0]
    data = json.loads(json.dumps(result.to_dict(embedding=True)))
    assert data["marks"][0]["embedding"] == [0.6, 0.0, -0.8]
    (stamp, plate) = Result.from_dict(data).marks
    assert isinstance(stamp, StampMark)
    assert (stamp.embedding, stamp.mask, plate) == (STAMP.embedding, STAMP.mask, PLATE)


def test_vectors_of_another_model_are_others() -> None:
    vector = Embedding(VECTOR, "stamp-embedder@1")
    assert vector == STAMP.embedding
    assert hash(vector) == hash(STAMP.embedding)
    assert vector != Embedding(VECTOR, "stamp-embedder@2")
    assert vector != Embedding(-VECTOR, "stamp-embedder@1")
    assert vector != "stamp-embedder@1"


def test_a_stamp_without_what_is_not_determined_yet_has_nulls() -> None:
    mask = InkMask.of(np.zeros((1, 1)), (6, 8))
    bare = StampMark(0.5, STAMP.box, STAMP.quad, "other", "other", None, mask)
    data = bare.to_dict(embedding=True)
    assert [data[key] for key in ("rotation", "text", "identity")] == [None] * 3
    assert list(data) == list(STAMP_JSON)
    assert StampMark.from_dict(data) == bare


def test_result_json_is_that_of_the_interface() -> None:
    result = Result("in/car.jpg", 0, 1600, 1200, (PLATE,), 18.44)
    assert result.to_dict() == {
        "source": "in/car.jpg",
        "page": 0,
        "width": 1600,
        "height": 1200,
        "marks": [PLATE_JSON],
        "elapsed_ms": 18.4,
    }


def test_a_plate_without_what_is_not_determined_yet_has_nulls() -> None:
    data = PlateMark(0.5, (0, 0, 1, 1), ((0, 0), (1, 0), (1, 1), (0, 1))).to_dict()
    empty = ("text", "region", "lines", "obscured")
    assert {key: data[key] for key in empty} == dict.fromkeys(empty)
    assert list(data) == list(PLATE_JSON)


@pytest.mark.parametrize(
    "result",
    [
        Result("a.jpg", 0, 1600, 1200, (PLATE,), 18.4),
        Result("a.jpg", 3, 5, 5, (), 1.0),
        Result("a.pdf", 0, 8, 6, (replace(STAMP, rotation=-7.5, embedding=None), PLATE), 2.0),
        Result("a.jpg", error=Failure("unreadable_image", "a.jpg is not an image")),
    ],
)
def test_results_come_back_from_json(result: Result) -> None:
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_failed_result_is_source_and_error_only() -> None:
    failed = Result("in/bad.jpg", error=Failure("unreadable_image", "no"))
    assert failed.to_dict() == {
        "source": "in/bad.jpg",
        "error": {"code": "unreadable_image", "message": "no"},
    }
    later = Result("scan.pdf", 2, error=Failure("unreadable_image", "no"))
    assert later.to_dict()["page"] == 2


def test_numbers_of_numpy_become_plain_json() -> None:
    box = np.array([1.23456, 2, 3, 4], np.float32)
    quad = np.zeros((4, 2), np.float32)
    detection = Detection("plate", float(np.float32(0.123456)), box, quad)  # type: ignore[arg-type]
    assert json.loads(json.dumps(detection.to_dict())) == {
        "kind": "plate",
        "score": 0.1235,
        "box": [1.23, 2.0, 3.0, 4.0],
        "quad": [[0.0, 0.0]] * 4,
    }


def test_a_plate_splits_into_where_and_what() -> None:
    joined = PlateMark.of(PLATE.detection, PLATE.reading)
    assert (joined.box, joined.text, joined.alternatives) == (
        PLATE.box,
        PLATE.text,
        PLATE.alternatives,
    )
    assert (joined.region, joined.lines) == (PLATE.region, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Detection("plate", 1.1, (0, 0, 1, 1), QUAD),
        lambda: Detection("plate", float("nan"), (0, 0, 1, 1), QUAD),
        lambda: as_box([2, 0, 1, 1]),
        lambda: as_box([0, 0, float("inf"), 1]),
        lambda: as_box([0, 0, 1]),
        lambda: Detection("plate", 0.5, (0, 0, 1, 1), QUAD[:3]),  # type: ignore[arg-type]
        lambda: Reading("", 0.5),
        lambda: PlateMark(0.5, (0, 0, 1, 1), QUAD, text=""),
        lambda: Character("A", -0.1),
        lambda: replace(STAMP, text=""),
        lambda: replace(STAMP, shape="round"),
        lambda: replace(STAMP, color="pink"),
        lambda: replace(STAMP, score=2.0),
        lambda: TextLine("A", "round"),
        lambda: Embedding(2 * VECTOR, "m@1"),
        lambda: Embedding(VECTOR[None], "m@1"),
        lambda: Crop(np.zeros((4, 4), np.uint8), np.eye(3)),
        lambda: Crop(np.zeros((4, 4, 3), np.uint8), np.eye(2)),
    ],
)
def test_a_value_is_valid_from_birth(make: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


def test_plot_without_an_image_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="draw_marks"):
        Result("a.jpg", 0, 5, 5).plot()


def notebook_result() -> Result:
    """A result with a plate and a stamp, and a picture to draw them on."""
    box, quad = (1.0, 1.0, 6.0, 4.0), ((1.0, 1.0), (6.0, 1.0), (6.0, 4.0), (1.0, 4.0))
    ink = InkMask.of(np.ones((2, 3), bool), (6, 8), 2, 1)
    vector = np.eye(1, 256, dtype=np.float32)[0]
    marks = (
        PlateMark(0.9, box, quad, "AB<12", 0.8, (Character("A", 0.9),) * 5),
        StampMark(0.7, box, quad, "circle", "blue", None, ink, embedding=Embedding(vector, "e@1")),
    )
    picture = Image(np.full((6, 8, 3), 255, np.uint8))
    return Result("a&b.png", 0, 8, 6, marks, draw=partial(draw_image, picture))


def test_a_result_is_a_sequence_of_its_marks() -> None:
    result = notebook_result()
    assert (len(result), list(result), result[0]) == (2, list(result.marks), result.marks[0])
    assert result[1:] == result.marks[1:]
    assert result[-1].kind == "stamp"
    # a page without marks is a result too
    assert bool(Result("empty.png"))
    assert list(Result("empty.png")) == []


def test_a_mark_is_shown_on_one_line() -> None:
    for mark in notebook_result():
        assert "\n" not in repr(mark)
        assert len(repr(mark)) < 200
    assert "blue" in repr(notebook_result()[1])
    embedding = notebook_result()[1].embedding  # type: ignore[union-attr]
    assert repr(embedding) == "Embedding(model='e@1')"


def test_a_notebook_shows_the_picture_and_the_marks() -> None:
    result = notebook_result()
    data = result._repr_png_()
    assert data is not None
    assert PIL.Image.open(io.BytesIO(data)).size == (8, 6)
    shown = result._repr_html_()
    assert base64.b64encode(data).decode() in shown
    assert "a&amp;b.png" in shown
    assert "AB&lt;12" in shown
    failed = Result("bad.png", error=Failure("unreadable_image", "bad.png is <empty>"))
    assert failed._repr_png_() is None
    assert "bad.png is &lt;empty&gt;" in failed._repr_html_()
    assert "<img" not in failed._repr_html_()


def test_a_result_goes_to_supervision() -> None:
    found = notebook_result().to_supervision()
    assert len(found) == 2
    assert found.xyxy.tolist() == [[1.0, 1.0, 6.0, 4.0]] * 2
    assert found.confidence.tolist() == [0.9, 0.7]
    assert found.data["text"].tolist() == ["AB<12", ""]
    assert found.data["class_name"].tolist() == ["plate", "stamp"]
    assert len(Result("empty.png").to_supervision()) == 0
    (only,) = [mark for mark in notebook_result() if mark.kind == "stamp"]
    inked = Result("a.png", 0, 8, 6, (only,)).to_supervision()
    assert np.asarray(inked.mask).sum() == 6
