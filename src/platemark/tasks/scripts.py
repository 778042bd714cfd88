"""Letters of one shape in several scripts: one class for the eye, the right letter for the text.

A capital A is printed alike in Latin, Cyrillic and Greek. A recogniser that sees strips has one
class for all three (:func:`fold`), and the letters of its words that are of one script alone say
which of the three was meant (:func:`unfold`). Who searches tells even less apart
(:func:`search_key`).
"""

import unicodedata
from collections import Counter
from functools import cache

from platemark.types import SCRIPTS, Script

_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIACRITICS = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ"
    "ĀāĂăĄąĆćČčĎďĐđĒēĖėĘęĚěĞğĢģĪīĮįİıĶķĹĺĻļĽľŁłŃńŅņŇňŐőŒœŔŕŘřŚśŞşŠšŢţŤťŪūŮůŰűŲųŹźŻżŽžȘșȚț"
)
_CYRILLIC = "БГДЖЗИЙЛПУФЦЧШЩЪЫЬЭЮЯбвгджзийклмнптфцчшщъыьэюяЂЄЉЊЋЎЏђєљњћўџҐґҒғҚқҢңҮүҰұӘәӨөҺ"
_GREEK = "ΔΘΛΞΣΨΩαβγδεζηθικλμξπρςστυφχψωΆΈΉΊΌΎΏάέήίύώϊϋΐΰ"
_MARKS = "0123456789 !\"#%&'()+,-./:;=?@_§«»°№"
ALPHABET = _MARKS + _LATIN + _DIACRITICS + _CYRILLIC + _GREEK
"""Every folded character that the recogniser of strips knows."""

_TWINS: dict[Script, dict[str, str]] = {
    "cyrillic": dict(
        zip("АВЕКМНОРСТХІЈЅаеорсухіјѕһЁёЇї", "ABEKMHOPCTXIJSaeopcyxijshËëÏï", strict=True)
    ),
    "greek": dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧΓΠΦονό", "ABEZHIKMNOPTYXГПФovó", strict=True)),
}
_ONE_SHAPE = {own: shared for letters in _TWINS.values() for own, shared in letters.items()} | dict(
    zip("“”„’‘`´–—‐‑−º", "\"\"\"''''-----°", strict=True)
)
_OWN_LETTER = {
    script: {shared: own for own, shared in letters.items()} for script, letters in _TWINS.items()
}
# Stars and dots part the texts of a ring; no word has them.
_ORNAMENTS = dict.fromkeys(map(ord, "*•·★☆✶●◦|"), " ")
_KNOWN = frozenset(ALPHABET)
# Capitals whose stroke is no accent of its own, and digits that pass for letters.
_SEARCHED = str.maketrans("ŁĐÐØ013", "LDDOOIЗ") | str.maketrans({"Æ": "AE", "Œ": "OE"})


def fold(text: str) -> str | None:
    """The text as the eye has it: twins as one letter, ornaments left out, single spaces.

    Returns:
        None if it has a character that the recogniser does not know.
    """
    composed = unicodedata.normalize("NFC", text).translate(_ORNAMENTS)
    folded = " ".join("".join(_ONE_SHAPE.get(char, char) for char in composed).split())
    return folded if _KNOWN.issuperset(folded) else None


def search_key(text: str) -> str:
    """The text without what a search overlooks: case, accents, script and digits like letters."""
    capitals = unicodedata.normalize("NFKD", text).upper()
    bare = "".join(char for char in capitals if not unicodedata.combining(char))
    return "".join(_ONE_SHAPE.get(char, char) for char in bare.translate(_SEARCHED))


def script_of(text: str) -> Script | None:
    """The script that most letters of a folded text can be of; None where several are alike."""
    best = _best(text)
    return best[0] if len(best) == 1 else None


def unfold(text: str, fallback: Script | None = None) -> str:
    """The letters that a folded text means; one character for each of its characters.

    Args:
        text: A folded text.
        fallback: Script of words that may be of several, where the whole text may be, too.
    """
    usual = script_of(text) or fallback or "latin"
    return " ".join(_unfold_word(word, usual) for word in text.split(" "))


def _unfold_word(word: str, usual: Script) -> str:
    best = _best(word)
    script = usual if usual in best or not best else best[0]
    own = _OWN_LETTER.get(script, {})
    return "".join(own.get(char, char) for char in word)


def _best(text: str) -> list[Script]:
    """The scripts of which most letters can be, in the order of `SCRIPTS`; none without letters."""
    counts = Counter(script for char in text for script in possible_scripts(char))
    most = max(counts.values(), default=0)
    return [script for script in SCRIPTS if counts[script] == most > 0]


@cache
def possible_scripts(char: str) -> frozenset[Script]:
    """The scripts that have a letter of this folded shape; none for digits and marks."""
    if not char.isalpha():
        return frozenset()
    name = unicodedata.name(char, "")
    return frozenset(
        script
        for script in SCRIPTS
        if name.startswith(script.upper()) or char in _OWN_LETTER.get(script, {})
    )
