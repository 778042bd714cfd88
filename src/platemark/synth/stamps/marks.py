"""Layouts of stamps with straight sides or none: words, daters, blocks, triangles, chops."""

import math
from dataclasses import replace

import numpy as np

from platemark.datasets.manifest import StampShape
from platemark.synth.outlines import grown, regular
from platemark.synth.stamps.drafting import Draft, corners
from platemark.synth.stamps.elements import Figure, Frame, Panel
from platemark.synth.stamps.lettering import StraightText


def _digits(draft: Draft, *templates: str) -> str:
    return draft.language.fill(draft.among(templates), draft.rng)


def _framed(draft: Draft, width: float, height: float) -> tuple[float, float]:
    """A rectangular border of one or two lines; the size of what it leaves inside."""
    radius = draft.among((0.0, 0.0, 0.0, draft.between(0.5, 3)))
    line = draft.between(0.2, 1.0)
    style = draft.line_style(0.88)
    if style != "plain":
        line = max(line, draft.between(0.5, 1.0))
    line = min(line, 0.09 * min(width, height))
    draft.box(width, height, line, style=style, radius=radius)
    width, height = width - 2 * line, height - 2 * line
    if draft.chance(0.3) and height > 6:
        gap, thin = draft.between(0.3, 0.7), draft.between(0.15, 0.4)
        draft.box(width - 2 * gap, height - 2 * gap, thin, radius=0.8 * radius)
        width, height = width - 2 * (gap + thin), height - 2 * (gap + thin)
    return width * 0.94, height * 0.9


def _fill_in(draft: Draft, label: str, y: float, width: float, height: float) -> None:
    """A label and a line to write on."""
    made = draft.row(label, y, width * 0.4, height * 0.7, x=-0.3 * width, left=True)
    if made:
        draft.rule(-0.08 * width, y + 0.3 * height, width / 2, y + 0.3 * height, 0.15)
    if draft.chance(0.2):
        variant = int(draft.rng.integers(1 << 16))
        draft.elements.append(
            Figure("signature", variant, round(0.2 * width, 3), round(y, 3), round(0.2 * width, 3))
        )


def word_mark(draft: Draft) -> StampShape:
    """One large word in a frame, or bare; often with a date, a number or a name below."""
    word = draft.language.mark(draft.rng)
    height = draft.between(7, 16)
    extra = draft.rng.random()
    share = 1.0 if extra < 0.5 else draft.between(0.5, 0.66)
    natural = draft.aspect(word) * 0.75 * share * height
    width = round(float(np.clip(natural * draft.between(1.05, 1.35), 14, 78)), 2)
    if draft.chance(0.12):
        draft.lettering = replace(draft.lettering, hollow=True)
    framed = draft.chance(0.72)
    inverse = framed and draft.chance(0.1)
    inner = (width, height)
    if inverse:
        draft.panel(width, height, radius=draft.among((0.0, draft.between(0.5, 2))))
        inner = (width * 0.94, height * 0.86)
    elif framed:
        inner = _framed(draft, width, height)
    top = -inner[1] / 2
    draft.row(word, top + share * inner[1] / 2, inner[0], share * inner[1] * 0.92, ink=not inverse)
    rest, y = (1 - share) * inner[1], top + (1 + share) * inner[1] / 2
    if 0.5 <= extra < 0.75:
        draft.row(
            draft.language.today(draft.rng), y, inner[0], rest * 0.85, date=True, ink=not inverse
        )
    elif extra >= 0.75:
        text = draft.among((draft.phrase("ring"), draft.language.row(draft.rng)))
        draft.row(text, y, inner[0], rest * 0.8, ink=not inverse)
    return "rectangle" if framed else "other"


def dater(draft: Draft) -> StampShape:
    """A name above, a date in the middle, a word or number below."""
    width, height = draft.between(25, 60), draft.between(16, 36)
    shape: StampShape = "rectangle"
    inner = (width, height)
    if draft.chance(0.8):
        inner = _framed(draft, width, height)
    else:
        shape = "other"
    half = inner[1] * draft.between(0.13, 0.2)
    if draft.chance(0.55):
        for y in (-half, half):
            draft.rule(-inner[0] / 2, y, inner[0] / 2, y, draft.between(0.15, 0.4))
    draft.row(draft.language.today(draft.rng), 0, 0.96 * inner[0], 1.7 * half, date=True)
    heads = [draft.phrase("ring")]
    if draft.chance(0.5):
        heads.insert(draft.among((0, 1)), draft.language.mark(draft.rng))
    draft.rows(heads, -inner[1] / 2, -1.1 * half, inner[0])
    foot = draft.among(
        (
            [draft.language.mark(draft.rng)],
            [draft.phrase("second")],
            [f"{draft.language.number} {_digits(draft, '{n4}', '{n6}')}", draft.phrase("second")],
        )
    )
    draft.rows(list(foot), 1.1 * half, inner[1] / 2, inner[0])
    return shape


def address_block(draft: Draft) -> StampShape:
    """Several lines of a firm, a school or a doctor, with or without frame and logo."""
    draft.kind = draft.among(("company", "company", "medical", "university", "authority", "notary"))
    count = int(draft.rng.integers(2, 7))
    texts = [draft.phrase("ring")] + [draft.language.row(draft.rng) for _ in range(count - 1)]
    if draft.chance(0.3):
        texts[min(1, count - 1)] = draft.phrase("second")
    row = draft.between(2.8, 5.2)
    natural = max(map(draft.aspect, texts)) * row * draft.between(0.6, 0.9)
    width, height = round(float(np.clip(natural, 18, 75)), 2), round(count * row, 2)
    framed = draft.chance(0.45)
    inner = _framed(draft, width, height) if framed else (width, height)
    left, room, x = draft.chance(0.35), inner[0], 0.0
    if draft.chance(0.35) and height > 8 and width > 30:
        size = min(inner[1], 0.3 * inner[0]) / 2
        room, x = inner[0] - 2.2 * size, 1.1 * size
        draft.figure(-inner[0] / 2 + size, 0, 0.9 * size)
    draft.rows(texts, -inner[1] / 2, inner[1] / 2, room, x=x, left=left)
    if draft.chance(0.12):
        variant = int(draft.rng.integers(1 << 16))
        draft.elements.append(
            Figure("signature", variant, size=round(min(width * 0.35, height), 3), angle=-8)
        )
    return "rectangle" if framed else "other"


def form(draft: Draft) -> StampShape:
    """A word over lines to be filled in by hand: APPROVED, by, date."""
    width, height = draft.between(30, 65), draft.between(16, 38)
    framed = draft.chance(0.6)
    inner = _framed(draft, width, height) if framed else (width, height)
    head = inner[1] * draft.between(0.28, 0.42)
    top = -inner[1] / 2
    draft.row(draft.language.mark(draft.rng), top + head / 2, inner[0], head * 0.85)
    if draft.chance(0.3):
        draft.rule(-inner[0] / 2, top + head, inner[0] / 2, top + head, 0.25)
    labels = [draft.language.date, draft.language.number, draft.phrase("core").split(" / ")[0]]
    draft.rng.shuffle(labels)
    count = int(draft.rng.integers(1, 4))
    step = (inner[1] - head) / count
    for index, label in enumerate(labels[:count]):
        _fill_in(draft, label, top + head + (index + 0.5) * step, inner[0], min(step, 6.0))
    return "rectangle" if framed else "other"


def square_block(draft: Draft) -> StampShape:
    """A square or a table-like frame with many lines, parts of it inked."""
    side = draft.between(16, 38)
    inner = _framed(draft, side, side)
    top, bottom = -inner[1] / 2, inner[1] / 2
    if draft.chance(0.35):
        head = 0.26 * inner[1]
        draft.panel(inner[0], head, y=top + head / 2)
        draft.row(
            draft.phrase("core").split(" / ")[0],
            top + head / 2,
            0.92 * inner[0],
            0.7 * head,
            ink=False,
        )
        top += 1.12 * head
    elif draft.chance(0.4):
        size = 0.2 * inner[1]
        draft.figure(0, top + size, 0.92 * size)
        top += 2.1 * size
    count = int(draft.rng.integers(2, 7))
    texts = [draft.phrase("second")] + [draft.language.row(draft.rng) for _ in range(count - 1)]
    draft.rows(texts, top, bottom, inner[0])
    return "rectangle"


def triangle(draft: Draft) -> StampShape:
    """A triangle with texts along its sides and a word in the middle."""
    draft.kind = draft.among(("medical", "university", "company", "authority"))
    radius = draft.between(13, 26)
    outer = regular(3, radius, 180 if draft.chance(0.12) else 0)
    down = bool(outer[0, 1] > 0)
    line = draft.between(0.3, 1.0)
    inset = line / 2
    for _ in range(draft.among((1, 1, 2))):
        draft.elements.append(Frame(_corners(grown(outer, -inset)), line))
        inset += line / 2 + draft.between(0.4, 0.9)
        line = draft.between(0.15, 0.4)
        inset += line / 2
    band = radius * draft.between(0.1, 0.15)
    texts = [draft.phrase("ring"), draft.phrase("second"), draft.phrase("second")]
    apothem = radius / 2 - inset - band / 2
    sides = (180.0, 60.0, 300.0)
    lettered = draft.chance(0.8)
    if lettered:
        for text, turn in zip(texts, sides, strict=True):
            angle = turn + (180 if down else 0)
            # the base reads upright, the other sides from the left foot to the top and down again
            reading = (angle if math.cos(math.radians(angle)) > -0.1 else angle + 180) % 360
            x, y = apothem * math.sin(math.radians(angle)), -apothem * math.cos(math.radians(angle))
            draft.row(text, y, 2 * math.sqrt(3) * (apothem - band), band, x=x, angle=reading)
        inset += band + 0.4
        if draft.chance(0.7):
            draft.elements.append(Frame(_corners(grown(outer, -inset)), draft.between(0.15, 0.4)))
    free = radius / 2 - inset - 0.6  # of the inscribed circle
    sign = -1 if down else 1
    if draft.chance(0.25):
        draft.figure(0, 0, 0.75 * free)
    else:
        half = free * 0.6
        middle = sign * 0.25 * free
        draft.rows(draft.core_rows()[:3], middle - half, middle + half, 1.7 * free)
    return "triangle"


def polygon(draft: Draft) -> StampShape:
    """A hexagon, an octagon, a rhombus and the like."""
    count = draft.among((4, 5, 6, 6, 8, 8))
    radius = draft.between(9, 22)
    stretch = draft.between(1.0, 1.5)
    outer = regular(count, radius, 180 / count if count in (6, 8) and draft.chance(0.6) else 0)
    outer = outer * (stretch, 1.0)
    line = draft.between(0.3, 1.0)
    radius_of_corner = draft.among((0.0, 0.0, draft.between(0.5, 3)))
    draft.elements.append(
        Frame(_corners(grown(outer, -line / 2)), line, draft.line_style(0.9), radius_of_corner)
    )
    inset = line + draft.between(0.4, 0.9)
    if draft.chance(0.5):
        draft.elements.append(Frame(_corners(grown(outer, -inset)), 0.25, radius=radius_of_corner))
        inset += 0.5
    free = radius * math.cos(math.pi / count) - inset
    axes = (free * (stretch if count != 4 else 1.0), free)
    if draft.chance(0.25):
        size = 0.32 * free
        draft.figure(0, -0.5 * free, size)
        draft.rows(draft.core_rows()[:2], -0.12 * free, 0.7 * free, 0, bend=axes)
        return "other"
    texts = draft.among(
        (
            draft.core_rows(),
            [draft.language.mark(draft.rng)],
            [draft.language.mark(draft.rng), _digits(draft, "{n2}", "{n3}", "{n5}")],
            [draft.phrase("second"), draft.phrase("core").split(" / ")[0], draft.phrase("second")],
        )
    )
    half = free * min(0.72, 0.3 + 0.16 * len(texts))
    draft.rows(list(texts), -half, half, 0, bend=axes)
    return "other"


def _corners(points: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((round(x, 3), round(y, 3)) for x, y in points.tolist())


def inspection_box(draft: Draft) -> StampShape:
    """A small inspector's stamp with sides: a number, a few letters."""
    side = draft.between(6, 14)
    number = _digits(draft, "{n1}", "{n2}", "{n3}", "{n4}")
    texts = [draft.among(("QC", "QA", "OK", "PASS", "A", "INSP")), number]
    if draft.language.code in ("ru", "uk", "bg"):
        texts[0] = draft.among(("ОТК", "БТК", "КОНТР", "А"))
    if draft.chance(0.4):
        texts = texts[1:]
    height = side * draft.between(0.6, 1.0)
    inner = _framed(draft, side, height)
    if draft.chance(0.3):
        texts = [" ".join(texts)]
    draft.rows(texts, -inner[1] / 2, inner[1] / 2, inner[0])
    return "rectangle"


def inventory(draft: Draft) -> StampShape:
    """An inventory or price mark: a bar code or module block, numbers, a name."""
    width = draft.between(22, 55)
    height = round(width * draft.between(0.3, 0.55), 2)
    framed = draft.chance(0.65)
    inner = _framed(draft, width, height) if framed else (width, height)
    number = f"{draft.language.number} {_digits(draft, '{n4}', '{n6}', '{n8}', '{n3}-{n4}')}"
    plan = draft.rng.random()
    variant = int(draft.rng.integers(1 << 16))
    if plan < 0.35:
        size = min(inner[1] * 0.55 / 0.6, inner[0] * 0.48)
        draft.elements.append(
            Figure("barcode", variant, 0, round(-0.15 * inner[1], 3), round(size, 3))
        )
        draft.row(number, 0.33 * inner[1], inner[0], 0.24 * inner[1])
    elif plan < 0.65:
        size = min(inner[1], 0.45 * inner[0]) / 2
        draft.elements.append(
            Figure("matrix", variant, round(size - inner[0] / 2, 3), 0, round(0.96 * size, 3))
        )
        texts = [draft.phrase("second"), number, draft.language.row(draft.rng)]
        draft.rows(texts, -inner[1] / 2, inner[1] / 2, inner[0] - 2.2 * size, x=1.1 * size)
    else:
        price = draft.among(("€ {n2}.{n2}", "$ {n3}.{n2}", "{n3},{n2}", "{n5}"))
        texts = [draft.phrase("ring"), draft.language.fill(price, draft.rng), number]
        draft.rows(texts, -inner[1] / 2, inner[1] / 2, inner[0])
    return "rectangle" if framed else "other"


def chop(draft: Draft) -> StampShape:
    """A Chinese square name chop, inked or in white, read down from the right."""
    side = draft.between(9, 22)
    tall = draft.chance(0.25)
    width = round(side * (0.55 if tall else 1), 2)
    line = draft.between(0.4, 1.3)
    inverse = draft.chance(0.4)
    if inverse:
        draft.elements.append(Panel(corners(width, side), draft.among((0.0, 1.0))))
    else:
        draft.box(width, side, line, radius=draft.among((0.0, 0.0, 1.2)))
    rows = draft.among((2, 2, 2, 3)) if not tall else draft.among((2, 3, 4))
    columns = 1 if tall else (2 if rows == 2 else draft.among((2, 3)))
    characters = _name(draft, rows * columns)
    room = (width - 2 * line - 0.5, side - 2 * line - 0.5)
    cell = (room[0] / columns, room[1] / rows)
    size = 0.76 * min(cell[1], cell[0] * 1.4)
    stretch = round(min(cell[0] / cell[1], 1.4) * 0.97, 3) if cell[0] < cell[1] else 1.0
    lettering = replace(
        draft.lettering, size=round(size, 2), stretch=stretch, weight=0.0, slant=0.0
    )
    for index in range(columns):
        x = room[0] / 2 - (index + 0.5) * cell[0]
        text = characters[index * rows : (index + 1) * rows]
        draft.elements.append(
            StraightText(
                text, lettering, round(room[1], 3), not inverse, x=round(x, 3), vertical=True
            )
        )
    return "rectangle"


def _name(draft: Draft, count: int) -> str:
    """A name with 印 (seal), or of a firm, of a number of characters."""
    text = draft.language.fill("{surname}{given}", draft.rng)
    if count > 4 or draft.chance(0.2):
        text = draft.language.fill("{town}{brand}{trade}", draft.rng)
    for tail in ("印", "之印", "印章", "专用之印"):
        if len(text) + len(tail) == count:
            return text + tail
    filler = draft.language.fill("{syllable}{syllable}{syllable}{syllable}{brand}", draft.rng)
    return (text + filler)[: count - 1] + "印"
