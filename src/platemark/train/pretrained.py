"""Weights to begin with: those of an earlier run, or of a packaged model.

A packaged model has no batch normalisation left: the export folds it into the convolutions. To
learn on, a network needs it back, so that every normalisation is given the statistics of what it
sees in the new data, and the scale and shift that undo them: what the network says stays as it was.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from platemark.errors import ModelMismatch, ModelNotFound
from platemark.models.store import LocalModel, locate_model
from platemark.train.batches import Batch
from platemark.train.loop import CHECKPOINT_NAME, Schedule, Task, best_weights

_PREFIX = "net."
_FOLDED = "_bias"  # the exporter's suffix for the bias that a folded normalisation leaves
_SETTLING_BATCHES = 12


def start_from(source: str, net: nn.Module, task: Task, schedule: Schedule, stage: str) -> None:
    """Put the weights of an earlier run or of a packaged model into a fresh network.

    They may be of another network, such as that for another kind of mark: weights of the same
    name and shape are taken, if they are most of the network.

    Args:
        source: folder of a run (its ``checkpoint.pt``), else a model as `locate_model` takes it.
        net: the network, on the CPU.
        task: its data, by which normalisations of a packaged model are restored.
        schedule: of the run to come.
        stage: what the network is for, such as ``reader``.

    Raises:
        ModelMismatch: There is neither a checkpoint nor a model, or it is corrupt or of too
            different a network.
    """
    file = source_file(source, stage)
    if file.name == CHECKPOINT_NAME:
        take_weights(net, best_weights(file), source)
        return
    weights, shifts = packaged_weights(source, stage)
    fitting = take_weights(net, weights, source)
    modules = dict(net.named_modules())
    shifted = {}
    for convolution, shift in shifts.items():
        normalisation = modules.get(_next_in_sequence(convolution))
        known = f"{convolution}.weight" in fitting
        if known and isinstance(normalisation, nn.BatchNorm2d):
            shifted[normalisation] = shift
    examples = (task.batch(schedule, step) for step in range(_SETTLING_BATCHES))
    settle(net, shifted, task, examples)


def source_file(source: str, stage: str) -> Path:
    """The file with the weights to start from, see `start_from`; a model's was verified.

    Raises:
        ModelMismatch: There is neither a checkpoint nor a model, or it is for another stage.
        ModelCorrupt: The model's files differ from its card.
    """
    checkpoint = Path(source) / CHECKPOINT_NAME
    return checkpoint if checkpoint.exists() else _packaged(source, stage).onnx


def _packaged(source: str, stage: str) -> LocalModel:
    try:
        model = locate_model(source)
    except ModelNotFound as error:
        raise ModelMismatch(
            f"there is no {CHECKPOINT_NAME} in {source} to start from, and no model: "
            f"{error.message}",
            source=source,
        ) from error
    if model.card.task != stage:
        raise ModelMismatch(
            f"model {model.card.name} is a {model.card.task}; a {stage} cannot start from it",
            source=source,
        )
    model.verify()
    return model


def take_weights(net: nn.Module, known: dict[str, Tensor], source: str) -> set[str]:
    """Load the weights whose name and shape fit.

    Args:
        net: takes them.
        known: by the names of the network's state.
        source: where they are from, for the error.

    Returns:
        The names of those taken.

    Raises:
        ModelMismatch: Fewer than half of the learned weights of the network are among them.
    """
    own = net.state_dict()
    same = {
        name: known[name]
        for name, value in own.items()
        if name in known and known[name].shape == value.shape
    }
    learned = {name for name, value in net.named_parameters() if value.ndim > 1}
    if 2 * len(learned & same.keys()) < len(learned):
        raise ModelMismatch(
            f"{source} is of another network: {len(learned & same.keys())} of {len(learned)} "
            "weights fit; start from a run or a model of the same task",
            source=source,
        )
    net.load_state_dict(own | same)
    return set(same)


def packaged_weights(source: str, stage: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What an exported model knows, by the names that its network had.

    Args:
        source: the model, as `locate_model` takes it.
        stage: what it has to be for.

    Returns:
        The weights, and for each convolution that took in a normalisation the shift (C,) it left.

    Raises:
        ModelMismatch: There is no such model, or it is for another stage.
        ModelCorrupt: Its files differ from its card.
    """
    import onnx  # needed only here, and slow to import

    model = _packaged(source, stage)
    graph = onnx.load(model.onnx).graph
    arrays = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    arrays |= _linear_weights(graph, arrays)
    weights: dict[str, Tensor] = {}
    shifts: dict[str, Tensor] = {}
    for label, array in arrays.items():
        if not label.startswith(_PREFIX):
            continue
        value = torch.from_numpy(np.array(array, np.float32))
        name = label.removeprefix(_PREFIX)
        if name.endswith(f".weight{_FOLDED}"):
            shifts[name.removesuffix(f".weight{_FOLDED}")] = value
        else:
            weights[name] = value
    return weights, shifts


def _linear_weights(graph: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Matrices of linear layers, which the export transposes and gives a name of its own.

    The layer is known by the bias that is added to the product.
    """
    # Matrices that are stored as float16 are widened first.
    stored = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    products = {
        node.output[0]: matrix
        for node in graph.node
        if node.op_type == "MatMul"
        and (matrix := stored.get(node.input[1], node.input[1])) in arrays
    }
    found = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        biases = [name for name in node.input if name.startswith(_PREFIX)]
        factors = [products[name] for name in node.input if name in products]
        if biases and factors:
            found[biases[0].removesuffix("bias") + "weight"] = arrays[factors[0]].T
    return found


def _next_in_sequence(name: str) -> str:
    """The module after ``a.b.3`` in its sequence: ``a.b.4``."""
    parent, _, index = name.rpartition(".")
    return f"{parent}.{int(index) + 1}" if index.isdigit() else ""


@torch.no_grad()
def settle(
    net: nn.Module, shifts: dict[nn.BatchNorm2d, Tensor], task: Task, batches: Iterable[Batch]
) -> None:
    """Make normalisations that only shift (by ``shifts``) true ones, the output unchanged.

    Args:
        net: what they are part of.
        shifts: (C,) what each is to add.
        task: runs the network on a batch.
        batches: examples of what the network will see.
    """
    seen = {layer: _Moments() for layer in shifts}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[layer].add(inputs[0])  # type: ignore[index]

    for layer, shift in shifts.items():
        layer.running_mean = torch.zeros_like(shift)
        layer.running_var = torch.full_like(shift, 1 - layer.eps)
        layer.weight.fill_(1.0)
        layer.bias.copy_(shift)
    hooks = [layer.register_forward_pre_hook(note) for layer in shifts]
    net.eval()
    for batch in batches:
        task.losses(net, batch)
    for hook in hooks:
        hook.remove()
    for layer, moments in seen.items():
        if not moments.count:
            continue
        mean, variance = moments.mean_and_variance()
        layer.running_mean, layer.running_var = mean.float(), variance.float()
        layer.weight.copy_((variance + layer.eps).sqrt())
        layer.bias.copy_(shifts[layer] + mean)


class _Moments:
    """Mean and variance of each channel over the maps (N, C, H, W) added."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._squares = torch.zeros(())

    def add(self, maps: Tensor) -> None:
        values = maps.double()
        self._sum = self._sum + values.sum(dim=(0, 2, 3))
        self._squares = self._squares + values.square().sum(dim=(0, 2, 3))
        self.count += values.numel() // values.shape[1]

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean = self._sum / self.count
        return mean, (self._squares / self.count - mean.square()).clamp(min=1e-6)
