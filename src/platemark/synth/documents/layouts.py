"""Kinds of documents and how each is laid out on a sheet: letters, forms, invoices, receipts ..."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from platemark.synth.canvas import Colour
from platemark.synth.documents.pen import handwriting, signature
from platemark.synth.documents.prose import amount, date, digits, one_of
from platemark.synth.documents.typesetting import Sheet, Style

Rng = np.random.Generator
A4 = (210.0, 297.0)
A5 = (148.0, 210.0)
LETTER = (215.9, 279.4)


@dataclass(frozen=True)
class Layout:
    """A kind of document.

    Attributes:
        draw: prints it on a sheet.
        sizes: widths and heights in millimetres that it comes in.
        weight: how often it is chosen, relative to the others.
        stock: which papers it is printed on, see :mod:`platemark.synth.documents.pages`.
        machine: mostly set in letters of equal breadth.
    """

    draw: Callable[[Sheet, Rng], None]
    sizes: tuple[tuple[float, float], ...] = (A4, A4, LETTER)
    weight: float = 1.0
    stock: str = "office"
    machine: bool = False


def letterhead(sheet: Sheet, rng: Rng, margin: float) -> float:
    """Print a company's name and address at the top; where the text may begin."""
    kind = int(rng.integers(4))
    name, small = sheet.prose.company(rng), sheet.body.sized(0.75)
    big = sheet.head.sized(float(rng.uniform(1.0, 1.8)), sheet.accent)
    big = fitted(sheet, name, big, 0.6 * sheet.width)
    y = margin + big.step * 0.8
    details = [sheet.prose.phrase(int(rng.integers(2, 6)), rng) for _ in range(2)]
    details.append(f"Tel. {digits(3, rng)} {digits(6, rng)}  www.{digits(4, rng)}.com")
    if kind == 0:
        sheet.text(sheet.width / 2, y, name, big, "centre")
        y = sheet.lines(sheet.width / 2, y + small.step * 1.3, details, small, "centre")
    elif kind == 1:
        sheet.text(margin, y, name, big)
        sheet.lines(sheet.width - margin, margin + small.step, details, small, "right")
        y += 2.2 * small.step
    elif kind == 2:
        bar = margin + 1.2 * big.step
        sheet.fill((0, 0, sheet.width, bar), sheet.light)
        sheet.text(margin, bar - 0.5 * big.step, name, big)
        y = sheet.lines(margin, bar + small.step * 1.3, details[:1], small)
    else:
        y = sheet.lines(margin, margin + small.step, [name, *details], small)
    if kind != 3 and rng.random() < 0.6:
        weight = float(rng.uniform(0.2, 1.0))
        sheet.rule((margin, y), (sheet.width - margin, y), weight, sheet.accent)
        y += 2
    return y + float(rng.uniform(3, 14))


def fitted(sheet: Sheet, text: str, style: Style, width: float) -> Style:
    """The style, made smaller where the text would be wider than ``width`` millimetres."""
    return style.sized(min(1.0, width / max(sheet.length(text, style), 0.1)))


def paragraphs(
    sheet: Sheet, rng: Rng, x: float, y: float, width: float, bottom: float, length: int = 60
) -> float:
    """Running text down to about ``bottom``; the next baseline."""
    justified = bool(rng.random() < 0.5)
    indent = float(rng.choice([0.0, 0.0, 8.0]))
    gap = float(rng.uniform(0, 1.2)) * sheet.body.step
    numbered = rng.random() < 0.4
    count = 0
    length = length * 3 if sheet.prose.script == "han" else length
    while y < bottom - sheet.body.step:
        count += 1
        words = sheet.prose.words(int(rng.integers(length // 4, length * 2)), rng)
        if numbered:
            words.insert(0, f"{count}.{int(rng.integers(1, 6))}. ")
        room = max(1, int((bottom - y) / sheet.body.step)) * 22
        y = sheet.paragraph(x, y, width, words[:room], indent=indent, justified=justified) + gap
        if numbered and rng.random() < 0.2 and y < bottom - 3 * sheet.body.step:
            title = sheet.prose.phrase(int(rng.integers(2, 5)), rng)
            sheet.text(x + width / 2, y, title, sheet.head.sized(0.75), "centre")
            y += 1.4 * sheet.body.step
    return y


def signature_block(sheet: Sheet, rng: Rng, x: float, y: float, width: float) -> float:
    """A line to sign on with a caption and often a signature; the next baseline."""
    step = sheet.body.step
    name = sheet.prose.phrase(2, rng).title()
    sheet.text(x, y, sheet.prose.phrase(int(rng.integers(1, 4)), rng))
    line = y + float(rng.uniform(2.0, 3.5)) * step
    sheet.rule((x, line), (x + width, line), 0.2)
    if rng.random() < 0.6:
        reach = sheet.px(0.8 * width, float(rng.uniform(9, 20)))
        mask, colour = signature(reach[0], reach[1], sheet.scale, rng)
        column, row = sheet.px(x + float(rng.uniform(0, 0.2)) * width, line)
        sheet.ink(mask, column, row - round(mask.shape[0] * float(rng.uniform(0.5, 0.8))), colour)
    small = sheet.body.sized(0.75)
    sheet.text(x, line + small.step, name if rng.random() < 0.7 else f"({name})", small)
    if rng.random() < 0.5:
        sheet.text(x, line + 2 * small.step, date(rng), small)
    return line + 3 * small.step


def letter(sheet: Sheet, rng: Rng) -> None:
    """Letterhead, addressee, text, a signature."""
    margin = float(rng.uniform(14, 28))
    y = letterhead(sheet, rng, margin * 0.7)
    lines = [sheet.prose.phrase(int(rng.integers(1, 4)), rng) for _ in range(4)]
    side = margin if rng.random() < 0.7 else 0.55 * sheet.width
    y = sheet.lines(side, y + sheet.body.step, lines) + sheet.body.step
    sheet.text(sheet.width - margin, y, date(rng), align="right")
    y += 2 * sheet.body.step
    if rng.random() < 0.6:
        sheet.text(margin, y, sheet.prose.phrase(4, rng), sheet.head.sized(0.7))
        y += 2 * sheet.body.step
    bottom = y + float(rng.uniform(0.15, 0.85)) * (sheet.height - 55 - y)
    y = paragraphs(sheet, rng, margin, y, sheet.width - 2 * margin, bottom)
    if y < sheet.height - 40:
        signature_block(sheet, rng, one_of((margin, 0.55 * sheet.width), rng), y + 6, 55)
    footer(sheet, rng, margin)


def footer(sheet: Sheet, rng: Rng, margin: float) -> None:
    """Small print, a page number, or nothing at the lower edge."""
    small, y = sheet.body.sized(0.65), sheet.height - 9
    kind = int(rng.integers(3))
    if kind == 0:
        sheet.text(sheet.width / 2, y, str(int(rng.integers(1, 60))), small, "centre")
    elif kind == 1:
        sheet.rule((margin, y - 1.5 * small.step), (sheet.width - margin, y - 1.5 * small.step))
        for index in range(3):
            x = margin + index * (sheet.width - 2 * margin) / 3
            sheet.lines(x, y, [sheet.prose.phrase(3, rng), digits(10, rng)], small)


def contract(sheet: Sheet, rng: Rng) -> None:
    """Dense paragraphs with numbers, and two parties who sign."""
    margin = float(rng.uniform(12, 26))
    y, width = margin + sheet.body.step, sheet.width - 2 * margin
    if rng.random() < 0.6:
        title = f"{sheet.prose.heading(rng)} № {digits(3, rng)}"
        style = fitted(sheet, title, sheet.head, width)
        sheet.text(sheet.width / 2, y, title, style, "centre")
        y += 1.6 * style.step
        sheet.text(margin, y, sheet.prose.phrase(1, rng))
        sheet.text(sheet.width - margin, y, date(rng), align="right")
        y += 2 * sheet.body.step
    ends_here = rng.random() < 0.7
    bottom = float(rng.uniform(0.35, 0.72)) * sheet.height if ends_here else sheet.height - 18
    y = paragraphs(sheet, rng, margin, y, width, bottom, 90)
    if ends_here:
        for index in range(2):
            x, top = margin + index * (0.5 * width + 4), y + sheet.body.step
            lines = [sheet.prose.phrase(int(rng.integers(1, 4)), rng) for _ in range(5)]
            lines.append(digits(16, rng))
            top = sheet.lines(x, top, [_cut(sheet, text, 0.46 * width) for text in lines])
            if top < sheet.height - 28:
                signature_block(sheet, rng, x, top + 4, 0.42 * width)
    footer(sheet, rng, margin)


def _cut(sheet: Sheet, text: str, width: float) -> str:
    """The text without the end that is wider than ``width``."""
    share = width / max(sheet.length(text, sheet.body), 0.1)
    return text if share >= 1 else text[: int(len(text) * share)]


def form(sheet: Sheet, rng: Rng) -> None:
    """Labelled boxes and lines, check boxes, some filled in by pen."""
    margin = float(rng.uniform(8, 18))
    y = letterhead(sheet, rng, margin) if rng.random() < 0.5 else margin
    title = sheet.prose.heading(rng)
    sheet.text(sheet.width / 2, y + sheet.head.step, title, sheet.head, "centre")
    y += 2 * sheet.head.step
    label, ink = sheet.body.sized(0.65), one_of(((25, 40, 140), (20, 20, 30)), rng)
    boxed, shaded = rng.random() < 0.7, rng.random() < 0.3
    while y < sheet.height - margin - 12:
        height = float(rng.uniform(7, 13))
        x = margin
        for share in _shares(int(rng.integers(1, 5)), rng):
            right = x + share * (sheet.width - 2 * margin)
            if shaded and rng.random() < 0.4:
                sheet.fill((x, y, right, y + height), sheet.light)
            if boxed:
                sheet.frame((x, y, right, y + height), 0.2, sheet.accent)
            else:
                sheet.rule((x, y + height - 1), (right - 3, y + height - 1), 0.2)
            text = sheet.prose.phrase(int(rng.integers(1, 3)), rng)
            sheet.text(x + 1, y + label.step * 0.8, text, label)
            _answer(sheet, rng, (x, y + 0.35 * height, right, y + height), ink)
            x = right
        y += height + (0.0 if boxed and rng.random() < 0.8 else 2.5)
        if rng.random() < 0.08:
            y = paragraphs(sheet, rng, margin, y + 5, sheet.width - 2 * margin, y + 18)
    footer(sheet, rng, margin)


def _answer(sheet: Sheet, rng: Rng, box: tuple[float, float, float, float], ink: Colour) -> None:
    x0, y0, x1, y1 = box
    kind = rng.random()
    if kind < 0.25:
        texts = (sheet.prose.phrase(1, rng), date(rng), digits(5, rng), amount(rng))
        sheet.text(x0 + 2, y1 - 1.5, _cut(sheet, one_of(texts, rng), x1 - x0 - 3))
    elif kind < 0.4:
        width = min(x1 - x0 - 4, float(rng.uniform(12, 50)))
        if width > 4:
            _write(sheet, rng, (x0 + 2, y0, x0 + 2 + width, y1), ink)
    elif kind < 0.5:
        for index in range(int(rng.integers(2, 5))):
            x = x0 + 3 + 9 * index
            if x < x1 - 5:
                sheet.frame((x, y0 + 1, x + 3, y0 + 4), 0.25)


def _write(sheet: Sheet, rng: Rng, box: tuple[float, float, float, float], ink: Colour) -> None:
    x0, y0, x1, y1 = sheet.px(*box)
    sheet.ink(handwriting(x1 - x0, y1 - y0, sheet.scale, rng), x0, y0, ink)


def _shares(count: int, rng: Rng) -> list[float]:
    weights = rng.uniform(0.5, 2.0, count)
    return [float(share) for share in weights / weights.sum()]


def table(
    sheet: Sheet, rng: Rng, box: tuple[float, float, float, float], rows: int, columns: int
) -> float:
    """A table of words and numbers; its lower edge."""
    x0, y0, x1, bottom = box
    style = sheet.body.sized(float(rng.uniform(0.7, 1.0)))
    height = style.step * float(rng.uniform(1.1, 1.8))
    rows = min(rows, int((bottom - y0) / height))
    edges = x0 + np.concatenate([[0.0], np.cumsum(_shares(columns, rng))]) * (x1 - x0)
    ruled, barred = rng.random() < 0.6, rng.random() < 0.35
    for row in range(rows):
        y = y0 + row * height
        if (row == 0 and rng.random() < 0.6) or (barred and row % 2 == 0):
            sheet.fill((x0, y, x1, y + height), sheet.light)
        if ruled or row < 2:
            sheet.rule((x0, y), (x1, y), 0.2)
        for column in range(columns):
            left, right = float(edges[column]), float(edges[column + 1])
            base = y + 0.5 * height + 0.35 * style.step
            if column > 0 and row > 0:
                if rng.random() < 0.85:
                    sheet.text(right - 1, base, amount(rng)[-int(right - left) :], style, "right")
                continue
            count = 1 if row == 0 else max(1, int((right - left) / 14))
            sheet.text(left + 1, base, _cut(sheet, sheet.prose.phrase(count, rng), right - left))
    end = y0 + rows * height
    sheet.rule((x0, end), (x1, end), 0.3)
    if ruled and rng.random() < 0.7:
        for edge in edges:
            sheet.rule((float(edge), y0), (float(edge), end), 0.2)
    return end


def invoice(sheet: Sheet, rng: Rng) -> None:
    """Letterhead, two addresses, a table and a sum."""
    margin = float(rng.uniform(10, 20))
    y, width = letterhead(sheet, rng, margin), sheet.width - 2 * margin
    title = f"{sheet.prose.heading(rng)} {digits(6, rng)}"
    style = fitted(sheet, title, sheet.head, width)
    sheet.text(margin, y + style.step, title, style)
    y += 2.2 * style.step
    ends = []
    for index in range(2):
        x = margin + index * 0.52 * width
        lines = [sheet.prose.phrase(int(rng.integers(1, 4)), rng) for _ in range(4)]
        lines += [date(rng), digits(12, rng)]
        lines = [_cut(sheet, line, 0.44 * width) for line in lines]
        ends.append(sheet.lines(x + 2, y + sheet.body.step, lines))
        if rng.random() < 0.4:
            sheet.frame((x, y - 2, x + 0.47 * width, ends[-1]), 0.25)
    top = max(ends) + 5
    box = (margin, top, sheet.width - margin, sheet.height - 50)
    y = table(sheet, rng, box, int(rng.integers(3, 24)), int(rng.integers(3, 7)))
    for _ in range(int(rng.integers(1, 4))):
        y += 1.3 * sheet.body.step
        sheet.text(sheet.width - margin - 40, y, sheet.prose.phrase(1, rng), align="right")
        sheet.text(sheet.width - margin, y, amount(rng), sheet.body, "right")
    if y < sheet.height - 45 and rng.random() < 0.7:
        signature_block(sheet, rng, one_of((margin, sheet.width * 0.55), rng), y + 10, 50)
    footer(sheet, rng, margin)


def ledger(sheet: Sheet, rng: Rng) -> None:
    """A page of rows and columns from edge to edge, written by pen or machine."""
    margin = float(rng.uniform(5, 15))
    sheet.text(margin, margin + 4, sheet.prose.phrase(3, rng), sheet.head.sized(0.8))
    box = (margin, margin + 9, sheet.width - margin, sheet.height - margin)
    table(sheet, rng, box, 80, int(rng.integers(4, 9)))


def receipt(sheet: Sheet, rng: Rng) -> None:
    """A till receipt on narrow thermal paper."""
    middle, y = sheet.width / 2, 4 + sheet.body.step
    name = sheet.prose.company(rng)
    style = fitted(sheet, name, sheet.head, sheet.width - 8)
    sheet.text(middle, y, name, style, "centre")
    y += style.step
    lines = [sheet.prose.phrase(3, rng) for _ in range(int(rng.integers(1, 4)))]
    y = sheet.lines(middle, y, [*lines, digits(9, rng)], align="centre")
    y = _divider(sheet, rng, y)
    for _ in range(int(rng.integers(3, 22))):
        if y > sheet.height - 10 * sheet.body.step:
            break
        sheet.text(3, y, _cut(sheet, sheet.prose.phrase(2, rng), 0.6 * sheet.width))
        sheet.text(sheet.width - 3, y, amount(rng)[-9:], align="right")
        y += sheet.body.step
    y = _divider(sheet, rng, y)
    total = sheet.body.sized(float(rng.uniform(1.0, 1.6)))
    sheet.text(3, y + total.step * 0.3, one_of(("TOTAL", "SUM", "ИТОГО"), rng)[:5], total)
    sheet.text(sheet.width - 3, y + total.step * 0.3, amount(rng)[-10:], total, "right")
    y = _divider(sheet, rng, y + 1.5 * total.step)
    sheet.lines(middle, y, [sheet.prose.phrase(3, rng), date(rng)], align="centre")


def _divider(sheet: Sheet, rng: Rng, y: float) -> float:
    mark = one_of("-=*.", rng)
    count = int((sheet.width - 6) / max(sheet.length(mark, sheet.body), 0.2))
    sheet.text(3, y, mark * count)
    return y + sheet.body.step


def newspaper(sheet: Sheet, rng: Rng) -> None:
    """Columns under headlines, with grey pictures."""
    margin, count = float(rng.uniform(6, 14)), int(rng.integers(2, 6))
    title = sheet.prose.company(rng)
    style = fitted(sheet, title, sheet.head.sized(3.0), sheet.width - 2 * margin)
    sheet.text(sheet.width / 2, margin + style.step * 0.7, title, style, "centre")
    top = margin + 1.1 * style.step
    sheet.rule((margin, top - 2), (sheet.width - margin, top - 2), 0.4)
    gap = 4.0
    width = (sheet.width - 2 * margin + gap) / count - gap
    for column in range(count):
        x, y = margin + column * (width + gap), top + sheet.body.step
        if rng.random() < 0.4:
            height = float(rng.uniform(0.5, 1.2)) * width
            sheet.fill((x, y, x + width, y + height), one_of(((90, 90, 90), (170, 170, 170)), rng))
            y += height + sheet.body.step
        if rng.random() < 0.6:
            words = sheet.prose.words(int(rng.integers(4, 9)), rng)
            y = sheet.paragraph(x, y + 4, width, words, sheet.head.sized(0.9)) + 2
        paragraphs(sheet, rng, x, y, width, sheet.height - margin, 40)


def notes(sheet: Sheet, rng: Rng) -> None:
    """Lined or squared paper written on by hand."""
    pitch, margin = float(rng.uniform(6, 11)), float(rng.uniform(8, 22))
    if rng.random() < 0.6:
        pale = one_of(((190, 205, 235), (215, 215, 215), (235, 200, 200)), rng)
        for y in np.arange(margin + pitch, sheet.height - 4, pitch):
            sheet.rule((0, float(y)), (sheet.width, float(y)), 0.15, pale)
        if rng.random() < 0.4:
            for x in np.arange(4, sheet.width, pitch):
                sheet.rule((float(x), 0), (float(x), sheet.height), 0.15, pale)
    ink = one_of(((25, 45, 150), (20, 20, 35), (60, 60, 70), (20, 60, 60)), rng)
    end = float(rng.uniform(0.3, 1.0)) * (sheet.height - margin)
    for y in np.arange(margin + pitch, end, pitch).tolist():
        if rng.random() < 0.9:
            width = float(rng.uniform(0.5, 1.0)) * (sheet.width - 2 * margin)
            _write(sheet, rng, (margin, y - pitch, margin + width, y + 0.3 * pitch), ink)


def typescript(sheet: Sheet, rng: Rng) -> None:
    """A typewritten page: short lines, wide margins, a list of labelled facts."""
    margin = float(rng.uniform(18, 30))
    y = sheet.lines(margin, margin, [sheet.prose.phrase(3, rng).upper(), "", date(rng)])
    for _ in range(int(rng.integers(2, 14))):
        y += sheet.body.step * float(rng.choice([0.0, 0.0, 1.0]))
        sheet.text(margin, y, sheet.prose.phrase(1, rng) + ":")
        sheet.text(margin + 45, y, sheet.prose.phrase(int(rng.integers(1, 6)), rng))
        y += sheet.body.step
    bottom = y + float(rng.uniform(0, 0.9)) * (sheet.height - 45 - y)
    y = paragraphs(sheet, rng, margin, y + sheet.body.step, sheet.width - 2 * margin, bottom)
    if rng.random() < 0.6 and y < sheet.height - 35:
        signature_block(sheet, rng, 0.5 * sheet.width, y + 5, 60)


def blank(sheet: Sheet, rng: Rng) -> None:
    """Nothing, or a line or two."""
    if rng.random() < 0.5:
        x, y = float(rng.uniform(0.1, 0.5)) * sheet.width, float(rng.uniform(0.1, 0.9))
        sheet.lines(x, y * sheet.height, [sheet.prose.phrase(3, rng) for _ in range(2)])
