"""The metrics of an evaluation that a model's card states, by kind of mark and task."""

from collections.abc import Callable
from typing import Any

Metrics = list[dict[str, Any]]
"""``name``, ``n``, ``value`` and, of most, ``interval``: as `platemark.models.card.Metric` has."""

RETRIEVAL_RANKS = ("cmc@1", "cmc@5")


def plate_detector_metrics(evaluation: dict[str, Any]) -> Metrics:
    """Recall, precision and average precision on scenes, and false plates on photos without any."""
    metrics = []
    scenes = evaluation["overall"]["scene"]
    for threshold, scores in scenes["detection"].items():
        for name in ("recall", "precision"):
            metrics.append(rate(f"{name} at IoU {threshold}, all scenes", scores[name]))
        precision = scores["average_precision"]
        name = f"average precision at IoU {threshold}, all scenes"
        metrics.append({"name": name, "n": scenes["plates"], "value": precision})
    for group, scores in evaluation["groups"].items():
        if scores["plates"]:
            recall = scores["detection"]["0.5"]["recall"]
            metrics.append(rate(f"recall at IoU 0.5, {group}", recall))
    negatives = evaluation["negatives"]
    if negatives["images"]:
        value = negatives["false_plates_per_image"]
        name = "false plates per photo without plates"
        metrics.append({"name": name, "n": negatives["images"], "value": value})
    return metrics


def plate_reader_metrics(evaluation: dict[str, Any]) -> Metrics:
    """Exact matches from the annotated corners and end to end, strict and folded, by group."""
    metrics = []
    for group, scores in evaluation["groups"].items():
        for stage, name in (("reader", "annotated corners"), ("end_to_end", "end to end")):
            for measure in ("exact", "folded"):
                metric = rate(f"{measure} match, {name}, {group}", scores[stage][measure])
                if metric["n"]:
                    metrics.append(metric)
    return metrics


def plate_classifier_metrics(evaluation: dict[str, Any]) -> Metrics:
    """What the pipeline says of plates beside their text, and the region by the text alone."""
    names = {
        "region": "region by picture and text",
        "region_by_text": "region by the text alone",
        "lines": "lines",
        "upright": "upright plates said to be upright",
        "orientation": "orientation, each plate standing in five ways",
    }
    classes = evaluation["classes"]
    metrics = [rate(name, classes[key]) for key, name in names.items() if classes[key]["n"]]
    obscured = classes["obscured"]
    if obscured["auroc"] is not None:
        name = f"AUROC of {obscured['positives']} obscured plates"
        count = obscured["positives"] + obscured["negatives"]
        metric = {"value": obscured["auroc"], "interval": obscured["interval"]}
        metrics.append({"name": name, "n": count} | interval_of(metric))
    return metrics


def stamp_detector_metrics(evaluation: dict[str, Any]) -> Metrics:
    """Recall, precision and average precision by origin, and false marks on empty pages."""
    metrics = []
    for origin, scores in (evaluation["detection"] | evaluation["outlines"]).items():
        for name in ("recall", "precision"):
            if scores[name]["n"]:
                metrics.append(rate(f"{name} at IoU 0.5, {origin}", scores[name]))
        most = scores["recall_at_precision_0.9"]
        metrics.append(rate(f"recall at precision 0.9, IoU 0.5, {origin}", most))
        for key, name in (("ap50", "AP50"), ("ap50_95", "AP50-95")):
            metric = {"name": f"{name}, {origin}", "n": scores["stamps"], "value": scores[key]}
            metrics.append(metric)
    negatives = evaluation["negatives"]
    if negatives["pages"]:
        value = negatives["false_marks_per_page"]
        name = "false marks per page without stamps"
        metrics.append({"name": name, "n": negatives["pages"], "value": value})
    return metrics


def segmenter_metrics(evaluation: dict[str, Any]) -> Metrics:
    """IoU of the ink from annotated boxes and end to end."""
    return [
        {"name": f"ink IoU, {name}, {origin}", "n": scores["n"]} | interval_of(scores[key])
        for origin, scores in evaluation["masks"].items()
        for key, name in (("annotated_box", "annotated box"), ("end_to_end", "end to end"))
    ]


def embedder_metrics(evaluation: dict[str, Any]) -> Metrics:
    """CMC, mAP@5 and equal error rates, imprints cut by annotated boxes and as detected."""
    metrics = []
    for cut, retrieval in evaluation["retrieval"].items():
        scores = retrieval["overall"]
        metrics += [rate(f"{rank}, {cut} boxes", scores[rank]) for rank in RETRIEVAL_RANKS]
        queries = {"n": scores["queries"]}
        metrics.append({"name": f"mAP@5, {cut} boxes"} | queries | interval_of(scores["map@5"]))
        for key in ("equal_error_rate", "equal_error_rate_near_copies"):
            if scores[key]["value"] is not None:
                name = f"{key.replace('_', ' ')}, {cut} boxes"
                metrics.append({"name": name} | queries | interval_of(scores[key]))
    return metrics


def stamp_reader_metrics(evaluation: dict[str, Any]) -> Metrics:
    """Character error rates and words by path and script; words of partial transcripts."""
    reading = evaluation["reading"]
    metrics = []
    for part, scores in reading["lines"].items():
        name = f"character error rate, case and script aside, {part}"
        metrics.append({"name": name, "n": scores["characters"], "value": scores["cer"]})
        if scores["words"]["n"]:
            metrics.append(rate(f"words read, {part}", scores["words"]))
    if reading["words_contained"]["n"]:
        metrics.append(rate("words of partial transcripts read", reading["words_contained"]))
    return metrics


_METRICS: dict[tuple[str, str], Callable[[dict[str, Any]], Metrics]] = {
    ("plate", "detector"): plate_detector_metrics,
    ("plate", "reader"): plate_reader_metrics,
    ("plate", "classifier"): plate_classifier_metrics,
    ("stamp", "detector"): stamp_detector_metrics,
    ("stamp", "verifier"): stamp_detector_metrics,
    ("stamp", "segmenter"): segmenter_metrics,
    ("stamp", "embedder"): embedder_metrics,
    ("stamp", "reader"): stamp_reader_metrics,
}
"""What to take of the JSON object of an evaluation, for each model that one is made for."""


def card_metrics(kind: str, task: str, evaluation: dict[str, Any]) -> Metrics:
    """The metrics of a model that an evaluation gives, of those that were measured on something.

    Args:
        kind: The marks that the model is for.
        task: Its stage.
        evaluation: The JSON object of an evaluation.

    Returns:
        The metrics; none for a model that no evaluation is made for.
    """
    metrics_of = _METRICS.get((kind, task))
    if metrics_of is None:
        return []
    return [
        metric for metric in metrics_of(evaluation) if metric["n"] and metric["value"] is not None
    ]


def interval_of(metric: dict[str, Any]) -> dict[str, Any]:
    """Value and interval of a metric that is no proportion."""
    interval = metric["interval"]
    return {"value": metric["value"], "interval": None if interval is None else tuple(interval)}


def rate(name: str, metric: dict[str, Any]) -> dict[str, Any]:
    """One proportion with its interval as the card wants it."""
    return {
        "name": name,
        "n": metric["n"],
        "value": metric["value"],
        "interval": tuple(metric["interval"]),
    }
