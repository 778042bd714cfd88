"""The segmenter: a narrow U-Net (Ronneberger et al. 2015) whose finest level has half the pixels.

Most of the arithmetic of a U-Net is spent at full resolution. Here the first convolution halves the
crop and the last one gives the four pixels of every cell (sub-pixel convolution, Shi et al. 2016),
so that strokes keep their edges for a quarter of the price. A cell has twelve values to tell of, so
that fewer than some thirty maps blur the edges.
"""

from torch import Tensor, nn
from torch.nn import functional

from platemark.train.nets.layers import Bottleneck, ConvBlock


class _Up(nn.Module):
    """One step up: the coarse map enlarged, the fine one added, both mixed.

    Args:
        coarse: maps of the coarse level.
        fine: maps of the fine level.
        width: maps given.
        deeper: blocks beyond the one that mixes them.
    """

    def __init__(self, coarse: int, fine: int, width: int, deeper: int = 0) -> None:
        super().__init__()
        self.lateral = ConvBlock(fine, width, kernel=1)
        self.reduce = ConvBlock(coarse, width, kernel=1)
        self.mix = Bottleneck(width, width // 2)
        self.more = nn.Sequential(*(Bottleneck(width, width // 2) for _ in range(deeper)))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, C, H, W) and (N, F, 2H, 2W) to (N, width, 2H, 2W)."""
        enlarged = functional.interpolate(self.reduce(coarse), scale_factor=2.0)
        mixed: Tensor = self.more(self.mix(enlarged + self.lateral(fine)))
        return mixed


class _Whole(nn.Module):
    """Tells every cell what the whole crop holds: the mean of the crop, added to each.

    Whether strokes are a stamp's ink or print is often plain only from the rest of the imprint
    (the image-level features of DeepLabv3, Chen et al. 2017).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        result: Tensor = features + self.project(features.mean(dim=(2, 3), keepdim=True))
        return result


class SegmenterNet(nn.Module):
    """Crops to logits of ink.

    Args:
        channels: widths at strides 2, 4, 8 and 16.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (32, 32, 64, 128)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.stage1 = ConvBlock(3, c1, 2, kernel=5)
        self.stage2 = nn.Sequential(ConvBlock(c1, c2, 2), Bottleneck(c2, c2 // 2))
        self.stage3 = nn.Sequential(
            ConvBlock(c2, c3, 2), *(Bottleneck(c3, c3 // 2) for _ in range(5))
        )
        self.stage4 = nn.Sequential(
            ConvBlock(c3, c4, 2),
            *(Bottleneck(c4, c4 // 2) for _ in range(6)),
            _Whole(c4),
            *(Bottleneck(c4, c4 // 2) for _ in range(4)),
        )
        self.up3 = _Up(c4, c3, c3, deeper=2)
        self.up2 = _Up(c3, c2, c2, deeper=1)
        self.up1 = _Up(c2, c1, c1)
        self.refine = Bottleneck(c1, c1 // 2)
        self.head = nn.Sequential(nn.Conv2d(c1, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W) float32 RGB in -1..1, sides multiples of 16, to (N, H, W) logits."""
        fine = self.stage1(crops)
        quarter = self.stage2(fine)
        eighth = self.stage3(quarter)
        coarse = self.stage4(eighth)
        merged = self.up1(self.up2(self.up3(coarse, eighth), quarter), fine)
        logits: Tensor = self.head(self.refine(merged)).float().squeeze(1)
        return logits
