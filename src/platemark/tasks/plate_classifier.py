"""Describes rectified plates: region, lines, how they stand, whether a part is hidden."""

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.imaging.image import Pixels
from platemark.models.card import ClassifierDecode, ClassifierPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import classifier_input
from platemark.tasks import ctc
from platemark.tasks.calibrate import calibrate, sigmoid
from platemark.tasks.stage import CropStage, crop_pixels
from platemark.types import ORIENTATIONS, Crop, Obscured, PlateClasses

_BATCH = 32
_EVEN = 0.5


class PlateClassifier(CropStage[ClassifierPreprocess]):
    """Classifies rectified plates; may be shared by threads.

    Args:
        model: A network with the input ``crops`` (N, H, W, 3) uint8 RGB and the float32 outputs
            ``regions`` (N, R), ``lines`` (N, L) and ``orientations`` (N, 5) of log-probabilities,
            and ``obscured`` (N,) log-odds.

    Raises:
        ModelMismatch: The model's card is not that of a classifier.
    """

    TASK, KIND = "classifier", "plate"
    PREPROCESS = ClassifierPreprocess

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model)
        decode = model.card.decode
        if not isinstance(decode, ClassifierDecode):
            raise ModelMismatch(f"model {model.card.name} is no classifier")
        self._codes = decode.regions

    @overload
    def __call__(self, crops: Crop | Pixels) -> PlateClasses: ...
    @overload
    def __call__(self, crops: Sequence[Crop | Pixels]) -> list[PlateClasses]: ...
    def __call__(
        self, crops: Crop | Pixels | Sequence[Crop | Pixels]
    ) -> PlateClasses | list[PlateClasses]:
        """Classify a crop, or each of a list of crops in the same order.

        Args:
            crops: Rectified plates with the model's margin, as `Crop` or (H, W, 3) uint8 RGB.

        Raises:
            InferenceFailed: The network did not run.
            TypeError: A crop is neither.
            ValueError: Its pixels are of another shape or type.
        """
        if isinstance(crops, (Crop, np.ndarray)):
            return self._all([crops])[0]
        return self._all(crops)

    def _all(self, crops: Iterable[Crop | Pixels]) -> list[PlateClasses]:
        inputs = [classifier_input(crop_pixels(crop), self._spec) for crop in crops]
        found: list[PlateClasses] = []
        for start in range(0, len(inputs), _BATCH):
            said = self._model.run(crops=np.stack(inputs[start : start + _BATCH]))
            names = ("regions", "lines", "orientations", "obscured")
            found += map(self._classes, *(said[name] for name in names))
        return found

    def _classes(
        self,
        regions: NDArray[np.float32],
        lines: NDArray[np.float32],
        orientations: NDArray[np.float32],
        obscured: np.float32,
    ) -> PlateClasses:
        card = self._model.card
        chances = ctc.soften(regions, card.calibration.temperature).tolist()
        ranked = sorted(zip(self._codes, chances, strict=True), key=lambda pair: -pair[1])
        stood = ctc.soften(orientations).tolist()
        hidden = float(calibrate(sigmoid(obscured), card.calibration))
        return PlateClasses(
            regions=dict(ranked),
            lines=1 + int(lines.argmax()),
            obscured=Obscured(hidden >= card.thresholds.get("obscured", _EVEN), hidden),
            orientations=dict(zip(ORIENTATIONS, stood, strict=True)),
        )
