"""The JSON that scripts of others rely on stays as it is, to the byte."""

import io
import json
from pathlib import Path

import pytest

from platemark.apps.cli.output import WRITERS, ResultFormat
from platemark.types import (
    Alternative,
    Character,
    Failure,
    Identity,
    InkMask,
    Obscured,
    PlateMark,
    Region,
    Result,
    StampMark,
    TextLine,
)

GOLDEN = (Path(__file__).parent / "result.jsonl").read_text(encoding="utf-8")
READ = PlateMark(
    score=0.98,
    box=(412.1, 633.0, 590.7, 680.2),
    quad=((412.1, 634.0), (590.2, 633.0), (590.7, 679.1), (412.9, 680.2)),
    text="AC4921CB",
    text_score=0.97,
    characters=(Character("A", 0.99), Character("C", 0.985)),
    alternatives=(Alternative("AC4921C8", 0.01),),
    matches_format=True,
    region=Region("eu-ua-2015", 0.96),
    lines=1,
    obscured=Obscured(False, 0.01),
)
ILLEGIBLE = PlateMark(
    score=0.61,
    box=(10.0, 20.0, 50.5, 31.25),
    quad=((10.0, 20.0), (50.5, 20.0), (50.5, 31.25), (10.0, 31.25)),
)
STAMP = StampMark(
    score=0.97,
    box=(1.0, 2.0, 4.0, 5.0),
    quad=((1.0, 2.0), (4.0, 2.0), (4.0, 5.0), (1.0, 5.0)),
    shape="circle",
    color="blue",
    rotation=12.5,
    mask=InkMask((6, 8), "816000c0"),
    text="ACME / No 7",
    text_score=0.8,
    lines=(TextLine("ACME", "ring"), TextLine("No 7", "straight")),
    identity=Identity("ACME Ltd", "01J", 0.91, True),
)
FAINT = StampMark(
    0.55, (0.0, 0.0, 2.5, 2.0), STAMP.quad, "other", "other", None, InkMask((6, 8), "`1")
)
RESULTS = (
    Result("in/car.jpg", 0, 1600, 1200, (READ, ILLEGIBLE), 18.4),
    Result("in/empty.png", 2, 640, 480, (), 7.0),
    Result("in/bad.jpg", error=Failure("unreadable_image", "in/bad.jpg is empty (0 bytes)")),
    Result("scan.pdf", 3, error=Failure("input_too_large", "scan.pdf page 3 has too many pixels")),
    Result("scan.pdf", 4, 8, 6, (STAMP, FAINT), 61.0),
)


def test_results_are_written_as_ever() -> None:
    stream = io.StringIO()
    writer = WRITERS[ResultFormat.JSONL](stream)
    for result in RESULTS:
        writer.write(result)
    assert stream.getvalue() == GOLDEN


@pytest.mark.parametrize(("line", "result"), list(zip(GOLDEN.splitlines(), RESULTS, strict=True)))
def test_results_are_read_as_ever(line: str, result: Result) -> None:
    assert Result.from_dict(json.loads(line)) == result
