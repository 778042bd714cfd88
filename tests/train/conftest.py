"""Small synthetic sets to learn from, and a small reader to teach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platemark.synth.plates import generate

if TYPE_CHECKING:
    from platemark.train.nets.reader import ReaderNet
    from platemark.train.reader import ReaderTask


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums of several threads need not come out the same twice, and on a busy machine they wait."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 30 plates close up."""
    return generate(tmp_path_factory.mktemp("crops"), 30, 1, kind="crops", workers=1)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 4 scenes."""
    return generate(tmp_path_factory.mktemp("scenes"), 4, 2, workers=1)


@pytest.fixture(scope="module")
def task(crops: Path) -> ReaderTask:
    """The reader's data: those plates."""
    from platemark.train.reader import ReaderTask

    return ReaderTask([crops])


@pytest.fixture
def net() -> Callable[[], ReaderNet]:
    """Makes a narrow reader, the same at every call."""
    import torch

    from platemark.train.nets.reader import ReaderNet
    from platemark.train.reader import ALPHABET

    def make() -> ReaderNet:
        torch.manual_seed(0)
        return ReaderNet(len(ALPHABET) + 1, channels=(8, 8, 16, 16), layers=1)

    return make
