"""Layouts of round and oval stamps: rings, texts round them, and what stands in the middle."""

import math
from dataclasses import replace

from platemark.datasets.manifest import StampShape
from platemark.synth.stamps.drafting import Draft, corners
from platemark.synth.stamps.elements import Disc, Figure, Frame, Hatching, Panel, Ring

Axes = tuple[float, float]
_SEAL_KINDS = ("company", "notary", "bank", "university", "medical", "authority")
_SEPARATORS = (
    "plain-star",
    "plain-star",
    "star",
    "rosette",
    "sun",
    "cross",
    "drop",
    "wheat",
    "compass",
)


def _inside(axes: Axes, inset: float) -> Axes:
    return round(axes[0] - inset, 3), round(axes[1] - inset, 3)


def _ring(
    draft: Draft, outer: Axes, width: float, *, ornament: bool = False, plain: float = 0.85
) -> Axes:
    """A line inside the outer edge; what it leaves inside."""
    style = draft.rim_style() if ornament else draft.line_style(plain)
    if style not in ("plain", "dashed"):
        width = max(width, draft.between(0.5, 1.0))
    middle = _inside(outer, width / 2)
    draft.elements.append(Ring(*middle, width, style))
    return _inside(outer, width)


def rim(draft: Draft, outer: Axes) -> Axes:
    """The outer border, of one to three lines; what it leaves inside."""
    scale = min(outer) / 19
    if draft.chance(0.06):
        return outer
    if draft.chance(0.22):
        outer = _ring(draft, outer, draft.between(0.7, 1.6) * scale**0.5, ornament=True)
        if draft.chance(0.5):
            return outer
        outer = _inside(outer, draft.between(0.2, 0.6))
    outer = _ring(draft, outer, draft.between(0.25, 1.3) * scale**0.5, plain=0.92)
    if draft.chance(0.45):
        outer = _ring(draft, _inside(outer, draft.between(0.3, 0.8)), draft.between(0.15, 0.5))
    return outer


def separators(draft: Draft, axes: Axes, band: float, free: list[tuple[float, float]]) -> None:
    """Stars or dots in the gaps between ring texts.

    Args:
        draft: the design.
        axes: outer half axes of the band.
        band: its width.
        free: (middle in degrees, share of the round that is free) of every gap.
    """
    name, variant = draft.among(_SEPARATORS), int(draft.rng.integers(64))
    size = band * draft.between(0.28, 0.46)
    count = draft.among((1, 1, 1, 2, 3))
    rx, ry = _inside(axes, band / 2)
    for middle, share in free:
        step = 2.6 * size / (rx + ry) * 2 * 180 / math.pi
        fitting = min(count, int(share * 360 * 0.85 / step))
        for index in range(fitting):
            angle = middle + (index - (fitting - 1) / 2) * step
            turn = math.radians(angle)
            x, y = rx * math.sin(turn), -ry * math.cos(turn)
            turned = angle if -90 <= (angle + 180) % 360 - 180 <= 90 else angle + 180
            draft.elements.append(
                Figure(name, variant, round(x, 3), round(y, 3), round(size, 3), round(turned, 2))
            )


def lettered_band(
    draft: Draft, outer: Axes, band: float, slots: tuple[str, str], *, ink: bool = True
) -> None:
    """Texts round a band in one of the usual orders, with separators between them."""
    upper_text, lower_text = draft.phrase(slots[0]), draft.phrase(slots[1])
    plan = draft.rng.random()
    spread = draft.chance(0.6)
    if plan < 0.35:  # one text over the top, one under
        top_share = draft.between(0.5, 0.62)
        top = draft.ring_text(upper_text, outer, band, share=top_share, ink=ink, spread=spread)
        below = draft.ring_text(
            lower_text, outer, band, middle=180, share=0.9 - top_share, outward=False, ink=ink
        )
        gap = max(0.0, (1 - top - below) / 2)
        middle = 180 * top + 180 * gap
        free = [(middle, gap), (-middle, gap)]
    elif plan < 0.72:  # one text all round
        start = draft.among((180, 180, 180, 0, 90))
        long = (
            upper_text
            if draft.chance(0.4)
            else f"{upper_text} {draft.among(('*', '•', '-', '·'))} {lower_text}"
        )
        if any(glyph not in draft.language.alphabet for glyph in "•·*"):
            long = long.replace("•", "-").replace("·", "-").replace("*", "-")
        taken = draft.ring_text(
            long,
            outer,
            band,
            middle=start + 180,
            share=draft.between(0.88, 0.94),
            ink=ink,
            spread=spread,
        )
        free = [(start, 1 - taken)]
    elif plan < 0.9:  # two texts, both with their tops outwards
        share = draft.between(0.5, 0.6)
        top = draft.ring_text(upper_text, outer, band, share=share, ink=ink, spread=spread)
        below = draft.ring_text(lower_text, outer, band, middle=180, share=0.9 - share, ink=ink)
        gap = max(0.0, (1 - top - below) / 2)
        middle = 180 * top + 180 * gap
        free = [(middle, gap), (-middle, gap)]
    elif plan < 0.96:
        taken = draft.ring_text(upper_text, outer, band, share=draft.between(0.55, 0.8), ink=ink)
        free = [(180, 1 - taken)]
    else:
        taken = draft.ring_text(
            upper_text, outer, band, middle=180, share=0.9, outward=False, ink=ink
        )
        free = [(0, 1 - taken)]
    if ink and draft.chance(0.8):
        separators(draft, outer, band, free)


def _bands(draft: Draft, outer: Axes, most: int) -> Axes:
    """One to three lettered bands with lines between them; what they leave inside."""
    widths = [draft.between(0.125, 0.2), draft.between(0.09, 0.125), draft.between(0.075, 0.09)]
    slots = [("ring", "second"), ("second", "ring"), ("second", "second")]
    radius = min(outer)
    for width, pair in list(zip(widths, slots, strict=True))[:most]:
        band = max(width * radius, 1.15)
        if min(outer) - band < 0.42 * radius:
            break
        gap = draft.between(0.02, 0.05) * radius
        if draft.chance(0.06):  # white letters on an inked band
            draft.elements += [Disc(*outer), Disc(*_inside(outer, band + 2 * gap), ink=False)]
            lettered_band(draft, _inside(outer, gap), band, pair, ink=False)
            outer = _inside(outer, band + 2 * gap)
            continue
        lettered_band(draft, _inside(outer, gap), band, pair)
        outer = _inside(outer, band + 2 * gap)
        if draft.chance(0.85):
            outer = _ring(draft, outer, draft.between(0.15, 0.6))
            if draft.chance(0.2):
                outer = _ring(
                    draft, _inside(outer, draft.between(0.25, 0.5)), draft.between(0.12, 0.3)
                )
    return outer


def core(draft: Draft, axes: Axes) -> None:
    """What stands in the middle of a seal."""
    rx, ry = _inside(axes, 0.05 * min(axes))
    plans = (
        (_core_rows, 0.3), (_core_emblem, 0.24), (_core_emblem_rows, 0.16), (_core_banner, 0.1),
        (_core_dated, 0.07), (_core_signed, 0.05), (_core_inverse, 0.03), (_core_guilloche, 0.03),
    )  # fmt: skip
    pick = draft.rng.random()
    for plan, share in plans:
        pick -= share
        if pick < 0:
            plan(draft, (rx, ry))
            return


def _core_rows(draft: Draft, axes: Axes) -> None:
    texts = draft.core_rows()
    if draft.chance(0.2):
        texts.append(draft.case(draft.language.row(draft.rng)))
    half = axes[1] * min(0.8, 0.3 + 0.16 * len(texts))
    draft.rows(texts, -half, half, 0.0, bend=axes)


def _core_emblem(draft: Draft, axes: Axes) -> None:
    size = min(axes) * draft.between(0.55, 0.85)
    draft.figure(0, 0, size / (1.15 if size > 0.75 * min(axes) else 1))


def _core_emblem_rows(draft: Draft, axes: Axes) -> None:
    size = axes[1] * draft.between(0.28, 0.4)
    above = draft.chance(0.7)
    y = -axes[1] * 0.45 if above else axes[1] * 0.45
    draft.figure(0, y, size)
    edge = size - abs(y) + 0.06 * axes[1]
    low = (edge, 0.72 * axes[1]) if above else (-0.72 * axes[1], -edge)
    draft.rows(draft.core_rows()[:2], *low, 0.0, bend=axes)


def _core_banner(draft: Draft, axes: Axes) -> None:
    """A line across the whole middle between two rules, hatched or starred above and below."""
    half = axes[1] * draft.between(0.2, 0.32)
    reach = axes[0] * math.sqrt(1 - (half / axes[1]) ** 2)
    draft.rows(draft.core_rows()[:2], -half * 0.9, half * 0.9, 2 * reach * 0.94)
    width = draft.between(0.12, 0.4)
    for y in (-half, half):
        draft.rule(-reach, y, reach, y, width)
    if draft.chance(0.45):
        pitch = draft.between(0.35, 0.7)
        thin = round(pitch * draft.between(0.3, 0.5), 3)
        draft.elements.append(Hatching(*axes, round(half + pitch, 3), axes[1], pitch, thin))
        draft.elements.append(Hatching(*axes, -axes[1], round(-half - pitch / 2, 3), pitch, thin))
    elif draft.chance(0.7):
        for y in (-1, 1):
            draft.figure(0, y * (half + axes[1]) / 2, (axes[1] - half) * 0.32)


def _core_dated(draft: Draft, axes: Axes) -> None:
    half = axes[1] * draft.between(0.17, 0.26)
    reach = axes[0] * math.sqrt(1 - (half / axes[1]) ** 2)
    draft.row(draft.language.today(draft.rng), 0, 2 * reach * 0.92, 1.5 * half, date=True)
    if draft.chance(0.7):
        for y in (-half, half):
            draft.rule(-reach, y, reach, y, draft.between(0.15, 0.4))
    texts = draft.core_rows()
    draft.rows(texts[:1], -0.66 * axes[1], -1.2 * half, 0, bend=axes)
    if draft.chance(0.6):
        draft.rows([draft.phrase("second")], 1.2 * half, 0.62 * axes[1], 0, bend=axes)


def _core_signed(draft: Draft, axes: Axes) -> None:
    variant = int(draft.rng.integers(1 << 16))
    angle = draft.between(-20, 8)
    draft.elements.append(Figure("signature", variant, 0, 0, round(0.9 * axes[0], 3), angle))
    draft.rows(draft.core_rows()[:1], 0.35 * axes[1], 0.7 * axes[1], 0, bend=axes)


def _core_inverse(draft: Draft, axes: Axes) -> None:
    draft.elements.append(Disc(*_inside(axes, 0.06 * min(axes))))
    if draft.chance(0.5):
        draft.figure(0, 0, 0.6 * min(axes), ink=False)
    else:
        half = 0.45 * axes[1]
        draft.rows(
            draft.core_rows()[:2], -half, half, 0, bend=_inside(axes, 0.15 * min(axes)), ink=False
        )


def _core_guilloche(draft: Draft, axes: Axes) -> None:
    variant = int(draft.rng.integers(1 << 16))
    draft.elements.append(Figure("guilloche", variant, size=round(0.95 * min(axes), 3)))
    half = 0.22 * min(axes)
    draft.rows(draft.core_rows()[:1], -half, half, 0.75 * min(axes))


def round_seal(draft: Draft) -> StampShape:
    """A round seal with one to three rings of text."""
    draft.kind = draft.among(_SEAL_KINDS)
    radius = draft.among((19.0, 20.0, 19.0, draft.between(10, 25), draft.between(12.5, 22)))
    outer = rim(draft, (radius, radius))
    core(draft, _bands(draft, outer, draft.among((1, 1, 1, 2, 2, 3))))
    return "circle"


def oval_seal(draft: Draft) -> StampShape:
    """An oval seal."""
    draft.kind = draft.among(_SEAL_KINDS)
    rx = draft.between(12, 27)
    axes = (rx, round(rx * draft.between(0.55, 0.82), 2))
    if draft.chance(0.25):
        axes = (axes[1], axes[0])
    outer = rim(draft, axes)
    core(draft, _bands(draft, outer, draft.among((1, 1, 1, 2))))
    return "oval"


def star_seal(draft: Draft) -> StampShape:
    """A red Chinese seal: name over the top, a star in the middle, its use below."""
    draft.kind = draft.among(("company", "company", "authority", "bank"))
    rx = draft.between(17, 23)
    oval = draft.chance(0.15)
    axes = (rx, round(rx * 0.7, 2)) if oval else (rx, rx)
    outer = _ring(draft, axes, draft.between(0.7, 1.4), plain=0.97)
    if draft.chance(0.15):
        outer = _ring(draft, _inside(outer, 0.5), 0.3)
    band = min(axes) * draft.between(0.2, 0.27)
    lettering = replace(draft.lettering, stretch=draft.between(0.55, 0.85))
    gap = draft.between(0.4, 1.0)
    draft.ring_text(
        draft.phrase("ring"),
        _inside(outer, gap),
        band,
        share=draft.between(0.58, 0.74),
        spread=True,
        lettering=lettering,
    )
    inner = _inside(outer, band + 2 * gap)
    star = not oval and draft.chance(0.85)
    if star:
        size = inner[1] * draft.between(0.42, 0.6)
        draft.elements.append(Figure("plain-star", 0, 0, round(-0.05 * size, 3), round(size, 3)))
        edge = size * 0.82
        draft.rows(
            [draft.phrase("core")][:1], edge, min(edge + band, 0.9 * inner[1]), 0, bend=inner
        )
    else:
        draft.rows(draft.core_rows(), -0.25 * inner[1], 0.3 * inner[1], 0, bend=inner)
    if draft.chance(0.55):
        number = draft.language.fill(draft.among(("{n13}", "{n10}", "({n1})")), draft.rng)
        draft.ring_text(
            number, _inside(outer, gap * 0.6), band * 0.4, middle=180, share=0.22, outward=False
        )
    return "oval" if oval else "circle"


def post_dater(draft: Draft) -> StampShape:
    """A post office's or bank's day stamp: a town round the ring, the date between bars."""
    draft.kind = draft.among(("post", "post", "bank"))
    radius = draft.between(12, 19)
    outer = rim(draft, (radius, radius))
    band = radius * draft.between(0.17, 0.25)
    gap = 0.04 * radius
    draft.ring_text(draft.phrase("ring"), _inside(outer, gap), band, share=0.5)
    draft.ring_text(
        draft.phrase("second"),
        _inside(outer, gap),
        band * 0.9,
        middle=180,
        share=0.4,
        outward=draft.chance(0.3),
    )
    inner = _inside(outer, band + 2 * gap)
    if draft.chance(0.5):
        inner = _ring(draft, inner, draft.between(0.15, 0.4))
    half = inner[1] * draft.between(0.2, 0.3)
    reach = inner[0] * math.sqrt(1 - (half / inner[1]) ** 2)
    draft.row(draft.language.today(draft.rng), 0, 1.9 * reach, 1.6 * half, date=True)
    if draft.chance(0.6):
        for y in (-half, half):
            draft.rule(-reach, y, reach, y, draft.between(0.2, 0.5))
    if draft.chance(0.4):
        pitch = draft.between(0.8, 1.2)
        draft.elements.append(Hatching(*inner, round(half + pitch / 2, 3), inner[1], pitch, 0.3))
    elif draft.chance(0.6):
        draft.row(
            draft.phrase("core").split(" / ")[0], 0.62 * inner[1], 0.6 * inner[0], 0.3 * inner[1]
        )
    return "circle"


def banner_seal(draft: Draft) -> StampShape:
    """A round stamp with a bar across it, wider than the ring: APPROVED."""
    radius = draft.between(14, 22)
    outer = rim(draft, (radius, radius))
    band = radius * draft.between(0.16, 0.22)
    half = radius * draft.between(0.2, 0.28)
    height = (half + 1.2) / (min(outer) - band - 0.5)
    free = math.acos(min(height, 0.95)) / math.pi  # of the round, above the banner
    share = min(0.36, 0.92 * free)
    word = draft.language.mark(draft.rng)
    around = draft.case(word) if draft.chance(0.5) else draft.phrase("ring")
    draft.ring_text(around, _inside(outer, 0.5), band, share=share)
    below = draft.case(word) if draft.chance(0.5) else draft.phrase("second")
    draft.ring_text(below, _inside(outer, 0.5), band, middle=180, share=share, outward=False)
    inner = _ring(draft, _inside(outer, band + 1), 0.3)
    for y in (-1, 1):
        draft.figure(0, y * (half + inner[1]) / 2, (inner[1] - half) * 0.34)
    width = 2 * radius * draft.between(0.96, 1.25)
    line = draft.between(0.3, 0.9)
    draft.elements.append(Panel(corners(width + 1.2, 2 * half + 1.2), ink=False))
    inverse = draft.chance(0.25)
    if inverse:
        draft.panel(width, 2 * half)
    else:
        draft.elements.append(Frame(corners(width - line, 2 * half - line), line))
    draft.row(word, 0, 0.9 * width - 2 * line, 1.35 * half, ink=not inverse)
    return "circle"


def inspection_disc(draft: Draft) -> StampShape:
    """A small round or oval stamp of an inspector: a number, a few letters."""
    radius = draft.between(4, 9)
    axes = (radius, radius) if draft.chance(0.65) else (radius, round(0.72 * radius, 2))
    inner = _inside(_ring(draft, axes, draft.between(0.2, 0.6), plain=0.95), 0.3)
    if draft.chance(0.3) and radius > 6.5:
        share = draft.ring_text(
            draft.language.mark(draft.rng), inner, max(0.22 * radius, 1.4), share=0.5
        )
        if share:
            inner = _inside(inner, max(0.22 * radius, 1.4))
    number = draft.language.fill(draft.among(("{n1}", "{n2}", "{n3}", "{n2}")), draft.rng)
    letters = draft.among(("QC", "OK", "QA", "PASS", "K", "A", "CHK", "INSP"))
    if draft.language.code in ("ru", "uk", "bg"):
        letters = draft.among(("ОТК", "БТК", "К", "А", "№"))
    texts = draft.among(
        ([number], [letters, number], [letters, number], [letters], ["A", letters, number])
    )
    if len(texts) == 2 and draft.chance(0.35):
        draft.rule(-0.8 * inner[0], 0, 0.8 * inner[0], 0, 0.25)
    half = inner[1] * min(0.72, 0.42 + 0.14 * len(texts))
    draft.rows(list(texts), -half, half, 0, bend=inner)
    return "circle" if axes[0] == axes[1] else "oval"
