"""What the tasks share: memory, held-out keys."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.imaging.image import Image  # noqa: E402
from platemark.train.pictures import Memory, is_held_out  # noqa: E402


def test_pictures_beyond_the_room_are_kept_as_jpeg() -> None:
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (80, 1, 3))
    ramp[..., 2] = 200
    memory = Memory(ramp.nbytes + 1)
    first, second = memory.keep(ramp), memory.keep(ramp)
    assert first is ramp
    assert isinstance(second, bytes)
    assert len(second) < ramp.nbytes / 4
    assert np.abs(Image.read(second).pixels.astype(int) - ramp).max() <= 4


def test_held_out_keys_are_about_the_share_and_always_the_same() -> None:
    keys = [f"images/{number}.jpg" for number in range(5000)]
    chosen = [key for key in keys if is_held_out(key, 0.08)]
    assert len(chosen) == pytest.approx(400, rel=0.2)
    assert all(is_held_out(key, 0.2) for key in chosen)
    assert is_held_out("images/a.jpg", 0.08) == is_held_out("images/a.jpg", 0.08)
