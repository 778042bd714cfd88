"""Scores packaged models on annotated pictures, through the pipelines that users run."""

from platemark.evaluate.detection import DetectionScores, Evaluation, Outcome
from platemark.evaluate.plates import (
    ImageOutcome,
    PlateEvaluation,
    PlateOutcome,
    PlateScores,
    ReadingScores,
    evaluate_plates,
)

__all__ = [
    "DetectionScores",
    "Evaluation",
    "ImageOutcome",
    "Outcome",
    "PlateEvaluation",
    "PlateOutcome",
    "PlateScores",
    "ReadingScores",
    "evaluate_plates",
]
