"""Reading under the grammars of the plate formats.

A reader says for each frame of a crop how probable each character is. The texts that the frames may
show are searched twice: freely, which the reader does, and under the grammars, by the same prefix
beam search, which keeps only what some format allows. Both kinds are then ranked by

    log P(frames | text) + GRAMMAR * log P(text) + LENGTH * |text|,

the shallow fusion of Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition
using bi-directional recurrent DNNs". P(text) is a mixture of the formats by their weight, each
giving all texts of a pattern the same share, and of free text, so that a personal or foreign plate
is never bent into a format that it does not have. Where a classifier says which region the picture
of a plate shows, its probabilities take the place of the weights. The same mixture tells the
region.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from platemark.models.card import Calibration
from platemark.plates.formats import UNKNOWN_REGION, PlateFormat, load_formats, normalise
from platemark.plates.notation import Shape
from platemark.tasks import ctc
from platemark.tasks.calibrate import calibrate
from platemark.types import Alternative, Character, Expectation, Frames, Reading, Region

# Fitted on readings of real plates that the reader had not seen, see docs/accuracy.md.
GRAMMAR, LENGTH = 0.5, 1.2
FREE_TEXT = 1e-3
# An expected text is there when its likelihood is so large a share of its and that of the best
# other text; it is not when the share is so small and the plate was read with so high a score.
MATCH, MISMATCH, CLEAR = 0.5, 1e-3, 0.8
# A country is told when so much of the probability of a text comes from its formats.
REGION = 0.9
# The picture of a plate may show a region that its classifier gives no share: so much of the
# formats' weights is mixed in, where texts are ranked and where a region is told.
USUAL_TEXT, USUAL_REGION = 0.2, 0.02
# How much the text counts for the region beside the picture: what a reader gets wrong is no chance
# text, but one of similar shapes.
TOLD = 0.7

# Of several photos, by how much one may speak against a text, and how much one counts at least.
OUTLIER, FAINT = 1e-6, 0.05

# How probably a character is read as another of like shape, and the other way round.
_CONFUSIONS = {
    0.2: ("O0", "I1"),
    0.03: ("ÄA", "ÖO", "ÜU"),
    0.005: ("B8", "S5", "Z2", "G6", "D0", "Q0", "QO", "DO", "1T", "T7", "1L", "1J"),
}
_FOLDED = str.maketrans("OI", "01")
_FREE_CHARACTERS = 36
_IMPOSSIBLE = 1e-12
_LEAST = 1e-300
_NO_LETTERS = Frames(np.ones((1, 1)), "")
_NO_COUNTRY = "XX"
# Where a text is this probable and has a format, no other can take its place.
_CERTAIN = 0.9999


@dataclass(frozen=True)
class _Fit:
    """A shape of a format, and the share of each of its texts in all texts of the format."""

    code: str
    share: float
    shape: Shape


class Grammar:
    """The patterns of plate formats as one automaton.

    A state is the set of places in all patterns that a text so far may have reached, a bit each
    (the Shift-And automaton of Baeza-Yates and Gonnet 1992); 0 when there is none.

    Args:
        formats: The formats, by code.
    """

    def __init__(self, formats: Mapping[str, PlateFormat]) -> None:
        self.formats = dict(formats)
        total = sum(known.weight for known in self.formats.values())
        self._prior = {code: known.weight / total for code, known in self.formats.items()}
        self._start, self.ruled, self._final = 0, 0, 0
        self._steps: defaultdict[str, int] = defaultdict(int)
        self._fits: dict[int, list[_Fit]] = {}
        bit = 0
        for places, fits in _by_places(self.formats).items():
            self._start |= 1 << bit
            if all(len({char.isdigit() for char in place}) == 1 for place in places):
                self.ruled |= 1 << bit
            for place in places:
                bit += 1
                for char in place:
                    self._steps[char] |= 1 << bit
            self._final |= 1 << bit
            self._fits[1 << bit] = fits
            bit += 1
        self.shares = lru_cache(maxsize=4096)(self._shares)

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, PlateFormat]]]:
        return type(self), (self.formats,)

    def step(self, state: int, char: str) -> int:
        """The state after one more character."""
        return (state << 1) & self._steps.get(char, 0)

    def _shares(self, text: str) -> Mapping[str, float]:
        """P(text | format) for each format that has a text, by code."""
        state = self._start
        for char in text:
            state = self.step(state, char)
        found: defaultdict[str, float] = defaultdict(float)
        ends = state & self._final
        while ends:
            last = ends & -ends
            ends ^= last
            for fit in self._fits[last]:
                if fit.shape.allows(text):
                    found[fit.code] += fit.share
        return found

    def matches(self, text: str) -> bool:
        """Whether a format that tells letters from digits has a text."""
        return any(self.formats[code].strict for code in self.shares(text))

    def prior(self, seen: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Probability of each format before its text is read, by code.

        Args:
            seen: Probability of each region that a classifier knows, from the picture of a plate;
                None for how usual the formats are.
        """
        if seen is None:
            return self._prior
        shown = self._shown(seen, USUAL_TEXT)
        total = sum(shown[code] for code in self.formats) or 1.0
        return {code: shown[code] / total for code in self.formats}

    def _shown(self, seen: Mapping[str, float], usual: float) -> dict[str, float]:
        """Probability of each region, also of formats that the classifier does not know: half of
        what it gives to none of its regions is theirs. ``usual`` is the part of the weights."""
        strange = [code for code in self.formats if code not in seen]
        weight = sum(self._prior[code] for code in strange)
        unknown = seen.get(UNKNOWN_REGION, 0.0) / 2
        shown = dict(seen)
        if strange:
            shown |= {code: unknown * self._prior[code] / weight for code in strange}
            shown[UNKNOWN_REGION] = unknown
        return {
            code: (1.0 - usual) * chance + usual * self._prior.get(code, 0.0)
            for code, chance in shown.items()
        }

    def log_prior(self, text: str, prior: Mapping[str, float] | None = None) -> float:
        """Log P(text) over all formats, with their `prior`, and free text."""
        formats = self._prior if prior is None else prior
        ruled = sum(formats[code] * share for code, share in self.shares(text).items())
        return math.log((1.0 - FREE_TEXT) * ruled + FREE_TEXT * _free(text))

    def share(self, code: str, text: str) -> float:
        """P(format | text)."""
        formats = self._prior.get(code, 0.0) * self.shares(text).get(code, 0.0)
        return (1.0 - FREE_TEXT) * formats / math.exp(self.log_prior(text))

    def region(self, text: str) -> Region | None:
        """The region that a text tells: the most probable of a country that has most of P(text)."""
        shares = {code: self.share(code, text) for code in self.shares(text)}
        countries: defaultdict[str, float] = defaultdict(float)
        for code, share in shares.items():
            countries[self.formats[code].country] += share
        country = max(countries, key=lambda name: countries[name], default=_NO_COUNTRY)
        if country == _NO_COUNTRY or countries[country] < REGION:
            return None
        own = [code for code in shares if self.formats[code].country == country]
        code = max(own, key=lambda code: shares[code])
        return Region(code, shares[code])

    def region_seen(self, texts: Mapping[str, float], seen: Mapping[str, float]) -> Region:
        """The region that picture and text tell together: the top one of the most probable country.

        Args:
            texts: Probability of each text that the plate may show. What is left is that of any
                other, which says nothing of the region.
            seen: As for `prior`.

        Returns:
            A code of the formats or of ``seen``, with its probability.
        """
        chances = self._shown(seen, USUAL_REGION)
        other = max(0.0, 1.0 - sum(texts.values()))
        for code in chances:
            told = other
            for text, score in texts.items():
                ruled = self.shares(text).get(code, 0.0) / _free(text)
                told += score * (ruled**TOLD if code in self.formats else 1.0)
            chances[code] *= told
        total = sum(chances.values())
        names = {code: self._country(code) for code in chances}
        countries: defaultdict[str, float] = defaultdict(float)
        for code, chance in chances.items():
            countries[names[code]] += chance / total
        country = max(countries, key=lambda name: countries[name])
        if country == UNKNOWN_REGION:
            return Region(UNKNOWN_REGION, min(1.0, countries[country]))
        own = [code for code in chances if names[code] == country]
        code = max(own, key=lambda code: chances[code])
        return Region(code, min(1.0, chances[code] / total))

    def _country(self, code: str) -> str:
        """Country of a region code; its code where no country issues such plates."""
        known = self.formats.get(code)
        if known is None or (known.country == _NO_COUNTRY and known.strict):
            return code
        return UNKNOWN_REGION if known.country == _NO_COUNTRY else known.country

    def search(self, frames: Frames, width: int = 16, floor: float = 1e-3) -> list[str]:
        """Search the texts that some format with ruled places allows, by prefix beam search.

        Args:
            frames: What a reader saw.
            width: Beginnings of texts kept after each frame.
            floor: Characters below this in a frame are left out of it.

        Returns:
            At most ``width`` texts, most probable first; all there are when nothing was left out.
        """
        beam = {"": (1.0, 0.0, self.ruled)}
        at = {char: column for column, char in enumerate(frames.alphabet, start=1)}
        for frame in frames.probabilities.tolist():
            classes = [(char, frame[i]) for char, i in at.items() if frame[i] > floor]
            # Of each text, the probability of its paths that end in a blank, of those that do not,
            # and its state; see `ctc.beam_search`, which this follows.
            grown: dict[str, list[float]] = {}
            states = {text: state for text, (_, _, state) in beam.items()}
            for text, (blank, char, state) in beam.items():
                last, total = text[-1:], blank + char
                ends = grown.setdefault(text, [0.0, 0.0])
                ends[0] += total * frame[ctc.BLANK]
                if last:
                    ends[1] += char * frame[at[last]]
                for new, probability in classes:
                    longer = text + new
                    if longer not in states:
                        states[longer] = self.step(state, new)
                    if states[longer]:
                        ends = grown.setdefault(longer, [0.0, 0.0])
                        ends[1] += (blank if new == last else total) * probability
            ranked = sorted((-ends[0] - ends[1], text) for text, ends in grown.items())[:width]
            beam = {
                text: (grown[text][0], grown[text][1], states[text])
                for total, text in ranked
                if total < 0.0
            }
        ends_well = (text for text, (_, _, state) in beam.items() if state & self._final)
        return [text for text in ends_well if self.shares(text)]


def _by_places(
    formats: Mapping[str, PlateFormat],
) -> dict[tuple[frozenset[str], ...], list[_Fit]]:
    found: defaultdict[tuple[frozenset[str], ...], list[_Fit]] = defaultdict(list)
    for code, known in formats.items():
        # Patterns are listed most usual first: Zipf's law.
        usual = [1.0 / rank for rank in range(1, len(known.shapes) + 1)]
        for weight, shapes in zip(usual, known.shapes, strict=True):
            for shape in shapes:
                share = weight / sum(usual) / len(shapes) / shape.count
                found[shape.places].append(_Fit(code, share, shape))
    return found


def _free(text: str) -> float:
    """P(text) where any character may stand anywhere."""
    return float(_FREE_CHARACTERS ** -len(text))


@lru_cache(maxsize=8)
def _confusion(alphabet: str) -> NDArray[np.float64]:
    """How probably a character that is read as one (row) is another of like shape (column)."""
    at = {char: column for column, char in enumerate(alphabet, start=1)}
    matrix = np.eye(len(alphabet) + 1)
    for share, pairs in _CONFUSIONS.items():
        for pair in pairs:
            for read, shown in ((pair[0], pair[1]), (pair[1], pair[0])):
                if read in at and shown in at:
                    matrix[at[read], at[shown]] += share
                    matrix[at[read], at[read]] -= share
    return matrix


def blurred(frames: Frames) -> Frames:
    """Frames in which a character may be one of like shape too, which the reader took it for."""
    return Frames(frames.probabilities @ _confusion(frames.alphabet), frames.alphabet)


def likelihoods(frames: Sequence[Frames], texts: Sequence[str]) -> NDArray[np.float64]:
    """P(frames | text) for each of some crops and texts, (V, N).

    Args:
        frames: Of one crop each, all with the same alphabet.
        texts: Texts of letters of the alphabet.
    """
    alphabet = frames[0].alphabet
    labels = [[1 + alphabet.index(char) for char in text] for text in texts]
    crops = np.zeros((len(frames), max(len(f.probabilities) for f in frames), 1 + len(alphabet)))
    # A blank after the last frame changes no text.
    crops[:, :, ctc.BLANK] = 1.0
    for crop, one in zip(crops, frames, strict=True):
        crop[: len(one.probabilities)] = one.probabilities
    return ctc.sequence_probabilities(crops, labels)


@dataclass(frozen=True)
class PlateDecoder:
    """Decides what a plate says, and its region, from what readers read and plate formats allow.

    Args:
        formats: The formats to expect, by code; by default all packaged ones.
        default: The region to give where the text tells none.
        alternatives: Other texts to give at most.
        calibration: How shares become probabilities, fitted by ``evaluate plates --calibrate``.
    """

    formats: Mapping[str, PlateFormat] = field(default_factory=load_formats)
    default: str | None = None
    alternatives: int = 4
    calibration: Calibration = field(default_factory=Calibration)

    @cached_property
    def grammar(self) -> Grammar:
        """The patterns of the formats."""
        return Grammar(self.formats)

    def __call__(
        self,
        readings: Sequence[Reading],
        seen: Mapping[str, float] | None = None,
        hidden: float = 0.0,
    ) -> Reading:
        """Decide what one plate says.

        Args:
            readings: At least one reading of the plate, of different crops. A reader that gives no
                frames has its texts and alternatives weighed alone.
            seen: Probability of each region from the picture of the plate, as a classifier says;
                None where the text alone is to tell it.
            hidden: Probability that a part of the text is hidden, as a classifier says. What was
                read tells less of the region then.

        Returns:
            A reading with region, whose score and alternatives are probabilities of the texts.
        """
        first = readings[0]
        if first.text and first.score > _CERTAIN and self.grammar.matches(first.text):
            others = first.alternatives[: self.alternatives]
            return self._told(replace(first, alternatives=others), seen, hidden)
        frames = tuple(frame for reading in readings for frame in reading.frames)
        shown = [blurred(frame) for frame in frames]
        texts = self._candidates(readings, shown)
        if not texts:
            return self._told(replace(first, frames=frames), seen, hidden)
        chances = likelihoods(shown, texts).mean(axis=0) if shown else _scores(readings, texts)
        logs, mass = np.log(np.maximum(chances, _LEAST)), float(chances.sum())
        ranked = self._ranked(texts, logs, mass, self.grammar.prior(seen))
        return self._told(self._reading(ranked, readings, shown, frames), seen, hidden)

    def merge(self, photos: Sequence[Reading]) -> Reading:
        """Decide what a plate says that several photos show.

        Of each text that one of the photos may show, the logarithms of its likelihoods in all are
        added up, each the sum over all alignments of the text with the frames of a photo. A photo
        counts by the square of the mean score of its characters, and speaks against a text by the
        factor `OUTLIER` at most.

        Args:
            photos: What this decoder said of the plate in each photo, at least one. Readings
                without frames are weighed by the scores of their texts alone.

        Returns:
            A reading with the frames of all; of one photo, its own. Where the text tells no region
            it is that of the photo with the highest score that has the same text.
        """
        if len(photos) == 1:
            return photos[0]
        shown = [[blurred(frames) for frames in photo.frames] for photo in photos]
        every = list(chain.from_iterable(shown))
        frames = tuple(frame for photo in photos for frame in photo.frames)
        texts = self._candidates(photos, every)
        if not texts:
            return replace(photos[0], frames=frames)
        logs, mass = np.zeros(len(texts)), 0.0
        for photo, views in zip(photos, shown, strict=True):
            chances = likelihoods(views, texts).mean(axis=0) if views else _scores([photo], texts)
            logs += _weight(photo) * np.log(chances + max(OUTLIER * chances.max(), _LEAST))
            # A text that is none of these would have to be in every photo.
            mass = max(mass, float(chances.sum()))
        ranked = self._ranked(texts, logs, mass, self.grammar.prior())
        merged = self._told(self._reading(ranked, photos, every, frames), None)
        alike = [photo for photo in photos if photo.text == merged.text and photo.region]
        if merged.region is not None or not alike:
            return merged
        return replace(merged, region=max(alike, key=lambda photo: photo.score).region)

    def verify(self, readings: Sequence[Reading], text: str) -> Expectation:
        """Say whether one of some plates shows a text that was expected.

        The likelihood of the text is weighed against that of the best other one, in which O and 0,
        I and 1 count as one character; formats say nothing here.

        Args:
            readings: What this decoder said of the plates.
            text: The text; case, spaces, dashes and Cyrillic homoglyphs do not matter.

        Raises:
            ValueError: It has neither letters nor digits.
        """
        wanted = normalise(text)
        if not wanted:
            raise ValueError(f"the expected text {text!r} has neither letters nor digits")
        scores = [self.support(reading, wanted) for reading in readings]
        clear = (
            score <= MISMATCH and reading.score >= CLEAR and _legible(reading, wanted)
            for score, reading in zip(scores, readings, strict=True)
        )
        best = max(scores, default=0.0)
        verdict = "match" if best >= MATCH else "mismatch" if readings and all(clear) else "unsure"
        return Expectation(wanted, verdict, best)

    def support(self, reading: Reading, wanted: str) -> float:
        """The likelihood of a text in a photo as a share of its and that of the best other text.

        Args:
            reading: What this decoder said of the plate in the photo.
            wanted: The text, upper case without separators.
        """
        texts = [reading.text, *(other.text for other in reading.alternatives)]
        folded = wanted.translate(_FOLDED)
        others = [text for text in texts if text and text.translate(_FOLDED) != folded]
        seen = [blurred(frames) for frames in reading.frames]
        if seen and not _legible(reading, wanted):
            return 0.0
        asked = [wanted, *others]
        chances = likelihoods(seen, asked).mean(axis=0) if seen else _scores([reading], asked)
        return float(chances[0] / max(chances[0] + chances[1:].max(initial=0.0), _IMPOSSIBLE))

    @cached_property
    def _narrowed(self) -> bool:
        """Whether plates of some packaged formats are not expected."""
        return not load_formats().keys() <= self.formats.keys()

    def _told(
        self, reading: Reading, seen: Mapping[str, float] | None, hidden: float = 0.0
    ) -> Reading:
        text = reading.text or ""
        region = self.grammar.region(text) if seen is None else self._seen(reading, seen, hidden)
        if region is None and self.default is not None:
            region = Region(self.default, self.grammar.share(self.default, text))
        return replace(reading, region=region, matches_format=self.grammar.matches(text))

    def _seen(self, reading: Reading, seen: Mapping[str, float], hidden: float) -> Region | None:
        """The region of a plate whose picture was classified; None where it is not expected, or
        unknown and another one is the default."""
        texts = {other.text: other.score for other in reading.alternatives}
        if reading.text:
            texts[reading.text] = reading.score
        texts = {text: (1.0 - hidden) * score for text, score in texts.items()}
        region = self.grammar.region_seen(texts, seen)
        if region.code in self.formats:
            return region
        unknown = region.code == UNKNOWN_REGION and self.default is not None
        return None if self._narrowed or unknown else region

    def _candidates(self, readings: Iterable[Reading], seen: Iterable[Frames]) -> list[str]:
        free = (
            text
            for reading in readings
            for text in (reading.text, *(other.text for other in reading.alternatives))
        )
        ruled = (text for frames in seen for text in self.grammar.search(frames))
        return list(dict.fromkeys(text for text in (*free, *ruled) if text))

    def _reading(
        self,
        ranked: Sequence[tuple[str, float]],
        readings: Sequence[Reading],
        shown: Sequence[Frames],
        frames: tuple[Frames, ...],
    ) -> Reading:
        text, score = ranked[0]
        others = tuple(Alternative(*other) for other in ranked[1 : 1 + self.alternatives])
        return Reading(text, score, _characters(text, readings, shown), others, frames=frames)

    def _ranked(
        self,
        texts: Sequence[str],
        logs: NDArray[np.float64],
        mass: float,
        prior: Mapping[str, float],
    ) -> list[tuple[str, float]]:
        """Texts with their share of the probability, highest first.

        Args:
            texts: The texts.
            logs: (N,) logarithms of their likelihoods.
            mass: What they have of all probability.
            prior: See `Grammar.prior`.
        """
        priors = np.array([self.grammar.log_prior(text, prior) for text in texts])
        lengths = np.array([len(text) for text in texts])
        weights = logs + GRAMMAR * priors + LENGTH * lengths
        shares = np.exp(weights - weights.max())
        # What the frames may show besides these texts is not theirs.
        shares *= min(1.0, mass) / shares.sum()
        order = np.argsort(-shares, kind="stable")
        best = float(shares[order[0]])
        score = float(calibrate(best, self.calibration))
        # What calibration takes from the best text goes to the others in proportion.
        rest = (1.0 - score) / max(1.0 - best, 1e-9)
        others = [(texts[i], min(1.0, float(shares[i]) * rest)) for i in order[1:]]
        return [(texts[order[0]], score), *others]


def _legible(reading: Reading, wanted: str) -> bool:
    """Whether the reader gives frames and knows the letters of a text."""
    return all(set(wanted) <= set(frames.alphabet) for frames in reading.frames or [_NO_LETTERS])


def _scores(readings: Sequence[Reading], texts: Sequence[str]) -> NDArray[np.float64]:
    scores: defaultdict[str, float] = defaultdict(float)
    for reading in readings:
        if reading.text:
            scores[reading.text] += reading.score / len(readings)
        for other in reading.alternatives:
            scores[other.text] += other.score / len(readings)
    return np.array([scores[text] for text in texts])


def _weight(photo: Reading) -> float:
    """How much a photo counts among several."""
    scores = [character.score for character in photo.characters]
    return max(FAINT, float(np.mean(scores)) ** 2 if scores else 0.0)


def _characters(
    text: str, readings: Sequence[Reading], seen: Sequence[Frames]
) -> tuple[Character, ...]:
    """The characters of a text with the scores of the crop that shows them best."""
    shown = [reading for reading in readings if reading.text == text and reading.characters]
    if shown:
        return max(shown, key=lambda reading: reading.score).characters
    if not seen:
        return tuple(Character(char, 0.0) for char in text)
    frames = seen[int(likelihoods(seen, [text])[:, 0].argmax())]
    labels = [1 + frames.alphabet.index(char) for char in text]
    scores = ctc.label_scores(frames.probabilities, labels)
    return tuple(Character(char, min(1.0, score)) for char, score in zip(text, scores, strict=True))
