"""What the segmenter learns from: crops whose masks stay on their ink; and that it learns."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.datasets.manifest import (  # noqa: E402
    ManifestEntry,
    StampAnnotation,
    write_manifest,
)
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.losses import mask_losses  # noqa: E402
from platemark.train.nets.segmenter import SegmenterNet  # noqa: E402
from platemark.train.segmenter import SIDE, SegmenterTask, augment  # noqa: E402


def paint(path: Path, split: str = "train", kind: str = "scene") -> ManifestEntry:
    """A page with black print, a blue ring and a red ring; each ring has its own mask."""
    page = np.full((420, 560, 3), 245, np.uint8)
    for y in range(20, 420, 24):
        cv2.putText(page, "lorem ipsum dolor sit", (8, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20,) * 3)
    stamps = []
    for index, (x, y, radius, colour) in enumerate(
        [(150, 200, 90, (30, 40, 200)), (300, 220, 80, (200, 30, 30))]
    ):
        ink = np.zeros(page.shape[:2], np.uint8)
        cv2.circle(ink, (x, y), radius, 255, 9)
        cv2.circle(ink, (x, y), radius // 3, 255, -1)
        page[ink > 0] = colour
        name = f"{path.stem}-{index}.png"
        cv2.imwrite(str(path.parent / name), ink)
        reach = radius + 5
        box = (x - reach, y - reach, x + reach + 1, y + reach + 1)
        stamps.append(StampAnnotation(box=box, shape="circle", mask=name))
    cv2.imwrite(str(path), page[..., ::-1])
    return ManifestEntry(
        image=path.name, width=560, height=420, stamps=tuple(stamps), kind=kind, split=split,
        source="platemark synth",
    )  # fmt: skip


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rings")
    entries = [paint(folder / f"{index}.png") for index in range(2)]
    entries.append(paint(folder / "test.png", split="test"))
    entries.append(paint(folder / "art.png", kind="isolated"))
    last = paint(folder / "unmasked.png")
    bare = last.stamps[0].model_copy(update={"mask": None})
    unmasked = last.model_copy(update={"stamps": (bare,)})
    write_manifest(folder / "annotations.jsonl", [*entries, unmasked])
    return folder / "annotations.jsonl"


def test_places_without_stamps_are_seen_now_and_then(rings: Path, tmp_path: Path) -> None:
    for name in ("unseen.png", "known.png"):
        cv2.imwrite(str(tmp_path / name), np.full((300, 200, 3), 250, np.uint8))
    page = {"width": 200, "height": 300, "kind": "scene", "split": "train"}
    unseen = page | {"image": "unseen.png", "plates": []}
    known = page | {"image": "known.png", "stamps": []}
    (tmp_path / "bare.jsonl").write_text(f"{json.dumps(unseen)}\n{json.dumps(known)}\n")
    task = SegmenterTask([rings, tmp_path / "bare.jsonl"])
    assert (len(task.bare), task.size()) == (8, len(task.synthetic))
    for imprint in task.bare:
        assert not imprint.mask().any()
    schedule = Schedule(batch=64, rate=1e-3)
    empty = [not mask.any() for step in range(3) for mask in task.batch(schedule, step)[1]]
    assert 0 < sum(empty) < 0.15 * len(empty)


def test_only_masked_imprints_of_the_train_split_are_kept(rings: Path) -> None:
    task = SegmenterTask([rings])
    assert task.size() + len(task.validation) == 4


def test_masks_stay_on_their_own_ink(rings: Path) -> None:
    (imprint, *_) = SegmenterTask([rings]).synthetic
    rng = np.random.default_rng(0)
    overlaps = []
    for _ in range(40):
        crop, mask = augment(imprint, rng)
        assert crop.shape == (SIDE, SIDE, 3)
        assert mask.shape == (SIDE, SIDE)
        ink = mask > 127
        inside, outside = crop[ink].mean(axis=0), np.median(crop[~ink], axis=0)
        # the first ring is blue (or of one other channel): the red one beside it is not its ink
        direction = (inside - outside) / max(1.0, np.linalg.norm(inside - outside))
        along = (crop - outside) @ direction
        like = along > 0.5 * (inside - outside) @ direction
        overlaps.append((like & ink).sum() / ink.sum())
    assert np.median(overlaps) > 0.9
    assert min(overlaps) > 0.6


def test_stored_imprints_are_shrunk_with_their_masks_and_boxes(tmp_path: Path) -> None:
    page, ink = np.full((900, 1400, 3), 250, np.uint8), np.zeros((900, 1400), np.uint8)
    cv2.rectangle(ink, (300, 200), (1099, 599), 255, -1)
    page[ink > 0] = (20, 20, 200)
    cv2.imwrite(str(tmp_path / "page.png"), page[..., ::-1])
    cv2.imwrite(str(tmp_path / "mask.png"), ink)
    stamp = StampAnnotation(box=(300, 200, 1100, 600), mask="mask.png")
    entry = ManifestEntry(image="page.png", width=1400, height=900, stamps=(stamp,), split="train")
    write_manifest(tmp_path / "annotations.jsonl", [entry])
    (imprint,) = SegmenterTask([tmp_path / "annotations.jsonl"]).real
    mask = imprint.mask() > 127
    assert imprint.pixels().shape[:2] == mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    found = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert imprint.box == pytest.approx(found, abs=1.0)
    assert (imprint.pixels()[mask][:, 2] > 150).mean() > 0.98
    assert max(mask.shape) < 600


def test_batches_depend_on_the_seed_and_the_step_alone(rings: Path) -> None:
    task, schedule = SegmenterTask([rings]), Schedule(batch=3, rate=1e-3, seed=3)
    first, second, again = (task.batch(schedule, step) for step in (0, 1, 1))
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert not torch.equal(first[0], second[0])


def test_mask_losses_agree_with_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 8, 8, generator=generator)
    masks = (torch.rand(3, 8, 8, generator=generator) > 0.5).float()
    losses = mask_losses(logits, masks)
    p, m = logits.sigmoid().double().numpy(), masks.double().numpy()
    entropy = -(m * np.log(p) + (1 - m) * np.log(1 - p)).mean()
    dice = [(2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1) for a, b in zip(p, m, strict=True)]
    assert float(losses["entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(losses["dice"]) == pytest.approx(1 - np.mean(dice), rel=1e-5)
    perfect = mask_losses(masks * 40 - 20, masks)
    assert float(sum(perfect.values())) < 0.01


def test_a_few_steps_fit_a_few_crops(rings: Path) -> None:
    torch.manual_seed(0)
    task = SegmenterTask([rings])
    crops, masks = task.batch(Schedule(batch=3, rate=1e-3), 0)
    batch = crops[:, ::2, ::2], masks[:, ::2, ::2]
    net = SegmenterNet((8, 8, 16, 16))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    history = []
    for _ in range(20):
        loss = torch.stack(list(task.losses(net, batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < history[0]


def test_the_network_says_something_of_every_pixel() -> None:
    net = SegmenterNet().eval()
    with torch.no_grad():
        assert net(torch.zeros(2, 3, SIDE, SIDE)).shape == (2, SIDE, SIDE)
    assert sum(parameter.numel() for parameter in net.parameters()) < 1_500_000
