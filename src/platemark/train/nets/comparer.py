"""The comparer: two imprints on each other, to whether one stamp made both and where they differ.

Both imprints go through one encoder (a Siamese network, Bromley et al. 1993). An alignment is never
exact to the pixel, so that each place of one is first replaced by what fits the other best within
one step (block matching, softly chosen as in the cost volumes of optical flow, Sun et al. 2018).
They are compared at two resolutions by sum, difference and product, in a way that does not change
when the imprints are exchanged; a small U-Net over these says of every place whether the designs
differ there (change detection as of Daudt et al. 2018), and of the pair whether one stamp made
both. How much imprints differ where designs do not, every place learns from the mean of all.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from platemark.train.nets.layers import Bottleneck, ConvBlock

LOOKS = 3
"""Channels of one imprint: ink, grey, colourfulness."""
STRIDE = 4
"""Pixels of the pictures for one place of the map, along a side."""

_RARE = -3.0
_WORST = (1, 12, 48)
"""The mean of so many of the worst places is told to the head."""
_BLOCK = 5
"""Side, in places, of the blocks that are fitted to each other."""
_DECIDED = 8.0
"""How decidedly the best fit is taken; it multiplies the differences of a step."""


class ComparerNet(nn.Module):
    """Pairs to log-odds of one stamp, and log-odds of a difference for every place.

    Args:
        channels: widths at strides 2, 4, 8 and 16.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (16, 24, 48, 80)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.stem = nn.Sequential(
            ConvBlock(LOOKS, c1, 2, kernel=5), ConvBlock(c1, c2, 2), Bottleneck(c2, c2)
        )
        self.deeper = nn.Sequential(ConvBlock(c2, c3, 2), Bottleneck(c3, c3 // 2))
        self.join_fine = ConvBlock(3 * c2, c2, kernel=1)
        self.join_middle = ConvBlock(3 * c3, c3, kernel=1)
        self.fine = Bottleneck(c2, c2)
        self.down = ConvBlock(c2, c3, 2)
        self.middle = nn.Sequential(
            ConvBlock(2 * c3, c3, kernel=1), *(Bottleneck(c3, c3 // 2) for _ in range(2))
        )
        self.coarse = nn.Sequential(
            ConvBlock(c3, c4, 2), *(Bottleneck(c4, c4 // 2) for _ in range(2))
        )
        self.whole = nn.Conv2d(c4, c4, 1)
        self.up_middle = ConvBlock(c4, c3, kernel=1)
        self.mix_middle = Bottleneck(c3, c3 // 2)
        self.up_fine = ConvBlock(c3, c2, kernel=1)
        self.mix_fine = nn.Sequential(Bottleneck(c2, c2), Bottleneck(c2, c2))
        self.differs = nn.Conv2d(c2, 1, 1)
        nn.init.constant_(self.differs.bias, _RARE)  # type: ignore[arg-type]
        known = 2 * (c3 + c4) + len(_WORST)
        self.head = nn.Sequential(
            nn.BatchNorm1d(known), nn.Linear(known, 64), nn.ReLU(inplace=True), nn.Linear(64, 1)
        )

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Compare.

        Args:
            pairs: (N, 6, H, W) float32 in 0..1, the looks of one imprint and then of the other as
                it lies on it; H and W multiples of 16.

        Returns:
            (N,) log-odds of one stamp and (N, H / 4, W / 4) log-odds of a difference.
        """
        first, second = pairs[:, :LOOKS], pairs[:, LOOKS:]
        # One pass for both: they share the normalisation of the batch.
        quarter = self.stem(torch.cat([first, second]))
        eighth = self.deeper(quarter)
        fine = self.fine(self.join_fine(_compared(quarter)))
        middle = torch.cat([self.join_middle(_compared(eighth)), self.down(fine)], dim=1)
        middle = self.middle(middle)
        coarse = self.coarse(middle)
        coarse = functional.relu(coarse + self.whole(coarse.mean(dim=(2, 3), keepdim=True)))
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
    near_first, near_second = fitted(second, first), fitted(first, second)
    apart = (first - near_first).abs() + (second - near_second).abs()
    alike = first * near_first + second * near_second
    return torch.cat([first + second, apart / 2, alike / 2], dim=1)


def fitted(moving: Tensor, fixed: Tensor) -> Tensor:
    """Maps (N, C, H, W), each place from where, within one step, its surroundings fit best."""
    height, width = fixed.shape[2:]
    around = functional.pad(moving, (1, 1, 1, 1), mode="replicate")
    steps = [
        around[:, :, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    with torch.no_grad():  # what is learned is what to compare, not where
        misfits = [(step - fixed).abs().mean(dim=1, keepdim=True) for step in steps]
        blocks = functional.avg_pool2d(
            torch.cat(misfits, dim=1), _BLOCK, stride=1, padding=_BLOCK // 2
        )
        usual = blocks.mean(dim=(1, 2, 3), keepdim=True) + 1e-4
        chosen = functional.softmax(-_DECIDED * blocks / usual, dim=1)
    best = steps[0] * chosen[:, :1]
    for index, step in enumerate(steps[1:], start=1):
        best = best + step * chosen[:, index : index + 1]
    return best


def _enlarged(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0)


def _pooled(features: Tensor, ink: Tensor) -> tuple[Tensor, Tensor]:
    """Mean where there is ink, and maximum, (N, C) each: empty paper around changes neither."""
    mean = (features * ink).sum(dim=(2, 3)) / (ink.sum(dim=(2, 3)) + 1e-3)
    return mean, (features * (ink > 0.02)).amax(dim=(2, 3))
