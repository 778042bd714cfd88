"""Did one stamp make two imprints? Aligned, judged by a network, and what tells them apart."""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.matching import Imprint, InkTemplate
from platemark.matching.alignment import Alignment, align
from platemark.matching.features import match_features
from platemark.matching.overlay import overlay
from platemark.matching.template import Planes
from platemark.models.card import ComparerPreprocess, DesignOdds
from platemark.tasks.calibrate import calibrate, logit, sigmoid
from platemark.tasks.stage import Stage
from platemark.types import Embedding

TOO_LITTLE_INK, TOO_SMALL = "too little ink", "too small"
# Smaller imprints, in pixels, show no letters.
_LEAST_SIDE = 40.0
# Pixels of ink that both have on the canvas, for each pixel of its longer side.
_LEAST_SHARED = 1.0
_MOST_REGIONS = 12
# Where much has a low confidence, only what nearly reaches the worst place is marked.
_NEARLY_WORST = 0.8


@dataclass(frozen=True)
class Signals:
    """What is seen of two imprints.

    Attributes:
        ink: Log-odds of the network that one stamp made both.
        agreement: How alike the strokes are where both have ink, see `Alignment`.
        features: How many local features agree.
        similarity: Cosine similarity of the embeddings; None where there are none of one model.
    """

    ink: float
    agreement: float
    features: int
    similarity: float | None


@dataclass(frozen=True, eq=False)
class InkMatch:
    """How two imprints compare.

    Two questions are asked: are both of one design, by all that is seen of them; and if so, does a
    detail differ, such as a letter, where both are large enough to show it.

    Attributes:
        score: Probability that one stamp made both: the product of ``design`` and ``detail``.
        verdict: ``"same"``, ``"different"``, or ``"unsure"`` where the answers are between the
            thresholds for these, or there is a ``doubt``.
        transform: (3, 3) float64 homography from pixels of the first to pixels of the second; the
            identity where there was nothing to align.
        regions: (N, 4) boxes (x0, y0, x1, y1) in pixels of the first where they disagree, the worst
            first.
        design: Probability that both are of one design.
        detail: Probability that no detail differs, if they are of one design.
        legible: Whether both are large enough to show whether a detail differs.
        signals: What the probabilities rest on.
        doubt: Why the score says little, `TOO_LITTLE_INK` or `TOO_SMALL`; None where it can be
            relied on.
    """

    score: float
    verdict: str
    transform: FloatArray
    regions: FloatArray
    design: float
    detail: float
    legible: bool
    signals: Signals
    doubt: str | None = None


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the network says of a pair.

    Attributes:
        score: Probability that one stamp made both.
        differs: (h, w) float32, how probably the designs differ in each place of the canvas; it has
            several pixels of the canvas for each.
    """

    score: float
    differs: NDArray[np.float32]


class Comparer(Stage[ComparerPreprocess]):
    """Compares imprints; may be shared by threads.

    Args:
        model: A network with the input ``pairs`` (N, H, W, 6) uint8 and the outputs ``same`` (N,)
            and ``differs`` (N, h, w) float32 in 0..1.

    Raises:
        ModelMismatch: The model's card is not that of a comparer.
    """

    TASK, KIND = "comparer", "stamp"
    PREPROCESS = ComparerPreprocess

    @property
    def spec(self) -> ComparerPreprocess:
        """How a canvas is made."""
        return self._spec

    def threshold(self, name: str) -> float:
        """A threshold of the card: ``same``, ``different`` or ``marked``."""
        return self._model.card.thresholds[name]

    def __call__(
        self, a: Imprint | InkTemplate, b: Imprint | InkTemplate, *, quick: bool = False
    ) -> InkMatch:
        """Compare two imprints.

        It is symmetric: the other way round gives the same score and the inverse transform.

        Args:
            a: A stamp that was found, its crop, its ink mask, or a mask (h, w), see
                `InkTemplate.of`; or one of these made ready for many comparisons.
            b: Likewise.
            quick: Do not search longer where the first guesses of an alignment do not fit.
                Strangers, as most candidates of a search are, take less than half the time; now and
                then an imprint with much ink missing is not recognised.

        Returns:
            The match, in pixels of the masks; of a stamp, in pixels of its crop.

        Raises:
            ValueError: A mask is of another shape or dtype.
            InferenceFailed: The network did not run.
        """
        first, second = (i if isinstance(i, InkTemplate) else InkTemplate.of(i) for i in (a, b))
        if first.radius == 0.0 or second.radius == 0.0:
            nothing = Signals(0.0, 0.0, 0, None)
            nowhere = np.eye(3), np.zeros((0, 4))
            return InkMatch(0.5, "unsure", *nowhere, 0.5, 0.5, False, nothing, TOO_LITTLE_INK)
        if _key(second) < _key(first):
            turned = self._match(second, first, quick=quick)
            regions = quad_to_box(apply_homography(turned.transform, box_to_quad(turned.regions)))
            back = _matrix(np.linalg.inv(turned.transform))
            return replace(turned, transform=back, regions=regions)
        return self._match(first, second, quick=quick)

    def judge(self, canvas: NDArray[np.uint8]) -> Judgement:
        """Judge two imprints that lie on one canvas, see `platemark.matching.overlay.overlay`.

        Args:
            canvas: (H, W, 6) uint8, both sides multiples of the card's: ink, grey and
                colourfulness of one imprint, then of the other as it lies on it.

        Raises:
            InferenceFailed: The network did not run.
        """
        said = self._model.run(pairs=canvas[None])
        score = float(calibrate(said["same"], self._model.card.calibration)[0])
        return Judgement(score, np.asarray(said["differs"][0], dtype=np.float32))

    def _match(self, a: InkTemplate, b: InkTemplate, *, quick: bool) -> InkMatch:
        """Judge every way to lay one on the other: one that fits says that one stamp made both."""
        tried = []
        for alignment in align(a, b, quick=quick):
            canvas, to_canvas = overlay(self._spec, a, b, alignment.matrix)
            tried.append(_Laid(alignment, canvas, to_canvas, self.judge(canvas)))
        best = max(tried, key=lambda laid: laid.said.score)
        transform = _matrix(np.linalg.inv(b.to_frame) @ best.alignment.matrix @ a.to_frame)
        to_mask = _matrix(np.linalg.inv(best.to_canvas @ a.to_frame))
        regions = _regions(best, self.threshold("marked"), to_mask)
        signals = Signals(
            ink=float(logit(best.said.score)),
            agreement=max(laid.alignment.agreement for laid in tried),
            features=match_features(a.features, b.features),
            similarity=_similarity(a.embedding, b.embedding),
        )
        design, detail, legible = 1.0, best.said.score, True
        fusion = self._model.card.fusion
        if fusion is not None:  # otherwise the network alone decides
            known = all(one.embedding and one.embedding.model == fusion.embedder for one in (a, b))
            design = _design(fusion.design if known else fusion.unembedded, signals)
            legible = 2.0 * min(a.radius, b.radius) >= fusion.least_side
            odds = fusion.legible if legible else fusion.illegible
            detail = float(sigmoid(odds.bias + odds.ink * signals.ink))
        match = InkMatch(
            score=design * detail,
            verdict="unsure",
            transform=transform,
            regions=regions,
            design=design,
            detail=detail,
            legible=legible,
            signals=signals,
            doubt=_doubt(a, b, best.canvas),
        )
        return replace(match, verdict=self._verdict(match))

    def _verdict(self, match: InkMatch) -> str:
        if match.doubt is not None:
            return "unsure"
        if match.score >= self.threshold("same"):
            return "same"
        if match.design <= self._model.card.thresholds.get("another_design", 0.0):
            return "different"
        fusion = self._model.card.fusion
        laid = fusion is None or match.signals.agreement >= fusion.least_agreement
        seen = laid and match.legible and match.detail <= self.threshold("different")
        return "different" if seen else "unsure"


@lru_cache(maxsize=1)
def bundled_comparer() -> Comparer:
    """The comparer that comes with the package, on one thread: pairs are judged side by side."""
    return Comparer.from_pretrained(threads=1)


def match_ink(
    a: Imprint | InkTemplate, b: Imprint | InkTemplate, *, quick: bool = False
) -> InkMatch:
    """Compare two imprints with the bundled comparer, loaded when it is first called for.

    Raises:
        ModelError: The bundled comparer cannot be used.
        ValueError: A mask is of another shape or dtype.
        InferenceFailed: The network did not run.
    """
    return bundled_comparer()(a, b, quick=quick)


def _key(template: InkTemplate) -> tuple[float, bytes]:
    """What puts any two imprints in one order, so that both directions are the same match."""
    return template.radius, template.mask.tobytes()


@dataclass(frozen=True, eq=False)
class _Laid:
    """An alignment, judged."""

    alignment: Alignment
    canvas: Planes
    to_canvas: FloatArray
    said: Judgement


def _similarity(a: Embedding | None, b: Embedding | None) -> float | None:
    """Cosine similarity of two embeddings; None where they are not of one model."""
    if a is None or b is None or a.model != b.model:
        return None
    return float(a.vector @ b.vector)


def _design(weights: DesignOdds, signals: Signals) -> float:
    """Probability of one design."""
    odds = weights.bias + weights.ink * signals.ink + weights.agreement * signals.agreement
    odds += weights.features * float(np.log1p(signals.features))
    return float(sigmoid(odds + weights.similarity * (signals.similarity or 0.0)))


def _matrix(values: NDArray[np.floating]) -> FloatArray:
    """A homography with the weight 1 in its corner."""
    return np.asarray(values / values[2, 2], dtype=np.float64)


def _doubt(a: InkTemplate, b: InkTemplate, canvas: Planes) -> str | None:
    """Why nothing should be said of two imprints, if there is a reason."""
    if 2.0 * min(a.radius, b.radius) < _LEAST_SIDE:
        return TOO_SMALL
    first, second = canvas[..., 0], canvas[..., canvas.shape[2] // 2]
    if float(np.minimum(first, second).sum()) / 255.0 < _LEAST_SHARED * max(canvas.shape[:2]):
        return TOO_LITTLE_INK
    return None


def _regions(laid: _Laid, marked: float, to_mask: FloatArray) -> FloatArray:
    """Boxes (N, 4) in pixels of the first mask around places that differ, the worst first."""
    differs = laid.said.differs
    step = laid.canvas.shape[0] / differs.shape[0]
    level = max(marked, _NEARLY_WORST * float(differs.max()))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.asarray(differs >= level, dtype=np.uint8), connectivity=8
    )
    found = []
    for number in range(1, count):
        left, top, width, height = stats[number][:4].tolist()
        box = step * np.array([left, top, left + width, top + height])
        worst = float(differs[labels == number].max())
        found.append((worst, quad_to_box(apply_homography(to_mask, box_to_quad(box)))))
    found.sort(key=lambda region: -region[0])
    return np.array([box for _, box in found[:_MOST_REGIONS]]).reshape(-1, 4)
