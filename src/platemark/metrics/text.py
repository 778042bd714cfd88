"""How well texts are read."""

from collections.abc import Iterable

_LOOK_ALIKES = str.maketrans("OI", "01")


def normalize_text(text: str | None, *, fold: bool = False) -> str:
    """Reduce a plate text to what is compared: upper case, letters and digits only.

    Args:
        text: Any text; None gives the empty string.
        fold: Also write O as 0 and I as 1, as some published metrics do.
    """
    kept = "".join(char for char in (text or "").upper() if char.isalnum())
    return kept.translate(_LOOK_ALIKES) if fold else kept


def exact_match(text: str | None, truth: str, *, fold: bool = False) -> bool:
    """Whether a reading equals the truth after `normalize_text` of both."""
    return normalize_text(text, fold=fold) == normalize_text(truth, fold=fold)


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: least number of inserted, deleted and replaced characters."""
    previous = list(range(len(b) + 1))
    for row, char in enumerate(a, start=1):
        current = [row]
        for column, other in enumerate(b, start=1):
            replaced = previous[column - 1] + (char != other)
            current.append(min(replaced, previous[column] + 1, current[column - 1] + 1))
        previous = current
    return previous[-1]


def character_error_rate(pairs: Iterable[tuple[str | None, str]]) -> float:
    """Edits needed over all texts, divided by the characters of all truths.

    Args:
        pairs: (reading, truth); both are reduced with `normalize_text`, no reading is empty text.

    Returns:
        0 for perfect, may pass 1; NaN where the truths hold no character.
    """
    edits = characters = 0
    for reading, truth in pairs:
        wanted = normalize_text(truth)
        edits += edit_distance(normalize_text(reading), wanted)
        characters += len(wanted)
    return edits / characters if characters else float("nan")
