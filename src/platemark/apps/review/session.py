"""A review while it runs: what is shown of an image, who has it open, and which comes next."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import combinations
from time import monotonic
from typing import Any

from pydantic import ValidationError

from platemark.apps.review.agreement import Agreement
from platemark.apps.review.predictions import Prediction, Predictions, marks_of
from platemark.datasets.manifest import Annotation, ManifestEntry, first_fault, plate_text
from platemark.datasets.review import Action, Proposal, ReviewImage, ReviewStore, Revision
from platemark.errors import InvalidRequest, MissingImage, PlatemarkError
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.plates.formats import load_formats
from platemark.types.stamps import INK_COLORS, STAMP_SHAPES

SHOWN = ("todo", "accepted", "rejected", "conflict", "missing", "all")
"""Choices of images for the list."""

# An image is somebody's for so long after it was last asked for, seconds.
_HELD = 30.0
# The manifest is written so much later than the correction at most, and takes a small share of the
# time however large it is.
_PAUSE, _SHARE = 0.5, 10.0
# Who opens an image waits so long for what the model says of it.
_PATIENCE = 4.0
_LATER = 2.0  # above every certainty


class Review:
    """A review of a store with a model; may be used by all threads.

    Args:
        store: The images and their revisions.
        load: Loads the model that pre-annotates; None for none.
        annotator: Who corrects, where the browser does not say.
    """

    def __init__(
        self,
        store: ReviewStore,
        load: Callable[[], Pipeline[Any]] | None,
        annotator: str = "somebody",
    ) -> None:
        self.store, self.annotator = store, annotator
        self.predictions = Predictions(store, load)
        self._opened: dict[str, dict[str, float]] = {}
        self._compared: dict[str, tuple[int, Agreement]] = {}
        self._trouble: PlatemarkError | None = None
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write, name="manifest", daemon=True)

    def start(self) -> None:
        """Begin to predict, and to keep the manifest up to date."""
        self._writer.start()
        self.predictions.start()

    def close(self) -> None:
        """End; the manifest is written once more."""
        self._closing.set()
        self.predictions.stop()
        if self._writer.is_alive():
            self._writer.join()
        self.store.close()

    def _write(self) -> None:
        pause = _PAUSE
        while not self._closing.wait(pause):
            start = monotonic()
            try:
                self.store.write_manifest()
                self._trouble = None
            except PlatemarkError as error:
                self._trouble = error
            pause = max(_PAUSE, _SHARE * (monotonic() - start))

    def setup(self) -> dict[str, Any]:
        """What does not change while it runs."""
        formats = load_formats().values()
        place = str(self.store.manifest.resolve())
        return {
            "id": sha256(place.encode()).hexdigest()[:16],
            "dataset": self.store.manifest.parent.resolve().name,
            "manifest": self.store.manifest.name,
            "kind": self.store.kind,
            "annotator": self.annotator,
            "regions": [{"code": one.code, "name": one.name} for one in formats],
            "shapes": STAMP_SHAPES,
            "colors": INK_COLORS,
        }

    def state(self, image: str | None, annotator: str) -> dict[str, Any]:
        """How far it has come, and what is new of the image that somebody has open."""
        store, counts = self.store, Counter[str]()
        waiting = 0
        for one in store.ids:
            counts[store.status(one)] += 1
            waiting += store.waiting(one) > 0
        troubles = [error.message for error in (self._trouble, self.predictions.trouble) if error]
        model, people, by = self._agreements()
        return {
            "total": len(store.ids),
            "counts": {key: counts[key] for key in ("todo", "edited", "accepted", "rejected")},
            "conflicts": waiting,
            "predicted": self.predictions.done,
            "predicting": self.predictions.running,
            "troubles": troubles,
            "annotators": by,
            "agreement": {"model": model.to_dict(), "people": people.to_dict()},
            "open": None if image is None else self._glance(image, annotator),
        }

    def _glance(self, image: str, annotator: str) -> dict[str, Any]:
        self._hold(image, annotator)
        now = self.store.get(image)
        return {
            "id": image,
            "version": now.revision.version,
            "predicted": self.predictions.known(image) is not None,
            "proposals": len(now.proposals),
            "others": self._others(image, annotator),
        }

    def listed(self, show: str, offset: int, limit: int) -> dict[str, Any]:
        """A part of the list of images, least certain first.

        Args:
            show: One of `SHOWN`.
            offset: How many to leave out at first.
            limit: How many to give at most.
        """
        chosen = [image for image in self._by_certainty(self.store.ids) if self._shows(show, image)]
        part = chosen[offset : offset + limit]
        return {"total": len(chosen), "images": [self._row(image) for image in part]}

    def next(self, annotator: str, seen: Collection[str], current: str | None) -> str | None:
        """The image of least confidence to review that no other annotator has open.

        Args:
            annotator: Who asks.
            seen: Images that come again only when no other is left.
            current: The image that is open.
        """
        todo = [
            image
            for image in self.store.ids
            if image != current
            and self.store.status(image) in ("todo", "edited")
            and not self._others(image, annotator)
        ]
        for choice in ([one for one in todo if one not in seen], todo):
            for image in self._by_certainty(choice):
                if self.store.path(image).is_file():
                    return image
        return None

    def show(self, image: str, annotator: str) -> dict[str, Any]:
        """All that is known of an image; one that cannot be read has an ``error``."""
        self._hold(image, annotator)
        common = {
            "id": image,
            "image": self.store.name(image),
            "others": self._others(image, annotator),
        }
        try:
            if not self.store.path(image).is_file():
                raise MissingImage(
                    "the image is not there; correct its name in the manifest, or put it there",
                    file=self.store.path(image),
                )
            now = self.store.get(image)
            prediction = self.predictions.wait(image, _PATIENCE)
            if prediction is not None and prediction.error is not None:
                raise prediction.error
        except PlatemarkError as error:
            return {**common, "status": self.store.status(image), "error": error.to_dict()}
        return common | self._told(now, prediction)

    def picture(self, image: str) -> Image:
        """The picture of an image.

        Raises:
            MissingImage: There is no image with this id.
            InputError: It cannot be read.
        """
        return Image.read(self.store.path(image))

    def change(
        self,
        image: str,
        *,
        base: int,
        annotator: str,
        action: Action,
        marks: Sequence[Mapping[str, Any]],
        ignore: Sequence[Sequence[float]] | None,
        resolves: Sequence[int],
    ) -> dict[str, Any]:
        """Keep a change; see `ReviewStore.save`.

        Raises:
            InvalidRequest: The marks are not as the manifest has them, or there is no such version.
            EditConflict: Somebody else was quicker.
            MissingImage: There is no image with this id.
            DatasetError: It could not be kept.
        """
        before = next((one for one in self.store.history(image) if one.version == base), None)
        if before is None:
            raise InvalidRequest(f"the image has no version {base}; load it once more")
        entry = self._entry(before.entry, marks, ignore)
        saved = self.store.save(
            image, entry, base=base, annotator=annotator, action=action, resolves=resolves
        )
        return self._saved(saved)

    def step(self, image: str, action: Action, base: int, annotator: str) -> dict[str, Any]:
        """Undo or redo; see `ReviewStore.undo`."""
        step = self.store.undo if action == "undo" else self.store.redo
        return self._saved(step(image, base=base, annotator=annotator))

    def discard(self, image: str, number: int, annotator: str) -> dict[str, Any]:
        """Settle a proposal in favour of what counts."""
        return self._saved(self.store.discard(image, number, annotator=annotator))

    def revisions(self, image: str) -> list[dict[str, Any]]:
        """All revisions of an image, oldest first."""
        return [self._revision(one) for one in self.store.history(image)]

    def _entry(
        self,
        before: ManifestEntry,
        marks: Sequence[Mapping[str, Any]],
        ignore: Sequence[Sequence[float]] | None,
    ) -> ManifestEntry:
        said: dict[str, Any] = before.model_dump(mode="json", exclude_unset=True)
        said[f"{self.store.kind}s"] = [self._mark(mark) for mark in marks]
        if ignore is not None and (ignore or before.ignore):
            said["ignore"] = ignore
        try:
            return ManifestEntry.model_validate(said)
        except ValidationError as error:
            raise InvalidRequest("{}: {}".format(*first_fault(error))) from error

    def _mark(self, mark: Mapping[str, Any]) -> Mapping[str, Any]:
        text = mark.get("text")
        if not isinstance(text, str):
            return mark
        plain = plate_text(text) if self.store.kind == "plate" else text.strip() or None
        return {**mark, "text": plain}

    def _saved(self, now: ReviewImage) -> dict[str, Any]:
        return {"id": now.id} | self._told(now, self.predictions.known(now.id))

    def _told(self, now: ReviewImage, prediction: Prediction | None) -> dict[str, Any]:
        entry = now.revision.entry
        told: dict[str, Any] = {
            **self._revision(now.revision),
            "width": entry.width,
            "height": entry.height,
            "split": entry.split,
            "can_undo": now.can_undo,
            "can_redo": now.can_redo,
            "proposals": [self._proposal(one) for one in now.proposals],
            "prediction": None,
            "suggested": False,
        }
        if prediction is not None:
            marks = _dumped(prediction.marks)
            scores = [{"score": a, "text_score": b} for a, b in prediction.scores]
            told["prediction"] = {
                "marks": marks,
                "scores": scores,
                "certainty": round(prediction.certainty, 4),
            }
            if not now.annotated:
                told |= {"marks": marks, "suggested": True}
        return told

    def _revision(self, one: Revision) -> dict[str, Any]:
        return {
            "version": one.version,
            "action": one.action,
            "status": one.status,
            "annotator": one.annotator,
            "at": one.at,
            **self._content(one.entry),
        }

    def _proposal(self, one: Proposal) -> dict[str, Any]:
        return {
            "number": one.number,
            "base": one.base,
            "action": one.action,
            "annotator": one.annotator,
            "at": one.at,
            **self._content(one.entry),
        }

    def _content(self, entry: ManifestEntry) -> dict[str, Any]:
        marks = _dumped(marks_of(entry, self.store.kind))
        return {"marks": marks, "ignore": [list(box) for box in entry.ignore]}

    def _row(self, image: str) -> dict[str, Any]:
        known = self.predictions.known(image)
        return {
            "id": image,
            "image": self.store.name(image),
            "status": self.store.status(image),
            "certainty": None if known is None else round(known.certainty, 4),
            "conflict": self.store.waiting(image) > 0,
            "missing": not self.store.path(image).is_file(),
        }

    def _shows(self, show: str, image: str) -> bool:
        if show == "all":
            return True
        if show == "conflict":
            return self.store.waiting(image) > 0
        if show == "missing":
            known = self.predictions.known(image)
            unread = known is not None and known.error is not None
            return unread or not self.store.path(image).is_file()
        status = self.store.status(image)
        return status in ("todo", "edited") if show == "todo" else status == show

    def _by_certainty(self, images: Collection[str]) -> list[str]:
        def key(image: str) -> float:
            known = self.predictions.known(image)
            return _LATER if known is None else known.certainty

        return sorted(images, key=key)

    def _hold(self, image: str, annotator: str) -> None:
        self.store.name(image)
        self._opened.setdefault(image, {})[annotator] = monotonic()

    def _others(self, image: str, annotator: str) -> list[str]:
        least = monotonic() - _HELD
        held = list(self._opened.get(image, {}).items())
        return [name for name, at in held if at > least and name != annotator]

    def _agreements(self) -> tuple[Agreement, Agreement, dict[str, int]]:
        """Model and corrections; annotators among each other; images corrected by each of them."""
        model, people, by = Agreement(), Agreement(), Counter[str]()
        for image in self.store.ids:
            if self.store.status(image) == "todo" and not self.store.corrected(image):
                continue
            with suppress(PlatemarkError):
                last = self._last_of_each(self.store.history(image))
                by.update(last.keys())
                for first, second in combinations(last.values(), 2):
                    people += Agreement.of(first, second)
                if self.store.status(image) == "accepted":
                    model += self._with_model(image)
        return model, people, dict(by.most_common())

    def _last_of_each(self, revisions: Sequence[Revision]) -> dict[str, tuple[Annotation, ...]]:
        """What each annotator made of an image at last."""
        return {
            one.annotator: marks_of(one.entry, self.store.kind)
            for one in revisions
            if one.annotator is not None
        }

    def _with_model(self, image: str) -> Agreement:
        prediction, revision = self.predictions.known(image), self.store.get(image).revision
        if prediction is None or prediction.error is not None:
            return Agreement()
        version, known = self._compared.get(image, (-1, Agreement()))
        if version != revision.version:
            known = Agreement.of(prediction.marks, marks_of(revision.entry, self.store.kind))
            self._compared[image] = (revision.version, known)
        return known


def _dumped(marks: Sequence[Annotation]) -> list[dict[str, Any]]:
    return [mark.model_dump(mode="json") for mark in marks]
