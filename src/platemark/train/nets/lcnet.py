"""The stamp reader: PP-LCNetV4 and a light SVTR neck, as in the small recogniser of PP-OCRv6.

The published weights come with the package ``rapidocr`` as an ONNX file in which convolutions have
taken in their normalisations; they are fine-tuned like that. (PaddleOCR, Apache-2.0; SVTR: Du et
al. 2022.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.errors import MissingExtra
from platemark.train.nets.layers import self_attention

_BLOCKS = (
    (96, 96, 1, True),
    (96, 96, 1, False),
    (96, 96, 1, False),
    (96, 192, 2, False),
    (192, 192, 1, True),
    (192, 192, 1, False),
    (192, 192, 1, True),
    (192, 192, 1, False),
    (192, 192, 1, True),
    (192, 192, 1, False),
    (192, 384, 2, False),
    (384, 384, 1, True),
    (384, 384, 1, False),
)
_STEM = 48
_ROWS = 48
# Columns for one of the strip: a frame of the network is then four columns of it.
_STRETCH = 2
_WIDTH, _HEADS, _LAYERS = 120, 8, 2
# The bias of a class that the published weights do not have.
_UNKNOWN = -6.0
_PACKAGE, _FILE = "rapidocr", Path("models") / "PP-OCRv6_rec_small.onnx"
PRETRAINED_READER = "PP-OCRv6 small recogniser, from rapidocr (Apache-2.0)"
"""What the network begins with, as the card states it."""


class LcnetReaderNet(nn.Module):
    """Grey strips of text, of any length, to CTC log-probabilities.

    Args:
        alphabet: character of each class from 1 on; class 0 is the blank.
        pretrained: whether to begin with the weights of PP-OCRv6; else with random ones.
        blocks: channels taken and given, stride of rows, and whether channels are weighted, of each
            block; two of them have a stride of 2.

    Raises:
        MissingExtra: The package of the weights is not installed.
    """

    def __init__(
        self,
        alphabet: str,
        *,
        pretrained: bool = False,
        blocks: Sequence[tuple[int, int, int, bool]] = _BLOCKS,
    ) -> None:
        super().__init__()
        self.stem = _Stem()
        self.blocks = nn.Sequential(*(_Block(*block) for block in blocks))
        self.pool = nn.AvgPool2d((_ROWS // 16, 2))
        self.neck = _Neck(blocks[-1][1])
        self.head = nn.Linear(_WIDTH, len(alphabet) + 1)
        if pretrained:
            self._take(_PublishedWeights.read(), alphabet)
        # Half the time of a training step on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, strips: Tensor) -> Tensor:
        """Args:
            strips: (N, 1, H, W) float32, grey levels scaled to -1..1, W a multiple of 8.

        Returns:
            (N, T, C) float32 log-probabilities, T = W / 4.
        """
        size = (_ROWS, _STRETCH * strips.shape[-1])
        enlarged = functional.interpolate(strips, size, mode="bilinear", align_corners=False)
        features = self.pool(self.blocks(self.stem(enlarged)))
        log_probs: Tensor = self.head(self.neck(features)).float().log_softmax(-1)
        return log_probs

    @torch.no_grad()
    def _take(self, published: "_PublishedWeights", alphabet: str) -> None:
        """Take the published weights, which are in the order in which the network applies them."""
        layers = (layer for layer in self.modules() if isinstance(layer, nn.Conv2d))
        for layer, kernel, bias in zip(layers, published.kernels, published.biases, strict=True):
            assert layer.bias is not None
            layer.weight.copy_(torch.from_numpy(kernel))
            layer.bias.copy_(torch.from_numpy(bias))
        for parameter, value in zip(self.neck.attention(), published.attention, strict=True):
            parameter.copy_(torch.from_numpy(value))
        self.head.weight.mul_(0.1)
        self.head.bias.fill_(_UNKNOWN)
        for label, char in enumerate(("", *alphabet)):
            if (theirs := published.classes.get(char)) is not None:
                self.head.weight[label] = torch.from_numpy(published.head[:, theirs])
                self.head.bias[label] = float(published.head_bias[theirs])


class _Stem(nn.Module):
    """Two strides of two by two ways, one of which keeps the darkest."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, _STEM, 3, 2, 1)
        self.narrow = nn.Conv2d(_STEM, _STEM // 2, 2)
        self.widen = nn.Conv2d(_STEM // 2, _STEM, 2)
        self.second = nn.Conv2d(2 * _STEM, _STEM, 3, 2, 1)
        self.last = nn.Conv2d(_STEM, 2 * _STEM, 1)

    def forward(self, strips: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, C, H / 4, W / 4)."""
        features = _continued(self.first(strips).relu())
        kept = functional.max_pool2d(features, 2, 1)
        made = self.widen(_continued(self.narrow(features).relu())).relu()
        both = self.second(torch.cat([kept, made], 1)).relu()
        result: Tensor = self.last(both).relu()
        return result


def _continued(features: Tensor) -> Tensor:
    """A row below and a column on the right, for kernels of two by two."""
    return functional.pad(features, (0, 1, 0, 1))


class _Block(nn.Module):
    """Depthwise convolution, weights of channels, and a mixing of channels through twice as many.

    Args:
        channels_in: maps taken.
        channels_out: maps given.
        stride: of rows.
        weighted: whether channels are weighted by what all of the strip has (squeeze and
            excitation).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, weighted: bool) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels_in, channels_in, 3, (stride, 1), 1, groups=channels_in)
        self.weigh = _Weigh(channels_in) if weighted else nn.Identity()
        self.widen = nn.Conv2d(channels_in, 2 * channels_in, 1)
        self.narrow = nn.Conv2d(2 * channels_in, channels_out, 1)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W)."""
        near = self.weigh(self.near(features))
        mixed: Tensor = self.narrow(functional.gelu(self.widen(near)))
        return near + mixed if self.shortcut else mixed


class _Weigh(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        pooled = features.mean((2, 3), keepdim=True)
        return features * functional.hardsigmoid(self.excite(self.squeeze(pooled).relu()))


class _Neck(nn.Module):
    """Frames that see their neighbours and, by attention, all of the strip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(channels, _WIDTH, 1)
        self.reduce = nn.Conv2d(channels, _WIDTH, 1)
        self.near = nn.Conv2d(_WIDTH, _WIDTH, (1, 7), padding=(0, 3), groups=_WIDTH)
        self.layers = nn.Sequential(*(_Attention() for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, 1, T) to (N, T, D)."""
        skipped = functional.silu(self.skip(features))
        reduced = functional.silu(self.reduce(features))
        local = reduced + functional.silu(self.near(reduced))
        sequence = self.norm(self.layers(local.squeeze(2).transpose(1, 2)))
        result: Tensor = sequence + skipped.squeeze(2).transpose(1, 2)
        return result

    def attention(self) -> list[nn.Parameter]:
        """Its parameters that are no convolutions, in the order in which they are applied."""
        return [*self.layers.parameters(), *self.norm.parameters()]


class _Attention(nn.Module):
    """Pre-norm transformer layer, with SiLU between its last two."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-5)
        self.to_qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.project = nn.Linear(_WIDTH, _WIDTH)
        self.feed_norm = nn.LayerNorm(_WIDTH, eps=1e-5)
        self.widen = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.narrow = nn.Linear(2 * _WIDTH, _WIDTH)

    def forward(self, sequence: Tensor) -> Tensor:
        """(N, T, D) to the same shape."""
        normalised = self.norm(sequence)
        sequence = sequence + self_attention(normalised, self.to_qkv, self.project, _HEADS)
        result: Tensor = sequence + self.narrow(
            functional.silu(self.widen(self.feed_norm(sequence)))
        )
        return result


@dataclass(frozen=True)
class _PublishedWeights:
    """The weights of PP-OCRv6's small recogniser, in the order in which they are applied.

    Attributes:
        kernels: of each convolution, its normalisation taken in; the first for grey.
        biases: of each convolution.
        attention: of the layers of the neck.
        head: (D, C) of the classes.
        head_bias: (C,) of the classes.
        classes: the class of each character; that of the blank is that of "".
    """

    kernels: list[NDArray[np.float32]]
    biases: list[NDArray[np.float32]]
    attention: list[NDArray[np.float32]]
    head: NDArray[np.float32]
    head_bias: NDArray[np.float32]
    classes: dict[str, int]

    @classmethod
    def read(cls) -> "_PublishedWeights":
        """Read them from the installed package, without importing it.

        Raises:
            MissingExtra: It is not installed.
        """
        import onnx  # slow to import

        package = find_spec(_PACKAGE)
        if package is None or package.origin is None:
            raise MissingExtra("training", "train")
        model = onnx.load(Path(package.origin).parent / _FILE)
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        steps = _steps(model.graph, arrays)
        kernels, biases, rest = [], [], []
        for operator, values in steps:
            if operator == "Conv":
                kernels.append(values[0])
                biases.append(np.zeros(len(values[0]), np.float32))
            elif operator == "BatchNormalization":
                scale, shift, mean, variance = values
                factor = scale / np.sqrt(variance + 1e-5)
                kernels[-1] = kernels[-1] * factor[:, None, None, None]
                biases[-1] = shift - mean * factor
            elif operator == "Add" and values[0].ndim == 4:
                biases[-1] = values[0].reshape(-1)
            else:
                rest.append(values[0].T if operator == "MatMul" else values[0])
        kernels[0] = kernels[0].sum(1, keepdims=True)
        *attention, head, head_bias = rest
        (text,) = (entry.value for entry in model.metadata_props if entry.key == "character")
        characters = ["", *text.split("\n"), " "]
        classes = {char: label for label, char in reversed(list(enumerate(characters)))}
        return cls(kernels, biases, attention, head.T, head_bias, classes)


def _steps(graph: Any, arrays: dict[str, Any]) -> list[tuple[str, list[NDArray[np.float32]]]]:
    """Operators of a graph that have learned weights, with those, in order."""
    origin: dict[str, str] = {}
    steps = []
    for node in graph.node:
        names = [origin.get(name, name) for name in node.input]
        if node.op_type == "Identity":
            origin[node.output[0]] = names[0]
            continue
        values = [np.array(arrays[name], np.float32) for name in names if name in arrays]
        learned = [value for value in values if value.size > 8]
        if learned:
            steps.append((node.op_type, learned))
    return steps
