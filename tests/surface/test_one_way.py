"""What every face does is written once: the loop over pages, the reading order, adding a stamp."""

import ast
from collections.abc import Iterator
from pathlib import Path

import platemark

ROOT = Path(platemark.__file__).parent
TREES = {
    file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
    for file in sorted(ROOT.rglob("*.py"))
}
FILES = {"Image", "Manifest", "ModelCard"}
"""Classes that read a file, not a page of one."""
LOOPS = (ast.For, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def names_in(*nodes: ast.AST) -> set[str]:
    inner = (part for node in nodes for part in ast.walk(node))
    return {node.id for node in inner if isinstance(node, ast.Name)}


def loops_over_pages(tree: ast.AST) -> Iterator[ast.AST]:
    """Loops that read something by what they loop over: ``for page in ...: pages.read(page)``."""
    for loop in ast.walk(tree):
        if not isinstance(loop, LOOPS):
            continue
        heads = [loop] if isinstance(loop, (ast.For, ast.AsyncFor)) else loop.generators
        targets = names_in(*(head.target for head in heads))
        for call in ast.walk(loop):
            if not isinstance(call, ast.Call):
                continue
            read, *args = (call.func, *call.args)
            if ast.unparse(read) == "partial":  # to be called later
                read, *args = args
            if (
                isinstance(read, ast.Attribute)
                and read.attr == "read"
                and names_in(*args) & targets
                and names_in(read.value).isdisjoint(targets | {"Image", "Manifest", "ModelCard"})
            ):
                yield call


def orders_of_marks(tree: ast.AST) -> Iterator[ast.AST]:
    """Keys of a sort that take a side of a box: ``key=lambda mark: mark.box[1]``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "key":
            for part in ast.walk(node.value):
                if (
                    isinstance(part, ast.Subscript)
                    and isinstance(part.value, ast.Attribute)
                    and part.value.attr == "box"
                ):
                    yield part


def calls(name: str, methods_of: str = "") -> list[str]:
    """Files that call a function, or a method of something with this name, once for each call."""
    found = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Name) and not methods_of:
                found += [file] * (function.id == name)
            elif isinstance(function, ast.Attribute) and methods_of:
                owner = ast.unparse(function.value).split(".")[-1].strip("_")
                found += [file] * (function.attr == name and owner == methods_of)
    return found


def test_there_is_one_loop_over_pages() -> None:
    loops = [file for file, tree in TREES.items() for _ in loops_over_pages(tree)]
    assert loops == ["imaging/sources.py"]


def test_inputs_are_opened_by_those_who_give_single_pages_or_the_loop_alone() -> None:
    assert set(calls("open_pages")) == {
        "imaging/draw.py",  # a page drawn once more
        "imaging/sources.py",  # the loop
        "pipeline.py",  # an image, or the pages of a document when they are asked for
        "client/pipelines.py",  # a page drawn once more
        "apps/services.py",  # what was sent, within the limits of the server, for the loop
    }


def test_there_is_one_reading_order() -> None:
    orders = {file for file, tree in TREES.items() for _ in orders_of_marks(tree)}
    assert orders == {"usecases/pages.py"}


def test_stamps_are_added_in_one_place() -> None:
    # The earlier systems' seals are the stamp with the highest score of each picture, all or none.
    assert calls("add", methods_of="registry") == ["apps/legacy/seals.py", "usecases/enrol.py"]


def test_faces_add_and_compare_by_the_use_cases() -> None:
    faces = {file for file in TREES if file.startswith("apps/")}
    adding = {file for file in faces if names_in(TREES[file]) & {"add_stamps", "enrol"}}
    assert adding == {
        "apps/cli/registry_stamps.py",
        "apps/legacy/recognition.py",
        "apps/server/registry.py",
        "apps/web/find.py",
        "apps/web/registry.py",
    }
    assert set(calls("compare_stamps")) == {"apps/services.py", "usecases/compare.py"}
