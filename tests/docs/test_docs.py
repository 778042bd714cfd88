"""The documents do what they say: every command and Python block is run, in order, by a reader.

A document is read in a folder that has the examples and nothing else, so that each file a command
names is there, or was made by a command before it. Pictures are drawn, but few; instead of training
for hours (`tests/train` does, for seconds) the bundled model is put where the trained one would be.
What would change the machine is checked and not run.
"""

import json
import os
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

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest
import typer
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.datasets.manifest import Manifest
from platemark.models.store import find_model
from platemark.plates.pipeline import PlatePipeline
from platemark.train.recipe import read_recipe
from platemark.types import Detection, Result

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW_PICTURES = {"--count": "6"}
# Where the documents say that a server is.
SERVER = "http://localhost:8000"
SHELL = re.compile(r"[|<>`]|&&|\$\(")
# Data of the reader's own, which CONTRIBUTING.md tells to describe: made of the examples here.
OWN_PHOTOS, OWN_PAGES = "my-photos", "my-pages"
OWN_BACKGROUNDS = {"photos-without-plates": "photos", "pages-without-stamps": "documents"}
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    document: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Its shell commands, each on one line."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if shlex.split(line, comments=True)]


def blocks(*languages: str) -> list[Block]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(document.name, line, match[1], match[2]))
    return [block for block in found if block.language in languages]


def own_data(source: Path, target: Path) -> None:
    """Copy examples with their manifest, and give them splits."""
    target.mkdir()
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["split"] = SPLITS[number % len(SPLITS)]
        (target / row["image"]).parent.mkdir(exist_ok=True)
        shutil.copy(source.parent / row["image"], target / row["image"])
    (target / source.name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def own_clip(path: Path) -> None:
    """Film an example for two seconds."""
    with PIL.Image.open(ROOT / "examples" / "photos" / "golf-front.jpg") as photo:
        size, frame = photo.size, np.asarray(photo.convert("RGB"))[..., ::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, size)
    for _ in range(16):
        writer.write(np.ascontiguousarray(frame))
    writer.release()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, where the reader is."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


class Reader:
    """Follows a document, and keeps the server running that it says to start."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._address = SERVER

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.language == "python":
            text = block.code.replace(SERVER, self._address)
            exec(compile(text, str(block), "exec"), {"__name__": "__main__"})
            return
        for command in block.commands:
            self._run(command.replace(SERVER, self._address), f"{block} {command}")

    def _run(self, command: str, place: str) -> None:
        words = shlex.split(command, comments=True)
        if words[:2] in (["platemark", "serve"], ["platemark", "review"]):
            self._serve(words[1:])
        elif words[:2] == ["platemark", "train"]:
            train(words[1:])
        elif words[0] == "platemark" and not SHELL.search(command):
            replaced = [FEW_PICTURES.get(before, word) for before, word in pairs(words[1:])]
            result = CliRunner().invoke(app, replaced)
            assert result.exit_code == 0, f"{place}\n{result.output}\n{result.exception!r}"
        elif words[0] in CHECKED:
            check_other_command(words)
        else:
            bash = ["bash", "-e", "-o", "pipefail", "-c", command]
            done = subprocess.run(bash, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}"

    def _serve(self, words: list[str]) -> None:
        """Start a server as told, but on a free port; one that runs already stops."""
        self.stop()
        child = subprocess.Popen(
            [sys.executable, "-m", "platemark", *free_port(words)],
            env=os.environ | {"PLATEMARK_PORT": "0"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._server = child
        assert child.stderr is not None
        said = next(line for line in child.stderr if "serves on" in line)
        threading.Thread(target=child.stderr.read, daemon=True).start()
        self._address = said.split()[3].rstrip(",").replace("0.0.0.0", "127.0.0.1")

    def stop(self) -> None:
        """Stop the server, if there is one."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(300)
            self._server = None


@pytest.fixture
def reader(workplace: Path) -> Iterator[Reader]:
    """A reader in that folder."""
    one = Reader()
    yield one
    one.stop()


def free_port(words: list[str]) -> list[str]:
    return ["0" if before == "--port" else word for before, word in pairs(words)]


def train(words: list[str]) -> None:
    """Check a command that trains, and its data, and give the bundled model for the trained one."""
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    given = command.make_context("train", words[1:]).params
    manifests = [*(given["data"] or ()), *(given["more"] or ())]
    task, kind = given["what"], given["kind"] or "plate"
    if Path(task).suffix == ".toml":
        # Those of the bundled models are in the repository, but not the photos that they name.
        bundled = not Path(task).exists()
        recipe = read_recipe(ROOT / task if bundled else Path(task), given["changes"] or ())
        manifests = [] if bundled else [one.manifest for one in recipe.data]
        task, kind = recipe.task, recipe.kind
    for manifest in manifests:
        assert Manifest.read(manifest).entries
    shutil.copytree(find_model(task=task, kind=kind).folder, given["output"])


def pairs(words: list[str]) -> list[tuple[str, str]]:
    """Each word after the one before it."""
    return list(zip(["", *words], words, strict=False))


CHECKED = ("make", "pip", "python")


def check_other_command(words: list[str]) -> None:
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = re.findall(r"\[([\w,]+)\]", " ".join(words))
        named = {name for extra in extras for name in extra.split(",")}
        assert named <= set(project["optional-dependencies"])
    else:
        assert words[0] == "python"
        script = [sys.executable, str(ROOT / words[1])]
        told = subprocess.run([*script, "--help"], capture_output=True, text=True, timeout=300)
        assert told.returncode == 0, told.stderr
        assert all(word in told.stdout for word in words[2:] if word.startswith("--"))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize(
    "document", dict.fromkeys(block.document for block in blocks("sh", "python"))
)
def test_a_document_is_followed_from_its_beginning_to_its_end(
    document: str, reader: Reader, workplace: Path
) -> None:
    if document == "CONTRIBUTING.md":
        own_data(ROOT / "examples" / "annotations.jsonl", workplace / OWN_PHOTOS)
        own_data(ROOT / "examples" / "documents" / "annotations.jsonl", workplace / OWN_PAGES)
        for name, examples in OWN_BACKGROUNDS.items():
            shutil.copytree(ROOT / "examples" / examples, workplace / name)
    if document == "video.md":
        own_clip(workplace / "clip.mp4")
    for block in blocks("sh", "python"):
        if block.document == document:
            reader.follow(block)


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
