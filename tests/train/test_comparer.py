"""What the comparer learns from: where drawn designs differ, and whether imprints show it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.synth.stamps import generate  # noqa: E402
from platemark.train.comparer import ComparerTask  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.nets.comparer import ComparerNet  # noqa: E402
from platemark.train.pairs import (  # noqa: E402
    Pair,
    PairedDesign,
    PairedImprint,
    augmented_pair,
    find_alike,
    sample_pair,
    windows,
)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> ComparerTask:
    folder = tmp_path_factory.mktemp("pairs")
    manifests = [
        generate(
            folder / "imprints", 36, 7, kind="imprints", near_copies=0.7, imprints_per_design=3
        ),
        generate(folder / "artworks", 12, 7, kind="artworks", near_copies=0.7),
    ]
    return ComparerTask(manifests)


def coded(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def stamp(letter: str, hidden: bool = False) -> tuple[PairedImprint, PairedDesign]:
    """A frame with three letters, of which the middle one is given, or covered in the imprint."""
    art = np.zeros((200, 300), np.uint8)
    cv2.rectangle(art, (4, 4), (295, 195), 255, 6)
    for place, char in enumerate(("A", letter, "Z")):
        cv2.putText(art, char, (30 + 90 * place, 130), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 9)
    ink = art.copy()
    if hidden:
        ink[40:160, 105:200] = 0
    page = np.repeat(np.uint8(255) - ink[..., None], 3, axis=2)
    corners = np.array([[0, 0], [300, 0], [300, 200], [0, 200]], np.float64)
    imprint = PairedImprint(coded(page), coded(ink), coded(ink), corners, None)
    return imprint, PairedDesign([imprint], coded(art), corners, None)


def pair_of(first: str, second: str, hidden: bool = False) -> Pair:
    (a, one), (b, other) = stamp(first), stamp(second, hidden)
    return Pair("near", a, b, (one, other))


def test_the_letter_that_differs_is_marked() -> None:
    for seed in range(6):
        seen = augmented_pair(pair_of("H", "O"), False, np.random.default_rng(seed))
        assert seen is not None
        assert seen.known
        assert not seen.same
        rows, columns = np.nonzero(seen.differs == 1)
        # The letter is in the middle of the design, however the canvas was turned.
        middle = np.array(seen.differs.shape) / 2
        assert len(rows) > 10
        assert np.abs([rows.mean(), columns.mean()] - middle).max() < 6
        assert (seen.differs[:8] == 0).all()


def test_a_letter_that_is_not_printed_is_not_held_against_an_imprint() -> None:
    seen = augmented_pair(pair_of("H", "O", hidden=True), False, np.random.default_rng(0))
    assert seen is not None
    assert not seen.known
    assert not (seen.differs == 1).any()


def test_windows_show_the_letter_that_differs_and_places_where_nothing_does() -> None:
    rng = np.random.default_rng(0)
    said = []
    for seed in range(8):
        seen = augmented_pair(pair_of("H", "O"), False, np.random.default_rng(seed))
        assert seen is not None
        for part in windows(seen, rng):
            height, width = part.differs.shape
            assert part.canvas.shape == (4 * height, 4 * width, 6)
            assert part.known
            assert part.same == (not (part.differs == 1).any())
            said.append(part.same)
    assert 0.5 < np.mean(np.logical_not(said)) < 1.0


def test_windows_tell_nothing_of_a_letter_that_is_not_printed() -> None:
    seen = augmented_pair(pair_of("H", "O", hidden=True), False, np.random.default_rng(0))
    assert seen is not None
    assert all(part.same for part in windows(seen, np.random.default_rng(0)))


def test_of_one_stamp_nothing_differs(task: ComparerTask) -> None:
    families = [*task.families, *task.validation]
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(80):
        pair = sample_pair(families, families, rng)
        seen = None if pair is None else augmented_pair(pair, False, rng)
        if pair is None or seen is None:
            continue
        kinds.add(pair.kind)
        assert seen.canvas.shape == (288, 288, 6)
        assert seen.differs.shape == (72, 72)
        assert seen.same == (pair.kind == "same")
        if seen.same:
            assert not seen.differs.any()
        if pair.kind == "near":
            assert pair.designs[0] is not pair.designs[1]
    assert {"same", "near"} <= kinds


def test_imprints_that_say_different_things_are_no_pair_of_one_stamp() -> None:
    imprint, design = stamp("H")
    design.imprints = [replace(imprint, text="1 MAY"), replace(imprint, text="2 MAY")]
    rng = np.random.default_rng(0)
    families = [[design]]
    pairs = [sample_pair(families, families, rng) for _ in range(60)]
    assert all(pair.kind == "misplaced" for pair in pairs if pair is not None)


def test_strangers_that_look_alike_are_known_and_laid_on_each_other() -> None:
    ring = np.zeros((200, 300), np.uint8)
    cv2.circle(ring, (150, 100), 90, 255, 8)
    imprint, seal = stamp("H")
    families = [[seal, stamp("O")[1]], [stamp("M")[1]]]
    for _ in range(12):
        families.append([replace(seal, imprints=[imprint], artwork=coded(ring))])
    find_alike(families)
    assert any(other is families[1][0] for other in seal.alike)
    assert not any(other is own for other in seal.alike for own in families[0])
    rng = np.random.default_rng(0)
    overlaps = []
    while len(overlaps) < 12:
        pair = sample_pair(families[:2], families[1:2], rng)
        seen = None if pair is None else augmented_pair(pair, False, rng)
        if pair is None or seen is None or pair.kind != "different":
            continue
        assert not seen.same
        first, second = seen.canvas[..., 0] > 127, seen.canvas[..., 3] > 127
        overlaps.append((first & second).sum() / (first | second).sum())
    # Turned by chance their frames would hardly meet.
    assert np.median(overlaps) > 0.4


def test_a_single_design_has_no_strangers() -> None:
    design = stamp("H")[1]
    find_alike([[design]])
    assert design.alike == []
    find_alike([])


def test_batches_are_the_same_from_the_same_seed(task: ComparerTask) -> None:
    schedule = Schedule(batch=4, rate=1e-3, seed=3)
    first, again = (task.batch(schedule, 5) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert first[0].shape[0] == first[1].shape[0] == len(first[2])


def test_what_can_be_told_apart_is_learned() -> None:
    torch.manual_seed(0)
    net = ComparerNet((4, 8, 8, 8))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    rng = np.random.default_rng(0)
    pairs = [pair_of("H", "O"), pair_of("H", "H")._replace(kind="same")] * 2
    seen = [made for pair in pairs if (made := augmented_pair(pair, False, rng)) is not None]
    canvases = torch.from_numpy(np.stack([one.canvas for one in seen]))
    maps = torch.from_numpy(np.stack([one.differs for one in seen]))
    same = torch.tensor([float(one.same) for one in seen])
    batch = canvases, maps, same, torch.ones_like(same)
    losses = []
    for _ in range(20):
        loss = torch.stack(list(ComparerTask.losses(None, net, batch).values())).sum()  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
