import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from platemark.geometry import (
    Letterbox,
    apply_homography,
    box_to_quad,
    clip_boxes,
    coverage_matrix,
    enlarge_quad,
    homography,
    iou_matrix,
    is_convex,
    nms,
    order_corners,
    quad_area,
    quad_to_box,
    rectified_size,
)

coordinate = st.floats(-2000, 2000)
size = st.floats(5, 1000)


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    x, y, width, height = draw(coordinate), draw(coordinate), draw(size), draw(size)
    return np.array([x, y, x + width, y + height])


@st.composite
def quads(draw: st.DrawFn) -> np.ndarray:
    """Convex quads, clockwise: a box whose corners each move inwards by up to 40%, then turned."""
    quad = box_to_quad(draw(boxes()))
    centre = quad.mean(axis=0)
    inwards = np.array([draw(st.floats(0, 0.4)) for _ in range(8)]).reshape(4, 2)
    quad = quad + inwards * (centre - quad)
    angle = draw(st.floats(-math.pi, math.pi))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    quad = (quad - centre) @ turn + centre
    assume(is_convex(quad))
    return quad


@given(quads(), st.permutations(range(4)))
def test_order_corners_is_the_same_for_any_order(quad: np.ndarray, order: list[int]) -> None:
    # Where two starts are equally good, the first corner is a matter of rounding.
    sides = np.diff(quad[[0, 1, 2, 3, 0]], axis=0)
    starts = sorted(abs((sides[i] - sides[(i + 2) % 4])[0]) for i in range(2))
    assume(starts[1] - starts[0] > 1e-6)
    ordered = order_corners(quad)
    assert np.allclose(order_corners(quad[order]), ordered)
    assert is_convex(ordered)
    assert {tuple(p) for p in ordered.tolist()} == {tuple(p) for p in quad.tolist()}


@given(boxes(), st.floats(-40, 40))
def test_order_corners_finds_the_top_left_of_a_turned_plate(
    box: np.ndarray, degrees: float
) -> None:
    x0, y0, x1, y1 = box
    assume(x1 - x0 >= y1 - y0)
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    quad = (box_to_quad(box) - box[:2]) @ turn
    assert np.allclose(order_corners(quad[::-1]), quad)


@given(quads())
def test_reversed_and_crossed_quads_are_not_convex(quad: np.ndarray) -> None:
    assert not is_convex(quad[::-1])
    assert not is_convex(quad[[0, 2, 1, 3]])
    assert quad_area(quad) > 0 > quad_area(quad[::-1])


def test_degenerate_quads_are_not_convex() -> None:
    assert not is_convex([[0, 0], [1, 0], [2, 0], [3, 0]])
    assert not is_convex([[5, 5]] * 4)
    assert not is_convex([[0, 0], [4, 0], [1, 1], [0, 4]])


@given(boxes())
def test_box_and_quad_are_inverse(box: np.ndarray) -> None:
    assert np.array_equal(quad_to_box(box_to_quad(box)), box)
    assert quad_area(box_to_quad(box)) == pytest.approx((box[2] - box[0]) * (box[3] - box[1]))


def test_box_to_quad_takes_many() -> None:
    many = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(quad_to_box(box_to_quad(many)), many)


@given(quads(), quads(), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_homography_maps_corners_and_comes_back(
    a: np.ndarray, b: np.ndarray, inside: list[tuple[float, float]]
) -> None:
    there, back = homography(a, b), homography(b, a)
    assert np.allclose(apply_homography(there, a), b, atol=1e-4)
    u, v = np.array(inside).T[..., None]
    points = (1 - v) * ((1 - u) * a[0] + u * a[1]) + v * ((1 - u) * a[3] + u * a[2])
    assert np.allclose(apply_homography(back, apply_homography(there, points)), points, atol=1e-2)


@pytest.mark.parametrize(
    "points",
    [
        [[0, 0], [1, 0], [2, 0], [0, 1]],
        [[0, 0], [1, 1], [2, 2], [3, 3]],
        [[1, 1]] * 4,
        [[0, 0], [1, 0], [1, 1]],
    ],
)
def test_homography_refuses_points_that_do_not_fix_it(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"homography|\(4, 2\)"):
        homography(points, box_to_quad([0, 0, 1, 1]))
    with pytest.raises(ValueError, match=r"homography|\(4, 2\)"):
        homography(box_to_quad([0, 0, 1, 1]), points)


@given(boxes(), st.floats(0, 0.5))
def test_enlarging_a_box_adds_the_margin_on_each_side(box: np.ndarray, margin: float) -> None:
    grown = quad_to_box(enlarge_quad(box_to_quad(box), margin))
    extra = margin * np.array([box[2] - box[0], box[3] - box[1]])
    assert np.allclose(grown, box + np.concatenate([-extra, extra]), atol=1e-5)


@given(quads(), st.floats(0.001, 0.05))
def test_an_enlarged_quad_holds_the_quad_in_its_plane(quad: np.ndarray, margin: float) -> None:
    grown = enlarge_quad(quad, margin)
    inner = box_to_quad(np.array([margin, margin, 1 + margin, 1 + margin]) / (1 + 2 * margin))
    unit = box_to_quad([0, 0, 1, 1])
    assert np.allclose(apply_homography(homography(unit, grown), inner), quad, atol=1e-3)
    assert quad_area(grown) > quad_area(quad)


def test_rectified_size_is_the_mean_of_opposite_sides() -> None:
    assert rectified_size([[0, 0], [100, 0], [90, 20], [10, 20]]) == (90, 22)
    assert rectified_size([[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]) == (1, 1)


@given(
    st.integers(1, 6000),
    st.integers(1, 6000),
    st.integers(32, 1920),
    st.floats(0.5, 4),
    st.lists(st.tuples(coordinate, coordinate), min_size=1),
)
def test_letterbox_comes_back_and_keeps_its_promises(
    width: int, height: int, long_side: int, max_upscale: float, points: list[tuple[float, float]]
) -> None:
    fit = Letterbox.fit(width, height, long_side, max_upscale=max_upscale)
    assert np.allclose(fit.inverse(fit.forward(points)), points)
    assert fit.padded_width % 32 == 0 == fit.padded_height % 32
    assert 0 <= fit.padded_width - fit.scaled_width < 32
    assert 0 <= fit.padded_height - fit.scaled_height < 32
    assert max(fit.scaled_width, fit.scaled_height) <= long_side
    assert np.allclose(fit.forward([width, height]), [fit.scaled_width, fit.scaled_height])


def test_letterbox_does_not_enlarge_beyond_its_limit() -> None:
    assert Letterbox.fit(100, 50, 640).scaled_width == 100
    assert Letterbox.fit(100, 50, 640, max_upscale=2).scaled_width == 200
    with pytest.raises(ValueError, match="positive"):
        Letterbox.fit(0, 50, 640)


@given(st.lists(boxes(), max_size=6), st.lists(boxes(), max_size=6))
def test_iou_is_symmetric_and_one_with_itself(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    overlaps = iou_matrix(a, b)
    assert overlaps.shape == (len(a), len(b))
    assert np.allclose(overlaps, iou_matrix(b, a).T)
    assert np.all((overlaps >= 0) & (overlaps <= 1 + 1e-9))
    assert np.allclose(np.diag(iou_matrix(a, a)), 1)


def test_iou_of_known_boxes() -> None:
    overlaps = iou_matrix([[0, 0, 2, 2]], [[1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 0, 0]])
    assert overlaps[0].tolist() == pytest.approx([1 / 7, 0, 0])


def _slow_nms(found: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    left = sorted(range(len(found)), key=lambda index: -scores[index])
    kept = []
    while left:
        best, *rest = left
        kept.append(best)
        left = [i for i in rest if iou_matrix(found[best], found[i])[0, 0] <= threshold]
    return kept


@given(st.integers(0, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_nms_agrees_with_a_slow_one(count: int, seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 50, (count, 2))
    found = np.concatenate([corners, corners + random.uniform(5, 50, (count, 2))], axis=1)
    scores = random.integers(0, 5, count) / 5
    assert nms(found, scores, threshold).tolist() == _slow_nms(found, scores, threshold)


def test_clip_boxes_cuts_to_the_image() -> None:
    assert clip_boxes([[-5, -5, 700, 20]], 640, 10).tolist() == [[0, 0, 640, 10]]


def test_coverage_is_the_share_of_the_first_box() -> None:
    shares = coverage_matrix(
        [[0, 0, 4, 2], [1, 1, 1, 3]], [[2, 0, 9, 9], [0, 0, 4, 2], [5, 5, 6, 6]]
    )
    assert shares.tolist() == [[0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]
