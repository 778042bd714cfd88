"""Tells imprints of the stamps that a model was taught from all other stamps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.geometry import FloatArray
from platemark.imaging.image import Image, Pixels, read_alpha
from platemark.masks import SoftMask
from platemark.matching import InkTemplate
from platemark.models.card import LikenessOdds
from platemark.models.onnx import OnnxModel
from platemark.protocols import Compares, Embeds, Segments
from platemark.tasks.calibrate import checked_score, logit, sigmoid
from platemark.types import Detection, Embedding, Identity

CANDIDATE_SCORE = 0.05
"""Least score of a detection that is worth embedding and comparing."""

# At most this number of candidates of a page is embedded, and of these compared with a sample each.
_MOST, _CLOSER = 16, 6
# Less similar ones are not compared, and the odds of those, as of any comparison, end here.
_LIKELY, _FIRM = 0.2, 6.0


@dataclass(frozen=True, eq=False)
class Sample:
    """A taught mark.

    Attributes:
        name: What it is called.
        template: Its ink, ready to be compared.
        vector: (D,) float32, the embedding of the ink.
    """

    name: str
    template: InkTemplate
    vector: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, pixels: Pixels, ink: NDArray[np.uint8], embedder: Embeds) -> Self:
        """Make one ready.

        Args:
            name: What the mark is called.
            pixels: (H, W, 3) uint8 RGB, the mark.
            ink: (H, W) uint8, 255 where it surely is ink.
            embedder: Makes its embedding.
        """
        (vector,) = embedder([SoftMask(ink.astype(np.float32) / np.float32(255))])
        template = InkTemplate.of(ink, pixels, Embedding(vector, embedder.name))
        return cls(name, template, vector)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is seen of a candidate.

    Attributes:
        detector: Log-odds of the detector.
        similarity: Cosine similarity with the most similar sample.
        ink: Log-odds of the comparer that the stamp of the sample made it.
        name: Of the sample.
    """

    detector: float
    similarity: float
    ink: float
    name: str

    @property
    def values(self) -> tuple[float, float, float]:
        """The numbers, in the order of the weights."""
        return self.detector, self.similarity, self.ink


@dataclass(frozen=True, slots=True)
class Recognised(Detection):
    """A detection of which is known whose imprint it is."""

    identity: Identity


class Likeness:
    """Keeps the candidates of a detector that resemble a taught mark; may be shared by threads.

    Each candidate is segmented from its paper and embedded; the most similar ones are compared with
    their sample. Detector, similarity and comparison together say how probably it is the mark.

    Args:
        samples: The taught marks, at least one.
        odds: How the signals join.
        segmenter: Finds the ink of candidates.
        embedder: Embeds it.
        comparer: Compares it with that of the samples.
        min_score: Least probability of a candidate that counts.

    Raises:
        ValueError: ``min_score`` is no probability.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        odds: LikenessOdds,
        segmenter: Segments,
        embedder: Embeds,
        comparer: Compares,
        *,
        min_score: float = 0.5,
    ) -> None:
        self.samples, self.odds = tuple(samples), odds
        self._segmenter, self._embedder, self._comparer = segmenter, embedder, comparer
        self._min_score = checked_score(min_score)
        self._vectors = np.stack([one.vector for one in self.samples])

    @classmethod
    def of(
        cls, model: OnnxModel, segmenter: Segments, embedder: Embeds, comparer: Compares
    ) -> Self | None:
        """What the card of a detector says of the marks it was taught; None where it says nothing.

        Raises:
            ModelMismatch: Its odds were fitted with another embedder.
            UnreadableImage: A cut-out cannot be read.
        """
        taught = model.card.likeness
        if taught is None:
            return None
        if taught.embedder != embedder.name:
            raise ModelMismatch(
                f"model {model.card.name} was taught with {taught.embedder}, and "
                f"{embedder.name} is in use; teach it again: platemark learn"
            )
        samples = [
            Sample.of(one.name, *read_cutout(model.folder / one.file), embedder)
            for one in taught.samples
        ]
        least = model.card.thresholds.get("min_score", 0.5)
        return cls(samples, taught.odds, segmenter, embedder, comparer, min_score=least)

    def with_min_score(self, min_score: float) -> Self:
        """Return the same with another least score.

        Raises:
            ValueError: ``min_score`` is no probability.
        """
        parts = self._segmenter, self._embedder, self._comparer
        return type(self)(self.samples, self.odds, *parts, min_score=min_score)

    def __call__(self, image: Image, detections: Sequence[Detection]) -> list[Detection]:
        """Return the candidates that count, with their names and new scores, highest score first.

        Args:
            image: The page.
            detections: Candidates, highest score first, from `CANDIDATE_SCORE` on.

        Raises:
            InferenceFailed: A network did not run.
        """
        found = []
        for one, seen in zip(detections, self.signals(image, detections), strict=False):
            score = self.probability(seen)
            if score >= self._min_score:
                identity = Identity(seen.name, seen.name, seen.similarity, accepted=True)
                found.append(Recognised(one.kind, score, one.box, one.quad, identity))
        return sorted(found, key=lambda one: -one.score)

    def probability(self, seen: Signals) -> float:
        """How probably a candidate is the mark of its sample."""
        odds = self.odds
        weights = np.array([odds.detector, odds.similarity, odds.ink])
        return float(sigmoid(odds.bias + weights @ np.array(seen.values)))

    def signals(self, image: Image, detections: Sequence[Detection]) -> list[Signals]:
        """The signals of the first candidates, of as many as are embedded, in their order.

        Raises:
            InferenceFailed: A network did not run.
        """
        first = detections[:_MOST]
        if not first:
            return []
        masks = self._segmenter(image, [one.box for one in first])
        vectors = self._embedder(masks)
        similar = np.asarray(vectors @ self._vectors.T, np.float64)
        best = similar.argmax(axis=1)
        seen = [
            Signals(
                float(np.clip(logit(one.score), -_FIRM, _FIRM)),
                float(similar[row, best[row]]),
                -_FIRM,
                self.samples[best[row]].name,
            )
            for row, one in enumerate(first)
        ]
        closer = np.argsort([-one.similarity for one in seen], kind="stable")[:_CLOSER]
        for row in closer.tolist():
            if seen[row].similarity >= _LIKELY:
                embedding = Embedding(vectors[row], self._embedder.name)
                own = InkTemplate.of(masks[row], masks[row].cut(image.pixels), embedding)
                seen[row] = self._compared(seen[row], own, similar[row])
        return seen

    def _compared(self, seen: Signals, own: InkTemplate, similar: FloatArray) -> Signals:
        """The signals with what the comparer says of the two most similar samples."""
        found = seen
        for index in np.argsort(-similar, kind="stable")[:2].tolist():
            if similar[index] < _LIKELY:
                continue
            match = self._comparer(self.samples[index].template, own, quick=True)
            score = match.score if match.doubt is None else min(match.score, 0.5)
            ink = float(np.clip(logit(score), -_FIRM, _FIRM))
            if ink > found.ink:
                name, similarity = self.samples[index].name, float(similar[index])
                found = replace(found, ink=ink, name=name, similarity=similarity)
        return found


def read_cutout(path: Path) -> tuple[Pixels, NDArray[np.uint8]]:
    """Read a cut-out: its pixels (H, W, 3) uint8 RGB on white, and its ink (H, W) uint8.

    Raises:
        UnreadableImage: It cannot be read.
    """
    pixels = Image.read(path).pixels
    alpha = read_alpha(path)
    return pixels, np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha
