"""What can be trained: data, network, schedule and export that belong together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from platemark.models.card import ModelCard
from platemark.tasks import scripts
from platemark.train.comparer import ComparerTask
from platemark.train.detector import DetectorTask
from platemark.train.embedder import EmbedderTask
from platemark.train.export import (
    export_classifier,
    export_comparer,
    export_detector,
    export_embedder,
    export_reader,
    export_segmenter,
    export_strip_reader,
    export_verifier,
)
from platemark.train.loop import Schedule, Task
from platemark.train.nets.classifier import ClassifierNet
from platemark.train.nets.comparer import ComparerNet
from platemark.train.nets.detector import DetectorNet
from platemark.train.nets.embedder import EmbedderNet
from platemark.train.nets.lcnet import PRETRAINED_READER, LcnetReaderNet
from platemark.train.nets.reader import ReaderNet
from platemark.train.nets.segmenter import SegmenterNet
from platemark.train.nets.verifier import PRETRAINED, VerifierNet
from platemark.train.plate_classifier import LINES, ClassifierTask, region_codes
from platemark.train.reader import ALPHABET, ReaderTask
from platemark.train.segmenter import SegmenterTask
from platemark.train.stamp_reader import StampReaderTask
from platemark.train.verifier import VerifierTask
from platemark.types import ORIENTATIONS


@dataclass(frozen=True)
class Stage:
    """Everything that makes one kind of model.

    Attributes:
        load: Manifests to data and loss, with the options of `augmentation`.
        network: Fresh weights, with the options of `sizes`.
        export: Trained weights and training facts to a model folder.
        schedule: The defaults of a run from random weights.
        pretrained: What a fresh network has learned before, as the card states it.
    """

    load: Callable[..., Task]
    network: Callable[..., nn.Module]
    export: Callable[[nn.Module, Path, Mapping[str, Any]], ModelCard]
    schedule: Schedule
    pretrained: str = ""

    @property
    def augmentation(self) -> dict[str, Any]:
        """The options by which examples are made, with their defaults."""
        return _options(self.load, _DATA)

    @property
    def sizes(self) -> dict[str, Any]:
        """The options of the network, with their defaults."""
        return _options(self.network, _FIXED)


# What the loaders get from elsewhere, and what a packaged network's input depends on.
_DATA = {"manifests", "kind", "segmenter", "detector", "fonts"}
_FIXED = {"height", "width", "side", "size", "blocks", "pretrained"}


def _options(function: Callable[..., Any], without: set[str]) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in signature(function).parameters.items()
        if name not in without and parameter.default is not parameter.empty
    }


def _classifier(
    channels: tuple[int, int, int, int] = (16, 32, 96, 192), hidden: int = 192
) -> ClassifierNet:
    regions = len(region_codes())
    return ClassifierNet(regions, len(LINES), len(ORIENTATIONS), channels=channels, hidden=hidden)


STAGES: dict[tuple[str, str], Stage] = {
    ("plate", "detector"): Stage(
        DetectorTask,
        DetectorNet,
        export_detector,
        Schedule(batch=24, rate=2e-3, warmup=200, minutes=95),
    ),
    ("plate", "reader"): Stage(
        ReaderTask,
        partial(ReaderNet, len(ALPHABET) + 1),
        export_reader,
        Schedule(batch=128, rate=2e-3, minutes=110),
    ),
    ("plate", "classifier"): Stage(
        ClassifierTask,
        _classifier,
        export_classifier,
        Schedule(batch=64, rate=2e-3, warmup=200, minutes=60),
    ),
    ("stamp", "detector"): Stage(
        partial(DetectorTask, sides=(416, 640), real_share=0.5, kind="stamp"),
        partial(DetectorNet, surroundings=True, deeper=(3, 3, 1)),
        partial(export_detector, kind="stamp"),
        Schedule(batch=10, rate=2e-3, warmup=200, minutes=95),
    ),
    ("stamp", "reader"): Stage(
        StampReaderTask,
        partial(LcnetReaderNet, scripts.ALPHABET, pretrained=True),
        export_strip_reader,
        Schedule(batch=32, rate=6e-4, warmup=150, minutes=120, checkpoint_minutes=5),
        pretrained=PRETRAINED_READER,
    ),
    ("stamp", "verifier"): Stage(
        VerifierTask,
        partial(VerifierNet, pretrained=True),
        export_verifier,
        Schedule(batch=32, rate=1e-3, warmup=40, minutes=10),
        pretrained=PRETRAINED,
    ),
    ("stamp", "segmenter"): Stage(
        SegmenterTask,
        SegmenterNet,
        export_segmenter,
        Schedule(batch=16, rate=3e-3, warmup=200, minutes=60),
    ),
    ("stamp", "embedder"): Stage(
        EmbedderTask,
        EmbedderNet,
        export_embedder,
        Schedule(batch=96, rate=2e-3, warmup=200, minutes=120),
    ),
    ("stamp", "comparer"): Stage(
        ComparerTask,
        ComparerNet,
        export_comparer,
        Schedule(batch=48, rate=1e-3, warmup=200, minutes=90, checkpoint_minutes=8),
    ),
}
"""What can be trained, by kind of mark and task."""
