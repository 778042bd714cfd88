"""Settings come from options, the environment, a file and the defaults, in this order."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from platemark.apps.settings import Settings
from platemark.errors import SettingsError

SERVE = Path(__file__).parents[2] / "docs" / "serve.md"
KEY = "a key of sixteen or more"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    monkeypatch.delenv("PLATEMARK_CONFIG", raising=False)


def test_the_nearest_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('port = 1\nworkers = 1\nmax_files = 1\nregistry = "file.db"\n')
    monkeypatch.setenv("PLATEMARK_PORT", "2")
    monkeypatch.setenv("PLATEMARK_WORKERS", "2")
    read = Settings.load(file, port=3, host=None)
    assert (read.port, read.workers, read.max_files, read.max_pages) == (3, 2, 1, 100)
    assert (read.registry, read.host) == ("file.db", "127.0.0.1")
    monkeypatch.setenv("PLATEMARK_CONFIG", str(file))
    assert Settings.load().registry == "file.db"


def test_lists_in_variables_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATEMARK_READ_KEYS", f"{KEY}-1, {KEY}-2")
    monkeypatch.setenv("PLATEMARK_CORS_ORIGINS", "")
    read = Settings.load()
    assert [key.get_secret_value() for key in read.read_keys] == [f"{KEY}-1", f"{KEY}-2"]
    assert read.cors_origins == ()


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEY not in repr(Settings.load(write_keys=KEY))
    with pytest.raises(SettingsError) as error:
        Settings.load(write_keys="hunter2")
    assert "hunter2" not in error.value.message
    assert "16 characters" in error.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 70000", "port"),
        ('workers = "many"', "workers"),
        ("threds = 2", "threds"),
        ("port = ", "TOML"),
        ("log_level = 'loud'", "log_level"),
    ],
)
def test_a_mistake_in_the_file_names_the_setting(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        Settings.load(file)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load(tmp_path / "none.toml")


def test_the_document_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", SERVE.read_text(), re.MULTILINE)
    stated: dict[str, str] = {}
    for names, values in rows:
        keys = re.findall(r"`(\w+)`", names)
        parts = [part.strip().strip("`") for part in values.split(",")]
        stated.update(zip_longest(keys, parts, fillvalue=""))
    assert Settings.model_fields.keys() <= stated.keys()
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, bool):
            default = str(default).lower()
        if isinstance(default, tuple):
            default = ", ".join(default)
        if isinstance(default, float):
            default = f"{default:g}"
        if field.default_factory is None:
            assert stated[name] == ("" if default is None else str(default)), name
