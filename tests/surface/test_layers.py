"""Imports run one way, and heavy libraries stay where they belong."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import platemark

ROOT = Path(platemark.__file__).parent
LAYERS = [
    {"errors", "types", "masks", "protocols", "parallel", "files", "splits"},
    {"datasets", "imaging", "geometry"},
    {"models", "pipeline", "metrics"},
    {"matching"},
    {"tasks"},
    {"plates", "stamps"},
    {"registry"},
    {"usecases", "client"},
    {"synth", "evaluate"},
    {"train"},
    {"apps"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "onnx", "onnxruntime", "cv2", "pypdfium2", "matplotlib", "typer", "pydantic")

MODULES = sorted(ROOT.rglob("*.py"))


def part_of(file: Path) -> str:
    """The first name under the package that a file belongs to."""
    return file.relative_to(ROOT).with_suffix("").parts[0]


@cache
def parsed(file: Path) -> ast.Module:
    """A file as Python reads it."""
    return ast.parse(file.read_text(encoding="utf-8"))


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from runtime_nodes(node)


@cache
def imported(file: Path) -> set[str]:
    """Dotted names of all modules a file imports, also inside functions."""
    names: set[str] = set()
    package = ".".join(("platemark", *file.relative_to(ROOT).parent.parts))
    for node in runtime_nodes(parsed(file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(relative, package) if node.level else node.module
            assert module is not None
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def own_parts(file: Path) -> set[str]:
    """Parts of platemark that a file imports."""
    dotted = (name.split(".") for name in imported(file))
    return {name[1] for name in dotted if name[0] == "platemark" and len(name) > 1} & set(LEVEL)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_part_imports_only_its_own_and_lower_layers(file: Path) -> None:
    part = part_of(file)
    if part in ("__init__", "__main__"):
        return
    above = {other for other in own_parts(file) if LEVEL[other] > LEVEL[part]}
    assert not above, f"{file.name} is of layer {part} and imports {sorted(above)}"


def test_parts_do_not_import_each_other_in_circles() -> None:
    graph: dict[str, set[str]] = {name: set() for name in LEVEL}
    for file in MODULES:
        if (part := part_of(file)) in graph:
            graph[part] |= own_parts(file) - {part}
    TopologicalSorter(graph).prepare()
    assert "stamps" not in graph["plates"]
    assert "plates" not in graph["stamps"]


# What each room of the synthesis may import besides what stands beside the rooms.
ROOMS: dict[str, set[str]] = {
    "camera": set(),
    "documents": {"camera"},
    "stamps": {"camera", "documents"},
    "plates": {"camera"},
}


def test_rooms_of_the_synthesis_keep_apart() -> None:
    synth = ROOT / "synth"
    for file in synth.rglob("*.py"):
        room = file.relative_to(synth).parts[0]
        rooms = {
            name.split(".")[2] for name in imported(file) if name.startswith("platemark.synth.")
        }
        assert rooms & set(ROOMS) <= ROOMS.get(room, set()) | {room}, file
        assert room == "plates" or "plates" not in own_parts(file), file


def test_folders_of_the_synthesis_are_small() -> None:
    for folder in (ROOT / "synth", *(ROOT / "synth" / room for room in ROOMS)):
        assert len(list(folder.glob("*.py"))) <= 15, folder


def test_pipeline_knows_no_model_and_no_kind() -> None:
    assert own_parts(ROOT / "pipeline.py") <= {
        "errors",
        "types",
        "protocols",
        "parallel",
        "imaging",
        "geometry",
    }


def files_that_import(library: str) -> set[str]:
    return {
        str(file.relative_to(ROOT).as_posix())
        for file in MODULES
        if any(name.split(".")[0] == library for name in imported(file))
    }


def test_onnxruntime_is_imported_in_one_file() -> None:
    assert files_that_import("onnxruntime") == {"models/onnx.py"}


def files_that_name(library: str, *names: str) -> set[str]:
    """Files in which one of the names of a library stands, as ``cv2.imread``."""
    return {
        str(file.relative_to(ROOT).as_posix())
        for file in MODULES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute)
        and node.attr in names
        and ast.unparse(node.value) == library
    }


def test_pictures_are_decoded_in_imaging_only() -> None:
    decoders = ("imread", "imreadmulti", "imdecode", "imdecodemulti")
    assert files_that_name("cv2", *decoders) == {"imaging/pixels.py"}
    assert files_that_import("simplejpeg") == {"imaging/pixels.py"}
    assert files_that_name("cv2", "imwrite", "imencode") == {"imaging/image.py"}
    # What a server answers is no input.
    opened = files_that_name("PIL.Image", "open") | files_that_name("PilImage", "open")
    assert all(file.startswith("client/") for file in opened)
    assert all(file.startswith("imaging/") for file in files_that_import("pypdfium2"))


def test_pictures_are_warped_in_one_file() -> None:
    assert files_that_name("cv2", "warpPerspective", "warpAffine") == {"imaging/warp.py"}
    transforms = ("getPerspectiveTransform", "getAffineTransform", "perspectiveTransform")
    assert not files_that_name("cv2", *transforms)


def test_sql_is_spoken_in_the_registry_only() -> None:
    assert files_that_import("sqlite3") == {"registry/sqlite.py"}
    assert files_that_import("psycopg") | files_that_import("pgvector") == {"registry/postgres.py"}
    assert files_that_import("faiss") == {"registry/index.py"}


@pytest.mark.parametrize("library", ["torch", "onnx", "onnxscript", "matplotlib"])
def test_training_libraries_are_imported_in_train_only(library: str) -> None:
    assert all(file.startswith("train/") for file in files_that_import(library))


def test_the_server_library_is_imported_by_the_server_only() -> None:
    files = files_that_import("fastapi") | files_that_import("starlette")
    assert files
    assert all(file.startswith(("apps/server/", "apps/legacy/", "apps/review/")) for file in files)
    assert files_that_import("uvicorn") == {"apps/server/run.py"}
    assert files_that_import("prometheus_client") == {"apps/metrics.py"}
    assert files_that_import("pydantic_settings") == {"apps/settings.py"}


def test_the_web_app_library_is_imported_by_the_web_app_only() -> None:
    files = files_that_import("gradio")
    assert files
    assert all(file.startswith("apps/web/") for file in files)


def test_the_client_library_is_imported_by_the_client_only() -> None:
    assert files_that_import("httpx") == {"client/connection.py", "client/webhook.py"}


def test_ray_is_imported_in_one_file() -> None:
    assert files_that_import("ray") == {"apps/batch_ray.py"}


def test_folders_are_watched_in_one_file() -> None:
    assert files_that_import("watchdog") == {"usecases/folder.py"}


def test_the_command_line_library_is_imported_in_apps_only() -> None:
    files = files_that_import("typer") | files_that_import("rich")
    assert all(file.startswith("apps/") for file in files)


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, platemark; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_help_starts_without_models_or_networks() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from platemark.apps.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "heavy = ('torch', 'onnxruntime', 'cv2', 'numpy', 'pydantic');"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_public_names_are_sorted_and_there() -> None:
    assert list(platemark.__all__) == sorted(platemark.__all__)
    for name in platemark.__all__:
        assert getattr(platemark, name) is not None
