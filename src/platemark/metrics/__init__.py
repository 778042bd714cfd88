"""Metrics that say how good detections, readings, scores and similarities are. Pure numpy.

Nothing here knows images or models: functions take overlaps, scores, flags and strings.
"""

from platemark.metrics.calibration import (
    Coverage,
    ReliabilityBin,
    calibration_error_interval,
    coverage_at_precision,
    expected_calibration_error,
    reliability,
)
from platemark.metrics.detection import (
    FALSE,
    IGNORED,
    average_precision,
    mask_iou,
    match_detections,
    precision_recall,
    recall_at_precision,
    recall_at_precision_interval,
)
from platemark.metrics.ranking import Ranking
from platemark.metrics.rates import Rate, mean_and_median, mean_interval, wilson_interval
from platemark.metrics.retrieval import (
    average_precision_at,
    cmc,
    equal_error_interval,
    equal_error_rate,
    nearest,
)
from platemark.metrics.text import character_error_rate, edit_distance, exact_match, normalize_text

__all__ = [
    "FALSE",
    "IGNORED",
    "Coverage",
    "Ranking",
    "Rate",
    "ReliabilityBin",
    "average_precision",
    "average_precision_at",
    "calibration_error_interval",
    "character_error_rate",
    "cmc",
    "coverage_at_precision",
    "edit_distance",
    "equal_error_interval",
    "equal_error_rate",
    "exact_match",
    "expected_calibration_error",
    "mask_iou",
    "match_detections",
    "mean_and_median",
    "mean_interval",
    "nearest",
    "normalize_text",
    "precision_recall",
    "recall_at_precision",
    "recall_at_precision_interval",
    "reliability",
    "wilson_interval",
]
