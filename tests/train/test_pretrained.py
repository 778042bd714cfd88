"""A run begins with the weights of another, or of a packaged model, and knows what that knew."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from platemark.errors import ModelMismatch  # noqa: E402
from platemark.train.export import export_reader  # noqa: E402
from platemark.train.loop import Schedule, fit  # noqa: E402
from platemark.train.nets.detector import DetectorNet  # noqa: E402
from platemark.train.nets.reader import ReaderNet  # noqa: E402
from platemark.train.pretrained import packaged_weights, start_from, take_weights  # noqa: E402
from platemark.train.reader import ALPHABET, ReaderTask  # noqa: E402

SCHEDULE = Schedule(batch=15, rate=1e-2, warmup=5, minutes=None, epochs=2, seed=4)


def answers(net: torch.nn.Module) -> torch.Tensor:
    pictures = torch.rand(2, 1, 48, 160, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.no_grad():
        log_probs: torch.Tensor = net.eval()(pictures)
    return log_probs


def test_a_run_starts_from_the_weights_of_another(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    trained = fit(net(), task, replace(SCHEDULE, epochs=1), tmp_path / "first", report=str)
    fresh = net()
    start_from(str(tmp_path / "first"), fresh, task, SCHEDULE, "reader")
    for name, value in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


def test_a_run_starts_from_a_packaged_model(task: ReaderTask, tmp_path: Path) -> None:
    trained = fit(ReaderNet(len(ALPHABET) + 1), task, SCHEDULE, tmp_path / "run", report=str)
    export_reader(trained, tmp_path / "model", {})
    fresh = ReaderNet(len(ALPHABET) + 1)
    start_from(str(tmp_path / "model"), fresh, task, SCHEDULE, "reader")
    torch.testing.assert_close(answers(fresh), answers(trained), atol=1e-3, rtol=0)


def test_normalisations_are_true_ones_again(task: ReaderTask) -> None:
    fresh = ReaderNet(len(ALPHABET) + 1)
    start_from("plate-reader", fresh, task, SCHEDULE, "reader")
    batch = task.batch(replace(SCHEDULE, batch=30), 99)
    with torch.no_grad():
        by_running_statistics = task.losses(fresh.eval(), batch)["ctc"]
        by_those_of_the_batch = task.losses(fresh.train(), batch)["ctc"]
        unlearned = task.losses(ReaderNet(len(ALPHABET) + 1).eval(), batch)["ctc"]
    assert by_running_statistics < unlearned
    assert by_those_of_the_batch < unlearned


def test_most_weights_have_to_fit(net: Callable[[], ReaderNet], tmp_path: Path) -> None:
    weights, shifts = packaged_weights("plate-reader", "reader")
    assert "head.1.weight" in weights
    assert "convolutions.0.0" in shifts
    with pytest.raises(ModelMismatch, match="weights fit"):
        take_weights(net(), weights, str(tmp_path))
    with pytest.raises(ModelMismatch, match="weights fit"):
        take_weights(DetectorNet(), weights, str(tmp_path))


def test_what_no_run_can_start_from(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    other = ReaderNet(len(ALPHABET) + 1, channels=(8, 8, 8, 8), layers=1)
    fit(other, task, replace(SCHEDULE, epochs=1), tmp_path / "other", report=str)
    with pytest.raises(ModelMismatch, match="weights fit"):
        start_from(str(tmp_path / "other"), net(), task, SCHEDULE, "reader")
    with pytest.raises(ModelMismatch, match="no checkpoint"):
        start_from(str(tmp_path), net(), task, SCHEDULE, "reader")
    with pytest.raises(ModelMismatch, match="a reader cannot start"):
        start_from("plate-detector", net(), task, SCHEDULE, "reader")
