"""Several photos of one car: which plates of them are one, and what it says."""

from collections.abc import Iterable, Sequence

from platemark.plates.decoding import PlateDecoder
from platemark.types import MergedPlate, PlateMark, PlateView, Reading, Result

# Least likelihood of the text of one plate in the photo of another, against that of the best text
# there, for both to be one. Of degraded photos of one plate, those that were read with a score of
# 0.2 or more, 99% have the first; of different plates 1%. Photos are taken to be of one car, so
# that their main plates may differ by more.
SAME, SAME_MAIN = 1e-4, 1e-10


def merge_plates(results: Iterable[Result], decoder: PlateDecoder) -> list[MergedPlate]:
    """Merge the plates that several photos show, as those of a burst or a listing.

    The main plate of a photo is the one with the largest product of area and text score. Main
    plates are one unless their texts rule it out; other plates where their texts agree. A photo
    shows a plate once.

    Args:
        results: Of the photos; those with an error count as photos without plates.
        decoder: What decided the readings.

    Returns:
        A plate for each car, that in most photos first, then that with the highest score. Marks
        without any text that they may show are left out.
    """
    groups: list[list[PlateView]] = []
    main, others = _views(results)
    for views, least in ((main, SAME_MAIN), (others, SAME)):
        for view in sorted(views, key=_clear, reverse=True):
            _join(groups, view, least, decoder)
    merged = [
        MergedPlate(decoder.merge([one.mark.reading for one in group]), tuple(group))
        for group in groups
    ]
    return sorted(merged, key=lambda one: (-len(one.views), -one.reading.score))


def _views(results: Iterable[Result]) -> tuple[list[PlateView], list[PlateView]]:
    """The main plate of each photo, and the others."""
    main, others = [], []
    for result in results:
        plates = [mark for mark in result.marks if isinstance(mark, PlateMark)]
        views = [
            PlateView(result.source, result.page, mark) for mark in plates if _text(mark.reading)
        ]
        views.sort(key=_prominence, reverse=True)
        main += views[:1]
        others += views[1:]
    return main, others


def _join(
    groups: list[list[PlateView]], view: PlateView, least: float, decoder: PlateDecoder
) -> None:
    """Put a plate into the group that it agrees with most, or into one of its own."""
    reading, photo = view.mark.reading, (view.source, view.page)
    best, agreed = None, least
    for group in groups:
        if photo not in [(one.source, one.page) for one in group]:
            agreement = _agreement(reading, [one.mark.reading for one in group], decoder)
            if agreement >= agreed:
                best, agreed = group, agreement
    if best is None:
        groups.append([view])
    else:
        best.append(view)


def _agreement(reading: Reading, group: Sequence[Reading], decoder: PlateDecoder) -> float:
    """How likely a text of one is in a photo of the other, against the best text there."""
    return max(
        decoder.support(one, text)
        for member in group
        for one, text in ((reading, _text(member)), (member, _text(reading)))
    )


def _text(reading: Reading) -> str:
    """The best text of a reading, legible or not; empty where there is none."""
    return reading.text or next((other.text for other in reading.alternatives), "")


def _clear(view: PlateView) -> float:
    alternatives = view.mark.alternatives
    return view.mark.text_score or max((other.score for other in alternatives), default=0.0)


def _prominence(view: PlateView) -> float:
    x0, y0, x1, y1 = view.mark.box
    return (x1 - x0) * (y1 - y0) * max(_clear(view), 0.01)
