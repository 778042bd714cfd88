"""What the tasks share: examples real and synthetic, pictures in memory, augmentation."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import Kind, Manifest, ManifestEntry
from platemark.errors import DatasetError
from platemark.imaging.image import Pixels, compressed, to_jpeg
from platemark.train.loop import Schedule, Stateless

Example = TypeVar("Example")

NO_MARKS = "no usable marks in the train splits"
KEPT_QUALITY = 92
"""Of pictures that are kept in memory as JPEG."""


@dataclass(frozen=True)
class Listed:
    """A picture of the training set.

    Attributes:
        entry: its line of the manifest.
        root: folder of the manifest.
        weight: how often the manifests list it: it is sampled this many times as often.
        validated: whether a manifest of it has a dev split, by which a run is judged.
    """

    entry: ManifestEntry
    root: Path
    weight: int
    validated: bool = False

    @property
    def path(self) -> Path:
        """Where the picture lies."""
        return self.root / self.entry.image

    def is_held_out(self, key: str, share: float) -> bool:
        """Whether it is for validation: of the dev split, or sampled where its manifest has none.

        Args:
            key: what keeps examples together that belong together, such as those of one car.
            share: of the keys that are sampled; the same ones in every run.
        """
        if self.validated:
            return self.entry.split == "dev"
        return is_held_out(key, share)


def learning_splits(manifests: Sequence[Path], kind: Kind | None = None) -> list[Listed]:
    """Every picture of the splits train and dev once, so that none is both learned and held out.

    Args:
        manifests: one listed twice, or with pictures of another, gives these more weight.
        kind: keep only this kind of picture; None keeps all.

    Raises:
        DatasetError: A manifest cannot be read, or two state other marks of one picture.
    """
    known: dict[Path, Listed] = {}
    for file in manifests:
        manifest = Manifest.read(file, kind=kind)
        validated = any(entry.split == "dev" for entry in manifest)
        for entry in manifest:
            if entry.split == "test":
                continue
            place = manifest.path(entry).resolve()
            before = known.get(place)
            if before is not None and _marks(before.entry) != _marks(entry):
                raise DatasetError(
                    f"{entry.image} is listed before with other marks; correct one of the two, or "
                    "leave it out",
                    file=file,
                )
            weight = 1 if before is None else before.weight + 1
            known[place] = Listed(entry, manifest.root, weight, validated)
    return list(known.values())


def _marks(entry: ManifestEntry) -> tuple[object, ...]:
    annotated = entry.model_fields_set & {"plates", "stamps"}
    return annotated, entry.plates, entry.stamps, entry.ignore, entry.kind


class MixedExamples(Stateless, Generic[Example]):
    """The examples of a task that learns from synthetic and from real pictures.

    Args:
        real_share: part of every batch that is real, where there are both.
    """

    def __init__(self, real_share: float) -> None:
        self.synthetic: list[Example] = []
        self.real: list[Example] = []
        self.validation: list[Example] = []
        self._wanted_share = real_share

    @property
    def real_share(self) -> float:
        """Part of every batch that is real, as far as there is anything of either."""
        return self._wanted_share if self.real and self.synthetic else float(bool(self.real))

    def size(self) -> int:
        """Examples to learn from, each as often as its weight says."""
        return len(self.synthetic) + len(self.real)

    def marks(self) -> int:
        """Labelled marks to learn from, each counted once."""
        return sum(self.marks_of(example) for example in _distinct([*self.synthetic, *self.real]))

    def marks_of(self, example: Example) -> int:
        """Labelled marks of an example; one, unless a task says otherwise."""
        return 1

    def lacking(self) -> str | None:
        """What the data lack to teach anything; see :class:`platemark.train.loop.Task`."""
        return None if self.marks() else NO_MARKS

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that show about every example once."""
        return max(1, self.size() // schedule.batch)

    def choose(self, count: int, rng: np.random.Generator) -> list[Example]:
        """Examples for a batch, the real ones first."""
        real = round(self.real_share * count)
        pool = self.synthetic or self.real
        chosen = [self.real[i] for i in rng.integers(0, max(len(self.real), 1), real)]
        return chosen + [pool[i] for i in rng.integers(0, len(pool), count - real)]


def _distinct(examples: Iterable[Example]) -> list[Example]:
    return list({id(example): example for example in examples}.values())


class Memory:
    """Keeps pictures as they are while there is room, the rest as JPEG.

    Args:
        room: bytes for pictures that are kept decoded: decoding takes a quarter of the training.
    """

    def __init__(self, room: int) -> None:
        self._room = room

    def keep(self, pixels: Pixels) -> Pixels | bytes:
        """(H, W, 3) uint8 RGB to the same, or to a JPEG: `Image.read` takes either."""
        self._room -= pixels.nbytes
        return pixels if self._room > 0 else to_jpeg(pixels, KEPT_QUALITY)


def is_held_out(key: str, share: float) -> bool:
    """Whether examples of this key are for validation: the same ones in every run."""
    return zlib.crc32(key.encode()) % 1000 < 1000 * share


def shrink(pixels: Pixels, factor: float) -> Pixels:
    """A picture of fewer pixels, each the mean of those it stands for."""
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def coarsen(crop: Pixels, rng: np.random.Generator) -> Pixels:
    """Now and then with the detail of a smaller picture, or compressed as JPEG."""
    if rng.random() < 0.2:
        small = shrink(crop, float(rng.uniform(0.25, 0.8)))
        crop = np.asarray(cv2.resize(small, crop.shape[1::-1]), np.uint8)
    if rng.random() < 0.25:
        crop = compressed(crop, int(rng.integers(25, 90)))
    return crop


def photometric(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Photometric augmentation of (H, W, 3) uint8 RGB.

    Exposure, contrast, colour cast, now and then grey, noise or blur.
    """
    if rng.random() < 0.12:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        pixels = np.asarray(cv2.merge([grey, grey, grey]), np.uint8)
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.06, 3))
    contrast, light = float(rng.uniform(0.7, 1.25)), float(rng.normal(0, 8))
    levels = ((np.arange(256.0)[:, None] - 128) * contrast + 128) * gain + light
    out = cv2.LUT(pixels, _levels(levels)[:, None])
    if rng.random() < 0.2:
        noise = rng.standard_normal(out.shape, np.float32) * np.float32(rng.uniform(1, 10))
        out = _levels(out + noise)
    if rng.random() < 0.12:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.2)))
    return np.asarray(out, np.uint8)


def _levels(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
