"""Unwrapping and its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.stamps.baselines import Baseline, RingLine, StraightLine, unwrap

numbers = st.floats(-200, 400)
straight = st.builds(
    StraightLine,
    start=st.tuples(numbers, numbers),
    angle=st.floats(-360, 360),
    length=st.floats(1, 300),
    capital=st.floats(4, 60),
    slant=st.floats(-0.5, 0.5),
)
rings = st.builds(
    RingLine,
    centre=st.tuples(numbers, numbers),
    radii=st.floats(40, 200).flatmap(
        lambda rx: st.tuples(st.just(rx), st.floats(0.6 * rx, 1.6 * rx))
    ),
    tilt=st.floats(-180, 180),
    start=st.floats(-360, 360),
    length=st.floats(1, 200),
    capital=st.floats(4, 12),
    inward=st.booleans(),
)


@given(straight | rings, st.floats(0.01, 0.99), st.floats(-1, 1))
def test_places_of_points_are_the_places_they_came_from(
    line: Baseline, part: float, above: float
) -> None:
    along, rise = part * line.length, above * line.capital
    back = line.places(line.points(along, rise))
    # Ways along an ellipse are tabled in steps of half a degree.
    assert back == pytest.approx([along, rise], abs=0.02)


@given(rings)
def test_a_whole_turn_ends_where_it_began(ring: RingLine) -> None:
    assert ring.points(ring.circumference, 0.0) == pytest.approx(ring.points(0.0, 0.0), abs=1e-6)


def test_a_ring_is_read_clockwise_outwards_and_anticlockwise_inwards() -> None:
    out = RingLine((50, 50), (40, 40), 0.0, -90.0, 10.0, 8.0)
    first, later, top = out.points([0.0, 5.0, 0.0], [0.0, 0.0, 4.0])
    assert first == pytest.approx([50, 10])
    assert later[0] > 50
    assert top[1] == pytest.approx(6)
    foot = RingLine((50, 50), (40, 40), 0.0, 90.0, 10.0, 8.0, inward=True)
    first, later, top = foot.points([0.0, 5.0, 0.0], [0.0, 0.0, 4.0])
    assert first == pytest.approx([50, 90])
    assert later[0] > 50
    assert top[1] == pytest.approx(86)


@given(straight | rings, st.floats(8, 24), st.floats(0.7, 1.4))
def test_points_of_a_strip_are_where_its_pixels_came_from(
    line: Baseline, capital: float, stretch: float
) -> None:
    picture = np.zeros((4, 4), np.uint8)
    strip = unwrap(picture, line, height=32, capital=capital, margin=0.0, stretch=stretch)
    assert strip.pixels.shape[0] == 32
    left, foot = strip.points([[0.0, 16.0], [0.0, 16.0 + capital / 2]])
    assert left == pytest.approx(line.points(0.0, 0.0), abs=1e-6)
    assert foot == pytest.approx(line.points(0.0, -line.capital / 2), abs=1e-6)


def test_an_unwrapped_ring_is_upright() -> None:
    """Wedges painted on a ring come out as a comb of upright bars of one width."""
    rows, columns = np.mgrid[0:200, 0:200] + 0.5
    angles = np.degrees(np.arctan2(rows - 100, columns - 100)) % 360
    radii = np.hypot(rows - 100, columns - 100)
    ink = (angles // 15 % 2 == 0) & (radii > 60) & (radii < 80)
    picture = np.where(ink, 0, 255).astype(np.uint8)
    ring = RingLine((100, 100), (70, 70), 0.0, 0.0, 2 * np.pi * 70, 20.0)
    strip = unwrap(picture, ring, height=32, capital=20.0, margin=0.0)
    band = strip.pixels[8:24] < 128
    assert (band.all(axis=0) == band.any(axis=0)).mean() > 0.9
    bars = np.flatnonzero(np.diff(band[8].astype(int)))
    assert np.diff(bars) == pytest.approx(
        np.full(len(bars) - 1, strip.pixels.shape[1] / 24), abs=1.5
    )
    assert (strip.pixels[[1, 30]] > 200).all()
