"""What platemark depends on may be used in an Apache-2.0 project, and is listed."""

import re
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def licences(ci_script: Callable[[str], SimpleNamespace]) -> SimpleNamespace:
    return ci_script("licences")


def test_all_licences_are_known_and_the_page_lists_them(licences: SimpleNamespace) -> None:
    text, faults = licences.page()
    assert faults == []
    written = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert written == text, "make licences writes it"


@pytest.mark.parametrize(
    ("licence", "permitted"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND (Apache-2.0 OR MIT)", True),
        ("Apache Software License, MIT License", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("GNU Affero General Public License v3", False),
        ("LGPL-3.0-only", False),
        ("Ask us", False),
        ("", False),
    ],
)
def test_what_may_be_used(licences: SimpleNamespace, licence: str, permitted: bool) -> None:
    assert licences.is_permissive(licence) is permitted


def test_a_library_under_the_gpl_in_a_wheel_is_found(licences: SimpleNamespace) -> None:
    files = [Path("a.libs/libx265-4883ecb5.so.217"), Path("a.libs/libheif-e72ea93c.so")]
    assert licences.gpl_libraries(SimpleNamespace(files=files)) == {"libx265"}


def test_no_review_is_left_over(licences: SimpleNamespace) -> None:
    assert licences.REVIEWED.keys() <= licences.pinned().keys()


def test_the_container_image_has_nothing_under_the_gpl(licences: SimpleNamespace) -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    wanted = list(described["dependencies"])
    for extra in extras.split(","):
        wanted += described["optional-dependencies"][extra]
    found = set[str]()
    while wanted:
        requirement = Requirement(wanted.pop())
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in found or not applies:
            continue
        found.add(name)
        try:
            wanted += requires(distribution(name).metadata["Name"]) or []
        except PackageNotFoundError:
            pytest.fail(f"{name} is not installed")
    assert found > {"numpy", "fastapi", "pi-heif"}
    gpl = {canonicalize_name(name) for name, review in licences.REVIEWED.items() if review.gpl}
    assert not found & gpl
