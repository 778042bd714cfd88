"""Every command and code block of the documents is run; long runs are checked to parse."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest
import typer
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.models.store import bundled_names
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Detection, Result

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# minutes to hours of work, or photos that are not part of the project
LONG = (("train",), ("synth",), ("evaluate",), ("bench",), ("serve",))
# Where the documents say that a server is.
SERVER = "http://localhost:8000"
SHELL_TOOLS = {"cd", "git", "mkdir"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    document: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(language: str) -> list[Block]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(document.name, line, match[1], match[2]))
    return [block for block in found if block.language == language]


def commands() -> list[tuple[str, list[str]]]:
    """Where each shell command stands, and its words; comments and ``\\`` are gone."""
    found = []
    for block in blocks("sh"):
        for line in block.code.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                found.append((f"{block} {line.strip()}", words))
    return found


@pytest.fixture(scope="session")
def known_stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with known stamps: a registry, its archive, a tree of pictures and a table."""
    folder = tmp_path_factory.mktemp("known")
    if "stamp-detector" not in bundled_names():
        return folder
    picture = ROOT / "examples" / "documents" / "receipt-posted.jpg"
    own = ["registry", "add", "--registry", str(folder / "stamps.db"), "--whole"]
    assert CliRunner().invoke(app, [*own, "ACME Ltd", str(picture)]).exit_code == 0
    archive = str(folder / "known-stamps.zip")
    export = ["registry", "export", "--registry", str(folder / "stamps.db"), archive]
    assert CliRunner().invoke(app, export).exit_code == 0
    (folder / "known-stamps" / "ACME Ltd").mkdir(parents=True)
    shutil.copy(picture, folder / "known-stamps" / "ACME Ltd")
    (folder / "known.csv").write_text("source,name\ncontract.pdf,First Bank\n")
    return folder


@pytest.fixture
def workplace(tmp_path: Path, known_stamps: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the documents assume it: with examples, photos, documents and known stamps."""
    shutil.copytree(known_stamps, tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    shutil.copy(photos[0], tmp_path / "car.jpg")
    with PIL.Image.open(ROOT / "examples" / "documents" / "letter-seal.jpg") as letter:
        letter.save(tmp_path / "contract.pdf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as the documents start it, on a free port."""
    command = [sys.executable, "-m", "platemark", "serve", "--port", "0", "--no-web"]
    folder = tmp_path_factory.mktemp("served")
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        said = next(line for line in child.stderr if "serves on" in line)
        threading.Thread(target=child.stderr.read, daemon=True).start()
        yield said.split()[3].rstrip(",")
        child.terminate()


def lacks_models(text: str) -> bool:
    """Whether an example needs models that this checkout does not hold."""
    return "stamp" in text.lower() and "stamp-detector" not in bundled_names()


def check_parses(words: list[str]) -> None:
    """Let the command line take a command apart without running it."""
    command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context("platemark", rest)


def check_other_command(words: list[str]) -> None:
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = re.findall(r"\[([\w,]+)\]", " ".join(words))
        named = {name for extra in extras for name in extra.split(",")}
        assert named <= set(project["optional-dependencies"])
    elif words[0] == "python":
        assert words[1] == "-m" or (ROOT / words[1]).is_file()
    elif words[0] == "pytest":
        assert all((ROOT / word).exists() for word in words[1:] if not word.startswith("-"))
    elif words[0].endswith("run"):
        assert (ROOT / words[0]).stat().st_mode & 0o100
    else:
        assert words[0] in SHELL_TOOLS, f"no check for {words[0]}"


@pytest.mark.parametrize(("words"), [pytest.param(words, id=place) for place, words in commands()])
def test_commands_run(words: list[str], workplace: Path, request: pytest.FixtureRequest) -> None:
    if words[0] == "curl":
        given = [word.replace(SERVER, request.getfixturevalue("address")) for word in words]
        done = subprocess.run(given, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    elif words[0] != "platemark":
        check_other_command(words)
    elif lacks_models(words[1]) or any(tuple(words[1 : 1 + len(start)]) == start for start in LONG):
        check_parses(words[1:])
    else:
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_blocks_run(block: Block, workplace: Path, request: pytest.FixtureRequest) -> None:
    text = block.code
    if SERVER in text:
        text = text.replace(SERVER, request.getfixturevalue("address"))
    code = compile(text, str(block), "exec")
    if not lacks_models(block.code):
        exec(code, {"__name__": "__main__"})


def test_the_reader_of_the_documents_reads(workplace: Path) -> None:
    (block,) = [block for block in blocks("python") if "class GlyphReader" in block.code]
    names: dict[str, Any] = {}
    exec(compile(block.code, str(block), "exec"), names)
    plate = PIL.Image.new("RGB", (480, 80), "white")
    font = PIL.ImageFont.load_default(60)
    PIL.ImageDraw.Draw(plate).text((20, 2), "KA 4821 BX", "black", font)
    photo = PIL.Image.new("RGB", (640, 200), "grey")
    photo.paste(plate, (80, 60))
    found = Detection.given("plate", (80.0, 60.0, 560.0, 140.0))
    (mark,) = PlatePipeline(lambda _: [found], names["GlyphReader"]())(photo)
    assert mark.text == "KA4821BX"
    assert 0.0 < mark.text_score < 1.0


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_blocks_are_results(block: Block) -> None:
    data = json.loads(block.code)
    if "marks" in data or "error" in data:
        assert Result.from_dict(data).to_dict() == data


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_blocks_parse(block: Block) -> None:
    assert tomllib.loads(block.code)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_command_of_the_program_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    contributing = ROOT / "CONTRIBUTING.md"
    text = readme + (contributing.read_text(encoding="utf-8") if contributing.exists() else "")
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"platemark {name}" in text
