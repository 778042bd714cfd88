"""What stamps say: names, numbers and phrases of many languages, put together without end."""

import re
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

_WORDS = Path(__file__).with_name("words.toml")
_FIELD = re.compile(r"\{([a-z_]+)(\d*)\}")
_LISTS = ("given", "surnames", "towns", "streets", "brands", "trades", "forms", "syllables")
_SINGULAR = {name.removesuffix("s"): name for name in _LISTS} | {"given": "given"}
_LATIN_NAMES = ("alpha", "summit", "nordic", "unitrade", "vektor", "mercury", "stamp", "atlas")
_CASELESS = ("zh", "ar")
_DATES = (
    "{day:02d}.{month:02d}.{year}",
    "{day:02d}/{month:02d}/{year}",
    "{year}-{month:02d}-{day:02d}",
    "{day:02d} {name} {year}",
    "{name} {day:02d} {year}",
    "{day:02d}.{month:02d}.{short:02d}",
    "{day:02d} {month:02d} {short:02d}",
    "{year}.{month:02d}.{day:02d}",
)


@dataclass(frozen=True)
class Language:
    """The words of one language.

    Attributes:
        code: ISO 639-1.
        weight: how often it is chosen, in relation to the others.
        lists: names and words by list.
        kinds: templates by kind of stamp, then by slot (``ring``, ``second``, ``core``).
        marks: words of office stamps: "PAID".
        rows: templates of lines with addresses and numbers.
        months: twelve short names.
        date: word for a date; ``number``: sign for a number.
        cjk: whether it is written in Chinese characters.
    """

    code: str
    weight: float
    lists: dict[str, tuple[str, ...]] = field(repr=False)
    kinds: dict[str, dict[str, tuple[str, ...]]] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    rows: tuple[str, ...] = field(repr=False)
    months: tuple[str, ...] = field(repr=False)
    date: str
    number: str
    cjk: bool = False

    @property
    def alphabet(self) -> str:
        """Every character that its texts can have, in both cases."""
        words = [*self.marks, *self.rows, *self.months, self.date, self.number]
        for texts in self.lists.values():
            words += texts
        for slots in self.kinds.values():
            for templates in slots.values():
                words += templates
        text = _FIELD.sub("", " ".join(words)) + "0123456789"
        return "".join(sorted({char for form in (text, text.upper()) for char in form} - {" "}))

    def phrase(self, kind: str, slot: str, rng: np.random.Generator) -> str:
        """A filled template of a kind of stamp; of a company where the kind has none."""
        slots = self.kinds.get(kind, self.kinds["company"])
        return self.fill(_pick(slots[slot], rng), rng)

    def row(self, rng: np.random.Generator) -> str:
        """A line with an address, a number or a title."""
        return self.fill(_pick(self.rows, rng), rng)

    def mark(self, rng: np.random.Generator) -> str:
        """A word or two that an office stamps on papers."""
        return _pick(self.marks, rng)

    def today(self, rng: np.random.Generator, months: bool = True) -> str:
        """A date, in some usual order."""
        form = _DATES[int(rng.choice(len(_DATES) if months else 3))]
        month, year = int(rng.integers(1, 13)), int(rng.integers(1960, 2030))
        return form.format(
            day=int(rng.integers(1, 29)),
            month=month,
            year=year,
            short=year % 100,
            name=self.months[month - 1],
        )

    def fill(self, template: str, rng: np.random.Generator) -> str:
        """A template with its fields filled."""
        return _FIELD.sub(lambda match: self._field(match[1], match[2], rng), template)

    def other(self, word: str, rng: np.random.Generator) -> str | None:
        """Another word from a list that has ``word`` (in any case), in the same case; or None."""
        for texts in (*self.lists.values(), self.marks):
            known = {text.casefold() for text in texts}
            if word.casefold() in known and len(known) > 1:
                others = [text for text in texts if text.casefold() != word.casefold()]
                chosen = _pick(others, rng)
                return chosen.upper() if word.isupper() else chosen
        return None

    def _field(self, name: str, count: str, rng: np.random.Generator) -> str:
        if name == "n":
            first = str(rng.integers(1, 10))
            return first + "".join(map(str, rng.integers(0, 10, int(count) - 1)))
        if name == "year":
            return str(rng.integers(1860, 2027))
        if name == "brand_latin":
            return _pick(_LATIN_NAMES, rng)
        if name == "brand" and rng.random() < 0.5:
            return self._coined(rng)
        word = _pick(self.lists[_SINGULAR[name]], rng)
        return word[: int(count)] if count else word

    def _coined(self, rng: np.random.Generator) -> str:
        parts = int(rng.integers(2, 4))
        joint = " " if self.code == "vi" else ""
        word = joint.join(rng.choice(self.lists["syllables"], parts))
        return word if self.code in _CASELESS else word.title()


def _pick(texts: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


def _split(text: str, separator: str | None) -> tuple[str, ...]:
    return tuple(part.strip().replace("_", " ") for part in text.split(separator))


def _language(code: str, table: dict[str, Any]) -> Language:
    lists = {name: _split(table[name], ";" if ";" in table[name] else None) for name in _LISTS}
    kinds = {
        kind: {slot: tuple(templates) for slot, templates in slots.items()}
        for kind, slots in table.items()
        if isinstance(slots, dict)
    }
    return Language(
        code=code,
        weight=float(table["weight"]),
        lists=lists,
        kinds=kinds,
        marks=_split(table["marks"], ";"),
        rows=tuple(part.strip() for part in table["rows"].split(";")),
        months=_split(table["months"], None),
        date=table["date"],
        number=table["number"],
        cjk=bool(table.get("cjk", False)),
    )


@lru_cache(maxsize=1)
def load_languages() -> tuple[Language, ...]:
    """The languages that travel with the package."""
    with _WORDS.open("rb") as stream:
        tables = tomllib.load(stream)
    return tuple(_language(code, table) for code, table in tables.items())
