"""Results as HTML. Whatever came from outside, such as names and texts, is escaped."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import PIL.Image

from platemark.apps.learning import Progress
from platemark.apps.services import Kind
from platemark.apps.web.assets import LOGO
from platemark.apps.web.pictures import crop_url, data_url, ink_picture, page_url
from platemark.errors import PlatemarkError
from platemark.geometry import quad_to_box
from platemark.imaging.draw import cut_mark
from platemark.imaging.image import Image
from platemark.masks import InkCrop
from platemark.registry.records import Design, Sample
from platemark.stamps.similarity import cosine_similarity
from platemark.types import Comparison, Mark, PlateMark, Result, StampMark

# Characters below are marked, other texts below are left out.
_LOW_CHARACTER, _LEAST_SAID = 0.8, 0.01
MOST_COMPARED = 40
"""Stamps of a document that the matrix of similarities shows."""

_PICTURES = {
    "plate": '<rect x="8" y="34" width="80" height="28" rx="5"/><path d="M20 34v28M30 48h8M44 48h8'
    'M58 48h8M72 48h8"/>',
    "stamp": '<circle cx="48" cy="48" r="36"/><circle cx="48" cy="48" r="25"/><path d="M36 48h24'
    'M40 40h16M40 56h16"/>',
    "compare": '<circle cx="36" cy="48" r="27"/><circle cx="60" cy="48" r="27"/>',
    "learn": '<circle cx="40" cy="44" r="27"/><circle cx="40" cy="44" r="17"/>'
    '<path d="M60 64l22 22"/>',
    "registry": '<rect x="12" y="14" width="30" height="30" rx="5"/><rect x="54" y="14" width="30" '
    'height="30" rx="5"/><rect x="12" y="54" width="30" height="30" rx="5"/><path d="M69 58v24'
    'M57 70h24"/>',
}


def masthead(role: str | None = None) -> str:
    """The head of the page; says so where the visitor may only read."""
    note = '<p class="pm-role">Read only</p>' if role == "read" else ""
    return (
        f'<div class="pm-head"><h1>{LOGO}platemark</h1>'
        f"<p>Reads licence plates, knows stamps.</p>{note}</div>"
    )


def empty(picture: str, title: str, text: str) -> str:
    """What stands where there is nothing to show yet."""
    drawing = (
        '<svg viewBox="0 0 96 96" fill="none" stroke="currentColor" stroke-width="2.5" '
        f'stroke-linecap="round" aria-hidden="true">{_PICTURES[picture]}</svg>'
    )
    return f'<div class="pm-empty">{drawing}<h2>{escape(title)}</h2><p>{escape(text)}</p></div>'


def notice(title: str, text: str, tone: str = "") -> str:
    """A sentence or two that must not be missed; ``tone`` is ``"bad"``, ``"good"`` or nothing."""
    role = "alert" if tone == "bad" else "status"
    return (
        f'<div class="pm-notice {tone}" role="{role}">'
        f"<div><b>{escape(title)}</b> {escape(text)}</div></div>"
    )


def failure(error: PlatemarkError) -> str:
    """What went wrong with an input, and what to do about it."""
    return notice("That did not work.", f"{sentence(error.message)}", "bad")


def sentence(text: str) -> str:
    """A message of an error as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def progress(done: int, total: int) -> str:
    """How far a document is."""
    return (
        f'<div class="pm-progress" role="status">Page {done} of {total} done'
        f'<progress max="{total}" value="{done}">{done} of {total}</progress></div>'
    )


def lesson(progress: Progress) -> str:
    """How far a training is."""
    minutes, seconds = divmod(round(progress.seconds), 60)
    done, total = progress.done, progress.total
    return (
        f'<div class="pm-progress" role="status">{escape(progress.stage.capitalize())}: '
        f"{done} of {total}{' seconds' if progress.stage == 'fine-tuning' else ''}; "
        f"since {minutes}:{seconds:02d} minutes"
        f'<progress max="{total}" value="{done}">{done} of {total}</progress></div>'
    )


def learned(report: str) -> str:
    """What was learned, and how well it does on generated pictures, see `Learned.to_json`."""
    said = json.loads(report)
    names = ", ".join(said["classes"])
    facts = {
        "Found": f"{_rate(said['recall'])} of the marks in generated pictures",
        "False alarms": f"in {_rate(said['false_alarms'])} of the pictures",
        "Detector": said["detector"],
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return (
        f'<article class="pm-card"><header><h3>{escape(names)} is learned'
        "<small>Real photos are harder than generated pictures: drop some of your own.</small>"
        f'</h3></header><dl class="pm-facts">{rows}</dl></article>'
    )


def _rate(rate: Mapping[str, Any]) -> str:
    if rate["value"] is None:
        return "unknown (n=0)"
    low, high = rate["interval"]
    return f"{rate['value']:.0%} ({low:.0%} to {high:.0%}, n={rate['n']})"


def page(kind: Kind, image: Image, result: Result, place: int, pages: int) -> str:
    """A page annotated with its marks; its place, counted from 1, and how many there are."""
    width, height = image.width, image.height
    names = [_name(mark) for mark in result.marks]
    alt = f"{_counted(kind, len(names))}: {'; '.join(names)}" if names else f"No {kind} found"
    shapes, tags = [], []
    for number, (mark, name) in enumerate(zip(result.marks, names, strict=True), 1):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.quad)
        shapes.append(
            f'<g class="pm-mark" role="link" tabindex="0" data-mark="{kind}{number}" '
            f'data-go="{kind}-{number}" aria-label="{kind.capitalize()} {number}: {escape(name)}">'
            f"<title>{escape(name)}</title>"
            f'<polygon points="{points}"/></g>'
        )
        x0, y0, _, y1 = quad_to_box(mark.quad)
        low = y0 < 0.06 * height
        x, y = min(max(x0 / width, 0.0), 0.9), (y1 if low else y0) / height
        label = mark.text if isinstance(mark, PlateMark) and mark.text else str(number)
        tags.append(
            f'<span class="pm-tag{" low" if low else ""}" aria-hidden="true" '
            f'style="left:{100 * x:.2f}%;top:{100 * y:.2f}%">{escape(label)}</span>'
        )
    where = f"<span>Page {place} of {pages}</span>" if pages > 1 else ""
    return (
        '<figure class="pm-page"><div class="pm-sheet"><div class="pm-frame">'
        f'<img src="{page_url(image.pixels)}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(shapes)}</svg>'
        f"{''.join(tags)}</div></div><figcaption><b>{escape(result.source)}</b>{where}"
        f"<span>{_counted(kind, len(names))}</span><span>{width} × {height} px</span>"
        f"<span>{result.elapsed_ms:.0f} ms</span></figcaption></figure>"
    )


def cards(kind: Kind, image: Image, result: Result) -> str:
    """A card for each mark of a page: what it is, its score, and what to take along."""
    if not result.marks:
        return notice(
            f"No {kind} on this page.", "Try a sharper or closer picture, or a lower least score."
        )
    items = []
    for number, mark in enumerate(result.marks, 1):
        crop = cut_mark(image.pixels, mark)
        body = _plate(mark) if isinstance(mark, PlateMark) else _stamp(mark)
        name = escape(_name(mark))
        items.append(
            f'<li class="pm-card" id="{kind}-{number}" tabindex="-1" data-mark="{kind}{number}">'
            f'<header><span class="pm-num" aria-hidden="true">{number}</span>{_title(mark)}'
            f'</header><div class="pm-crop {kind}"><img src="{crop_url(crop)}" '
            f'alt="Crop of {kind} {number}: {name}"></div>{body}'
            f"{_actions(kind, number, mark, crop)}</li>"
        )
    heading = f'<h2 class="pm-hidden">{_counted(kind, len(items))}</h2>'
    return f'{heading}<ul class="pm-cards">{"".join(items)}</ul>'


def _plate(mark: PlateMark) -> str:
    facts = [("Plate", _meter(mark.score))]
    if mark.text:
        facts.append(("Text", _meter(mark.text_score)))
    if mark.region is not None:
        facts.append(("Region", f"{escape(mark.region.code)} · {mark.region.score:.0%}"))
    if mark.lines:
        facts.append(("Lines", str(mark.lines)))
    if mark.obscured is not None and mark.obscured.value:
        facts.append(("Obscured", f"{mark.obscured.score:.0%}"))
    if mark.mirrored:
        facts.append(("Mirrored", "not read"))
    others = ", ".join(
        f"{a.text} ({a.score:.0%})" for a in mark.alternatives[:3] if a.score >= _LEAST_SAID
    )
    if others:
        facts.append(("Or", escape(others)))
    letters = "".join(
        f"<li{' class=weak' if c.score < _LOW_CHARACTER else ''}>{escape(c.char)}"
        f"<small>{100 * c.score:.0f}</small></li>"
        for c in mark.characters
    )
    row = f'<ol class="pm-chars" aria-label="Percent for each character">{letters}</ol>'
    return f"{row if letters else ''}{_facts(facts)}"


def _stamp(mark: StampMark) -> str:
    facts = [("Stamp", _meter(mark.score))]
    if mark.identity is not None:
        known = mark.identity
        name, alike = escape(known.name), f"{known.similarity:.2f} alike"
        said = (
            f'<span class="pm-known">{name}</span> · {alike}'
            if known.accepted
            else f'<span class="pm-unknown">unknown, nearest {name}</span> · {alike}'
        )
        facts.append(("Known as", said))
    if mark.text:
        facts.append(("Text", f"{escape(mark.text)} · {mark.text_score:.0%}"))
    if mark.rotation is not None:
        facts.append(("Turned", f"{mark.rotation:z.0f}°"))
    facts.append(("Ink", f"{mark.mask.area:,} px".replace(",", " ")))
    return _facts(facts)


def _actions(kind: Kind, number: int, mark: Mark, crop: PIL.Image.Image) -> str:
    data = json.dumps(mark.to_dict(), ensure_ascii=False)
    buttons = [(mark.text, "Copy text")] if mark.text else []
    buttons.append((data, "Copy JSON"))
    if isinstance(mark, StampMark) and mark.embedding is not None:
        buttons.append((json.dumps([float(str(v)) for v in mark.embedding.vector]), "Copy vector"))
    made = "".join(
        f'<button type="button" data-copy="{escape(value)}" '
        f'aria-label="{label} of {kind} {number}">{label}</button>'
        for value, label in buttons
    )
    ending = "png" if crop.mode == "RGBA" else "jpg"
    save = (
        f'<a download="{kind}-{number}.{ending}" href="{data_url(crop)}" '
        f'aria-label="Save the picture of {kind} {number}">Save picture</a>'
    )
    registering = (
        f'<button type="button" class="pm-enrolling" data-enrol="{number}" '
        f'aria-label="Add stamp {number} to the registry">Add to registry</button>'
        if isinstance(mark, StampMark)
        else ""
    )
    return f'<div class="pm-acts">{registering}{made}{save}</div>'


def _title(mark: Mark) -> str:
    if isinstance(mark, PlateMark):
        return (
            f'<h3 class="pm-reads">{escape(mark.text)}</h3>'
            if mark.text
            else ("<h3>Not legible</h3>")
        )
    known = mark.identity
    name = known.name if known is not None and known.accepted else ""
    appearance = f"{mark.color} {mark.shape}".capitalize()
    if name:
        return f"<h3>{escape(name)}<small>{appearance}</small></h3>"
    return f"<h3>{appearance}</h3>"


def _name(mark: Mark) -> str:
    if isinstance(mark, PlateMark):
        return mark.text or "not legible"
    known = mark.identity
    appearance = f"{mark.color} {mark.shape}"
    return f"{known.name}, {appearance}" if known is not None and known.accepted else appearance


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts)
    return f'<dl class="pm-facts">{rows}</dl>'


def _meter(score: float) -> str:
    return f'<span class="pm-meter">{score:.0%}<i style="--part:{100 * score:.0f}%"></i></span>'


def _counted(kind: Kind, count: int) -> str:
    return f"{count} {kind}" if count == 1 else f"{count} {kind}s"


def heat_table(stamps: Sequence[tuple[str, StampMark]]) -> str:
    """The matrix of cosine similarities of stamps as a table; nothing for fewer than two.

    Args:
        stamps: What to call each, and the stamp; those without a vector are left out.
    """
    named = [(name, mark) for name, mark in stamps if mark.embedding is not None]
    vectors = [mark.embedding.vector for _, mark in named if mark.embedding is not None]
    if len(named) < 2:
        return ""
    left_out = len(named) - MOST_COMPARED
    named, vectors = named[:MOST_COMPARED], vectors[:MOST_COMPARED]
    matrix = cosine_similarity(np.stack(vectors), np.stack(vectors))
    heads = []
    for name, mark in named:
        crop = mark.crop
        picture = "" if crop is None else f'<img src="{thumbnail(crop)}" alt="">'
        heads.append(f"{picture}{escape(name)}")
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "".join(
        f'<tr><th scope="row">{head}</th>{"".join(map(_cell, values))}</tr>'
        for head, values in zip(heads, matrix.tolist(), strict=True)
    )
    note = f" The first {MOST_COMPARED} of {len(stamps)}." if left_out > 0 else ""
    return (
        '<h2 class="pm-sub">How alike the stamps are</h2><p class="pm-hint">Cosine similarity of '
        f"their vectors: near 1 for imprints of one stamp.{note}</p>"
        '<div class="pm-scroll" tabindex="0" role="region" aria-label="Similarities"><table '
        f'class="pm-heat"><thead><tr><td></td>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cell(value: float) -> str:
    part = max(0.0, min(1.0, value))
    # From the colour of the sheet to the accent; the figure stays legible on either.
    share = round(100 * part**1.5)
    ink = "#fff" if share > 45 else "inherit"
    tone = f"color-mix(in srgb, #2742c7 {share}%, transparent)"
    return f'<td style="background:{tone};color:{ink}">{value:.2f}</td>'


def thumbnails(elem_id: str, pictures: Iterable[str]) -> str:
    """A style that puts small pictures, given as addresses, beside the choices of a list."""
    rules = "".join(
        f"#{elem_id} label:nth-of-type({number})::before{{background-image:url({picture})}}"
        for number, picture in enumerate(pictures, 1)
        if picture
    )
    return f"<style>{rules}</style>"


def thumbnail(crop: InkCrop) -> str:
    """An imprint in small, as an address."""
    picture = ink_picture(crop)
    picture.thumbnail((110, 110))
    return data_url(picture)


_SAID = {
    "same": ("✓", "The same stamp", "var(--pm-good)"),
    "different": ("✕", "Different stamps", "var(--pm-bad)"),
    "unsure": ("?", "Not to be told", "var(--pm-doubt)"),
}


def verdict(comparison: Comparison, a: str, b: str) -> str:
    """What a comparison says, and the imprints on each other with a slider.

    Args:
        comparison: The comparison.
        a: Picture of the first imprint, as an address.
        b: Picture of the second as it lies on the first.
    """
    sign, title, tone = _SAID[comparison.verdict]
    data = escape(json.dumps(comparison.to_dict()))
    difference = (
        ""
        if comparison.draw is None
        else (
            f'<figure class="pm-diff"><img src="{data_url(comparison.plot())}" alt="The first '
            'imprint, the second as it lies on it, and both in two colours">'
            "<figcaption>What differs is ringed.</figcaption></figure>"
        )
    )
    return (
        f'<div class="pm-verdict" role="status" style="--tone:{tone}">'
        f'<span class="pm-sign" aria-hidden="true">{sign}</span><div><h2>{title}</h2>'
        f'<p>{escape(sentence(comparison.reason))}</p></div><p class="pm-odds">'
        f"<b>{comparison.score:.0%}</b>probability of one stamp</p></div>"
        '<div class="pm-over"><div class="pm-stack"><div>'
        f'<img src="{a}" alt="The first imprint"><img class="top" src="{b}" '
        'alt="The second imprint, laid on the first"><span class="pm-edge"></span></div></div>'
        '<div class="pm-tools"><label class="range">First<input type="range" min="0" max="100" '
        'value="50" aria-label="How much of each imprint is shown">Second</label>'
        '<fieldset><legend class="pm-hidden">How they are laid on each other</legend>'
        '<label><input type="radio" name="pm-lay" value="wipe" checked>Wipe</label>'
        '<label><input type="radio" name="pm-lay" value="blend">Blend</label></fieldset>'
        f'<span class="pm-acts"><button type="button" data-copy="{data}">Copy JSON</button>'
        f'<a download="comparison.json" href="{_json_url(comparison.to_dict())}">Save JSON</a>'
        f"</span></div></div>{difference}"
    )


def _json_url(data: Mapping[str, Any]) -> str:
    packed = base64.b64encode(json.dumps(data, indent=2).encode()).decode()
    return f"data:application/json;base64,{packed}"


def design(found: Design, samples: Sequence[tuple[Sample, InkCrop | None]], more: int = 0) -> str:
    """A known stamp with thumbnails of its samples.

    Args:
        found: The stamp.
        samples: Some of its samples with their pictures, None where one is corrupt.
        more: How many samples it has beyond these.
    """
    facts = [("Samples", str(found.samples)), ("Added", escape(found.created[:10]))]
    if found.owner:
        facts.append(("Owner", escape(found.owner)))
    if found.notes:
        facts.append(("Notes", escape(found.notes)))
    if found.retired:
        facts.append(("Retired", escape(found.retired[:10])))
    said = dict.fromkeys(sample.text for sample, _ in samples if sample.text)
    if said:
        facts.append(("Text", "<br>".join(map(escape, said))))
    tags = "".join(f'<span class="pm-tagword">{escape(tag)}</span>' for tag in found.tags)
    thumbs = "".join(_sample(found, number, *pair) for number, pair in enumerate(samples, 1))
    rest = f'<p class="pm-hint">And {more} more.</p>' if more else ""
    return (
        f'<section class="pm-design" aria-label="{escape(found.name)}">'
        f"<h2>{escape(found.name)}</h2>{_facts(facts)}{tags}"
        f'<ul class="pm-thumbs">{thumbs}</ul>{rest}<div class="pm-acts" style="margin-top:14px">'
        f'<button type="button" data-copy="{escape(found.id)}" aria-label="Copy the id">Copy id'
        "</button></div></section>"
    )


def sample_choices(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """What samples are called beneath their thumbnails, and their ids."""
    return [(_caption(number, sample), sample.id) for number, sample in enumerate(samples, 1)]


def _caption(number: int, sample: Sample) -> str:
    return f"{number} · {sample.source or 'no name'}"


def _sample(found: Design, number: int, sample: Sample, crop: InkCrop | None) -> str:
    where = escape(_caption(number, sample))
    picture = (
        "<small>The picture is corrupt</small>"
        if crop is None
        else f'<img src="{crop_url(ink_picture(crop))}" alt="Sample of {escape(found.name)}">'
    )
    return f'<li>{picture}<small title="{where}">{where}</small></li>'
