"""The documentation site: it builds offline, without a warning, and has every public name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import platemark

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_reference_has_every_public_name(site: Path) -> None:
    text = "".join(page.read_text() for page in (site / "reference").rglob("index.html"))
    described = set(re.findall(r'id="platemark\.(\w+)"', text))
    assert described >= set(platemark.__all__) - {"PlatemarkError", "__version__"}
    assert 'id="platemark.errors.PlatemarkError"' in text


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:)?//')
    for page in site.rglob("index.html"):
        assert not loaded.search(page.read_text()), page


def test_links_of_the_repository_become_links_of_the_site(site: Path) -> None:
    start = (site / "index.html").read_text()
    assert 'href="serve/"' in start
    assert "docs/serve.md" not in start
    assert 'href="../contributing/' in (site / "datasets" / "index.html").read_text()
