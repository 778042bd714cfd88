import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.datasets import Manifest
from platemark.errors import DatasetError
from platemark.geometry import apply_homography, box_to_quad, homography, iou_matrix
from platemark.imaging.image import Pixels, read_grey
from platemark.synth.camera.ink import INK_SHARE, Ink
from platemark.synth.camera.scan import Capture, Scanner
from platemark.synth.generate import CHUNK
from platemark.synth.stamps import generate
from platemark.synth.stamps.dataset import PictureKind
from platemark.synth.stamps.designs import Design
from platemark.synth.stamps.imprint import Imprint, StampLabel
from platemark.synth.stamps.studio import StampStudio
from platemark.types import INK_COLORS, STAMP_SHAPES

BLUE = Ink("blue", (30, 60, 190))
SCALE = 5.0


@cache
def studio() -> StampStudio:
    return StampStudio()


def design(seed: int = 0) -> Design:
    return studio().designs.design(np.random.default_rng(seed))


def paper(side: int = 500, shade: int = 250) -> Pixels:
    return np.full((side, side, 3), shade, np.uint8)


def imprint(
    of: Design | None = None, angle: float = 0.0, ink: Ink = BLUE, scale: float = SCALE
) -> Imprint:
    rng = np.random.default_rng(1)
    return Imprint.press(of or design(), scale, angle, ink, rng).at(250, 250)


def labelled(
    stamp: Imprint, page: Pixels | None = None, scanner: Scanner | None = None
) -> tuple[Capture, StampLabel | None, tuple[float, float, float, float] | None]:
    page = paper() if page is None else page
    scanner = scanner or Scanner()
    plain = scanner.capture(page, np.random.default_rng(3))
    stamp.stamp(page)
    capture = scanner.capture(page, np.random.default_rng(3))
    return capture, *stamp.label(capture, plain)


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))


@pytest.mark.parametrize("angle", [0.0, 30.0, -75.0, 170.0])
@pytest.mark.parametrize("seed", range(3))
def test_mask_and_box_are_those_of_the_change_of_the_page(seed: int, angle: float) -> None:
    capture, label, _ = labelled(imprint(design(seed), angle))
    assert label is not None
    mask = label.mask(500, 500)
    change = (250 - capture.pixels[..., 0].astype(float)) / (250 * (1 - 30 / 255))
    assert iou(mask, change > INK_SHARE) > 0.99
    rows, columns = np.nonzero(mask)
    assert label.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert label.color == "blue"


def test_the_quad_takes_the_clean_design_to_the_mask() -> None:
    for seed in range(6):
        drawn, quad = studio().artwork(design(seed))
        scanner = Scanner(skew=5.0) if seed % 2 else Scanner("flatbed", perspective=0.05)
        _, label, _ = labelled(imprint(design(seed), 12.0, scale=8.0), paper(500), scanner)
        if label is None:
            continue
        to_picture = homography(quad, label.quad)
        moved = cv2.warpPerspective(drawn, to_picture, (500, 500))
        assert iou(moved > 255 * INK_SHARE, label.mask(500, 500)) > 0.75


@pytest.mark.parametrize("angle", [-150.0, -20.0, 0.0, 10.0, 90.0])
def test_rotation_is_clockwise(angle: float) -> None:
    _, label, _ = labelled(imprint(angle=angle))
    assert label is not None
    assert label.rotation == pytest.approx(angle, abs=0.01)
    top_left, top_right = label.quad[:2]
    if angle == 90.0:
        assert top_right[1] > top_left[1] + 10
        assert top_right[0] == pytest.approx(top_left[0], abs=0.01)


def test_a_turned_page_turns_the_label() -> None:
    _, label, _ = labelled(imprint(angle=10.0), scanner=Scanner(skew=92.0))
    assert label is not None
    assert label.rotation == pytest.approx(102.0, abs=0.01)


@pytest.mark.parametrize("tone", ["grey", "bilevel"])
def test_ink_is_black_where_there_are_no_colours(tone: str) -> None:
    _, label, _ = labelled(imprint(), scanner=Scanner(tone=tone))  # type: ignore[arg-type]
    assert label is not None
    assert label.color == "black"


def test_a_stamp_too_faint_to_see_is_ignored() -> None:
    strong, label, _ = labelled(imprint())
    assert label is not None
    faint = replace(BLUE, strength=0.02)
    _, label, ignored = labelled(imprint(ink=faint))
    assert label is None
    assert ignored is not None
    _, label, ignored = labelled(imprint(), paper(shade=4))
    assert label is None
    assert ignored is not None
    assert strong.pixels.min() < 60


def _static(strength: float) -> Pixels:
    noise = np.random.default_rng(5).normal(190, strength, (500, 500, 1))
    return np.repeat(noise.clip(0, 255).astype(np.uint8), 3, axis=2)


@pytest.mark.parametrize(("strength", "seen"), [(4.0, True), (60.0, False)])
def test_a_stamp_in_static_is_ignored(strength: float, seen: bool) -> None:
    pale = replace(BLUE, rgb=(230, 230, 235))
    _, label, ignored = labelled(imprint(ink=pale), _static(strength), Scanner(tone="grey"))
    assert (label is not None) == seen
    assert (ignored is None) == seen


def test_a_stamp_over_print_is_seen() -> None:
    printed = paper()
    printed[::12], printed[1::12] = 20, 20  # a sixth of the page is black
    _, label, _ = labelled(imprint(), printed)
    assert label is not None
    assert label.mask(500, 500)[::12].any(), "it shows through the print"


def test_ink_that_black_and_white_leaves_out_is_not_in_the_mask() -> None:
    pale = Ink("red", (240, 150, 150), strength=0.4)
    scanner = Scanner(tone="bilevel", binarization="global")
    printed = paper()
    printed[:60] = 0  # there is print that is darker than the stamp
    assert labelled(imprint(ink=pale), printed, scanner)[1] is None
    uneven = Ink("blue", (30, 60, 190), tilt=1.0)
    capture, label, _ = labelled(imprint(ink=uneven), scanner=scanner)
    assert label is not None
    dark = cv2.dilate((capture.pixels[..., 0] < 128).astype(np.uint8), np.ones((3, 3), np.uint8))
    assert not (label.mask(500, 500) & (dark == 0)).any()


@pytest.mark.parametrize(("shift", "found"), [(0.0, True), (0.3, True), (0.8, False)])
def test_a_stamp_cut_by_the_edge_is_ignored_from_60_percent_on(shift: float, found: bool) -> None:
    round_one = next(d for d in map(design, range(50)) if d.shape == "circle")
    stamp = imprint(round_one)
    width = stamp.box[2] - stamp.box[0]
    _, label, ignored = labelled(stamp.at(250 - width / 2 + shift * width, 0))
    assert (label is not None) == found
    assert (ignored is not None) == (not found)
    box = label.box if label is not None else ignored
    assert box is not None
    assert box[2] <= 500


def test_a_stamp_beside_the_picture_leaves_no_trace() -> None:
    assert labelled(imprint().at(2000, 0))[1:] == (None, None)


def test_scenes_are_labelled_within_the_picture() -> None:
    shapes, colours, empty, stamps, ignored = set(), set(), 0, 0, 0
    for seed in range(16):
        scene = studio().scene(np.random.default_rng(seed))
        height, width = scene.pixels.shape[:2]
        assert 400 <= max(height, width) <= 1401
        empty += not scene.stamps and not scene.ignore
        ignored += len(scene.ignore)
        for label in scene.stamps:
            x0, y0, x1, y1 = label.box
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            assert label.mask(width, height).any()
            shapes.add(label.shape)
            colours.add(label.color)
            stamps += 1
    assert 1 <= empty <= 12
    assert stamps > 2 * ignored
    assert shapes <= set(STAMP_SHAPES)
    assert len(shapes) >= 3
    assert colours <= set(INK_COLORS)
    assert len(colours) >= 3


def test_imprints_are_cut_as_a_detector_cuts_them() -> None:
    papers = studio().papers(np.random.default_rng(0))
    for seed in range(12):
        of = design(seed)
        pixels, label = studio().imprint(of, np.random.default_rng(seed), papers)
        height, width = pixels.shape[:2]
        assert 48 <= max(height, width) <= 640
        assert label.identity == of.identity
        x0, y0, x1, y1 = label.box
        room = 0.16 * max(x1 - x0, y1 - y0) + 1
        assert (np.array([x0, y0, width - x1, height - y1]) >= 0).all()
        assert (np.array([x0, y0, width - x1, height - y1]) <= room).all()
        rows, columns = np.nonzero(label.mask(width, height))
        assert label.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_pictures_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    for workers in (1, 2):
        generate(
            tmp_path / str(workers), CHUNK + 4, 7, kind="artworks", near_copies=0.5, workers=workers
        )
    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.parametrize("kind", ["scenes", "imprints"])
def test_a_seed_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    for name, count, seed in (("a", 3, 1), ("longer", 4, 1), ("other", 3, 2)):
        generate(tmp_path / name, count, seed, kind=kind, workers=1)  # type: ignore[arg-type]
    first, longer, other = (files(tmp_path / name) for name in ("a", "longer", "other"))
    pictures = {key: value for key, value in first.items() if not key.endswith(".jsonl")}
    assert pictures.items() <= longer.items()
    assert not any(other.get(key) == value for key, value in first.items())


def test_the_manifest_says_what_is_in_the_pictures(tmp_path: Path) -> None:
    manifest = Manifest.read(generate(tmp_path, 8, 3, kind="imprints", workers=1))
    assert [entry.kind for entry in manifest] == ["crop"] * 8
    identities = [entry.stamps[0].identity for entry in manifest]
    assert len(set(identities[:5])) == len(set(identities[5:])) == 1
    assert identities[0] != identities[7]
    for entry in manifest:
        (stamp,) = entry.stamps
        picture = cv2.imread(str(manifest.path(entry)))
        mask = cv2.imread(str(tmp_path / str(stamp.mask)), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert mask is not None
        assert picture.shape == (entry.height, entry.width, 3)
        assert mask.shape == (entry.height, entry.width)
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert stamp.box == around
        assert stamp.text == " / ".join(line.text for line in stamp.lines)
        assert stamp.rotation is not None
        assert entry.split == "train"
        for line in stamp.lines:
            assert [place is None for place in line.places] == [c == " " for c in line.text]


@pytest.mark.parametrize("kind", ["imprints", "artworks"])
def test_characters_stand_where_the_manifest_says(tmp_path: Path, kind: PictureKind) -> None:
    manifest = Manifest.read(generate(tmp_path, 6, 5, kind=kind, workers=1))
    for entry in manifest:
        (stamp,) = entry.stamps
        places = [place for line in stamp.lines for place in line.places if place is not None]
        inside = cv2.convexHull(stamp.corners.astype(np.float32))
        assert places
        assert all(cv2.pointPolygonTest(inside, place, False) >= 0 for place in places)
        if kind == "artworks":
            ink = read_grey(manifest.path(entry))
            around = cv2.blur(ink, (9, 9))
            seen = [around[int(y), int(x)] for x, y in places]
            assert np.mean([value not in (0, 255) for value in seen]) > 0.8


def test_families_are_a_design_and_its_near_copies(tmp_path: Path) -> None:
    path = generate(tmp_path, 16, 2, kind="artworks", near_copies=0.6, workers=1)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    families: dict[str, list[str]] = {}
    for row in rows:
        families.setdefault(row["family"], []).append(row["stamps"][0]["identity"])
        pixels = cv2.imread(str(tmp_path / row["image"]), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.ndim == 2
        assert max(pixels.shape) == 256
        found = np.nonzero(pixels > 128)
        around = (found[1].min(), found[0].min(), found[1].max() + 1, found[0].max() + 1)
        assert iou_matrix([row["stamps"][0]["box"]], [around])[0, 0] > 0.9
    assert 2 <= len(families) < 16
    for family, identities in families.items():
        assert family == identities[0]
        # By chance two forgers may change the same letter alike.
        assert len(set(identities)) >= len(identities) - 1


def test_all_stamps_have_one_of_the_outlines_that_were_asked(tmp_path: Path) -> None:
    wanted = ["triangle", "other"]
    path = generate(tmp_path, 30, 3, kind="artworks", shapes=wanted, workers=1)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {row["stamps"][0]["shape"] for row in rows} == set(wanted)


def test_wrong_wishes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="near-copies"):
        generate(tmp_path, 1, 1, near_copies=2.0)
    with pytest.raises(ValueError, match=r"hexagon.*triangle"):
        generate(tmp_path, 1, 1, shapes=["hexagon"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        StampStudio(backgrounds=tmp_path / "empty")
    with pytest.raises(DatasetError, match="empty"):
        StampStudio(fonts=tmp_path / "empty")


def test_a_label_moves_with_the_window_it_is_cut_to() -> None:
    _, label, _ = labelled(imprint())
    assert label is not None
    left, top = int(label.box[0]) - 10, int(label.box[1]) - 20
    moved = label.moved(left, top, 400, 380)
    whole = label.mask(500, 500)
    assert (
        moved.mask(400, 380) == np.pad(whole, ((0, 400), (0, 400)))[top:, left:][:380, :400]
    ).all()
    assert (moved.quad == label.quad - (left, top)).all()
    assert (apply_homography(np.eye(3), box_to_quad(moved.box))[0] == (10, 20)).all()


def test_what_a_worker_cannot_read_ends_the_run(tmp_path: Path) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    (fonts / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(DatasetError, match=r"broken\.ttf: the font cannot be read"):
        generate(tmp_path / "out", 2 * CHUNK, 1, kind="imprints", fonts=fonts, workers=2)
