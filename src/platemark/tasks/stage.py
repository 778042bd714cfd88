"""What the stages that need no more than a model share."""

from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
from pydantic import BaseModel

from platemark.errors import ModelMismatch
from platemark.imaging.image import Pixels
from platemark.models.card import CropPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.store import ModelName, find_model
from platemark.types import Crop

Preprocess = TypeVar("Preprocess", bound=BaseModel)
CropSpec = TypeVar("CropSpec", bound=CropPreprocess)


class Stage(Generic[Preprocess]):
    """A stage that runs one network; may be shared by threads.

    Args:
        model: The network and its card.

    Raises:
        ModelMismatch: The card does not say how input for this stage is made.
    """

    TASK: ClassVar[str]
    KIND: ClassVar[str]
    PREPROCESS: type[Preprocess]

    def __init__(self, model: OnnxModel) -> None:
        spec = model.card.preprocess
        if not isinstance(spec, self.PREPROCESS):
            raise ModelMismatch(f"model {model.card.name} is no {self.TASK}")
        self._model, self._spec = model, spec

    @classmethod
    def from_pretrained(cls, model: ModelName = None, *, threads: int | None = None) -> Self:
        """Load the stage.

        Args:
            model: None for the bundled one, a bundled name, a model folder, or an ``.onnx`` with
                its card beside it.
            threads: Threads for one run, see `OnnxModel`; by default one.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model is of another task, or for other marks.
        """
        return cls(OnnxModel(find_model(model, task=cls.TASK, kind=cls.KIND), threads=threads))

    @property
    def model(self) -> OnnxModel:
        """The network and its card."""
        return self._model

    @property
    def name(self) -> str:
        """Name and version of the model, ``name@version``."""
        return self._model.card.label


class CropStage(Stage[CropSpec]):
    """A stage that takes rectified marks."""

    @property
    def crop_size(self) -> tuple[int, int]:
        """Width and height at which the network takes crops; others are resized."""
        return self._spec.width, self._spec.height

    @property
    def margin(self) -> float:
        """What crops have around the plate, as a fraction of its width and height."""
        return self._spec.margin


def crop_pixels(crop: Crop | Pixels) -> Pixels:
    """(H, W, 3) uint8 RGB of a crop.

    Raises:
        TypeError: It is neither a `Crop` nor an array.
        ValueError: Its pixels are of another shape or type.
    """
    if isinstance(crop, Crop):
        return crop.pixels
    if not isinstance(crop, np.ndarray):
        raise TypeError(f"a crop is a Crop or an (H, W, 3) uint8 array, not {type(crop)}")
    if crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape or crop.dtype != np.uint8:
        raise ValueError(f"a crop is (H, W, 3) uint8 RGB, got {crop.shape} of {crop.dtype}")
    return crop
