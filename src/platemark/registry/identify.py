"""Which designs an imprint may be of: nearest vectors first, then the ink itself.

Vectors find the few designs worth comparing among very many; near-copies, which differ in a
letter or a number, have nearly the same vectors, and are distinguished by laying the ink of one
imprint on that of the other.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from platemark.matching import InkTemplate
from platemark.protocols import Compares
from platemark.registry import pictures
from platemark.registry.calibration import Calibration
from platemark.registry.records import Candidate, Design, Vector
from platemark.registry.store import Hit, Store
from platemark.types import Embedding

_KEPT = 256
_NEAR = 100
# Designs that are re-ranked, and samples compared of each of them.
_CLOSER, _SAMPLES = 3, 3


class Templates:
    """The samples that were last compared, ready to be compared again; shared by threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, InkTemplate] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, ids: Sequence[str], store: Store, model: str) -> dict[str, InkTemplate]:
        """Return the templates of samples by id; without those that were removed.

        Args:
            ids: Of the samples.
            store: Where they are.
            model: That made the embeddings which they have now.
        """
        with self._lock:
            kept = {id_: self._kept[id_] for id_ in ids if id_ in self._kept}
        found = {
            id_: template
            for id_, template in kept.items()
            if template.embedding is not None and template.embedding.model == model
        }
        for stored in store.stored([id_ for id_ in ids if id_ not in found]):
            embedding = Embedding(stored.vector, stored.sample.model)
            crop = pictures.decode(stored)
            found[stored.sample.id] = InkTemplate.of(crop, embedding=embedding)
        with self._lock:
            for id_, template in found.items():
                self._kept[id_] = template
                self._kept.move_to_end(id_)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class _Scored:
    hit: Hit
    score: float
    compared: bool


def by_design(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Group samples by design: most similar designs first, and of each its most similar samples."""
    found: dict[str, list[Hit]] = {}
    for hit in sorted(hits, key=lambda hit: -hit.similarity):
        found.setdefault(hit.design, []).append(hit)
    return list(found.values())


def nearest_designs(
    store: Store, vector: Vector, count: int, without: str | None = None
) -> list[list[Hit]]:
    """Return samples of the designs nearest to a vector, nearest designs and samples first.

    Args:
        store: Of the vectors.
        vector: (D,) float32 of unit length.
        count: Designs, at most.
        without: Id of a design that is left out.

    Returns:
        For each design its most similar sample, and those of its others that came up in the search.
    """
    wanted = max(_NEAR, 4 * count)
    while True:
        hits = store.nearest(vector, wanted)
        found = by_design([hit for hit in hits if hit.design != without])
        if len(found) >= count or len(hits) < wanted:
            return found[:count]
        wanted *= 4  # a design with very many samples takes all the places


def rank(
    hits: Sequence[Hit],
    designs: Mapping[str, Design],
    calibration: Calibration,
    least_score: float,
    matches: Mapping[str, float],
) -> list[Candidate]:
    """Rank the designs near to an imprint.

    Args:
        hits: The most similar sample of each design, most similar first.
        designs: The designs by id; hits of others, that were removed in between, are skipped.
        calibration: Makes scores of the similarities of those that were not compared.
        least_score: From this score on a candidate is accepted.
        matches: Probabilities that the stamp that made a sample, given by its id, made the imprint,
            from comparing the ink. Hits that were not compared come after all that were, and are
            not accepted.

    Returns:
        The candidates, highest score first.
    """
    hits = [hit for hit in hits if hit.design in designs]
    compared = [_Scored(hit, matches[hit.sample], True) for hit in hits if hit.sample in matches]
    compared.sort(key=lambda scored: -scored.score)
    last = compared[-1].score if compared else 1.0
    others = [
        _Scored(hit, min(last, calibration.uncompared.probability(hit.similarity)), False)
        for hit in hits
        if hit.sample not in matches
    ]
    return [
        Candidate(
            designs[scored.hit.design],
            scored.hit.sample,
            min(1.0, max(-1.0, scored.hit.similarity)),
            scored.score,
            scored.compared and scored.score >= least_score,
        )
        for scored in compared + others
    ]


def match_designs(
    own: InkTemplate,
    nearest: Sequence[Sequence[Hit]],
    templates: Callable[[Sequence[str]], Mapping[str, InkTemplate]],
    comparer: Compares,
) -> dict[str, float]:
    """Compare an imprint with samples of designs.

    The most similar sample of every design is compared; of the top few designs more, since a
    sample may lack ink just where it matters.

    Args:
        own: The imprint.
        nearest: Samples of each design, most similar first.
        templates: Gives samples by id, ready to be compared.
        comparer: Judges imprints.

    Returns:
        Probabilities that the stamp of a design made the imprint, by the id of its most similar
        sample; without designs whose samples were removed. A comparison that says
        little, for want of ink for example, is at best as likely as not.
    """

    def compared(ids: Sequence[str]) -> dict[str, float]:
        found = {id_: comparer(own, other, quick=True) for id_, other in templates(ids).items()}
        return {
            id_: match.score if match.doubt is None else min(match.score, 0.5)
            for id_, match in found.items()
        }

    best = compared([samples[0].sample for samples in nearest])
    likely = sorted(
        (samples for samples in nearest if samples[0].sample in best),
        key=lambda samples: -best[samples[0].sample],
    )[:_CLOSER]
    others = compared([hit.sample for samples in likely for hit in samples[1:_SAMPLES]])
    for first, *more in likely:
        scores = [others[hit.sample] for hit in more if hit.sample in others]
        best[first.sample] = max([best[first.sample], *scores])
    return best
