"""The registry of known stamps: all its rules, whatever keeps its rows and vectors."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

from platemark.errors import (
    DesignNotFound,
    DuplicateDesign,
    InvalidDesign,
    NoStampFound,
    VectorMismatch,
)
from platemark.masks import InkCrop
from platemark.matching import InkTemplate
from platemark.protocols import Compares
from platemark.registry import archive, pictures
from platemark.registry.calibration import FALSE_ACCEPTS, Calibration, calibration_of
from platemark.registry.identify import Templates, match_designs, nearest_designs, rank
from platemark.registry.opening import open_store
from platemark.registry.records import (
    Added,
    Candidate,
    Design,
    Lookalike,
    Sample,
    StoredSample,
    check_name,
    check_notes,
    check_owner,
    check_tags,
    is_id,
    kept_text,
    new_id,
    now,
    writable,
)
from platemark.registry.reindex import (
    EmbedInk,
    Progress,
    ReadInk,
    replace_texts,
    replace_vectors,
)
from platemark.registry.store import DesignFilter, Hit, Store
from platemark.tasks.comparer import bundled_comparer, match_ink
from platemark.types import Embedding, StampMark

Duplicates = Literal["warn", "refuse", "allow"]
"""What to do with a stamp that seems to be one that has another name: add it and say so, do not add
it, or do not check."""

RERANKED = 5
"""Designs whose ink is compared with that of an imprint, the most similar ones."""

# Name of the setting that keeps the thresholds.
_CALIBRATION = "calibration"
# Samples that resemble another design are reported up to this number.
_LOOKALIKES = 10

_MISMATCH = (
    "the registry has vectors of {own}, not of {other}; recompute them with that model: "
    "platemark registry reindex"
)


class Registry:
    """Known stamps: designs with a name, and samples of their imprints; may be shared by threads.

    A design is named by its id or by its name wherever one is asked for. What a method says it did
    is kept, also if the process is killed at once; what fails leaves everything as it was.

    Args:
        store: Where rows and vectors are kept.
        calibration: Thresholds for acceptance; by default those of `calibrate`, or bundled.
        comparer: Compares the ink of an imprint with that of samples; by default the bundled one.

    Attributes:
        aside: Entered around every change, which may have to wait for those of others; a server
            lets the worker do other things meanwhile.
    """

    def __init__(
        self,
        store: Store,
        calibration: Calibration | None = None,
        comparer: Compares | None = None,
    ) -> None:
        self._store, self._calibration = store, calibration
        self._comparer: Compares = comparer or match_ink
        self._templates = Templates()
        self._opened: Callable[[], Self] | None = None
        self.aside: Callable[[], AbstractContextManager[object]] = nullcontext

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        create: bool = True,
        calibration: Calibration | None = None,
        comparer: Compares | None = None,
    ) -> Self:
        """Open a registry.

        Args:
            url: A SQLite file, also as ``sqlite:///path``; or ``postgresql://...``.
            create: Make a file that does not exist.
            calibration: Thresholds for acceptance; by default those of `calibrate`, or bundled.
            comparer: Compares the ink of an imprint with that of samples; by default the bundled
                one.

        Raises:
            RegistryUnavailable: The file does not exist, or the server does not answer.
            RegistryError: It is no registry, one of a newer version, or the URL is not known.
            MissingExtra: The library for the server is not installed.
        """
        opened = cls(open_store(os.fspath(url), create), calibration, comparer)
        opened._opened = partial(cls.open, url, calibration=calibration, comparer=comparer)
        return opened

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        """Pickle how it was opened, so that another process opens it again.

        Raises:
            TypeError: It was made of a store.
        """
        if self._opened is None:
            raise TypeError("a registry that was made of a store cannot be pickled; open it by URL")
        return self._opened, ()

    def close(self) -> None:
        """Close the file or the connection."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the registry, which is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def model(self) -> str | None:
        """The model whose vectors are kept, ``name@version``; None while there are none."""
        return self._store.settings().get("model")

    def check_model(self, model: str) -> None:
        """Check that vectors of a model fit those of the registry.

        Raises:
            VectorMismatch: They do not.
        """
        own = self.model
        if own not in (None, model):
            raise VectorMismatch(_MISMATCH.format(own=own, other=model))

    def __len__(self) -> int:
        """Return the number of designs, retired ones too."""
        return self._store.count()

    def designs(
        self,
        text: str = "",
        *,
        retired: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Design]:
        """Return designs, sorted by name.

        Args:
            text: Words, or parts of words, that must all be found in name, owner, notes, tags or
                what the stamp was read to say. Case, accents, and letters and digits of the
                same shape in several scripts are not distinguished.
            retired: Only retired ones, or only others; None for both.
            limit: At most this number.
            offset: This number is skipped.
        """
        return self._store.designs(DesignFilter(text, retired, limit, offset))

    def design(self, ref: str) -> Design:
        """Return a design by its id or its name.

        Raises:
            DesignNotFound: There is no such design.
        """
        found = self._find(ref)
        if found is None:
            raise DesignNotFound(f"the registry has no design {ref!r}; list the names it has")
        return found

    def samples(self, ref: str) -> list[Sample]:
        """Return the samples of a design, oldest first.

        Raises:
            DesignNotFound: There is no such design.
        """
        return self._store.samples(self.design(ref).id)

    def picture(self, sample: str) -> InkCrop:
        """Return the imprint of a sample by its id.

        Raises:
            DesignNotFound: There is no such sample.
            RegistryError: The picture is corrupt.
        """
        for stored in self._store.stored([sample]):
            return pictures.decode(stored)
        raise DesignNotFound(f"the registry has no sample {sample!r}; show its design for those")

    def add(
        self,
        name: str,
        stamp: StampMark,
        *,
        notes: str = "",
        tags: Iterable[str] = (),
        owner: str = "",
        duplicates: Duplicates = "warn",
    ) -> Added:
        """Add a stamp as a sample of a design, which is made if there is none of that name.

        The same picture is kept once: added again, it is left as it is.

        Args:
            name: Name of the design, or id of one that is there.
            stamp: A stamp that a `StampPipeline` found.
            notes: Free text for a new design.
            tags: Words to find a new design by.
            owner: Whose stamp a new design is.
            duplicates: What to do with a stamp that seems to be one of another design.

        Raises:
            NoStampFound: No ink was found in the stamp.
            VectorMismatch: The vector is of another model than those of the registry.
            DuplicateDesign: ``duplicates`` is ``"refuse"`` and the stamp seems to be one of another
                design, or it is not ``"allow"`` and this very picture is one.
            InvalidDesign: The name or another text cannot be kept, or the design is retired.
            RegistryError: The registry cannot be written.
            ValueError: The mark has no crop, as one that was read from JSON.
        """
        crop, embedding = stamp_parts(stamp)
        described = check_notes(notes), check_tags(tags), check_owner(owner)
        named = None if is_id(name) else check_name(name)
        alike = [] if duplicates == "allow" else self._accepted(stamp)
        picture, ink = pictures.encode(crop)
        digest, moment = pictures.digest(picture, ink), now()
        with self._writing():
            self._settle(embedding)
            design = self.design(name) if named is None else self._store.design_named(named)
            if design is not None and design.retired:
                raise InvalidDesign(f"{design.name!r} is retired; reinstate it to add samples")
            others = tuple(c for c in alike if design is None or c.design.id != design.id)
            twins = self._store.samples_of_digest(digest)
            known = next((s for s in twins if design is not None and s.design == design.id), None)
            if known is None and duplicates != "allow":
                self._refuse_twins(twins, others if duplicates == "refuse" else ())
            if design is not None and known is not None:
                return Added(design, known, new_design=False, new_sample=False, alike=others)
            new = design is None
            if design is None:
                design = Design(new_id(), named or name, moment, moment, *described)
            self._store.put_design(replace(design, changed=moment))
            sample = Sample(
                new_id(),
                design.id,
                moment,
                embedding.model,
                writable(crop.source),
                crop.page,
                crop.box,
                digest,
                kept_text(stamp.text),
            )
            self._store.put_sample(StoredSample(sample, embedding.vector, picture, ink))
            design = replace(design, changed=moment, samples=design.samples + 1)
        return Added(design, sample, new_design=new, new_sample=True, alike=others)

    def identify(
        self,
        stamp: StampMark,
        top_k: int = 5,
        *,
        false_accepts: float = FALSE_ACCEPTS,
        rerank: int = RERANKED,
        looks: int | None = None,
    ) -> list[Candidate]:
        """Return the designs that a stamp may be an imprint of, highest score first.

        Args:
            stamp: A stamp that a `StampPipeline` found.
            top_k: At most this number.
            false_accepts: Share of unknown stamps that may be accepted as known ones.
            rerank: How many designs have their ink compared with that of the stamp.
            looks: Deprecated name of ``rerank``.

        Returns:
            Candidates; none where the registry has no designs, or the stamp no ink. None of them
            accepted says that the stamp is not known.

        Raises:
            VectorMismatch: The vector is of another model than those of the registry.
            ValueError: The mark has no crop, or ``false_accepts`` is no share.
        """
        if looks is not None:
            warnings.warn(
                "identify(looks=) is deprecated and will be removed in the next version; "
                "use rerank=",
                DeprecationWarning,
                stacklevel=2,
            )
            rerank = looks
        if stamp.embedding is None or self.model is None:
            return []
        crop, embedding = stamp_parts(stamp)
        self._settle(embedding, write=False)
        calibration = self.calibration(crop.segmenter)
        least = calibration.least_score(false_accepts, self._store.count(retired=False))
        own = InkTemplate.of(stamp)
        hits, matches = self._matched(own, embedding, max(top_k, rerank), rerank)
        found = {hit.design: self._store.design(hit.design) for hit in hits}
        designs = {id_: design for id_, design in found.items() if design is not None}
        return rank(hits, designs, calibration, least, matches)[:top_k]

    def calibration(self, segmenter: str) -> Calibration:
        """Return the thresholds that hold for stamps whose ink a model, ``name@version``, found.

        They are those given when the registry was opened; else those of `calibrate`, or bundled
        ones, if they were measured with the models in use; else rough ones.
        """
        if self._calibration is not None:
            return self._calibration
        settings, models = self._store.settings(), self._models(segmenter)
        if _CALIBRATION in settings:
            own = Calibration.from_dict(json.loads(settings[_CALIBRATION]))
            if own.models == models:
                return own
        return calibration_of(models)

    def calibrate(
        self,
        strangers: Iterable[StampMark],
        segmenter: str,
        *,
        progress: Progress = lambda done, total: None,
    ) -> tuple[Calibration, list[Lookalike]]:
        """Measure thresholds with stamps that are not known here, and keep them with the registry.

        Every sample is also asked about as if its own design was not known.

        Args:
            strangers: Stamps of which none is in the registry.
            segmenter: Name and version of the model that found their ink.
            progress: Is told how many samples are done, and of how many.

        Returns:
            The thresholds; and of the samples those most similar to another design, which may
            be one stamp under two names, highest score first.

        Raises:
            InvalidDesign: The registry has no two designs, so that nothing can be measured.
            VectorMismatch: An embedding is of another model than those of the registry.
            RegistryError: The registry cannot be read or written.
        """
        model, designs = self.model, self._store.count(retired=False)
        if model is None or designs < 2:
            raise InvalidDesign(
                "thresholds take a registry of two designs or more; add stamps first"
            )
        samples = self._store.samples()
        alike: list[Lookalike] = []
        for number, stored in enumerate(self._store.stored([one.id for one in samples])):
            embedding = Embedding(stored.vector, stored.sample.model)
            own = InkTemplate.of(pictures.decode(stored), embedding=embedding)
            hits, matches = self._matched(own, embedding, RERANKED, RERANKED, stored.sample.design)
            best = max(hits, key=lambda hit: matches.get(hit.sample, 0.0), default=None)
            score = matches.get(best.sample, 0.0) if best else 0.0
            alike.append(Lookalike(score, stored.sample.design, best.design if best else ""))
            progress(number + 1, len(samples))
        scores = [one.score for one in alike]
        for stamp in strangers:
            if stamp.embedding is not None:
                self._settle(stamp.embedding, write=False)
                own = InkTemplate.of(stamp)
                _, matches = self._matched(own, stamp.embedding, RERANKED, RERANKED)
                scores.append(max(matches.values(), default=0.0))
        models = self._models(segmenter)
        uncompared = calibration_of(models).uncompared
        measured = Calibration.measured(scores, designs, models, uncompared)
        with self._writing():
            self._store.set_settings({_CALIBRATION: json.dumps(measured.to_dict())})
        return measured, sorted(alike, key=lambda one: -one.score)[:_LOOKALIKES]

    def _matched(
        self,
        own: InkTemplate,
        embedding: Embedding,
        count: int,
        rerank: int,
        without: str | None = None,
    ) -> tuple[list[Hit], dict[str, float]]:
        """The nearest designs, each by its nearest sample, and scores of the first few."""
        nearest = nearest_designs(self._store, embedding.vector, count, without)
        templates = partial(self._templates.get, store=self._store, model=embedding.model)
        matches = match_designs(own, nearest[:rerank], templates, self._comparer)
        return [samples[0] for samples in nearest], matches

    def _models(self, segmenter: str) -> dict[str, str]:
        """The models in use, by task."""
        comparer = bundled_comparer() if self._comparer is match_ink else self._comparer
        return {
            "embedder": self.model or "",
            "segmenter": segmenter,
            "comparer": getattr(comparer, "name", ""),
        }

    def update(
        self,
        ref: str,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        owner: str | None = None,
    ) -> Design:
        """Change what is said about a design; what is not given stays.

        Raises:
            DesignNotFound: There is no such design.
            DuplicateDesign: Another design has the name.
            InvalidDesign: A text cannot be kept.
        """
        changes: dict[str, object] = {}
        if name is not None:
            changes["name"] = check_name(name)
        if notes is not None:
            changes["notes"] = check_notes(notes)
        if tags is not None:
            changes["tags"] = check_tags(tags)
        if owner is not None:
            changes["owner"] = check_owner(owner)
        with self._writing():
            design = self.design(ref)
            if "name" in changes:
                self._refuse_name(str(changes["name"]), design.id)
            return self._put(replace(design, **changes))  # type: ignore[arg-type]

    def rename(self, ref: str, name: str) -> Design:
        """Give a design another name; see `update`."""
        return self.update(ref, name=name)

    def retire(self, ref: str) -> Design:
        """Keep a design, but no longer search it; one that is retired stays so.

        Raises:
            DesignNotFound: There is no such design.
        """
        with self._writing():
            design = self.design(ref)
            return design if design.retired else self._put(replace(design, retired=now()))

    def reinstate(self, ref: str) -> Design:
        """Search a retired design again.

        Raises:
            DesignNotFound: There is no such design.
        """
        with self._writing():
            design = self.design(ref)
            return self._put(replace(design, retired=None)) if design.retired else design

    def remove(self, ref: str) -> Design:
        """Remove a design with its samples, and return what it was.

        Raises:
            DesignNotFound: There is no such design.
        """
        with self._writing():
            design = self.design(ref)
            self._store.delete_design(design.id)
            return design

    def remove_sample(self, sample: str) -> Design:
        """Remove a sample by its id, and return the design it was of, which may have none left.

        Raises:
            DesignNotFound: There is no such sample.
        """
        with self._writing():
            found = self._store.sample(sample)
            if found is None:
                raise DesignNotFound(f"the registry has no sample {sample!r}")
            self._store.delete_samples([sample])
            return self._put(self.design(found.design))

    def merge(self, into: str, *others: str) -> Design:
        """Make designs one: it gets their samples and tags, and notes one after the other.

        Args:
            into: The design that stays, with its name and owner.
            others: The designs that become part of it.

        Raises:
            DesignNotFound: There is no such design.
            InvalidDesign: A design is to be merged with itself.
        """
        with self._writing():
            kept = self.design(into)
            gone = {design.id: design for design in map(self.design, others)}
            if kept.id in gone:
                raise InvalidDesign(f"{kept.name!r} cannot be merged with itself")
            digests = {sample.digest for sample in self._store.samples(kept.id)}
            for id_ in gone:
                samples = self._store.samples(id_)
                moving = [sample for sample in samples if sample.digest not in digests]
                digests.update(sample.digest for sample in moving)
                self._store.move_samples([sample.id for sample in moving], kept.id)
                self._store.delete_design(id_)
            tags = {tag for design in (kept, *gone.values()) for tag in design.tags}
            notes = [design.notes for design in (kept, *gone.values()) if design.notes]
            kept = replace(kept, tags=check_tags(tags), notes=check_notes("\n".join(notes)))
            return self._put(kept)

    def split(self, ref: str, samples: Sequence[str], name: str) -> Design:
        """Make a design of some samples of another; it takes over tags and owner.

        Args:
            ref: The design.
            samples: Ids of the samples that leave it; some must stay.
            name: Name of the new design.

        Returns:
            The new design.

        Raises:
            DesignNotFound: There is no such design, or it has no such sample.
            DuplicateDesign: Another design has the name.
            InvalidDesign: The name cannot be kept, or no sample would leave, or none stay.
        """
        clean = check_name(name)
        with self._writing():
            design = self.design(ref)
            own = {sample.id for sample in self._store.samples(design.id)}
            leaving = list(dict.fromkeys(samples))
            for sample in leaving:
                if sample not in own:
                    raise DesignNotFound(f"{design.name!r} has no sample {sample!r}")
            if not 0 < len(leaving) < len(own):
                raise InvalidDesign(
                    f"{design.name!r} has {len(own)} samples: at least one must leave it, and one "
                    "stay; to give all another name, rename it"
                )
            self._refuse_name(clean)
            moment = now()
            separated = Design(
                new_id(), clean, moment, moment, tags=design.tags, owner=design.owner
            )
            self._store.put_design(separated)
            self._store.move_samples(leaving, separated.id)
            self._put(design)
            return replace(separated, samples=len(leaving))

    def reindex(
        self,
        embed: EmbedInk,
        model: str,
        *,
        progress: Progress = lambda done, total: None,
    ) -> int:
        """Recompute the vectors of all samples, by another model or by a better one.

        Until all are made the old ones stay, and others go on to use the registry.

        Args:
            embed: Makes vectors (N, D) float32 of unit length of ink (h, w) uint8.
            model: Name and version of the model, ``name@version``.
            progress: Is told how many are done, and of how many.

        Returns:
            How many there are.

        Raises:
            RegistryError: A picture is corrupt, or the registry cannot be written.
        """
        return replace_vectors(self._store, embed, model, progress)

    def read(self, read: ReadInk, *, progress: Progress = lambda done, total: None) -> int:
        """Read all samples again, so that designs are found by what their stamps say.

        Args:
            read: Says what an imprint says, lines separated by ``" / "``, or None.
            progress: Is told how many are done, and of how many.

        Returns:
            How many could be read.

        Raises:
            RegistryError: A picture is corrupt, or the registry cannot be written.
        """
        return replace_texts(self._store, read, progress)

    def build_index(self) -> None:
        """Make the index of vectors now, where there are enough for one.

        It is made by itself, in the background, when it is first missed.
        """
        self._store.build_index()

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write all designs and samples to an archive, and return how many designs.

        The archive is a ZIP file with ``manifest.json``, the pictures and the vectors; `load` reads
        it into any registry.

        Raises:
            OSError: The file cannot be written; what was there before is there still.
            RegistryError: The registry cannot be read.
        """
        with self._store.reading():
            designs = self._store.designs(DesignFilter())
            samples = self._store.samples()
        stored: Iterator[StoredSample] = self._store.stored([sample.id for sample in samples])
        archive.write(Path(path), designs, stored)
        return len(designs)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Add the designs and samples of an archive, all or none; return how many designs.

        A design that is here already, by its id, keeps what is said about it here and gets the
        samples it does not have.

        Raises:
            ArchiveError: It is missing, no archive of a registry, or corrupt, or would do harm.
            DuplicateDesign: Another design here has the name of one of the archive.
            VectorMismatch: Its vectors are of another model than those here.
        """
        with archive.read(Path(path)) as content, self._writing():
            for design in content.designs:
                if self._store.design(design.id) is None:
                    self._refuse_name(design.name)
                    self._store.put_design(design)
            for stored in content.samples():
                self._settle(Embedding(stored.vector, stored.sample.model))
                if self._store.sample(stored.sample.id) is None:
                    self._store.put_sample(stored)
            return len(content.designs)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self.aside(), self._store.writing():
            yield

    def _find(self, ref: str) -> Design | None:
        if is_id(ref):
            return self._store.design(ref)
        return self._store.design_named(check_name(ref))

    def _put(self, design: Design) -> Design:
        """Keep a design that changed, and return it as it is kept."""
        self._store.put_design(replace(design, changed=now()))
        return self.design(design.id)

    def _refuse_name(self, name: str, but: str | None = None) -> None:
        taken = self._store.design_named(name)
        if taken is not None and taken.id != but:
            raise DuplicateDesign(f"another design, {taken.id}, is called {name!r}")

    def _refuse_twins(self, twins: Sequence[Sample], alike: Sequence[Candidate]) -> None:
        """Refuse a picture that is a sample of another design, or a stamp that seems to be one."""
        if twins:
            name = self.design(twins[0].design).name
            raise DuplicateDesign(f"this very picture is a sample of {name!r} already")
        if alike:
            raise DuplicateDesign(
                f"the stamp seems to be that of {alike[0].design.name!r} (score "
                f"{alike[0].score:.3f}); add it under that name, or allow duplicates"
            )

    def _accepted(self, stamp: StampMark) -> list[Candidate]:
        return [candidate for candidate in self.identify(stamp) if candidate.accepted]

    def _settle(self, embedding: Embedding, *, write: bool = True) -> None:
        """Check that a vector fits those of the registry; the first one says what fits."""
        settings = self._store.settings()
        dimensions = len(embedding.vector)
        if "model" in settings:
            own = f"{settings['model']} ({settings['dimensions']} numbers)"
            other = f"{embedding.model} ({dimensions} numbers)"
            if own != other:
                raise VectorMismatch(_MISMATCH.format(own=own, other=other))
        elif write:
            self._store.set_dimensions(dimensions)
            self._store.set_settings({"model": embedding.model, "dimensions": str(dimensions)})


def stamp_parts(stamp: StampMark) -> tuple[InkCrop, Embedding]:
    """The imprint and the vector of a stamp.

    Raises:
        NoStampFound: It has no ink.
        ValueError: It was not made by a pipeline.
    """
    if stamp.crop is None:
        raise ValueError("the mark has no crop; give one that a StampPipeline made")
    if stamp.embedding is None:
        where = f" of {stamp.crop.source}" if stamp.crop.source else ""
        raise NoStampFound(
            f"no ink could be told from the paper in the stamp{where} at "
            f"{tuple(round(value) for value in stamp.box)}; a clearer scan may help"
        )
    return stamp.crop, stamp.embedding
