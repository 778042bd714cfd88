"""Small synthetic sets to learn from."""

from pathlib import Path

import pytest

from platemark.synth.plates import generate


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 30 plates close up."""
    return generate(tmp_path_factory.mktemp("crops"), 30, 1, kind="crops", workers=1)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 4 scenes."""
    return generate(tmp_path_factory.mktemp("scenes"), 4, 2, workers=1)
