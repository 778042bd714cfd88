"""What the rules of the registry need of a place that keeps rows and vectors.

A store keeps no rule but these: a design has a name of its own and an id of its own, a sample an id
of its own and a design that is there. All else is decided in `platemark.registry.registry`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from platemark.registry.records import Design, Sample, StoredSample, Vector


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample near to a vector that was asked about.

    Attributes:
        sample: Its id.
        design: The id of its design.
        similarity: Cosine similarity of the vectors.
    """

    sample: str
    design: str
    similarity: float


@dataclass(frozen=True, slots=True)
class DesignFilter:
    """Which designs are asked for.

    Attributes:
        text: Words that name, owner, notes, tags or the texts of samples contain, as far as
            `platemark.tasks.scripts.search_key` tells them apart; empty for all.
        retired: Only those that are retired, or only those that are not; None for both.
        limit: At most this number; None for all.
        offset: This number is skipped.
    """

    text: str = ""
    retired: bool | None = None
    limit: int | None = None
    offset: int = 0


class Store(Protocol):
    """Keeps designs, samples and vectors; may be shared by threads.

    Every method raises `RegistryUnavailable` where the store does not answer, and `RegistryError`
    where it cannot do what was asked: no space is left, it is read-only, another is writing.
    """

    def writing(self) -> AbstractContextManager[None]:
        """Begin a change: all of it is kept when the block ends, or nothing if it raises.

        Only one change is made at a time, by all processes that share the store; readers, in other
        threads too, wait for none. What is kept survives the process, killed at any point. Blocks
        do not nest.
        """

    def reading(self) -> AbstractContextManager[None]:
        """Begin a read transaction, in which nothing changes by what others do."""

    def settings(self) -> Mapping[str, str]:
        """Return what the registry remembers about itself."""

    def set_settings(self, values: Mapping[str, str]) -> None:
        """Change some of the settings."""

    def design(self, id_: str) -> Design | None:
        """Return a design by its id."""

    def design_named(self, name: str) -> Design | None:
        """Return a design by its name."""

    def designs(self, wanted: DesignFilter) -> list[Design]:
        """Return designs, sorted by name."""

    def count(self, retired: bool | None = None) -> int:
        """Return how many designs there are, of all or of those retired or not."""

    def put_design(self, design: Design) -> None:
        """Add a design, or change the one of its id; how many samples it has is not taken."""

    def delete_design(self, id_: str) -> None:
        """Remove a design and its samples."""

    def samples(self, design: str | None = None) -> list[Sample]:
        """Return the samples of a design, or all, oldest first."""

    def sample(self, id_: str) -> Sample | None:
        """Return a sample by its id."""

    def samples_of_digest(self, digest: str) -> list[Sample]:
        """Return the samples with these very pictures."""

    def stored(self, ids: Sequence[str]) -> Iterator[StoredSample]:
        """Return samples with all that is kept of them, in the order of their ids as given.

        Those that are not there are left out.
        """

    def put_sample(self, stored: StoredSample) -> None:
        """Add a sample."""

    def set_texts(self, texts: Mapping[str, str | None]) -> None:
        """Replace what some samples, given by id, say."""

    def move_samples(self, ids: Sequence[str], design: str) -> None:
        """Give samples to another design."""

    def delete_samples(self, ids: Sequence[str]) -> None:
        """Remove samples."""

    def set_dimensions(self, dimensions: int) -> None:
        """Make ready for vectors of this many dimensions; there are none of another number."""

    def replace_vectors(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Replace the vectors of all samples, given by id, by those of a model."""

    def nearest(self, vector: Vector, count: int) -> list[Hit]:
        """Return the samples of designs that are not retired nearest to a vector, nearest first.

        Args:
            vector: (D,) float32 of unit length, D as the vectors of the store.
            count: At most this number.
        """

    def build_index(self) -> None:
        """Make the index of vectors now, if there are enough for one and it is not there."""

    def close(self) -> None:
        """Close files and connections."""
