"""What the embedder learns from, what it is blind to, and that it learns."""

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
from platemark.train.embedder import SIDE, Design, EmbedderTask, normalise  # noqa: E402
from platemark.train.imprints import Source, simulate  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.losses import DesignMemory, contrastive_loss  # noqa: E402
from platemark.train.nets.embedder import EmbedderNet, PolarTrunk, polar_grid  # noqa: E402


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


def turned(ink: np.ndarray, degrees: float) -> np.ndarray:
    centre = (ink.shape[1] / 2 - 0.5, ink.shape[0] / 2 - 0.5)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1)
    return np.asarray(cv2.warpAffine(ink, matrix, ink.shape[::-1]), np.uint8)


def network_input(ink: np.ndarray) -> torch.Tensor:
    fitted = cv2.resize(ink, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return normalise(torch.from_numpy(fitted[None]))


@pytest.fixture(scope="module")
def designs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four families of two near-copies: artwork of all, an imprint of one, and a test design."""
    folder = tmp_path_factory.mktemp("designs")
    entries = []
    for index, name in enumerate(("ACME", "BOND", "LYNX", "QUIZ", "WORK")):
        for ending in "78":
            image = f"{name}{ending}.png"
            cv2.imwrite(str(folder / image), 255 - seal(f"{name} STAMP {ending}"))
            stamp = StampAnnotation(box=(0, 0, 200, 200), shape="circle", identity=name + ending)
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
    (source,) = with_imprint[0].imprints
    (artwork,) = with_imprint[0].artworks
    assert (source.clean, artwork.clean) == (False, True)
    # the design drawn dark on white and its imprint in blue come out as the same ink, cut tight
    found = cv2.resize(source.coverage, artwork.coverage.shape[::-1]) > 127
    drawn = artwork.coverage > 127
    assert (found & drawn).sum() > 0.75 * (found | drawn).sum()


def test_near_copies_meet_in_a_batch(designs: Path) -> None:
    task = EmbedderTask([designs])
    ink, numbers, families = task.batch(Schedule(batch=8, rate=1e-3), 0)
    assert ink.shape == (8, SIDE, SIDE)
    chosen = numbers.tolist()[::2]
    assert numbers.tolist() == [number for number in chosen for _ in range(2)]
    assert len(set(chosen)) == 4
    assert [number // 2 for number in chosen] == families.tolist()[::2]
    assert len(set(families.tolist())) == 2
    again = task.batch(Schedule(batch=8, rate=1e-3), 0)
    assert torch.equal(ink, again[0])
    assert not torch.equal(ink[0], ink[1])


def test_pictures_of_a_design_come_again_only_when_all_were_drawn() -> None:
    imprints = [Source(np.full((4, 4), level, np.uint8), True, False) for level in range(3)]
    artwork = Source(np.full((4, 4), 9, np.uint8), True, True)
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = Design([artwork], imprints).draw(3, 1.0, rng)
        assert {id(source) for source in drawn} == {id(source) for source in imprints}
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
        ink = simulate(source, SIDE, rng)
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


def test_a_new_network_knows_nothing_of_what_stands_where() -> None:
    torch.manual_seed(0)
    net = EmbedderNet().eval()
    ink = network_input(seal("ORDER"))
    with torch.no_grad():
        seen = torch.cat([net.polar(ink).features, net.flat(ink).features], dim=1)
        whole = torch.nn.functional.normalize(net.join(seen), dim=1)
        assert torch.allclose(net(ink), whole, atol=1e-6)
        torch.nn.init.normal_(net.arrange[1].weight)
        assert not torch.allclose(net(ink), whole, atol=0.1)


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
    memory = DesignMemory(9)
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
    memory = DesignMemory(3)
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
    batch = task.batch(Schedule(batch=8, rate=1e-3), 0)
    net = EmbedderNet(channels=(8, 8, 16, 16))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    history = []
    for _ in range(20):
        loss = torch.stack(list(task.losses(net, batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < history[0]


def test_figures_of_held_out_families(designs: Path) -> None:
    task = EmbedderTask([designs])
    task.validation = task.families[:2]
    figures = task.validate(EmbedderNet(channels=(8, 8, 16, 16)).eval())
    assert figures["imprints"] == 16
    assert all(0 <= figures[name] <= 1 for name in ("cmc1", "map5", "near"))
