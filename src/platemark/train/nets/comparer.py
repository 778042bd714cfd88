"""The comparer: two imprints on each other, to whether one stamp made both and where they differ.

Both imprints go through one encoder (a Siamese network, Bromley et al. 1993). What it makes of them
is compared at two resolutions by sum, difference and product, which do not change when the imprints
are exchanged; a small U-Net over these says of every place whether the designs differ there (change
detection as of Daudt et al. 2018), and of the pair as a whole whether one stamp made both.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from platemark.train.nets.layers import Bottleneck, ConvBlock

PLANES = 3
"""Channels of one imprint: ink, grey, colourfulness."""
STRIDE = 4
"""Pixels of the pictures for one place of the map, along a side."""

_RARE = -3.0
_WORST = (1, 12, 48)
"""The mean of this many of the worst places is told to the head."""


class ComparerNet(nn.Module):
    """Pairs to log-odds of one stamp, and log-odds of a difference for every place.

    Args:
        channels: widths at strides 2, 4, 8 and 16.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (24, 40, 72, 96)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.stem = nn.Sequential(
            ConvBlock(PLANES, c1, 2, kernel=5),
            ConvBlock(c1, c2, 2),
            *(Bottleneck(c2, c2) for _ in range(2)),
        )
        self.deeper = nn.Sequential(
            ConvBlock(c2, c3, 2), *(Bottleneck(c3, c3 // 2) for _ in range(3))
        )
        self.join_fine = ConvBlock(3 * c2, c2, kernel=1)
        self.join_middle = ConvBlock(3 * c3, c3, kernel=1)
        self.fine = Bottleneck(c2, c2)
        self.down = ConvBlock(c2, c3, 2)
        self.middle = nn.Sequential(
            ConvBlock(2 * c3, c3, kernel=1), *(Bottleneck(c3, c3 // 2) for _ in range(4))
        )
        self.coarse = nn.Sequential(
            ConvBlock(c3, c4, 2), *(Bottleneck(c4, c4 // 2) for _ in range(4))
        )
        self.up_middle = ConvBlock(c4, c3, kernel=1)
        self.mix_middle = Bottleneck(c3, c3 // 2)
        self.up_fine = ConvBlock(c3, c2, kernel=1)
        self.mix_fine = nn.Sequential(*(Bottleneck(c2, c2) for _ in range(3)))
        self.differs = nn.Conv2d(c2, 1, 1)
        nn.init.constant_(self.differs.bias, _RARE)  # type: ignore[arg-type]
        known = 2 * (c3 + c4) + len(_WORST)
        self.head = nn.Sequential(
            nn.BatchNorm1d(known), nn.Linear(known, 64), nn.ReLU(inplace=True), nn.Linear(64, 1)
        )

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Compare.

        Args:
            pairs: (N, 6, H, W) float32 in 0..1, the planes of one imprint and then of the other as
                it lies on it; H and W multiples of 16.

        Returns:
            (N,) log-odds of one stamp and (N, H / 4, W / 4) log-odds of a difference.
        """
        first, second = pairs[:, :PLANES], pairs[:, PLANES:]
        # One pass for both: they share the normalisation of the batch.
        quarter = self.stem(torch.cat([first, second]))
        eighth = self.deeper(quarter)
        fine = self.fine(self.join_fine(_compared(quarter)))
        middle = torch.cat([self.join_middle(_compared(eighth)), self.down(fine)], dim=1)
        middle = self.middle(middle)
        coarse = self.coarse(middle)
        middle = self.mix_middle(middle + _enlarged(self.up_middle(coarse)))
        fine = self.mix_fine(fine + _enlarged(self.up_fine(middle)))
        differs = self.differs(fine).squeeze(1).float()
        ink = torch.maximum(first[:, :1], second[:, :1])
        worst = differs.flatten(1).topk(_WORST[-1], dim=1).values
        known = [
            *_pooled(middle, functional.avg_pool2d(ink, 8)),
            *_pooled(coarse, functional.avg_pool2d(ink, 16)),
            *(worst[:, :count].mean(dim=1, keepdim=True) for count in _WORST),
        ]
        odds: Tensor = self.head(torch.cat([part.float() for part in known], dim=1)).squeeze(1)
        return odds.float(), differs


def _compared(both: Tensor) -> Tensor:
    """(2 N, C, H, W), first imprints and then second ones, to (N, 3 C, H, W)."""
    first, second = torch.unflatten(both, 0, (2, -1)).unbind()
    return torch.cat([first + second, (first - second).abs(), first * second], dim=1)


def _enlarged(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0)


def _pooled(features: Tensor, ink: Tensor) -> tuple[Tensor, Tensor]:
    """Mean where there is ink, and maximum, (N, C) each: empty paper around changes neither."""
    mean = (features * ink).sum(dim=(2, 3)) / (ink.sum(dim=(2, 3)) + 1e-3)
    return mean, (features * (ink > 0.02)).amax(dim=(2, 3))
