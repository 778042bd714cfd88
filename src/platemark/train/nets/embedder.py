"""The embedder: what an imprint shows, seen round its centre and seen flat, as one unit vector.

Round the centre a turn of the stamp is a shift of the columns: the polar unwrap (as in polar
transformer networks, Esteves et al. 2018), convolutions that go round, and statistics over the
angle that no shift changes: mean, maximum, and the Fourier coefficients, by their magnitudes, which
keep what follows what, and as they are once the whole is turned to where it begins. Stamps that are
not round, and mostly upright, are seen better flat.
"""

import math
from typing import NamedTuple

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


class Seen(NamedTuple):
    """What a trunk makes of ink.

    Attributes:
        features: (N, F) of the whole.
        arranged: (N, A) of what stands where.
    """

    features: Tensor
    arranged: Tensor


class PolarTrunk(nn.Module):
    """Ink to features that hardly change when the imprint is turned.

    Where an imprint begins is learned: the phase of one feature's first harmonic, by which those of
    all others are turned back, so that what is between letters is not lost (the phases of a Fourier
    descriptor made invariant as of Zahn & Roskies 1972).

    Args:
        side: of the input in pixels.
        channels: widths at strides 2, 4, 8 and 16.
        shape: rows and columns of the unwrapped picture, multiples of 16.
        width: features of each angle.
        harmonics: Fourier coefficients of which magnitudes are kept, of a quarter of the features.
        begins: guesses of where an imprint begins.
        placed: features and Fourier coefficients kept whole.
    """

    def __init__(
        self,
        side: int,
        channels: tuple[int, int, int, int],
        shape: tuple[int, int] = (64, 384),
        width: int = 128,
        harmonics: int = 6,
        begins: int = 2,
        placed: tuple[int, int] = (48, 10),
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
        self.begin = nn.Conv2d(width, begins, 1)
        self.placed = nn.Conv2d(width, placed[0], 1)
        places = shape[1] // 16
        most = torch.arange(1, max(harmonics, placed[1]) + 1)
        turn = torch.arange(places)[:, None] * most * 2 * math.pi / places
        self.register_buffer("cosines", turn.cos() / places, persistent=False)
        self.register_buffer("sines", turn.sin() / places, persistent=False)
        self.harmonics, self.kept = harmonics, placed[1]
        self.features = 2 * width + harmonics * (width // 4)
        self.arranged = 2 * begins * placed[0] * placed[1]

    def forward(self, ink: Tensor) -> Seen:
        """(N, 1, S, S) to what is seen of it."""
        grid = self.grid.expand(ink.shape[0], -1, -1, -1)
        unwrapped = functional.grid_sample(ink, grid, align_corners=False)
        maps = self.deeper(self.trunk(unwrapped)).flatten(1, 2).unsqueeze(2)
        angles = self.mix(maps)
        real, imaginary = self._harmonics(self.narrow(angles), self.harmonics)
        spectrum = (real.square() + imaginary.square() + _EPSILON).sqrt()
        flat = angles.squeeze(2)
        features = [flat.mean(dim=2), flat.amax(dim=2), spectrum.flatten(1)]
        return Seen(torch.cat(features, dim=1), self._turned_back(angles))

    def _harmonics(self, angles: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Real and imaginary Fourier coefficients (N, C, count) of (N, C, 1, A), from the first."""
        values = angles.squeeze(2).float()
        return values @ self.cosines[:, :count], values @ self.sines[:, :count]

    def _turned_back(self, angles: Tensor) -> Tensor:
        """(N, C, 1, A) to coefficients (N, arranged), as if it began at the first angle."""
        real, imaginary = self._harmonics(self.begin(angles), 1)
        length = (real.square() + imaginary.square() + _EPSILON).sqrt()
        cosine, sine = real / length, imaginary / length
        turns = [(cosine, sine)]
        for _ in range(self.kept - 1):
            before, beside = turns[-1]
            turns.append((before * cosine - beside * sine, before * sine + beside * cosine))
        back = [torch.cat(parts, dim=2).unsqueeze(1) for parts in zip(*turns, strict=True)]
        real, imaginary = (
            part.unsqueeze(2) for part in self._harmonics(self.placed(angles), self.kept)
        )
        turned = real * back[0] + imaginary * back[1], imaginary * back[0] - real * back[1]
        return torch.cat([part.flatten(1) for part in turned], dim=1)


class FlatTrunk(nn.Module):
    """Ink to features of the picture as it is, and of where they are.

    Args:
        side: of the input in pixels, a multiple of 32.
        channels: widths at strides 2, 4, 8 and 16.
        width: features of each place.
        placed: features kept of each of the places, four of which are one.
    """

    def __init__(
        self, side: int, channels: tuple[int, int, int, int], width: int = 128, placed: int = 32
    ) -> None:
        super().__init__()
        self.trunk = _Trunk(channels, ring=False)
        self.deeper = _deeper(channels[-1], ring=False)
        self.mix = ConvBlock(channels[-1], width, kernel=1)
        self.narrow = nn.Conv2d(width, width // 8, 1)
        self.placed = nn.Conv2d(width, placed, 1)
        self.features = 2 * width + (width // 8) * (side // 32) ** 2
        self.arranged = placed * (side // 32) ** 2

    def forward(self, ink: Tensor) -> Seen:
        """(N, 1, S, S) to what is seen of it."""
        places = self.mix(self.deeper(self.trunk(ink)))
        layout = functional.avg_pool2d(self.narrow(places), 2)
        features = [places.mean(dim=(2, 3)), places.amax(dim=(2, 3)), layout.flatten(1)]
        arranged = functional.avg_pool2d(self.placed(places), 2).flatten(1).float()
        return Seen(torch.cat(features, dim=1), arranged)


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
        arranged = self.polar.arranged + self.flat.arranged
        self.arrange = nn.Sequential(nn.BatchNorm1d(arranged), nn.Linear(arranged, size))
        # Nothing at first, so that a network without it can go on from what it knows.
        nn.init.zeros_(self.arrange[1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.arrange[1].bias)  # type: ignore[arg-type]

    def forward(self, ink: Tensor) -> Tensor:
        """(N, 1, S, S) float32 in 0..1 to (N, D) float32 of unit length."""
        polar, flat = self.polar(ink), self.flat(ink)
        joined = self.join(torch.cat([polar.features, flat.features], dim=1)).float()
        arranged = self.arrange(torch.cat([polar.arranged, flat.arranged], dim=1)).float()
        return functional.normalize(joined + arranged, dim=1)
