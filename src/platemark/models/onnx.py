"""The runtime: the only place that imports onnxruntime."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from platemark.errors import InferenceFailed, ModelMismatch
from platemark.models.card import ModelCard
from platemark.models.store import LocalModel

_ERRORS_ONLY = 3


class OnnxModel:
    """A network in memory with its card; may be shared by threads.

    Args:
        model: A verified model, see `find_model`.
        threads: Threads for one run. More than one make it shorter where nothing else runs, and
            use more processor time than they save; several runs at a time, in threads of the
            caller, do more.

    Raises:
        ModelMismatch: The file is no network that can be run here, or its inputs and outputs are
            not those of the card.
        ValueError: ``threads`` is below 1.
    """

    def __init__(self, model: LocalModel, *, threads: int | None = None) -> None:
        threads = 1 if threads is None else threads
        if threads < 1:
            raise ValueError(f"threads is at least 1, got {threads}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait for work are to leave the processor to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        self._local, self._threads = model, threads
        self._card, self._folder = model.card, model.folder
        try:
            self._session = onnxruntime.InferenceSession(
                model.onnx, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own exceptions have no common class
            raise ModelMismatch(f"model {self._card.name} cannot be loaded: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._check("inputs", [put.name for put in self._session.get_inputs()], self._card.inputs)
        self._check("outputs", self._outputs, self._card.outputs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the model is, so that another process loads it again."""
        return partial(type(self), threads=self._threads), (self._local,)

    def _check(self, what: str, names: list[str], stated: Mapping[str, Any]) -> None:
        if stated and set(stated) != set(names):
            raise ModelMismatch(
                f"model {self._card.name} has the {what} {', '.join(names)}, "
                f"its card states {', '.join(stated)}"
            )

    @property
    def card(self) -> ModelCard:
        """What is known about the model."""
        return self._card

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Run the network on named inputs and return its named outputs.

        Raises:
            InferenceFailed: The network did not take them.
        """
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:
            shapes = {name: np.shape(value) for name, value in inputs.items()}
            raise InferenceFailed(f"model {self._card.name} failed on {shapes}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))
