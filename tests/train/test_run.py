"""From manifests to a model folder that the package itself runs."""

import hashlib
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import platemark  # noqa: E402
from platemark.datasets.manifest import (  # noqa: E402
    Manifest,
    ManifestEntry,
    StampAnnotation,
    write_manifest,
)
from platemark.errors import (  # noqa: E402
    DatasetError,
    ModelMismatch,
    RecipeError,
    SettingsError,
)
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
from platemark.train.recipe import TASKS, as_recipe, read_recipe  # noqa: E402
from platemark.train.run import Machine, plot_run, train  # noqa: E402
from platemark.train.stages import STAGES  # noqa: E402

ROOT = Path(__file__).parents[2]


def made(
    kind: str, task: str, data: list[Path], output: Path, *, seed: int = 0, **schedule: float
) -> ModelCard:
    """Train from random weights on one thread."""
    table = {"kind": kind, "task": task, "seed": seed, "parent": "nothing", "schedule": schedule}
    recipe = as_recipe(table | {"data": [{"manifest": path} for path in data]})
    return train(recipe, output, machine=Machine(threads=1), report=str).card


@pytest.fixture(scope="module")
def detector(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a detector after a few steps."""
    folder = tmp_path_factory.mktemp("detector")
    made("plate", "detector", [scenes], folder, epochs=1.5, batch=2)
    return folder


@pytest.fixture(scope="module")
def reader(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a reader after a few steps."""
    folder = tmp_path_factory.mktemp("reader")
    made("plate", "reader", [crops], folder, epochs=1, batch=10, seed=6)
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
    card = made("stamp", "segmenter", [imprints], tmp_path, epochs=1, batch=4)
    assert (card.name, card.task, card.kind) == ("stamp-segmenter", "segmenter", "stamp")
    assert 0.2 <= card.thresholds["mask_score"] <= 0.8
    segmenter = Segmenter.from_pretrained(tmp_path, threads=1)
    boxes = [(25, 10, 155, 140), (60, 60, 90, 80), (0, 0, 180, 150)]
    masks = segmenter(imprints.parent / "crop0.png", boxes)
    for mask in masks:
        assert 0 <= mask.probability.min() <= mask.probability.max() <= 1


def test_an_embedder_runs_in_the_package(imprints: Path, tmp_path: Path) -> None:
    bundled = find_model(None, task="segmenter", kind="stamp")
    table = {"segmenter": str(bundled.folder), "schedule": {"epochs": 1, "batch": 4}}
    recipe = as_recipe(
        {"kind": "stamp", "task": "embedder", "parent": "nothing"}
        | {"data": [{"manifest": imprints}]}
        | table
    )
    card = train(recipe, tmp_path, machine=Machine(threads=1), report=str).card
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
    card = made("stamp", "comparer", data, tmp_path / "run", epochs=0.3, batch=2)
    assert (card.name, card.task, card.kind) == ("stamp-comparer", "comparer", "stamp")
    comparer = Comparer.from_pretrained(tmp_path / "run", threads=1)
    canvas = np.random.default_rng(0).integers(0, 256, (96, 288, 6), np.uint8)
    assert 0.0 < comparer.judge(canvas).score < 1.0


def test_a_detector_of_stamps_is_trained_and_packaged(imprints: Path, tmp_path: Path) -> None:
    entries = Manifest.read(imprints, kind="crop")
    manifest = imprints.parent / "scenes.jsonl"
    write_manifest(manifest, [entry.model_copy(update={"kind": "scene"}) for entry in entries])
    card = made("stamp", "detector", [manifest], tmp_path, epochs=0.3, batch=2)
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


def test_recipes_know_what_can_be_trained() -> None:
    assert {(kind, task) for kind, tasks in TASKS.items() for task in tasks} == set(STAGES)


def test_the_card_has_all_that_it_takes_to_make_the_model_again(reader: Path, crops: Path) -> None:
    card = ModelCard.read(reader / CARD_NAME)
    recipe = card.training["recipe"]
    assert (recipe["task"], recipe["seed"], recipe["parent"]) == ("reader", 6, "nothing")
    (data,) = recipe["data"]
    assert data["manifest"] == f"{crops.parent.name}/{crops.name}"
    assert data["sha256"] == hashlib.sha256(crops.read_bytes()).hexdigest()
    assert recipe["schedule"]["batch"] == 10
    assert recipe["network"]["channels"] == [24, 48, 96, 144]
    assert card.training["marks"] == 30
    assert card.training["versions"]["torch"] == torch.__version__
    # written before the first step
    started = json.loads((reader / "run.json").read_text())
    assert started["versions"] == card.training["versions"]
    assert read_recipe(reader / "recipe.toml").stated() == recipe


def test_a_resolved_recipe_makes_the_same_model_again(reader: Path, tmp_path: Path) -> None:
    recipe = read_recipe(reader / "recipe.toml")
    card = train(recipe, tmp_path, machine=Machine(threads=1), report=str).card
    assert card.files == ModelCard.read(reader / CARD_NAME).files


def test_data_that_have_changed_are_refused(reader: Path, crops: Path, tmp_path: Path) -> None:
    copied = tmp_path / "crops"
    shutil.copytree(crops.parent, copied)
    with (copied / crops.name).open("a") as file:
        file.write("\n")
    change = f"data.0.manifest={copied / crops.name}"
    recipe = read_recipe(reader / "recipe.toml", [change])
    with pytest.raises(DatasetError, match=r"data.0.sha256: is not what the recipe states"):
        train(recipe, tmp_path / "run", report=str)


@pytest.fixture(scope="module")
def photos(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of the plates as if they were photos, every third of the dev split."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copytree(crops.parent / "images", folder / "images")
    entries = [
        entry.model_copy(update={"source": "photos", "split": "train" if number % 3 else "dev"})
        for number, entry in enumerate(Manifest.read(crops))
    ]
    write_manifest(folder / "annotations.jsonl", entries)
    return folder / "annotations.jsonl"


def test_the_bundled_model_is_fine_tuned_in_attempts_and_compared(
    photos: Path, tmp_path: Path
) -> None:
    arcadia = ROOT / "examples" / "invented-country" / "xx-arcadia.toml"
    table = {
        "kind": "plate",
        "task": "reader",
        "data": [{"manifest": photos}],
        "synthetic": [{"pictures": "crops", "count": 4, "formats": arcadia}],
        "augmentation": {"real_share": 0.5},
        "schedule": {"epochs": 1, "batch": 12, "checks": 2},
    }
    told: list[str] = []
    output = tmp_path / "run"
    run = partial(train, attempts=2, machine=Machine(threads=1), report=told.append)
    trained = run(as_recipe(table), output)
    bundled = find_model(task="reader", kind="plate").card
    recipe = trained.card.training["recipe"]
    assert recipe["parent"] == {
        "model": "plate-reader",
        "sha256": bundled.files["model.onnx"].sha256,
    }
    assert recipe["schedule"]["rate"] == 0.25 * STAGES["plate", "reader"].schedule.rate
    assert recipe["synthetic"][0]["count"] == 4
    attempts = trained.card.training["attempts"]
    assert attempts["values"] == [round(value, 4) for value in trained.attempts]
    assert attempts["values"][attempts["best"] - 1] == attempts["most"]
    assert (attempts["least"], attempts["figure"]) == (min(attempts["values"]), "exact")
    best = ModelCard.read(output / f"attempt-{attempts['best']}" / CARD_NAME)
    assert (best.files, best.training["held_out"]["plates"]) == (trained.card.files, 10)
    exact = next(one for one in trained.compared if one.name.startswith("exact match, annotated"))
    assert exact.n == 10
    # Few steps at a low rate: what the bundled model knew is there still.
    assert exact.trained > 0.5
    stated = {figure.name: figure for figure in trained.card.metrics}
    assert stated[exact.name].value == exact.trained
    # The format that it was taught is known wherever the model is used.
    assert platemark.PlatePipeline.from_pretrained(output).decoder.grammar.matches("K0R4A8E")
    assert not platemark.PlatePipeline.from_pretrained().decoder.grammar.matches("K0R4A8E")
    find_model(output, task="reader", kind="plate")  # and verified
    # The pictures are generated once.
    assert sum("generating" in line for line in told) == 1
    run(as_recipe(table), output, resume=True)
    assert sum("generating" in line for line in told) == 1
    changed = table | {"seed": 5}
    with pytest.raises(RecipeError, match="seed: the run to resume has another one"):
        run(as_recipe(changed), output, resume=True)


def test_the_example_of_an_invented_country_is_taught(tmp_path: Path) -> None:
    few = ["--photos", "20", "--unseen", "4", "--set", "synthetic.0.count=2"]
    few += ["--set", "schedule={epochs = 0.1, checks = 0}"]
    words = [sys.executable, str(ROOT / "examples" / "invented-country" / "teach.py")]
    done = subprocess.run(
        [*words, str(tmp_path), *few], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.splitlines()[-2:]
    assert before.startswith("before: ")
    assert after.startswith("after: ")
    assert "of 4 read" in after
    splits = [entry.split for entry in Manifest.read(tmp_path / "photos" / "annotations.jsonl")]
    assert (splits.count("train"), splits.count("dev")) == (18, 2)


def test_a_recipe_asks_for_what_the_task_has(crops: Path, tmp_path: Path) -> None:
    table = {"kind": "plate", "task": "reader", "data": [{"manifest": crops}]}
    for wrong, said in (
        ({"network": {"depth": 3}}, r"network\.depth: there is no such option.*channels"),
        ({"network": {"layers": 1.5}}, r"network\.layers: expected something like 2"),
        ({"augmentation": {"real_share": 3}}, r"augmentation\.real_share: a share is in 0\.\.1"),
        (
            {"synthetic": [{"pictures": "crops", "count": 2, "regions": ["nowhere"]}]},
            r"synthetic\.0: no plate format has the code nowhere",
        ),
        ({"augmentation": {"sides": [1]}}, r"augmentation\.sides: there is no such"),
    ):
        with pytest.raises(RecipeError, match=said):
            train(as_recipe(table | wrong), tmp_path)


def test_a_parent_with_another_digest_is_refused(crops: Path, tmp_path: Path) -> None:
    parent = {"model": "plate-reader", "sha256": "0" * 64}
    table = {"kind": "plate", "task": "reader", "parent": parent, "data": [{"manifest": crops}]}
    with pytest.raises(ModelMismatch, match="is not the parent that the recipe states"):
        train(as_recipe(table), tmp_path)


def test_pictures_of_another_set_are_kept(crops: Path, tmp_path: Path) -> None:
    pictures = {"pictures": "crops", "count": 2, "folder": crops.parent}
    table = {"kind": "plate", "task": "reader", "parent": "nothing", "synthetic": [pictures]}
    with pytest.raises(RecipeError, match=r"synthetic\.0\.folder: .*holds other pictures"):
        train(as_recipe(table), tmp_path, report=str)


def test_data_of_one_class_or_none_are_refused(crops: Path, tmp_path: Path) -> None:
    entries = [
        entry.model_copy(
            update={"plates": tuple(p.model_copy(update=change) for p in entry.plates)}
        )
        for entry, change in zip(
            Manifest.read(crops), [{"text": "AB12", "region": "eu-de"}] * 30, strict=True
        )
    ]
    manifest = crops.parent / "one.jsonl"
    write_manifest(manifest, entries)
    for task, said in (("reader", "the same text"), ("classifier", "of one region")):
        with pytest.raises(DatasetError, match=said):
            made("plate", task, [manifest], tmp_path)
    write_manifest(manifest, [entry.model_copy(update={"plates": ()}) for entry in entries])
    for task in ("reader", "classifier", "detector"):
        with pytest.raises(DatasetError, match="no usable marks in the train splits"):
            made("plate", task, [manifest], tmp_path)


def test_a_model_that_disagrees_is_refused(detector: Path) -> None:
    torch.manual_seed(1)
    other = DetectorGraph(DetectorNet()).eval()
    example = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), np.uint8)
    card = ModelCard.read(detector / CARD_NAME)
    with pytest.raises(RuntimeError, match="off by"):
        check_parity(other, detector, "images", example, card)


def test_manifests_that_cannot_be_learned_from(crops: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        made("plate", "reader", [tmp_path / "nowhere.jsonl"], tmp_path)


def test_a_device_that_is_not_there(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = as_recipe({"kind": "plate", "task": "reader", "data": [{"manifest": crops}]})
    with pytest.raises(SettingsError, match="CUDA"):
        train(recipe, tmp_path, machine=Machine("cuda"))


def test_the_plot_needs_two_rows(tmp_path: Path) -> None:
    log, checks, picture = (tmp_path / name for name in ("log.csv", "checks.csv", "curve.png"))
    plot_run(log, checks, picture)
    log.write_text("step,minutes,rate,ctc\n100,0.1,1e-3,3.0\n")
    plot_run(log, checks, picture)
    assert not picture.exists()
    log.write_text(log.read_text() + "200,0.2,1e-3,2.0\n")
    plot_run(log, checks, picture)
    alone = Image.read(picture)
    checks.write_text("step,minutes,exact,plates\n100,0.1,0.3,9\n200,0.2,0.4,9\n")
    plot_run(log, checks, picture)
    assert Image.read(picture).height > 1.5 * alone.height
