"""The files that deploy the server fit the server."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from platemark.apps.settings import PREFIX, Settings

from .conftest import Serve

ROOT = Path(__file__).parents[2]


def instructions() -> list[list[str]]:
    """Those of the Dockerfile, each with what follows it."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def known(variable: str) -> bool:
    return variable.removeprefix(PREFIX).lower() in Settings.model_fields


def test_compose_sets_what_there_is_to_set() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    server = services["server"]
    assert all(known(name) for name in server["environment"])
    assert server["environment"]["PLATEMARK_REGISTRY"].startswith("postgresql://")
    assert all(name in services for name in server["depends_on"])
    assert int(server["stop_grace_period"].rstrip("s")) > Settings().shutdown_seconds


def test_the_image_sets_what_there_is_to_set_and_starts_the_server() -> None:
    lines = instructions()
    (environment,) = (rest for word, rest in lines if word == "ENV")
    names = [part.partition("=")[0] for part in shlex.split(environment)]
    assert all(known(name) for name in names if name.startswith(PREFIX))
    assert ["USER", "platemark"] in lines
    assert ["CMD", '["platemark", "serve"]'] in lines


def test_the_image_has_all_that_the_package_is_built_of() -> None:
    copied = set((ROOT / ".dockerignore").read_text().split())
    described = project()
    built_of = {described["project"]["readme"], "LICENSE", "constraints.txt", "pyproject.toml"}
    wheel = described["tool"]["hatch"]["build"]["targets"]["wheel"]
    built_of |= {path.partition("/")[0] for path in (*wheel["packages"], *wheel["force-include"])}
    assert {f"!{path}" for path in built_of} <= copied
    assert all((ROOT / line[1:]).exists() for line in copied if line.startswith("!"))
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", " ".join(rest for _, rest in instructions()))
    assert set(extras.split(",")) <= described["project"]["optional-dependencies"].keys()


def test_the_image_is_asked_for_its_health_where_the_server_answers(serve: Serve) -> None:
    checks = " ".join(rest for word, rest in instructions() if word in ("HEALTHCHECK", "CMD"))
    (port, path) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", checks)[0]
    assert int(port) == Settings().port
    with serve(write_keys="a key of sixteen or more characters") as client:
        assert client.get(path).status_code == 200


def test_the_unit_sets_what_there_is_to_set() -> None:
    text = (ROOT / "deploy" / "platemark.service").read_text()
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#"]
    values = dict(pairs)
    assert known(values["Environment"].partition("=")[0])
    assert int(values["TimeoutStopSec"]) > Settings().shutdown_seconds
    assert shlex.split(values["ExecStart"])[1:] == ["serve", "--quiet"]


@pytest.mark.parametrize("key", ["title", "sdk", "app_port", "license"])
def test_the_space_has_its_front_matter(key: str) -> None:
    front = (ROOT / "deploy" / "space" / "README.md").read_text().split("---")[1]
    said = yaml.safe_load(front)
    assert said[key]
    assert said["app_port"] == Settings().port
