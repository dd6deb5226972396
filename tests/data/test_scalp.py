from __future__ import annotations

import numpy as np
import pytest

from crossrig.data.geometry import HeadTemplate
from crossrig.data.portraits import studio
from crossrig.data.scalp import (
    DISTANCE_CELL,
    LARGE,
    ROOTS,
    WARP_CELL,
    Scalp,
    carry,
    farthest_order,
    plant,
    scalp_arrays,
    scalp_of,
    smoothstep,
)
from crossrig.data.scalp_fitting import fit_scalp


@pytest.fixture(scope="module")
def template() -> HeadTemplate:
    return studio().template


@pytest.fixture(scope="module")
def scalp(template: HeadTemplate) -> Scalp:
    return scalp_of(template)


def test_roots_lie_on_the_scalp_and_not_on_the_face(template: HeadTemplate, scalp: Scalp):
    roots = scalp.roots.points
    assert roots.shape == (ROOTS, 3)
    face = (roots[:, 2] > 0.07) & (roots[:, 1] < scalp.brow_height + 0.01)
    assert not face.any()
    ears = template.mean[template.regions["ears"]]
    outermost = np.abs(ears[:, 0]).max()
    assert np.abs(roots[:, 0]).max() < outermost
    np.testing.assert_allclose(np.linalg.norm(scalp.roots.normals, axis=1), 1, atol=1e-4)


def test_the_shipped_scalp_is_the_one_that_is_found_on_the_shipped_head(template: HeadTemplate, scalp: Scalp):
    shipped, found = scalp_arrays(scalp), scalp_arrays(fit_scalp(template))
    assert shipped.keys() == found.keys()
    for name, array in found.items():
        precision = 1e-3 if name in LARGE else 1e-5  # LARGE ones ship in half precision
        np.testing.assert_allclose(shipped[name], array, rtol=precision, atol=precision * np.abs(array).max(), err_msg=name)


def test_roots_are_evenly_spread_in_every_beginning(scalp: Scalp):
    for count in (100, 800):
        points = scalp.roots.points[:count]
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(count)
        nearest = gaps.min(1)
        assert nearest.min() > 0.45 * nearest.mean()


def test_farthest_order_agrees_with_a_plain_search():
    points = np.random.default_rng(1).standard_normal((60, 3)).astype(np.float32)
    order = [0]
    for _ in range(19):
        gaps = np.linalg.norm(points[:, None] - points[order][None], axis=2).min(1)
        order.append(int(gaps.argmax()))
    np.testing.assert_array_equal(farthest_order(points, 20), order)


def test_the_distance_grid_knows_inside_from_outside(scalp: Scalp):
    def at(points: np.ndarray) -> np.ndarray:
        cells = np.round((points - scalp.origin) / DISTANCE_CELL).astype(int)
        return scalp.distance[cells[:, 0], cells[:, 1], cells[:, 2], 0]

    head = scalp.roots.points[scalp.roots.inside > 0.01]
    normal = scalp.roots.normals[scalp.roots.inside > 0.01]
    outside, inside = at(head + 0.03 * normal), at(head - 0.03 * normal)
    assert (outside > 0.015).mean() > 0.98
    assert (inside < -0.01).mean() > 0.98
    assert np.abs(np.median(outside) - 0.03) < 0.004


def test_the_warp_carries_affine_changes_exactly(template: HeadTemplate, scalp: Scalp):
    matrix = np.array([[1.06, 0.01, 0.0], [0.0, 0.95, 0.02], [0.01, 0.0, 1.03]], dtype=np.float32)
    shift = np.array([0.002, -0.004, 0.003], dtype=np.float32)
    affine, lattice = scalp.warp.fit(template.mean @ matrix.T + shift)
    points = scalp.roots.points + 0.05 * scalp.roots.normals
    moved = points.copy()
    carry(moved, affine, lattice, scalp.warp.origin, WARP_CELL)
    np.testing.assert_allclose(moved, points @ matrix.T + shift, atol=2e-5)


def test_the_warp_follows_a_smooth_bulge(template: HeadTemplate, scalp: Scalp):
    def bulge(points: np.ndarray) -> np.ndarray:
        return points * (1 + 0.06 * np.exp(-((points - [0.06, 0.09, 0.0]) ** 2).sum(1, keepdims=True) / 0.06**2)).astype(np.float32)

    affine, lattice = scalp.warp.fit(bulge(template.mean))
    moved = scalp.roots.points.copy()
    carry(moved, affine, lattice, scalp.warp.origin, WARP_CELL)
    expected = bulge(scalp.roots.points)
    before = np.linalg.norm(expected - scalp.roots.points, axis=1)
    after = np.linalg.norm(expected - moved, axis=1)
    assert after.mean() < 0.25 * before.mean()


def test_planted_strands_start_exactly_on_the_skin(template: HeadTemplate, scalp: Scalp):
    points = np.zeros((10, 4, 3), dtype=np.float32)
    along = np.linspace(0, 1, 4, dtype=np.float32)
    plant(points, along, np.full(10, 10.0, np.float32), template.mean, scalp.corners[:10], scalp.weights[:10], 0.01)
    np.testing.assert_allclose(points[:, 0], scalp.roots.points[:10], atol=1e-6)
    np.testing.assert_allclose(points[:, -1], 0, atol=1e-6)


def test_smoothstep_is_flat_at_its_ends():
    values = smoothstep(1.0, 3.0, np.array([0.0, 1.0, 2.0, 3.0, 9.0], dtype=np.float32))
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1])
