"""The check of a data set as one HTML page."""

import base64
import html
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from platemark.datasets.check import EXAMPLES, PROBLEMS, Check, Finding
from platemark.datasets.convert import Dataset
from platemark.datasets.show import thumbnail
from platemark.errors import PlatemarkError
from platemark.files import replace_file
from platemark.splits import Split

_PICTURES, _SIZE = 3, (420, 300)
"""Pictures of each problem, and their size at most."""
_VALUES = 40
"""Values of an attribute that are listed, the most frequent ones."""
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #111; max-width: 1000px; margin: 2em auto;
  padding: 0 1em } h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin: 1.6em 0 .3em }
table { border-collapse: collapse } td, th { padding: .15em 1.2em .15em 0; text-align: left }
td.n, th.n { text-align: right } .bar { background: #0072b2; height: .7em; min-width: 1px }
section { border-left: 5px solid #e69f00; padding: .1em 1em; margin: 1em 0 }
section.error { border-color: #c2006b } li { overflow-wrap: anywhere }
figure { display: inline-block; margin: .5em 1em .5em 0; vertical-align: top }
figcaption { max-width: 840px; overflow-wrap: anywhere; color: #555 } img { max-width: 100% }
@media (prefers-color-scheme: dark) {
  body { background: #111; color: #eee } figcaption { color: #aaa } }
"""


def write_check(check: Check, dataset: Dataset, path: Path) -> None:
    """Write a check as one page with its pictures in it.

    Args:
        check: Of `check_dataset`.
        dataset: What was checked.
        path: The file; it is whole or not there.

    Raises:
        OSError: It cannot be written.
    """
    title = f"Check of {check.source}"
    verdict = f"{check.errors} errors, {check.warnings} warnings"
    body = [f"<h1>{_text(title)}</h1><p>Format {_text(check.format)}. <b>{verdict}.</b></p>"]
    body.append(_table("Images", {"images": check.images}, check))
    body += [_problem(name, check, dataset) for name in check.problems]
    body += [
        _table(f"Marks by {name}", values, check, bars=True) for name, values in check.marks.items()
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"{''.join(body)}</html>\n"
    )
    with replace_file(path) as stream:
        stream.write(page.encode())


def _problem(name: str, check: Check, dataset: Dataset) -> str:
    severity, title, advice = PROBLEMS[name]
    findings, count = check.findings[name], check.counts[name]
    more = f"<p>The first {EXAMPLES} of {count}.</p>" if count > EXAMPLES else ""
    lines = "".join(f"<li>{_text(finding.message)}</li>" for finding in findings)
    pictures = "".join(_figure(finding, dataset) for finding in findings[:_PICTURES])
    return (
        f'<section class="{severity}"><h2>{severity}: {_text(title)} ({count})</h2>'
        f"<p>{_text(advice)}</p>{pictures}<details {'open' if count <= 10 else ''}>"
        f"<summary>Where</summary>{more}<ol>{lines}</ol></details></section>"
    )


def _figure(finding: Finding, dataset: Dataset) -> str:
    pictures = []
    for image in finding.images:
        try:
            picture = thumbnail(dataset.root / image, finding.entry, _SIZE)
        except PlatemarkError:  # which may be what was found
            continue
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=85)
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        pictures.append(f'<img alt="" src="data:image/jpeg;base64,{data}">')
    caption = f"<figcaption>{_text(finding.message)}</figcaption>"
    return f"<figure>{' '.join(pictures)}{caption}</figure>" if pictures else ""


def _table(
    title: str, values: Mapping[str, Counter[Split]], check: Check, *, bars: bool = False
) -> str:
    splits = list(check.images)
    ordered = sorted(values.items(), key=lambda item: -item[1].total())
    most = max((count.total() for _, count in ordered), default=0) or 1
    rows = "".join(
        f"<tr><td>{_text(value)}</td><td class=n>{count.total()}</td>"
        + "".join(f"<td class=n>{count[split]}</td>" for split in splits)
        + f"<td>{_bar(count.total() / most) if bars else ''}</td></tr>"
        for value, count in ordered[:_VALUES]
    )
    head = "".join(f"<th class=n>{_text(name)}</th>" for name in ("all", *splits))
    left = len(ordered) - _VALUES
    more = f"<p>and {left} rarer ones</p>" if left > 0 else ""
    return f"<h2>{_text(title)}</h2><table><tr><th></th>{head}</tr>{rows}</table>{more}"


def _bar(share: float) -> str:
    return f'<div class="bar" style="width: {200 * share:.0f}px"></div>'


def _text(value: object) -> str:
    return html.escape(str(value))
