"""The classifier of plates: convolutions, a narrow map as one vector beside the average, heads."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from platemark.train.nets.layers import Bottleneck, ConvBlock

_STRIDE = 16
_PLACED = 64
_DROPOUT = 0.2


class Answers(NamedTuple):
    """What the network says of N plates.

    Attributes:
        regions: (N, R) logits of the region codes.
        lines: (N, L) logits of one line, two and so on.
        orientations: (N, O) logits of how the plate stands.
        obscured: (N,) log-odds that a part of the text is hidden.
    """

    regions: Tensor
    lines: Tensor
    orientations: Tensor
    obscured: Tensor


class ClassifierNet(nn.Module):
    """Rectified plates in colour to region, lines, orientation and whether the text is hidden.

    Layout tells as much of a region as colours do, so that the last map is not only averaged: a
    narrowed copy of it is one vector, which keeps what stands where.

    Args:
        regions: region codes.
        lines: numbers of lines.
        orientations: ways to stand.
        size: height and width of the input, multiples of 16.
        channels: widths of the stages.
        hidden: width of the layer over that vector.
    """

    def __init__(
        self,
        regions: int,
        lines: int,
        orientations: int,
        size: tuple[int, int] = (48, 160),
        channels: tuple[int, int, int, int] = (16, 32, 96, 192),
        hidden: int = 192,
    ) -> None:
        super().__init__()
        stem, low, middle, high = channels
        self.parts = (regions, lines, orientations, 1)
        self.convolutions = nn.Sequential(
            ConvBlock(3, stem, 2),
            ConvBlock(stem, low, 2),
            Bottleneck(low, low // 2),
            ConvBlock(low, middle, 2),
            Bottleneck(middle, middle // 2),
            Bottleneck(middle, middle // 2),
            ConvBlock(middle, high, 2),
            Bottleneck(high, high // 2),
            Bottleneck(high, high // 2),
        )
        places = size[0] // _STRIDE * (size[1] // _STRIDE)
        self.placed = nn.Sequential(
            ConvBlock(high, _PLACED, kernel=1),
            nn.Flatten(),
            nn.Linear(_PLACED * places, hidden),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(high + hidden, sum(self.parts)))

    def forward(self, crops: Tensor) -> Answers:
        """(N, 3, H, W) float32 in -1..1 to the answers."""
        features = self.convolutions(crops)
        seen = torch.cat([features.mean(dim=(2, 3)), self.placed(features)], dim=1)
        regions, lines, orientations, obscured = self.heads(seen).float().split(self.parts, dim=1)
        return Answers(regions, lines, orientations, obscured.squeeze(1))
