import base64
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pypdfium2
import pytest
from numpy.typing import NDArray

from platemark.stamps.pipeline import StampPipeline
from platemark.stamps.report import write_report
from platemark.types import Comparison
from platemark.usecases.compare import compare

Draw = Callable[..., NDArray[np.float32]]


@pytest.fixture
def compared(stamp_pipeline: StampPipeline, draw_stamp: Draw, tmp_path: Path) -> Comparison:
    """Two stamps that differ, in files of awkward names."""
    paths = []
    for name, text in (("a<b>.png", ("ACME", "77")), ("b & c.png", ("BETA", "12"))):
        page = np.full((320, 320, 3), 240, np.uint8)
        draw_stamp(page, "circle", (160, 160), 260, text=text)
        PIL.Image.fromarray(page).save(tmp_path / name)
        paths.append(tmp_path / name)
    found = compare(*paths, pipeline=stamp_pipeline)
    assert found.verdict == "different"
    return found


def test_html_has_everything_in_one_file(
    compared: Comparison, stamp_pipeline: StampPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    cards = [model.card for model in stamp_pipeline.models]
    write_report(compared, path, cards)
    page = path.read_text(encoding="utf-8")
    assert "Verdict: different stamps" in page
    assert "a&lt;b&gt;.png" in page
    assert "b &amp; c.png" in page
    assert hashlib.sha256((tmp_path / "a<b>.png").read_bytes()).hexdigest() in page
    assert {"stamp-segmenter", "stamp-comparer"} <= {card.name for card in cards}
    for card in cards:
        assert f"{card.name} {card.version}" in page
        assert card.files["model.onnx"].sha256 in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    sizes = [PIL.Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures]
    assert len(sizes) == 3
    assert page.count("<li>") == len(compared.differences) > 0


def test_pdf_is_one_page_that_says_the_same(
    compared: Comparison, stamp_pipeline: StampPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "report.PDF"
    write_report(compared, path, [model.card for model in stamp_pipeline.models])
    with pypdfium2.PdfDocument(path) as document:
        assert len(document) == 1
        text = document[0].get_textpage().get_text_range()
    assert "Verdict: different stamps" in text
    assert stamp_pipeline.models[0].card.files["model.onnx"].sha256 in text
    assert "1: " in text


def test_a_comparison_without_imprints_has_no_report(compared: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no imprints"):
        write_report(replace(compared, evidence=None), tmp_path / "report.html")
    with pytest.raises(ValueError, match=r"\.html or \.pdf"):
        write_report(compared, tmp_path / "report.docx")
    assert not list(tmp_path.glob("report.*"))
