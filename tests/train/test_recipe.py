"""From manifests to a model folder that the package itself runs."""

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import platemark  # noqa: E402
from platemark.apps.cli.train import TASKS  # noqa: E402
from platemark.datasets.manifest import (  # noqa: E402
    Manifest,
    ManifestEntry,
    StampAnnotation,
    write_manifest,
)
from platemark.errors import DatasetError, SettingsError  # noqa: E402
from platemark.imaging.image import Image  # noqa: E402
from platemark.models.card import CARD_NAME, ModelCard  # noqa: E402
from platemark.models.onnx import OnnxModel  # noqa: E402
from platemark.models.store import find_model  # noqa: E402
from platemark.synth import stamps  # noqa: E402
from platemark.tasks.comparer import Comparer  # noqa: E402
from platemark.tasks.embedder import Embedder  # noqa: E402
from platemark.tasks.segmenter import Segmenter  # noqa: E402
from platemark.train.calibrate import equal_error_score  # noqa: E402
from platemark.train.export import (  # noqa: E402
    KEPT,
    DetectorGraph,
    check_parity,
    load_weights,
)
from platemark.train.nets.detector import DetectorNet  # noqa: E402
from platemark.train.recipe import RECIPES, draw_curve, train  # noqa: E402


@pytest.fixture(scope="module")
def detector(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a detector after a few steps."""
    folder = tmp_path_factory.mktemp("detector")
    train("plate", "detector", [scenes], folder, epochs=1.5, batch=2, threads=1, report=str)
    return folder


@pytest.fixture(scope="module")
def reader(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a reader after a few steps."""
    folder = tmp_path_factory.mktemp("reader")
    train("plate", "reader", [crops], folder, epochs=1, batch=10, seed=6, threads=1, report=str)
    return folder


def test_a_detector_runs_in_the_package(detector: Path, scenes: Path) -> None:
    manifest = Manifest.read(scenes)
    finder = platemark.Detector.from_pretrained(detector, threads=1, min_score=0.0)
    found = finder(manifest.path(manifest.entries[0]))
    assert len(found) > 0
    assert all(mark.kind == "plate" and 0 <= mark.score <= 1 for mark in found)


@pytest.mark.parametrize("size", [(128, 160), (320, 480), (32, 32)])
def test_a_detector_takes_any_size(detector: Path, size: tuple[int, int]) -> None:
    net = load_weights(DetectorNet(), detector / "checkpoint.pt")
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    outputs = OnnxModel(find_model(detector, task="detector", kind="plate"), threads=1).run(
        images=images
    )
    with torch.no_grad():
        expected = DetectorGraph(net)(torch.from_numpy(images))
    assert outputs["boxes"].shape == (2, KEPT, 4)
    assert outputs["quads"].shape == (2, KEPT, 4, 2)
    assert outputs["scores"] == pytest.approx(expected[2].numpy(), abs=1e-4)
    assert np.diff(outputs["scores"], axis=1).max() < 1e-6
    best = outputs["boxes"][:, :5], expected[0].numpy()
    nearest = np.abs(best[0][:, :, None] - best[1][:, None]).max(axis=3).min(axis=2)
    assert nearest.max() < 0.05


def test_a_detector_and_a_reader_make_a_pipeline(
    detector: Path, reader: Path, scenes: Path
) -> None:
    pipeline = platemark.PlatePipeline(
        platemark.Detector.from_pretrained(detector, threads=1, min_score=0.0),
        platemark.PlateReader.from_pretrained(reader, threads=1),
    )
    manifest = Manifest.read(scenes)
    photo = Image.read(manifest.path(manifest.entries[1]))
    marks = pipeline.describe(photo, pipeline.detector(photo)[:3])
    assert len(marks) > 0
    assert all(0 <= mark.text_score <= 1 for mark in marks)


def test_a_reader_runs_in_the_package(reader: Path, crops: Path) -> None:
    manifest = Manifest.read(crops)
    entry = manifest.entries[0]
    recogniser = platemark.PlateReader.from_pretrained(reader, threads=1)
    pixels = Image.read(manifest.path(entry)).pixels
    (reading,) = recogniser([pixels])
    assert 0 <= reading.score <= 1
    assert recogniser.crop_size == (160, 48)


@pytest.fixture(scope="module")
def imprints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of imprints with masks, two of each design, and of the artwork of the designs."""
    folder = tmp_path_factory.mktemp("imprints")
    rng = np.random.default_rng(0)
    entries = []
    for index in range(8):
        ink = np.zeros((150, 180), np.uint8)
        cv2.circle(ink, (90, 75), 60, 255, 6)
        cv2.putText(ink, f"NO {index // 2}", (50, 85), cv2.FONT_HERSHEY_DUPLEX, 1, 255, 2)
        paper = rng.integers(200, 256, (*ink.shape, 3), np.uint8)
        cv2.imwrite(str(folder / f"art{index}.png"), ink)
        paper[ink > 0] = (160, 60, 30)
        cv2.imwrite(str(folder / f"crop{index}.png"), paper)
        for kind, name, mask in (("isolated", "art", None), ("crop", "crop", f"art{index}.png")):
            stamp = StampAnnotation(
                box=(25, 10, 155, 140), shape="circle", identity=f"no {index // 2}", mask=mask
            )
            entries.append(
                ManifestEntry(
                    image=f"{name}{index}.png",
                    width=180,
                    height=150,
                    stamps=(stamp,),
                    kind=kind,
                    split="train",
                    source="platemark synth",
                )
            )
    write_manifest(folder / "annotations.jsonl", entries)
    return folder / "annotations.jsonl"


def test_a_segmenter_runs_in_the_package(imprints: Path, tmp_path: Path) -> None:
    card = train(
        "stamp", "segmenter", [imprints], tmp_path, epochs=1, batch=4, threads=1, report=str
    )
    assert (card.name, card.task, card.kind) == ("stamp-segmenter", "segmenter", "stamp")
    assert 0.2 <= card.thresholds["mask_score"] <= 0.8
    segmenter = Segmenter.from_pretrained(tmp_path, threads=1)
    boxes = [(25, 10, 155, 140), (60, 60, 90, 80), (0, 0, 180, 150)]
    masks = segmenter(imprints.parent / "crop0.png", boxes)
    for mask in masks:
        assert 0 <= mask.probability.min() <= mask.probability.max() <= 1


def test_an_embedder_runs_in_the_package(imprints: Path, tmp_path: Path) -> None:
    bundled = find_model(None, task="segmenter", kind="stamp")
    card = train(
        "stamp",
        "embedder",
        [imprints],
        tmp_path,
        epochs=1,
        batch=4,
        threads=1,
        segmenter=bundled.folder,
        report=str,
    )
    assert (card.name, card.task, card.kind) == ("stamp-embedder", "embedder", "stamp")
    assert card.training["segmenter"] == f"stamp-segmenter@{bundled.card.version}"
    embedder = Embedder.from_pretrained(tmp_path, threads=1)
    ink = cv2.imread(str(imprints.parent / "art0.png"), cv2.IMREAD_GRAYSCALE) / np.float32(255)
    vectors = embedder([ink, np.rot90(ink), ink[20:]])
    assert vectors.shape == (3, 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_comparer_runs_in_the_package(tmp_path: Path) -> None:
    data = [
        stamps.generate(tmp_path / kind, count, 7, kind=kind, near_copies=0.7, workers=1)
        for kind, count in (("imprints", 20), ("artworks", 4))
    ]
    card = train(
        "stamp", "comparer", data, tmp_path / "run", epochs=0.3, batch=2, threads=1, report=str
    )
    assert (card.name, card.task, card.kind) == ("stamp-comparer", "comparer", "stamp")
    comparer = Comparer.from_pretrained(tmp_path / "run", threads=1)
    canvas = np.random.default_rng(0).integers(0, 256, (96, 288, 6), np.uint8)
    assert 0.0 < comparer.judge(canvas).score < 1.0


def test_a_detector_of_stamps_is_trained_and_packaged(imprints: Path, tmp_path: Path) -> None:
    entries = Manifest.read(imprints, kind="crop")
    manifest = imprints.parent / "scenes.jsonl"
    write_manifest(manifest, [entry.model_copy(update={"kind": "scene"}) for entry in entries])
    card = train(
        "stamp", "detector", [manifest], tmp_path, epochs=0.3, batch=2, threads=1, report=str
    )
    assert (card.name, card.kind, card.classes) == ("stamp-detector", "stamp", ("stamp",))
    finder = platemark.Detector.from_pretrained(tmp_path, kind="stamp", threads=1, min_score=0.0)
    found = finder(imprints.parent / "crop0.png")
    assert all(mark.kind == "stamp" for mark in found)


def test_thresholds_of_an_embedder_part_same_from_different() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1], np.float32)
    same = np.array([True, True, True, False, False, False, False])
    threshold = equal_error_score(scores, same)
    assert threshold is not None
    assert 0.6 <= threshold <= 0.7
    assert equal_error_score(scores, np.ones(7, bool)) is None


def test_the_command_line_knows_what_can_be_trained() -> None:
    assert {(kind, task) for kind, tasks in TASKS.items() for task in tasks} == set(RECIPES)


def test_the_card_says_how_it_was_trained(reader: Path, crops: Path) -> None:
    card = ModelCard.read(reader / CARD_NAME)
    assert card.training["seed"] == 6
    assert card.training["marks"] == 30
    (data,) = card.training["data"]
    assert data["manifest"] == crops.name
    assert len(data["sha256"]) == 64


def test_a_model_that_disagrees_is_refused(detector: Path) -> None:
    torch.manual_seed(1)
    other = DetectorGraph(DetectorNet()).eval()
    example = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), np.uint8)
    card = ModelCard.read(detector / CARD_NAME)
    with pytest.raises(RuntimeError, match="off by"):
        check_parity(other, detector, "images", example, card)


def test_what_cannot_be_trained(crops: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plate reader"):
        train("stamp", "classifier", [crops], tmp_path)
    with pytest.raises(ValueError, match="above 0"):
        train("plate", "reader", [crops], tmp_path, minutes=0)
    with pytest.raises(ValueError, match="rate"):
        train("plate", "reader", [crops], tmp_path, rate=-1)
    with pytest.raises(DatasetError, match="train splits"):
        train("plate", "detector", [crops], tmp_path)
    with pytest.raises(DatasetError, match="nowhere"):
        train("plate", "reader", [tmp_path / "nowhere.jsonl"], tmp_path)


def test_a_device_that_is_not_there(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="CUDA"):
        train("plate", "reader", [crops], tmp_path, device="cuda")


def test_the_curve_needs_two_rows(tmp_path: Path) -> None:
    log, picture = tmp_path / "log.csv", tmp_path / "curve.png"
    draw_curve(log, picture)
    log.write_text("step,minutes,rate,ctc\n100,0.1,1e-3,3.0\n")
    draw_curve(log, picture)
    assert not picture.exists()
    log.write_text(log.read_text() + "200,0.2,1e-3,2.0\n")
    draw_curve(log, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
