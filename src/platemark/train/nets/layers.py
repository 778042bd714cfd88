"""Blocks shared by the networks."""

import torch
from torch import Tensor, nn


class RingPad(nn.Module):
    """Continues a map whose columns run round a circle: its last columns before the first.

    Args:
        width: columns to add on either side.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W + 2 width)."""
        before, after = features[..., -self.width :], features[..., : self.width]
        return torch.cat([before, features, after], dim=-1)


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation, ReLU; both fold into one operation at inference.

    Plain ReLU rather than SiLU: half the time of the block on a CPU, and exact in every runtime.

    Args:
        channels_in: maps taken.
        channels_out: maps given.
        stride: of rows and columns.
        kernel: its side, odd.
        groups: parts that do not see each other.
        ring: whether the columns run round a circle.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int | tuple[int, int] = 1,
        kernel: int = 3,
        groups: int = 1,
        ring: bool = False,
    ) -> None:
        reach = kernel // 2
        rounded = ring and reach > 0
        super().__init__(
            *([RingPad(reach)] if rounded else []),
            nn.Conv2d(
                channels_in,
                channels_out,
                kernel,
                stride,
                (reach, 0) if rounded else reach,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class Bottleneck(nn.Module):
    """Residual block: 1x1 down to ``hidden`` channels, 3x3, 1x1 back (He et al. 2016).

    It begins as the identity (Goyal et al. 2017), so that a network can be given more of them and
    go on from what it knows.
    """

    def __init__(self, channels: int, hidden: int, ring: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(channels, hidden, kernel=1),
            ConvBlock(hidden, hidden, ring=ring),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        result: Tensor = self.activation(features + self.body(features))
        return result


def self_attention(sequence: Tensor, to_qkv: nn.Linear, project: nn.Linear, heads: int) -> Tensor:
    """Multi-head self-attention (Vaswani et al. 2017) in plain operations, for few ONNX nodes.

    Args:
        sequence: (N, T, D).
        to_qkv: D to 3 D, the queries, keys and values of all heads.
        project: D to D.
        heads: how many; D is a multiple of it.

    Returns:
        (N, T, D).
    """
    n, t, d = sequence.shape
    qkv = to_qkv(sequence).reshape(n, t, 3, heads, d // heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    attention = (query @ key.transpose(-1, -2) * (d // heads) ** -0.5).softmax(-1)
    mixed: Tensor = project((attention @ value).transpose(1, 2).reshape(n, t, d))
    return mixed
