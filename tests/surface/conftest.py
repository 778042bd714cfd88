"""The scripts that make and check what is published, as modules."""

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

CI = Path(__file__).parents[2] / ".ci"


@pytest.fixture(scope="session")
def ci_script() -> Callable[[str], SimpleNamespace]:
    """What a script of `.ci` defines, by its name."""

    def load(name: str) -> SimpleNamespace:
        return SimpleNamespace(**runpy.run_path(str(CI / f"{name}.py"), run_name=name))

    return load
