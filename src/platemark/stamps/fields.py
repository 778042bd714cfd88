"""Dates and registration numbers in a stamp's text, with their check digits.

Each rule is that of the register's own publication: INN and OGRN of the Russian tax service, EDRPOU
of the Ukrainian statistics service, BIN and IIN of Kazakhstan (weights of the order on
identification numbers), UNP of Belarus, NIP and REGON of Poland, IČO of the Czech and Slovak
registers, PIB of Serbia and German VAT (ISO 7064 mod 11,10), EIK of Bulgaria, AFM of Greece, DIČ of
Slovakia, GSTIN of India (modulus 36).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from platemark.tasks.scripts import fold
from platemark.types import StampField

_MONTHS = (
    "JAN|JÄN|ЯНВ|СІЧ|STY|LED|ENE|ΙΑΝ",
    "FEB|FÉV|ФЕВ|ЛЮТ|LUT|ÚNO|FEV|ΦΕΒ",
    "MAR|MÄR|МАР|БЕР|BŘE|ΜΑΡ",
    "APR|AVR|АПР|КВІ|KWI|DUB|ABR|ΑΠΡ",
    "MAY|MAI|МАЙ|МАЯ|ТРА|MAJ|KVĚ|ΜΑΙ",
    "JUN|JUIN|ИЮН|ЧЕР|CZE|ČVN|ΙΟΥΝ",
    "JUL|JUIL|ИЮЛ|ЛИП|LIP|ČVC|ΙΟΥΛ",
    "AUG|AOÛ|АВГ|СЕР|SIE|SRP|AGO|ΑΥΓ",
    "SEP|СЕН|ВЕР|WRZ|ZÁŘ|SET|ΣΕΠ",
    "OCT|OKT|ОКТ|ЖОВ|PAŹ|ŘÍJ|OUT|ΟΚΤ",
    "NOV|НОЯ|НОЕ|ЛИС|LIS|ΝΟΕ",
    "DEC|DEZ|DÉC|ДЕК|ГРУ|GRU|PRO|DIC|ΔΕΚ",
)
_CENTURY = 2000
_OLDEST_SHORT_YEAR = 40  # 40..99 are of the century before


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _inn(digits: Sequence[int]) -> bool:
    if len(digits) == 10:
        return _weighted(digits, (2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10 == digits[9]
    eleventh = _weighted(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    twelfth = _weighted(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return [eleventh, twelfth] == list(digits[10:])


def _ogrn(digits: Sequence[int]) -> bool:
    *body, check = digits
    number = int("".join(map(str, body)))
    return number % (11 if len(digits) == 13 else 13) % 10 == check


def _edrpou(digits: Sequence[int]) -> bool:
    number = int("".join(map(str, digits)))
    middle = 30_000_000 <= number <= 60_000_000
    weights = (7, 1, 2, 3, 4, 5, 6) if middle else (1, 2, 3, 4, 5, 6, 7)
    rest = _weighted(digits, weights) % 11
    if rest == 10:
        rest = _weighted(digits, [weight + 2 for weight in weights]) % 11 % 10
    return rest == digits[7]


def _two_rounds(first: Sequence[int], second: Sequence[int], *, ten: int | None) -> "_Check":
    """A weighted sum modulo 11, with other weights where it gives 10; ``ten`` if it does again."""

    def check(digits: Sequence[int]) -> bool:
        rest: int | None = _weighted(digits, first) % 11
        if rest == 10:
            rest = _weighted(digits, second) % 11
        return (ten if rest == 10 else rest) == digits[-1]

    return check


def _modulo_11(*weights: int) -> "_Check":
    """A weighted sum modulo 11; 10 is no check digit."""
    return lambda digits: _weighted(digits, weights) % 11 == digits[-1]


def _ico(digits: Sequence[int]) -> bool:
    return (11 - _weighted(digits, (8, 7, 6, 5, 4, 3, 2)) % 11) % 10 == digits[7]


def _regon(digits: Sequence[int]) -> bool:
    return _weighted(digits, (8, 9, 2, 3, 4, 5, 6, 7)) % 11 % 10 == digits[8]


def _iso_7064(digits: Sequence[int]) -> bool:
    product = 10
    for digit in digits[:-1]:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == digits[-1]


def _afm(digits: Sequence[int]) -> bool:
    return _weighted(digits, [2**power for power in range(8, 0, -1)]) % 11 % 10 == digits[8]


def _divisible_by_11(digits: Sequence[int]) -> bool:
    return int("".join(map(str, digits))) % 11 == 0


def _gstin(number: str) -> bool:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    products = [alphabet.index(char) * (1 + place % 2) for place, char in enumerate(number[:14])]
    total = sum(product // 36 + product % 36 for product in products)
    return alphabet[-total % 36] == number[14]


_Check = Callable[[Sequence[int]], bool]
_eik = _two_rounds(range(1, 9), range(3, 11), ten=0)
_bin = _two_rounds(range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2), ten=None)
_nip = _modulo_11(6, 5, 7, 2, 3, 4, 5, 6, 7)
_unp = _modulo_11(29, 23, 19, 17, 13, 7, 5, 3)


@dataclass(frozen=True)
class _Register:
    """Numbers of one register.

    Attributes:
        kind: Name of the field.
        labels: What stands before the number, any of these.
        lengths: How many digits it has.
        check: Whether its check digits are right.
    """

    kind: str
    labels: tuple[str, ...]
    lengths: tuple[int, ...]
    check: _Check


_REGISTERS = (
    _Register("ogrn", ("ОГРНИП", "ОГРН", "OGRNIP", "OGRN"), (15, 13), _ogrn),
    _Register("inn", ("ИНН", "INN"), (12, 10), _inn),
    _Register("edrpou", ("ЄДРПОУ", "ЕДРПОУ", "EDRPOU", "Ідентифікаційний код"), (8,), _edrpou),
    _Register("bin", ("БИН", "БСН", "ИИН", "ЖСН", "BIN", "IIN"), (12,), _bin),
    _Register("unp", ("УНП", "UNP"), (9,), _unp),
    _Register("nip", ("NIP",), (10,), _nip),
    _Register("regon", ("REGON",), (9,), _regon),
    _Register("ico", ("IČO", "ICO", "IČ"), (8,), _ico),
    _Register("pib", ("ПИБ", "PIB"), (9,), _iso_7064),
    _Register("eik", ("ЕИК", "EIK", "БУЛСТАТ"), (9,), _eik),
    _Register("afm", ("ΑΦΜ", "Α.Φ.Μ.", "AFM"), (9,), _afm),
)
# By the country's letters before the number, with or without a label.
_VAT = {
    "DE": (9, _iso_7064),
    "PL": (10, _nip),
    "CZ": (8, _ico),
    "SK": (10, _divisible_by_11),
    "BG": (9, _eik),
    "EL": (9, _afm),
}
_GSTIN = re.compile(r"(?<![0-9A-Z])[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z](?![0-9A-Z])")
_VAT_NUMBER = re.compile(r"(?<![A-Z])(DE|PL|CZ|SK|BG|EL) ?([0-9](?: ?[0-9]){7,9})(?![0-9])")
_DAY, _YEAR = r"(?<![0-9])(?P<d>[0-3]?[0-9])", r"(?P<y>[12][0-9]{3}|[0-9]{2})(?![0-9])"
_NAME = r"(?P<name>[^\W\d]{3,9})"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_DAY}[./-] ?(?P<m>[01]?[0-9])[./-] ?{_YEAR}",
        r"(?<![0-9])(?P<y>[12][0-9]{3})[./-](?P<m>[01][0-9])[./-](?P<d>[0-3][0-9])(?![0-9])",
        rf"{_DAY}[. ]{{1,2}}{_NAME}[. ]{{1,2}}{_YEAR}",
        rf"{_NAME}\.? (?P<d>[0-3]?[0-9]),? (?P<y>[12][0-9]{{3}})(?![0-9])",
    )
)


def find_fields(lines: Sequence[str]) -> tuple[StampField, ...]:
    """Find dates and registration numbers.

    A number counts where its register's label stands before it, or where its form alone tells the
    register. What fails its check digits is given too, and marked so: a digit may be misread.

    Args:
        lines: The lines of a stamp, as they were read.

    Returns:
        The fields in the order of the lines, each once.
    """
    found: list[StampField] = []
    for text in lines:
        folded = fold(text) or text
        found += _numbers(folded)
        found += _dates(folded)
    return tuple(dict.fromkeys(found))


def _numbers(text: str) -> list[StampField]:
    found = [
        StampField("gstin", match[0], _gstin(match[0])) for match in _GSTIN.finditer(text.upper())
    ]
    for match in _VAT_NUMBER.finditer(text):
        length, check = _VAT[match[1]]
        digits = match[2].replace(" ", "")
        if len(digits) == length:
            found.append(StampField("vat", match[1] + digits, check([int(d) for d in digits])))
    for register in _REGISTERS:
        for digits in _labelled(text, register):
            found.append(
                StampField(register.kind, digits, register.check([int(d) for d in digits]))
            )
            break
    return found


def _labelled(text: str, register: _Register) -> list[str]:
    labels = "|".join(re.escape(fold(label) or label) for label in register.labels)
    counts = "|".join(f"[0-9](?:[ -]?[0-9]){{{count - 1}}}" for count in register.lengths)
    pattern = rf"(?<!\w)(?:{labels})\W{{0,4}}({counts})(?![0-9])"
    return [re.sub(r"\D", "", match[1]) for match in re.finditer(pattern, text, re.IGNORECASE)]


def _dates(text: str) -> list[StampField]:
    found = []
    for form in _DATES:
        for match in form.finditer(text):
            parts = match.groupdict()
            month = _month(parts["name"]) if "name" in parts else int(parts["m"])
            year = int(parts["y"])
            if year < 100:
                year += _CENTURY - (100 if year >= _OLDEST_SHORT_YEAR else 0)
            try:
                day = date(year, month, int(parts["d"]))
            except ValueError:  # no such day: other digits
                continue
            found.append(StampField("date", day.isoformat(), None))
    return found


def _month(name: str) -> int:
    """The number of a month's name in any of the languages, 0 for another word."""
    upper = name.upper()
    for number, names in enumerate(_MONTHS, 1):
        if any(upper.startswith(fold(short) or short) for short in names.split("|")):
            return number
    return 0
