"""Models for tests: painted parts that stand in for the networks, and tiny networks that are real.

A painted plate is a rectangle with a red border; the blue of its ground says what it reads. The
tiny networks are ONNX files made by hand: what they answer can be told from the picture.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.models.card import FileEntry, ModelCard
from platemark.plates.pipeline import PlatePipeline
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Character, Crop, Detection, Reading

Paint = Callable[..., Path]
# A busy machine is slow, not wrong; and the same code passes or fails alike every time.
# `pytest --hypothesis-profile=explore` looks for new examples.
settings.register_profile("explore", deadline=None)
settings.register_profile("platemark", deadline=None, derandomize=True)
settings.load_profile("platemark")


def _not_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail what was skipped where the tests decide: all that they need is there."""
    if report.skipped and os.environ.get("CI", "").lower() in ("1", "true"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no test may be skipped in CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at what became of a test."""
    report = yield
    _not_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at what became of a file of tests."""
    report = yield
    _not_skipped(report)
    return report


MakeModel = Callable[..., Path]
Node = tuple[str, Sequence[str], Sequence[str], dict[str, Any]]
TEXTS = ("AB12CD", "O0I1", "KA777", "", "XY99")


class PaintedDetector:
    """Finds red frames; the fuller the red, the better the score."""

    def __init__(self, min_score: float | None = None) -> None:
        self._min_score = 0.5 if min_score is None else min_score

    def __call__(self, image: ImageInput, *, min_score: float | None = None) -> list[Detection]:
        pixels = Image.read(image).pixels
        red = (pixels[..., 0] > 100) & (pixels[..., 1] < 20)
        count, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        found = [self._detection(pixels, *stats[label, :4].tolist()) for label in range(1, count)]
        least = self._min_score if min_score is None else min_score
        kept = (detection for detection in found if detection.score >= least)
        return sorted(kept, key=lambda detection: -detection.score)

    @staticmethod
    def _detection(pixels: Pixels, x: int, y: int, width: int, height: int) -> Detection:
        box = (x, y, x + width, y + height)
        quad = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        return Detection("plate", float(pixels[y, x, 0]) / 255, box, quad)


class PaintedReader:
    """Reads the blue in the middle of a plate."""

    crop_size = (48, 16)
    margin = 0.0

    def __call__(self, crops: Sequence[Crop | Pixels]) -> list[Reading]:
        return [self._reading(crop.pixels) for crop in crops if isinstance(crop, Crop)]

    @staticmethod
    def _reading(pixels: Pixels) -> Reading:
        text = TEXTS[round(int(pixels[8, 24, 2]) / 50) % len(TEXTS)]
        if not text:
            return Reading(None, 0.0)
        return Reading(text, 0.9, tuple(Character(char, 0.95) for char in text))


@pytest.fixture
def painted_pipeline() -> PlatePipeline:
    """The plate pipeline with parts that find and read painted plates."""
    return PlatePipeline(PaintedDetector(), PaintedReader())  # type: ignore[arg-type]


@pytest.fixture
def painted_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that loads the bundled models get the parts for painted plates."""

    def from_pretrained(
        model: object = None, *, threads: int | None = None, min_score: float | None = None
    ) -> PlatePipeline:
        return PlatePipeline(PaintedDetector(min_score), PaintedReader())  # type: ignore[arg-type]

    monkeypatch.setattr(PlatePipeline, "from_pretrained", from_pretrained)


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Paint a picture with plates and return where it lies, under the test's own folder."""

    def picture(name: str, *plates: tuple[tuple[int, int, int, int], str], red: int = 255) -> Path:
        pixels = np.full((240, 320, 3), 90, np.uint8)
        for (x0, y0, x1, y1), text in plates:
            pixels[y0:y1, x0:x1] = (red, 0, 0)
            pixels[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = (50, 200, 50 * TEXTS.index(text))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        return path

    return picture


ALPHABET = "AB"
FRAMES = 8
# Difference of the channels from which on the tiny networks for stamps see a colour.
_COLORED = 40.0
SEGMENTER_SIDE, VERIFIER_SIDE, EMBEDDER_SIDE, DIMENSIONS = 64, 64, 48, 16
# What the tiny reader takes for the blank, an A and a B.
GREYS = (0.0, 128.0, 255.0)


def _save_network(
    path: Path, nodes: list[Node], constants: dict[str, Any], inputs: list[Any], outputs: list[Any]
) -> None:
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "tiny",
        inputs,
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


# What the tiny detectors find: white plates, and stamps of any colour but grey.
_FOUND: dict[str, list[Node]] = {
    "plate": [
        ("ReduceMin", ["f"], ["darkest"], {"axes": [3], "keepdims": 0}),
        ("Greater", ["darkest", "white"], ["found"], {}),
    ],
    "stamp": [
        ("ReduceMax", ["f"], ["lightest"], {"axes": [3], "keepdims": 0}),
        ("ReduceMin", ["f"], ["darkest"], {"axes": [3], "keepdims": 0}),
        ("Sub", ["lightest", "darkest"], ["chroma"], {}),
        ("Greater", ["chroma", "colored"], ["found"], {}),
    ],
}


def _box_nodes(kind: str) -> list[Node]:
    """``images`` give ``x0``, ``y0``, ``x1``, ``y1`` (N, 1) of what is found; ``any`` if any is."""
    nodes: list[Node] = [
        ("Cast", ["images"], ["f"], {"to": TensorProto.FLOAT}),
        *_FOUND[kind],
        ("Cast", ["found"], ["mask"], {"to": TensorProto.FLOAT}),
        ("ReduceMax", ["mask"], ["columns"], {"axes": [1], "keepdims": 0}),
        ("ReduceMax", ["mask"], ["rows"], {"axes": [2], "keepdims": 0}),
        ("ReduceMax", ["columns"], ["any"], {"axes": [1], "keepdims": 1}),
    ]
    for name, line, last in (
        ("x0", "columns", 0),
        ("y0", "rows", 0),
        ("x1", "columns", 1),
        ("y1", "rows", 1),
    ):
        nodes += [
            ("ArgMax", [line], [f"{name}_index"], {"axis": 1, "select_last_index": last}),
            ("Cast", [f"{name}_index"], [f"{name}_float"], {"to": TensorProto.FLOAT}),
            ("Add", [f"{name}_float", "one" if last else "zero"], [name], {}),
        ]
    return nodes


def _save_detector(path: Path, kind: str, sure_width: float) -> None:
    """Save a network that finds what is white, or what has a colour.

    It gives two boxes: that of all such pixels, with score 0.9 where it is ``sure_width`` wide or
    more, 0.2 where it is narrower, 0 where there are none; and the same box again with half the
    score, for non-maximum suppression to drop.
    """
    nodes = [
        *_box_nodes(kind),
        ("Concat", ["x0", "y0", "x1", "y1"], ["box"], {"axis": 1}),
        ("Concat", ["x0", "y0", "x1", "y0", "x1", "y1", "x0", "y1"], ["quad"], {"axis": 1}),
        ("Reshape", ["box", "box_shape"], ["box1"], {}),
        ("Concat", ["box1", "box1"], ["boxes"], {"axis": 1}),
        ("Reshape", ["quad", "quad_shape"], ["quad1"], {}),
        ("Concat", ["quad1", "quad1"], ["quads"], {"axis": 1}),
        ("Sub", ["x1", "x0"], ["width"], {}),
        ("GreaterOrEqual", ["width", "sure_width"], ["wide"], {}),
        ("Where", ["wide", "sure", "unsure"], ["by_width"], {}),
        ("Mul", ["by_width", "any"], ["score"], {}),
        ("Mul", ["score", "half"], ["half_score"], {}),
        ("Concat", ["score", "half_score"], ["scores"], {"axis": 1}),
    ]
    floats = {"white": 200, "one": 1, "zero": 0, "sure": 0.9, "unsure": 0.2, "half": 0.5}
    floats |= {"colored": _COLORED}
    constants: dict[str, Any] = {name: np.float32(value) for name, value in floats.items()}
    constants["sure_width"] = np.float32(sure_width)
    constants |= {"box_shape": np.array([-1, 1, 4]), "quad_shape": np.array([-1, 1, 4, 2])}
    value = helper.make_tensor_value_info
    shapes = {"boxes": ["N", 2, 4], "quads": ["N", 2, 4, 2], "scores": ["N", 2]}
    _save_network(
        path,
        nodes,
        constants,
        [value("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
    )


def _save_reader(path: Path, height: int, width: int) -> None:
    """Save a network that reads `FRAMES` stripes by their mean grey, see `GREYS`."""
    nodes: list[Node] = [
        ("Cast", ["crops"], ["f"], {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["f"], ["columns"], {"axes": [1], "keepdims": 0}),
        ("Reshape", ["columns", "stripes"], ["striped"], {}),
        ("ReduceMean", ["striped"], ["mean"], {"axes": [2], "keepdims": 1}),
        ("Sub", ["mean", "greys"], ["difference"], {}),
        ("Abs", ["difference"], ["distance"], {}),
        ("Mul", ["distance", "slope"], ["logits"], {}),
        ("LogSoftmax", ["logits"], ["log_probs"], {"axis": -1}),
    ]
    constants = {
        "stripes": np.array([-1, FRAMES, width // FRAMES]),
        "greys": np.array(GREYS, np.float32).reshape(1, 1, 3),
        "slope": np.float32(-0.1),
    }
    value = helper.make_tensor_value_info
    _save_network(
        path,
        nodes,
        constants,
        [value("crops", TensorProto.UINT8, ["N", height, width])],
        [value("log_probs", TensorProto.FLOAT, ["N", FRAMES, 3])],
    )


def _save_segmenter(path: Path) -> None:
    """Save a network that takes for ink what has a colour."""
    nodes: list[Node] = [
        ("Cast", ["crops"], ["f"], {"to": TensorProto.FLOAT}),
        *_FOUND["stamp"][:-1],
        ("Sub", ["chroma", "colored"], ["more"], {}),
        ("Mul", ["more", "slope"], ["logit"], {}),
        ("Sigmoid", ["logit"], ["ink"], {}),
    ]
    side, value = SEGMENTER_SIDE, helper.make_tensor_value_info
    _save_network(
        path,
        nodes,
        {"colored": np.float32(_COLORED), "slope": np.float32(0.1)},
        [value("crops", TensorProto.UINT8, ["N", side, side, 3])],
        [value("ink", TensorProto.FLOAT, ["N", side, side])],
    )


def _save_embedder(path: Path) -> None:
    """Save a network that describes ink by its amounts in the fields of a 4x4 board."""
    nodes: list[Node] = [
        ("Cast", ["ink"], ["f"], {"to": TensorProto.FLOAT}),
        ("Unsqueeze", ["f", "channel"], ["plane"], {}),
        (
            "AveragePool",
            ["plane"],
            ["board"],
            {"kernel_shape": [EMBEDDER_SIDE // 4] * 2, "strides": [EMBEDDER_SIDE // 4] * 2},
        ),
        ("Flatten", ["board"], ["vector"], {}),
        ("LpNormalization", ["vector"], ["embedding"], {"axis": 1, "p": 2}),
    ]
    value = helper.make_tensor_value_info
    _save_network(
        path,
        nodes,
        {"channel": np.array([1])},
        [value("ink", TensorProto.UINT8, ["N", EMBEDDER_SIDE, EMBEDDER_SIDE])],
        [value("embedding", TensorProto.FLOAT, ["N", DIMENSIONS])],
    )


def _save_verifier(path: Path) -> None:
    """Save a network that takes a crop for a stamp that has much colour: 0 at a mean of 10."""
    nodes: list[Node] = [
        ("Cast", ["crops"], ["f"], {"to": TensorProto.FLOAT}),
        *_FOUND["stamp"][:-1],
        ("ReduceMean", ["chroma"], ["mean"], {"axes": [1, 2], "keepdims": 0}),
        ("Sub", ["mean", "middle"], ["more"], {}),
        ("Mul", ["more", "slope"], ["log_odds"], {}),
    ]
    side, value = VERIFIER_SIDE, helper.make_tensor_value_info
    _save_network(
        path,
        nodes,
        {"middle": np.float32(10), "slope": np.float32(0.2)},
        [value("crops", TensorProto.UINT8, ["N", side, side, 3])],
        [value("log_odds", TensorProto.FLOAT, ["N"])],
    )


CLASSIFIER_SIZE = (16, 64)
REGIONS = ("eu-pl", "eu-de", "kz", "xx-unknown")


def _save_classifier(path: Path) -> None:
    """Save a network that goes by where a crop is bright and by its colour.

    Red, green and blue are a plate of Poland, Germany and Kazakhstan; its top is where it is
    brightest; red has one line and blue two, and the more green there is, the more is hidden.
    """
    height, width = CLASSIFIER_SIZE
    sides = np.zeros((height, width, 5), np.float32)
    sides[: height // 4, :, 0] = sides[:, -width // 4 :, 1] = 1
    sides[-height // 4 :, :, 2] = sides[:, : width // 4, 3] = 1
    sides *= 4 * 3 / (height * width)
    nodes: list[Node] = [
        ("Cast", ["crops"], ["f"], {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["f"], ["colour"], {"axes": [1, 2], "keepdims": 0}),
        ("MatMul", ["colour", "coloured"], ["by_colour"], {}),
        ("LogSoftmax", ["by_colour"], ["regions"], {"axis": 1}),
        ("MatMul", ["colour", "counted"], ["by_blue"], {}),
        ("LogSoftmax", ["by_blue"], ["lines"], {"axis": 1}),
        ("ReduceMean", ["f"], ["grey"], {"axes": [3], "keepdims": 0}),
        ("Reshape", ["grey", "flat"], ["row"], {}),
        ("MatMul", ["row", "sides"], ["by_side"], {}),
        ("LogSoftmax", ["by_side"], ["orientations"], {"axis": 1}),
        ("MatMul", ["colour", "greened"], ["green"], {}),
        ("Sub", ["green", "middle"], ["obscured"], {}),
    ]
    constants = {
        "coloured": np.hstack([np.eye(3), np.zeros((3, 1))]).astype(np.float32) / 8,
        "counted": np.array([[0.1, 0, 0], [0, 0, 0], [0, 0.1, 0]], np.float32),
        "flat": np.array([-1, height * width], np.int64),
        "sides": sides.reshape(-1, 5) / 3,
        "greened": np.array([0, 0.1, 0], np.float32),
        "middle": np.float32(12),
    }
    value = helper.make_tensor_value_info
    shapes = {"regions": ["N", 4], "lines": ["N", 3], "orientations": ["N", 5], "obscured": ["N"]}
    _save_network(
        path,
        nodes,
        constants,
        [value("crops", TensorProto.UINT8, ["N", height, width, 3])],
        [value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
    )


def _write_card(folder: Path, **fields: Any) -> Path:
    data = (folder / "model.onnx").read_bytes()
    files = {"model.onnx": FileEntry(bytes=len(data), sha256=sha256(data).hexdigest())}
    usual = {"version": "1", "kind": "plate"}
    ModelCard(files=files, **(usual | fields)).write(folder / "card.json")
    return folder


@pytest.fixture
def make_detector(tmp_path: Path) -> MakeModel:
    """Make the folder of a detector that finds what is white; see `_save_detector`."""

    def make(name: str = "plate-detector", *, sure_width: float = 1, **fields: Any) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        _save_detector(folder / "model.onnx", fields.get("kind", "plate"), sure_width)
        usual = {"preprocess": {"long_side": 320}, "thresholds": {"min_score": 0.4}}
        return _write_card(folder, name=name, task="detector", **(usual | fields))

    return make


@pytest.fixture
def make_reader(tmp_path: Path) -> MakeModel:
    """Make the folder of a reader of grey stripes; see `_save_reader`."""

    def make(name: str = "plate-reader", **fields: Any) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        _save_reader(folder / "model.onnx", 16, 64)
        usual = {"preprocess": {"height": 16, "width": 64}, "decode": {"alphabet": ALPHABET}}
        return _write_card(folder, name=name, task="reader", **(usual | fields))

    return make


@pytest.fixture
def make_classifier(tmp_path: Path) -> MakeModel:
    """Make the folder of a classifier of colours; see `_save_classifier`."""

    def make(name: str = "plate-classifier", **fields: Any) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        _save_classifier(folder / "model.onnx")
        height, width = CLASSIFIER_SIZE
        usual = {
            "preprocess": {"height": height, "width": width},
            "decode": {"regions": REGIONS},
        }
        return _write_card(folder, name=name, task="classifier", **(usual | fields))

    return make


@pytest.fixture
def make_verifier(tmp_path: Path) -> MakeModel:
    """Make the folder of a verifier that likes colour; see `_save_verifier`."""

    def make(name: str = "stamp-verifier", **fields: Any) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        _save_verifier(folder / "model.onnx")
        usual = {
            "preprocess": {"side": VERIFIER_SIDE, "context": 1.5, "outside": 0.5},
            "decode": {"weight": 0.5},
            "thresholds": {"min_score": 0.4, "candidate_score": 0.1},
        }
        return _write_card(folder, name=name, kind="stamp", task="verifier", **(usual | fields))

    return make


@pytest.fixture
def stripes() -> Callable[[str], NDArray[np.uint8]]:
    """Make a plate (32, 160, 3) that the tiny reader reads as the text given, a space a blank."""

    def make(text: str) -> NDArray[np.uint8]:
        greys = [GREYS[(" " + ALPHABET).index(char)] for char in text.ljust(FRAMES)]
        line = np.repeat(np.array(greys, np.uint8), 160 // FRAMES)
        return np.broadcast_to(line[None, :, None], (32, 160, 3)).copy()

    return make


@pytest.fixture
def stamp_models(tmp_path: Path, make_detector: MakeModel) -> Path:
    """The folder of tiny models that find, cut out and embed stamps of any colour but grey."""
    folder = make_detector("stamp-detector", kind="stamp", preprocess={"long_side": 640}).parent
    side = {"side": SEGMENTER_SIDE, "margin": 0.08}
    for task, save_model, preprocess in (
        ("segmenter", _save_segmenter, side),
        ("embedder", _save_embedder, {"side": EMBEDDER_SIDE}),
    ):
        own = folder / f"stamp-{task}"
        own.mkdir(exist_ok=True)
        save_model(own / "model.onnx")
        _write_card(own, name=own.name, kind="stamp", task=task, preprocess=preprocess)
    return folder


class ManyStamps:
    """Finds every coloured patch, where the tiny network finds one box around all."""

    def __call__(self, image: ImageInput, *, min_score: float | None = None) -> list[Detection]:
        pixels = Image.read(image).pixels
        colored = (np.ptp(pixels, axis=2) > _COLORED).astype(np.uint8)
        joined = cv2.dilate(colored, np.ones((25, 25), np.uint8))
        contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        height, width = colored.shape
        boxes = [
            (max(0, x + 12), max(0, y + 12), min(width, x + w - 12), min(height, y + h - 12))
            for x, y, w, h in map(cv2.boundingRect, contours)
        ]
        return [
            Detection("stamp", 0.9, (x0, y0, x1, y1), ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
            for x0, y0, x1, y1 in boxes
        ]


@pytest.fixture
def stamp_pipeline(stamp_models: Path) -> StampPipeline:
    """The stamp pipeline of the tiny models, with a detector of many stamps."""
    pipeline = StampPipeline.from_pretrained(stamp_models, threads=1)
    return StampPipeline(ManyStamps(), pipeline.segmenter, pipeline.embedder)  # type: ignore[arg-type]


_INKS = {
    "blue": (40, 60, 170),
    "red": (200, 30, 40),
    "green": (20, 130, 60),
    "violet": (100, 40, 150),
    "brown": (120, 70, 30),
    "black": (40, 40, 45),
}


def _draw_stamp(
    page: Pixels,
    shape: str,
    centre: tuple[float, float],
    size: float,
    color: str = "blue",
    *,
    turn: float = 0.0,
    text: Sequence[str] = ("ACME Ltd", "No 12345", "Kyiv 2021"),
) -> NDArray[np.float32]:
    """Print a stamp on a page, and return how much of each of its pixels is ink (H, W).

    Args:
        page: (H, W, 3) uint8 RGB, changed.
        shape: ``circle``, ``oval``, ``rectangle``, ``triangle`` or, for text alone, ``other``.
        centre: Of the stamp in pixels of the page.
        size: Longer side of the stamp in pixels.
        color: Name of the ink.
        turn: Clockwise, in degrees.
        text: Straight lines.
    """
    art = np.zeros((400, 400), np.uint8)
    middle = 200
    if shape in ("circle", "oval"):
        axes = (190, 190) if shape == "circle" else (190, 115)
        for scale, line in ((1.0, 6), (0.68, 3)):
            radii = tuple(round(scale * axis) for axis in axes)
            cv2.ellipse(art, (middle, middle), radii, 0, 0, 360, 255, line, cv2.LINE_AA)
    elif shape == "rectangle":
        cv2.rectangle(art, (10, 100), (390, 300), 255, 6)
    elif shape == "triangle":
        corners = np.array([[200, 12], [390, 340], [10, 340]])
        cv2.polylines(art, [corners], True, 255, 6, cv2.LINE_AA)
        middle = 250
    for number, line in enumerate(text):
        wide, _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 3)
        place = (200 - wide[0] // 2, round(middle + 12 + (number - (len(text) - 1) / 2) * 40))
        cv2.putText(art, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 3, cv2.LINE_AA)
    # Half a pixel, since OpenCV counts from the centres of pixels.
    to_page = cv2.getRotationMatrix2D((199.5, 199.5), -turn, size / 386)
    to_page[:, 2] += np.subtract(centre, 0.5) - 199.5
    height, width = page.shape[:2]
    sheet = cv2.warpAffine(art, to_page, (width, height), flags=cv2.INTER_AREA)
    ink = sheet.astype(np.float32) / 255
    taken = 1.0 - ink[..., None] * (1.0 - np.array(_INKS[color], np.float32) / 255)
    page[:] = np.rint(page * taken).astype(np.uint8)
    return ink


_HOLDER = """
import sqlite3, sys
held = sqlite3.connect({file!r}, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
held.execute("INSERT INTO settings VALUES ('held', 'yes')")
print("holding", flush=True)
sys.stdin.readline()
held.execute("COMMIT")
print("committed", flush=True)
"""


@contextmanager
def _held_file(file: str) -> Iterator[Callable[[], None]]:
    command = [sys.executable, "-c", _HOLDER.format(file=file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "holding\n"

        def commit() -> None:
            assert child.poll() is None
            output, _ = child.communicate("now\n", timeout=300)
            assert output == "committed\n"

        try:
            yield commit
        finally:
            if child.poll() is None:
                child.kill()


@pytest.fixture(scope="session")
def held_file() -> Callable[[str], AbstractContextManager[Callable[[], None]]]:
    """Another process changes the registry in a file while the block runs.

    The block gets a function that has the change committed, and fails if it is not held any more.
    """
    return _held_file


@pytest.fixture(scope="session")
def draw_stamp() -> Callable[..., NDArray[np.float32]]:
    """Print a stamp on a page; see `_draw_stamp`."""
    return _draw_stamp


class Receiver:
    """A receiver of webhooks on a free port that answers as it is told.

    Attributes:
        answers: Status of each answer to come, ``"drop"`` to close the connection, ``"hang"`` for
            no answer; 200 when there are no more.
        headers: Of answers that refuse.
        got: Headers, with names in lower case, and body of each request.
        times: When each came.
    """

    def __init__(self) -> None:
        self.answers: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.times: list[float] = []
        self._ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/plates"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        body = request.rfile.read(int(request.headers["content-length"]))
        self.times.append(time.monotonic())
        answer = self.answers.pop(0) if self.answers else 200
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if answer == "hang":
            self._ended.wait(5)
        if isinstance(answer, str):
            request.close_connection = True
            return
        request.send_response(answer)
        for name, value in self.headers.items() if answer >= 400 else ():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with Receiver() as one:
        yield one
