"""Batches come in order, whoever makes them."""

import os

import pytest

torch = pytest.importorskip("torch")

from platemark.train.batches import Batch, prefetch  # noqa: E402


def make(step: int) -> Batch:
    if step == 8:
        raise ValueError("no batch 8")
    return torch.tensor(step), torch.tensor(os.getpid())


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_and_pass_errors_on(workers: int) -> None:
    stream = prefetch(make, 5, workers)
    made = [next(stream) for _ in range(3)]
    assert [int(step) for step, _ in made] == [5, 6, 7]
    assert len({int(process) for _, process in made} - {os.getpid()}) == workers
    with pytest.raises(ValueError, match="no batch 8"):
        next(stream)
