"""The files that deploy the server fit the server."""

import shlex
from pathlib import Path

import pytest
import yaml

from platemark.apps.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]


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
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]
    (environment,) = (rest for word, rest in lines if word == "ENV")
    names = [part.partition("=")[0] for part in shlex.split(environment)]
    assert all(known(name) for name in names if name.startswith(PREFIX))
    assert ["USER", "platemark"] in lines
    assert ["CMD", '["platemark", "serve"]'] in lines


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
