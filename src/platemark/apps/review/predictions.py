"""What the model finds in the images under review, one after the other in the background."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from platemark.apps.review.agreement import certainty
from platemark.datasets.manifest import Annotation, PlateAnnotation, StampAnnotation
from platemark.datasets.review import ReviewStore
from platemark.errors import PlatemarkError
from platemark.geometry import is_convex
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.stamps.pipeline import whole_picture
from platemark.types import Mark, PlateMark, StampMark


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model found in an image.

    Attributes:
        marks: As annotations.
        scores: Probability of each that it is a mark, and that its text is right.
        certainty: Probability, by the model, that the annotation is right; see `certainty`.
        error: Why the image cannot be shown to it, None where it can.
    """

    marks: tuple[Annotation, ...]
    scores: tuple[tuple[float, float], ...]
    certainty: float
    error: PlatemarkError | None = None


class Predictions:
    """Runs the model on all images of a store, those first that somebody waits for.

    Args:
        store: The images.
        load: Loads the model; None for none.
    """

    def __init__(self, store: ReviewStore, load: Callable[[], Pipeline[Any]] | None) -> None:
        self._store, self._load = store, load
        self._known: dict[str, Prediction] = {}
        self._urgent: deque[str] = deque()
        self._changed = threading.Condition()
        self._stopped = load is None
        self.trouble: PlatemarkError | None = None
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)

    def start(self) -> None:
        """Begin."""
        if not self._stopped:
            self._thread.start()

    def stop(self) -> None:
        """End after the image that is being done."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def done(self) -> int:
        """For how many images it is known."""
        return len(self._known)

    @property
    def running(self) -> bool:
        """Whether there is more to come."""
        return not self._stopped

    def known(self, image: str) -> Prediction | None:
        """The prediction of an image, None where there is none yet."""
        return self._known.get(image)

    def wait(self, image: str, seconds: float) -> Prediction | None:
        """The prediction of an image, which is done next; None where that takes longer."""
        with self._changed:
            if image not in self._known and not self._stopped:
                self._urgent.append(image)
                self._changed.wait_for(lambda: image in self._known or self._stopped, seconds)
        return self._known.get(image)

    def _run(self) -> None:
        assert self._load is not None
        try:
            pipeline = self._load()
            for image in self._order():
                made = self._predict(pipeline, image)
                with self._changed:
                    self._known[image] = made
                    self._changed.notify_all()
        except PlatemarkError as error:
            self.trouble = error
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _order(self) -> Iterator[str]:
        """All images, each once: those that are waited for, then those to review, then others."""
        ids = self._store.ids
        todo = [image for image in ids if self._store.status(image) in ("todo", "edited")]
        left = deque([*todo, *(image for image in ids if image not in set(todo))])
        while (left or self._urgent) and not self._stopped:
            with self._changed:
                image = self._urgent.popleft() if self._urgent else left.popleft()
            if image not in self._known:
                yield image

    def _predict(self, pipeline: Pipeline[Any], image: str) -> Prediction:
        try:
            now = self._store.get(image)
            entry = now.revision.entry
            if entry.kind != "scene":
                pipeline = _of_crops(pipeline, self._store.kind)
            found: Sequence[Mark] = pipeline.marks(Image.read(now.path))
        except PlatemarkError as error:
            return Prediction((), (), 1.0, error)
        marks = tuple(map(as_annotation, found))
        scores = tuple((mark.score, mark.text_score) for mark in found)
        listed = marks_of(entry, self._store.kind) if now.annotated else None
        return Prediction(marks, scores, certainty(found, listed))


def marks_of(entry: Any, kind: str) -> tuple[Annotation, ...]:
    """The marks of one kind in a manifest entry."""
    marks: tuple[Annotation, ...] = entry.plates if kind == "plate" else entry.stamps
    return marks


def as_annotation(mark: Mark) -> Annotation:
    """What a model found, as somebody would annotate it; places to a tenth of a pixel."""
    if isinstance(mark, PlateMark):
        plate = {
            "region": None if mark.region is None else mark.region.code,
            "lines": mark.lines,
            "obscured": None if mark.obscured is None else mark.obscured.value,
        }
        return PlateAnnotation.model_validate(_common(mark) | plate)
    identity = mark.identity.name if mark.identity and mark.identity.accepted else None
    stamp = {
        "shape": mark.shape,
        "color": mark.color,
        "rotation": None if mark.rotation is None else round(mark.rotation, 1),
        "identity": identity,
        "lines": [{"text": line.text, "path": line.path} for line in mark.lines if line.text],
    }
    return StampAnnotation.model_validate(_common(mark) | stamp)


def _common(mark: PlateMark | StampMark) -> dict[str, Any]:
    quad = [[round(value, 1) for value in corner] for corner in mark.quad]
    return {
        "box": [round(value, 1) for value in mark.box],
        "quad": quad if is_convex(quad) else None,
        "text": mark.text,
    }


def _of_crops(pipeline: Pipeline[Any], kind: str) -> Pipeline[Any]:
    """The pipeline for pictures that are one mark each."""
    if kind == "plate":
        cropped: Pipeline[Any] = pipeline.cropped()  # type: ignore[attr-defined]
        return cropped
    return pipeline.with_parts(detector=whole_picture, verifier=None)
