"""The detector: a small residual backbone, a feature pyramid and one anchor-free head per level.

Every cell of every level answers for itself: a score, the distances to the sides of the box (FCOS,
Tian et al. 2019) and the offsets to the four corners of the mark (the idea of WPOD-NET, Silva and
Jung 2018, as free corners).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from platemark.train.nets.layers import Bottleneck, ConvBlock

STRIDES = (8, 16, 32)
_OUTPUTS = 1 + 4 + 8
# Logit at the start: few cells hold a mark, and their loss must not drown in that of the others.
_RARE = -5.0


@dataclass(frozen=True)
class Predictions:
    """What the network says of every cell, levels joined.

    Attributes:
        logits: (N, A) score logits.
        boxes: (N, A, 4) x0, y0, x1, y1 in input pixels.
        quads: (N, A, 4, 2) corners in input pixels.
        centres: (A, 2) cell centres in input pixels.
        strides: (A,) stride of each cell's level.
    """

    logits: Tensor
    boxes: Tensor
    quads: Tensor
    centres: Tensor
    strides: Tensor


class _Separable(nn.Sequential):
    """Depthwise 5x5 and pointwise convolution: reach for little arithmetic."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            ConvBlock(channels_in, channels_in, kernel=5, groups=channels_in),
            ConvBlock(channels_in, channels_out, kernel=1),
        )


class _Surroundings(nn.Module):
    """Lets a cell see the largest values 5, 9 and 13 cells across: marks that fill the picture.

    The spatial pyramid pooling of He et al. 2014, as three pools in a row (SPPF of YOLOv5).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(channels, channels // 2, kernel=1)
        self.join = ConvBlock(2 * channels, channels, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        views = [self.reduce(features)]
        for _ in range(3):
            views.append(functional.max_pool2d(views[-1], 5, stride=1, padding=2))
        joined: Tensor = self.join(torch.cat(views, dim=1))
        return joined


class DetectorNet(nn.Module):
    """Pictures to scores, boxes and corners.

    Args:
        channels: widths at strides 2, 4, 8, 16 and 32.
        neck: width of the pyramid.
        surroundings: whether the coarsest level sees far, for marks of more than some 300 px.
        deeper: blocks added at strides 16 and 32 and to each level of the pyramid, for marks that
            are hard to tell from what is printed around them.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int, int] = (12, 32, 64, 96, 128),
        neck: int = 64,
        surroundings: bool = False,
        deeper: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        stem, c2, c3, c4, c5 = channels
        self.stage3 = nn.Sequential(
            ConvBlock(3, stem, 2),
            ConvBlock(stem, c2, 2),
            ConvBlock(c2, c3, 2),
            Bottleneck(c3, c3 // 2),
            Bottleneck(c3, c3 // 2),
        )
        self.stage4 = nn.Sequential(
            ConvBlock(c3, c4, 2), *(Bottleneck(c4, c4 // 2) for _ in range(3))
        )
        self.stage5 = nn.Sequential(
            ConvBlock(c4, c5, 2), *(Bottleneck(c5, c5 // 2) for _ in range(2))
        )
        if surroundings:
            self.stage5.append(_Surroundings(c5))
        self.stage4.extend(Bottleneck(c4, c4 // 2) for _ in range(deeper[0]))
        self.stage5.extend(Bottleneck(c5, c5) for _ in range(deeper[1]))
        self.lateral = nn.ModuleList(ConvBlock(c, neck, kernel=1) for c in (c3, c4, c5))
        self.fuse = nn.ModuleList(_Separable(neck, neck) for _ in STRIDES)
        self.levels = nn.ModuleList(
            nn.Sequential(*(Bottleneck(neck, neck // 2) for _ in range(deeper[2]))) for _ in STRIDES
        )
        self.heads, finals = nn.ModuleList(), list[nn.Conv2d]()
        for _ in STRIDES:
            body, final = _Separable(neck, neck), nn.Conv2d(neck, _OUTPUTS, 1)
            self.heads.append(nn.Sequential(body, final))
            finals.append(final)
        for final in finals:
            nn.init.normal_(final.weight, std=0.01)
            final.bias = nn.Parameter(torch.tensor([_RARE] + [0.0] * (_OUTPUTS - 1)))

    def forward(self, pictures: Tensor) -> Predictions:
        """(N, 3, H, W) float32 RGB in -1..1, H and W multiples of 32, to what every cell says."""
        fine = self.stage3(pictures)
        middle = self.stage4(fine)
        coarse = self.stage5(middle)
        top = self.fuse[2](self.lateral[2](coarse))
        mid = self.fuse[1](self.lateral[1](middle) + functional.interpolate(top, scale_factor=2.0))
        low = self.fuse[0](self.lateral[0](fine) + functional.interpolate(mid, scale_factor=2.0))
        maps = [
            head(more(level))
            for head, more, level in zip(self.heads, self.levels, (low, mid, top), strict=True)
        ]
        return _decode(maps)


def _decode(maps: list[Tensor]) -> Predictions:
    raw = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1).float()
    centres = torch.cat(
        [_centres(level, stride) for level, stride in zip(maps, STRIDES, strict=True)]
    )
    strides = torch.cat(
        [
            torch.full_like(_centres(level, stride)[:, 0], stride)
            for level, stride in zip(maps, STRIDES, strict=True)
        ]
    )
    reach = raw[..., 1:5].clamp(-4, 4).exp() * strides[:, None]
    boxes = torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], dim=-1)
    offsets = torch.unflatten(raw[..., 5:], -1, (4, 2)) * (2 * strides[:, None, None])
    return Predictions(raw[..., 0], boxes, centres[:, None] + offsets, centres, strides)


def _centres(level: Tensor, stride: int) -> Tensor:
    ys = (torch.arange(level.shape[2], device=level.device) + 0.5) * stride
    xs = (torch.arange(level.shape[3], device=level.device) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x.flatten(), grid_y.flatten()], dim=-1)
