"""How wrong the networks are: cells that answer for marks, masks of ink, vectors of imprints."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from platemark.train.nets.detector import Predictions

_CANDIDATES = 10
_SCORE_POWER, _IOU_POWER = 0.5, 4.0
# Spread of the preference for cells in the middle of a mark, in halves of its width and height.
_CENTRE_SPREAD = 0.4
# Of the varifocal loss: weight of empty cells, and how fast it falls with their score.
_EMPTY_WEIGHT, _EMPTY_POWER = 0.75, 2.0
# Longer side of the marks that a cell may answer for, in strides of its level.
_SMALLEST_SIDE, _LARGEST_SIDE = 0.75, 28.0


@dataclass(frozen=True)
class Marks:
    """The truth of one picture, M marks.

    Attributes:
        boxes: (M, 4) input pixels.
        quads: (M, 4, 2) input pixels; only read where ``has_quad``.
        has_quad: (M,) bool.
        ignore: (M,) bool: cells inside are neither right nor wrong, whatever size they answer for
            (marks cut off, too small or illegible; places that are not annotated).
    """

    boxes: Tensor
    quads: Tensor
    has_quad: Tensor
    ignore: Tensor


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), elementwise with broadcasting."""
    intersection, union = _intersection_and_union(a, b)
    return intersection / union.clamp(min=1e-6)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the empty share of the enclosing box (Rezatofighi et al. 2019); boxes (..., 4)."""
    hull = torch.cat(
        [torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], dim=-1
    )
    intersection, union = _intersection_and_union(a, b)
    enclosing = _area(hull).clamp(min=1e-6)
    return intersection / union.clamp(min=1e-6) - (enclosing - union) / enclosing


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(
        min=0
    )
    intersection = overlap[..., 0] * overlap[..., 1]
    return intersection, _area(a) + _area(b) - intersection


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(
        min=0
    )


@torch.no_grad()
def assign(predictions: Predictions, index: int, marks: Marks) -> tuple[Tensor, Tensor, Tensor]:
    """Task-aligned assignment: the cells that already see a mark best answer for it.

    After TOOD (Feng et al. 2021), with a preference for cells in the middle: along a wide plate
    many cells see the same, and none could know that it is to be the best one.

    Returns:
        owner: (A,) index of the mark each cell answers for, -1 for none.
        target: (A,) score each cell should give, 0..1.
        weight: (A,) 0 where the score must not count: inside an ignored mark, outside every real
            one.
    """
    centres, strides = predictions.centres, predictions.strides
    cells = len(centres)
    owner = torch.full((cells,), -1, dtype=torch.long, device=centres.device)
    target, weight = torch.zeros_like(strides), torch.ones_like(strides)
    if not len(marks.boxes):
        return owner, target, weight
    inside = _near(centres, strides, marks.boxes)
    within = inside | _within(centres, marks.boxes)
    weight[within[marks.ignore].any(dim=0)] = 0.0
    real = torch.nonzero(~marks.ignore).flatten()
    if not len(real):
        return owner, target, weight
    overlaps = iou(predictions.boxes[index][None], marks.boxes[real][:, None])
    scores = predictions.logits[index].sigmoid()
    metric = scores[None] ** _SCORE_POWER * overlaps**_IOU_POWER
    metric = (metric + 1e-6) * _central(centres, strides, marks.boxes[real]) * inside[real]
    best, cell = metric.topk(min(_CANDIDATES, cells), dim=1)
    chosen = torch.zeros_like(metric).scatter_(1, cell, (best > 0).to(metric.dtype))
    claims = torch.where(chosen > 0, overlaps + 1e-9, torch.zeros_like(overlaps))
    value, mark = claims.max(dim=0)
    taken = value > 0
    owner[taken] = real[mark[taken]]
    for row, index_of_mark in enumerate(real.tolist()):
        mine = owner == index_of_mark
        if mine.any():
            own = metric[row, mine]
            target[mine] = own / own.max() * overlaps[row, mine].max().clamp(min=0.1)
    weight[taken] = 1.0
    return owner, target, weight


def _central(centres: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """(M, A) how near each cell is to the middle of a mark, 1 there, falling as a Gaussian."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = ((boxes[:, 2:] - boxes[:, :2]) / 2)[:, None]
    offset = (centres[None] - middle[:, None]) / torch.maximum(half, strides[None, :, None])
    return (-(offset**2).sum(dim=-1) / (2 * _CENTRE_SPREAD**2)).exp()


def _near(centres: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """(M, A) whether a cell may answer for a mark: in the box, or near the centre of a tiny one."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = ((boxes[:, 2:] - boxes[:, :2]) / 2)[:, None].expand(-1, len(centres), -1)
    half = torch.maximum(half, strides[None, :, None] * 0.75)
    inside = ((centres[None] - middle[:, None]).abs() < half).all(dim=-1)
    size = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return inside & (size < strides * _LARGEST_SIDE) & (size > strides * _SMALLEST_SIDE)


def _within(centres: Tensor, boxes: Tensor) -> Tensor:
    """(M, A) whether the centre of a cell, of whatever level, is in a box."""
    above, below = centres[None] > boxes[:, None, :2], centres[None] < boxes[:, None, 2:]
    return (above & below).all(dim=-1)


def detection_losses(predictions: Predictions, marks: list[Marks]) -> dict[str, Tensor]:
    """The score, box and corner terms, to be summed.

    Varifocal loss on scores (Zhang et al. 2021), generalised IoU on boxes, smooth L1 on corners
    relative to the size of the mark.
    """
    assigned = [assign(predictions, index, one) for index, one in enumerate(marks)]
    target = torch.stack([t for _, t, _ in assigned])
    weight = torch.stack([w for _, _, w in assigned])
    total = target.sum().clamp(min=1.0)
    probability = predictions.logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(
        predictions.logits, target, reduction="none"
    )
    empty = _EMPTY_WEIGHT * probability.detach() ** _EMPTY_POWER
    score = (torch.where(target > 0, target, empty) * entropy * weight).sum() / total
    box = predictions.logits.new_zeros(())
    corner = predictions.logits.new_zeros(())
    for index, (owner, targets, _) in enumerate(assigned):
        cells = torch.nonzero(owner >= 0).flatten()
        if not len(cells):
            continue
        truth = marks[index].boxes[owner[cells]]
        share = targets[cells]
        box = box + ((1 - generalised_iou(predictions.boxes[index, cells], truth)) * share).sum()
        size = (truth[:, 2:] - truth[:, :2])[:, None]
        error = (predictions.quads[index, cells] - marks[index].quads[owner[cells]]) / size
        known = marks[index].has_quad[owner[cells]].float() * share
        corner = (
            corner
            + (
                functional.smooth_l1_loss(
                    error, torch.zeros_like(error), reduction="none", beta=0.05
                ).mean(dim=(1, 2))
                * known
            ).sum()
        )
    return {"score": score, "box": 1.5 * box / total, "corner": 6.0 * corner / total}


def mask_losses(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of pixels, and 1 less the soft Dice coefficient of each crop.

    Their sum is that of nnU-Net (Isensee et al. 2021); Dice after V-Net (Milletari et al. 2016).

    Args:
        logits: (N, H, W) of ink.
        masks: (N, H, W) share of ink in 0..1.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, masks)
    found = logits.sigmoid()
    overlap = (found * masks).sum(dim=(1, 2))
    total = found.sum(dim=(1, 2)) + masks.sum(dim=(1, 2))
    dice = (2 * overlap + 1) / (total + 1)
    return {"entropy": entropy, "dice": (1 - dice).mean()}


class DesignMemory:
    """What the network last made of every design: negatives beyond those of a batch.

    A batch has some dozen designs, most of which are soon distinguished; the few that are mistaken
    for each other seldom meet in one (cross-batch memory, Wang et al. 2020).

    Args:
        designs: how many there are.
        vectors: (designs, D) what is remembered of each; None for nothing of any.
    """

    _KEPT = 0.5

    def __init__(self, designs: int, vectors: Tensor | None = None) -> None:
        self._designs = designs
        self.vectors = torch.zeros(designs, 0) if vectors is None else vectors

    def loss(self, vectors: Tensor, designs: Tensor, temperature: float) -> Tensor:
        """Every vector is to be nearer to what is remembered of its design than of any other.

        Were what is remembered a negative alone, the network could get away from all of it at once
        by turning the space.

        Args:
            vectors: (N, D) of unit length.
            designs: (N,) int, numbers of their designs; those not seen before do not count.
            temperature: divides the cosines.
        """
        remembered = self._like(vectors)
        known = remembered.any(dim=1)
        logits = vectors @ remembered.T / temperature
        own = logits.gather(1, designs[:, None]).squeeze(1)
        is_own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, designs[:, None], True)
        others = logits.masked_fill(is_own | ~known, -torch.inf).logsumexp(dim=1)
        # Without any other design to be told from, there is nothing to learn yet.
        counted = known[designs] & others.isfinite()
        return functional.softplus(others - own)[counted].sum() / len(vectors)

    @torch.no_grad()
    def see(self, vectors: Tensor, designs: Tensor) -> None:
        """Remember vectors (N, D) of designs (N,)."""
        remembered = self._like(vectors)
        seen, place = torch.unique(designs, return_inverse=True)
        sums = torch.zeros(len(seen), vectors.shape[1], device=vectors.device)
        sums.index_add_(0, place, vectors.float())
        mixed = functional.normalize(sums, dim=1) + self._KEPT * remembered[seen]
        # Not in place: the loss still needs the old ones for its gradient.
        self.vectors = remembered.index_copy(0, seen, functional.normalize(mixed, dim=1))

    def _like(self, vectors: Tensor) -> Tensor:
        """What is remembered, of the size of vectors and where they are."""
        if not self.vectors.shape[1]:
            self.vectors = torch.zeros(self._designs, vectors.shape[1])
        self.vectors = self.vectors.to(vectors.device)
        return self.vectors


def contrastive_loss(
    vectors: Tensor, designs: Tensor, families: Tensor, temperature: float, near_weight: float
) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020), near-copies weighing more.

    For every imprint, the others of its design are to be nearer than those of all other designs.
    Weighing negatives by how hard they are follows Robinson et al. 2021; here the hard ones are
    known: designs of the same family.

    Args:
        vectors: (N, D) of unit length.
        designs: (N,) int, equal for imprints of one design; each occurs at least twice.
        families: (N,) int, equal for near-copies.
        temperature: divides the cosines.
        near_weight: how many other designs one near-copy counts for.
    """
    same = designs[:, None] == designs[None]
    near = (families[:, None] == families[None]) & ~same
    itself = torch.eye(len(designs), dtype=torch.bool, device=vectors.device)
    logits = (vectors @ vectors.T) / temperature
    weighted = (logits + near * math.log(near_weight)).masked_fill(same, -torch.inf)
    others = weighted.logsumexp(dim=1, keepdim=True)
    # One positive against all negatives at a time: positives do not compete with each other.
    wrong = functional.softplus(others - logits)
    positive = same & ~itself
    per_imprint = (wrong * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return per_imprint.mean()
