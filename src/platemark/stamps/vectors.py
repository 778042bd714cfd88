"""The vectors of the stamps of many pages, and the files they are written to."""

import csv
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from platemark.errors import MissingExtra
from platemark.stamps.similarity import heat_map, similarity_rows
from platemark.types import Result, StampMark

_DIGITS = 5


@dataclass
class StampVectors:
    """Vectors of stamps in the order they were found, and where each is.

    Attributes:
        sources: The input of each.
        pages: Its page, counted from 0.
        indices: Its place among the marks of the page, counted from 0.
        boxes: Its box in pixels of the page.
        models: The model that made its vector, ``name@version``.
        vectors: Its vector (D,) float32 of unit length.
    """

    sources: list[str] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.vectors)

    def add(self, result: Result) -> None:
        """Take the stamps of a page; those without a vector are skipped."""
        for index, mark in enumerate(result.marks):
            if isinstance(mark, StampMark) and mark.embedding is not None:
                self.sources.append(result.source)
                self.pages.append(result.page)
                self.indices.append(index)
                self.boxes.append(mark.box)
                self.models.append(mark.embedding.model)
                self.vectors.append(mark.embedding.vector)

    @property
    def labels(self) -> list[str]:
        """``source#page/index`` of each stamp."""
        places = zip(self.sources, self.pages, self.indices, strict=True)
        return [f"{source}#{page}/{index}" for source, page, index in places]

    def matrix(self) -> NDArray[np.float32]:
        """Return the vectors as (N, D) float32; (0, 0) without stamps."""
        return np.stack(self.vectors) if self.vectors else np.zeros((0, 0), dtype=np.float32)

    def write_similarity(self, path: Path) -> None:
        """Write the cosine similarities of all pairs as CSV, and beside it their picture as PNG.

        The first row and the first column are the labels.

        Raises:
            OSError: A file cannot be written.
        """
        vectors, labels = self.matrix(), self.labels
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["", *labels])
            names = iter(labels)
            for rows in similarity_rows(vectors):
                for row in rows:
                    writer.writerow([next(names), *(f"{value:.{_DIGITS}f}" for value in row)])
        heat_map(vectors, labels).save(picture_beside(path))

    def write_npz(self, path: Path) -> None:
        """Write everything as arrays of NumPy, by the names of the attributes.

        Raises:
            OSError: The file cannot be written.
        """
        boxes = np.array(self.boxes, dtype=np.float64).reshape(-1, 4)
        with path.open("wb") as stream:
            np.savez_compressed(
                stream,
                sources=np.array(self.sources, dtype=np.str_),
                pages=np.array(self.pages, dtype=np.int64),
                indices=np.array(self.indices, dtype=np.int64),
                boxes=boxes,
                models=np.array(self.models, dtype=np.str_),
                vectors=self.matrix(),
            )

    def write_parquet(self, path: Path) -> None:
        """Write a table with a row for each stamp.

        Raises:
            MissingExtra: pyarrow is not installed.
            OSError: The file cannot be written.
        """
        require_parquet()
        import pyarrow
        import pyarrow.parquet

        columns = {
            "source": pyarrow.array(self.sources, pyarrow.string()),
            "page": pyarrow.array(self.pages, pyarrow.int64()),
            "index": pyarrow.array(self.indices, pyarrow.int64()),
            "box": pyarrow.array(self.boxes, pyarrow.list_(pyarrow.float64())),
            "model": pyarrow.array(self.models, pyarrow.string()),
            "vector": pyarrow.array(self.vectors, pyarrow.list_(pyarrow.float32())),
        }
        pyarrow.parquet.write_table(pyarrow.table(columns), path)


def picture_beside(path: Path) -> Path:
    """Where the heat map of a similarity file lies: beside it, named alike, with ``.png``."""
    return path.with_name(f"{path.name}.png")


def require_parquet() -> None:
    """Check that Parquet can be written.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("writing Parquet files", "parquet")
