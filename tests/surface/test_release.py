"""What `make release` checks can fail; the target itself builds, installs and uses a wheel."""

import re
import subprocess
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
METADATA = """Metadata-Version: 2.4
Name: platemark
Version: 0.1.0
Classifier: Topic :: Scientific/Engineering :: Image Recognition
License-Expression: Apache-2.0
License-File: LICENSE
Description-Content-Type: text/markdown

# platemark
"""


@pytest.fixture(scope="module")
def release(ci_script: Callable[[str], SimpleNamespace]) -> SimpleNamespace:
    return ci_script("release")


def wheel_of(path: Path, names: list[str], metadata: str = METADATA) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("platemark-0.1.0.dist-info/METADATA", metadata)
        for name in names:
            archive.writestr(name, b"")
    return path


@pytest.fixture(scope="module")
def package_files() -> list[str]:
    words = ["git", "ls-files", "-z", "platemark"]
    listed = subprocess.run(words, cwd=ROOT / "src", check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def test_a_wheel_has_the_package_and_nothing_else(
    release: SimpleNamespace, package_files: list[str], tmp_path: Path
) -> None:
    model = "platemark/models/bundled/plate-detector/model.onnx"
    release.check_contents(wheel_of(tmp_path / "whole.whl", package_files))
    without = [name for name in package_files if name != model]
    with pytest.raises(release.ReleaseError, match=f"lacks {model}"):
        release.check_contents(wheel_of(tmp_path / "without.whl", without))
    more = [*package_files, "platemark/secret.key"]
    with pytest.raises(release.ReleaseError, match=r"secret\.key, which"):
        release.check_contents(wheel_of(tmp_path / "more.whl", more))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("Image Recognition", "Pictures", "unknown classifiers"),
        ("text/markdown", "text/plain", "description in Markdown"),
        ("Expression: Apache-2.0", "Expression: MIT", "licence"),
    ],
)
def test_what_an_index_reads_is_checked(
    release: SimpleNamespace, tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    release.check_metadata(wheel_of(tmp_path / "right.whl", []))
    wheel = wheel_of(tmp_path / "wrong.whl", [], METADATA.replace(right, wrong))
    with pytest.raises(release.ReleaseError, match=message):
        release.check_metadata(wheel)


def test_the_citation_names_the_version_and_the_licence() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^(version|license): (.+)$", citation, re.MULTILINE))
    assert stated == {"version": described["version"], "license": described["license"]}
