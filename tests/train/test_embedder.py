"""What the embedder learns from, what it is blind to, and that it learns."""

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.datasets.manifest import (  # noqa: E402
    ManifestEntry,
    StampAnnotation,
    StampLine,
    write_manifest,
)
from platemark.train.embedder import SIDE, Design, EmbedderTask, Sample, scale  # noqa: E402
from platemark.train.imprints import Source, simulate  # noqa: E402
from platemark.train.letters import LETTERS, Letters  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.losses import DesignMemory, contrastive_loss, letter_loss  # noqa: E402
from platemark.train.nets.embedder import (  # noqa: E402
    ANGLES,
    STRIDE,
    EmbedderNet,
    PolarTrunk,
    places,
    polar_grid,
)


def seal(text: str, side: int = 200) -> np.ndarray:
    """Coverage (side, side) of a round stamp: a ring, letters round it, text across."""
    canvas = np.zeros((side, side), np.uint8)
    middle = side // 2
    cv2.circle(canvas, (middle, middle), middle - 6, 255, 5, cv2.LINE_AA)
    for index, letter in enumerate(text):
        layer = np.zeros_like(canvas)
        cv2.putText(layer, letter, (middle - 9, 38), cv2.FONT_HERSHEY_DUPLEX, 0.9, 255, 2)
        turn = cv2.getRotationMatrix2D((middle, middle), -index * 360 / max(len(text), 8), 1)
        canvas |= cv2.warpAffine(layer, turn, (side, side))
    cv2.putText(canvas, text[:4], (middle - 38, middle + 10), cv2.FONT_HERSHEY_DUPLEX, 1, 255, 2)
    return canvas


def round_the_ring(text: str, side: int = 200) -> tuple[tuple[float, float] | None, ...]:
    """Where the letters of :func:`seal` stand."""
    middle, radius = side / 2, side / 2 - 28
    turns = 2 * np.pi * np.arange(len(text)) / max(len(text), 8)
    return tuple(
        None if letter == " " else (middle + radius * np.sin(turn), middle - radius * np.cos(turn))
        for letter, turn in zip(text, turns.tolist(), strict=True)
    )


def across(text: str, side: int = 200) -> tuple[tuple[float, float], ...]:
    """Where the letters across :func:`seal` stand."""
    return tuple((side / 2 - 28 + 19 * index, side / 2) for index in range(len(text)))


def turned(ink: np.ndarray, degrees: float) -> np.ndarray:
    centre = (ink.shape[1] / 2 - 0.5, ink.shape[0] / 2 - 0.5)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1)
    return np.asarray(cv2.warpAffine(ink, matrix, ink.shape[::-1]), np.uint8)


def network_input(ink: np.ndarray) -> torch.Tensor:
    fitted = cv2.resize(ink, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return scale(torch.from_numpy(fitted[None]))


@pytest.fixture(scope="module")
def designs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four families of two near-copies: artwork of all, an imprint of one, and a test design."""
    folder = tmp_path_factory.mktemp("designs")
    entries = []
    for index, name in enumerate(("ACME", "BOND", "LYNX", "QUIZ", "WORK")):
        for ending in "78":
            image = f"{name}{ending}.png"
            text = f"{name} STAMP {ending}"
            cv2.imwrite(str(folder / image), 255 - seal(text))
            stamp = StampAnnotation(
                box=(0, 0, 200, 200),
                shape="circle",
                identity=name + ending,
                lines=(
                    StampLine(text=text, path="ring", places=round_the_ring(text)),
                    StampLine(text=text[:4], path="straight", places=across(text[:4])),
                ),
            )
            entries.append(
                ManifestEntry(
                    image=image,
                    width=200,
                    height=200,
                    stamps=(stamp,),
                    kind="isolated",
                    split="test" if index == 4 else "train",
                    family=name,
                )
            )
    crop = np.full((220, 240, 3), 230, np.uint8)
    crop[10:210, 30:230][seal("ACME STAMP 7") > 127] = (170, 60, 40)
    cv2.imwrite(str(folder / "crop.png"), crop)
    imprint = StampAnnotation(box=(30, 10, 230, 210), identity="ACME7")
    unknown = imprint.model_copy(update={"identity": None})
    entries.append(
        ManifestEntry(
            image="crop.png",
            width=240,
            height=220,
            stamps=(imprint, unknown),
            kind="crop",
            split="train",
            family="ACME",
        )
    )
    write_manifest(folder / "annotations.jsonl", entries)
    return folder / "annotations.jsonl"


def test_designs_are_known_by_family_and_identity(designs: Path) -> None:
    task = EmbedderTask([designs])
    families = task.families + task.validation
    assert [len(family) for family in families] == [2, 2, 2, 2]
    with_imprint = [d for family in families for d in family if d.imprints]
    assert len(with_imprint) == 1
    (source,) = [sample.source for sample in with_imprint[0].imprints]
    (artwork,) = [sample.source for sample in with_imprint[0].artworks]
    assert (source.clean, artwork.clean) == (False, True)
    # the design drawn dark on white and its imprint in blue come out as the same ink, cut tight
    found = cv2.resize(source.coverage, artwork.coverage.shape[::-1]) > 127
    drawn = artwork.coverage > 127
    assert (found & drawn).sum() > 0.75 * (found | drawn).sum()


def test_near_copies_meet_in_a_batch(designs: Path) -> None:
    task = EmbedderTask([designs])
    ink, numbers, families, letters, known = next(task.batches(Schedule(batch=8, rate=1e-3), 0))
    assert ink.shape == (8, SIDE, SIDE)
    chosen = numbers.tolist()[::2]
    assert numbers.tolist() == [number for number in chosen for _ in range(2)]
    assert len(set(chosen)) == 4
    assert [number // 2 for number in chosen] == families.tolist()[::2]
    assert len(set(families.tolist())) == 2
    again = next(task.batches(Schedule(batch=8, rate=1e-3), 0))
    assert torch.equal(ink, again[0])
    assert not torch.equal(ink[0], ink[1])
    # "ACME STAMP 7" round the ring, "ACME" straight; of the imprint nobody noted what it says
    per_picture = np.bincount(letters[:, 0], minlength=8)
    assert set(per_picture.tolist()) <= {14, 0}
    assert (per_picture > 0).tolist() == known.tolist()
    assert (letters[:, 1] < ANGLES // STRIDE).sum() * 14 == len(letters) * 10


def test_pictures_of_a_design_come_again_only_when_all_were_drawn() -> None:
    no_letters = Letters.of(())
    imprints = [
        Sample(Source(np.full((4, 4), level, np.uint8), True, False), no_letters)
        for level in range(3)
    ]
    artwork = Sample(Source(np.full((4, 4), 9, np.uint8), True, True), no_letters)
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = Design([artwork], imprints).draw(3, 1.0, rng)
        assert {id(sample) for sample in drawn} == {id(sample) for sample in imprints}
        assert len(Design([artwork], imprints).draw(7, 1.0, rng)) == 7
    assert Design([artwork], imprints).draw(2, 0.0, rng) == [artwork, artwork]
    assert Design([artwork]).draw(1, 1.0, rng) == [artwork]
    assert Design([], imprints[:1]).draw(2, 0.0, rng) == imprints[:1] * 2


def test_one_design_teaches_nothing(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), seal("ONE"))
    stamp = StampAnnotation(box=(0, 0, 200, 200), identity="one")
    entry = ManifestEntry(
        image="a.png", width=200, height=200, stamps=(stamp,), kind="isolated", split="train"
    )
    write_manifest(tmp_path / "annotations.jsonl", [entry])
    assert EmbedderTask([tmp_path / "annotations.jsonl"]).size() == 0


@pytest.mark.parametrize("clean", [True, False])
def test_simulated_imprints_keep_the_stamp(clean: bool) -> None:
    rng = np.random.default_rng(0)
    source = Source(seal("KEEP IT"), round=False, clean=clean)
    for _ in range(40):
        ink, _ = simulate(source, SIDE, rng)
        assert ink.shape == (SIDE, SIDE)
        assert ink.dtype == np.uint8
        rows, columns = np.nonzero(ink > 127)
        assert max(np.ptp(rows), np.ptp(columns)) > 0.75 * SIDE
        assert 0.02 < (ink > 127).mean() < 0.7


def test_imprints_without_ink_are_left_out(designs: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "crop.png"), np.full((60, 90, 3), 230, np.uint8))
    stamp = StampAnnotation(box=(0, 0, 90, 60), identity="blank")
    entry = ManifestEntry(
        image="crop.png", width=90, height=60, stamps=(stamp,), kind="crop", split="train"
    )
    write_manifest(tmp_path / "annotations.jsonl", [entry])
    task = EmbedderTask([designs, tmp_path / "annotations.jsonl"])
    assert len(task.families + task.validation) == 4


def test_the_polar_grid_follows_the_convention() -> None:
    picture = torch.zeros(1, 1, 160, 160)
    picture[..., 80:, 78:82] = 1.0  # downwards from the centre: a quarter turn clockwise
    grid = polar_grid(160, 64, 256)[None]
    unwrapped = torch.nn.functional.grid_sample(picture, grid, align_corners=False)[0, 0]
    assert int(unwrapped[32:].sum(dim=0).argmax()) == pytest.approx(64, abs=2)
    assert unwrapped[8:, :32].max() == 0
    assert polar_grid(160, 64, 256).abs().max() < 1


def test_the_polar_trunk_hardly_sees_a_turn() -> None:
    torch.manual_seed(0)
    trunk = PolarTrunk(SIDE, (16, 24, 48, 96)).eval()
    ink = seal("POLAR TRUNK")

    def likeness(degrees: float) -> float:
        with torch.no_grad():
            pair = [trunk(network_input(turned(ink, angle))).features for angle in (0, degrees)]
        return float(torch.cosine_similarity(*pair))

    # whole cells of the coarsest map, 360 / 24 degrees, only shift it
    assert min(likeness(degrees) for degrees in (15, 90, 195)) > 0.999
    assert min(likeness(degrees) for degrees in (5, 33, 300)) > 0.96


def test_what_stands_where_does_not_depend_on_the_turn_but_on_the_order() -> None:
    torch.manual_seed(0)
    trunk = PolarTrunk(SIDE, (16, 24, 48, 96)).eval()
    ink = network_input(seal("ORDER"))
    arranged = []
    with torch.no_grad():
        for order in ([0, 1, 2, 3], [2, 3, 0, 1], [1, 0, 2, 3]):
            # quarters of the unwrapped ring, in another order: the second is half a turn
            unwrap = polar_grid(SIDE, 64, 384).unflatten(1, (4, 96))[:, order].flatten(1, 2)
            trunk.grid.copy_(unwrap)
            arranged.append(trunk(ink).arranged)
    assert torch.allclose(arranged[0], arranged[1], atol=1e-4)
    assert float(torch.cosine_similarity(arranged[0], arranged[2])) < 0.95


def test_letters_are_known_whatever_their_accents() -> None:
    line = StampLine(
        text="Ü Ё東7", path="ring", places=((1.0, 2.0), None, (5.0, 2.0), (7.0, 2.0), (9.0, 3.0))
    )
    letters = Letters.of((line, StampLine(text="AB", path="straight")))
    assert [LETTERS[number] for number in letters.numbers] == ["U", "Е", "7"]
    assert letters.points.tolist() == [[1, 2], [5, 2], [9, 3]]
    assert letters.ring.all()
    assert letters.known
    doubled = letters.moved(np.diag([2.0, 2.0, 1.0]))
    assert doubled.points.tolist() == [[2, 4], [10, 4], [18, 6]]
    assert len(set(LETTERS)) == len(LETTERS)
    unknown = Letters.of([StampLine(text="AB", path="straight")])
    assert (len(unknown.numbers), unknown.known) == (0, False)


def test_letters_stay_where_they_are_in_simulated_imprints() -> None:
    rng = np.random.default_rng(5)
    canvas = np.zeros((120, 200), np.uint8)
    cv2.rectangle(canvas, (4, 4), (195, 115), 255, 4)
    cv2.circle(canvas, (140, 40), 12, 255, -1)
    source = Source(canvas, round=False, clean=False)
    for _ in range(20):
        ink, matrix = simulate(source, SIDE, rng)
        x, y, depth = matrix @ (140.5, 40.5, 1.0)
        column, row = int(x / depth), int(y / depth)
        around = ink[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        assert around.mean() > 40 or not around.size  # the ink may be weak there, or cut off


def test_places_are_those_that_see_a_letter() -> None:
    torch.manual_seed(1)
    net = EmbedderNet().eval()
    torch.nn.init.normal_(net.polar.letters.counted.weight)
    torch.nn.init.normal_(net.flat.letters.counted.weight)
    blank = torch.zeros(1, 1, SIDE, SIDE)
    # right in the middle of what places see
    points = np.array([[96.5, 20.5], [40.5, 151.5], [96.5, 16.5], [144.5, 80.5]])
    ring = np.array([True, True, False, False])
    with torch.no_grad():
        _, before = net.embed(blank)
        for (x, y), on_ring, place in zip(points, ring, places(points, ring, SIDE), strict=True):
            spot = blank.clone()
            spot[..., int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 1.0
            changed = (net.embed(spot)[1] - before).abs().sum(dim=1)[0]
            angles = ANGLES // STRIDE
            own = changed[:angles] if on_ring else changed[angles:]
            assert int(own.argmax()) == place - (0 if on_ring else angles)


def test_the_loss_of_letters_agrees_with_a_slow_version() -> None:
    rng = np.random.default_rng(4)
    rates = rng.random((3, 4, 5)) + 0.1
    letters = np.array([[0, 1, 2], [0, 1, 2], [2, 4, 0]])
    known = np.array([True, False, True])
    total = rates[0].sum() + rates[2].sum()
    total -= 2 * np.log(rates[0, 2, 1] + 1e-6) + np.log(rates[2, 0, 4] + 1e-6)
    loss = letter_loss(*map(torch.from_numpy, (rates, letters, known)))
    assert float(loss) == pytest.approx(total / 3)
    nothing = letter_loss(torch.from_numpy(rates), torch.zeros(0, 3).long(), torch.zeros(3).bool())
    assert float(nothing) == 0.0


def test_embeddings_are_of_unit_length_and_the_network_is_small() -> None:
    net = EmbedderNet().eval()
    with torch.no_grad():
        vectors = net(torch.rand(3, 1, SIDE, SIDE))
    assert vectors.shape == (3, 256)
    assert vectors.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    assert sum(parameter.numel() for parameter in net.parameters()) < 4_000_000


def slow_contrast(
    vectors: np.ndarray, designs: list[int], families: list[int], temperature: float, weight: float
) -> float:
    """The loss pair by pair."""
    total = 0.0
    for i, anchor in enumerate(vectors):
        others = sum(
            (weight if families[j] == families[i] else 1.0)
            * np.exp(anchor @ vectors[j] / temperature)
            for j in range(len(vectors))
            if designs[j] != designs[i]
        )
        losses = []
        for j in range(len(vectors)):
            if j != i and designs[j] == designs[i]:
                same = np.exp(anchor @ vectors[j] / temperature)
                losses.append(-np.log(same / (same + others)))
        total += float(np.mean(losses))
    return total / len(vectors)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_loss_agrees_with_a_slow_version(weight: float) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(9, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    designs, families = [0, 0, 0, 1, 1, 2, 2, 3, 3], [5, 5, 5, 5, 5, 6, 6, 7, 7]
    loss = contrastive_loss(
        torch.from_numpy(vectors), torch.tensor(designs), torch.tensor(families), 0.2, weight
    )
    assert float(loss) == pytest.approx(slow_contrast(vectors, designs, families, 0.2, weight))


def test_a_memory_asks_for_what_was_seen_of_the_own_design() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(8, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    batch, earlier = torch.from_numpy(vectors[:4]), torch.from_numpy(vectors[4:])
    designs = torch.tensor([3, 3, 1, 7])
    memory = DesignMemory(9, 6)
    assert float(memory.loss(batch, designs, 0.2)) == 0.0
    memory.see(earlier, torch.tensor([5, 7, 3, 3]))
    mean = vectors[6] + vectors[7]
    remembered = {5: vectors[4], 7: vectors[5], 3: mean / np.linalg.norm(mean)}
    total = 0.0
    for anchor, design in zip(vectors[:4], designs.tolist(), strict=True):
        if design in remembered:  # nothing is known of design 1
            likely = {d: np.exp(anchor @ vector / 0.2) for d, vector in remembered.items()}
            total -= float(np.log(likely[design] / sum(likely.values())))
    assert float(memory.loss(batch, designs, 0.2)) == pytest.approx(total / 4, rel=1e-5)


def test_a_memory_follows_what_it_sees() -> None:
    memory = DesignMemory(3, 2)
    axes = torch.eye(2)
    memory.see(axes, torch.tensor([0, 1]))
    losses = []
    for _ in range(4):
        losses.append(float(memory.loss(axes[1:], torch.tensor([0]), 1.0)))
        memory.see(axes[1:], torch.tensor([0]))
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(np.log(1 + np.e))
    assert losses[-1] == pytest.approx(np.log(2), abs=0.02)


def test_a_few_steps_tell_two_near_copies_apart(designs: Path) -> None:
    torch.manual_seed(0)
    task = EmbedderTask([designs])
    batch = next(task.batches(Schedule(batch=8, rate=1e-3), 0))
    net = EmbedderNet(channels=(8, 8, 16, 16))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    history = []
    for _ in range(20):
        losses = task.losses(net, batch)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
    told = [step["contrast"] + step["remembered"] for step in history]
    assert told[-1] < 0.1 * told[0]
    assert history[-1]["letters"] < 0.7 * history[0]["letters"]


def test_figures_of_held_out_families(designs: Path) -> None:
    task = EmbedderTask([designs])
    task.validation = task.families[:2]
    figures = task.validate(EmbedderNet(channels=(8, 8, 16, 16)).eval())
    assert figures["imprints"] == 16
    assert all(0 <= figures[name] <= 1 for name in ("cmc1", "map5", "near", "letters"))
