"""A comparison of two imprints as one page to be filed: HTML in one file, or PDF."""

import base64
import hashlib
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import PIL.Image

from platemark.imaging.draw import draw_overlay
from platemark.imaging.pdf import PdfSheet
from platemark.imaging.sources import PDFIUM
from platemark.matching import InkTemplate
from platemark.matching.template import INKED
from platemark.models.card import MODEL_NAME, ModelCard
from platemark.types import Comparison, Evidence, StampMark

_TITLE = "Comparison of two stamp imprints"
_HEADINGS = {"same": "same stamp", "different": "different stamps", "unsure": "cannot tell"}
_OVERLAY = "B laid on A: blue is in A alone, orange in B alone, grey in both"
_NOTE = (
    "The probabilities are estimates of a statistical model, not proof. Someone who knows stamps "
    "should check the marked places."
)
# Heights on the PDF page, in points.
_IMPRINT_HEIGHT, _OVERLAY_HEIGHT = 150.0, 200.0
# Longer side of the pictures in the report, in pixels.
_PICTURE = 720
_COLUMNS, _ROWS = ("left", "middle", "right"), ("upper", "middle", "lower")


@dataclass(frozen=True)
class _Report:
    """What is on the page.

    Attributes:
        heading: The verdict in words.
        reason: Why, and how probable it is.
        imprints: Captions and pictures of both.
        overlay: Caption and picture of one laid on the other.
        differences: Where they disagree, in the order of the numbers in the overlay.
        tables: Sections by their titles: rows of a name and what is said.
    """

    heading: str
    reason: str
    imprints: tuple[tuple[str, PIL.Image.Image], ...]
    overlay: tuple[str, PIL.Image.Image]
    differences: tuple[str, ...]
    tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def write_report(comparison: Comparison, path: Path, models: Sequence[ModelCard] = ()) -> None:
    """Write a comparison as one page: both imprints, one laid on the other, and what was judged.

    Args:
        comparison: From `platemark.compare`.
        path: The file; ``.html`` is one file with its pictures in it, ``.pdf`` an A4 page.
        models: Cards of the models that were used, to be named with their digests.

    Raises:
        ValueError: The comparison has no evidence, as one that was read from JSON; or the name of
            the file ends otherwise.
        OSError: The file cannot be written.
    """
    if comparison.evidence is None:
        raise ValueError("this comparison has no imprints to show; only platemark.compare's do")
    writers = {".html": _html, ".pdf": _pdf}
    if path.suffix.lower() not in writers:
        raise ValueError(f"a report is {' or '.join(writers)}, not {path.name}")
    report = _report(comparison, comparison.evidence, models)
    path.write_bytes(writers[path.suffix.lower()](report))


def _report(comparison: Comparison, evidence: Evidence, models: Sequence[ModelCard]) -> _Report:
    masks = [InkTemplate.of(mark).mask for mark in (evidence.a, evidence.b)]
    laid = draw_overlay(
        masks[0] >= INKED,
        masks[1] >= INKED,
        np.array(evidence.transform),
        np.array(evidence.regions).reshape(-1, 4),
    )
    imprints = tuple(
        (f"Imprint {name}", _picture(mark, mask))
        for name, mark, mask in zip("AB", (evidence.a, evidence.b), masks, strict=True)
    )
    differences = tuple(
        f"{number}: {_place(box, masks[0].shape)} of A, about "
        f"{box[2] - box[0]:.0f} x {box[3] - box[1]:.0f} pixels"
        for number, box in enumerate(evidence.regions, 1)
    )
    inputs = tuple(
        row for name, mark in (("A", evidence.a), ("B", evidence.b)) for row in _source(name, mark)
    )
    judged = [
        ("Probability of one stamp", _percent(comparison.score)),
        ("Probability of one design", _percent(evidence.design)),
        ("... that no detail differs, if it is", _percent(evidence.detail)),
        ("Local features that agree", str(evidence.features)),
    ]
    if evidence.similarity is not None:
        judged.append(("Cosine similarity of the embeddings", f"{evidence.similarity:.3f}"))
    made = [
        (f"{card.name} {card.version}", card.files[MODEL_NAME].sha256)
        for card in models
        if MODEL_NAME in card.files
    ]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    made.append((f"platemark {version('platemark')}", f"report of {now}"))
    return _Report(
        f"Verdict: {_HEADINGS[comparison.verdict]}",
        f"{comparison.reason[:1].upper()}{comparison.reason[1:]}. "
        f"Probability of one stamp: {_percent(comparison.score)}.",
        imprints,
        (_OVERLAY + ("; rings are where they disagree" if differences else ""), laid),
        differences,
        (
            ("Inputs", inputs),
            ("Judged", tuple(judged)),
            ("Software, and models with their SHA-256", tuple(made)),
        ),
    )


def _picture(mark: StampMark, mask: np.ndarray) -> PIL.Image.Image:
    """The imprint on its paper; its ink alone where it does not carry its picture."""
    pixels = np.uint8(255) - mask if mark.crop is None else mark.crop.pixels
    picture = PIL.Image.fromarray(pixels).convert("RGB")
    factor = _PICTURE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, PIL.Image.Resampling.BICUBIC)


def _place(box: Sequence[float], shape: Sequence[int]) -> str:
    """Where a box is on an imprint (height, width), in words."""
    across = _COLUMNS[min(2, int(1.5 * (box[0] + box[2]) / shape[1]))]
    down = _ROWS[min(2, int(1.5 * (box[1] + box[3]) / shape[0]))]
    return "middle" if across == down else f"{down} {across}"


def _source(name: str, mark: StampMark) -> list[tuple[str, str]]:
    x0, y0, x1, y1 = mark.box
    where = f"{x1 - x0:.0f} x {y1 - y0:.0f} pixels at ({x0:.0f}, {y0:.0f})"
    rows = []
    if mark.crop is not None and mark.crop.source:
        file = Path(mark.crop.source)
        page = f", page {mark.crop.page}" if mark.crop.page else ""
        rows.append((f"{name}: file", f"{file.name}{page}"))
        if file.is_file():
            rows.append((f"{name}: SHA-256", hashlib.sha256(file.read_bytes()).hexdigest()))
    rows.append((f"{name}: imprint", where))
    if mark.text is not None:
        rows.append((f"{name}: text", mark.text))
    return rows


def _percent(share: float) -> str:
    """A probability as a percentage that claims no certainty."""
    if share > 0.999:
        return "over 99.9 %"
    return "under 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


_STYLE = """
@page { size: A4; margin: 12mm }
body { font: 14px/1.4 system-ui, sans-serif; color: #111; max-width: 960px; margin: 1.5em auto }
h1 { font-size: 1.5em; margin: 0 } h2 { font-size: 1em; margin: 1.2em 0 .2em }
.pictures { display: flex; gap: 1em; margin-top: 1em } figure { margin: 0; flex: 1 }
img { width: 100%; border: 1px solid #ccc } table { border-collapse: collapse }
td { padding: .1em 1em .1em 0; vertical-align: top; overflow-wrap: anywhere }
td:first-child { color: #555; white-space: nowrap }
"""


def _html(report: _Report) -> bytes:
    def text(value: str) -> str:
        return html.escape(value)

    panels = "".join(
        f'<figure><img alt="{text(caption)}" src="data:image/png;base64,{_png(picture)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
        for caption, picture in (*report.imprints, report.overlay)
    )
    places = "".join(f"<li>{text(place.partition(': ')[2])}</li>" for place in report.differences)
    differ = f"<h2>Where they disagree</h2><ol>{places}</ol>" if places else ""
    tables = "".join(
        f"<h2>{text(title)}</h2><table>"
        + "".join(f"<tr><td>{text(name)}</td><td>{text(said)}</td></tr>" for name, said in rows)
        + "</table>"
        for title, rows in report.tables
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{text(_TITLE)}'
        f"</title><style>{_STYLE}</style><h1>{text(_TITLE)}</h1>"
        f"<h2>{text(report.heading)}</h2><p>{text(report.reason)}"
        f'</p><div class="pictures">{panels}</div>{differ}{tables}<p>{text(_NOTE)}</p></html>\n'
    )
    return page.encode()


def _png(picture: PIL.Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _pdf(report: _Report) -> bytes:
    with PDFIUM:
        sheet = PdfSheet()
        sheet.text(_TITLE, size=16, bold=True)
        sheet.text(report.heading, size=12, bold=True)
        sheet.text(report.reason)
        sheet.pictures(report.imprints, _IMPRINT_HEIGHT)
        sheet.pictures([report.overlay], _OVERLAY_HEIGHT)
        if report.differences:
            sheet.text("Where they disagree", bold=True)
            sheet.text("; ".join(report.differences))
        for title, rows in report.tables:
            sheet.text(title, bold=True)
            sheet.table(rows)
        sheet.text(_NOTE)
        return sheet.save()
