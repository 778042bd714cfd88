"""Scores packaged models on annotated pictures, through the pipelines that users run."""

from platemark.evaluate.detection import DetectionScores, Evaluation, Outcome
from platemark.evaluate.masks import MaskScores
from platemark.evaluate.plate_classes import ClassScores
from platemark.evaluate.plates import (
    ImageOutcome,
    PlateEvaluation,
    PlateOutcome,
    PlateScores,
    ReadingScores,
    evaluate_plates,
)
from platemark.evaluate.retrieval import Imprint, Retrieval, RetrievalScores
from platemark.evaluate.stamps import (
    PageOutcome,
    StampDetectionScores,
    StampEvaluation,
    StampOutcome,
    evaluate_stamps,
)

__all__ = [
    "ClassScores",
    "DetectionScores",
    "Evaluation",
    "ImageOutcome",
    "Imprint",
    "MaskScores",
    "Outcome",
    "PageOutcome",
    "PlateEvaluation",
    "PlateOutcome",
    "PlateScores",
    "ReadingScores",
    "Retrieval",
    "RetrievalScores",
    "StampDetectionScores",
    "StampEvaluation",
    "StampOutcome",
    "evaluate_plates",
    "evaluate_stamps",
]
