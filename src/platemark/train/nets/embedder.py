"""The embedder: what an imprint shows, seen round its centre and seen flat, as one unit vector.

Round the centre a turn of the stamp is a shift of the columns: the polar unwrap (as in polar
transformer networks, Esteves et al. 2018), convolutions that go round, and statistics over the
angle that no shift changes (mean, maximum, and the magnitudes of the Fourier coefficients, which
keep what follows what). Stamps that are not round, and mostly upright, are seen better flat.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from platemark.train.nets.layers import Bottleneck, ConvBlock

_EPSILON = 1e-6


def polar_grid(side: int, radii: int, angles: int) -> Tensor:
    """Where a polar unwrap samples a square picture.

    Args:
        side: of the picture in pixels.
        radii: rows, from the centre to the circle that touches the sides.
        angles: columns, clockwise from the right.

    Returns:
        (radii, angles, 2) float32 x, y, as `torch.nn.functional.grid_sample` takes them without
        ``align_corners``: -1 and 1 are the outer edges of the picture.
    """
    radius = (torch.arange(radii) + 0.5) / radii
    angle = torch.arange(angles) * (2 * math.pi / angles)
    return torch.stack(
        [radius[:, None] * angle.cos()[None], radius[:, None] * angle.sin()[None]], dim=-1
    )


class _Trunk(nn.Sequential):
    """Four stages, each with half the rows and columns of the one before."""

    def __init__(self, channels: tuple[int, int, int, int], ring: bool) -> None:
        c1, c2, c3, c4 = channels
        super().__init__(
            ConvBlock(1, c1, 2, kernel=5, ring=ring),
            ConvBlock(c1, c2, 2, ring=ring),
            Bottleneck(c2, c2 // 2, ring),
            ConvBlock(c2, c3, 2, ring=ring),
            Bottleneck(c3, c3 // 2, ring),
            Bottleneck(c3, c3 // 2, ring),
            ConvBlock(c3, c4, 2, ring=ring),
            Bottleneck(c4, c4 // 2, ring),
            Bottleneck(c4, c4 // 2, ring),
        )


def _deeper(channels: int, ring: bool) -> nn.Sequential:
    """Blocks after a trunk, where a place sees letters and what is beside them."""
    return nn.Sequential(*(Bottleneck(channels, channels // 2, ring) for _ in range(4)))


class PolarTrunk(nn.Module):
    """Ink to features that hardly change when the imprint is turned.

    Args:
        side: of the input in pixels.
        channels: widths at strides 2, 4, 8 and 16.
        shape: rows and columns of the unwrapped picture, multiples of 16.
        width: features of each angle.
        harmonics: Fourier coefficients kept, of a quarter of the features.
    """

    def __init__(
        self,
        side: int,
        channels: tuple[int, int, int, int],
        shape: tuple[int, int] = (64, 384),
        width: int = 128,
        harmonics: int = 6,
    ) -> None:
        super().__init__()
        self.grid: Tensor
        self.cosines: Tensor
        self.sines: Tensor
        self.register_buffer("grid", polar_grid(side, *shape), persistent=False)
        self.trunk = _Trunk(channels, ring=True)
        self.deeper = _deeper(channels[-1], ring=True)
        self.mix = ConvBlock(channels[-1] * shape[0] // 16, width, kernel=1)
        self.narrow = nn.Conv2d(width, width // 4, 1)
        places = shape[1] // 16
        turn = torch.arange(places)[:, None] * torch.arange(1, harmonics + 1) * 2 * math.pi / places
        self.register_buffer("cosines", turn.cos() / places, persistent=False)
        self.register_buffer("sines", turn.sin() / places, persistent=False)
        self.features = 2 * width + harmonics * (width // 4)

    def forward(self, ink: Tensor) -> Tensor:
        """(N, 1, S, S) to (N, features)."""
        grid = self.grid.expand(ink.shape[0], -1, -1, -1)
        unwrapped = functional.grid_sample(ink, grid, align_corners=False)
        maps = self.deeper(self.trunk(unwrapped)).flatten(1, 2).unsqueeze(2)
        angles = self.mix(maps)
        narrow = self.narrow(angles).squeeze(2)
        real, imaginary = narrow @ self.cosines, narrow @ self.sines
        spectrum = (real.square() + imaginary.square() + _EPSILON).sqrt()
        angles = angles.squeeze(2)
        return torch.cat([angles.mean(dim=2), angles.amax(dim=2), spectrum.flatten(1)], dim=1)


class FlatTrunk(nn.Module):
    """Ink to features of the picture as it is, and of where they are.

    Args:
        side: of the input in pixels, a multiple of 32.
        channels: widths at strides 2, 4, 8 and 16.
        width: features of each place.
    """

    def __init__(self, side: int, channels: tuple[int, int, int, int], width: int = 128) -> None:
        super().__init__()
        self.trunk = _Trunk(channels, ring=False)
        self.deeper = _deeper(channels[-1], ring=False)
        self.mix = ConvBlock(channels[-1], width, kernel=1)
        self.narrow = nn.Conv2d(width, width // 8, 1)
        self.features = 2 * width + (width // 8) * (side // 32) ** 2

    def forward(self, ink: Tensor) -> Tensor:
        """(N, 1, S, S) to (N, features)."""
        places = self.mix(self.deeper(self.trunk(ink)))
        layout = functional.avg_pool2d(self.narrow(places), 2)
        return torch.cat(
            [places.mean(dim=(2, 3)), places.amax(dim=(2, 3)), layout.flatten(1)], dim=1
        )


class EmbedderNet(nn.Module):
    """Ink to unit vectors.

    Args:
        side: of the input in pixels, a multiple of 32.
        channels: widths of both trunks at strides 2, 4, 8 and 16.
        size: of the vectors.
    """

    def __init__(
        self,
        side: int = 192,
        channels: tuple[int, int, int, int] = (16, 24, 48, 96),
        size: int = 256,
    ) -> None:
        super().__init__()
        self.polar = PolarTrunk(side, channels)
        self.flat = FlatTrunk(side, channels)
        features = self.polar.features + self.flat.features
        self.join = nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, size))

    def forward(self, ink: Tensor) -> Tensor:
        """(N, 1, S, S) float32 in 0..1 to (N, D) float32 of unit length."""
        joined = self.join(torch.cat([self.polar(ink), self.flat(ink)], dim=1)).float()
        return functional.normalize(joined, dim=1)
