"""What the stamp reader learns from: strips that say what their texts are, where they say it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.datasets.manifest import Manifest  # noqa: E402
from platemark.synth.stamps import generate  # noqa: E402
from platemark.tasks.scripts import ALPHABET, fold  # noqa: E402
from platemark.train.cuts import cut_strips  # noqa: E402
from platemark.train.export import export_strip_reader  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.nets.lcnet import LcnetReaderNet  # noqa: E402
from platemark.train.pretrained import packaged_weights  # noqa: E402
from platemark.train.stamp_reader import (  # noqa: E402
    WIDTHS,
    StampReaderTask,
    encode,
)
from platemark.train.strips import StripPress, Texts, is_unseen_face  # noqa: E402


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imprints")
    return generate(folder, 12, 31, kind="imprints", sides=(260, 300), workers=1)


def small_net() -> LcnetReaderNet:
    return LcnetReaderNet(ALPHABET, blocks=((96, 96, 2, True), (96, 96, 2, False)))


def test_lines_of_imprints_are_cut_with_the_places_of_their_characters(manifest: Path) -> None:
    read = Manifest.read(manifest)
    strips = [strip for entry in read for strip in cut_strips(read, entry)]
    assert len(strips) >= 8
    texts = {fold(line.text) for entry in read for stamp in entry.stamps for line in stamp.lines}
    for strip in strips:
        assert strip.text in texts
        assert len(strip.middles) == len(strip.text)
        inked = strip.middles[np.isfinite(strip.middles)]
        assert (np.diff(inked) > 0).mean() > 0.9
        assert inked.min() > 0
        assert inked.max() < strip.pixels.shape[1]
    # Columns through the middles of letters have more ink than others, strip for strip.
    darker = []
    for strip in strips:
        columns = strip.middles[np.isfinite(strip.middles)].astype(int)
        darkest = strip.pixels[14:34].min(axis=0)
        darker.append(darkest[columns].mean() < darkest.mean())
    assert np.mean(darker) > 0.7


def test_batches_are_the_same_for_one_step_and_fit_the_network(manifest: Path) -> None:
    schedule = Schedule(batch=6, rate=1e-3, minutes=None, seed=4)
    strips, classes, lengths, anchors = StampReaderTask([manifest]).batch(schedule, 7)
    again = StampReaderTask([manifest]).batch(schedule, 7)
    assert torch.equal(strips, again[0])
    assert strips.shape[1:3] == (1, 32)
    assert strips.shape[3] in WIDTHS
    assert int(lengths.sum()) == len(classes)
    assert int(anchors[:, 1].max()) < strips.shape[3] // 4
    net = small_net()
    losses = StampReaderTask([manifest]).losses(net, (strips, classes, lengths, anchors))
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_network_learns_a_batch(manifest: Path) -> None:
    torch.manual_seed(0)
    task = StampReaderTask([manifest])
    batch = task.batch(Schedule(batch=6, rate=1e-3, minutes=None, seed=1), 0)
    net = small_net()
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        loss = torch.stack(list(task.losses(net, batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_drawn_strips_say_their_texts_from_left_to_right() -> None:
    press, rng = StripPress(None), np.random.default_rng(2)
    drawn = [press.draw(256, rng) for _ in range(30)]
    assert sum(bool(strip.text) for strip in drawn) > 20
    for strip in drawn:
        assert strip.pixels.shape == (32, 256)
        assert len(encode(strip.text)) == len(strip.middles)
        inked = strip.middles[np.isfinite(strip.middles)]
        assert not len(inked) or (inked[0] >= 0 and inked[-1] <= 256)


def test_texts_are_of_all_scripts_and_can_be_spelt() -> None:
    texts, rng = Texts(), np.random.default_rng(0)
    drawn = [texts.draw(int(rng.integers(1, 40)), rng) for _ in range(3000)]
    assert all(text and set(text) <= set(ALPHABET) for text in drawn)
    assert all(any(char in text for text in drawn) for char in "ŁČÑЩÏҚЂΩ№7")


def test_typefaces_of_a_family_are_kept_together() -> None:
    assert is_unseen_face("Lato-Bold") == is_unseen_face("Lato-Italic")


def test_the_network_begins_with_the_published_recogniser() -> None:
    """It reads what PP-OCRv6 reads, with the classes that both have."""
    onnxruntime = pytest.importorskip("onnxruntime")
    package = Path(str(pytest.importorskip("importlib.util").find_spec("rapidocr").origin)).parent
    theirs = onnxruntime.InferenceSession(package / "models" / "PP-OCRv6_rec_small.onnx")
    rng = np.random.default_rng(3)
    strip = StripPress(None).draw(256, rng).pixels
    grey = torch.from_numpy(strip).float()[None, None] / 127.5 - 1.0
    large = torch.nn.functional.interpolate(grey, (48, 512), mode="bilinear", align_corners=False)
    (expected,) = theirs.run(None, {"x": large.expand(1, 3, 48, 512).numpy()})
    letters = "ABCDEFGHIKLMNOPRSTabcdehinorst0123456789"
    characters = theirs.get_modelmeta().custom_metadata_map["character"].split("\n")
    columns = [0, *(characters.index(char) + 1 for char in letters)]
    with torch.no_grad():
        made = LcnetReaderNet(letters, pretrained=True)(grey).exp().numpy()
    shares = expected[..., columns] / expected[..., columns].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(made, shares, atol=1e-4)


def test_what_is_exported_can_be_fine_tuned(tmp_path: Path) -> None:
    """Weights that are stored as float16 come back, those of linear layers too."""
    net = small_net().eval()
    with torch.no_grad():  # the export leaves out what is 1 or 0 everywhere
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    export_strip_reader(net, tmp_path, {})
    weights, _ = packaged_weights(str(tmp_path), "reader")
    assert weights.keys() == net.state_dict().keys()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(weights[name], value, atol=2e-3, rtol=1e-2)
