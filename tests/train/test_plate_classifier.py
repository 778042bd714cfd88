"""What the classifier of plates learns from, and that it learns."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.imaging.warp import rectify  # noqa: E402
from platemark.models.onnx import OnnxModel  # noqa: E402
from platemark.models.store import locate_model  # noqa: E402
from platemark.plates.formats import load_formats, regions_meant  # noqa: E402
from platemark.synth.plates.typefaces import FontLibrary  # noqa: E402
from platemark.tasks.plate_classifier import PlateClassifier  # noqa: E402
from platemark.train.export import export_classifier  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.nets.classifier import ClassifierNet  # noqa: E402
from platemark.train.plate_classifier import (  # noqa: E402
    LINES,
    REAL_ONLY,
    SPEC,
    ClassifierTask,
    hide,
    region_codes,
    stand,
)
from platemark.types import ORIENTATIONS, Detection  # noqa: E402

CODES = region_codes()
QUAD = np.array(Detection.given("plate", (20.0, 10.0, 180.0, 58.0)).quad)


def small_net() -> ClassifierNet:
    torch.manual_seed(0)
    sizes = len(CODES), len(LINES), len(ORIENTATIONS)
    return ClassifierNet(*sizes, channels=(8, 8, 16, 16), hidden=8)


def written(folder: Path, *plates: dict[str, object], source: str = "a camera") -> Path:
    """A manifest of pictures of one plate each."""
    rows = []
    for number, plate in enumerate(plates):
        name = f"{number}.png"
        cv2.imwrite(str(folder / name), np.full((68, 200, 3), 90, np.uint8))
        place = {"box": [20, 10, 180, 58]}
        row = {"image": name, "width": 200, "height": 68, "split": "train", "source": source}
        rows.append(row | {"plates": [place | plate], "kind": "crop"})
    manifest = folder / "annotations.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    return manifest


def test_the_codes_are_those_of_the_formats_and_a_last_for_none() -> None:
    assert CODES[-1] == "xx-unknown"
    assert set(CODES) == {*load_formats(), *REAL_ONLY, "xx-unknown"} - {"xx-vanity"}


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("eu-de", {"eu-de"}),
        ("br", {"br", "br-mercosul"}),
        ("us-ca", {"us"}),
        ("bd", {"xx-unknown"}),
        ("kr", {"kr"}),
        (None, set()),
    ],
)
def test_labels_leave_regions_open(label: str | None, meant: set[str]) -> None:
    assert regions_meant(label, CODES) == meant


def test_a_label_of_a_continent_is_any_of_its_countries() -> None:
    meant = regions_meant("eu", CODES)
    assert {"eu-de", "eu-ua-2015"} <= meant
    assert all(code.startswith("eu-") for code in meant)


def test_what_nobody_looked_at_is_not_learned(tmp_path: Path) -> None:
    known = {"region": "eu-de", "lines": 2, "obscured": True}
    task = ClassifierTask([written(tmp_path, known, {"lines": 4})])
    crops = task.real + task.validation
    assert [crop.regions.sum() for crop in crops] == [1, 0]
    assert [(crop.lines, crop.obscured) for crop in crops] == [(1, 1), (-1, -1)]


def test_a_synthetic_plate_has_one_region_and_is_not_hidden(tmp_path: Path) -> None:
    plates = {"region": "br", "text": "ABC1234"}, {"region": "xx-vanity", "text": "HELLO"}
    task = ClassifierTask([written(tmp_path, *plates, source="platemark synth")])
    assert [CODES[int(crop.regions.argmax())] for crop in task.synthetic] == ["br", "xx-unknown"]
    assert all(crop.regions.sum() == 1 and crop.obscured == 0 for crop in task.synthetic)


def test_a_batch_shows_every_state(crops: Path) -> None:
    task = ClassifierTask([crops])
    schedule = Schedule(batch=96, rate=1e-3)
    pictures, regions, lines, orientations, hidden = task.batch(schedule, 0)
    assert pictures.shape == (96, SPEC.height, SPEC.width, 3)
    assert set(orientations.tolist()) == set(range(len(ORIENTATIONS)))
    assert set(hidden.tolist()) == {0, 1}
    turned = orientations > 0
    assert regions[turned].sum() == 0
    assert (regions[~turned].sum(dim=1) == 1).all()
    assert (lines[turned] == -1).all()
    again = task.batch(schedule, 0)
    assert all(torch.equal(a, b) for a, b in zip(task.batch(schedule, 0), again, strict=True))


def test_hiding_keeps_the_margin() -> None:
    crop = np.full((SPEC.height, SPEC.width, 3), 120, np.uint8)
    fonts = FontLibrary()
    for seed in range(10):
        hidden = hide(crop, fonts, np.random.default_rng(seed))
        assert (hidden[:3] == 120).all()
        assert (hidden[:, -10:] == 120).all()
        assert crop.min() == 120


@pytest.mark.parametrize("way", [1, 2, 3])
def test_a_plate_that_is_turned_looks_as_from_turned_corners(way: int) -> None:
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (7, 20, 3), np.uint8), (200, 70))
    size = (SPEC.width, SPEC.height)
    upright = rectify(photo, QUAD, size).pixels
    # pipelines take `way` quarter turns off these corners
    given = rectify(photo, np.roll(QUAD, way, axis=0), size).pixels
    assert np.abs(stand(upright, way, rng).astype(int) - given).mean() < 6


def test_it_learns_a_batch(crops: Path) -> None:
    task, net = ClassifierTask([crops]), small_net()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    batch = task.batch(Schedule(batch=16, rate=1e-2), 0)
    losses = []
    for _ in range(15):
        loss = torch.stack(list(task.losses(net, batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small network as a model."""
    folder = tmp_path_factory.mktemp("run")
    card = export_classifier(small_net().eval(), folder, {"seed": 1})
    assert (card.task, card.kind, card.training) == ("classifier", "plate", {"seed": 1})
    return folder


def test_the_exported_model_answers_as_the_network(exported: Path) -> None:
    crop = np.random.default_rng(2).integers(0, 256, (SPEC.height, SPEC.width, 3), np.uint8)
    said = OnnxModel(locate_model(exported)).run(crops=crop[None])
    with torch.no_grad():
        scaled = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1
        expected = small_net().eval()(scaled)
    for name in ("regions", "lines", "orientations"):
        probabilities = getattr(expected, name).softmax(1).numpy()
        assert np.exp(said[name]) == pytest.approx(probabilities, abs=0.01)
    assert said["obscured"] == pytest.approx(expected.obscured.numpy(), abs=0.02)


def test_scores_are_fitted_on_held_out_real_plates(tmp_path: Path, exported: Path) -> None:
    plates = [{"region": "eu-de", "obscured": False, "text": f"AB{n}"} for n in range(60)]
    task = ClassifierTask([written(tmp_path, *plates)])
    assert task.validation
    card = task.calibrate(exported)
    assert card.calibration.temperature != 1.0
    crop = np.full((SPEC.height, SPEC.width, 3), 90, np.uint8)
    # what was held out is not hidden but for a tenth
    assert PlateClassifier.from_pretrained(exported, threads=1)(crop).obscured.score < 0.4
    figures = task.validate(small_net().eval())
    assert figures["plates"] == len(task.validation)
    assert {"region", "lines", "orientation", "obscured_auc"} < set(figures)
