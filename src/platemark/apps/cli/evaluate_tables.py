"""What ``platemark evaluate`` found, as tables."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from platemark.apps.cli.common import report_console
from platemark.evaluate import (
    ClassScores,
    MaskScores,
    PlateEvaluation,
    PlateScores,
    ReadingScores,
    RetrievalScores,
    StampDetectionScores,
    StampEvaluation,
)
from platemark.evaluate.detection import false_marks
from platemark.evaluate.stamp_text import LineScores
from platemark.metrics import Rate, expected_calibration_error, reliability

_FOUND = ("precision", "recall", "AP")
_READ = ("exact", "folded", "listed", "CER")


def plate_report(evaluation: PlateEvaluation) -> None:
    """Print the metrics of plates."""
    console = report_console()
    sets = _sets(evaluation)
    console.print(_detection_table(sets))
    console.print(_reading_table(sets))
    if (classes := evaluation.classes()).region.n or classes.upright.n:
        console.print(_class_table(classes))
    for name, pairs in (
        ("detection", evaluation.detection_reliability()),
        ("text", evaluation.text_reliability()),
    ):
        _print_reliability(name, *pairs, console)
    for wanted, coverage in evaluation.text_coverage().items():
        share = _share(coverage.accepted).replace("\n", " in ")
        console.print(
            f"Accepted where {wanted:.1%} of texts are to be right: {share}, "
            f"scores from {coverage.threshold:.3f}"
        )
    per_image, with_any = evaluation.false_plates()
    if with_any.n:
        console.print(
            f"Photos without plates: {per_image:.3f} false plates per image; "
            f"{with_any.hits} of {with_any.n} have any."
        )


def _class_table(scores: ClassScores) -> Table:
    """What is said of plates beside their text, each with the plates that it was counted on."""
    rates = {
        "region": scores.region,
        "region by text alone": scores.region_by_text,
        "lines": scores.lines,
        "upright": scores.upright,
        "orientation, each way": scores.orientation,
    }
    rows = {name: [_share(rate), str(rate.n)] for name, rate in rates.items()}
    hidden = scores.obscured
    counts = f"{hidden.positives} + {hidden.negatives}"
    rows["obscured, AUROC"] = [_mean(hidden.value, hidden.interval), counts]
    return _table("Beside the text", ["right", "plates"], rows)


def stamp_report(evaluation: StampEvaluation) -> None:
    """Print the metrics of stamps."""
    console = report_console()
    if evaluation.scenes:
        parts = evaluation.detection() | evaluation.detection_by_outline()
        console.print(stamp_detection_table(parts | evaluation.detection_by_group()))
        _print_reliability("detection", *evaluation.detection_reliability(), console)
    if masks := evaluation.masks():
        console.print(mask_table(masks))
    if evaluation.reading is not None:
        if scores := evaluation.reading.scores():
            console.print(_stamp_reading_table(scores))
        if (words := evaluation.reading.contained).n:
            console.print(f"Words of partial transcripts read: {_share(words)} of {words.n}.")
    rows: dict[str, RetrievalScores] = {}
    for cut, retrieval in evaluation.retrieval.items():
        origins = retrieval.origins()
        if origins:
            rows[f"{cut}, all"] = retrieval.scores()
        if len(origins) > 1:
            rows |= {f"{cut}, {origin}": retrieval.scores(origin) for origin in origins}
    if rows:
        console.print(retrieval_table(rows))
    if evaluation.negatives:
        per_page, with_any = false_marks(evaluation.negatives)
        console.print(
            f"Pages without stamps: {per_page:.3f} false marks per page; "
            f"{with_any.hits} of {with_any.n} have any."
        )


def stamp_detection_table(sets: Mapping[str, StampDetectionScores]) -> Table:
    """How well stamps are found on each set of pages, or by each detector."""
    headings = ["pages", "stamps", "precision", "recall", "AP50", "AP50-95", "recall at\nprec. 0.9"]
    rows = {
        name: [
            str(scores.pages),
            str(scores.stamps),
            _share(scores.precision),
            _share(scores.recall),
            _decimal(scores.average_precision),
            _decimal(scores.mean_average_precision),
            _mean(scores.recall_at_precision.value, scores.recall_interval),
            f"{_decimal(scores.false_per_empty_page)}\n{scores.empty_pages.n} pages",
            _times(scores.elapsed_ms),
        ]
        for name, scores in sets.items()
    }
    headings += ["false marks on\nempty pages", "ms mean\nmedian"]
    return _table("Detection (IoU 0.5)", headings, rows)


def _stamp_reading_table(sets: Mapping[str, LineScores]) -> Table:
    """How well lines of text are read, by path and script."""
    rows = {
        name: [
            str(scores.lines),
            str(scores.characters),
            f"{scores.error_rate:.3f}",
            f"{scores.exact_errors / max(scores.characters, 1):.3f}",
            _share(scores.words),
        ]
        for name, scores in sets.items()
    }
    headings = ["lines", "characters", "CER", "CER with\ncase, script", "words"]
    return _table("Reading, from the annotated box", headings, rows)


def mask_table(sets: Mapping[str, MaskScores]) -> Table:
    """How well the ink of each set of stamps is segmented, or by each system."""
    rows = {
        name: [
            str(scores.n),
            *(_mean(part.value, part.interval) for part in (scores.given, scores.end_to_end)),
        ]
        for name, scores in sets.items()
    }
    return _table("Ink masks, mean IoU", ["stamps", "from the annotated box", "end to end"], rows)


def retrieval_table(sets: Mapping[str, RetrievalScores]) -> Table:
    """How well imprints of one stamp find each other, for each set of imprints or each system."""
    headings = ["queries", "gallery", "stamps", "CMC@1", "CMC@5", "mAP@5", "EER", "EER among"]
    rows = {
        name: [
            str(scores.queries),
            str(scores.gallery),
            str(scores.identities),
            *(_share(rate) for rate in scores.cmc.values()),
            _mean(scores.mean_average_precision, scores.interval),
            *(
                _mean(error.value, error.interval)
                for error in (scores.equal_error, scores.near_copies)
            ),
        ]
        for name, scores in sets.items()
    }
    headings[-1] += "\nnear-copies"
    return _table("Retrieval, leave one out", headings, rows)


def _sets(evaluation: PlateEvaluation) -> dict[str, PlateScores]:
    """Metrics over all scenes, over all crops and for each source, by name."""
    overall = {"all scenes": "scene", "all crops": "crop"}
    scores = {name: evaluation.of_kind(kind) for name, kind in overall.items()}
    return {name: found for name, found in scores.items() if found.images} | (evaluation.by_group())


def _table(title: str, headings: list[str], rows: dict[str, list[str]]) -> Table:
    table = Table("", title=title or None, box=None, pad_edge=False, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _detection_table(sets: dict[str, PlateScores]) -> Table:
    thresholds = next(iter(sets.values())).detection
    found = [f"{name}\n@{iou:g}" for iou in thresholds for name in _FOUND]
    rows = {name: _detection_cells(scores) for name, scores in sets.items()}
    return _table("Detection", ["images", "plates", *found, "ms mean\nmedian"], rows)


def _detection_cells(scores: PlateScores) -> list[str]:
    cells = [str(scores.images), str(scores.plates)]
    for found in scores.detection.values():
        area = _decimal(found.average_precision)
        cells += [_share(found.precision), _share(found.recall), area]
    return [*cells, _times(scores.elapsed_ms)]


def _reading_table(sets: dict[str, PlateScores]) -> Table:
    read = [f"{part}\n{name}" for part in ("end to end", "reader") for name in _READ]
    rows = {
        name: [
            str(scores.end_to_end.exact.n),
            *_reading_cells(scores.end_to_end),
            *_reading_cells(scores.reader),
        ]
        for name, scores in sets.items()
        if scores.end_to_end.exact.n
    }
    return _table("Reading", ["texts", *read], rows)


def _reading_cells(scores: ReadingScores) -> list[str]:
    return [
        _share(scores.exact),
        _share(scores.folded),
        _share(scores.listed),
        _decimal(scores.character_error_rate),
    ]


def _print_reliability(
    name: str, scores: Sequence[float], correct: Sequence[bool], console: Console
) -> None:
    if not scores:
        return
    error = _decimal(expected_calibration_error(scores, correct))
    console.print(f"Reliability of {name} scores: expected calibration error {error}")
    rows = {
        f"{row.low:.1f}-{row.high:.1f}": [str(row.n), f"{row.score:.3f}", f"{row.accuracy:.3f}"]
        for row in reliability(scores, correct)
        if row.n
    }
    console.print(_table("", ["n", "mean score", "right"], rows))


def _share(rate: Rate) -> str:
    if not rate.n:
        return "-"
    low, high = rate.interval
    return f"{rate.value:.3f}\n{low:.2f}-{high:.2f}"


def _decimal(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _mean(value: float, interval: tuple[float, float]) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}\n{interval[0]:.2f}-{interval[1]:.2f}"


def _times(elapsed_ms: tuple[float, float]) -> str:
    return "\n".join(f"{value:.1f}" for value in elapsed_ms)
