"""Real imprints on other pages: cut out without their paper, and laid where the label says."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.datasets import Manifest
from platemark.errors import DatasetError
from platemark.synth.documents.pages import PageStudio
from platemark.synth.stamps import generate
from platemark.synth.stamps.pasted import PasteStudio, cut_out

INK = np.array([60, 60, 170])  # RGB


def scan(folder: Path, split: str = "train") -> Path:
    """Manifest of a scan on yellowish, unevenly lit paper with a filled stamp and a frame."""
    light = np.linspace(0.75, 1.0, 300)[None, :, None]
    pixels = light * np.full((200, 300, 3), (250, 240, 210))
    pixels[60:110, 40:140] = light[:, 40:140] * INK
    cv2.rectangle(pixels, (200, 60), (260, 110), INK.tolist(), 4)
    cv2.imwrite(str(folder / "scan.png"), pixels[..., ::-1].round())
    stamps = [
        {"box": [40, 60, 140, 110], "shape": "other"},
        {"box": [198, 58, 262, 112], "shape": "rectangle"},
    ]
    row = {"image": "scan.png", "width": 300, "height": 200, "split": split, "stamps": stamps}
    manifest = folder / "annotations.jsonl"
    manifest.write_text(json.dumps(row))
    return manifest


@pytest.fixture
def backgrounds(tmp_path: Path) -> Path:
    """A folder of two white pages."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((500, 400, 3), 255, np.uint8))
    return folder


def test_a_cut_out_is_ink_without_paper(tmp_path: Path) -> None:
    scan(tmp_path)
    cut = cut_out(tmp_path / "scan.png", (198, 58, 262, 112), "rectangle")
    assert (cut.size, cut.shape) == (64 / 300, "rectangle")
    x0, y0, x1, y1 = cut.box.astype(int)
    middle = cut.light[(y0 + y1) // 2, (x0 + x1) // 2]
    assert middle == pytest.approx(1.0, abs=0.03)  # the paper within the frame
    assert cut.light[0] == pytest.approx(1.0, abs=0.03)
    frame = cut.light[(y0 + y1) // 2, x0 + 2]
    assert frame == pytest.approx(INK / (250, 240, 210), abs=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_pasted_lies_in_its_box(tmp_path: Path, backgrounds: Path, seed: int) -> None:
    studio = PasteStudio(scan(tmp_path), PageStudio(None, backgrounds))
    pixels, stamps = studio.scene(np.random.default_rng(seed))
    assert 1 <= len(stamps) <= 3
    chroma = np.ptp(pixels.astype(int), axis=2)
    paper = int(np.median(chroma))
    outside = np.ones(pixels.shape[:2], bool)
    for stamp in stamps:
        x0, y0, x1, y1 = stamp.box.round().astype(int)
        part = chroma[y0:y1, x0:x1]
        assert (part > paper + 25).mean() > 0.05
        outside[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
    assert (chroma[outside] > paper + 25).mean() < 0.002


def test_shapes_and_splits_are_chosen(tmp_path: Path, backgrounds: Path) -> None:
    pages = PageStudio(None, backgrounds)
    studio = PasteStudio(scan(tmp_path), pages, ("rectangle",))
    found = [stamp for seed in range(6) for stamp in studio.scene(np.random.default_rng(seed))[1]]
    assert {stamp.shape for stamp in found} == {"rectangle"}
    with pytest.raises(DatasetError, match="no such stamps"):
        PasteStudio(scan(tmp_path), pages, ("circle",))
    with pytest.raises(DatasetError, match="no such stamps"):
        PasteStudio(scan(tmp_path, "dev"), pages)


def test_pasted_pages_are_a_set_of_scenes(tmp_path: Path, backgrounds: Path) -> None:
    real = scan(tmp_path)
    for name in ("one", "two"):
        generate(
            tmp_path / name, 3, 7, kind="pasted", real=real, backgrounds=backgrounds, workers=1
        )
    first, second = (
        Manifest.read(tmp_path / name / "annotations.jsonl") for name in ("one", "two")
    )
    assert first.entries == second.entries
    assert all(entry.kind == "scene" and entry.synthetic and entry.stamps for entry in first)
    with pytest.raises(ValueError, match="takes a manifest of real scans"):
        generate(tmp_path / "none", 1, 7, kind="pasted", workers=1)
