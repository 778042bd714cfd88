"""Decoding of connectionist temporal classification (Graves et al. 2006), in numpy.

A network gives a distribution over classes for each of T frames; class 0 is the blank. A path of
one class per frame stands for the labels that are left when repeats are joined and blanks removed,
and a label sequence has the probability of all its paths together.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLANK = 0

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A label sequence with its probability.

    Attributes:
        labels: Classes without blanks.
        probability: Sum over the paths that were followed.
    """

    labels: tuple[int, ...]
    probability: float


def soften(log_probs: NDArray[np.floating], temperature: float = 1.0) -> Probabilities:
    """Turn log-probabilities (..., C) into probabilities, flatter with a higher temperature."""
    scaled = np.asarray(log_probs, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: Probabilities = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities


def compact(probabilities: Probabilities, certain: float = 0.999) -> Probabilities:
    """Join each run of frames, (T, C), whose blank is at least so probable into one frame.

    Texts keep their probability but for what they have of other classes in such a run.
    """
    blank = probabilities[:, BLANK] >= certain
    starts = np.flatnonzero(~(blank & np.roll(blank, 1)) | (np.arange(len(blank)) == 0))
    joined: Probabilities = np.multiply.reduceat(probabilities, starts)
    return joined


def greedy(probabilities: Probabilities) -> Hypothesis:
    """Follow the best class of each frame, (T, C); its one path has the probability given."""
    path = probabilities.argmax(axis=1)
    starts = np.flatnonzero(np.diff(path, prepend=BLANK) != 0)
    labels = tuple(int(label) for label in path[starts] if label != BLANK)
    return Hypothesis(labels, float(probabilities.max(axis=1).prod()))


def beam_search(
    probabilities: Probabilities, width: int = 8, floor: float = 1e-4
) -> list[Hypothesis]:
    """Search the most probable label sequences (prefix beam search, Hannun et al. 2014).

    Args:
        probabilities: (T, C).
        width: Prefixes kept after each frame.
        floor: Classes below this in a frame are left out of it.

    Returns:
        At most ``width`` sequences, most probable first. Exact when nothing was left out.
    """
    # Of each prefix, the probability of its paths that end in a blank and of those that do not.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for frame in probabilities:
        classes = [int(label) for label in np.flatnonzero(frame > floor) if label != BLANK]
        grown = _extend(beam, frame.tolist(), classes)
        possible = [item for item in grown.items() if sum(item[1]) > 0.0]
        beam = dict(sorted(possible, key=lambda item: -sum(item[1]))[:width])
    return [Hypothesis(labels, min(1.0, sum(ends))) for labels, ends in beam.items()]


def _extend(
    beam: dict[tuple[int, ...], tuple[float, float]], frame: list[float], classes: list[int]
) -> dict[tuple[int, ...], tuple[float, float]]:
    after_blank: defaultdict[tuple[int, ...], float] = defaultdict(float)
    after_label: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for prefix, (blank, label) in beam.items():
        last = prefix[-1] if prefix else BLANK
        after_blank[prefix] += (blank + label) * frame[BLANK]
        if prefix:
            after_label[prefix] += label * frame[last]
        for new in classes:
            # A repeat is a new label only after a blank.
            after_label[(*prefix, new)] += (blank if new == last else blank + label) * frame[new]
    return {
        prefix: (after_blank.get(prefix, 0.0), after_label.get(prefix, 0.0))
        for prefix in after_blank.keys() | after_label.keys()
    }


def sequence_probabilities(
    probabilities: Probabilities, sequences: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Return the probability of label sequences: the sum over all their paths, exact.

    The forward recursion of Graves et al. 2006, for all sequences and crops at once.

    Args:
        probabilities: (V, T, C), V crops.
        sequences: N sequences of classes without blanks.

    Returns:
        (V, N).
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int_)
    count, rows = 2 * int(lengths.max(initial=0)) + 1, np.arange(len(sequences))
    states = np.full((len(sequences), count), BLANK)
    for row, sequence in zip(states, sequences, strict=True):
        row[1 : 2 * len(sequence) : 2] = sequence
    # The blank between two different labels may be left out.
    skips = np.zeros(states.shape)
    skips[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    emissions = np.ascontiguousarray(probabilities[:, :, states].transpose(1, 0, 2, 3))
    paths = np.zeros(emissions.shape[1:])
    paths[..., :2] = emissions[0, ..., :2]
    for emission in emissions[1:]:
        grown = paths.copy()
        grown[..., 1:] += paths[..., :-1]
        grown[..., 2:] += skips[:, 2:] * paths[..., :-2]
        paths = grown * emission
    total: NDArray[np.float64] = paths[:, rows, 2 * lengths]
    return total + np.where(lengths > 0, paths[:, rows, 2 * lengths - 1], 0.0)


def label_scores(probabilities: Probabilities, labels: Sequence[int]) -> list[float]:
    """Return the confidence of each label: its best probability in the frames it is aligned to.

    The alignment is the most probable path of the labels (Viterbi).

    Args:
        probabilities: (T, C).
        labels: Classes without blanks.

    Raises:
        ValueError: There are too few frames for the labels.
    """
    if not labels:
        return []
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    path = _viterbi(np.log(np.maximum(probabilities[:, states], 1e-300)), states)
    frames = np.arange(len(path))
    return [
        float(probabilities[frames[path == state], states[state]].max())
        for state in range(1, len(states), 2)
    ]


def _viterbi(emissions: NDArray[np.float64], states: NDArray[np.int_]) -> NDArray[np.int_]:
    """Best state of each frame, (T,), for emissions (T, S) of labels with blanks between them."""
    count = len(states)
    # The blank between two different labels may be left out.
    skips = np.zeros(count, dtype=bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(count, -np.inf)
    score[:2] = emissions[0, :2]
    steps = np.zeros(emissions.shape, dtype=np.int_)
    for time in range(1, len(emissions)):
        options = np.full((3, count), -np.inf)
        options[0], options[1, 1:] = score, score[:-1]
        options[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        steps[time] = options.argmax(axis=0)
        score = options.max(axis=0) + emissions[time]
    state = count - 1 if score[-1] > score[-2] else count - 2
    if not np.isfinite(score[state]):
        raise ValueError(f"{len(emissions)} frames are too few for {count // 2} labels")
    path = np.empty(len(emissions), dtype=np.int_)
    for time in range(len(emissions) - 1, -1, -1):
        path[time] = state
        state -= int(steps[time, state])
    return path
