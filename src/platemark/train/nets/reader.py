"""The reader: convolutions down to two rows of features, a transformer over both, CTC classes.

The two feature rows are read one after the other, top then bottom, so one network and one CTC
sequence reads plates of one line and of two in the order in which they are printed; on a plate of
one line it learns to leave the rest blank.
"""

import torch
from torch import Tensor, nn

from platemark.train.nets.layers import Bottleneck, ConvBlock, self_attention

_ROWS = 2
_STRIDE = 4


class SelfAttention(nn.Module):
    """Pre-norm transformer encoder layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.ReLU(inplace=True),
            nn.Linear(2 * width, width),
        )

    def forward(self, sequence: Tensor) -> Tensor:
        """(N, T, D) to the same shape."""
        normalised = self.norm(sequence)
        sequence = sequence + self_attention(normalised, self.to_qkv, self.project, self.heads)
        result: Tensor = sequence + self.feed(sequence)
        return result


class ReaderNet(nn.Module):
    """Grey plates to CTC log-probabilities.

    Args:
        classes: characters plus the blank, which is class 0.
        height: input rows; a multiple of 24.
        width: input columns; a multiple of 4.
        channels: widths of the stages.
        layers: transformer layers.
    """

    def __init__(
        self,
        classes: int,
        height: int = 48,
        width: int = 160,
        channels: tuple[int, int, int, int] = (24, 48, 96, 144),
        layers: int = 2,
    ) -> None:
        super().__init__()
        stem, low, middle, high = channels
        self.convolutions = nn.Sequential(
            ConvBlock(1, stem, 2),
            ConvBlock(stem, low, 2),
            Bottleneck(low, low // 2),
            ConvBlock(low, middle, (2, 1)),
            Bottleneck(middle, middle // 2),
            Bottleneck(middle, middle // 2),
            ConvBlock(middle, high, (height // 8 // _ROWS, 1)),
        )
        self.positions = nn.Parameter(torch.randn(1, _ROWS * width // _STRIDE, high) * 0.02)
        self.context = nn.Sequential(*(SelfAttention(high, 4) for _ in range(layers)))
        self.head = nn.Sequential(nn.LayerNorm(high), nn.Linear(high, classes))

    def forward(self, crops: Tensor) -> Tensor:
        """Args:
            crops: (N, 1, H, W) float32, grey levels scaled to -1..1.

        Returns:
            (N, T, C) float32 log-probabilities, T = 2 * W / 4.
        """
        features = self.convolutions(crops)
        sequence = features.flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.context(sequence))
        return logits.float().log_softmax(-1)
