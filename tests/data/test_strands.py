from __future__ import annotations

import numpy as np
import pytest

from crossrig.data import strands


@pytest.fixture
def bundle() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five straight strands along +x, their knots, and outward directions along +z."""
    along = np.linspace(0, 1, 9, dtype=np.float32)
    points = np.zeros((5, 9, 3), dtype=np.float32)
    points[..., 0] = 0.1 * along
    points[..., 1] = 0.01 * np.arange(5)[:, None]
    outward = np.zeros_like(points)
    outward[..., 2] = 1
    return points, outward, along


def test_clumps_close_towards_their_leader_and_leave_roots_alone(bundle):
    points, _, along = bundle
    before = points.copy()
    strands.clump(points, along, np.full(5, 2), np.float32(0.6), 1.3)
    np.testing.assert_array_equal(points[:, 0], before[:, 0])
    np.testing.assert_array_equal(points[2], before[2])
    spread = np.abs(points[:, -1, 1] - 0.02)
    assert np.all(spread[[0, 1, 3, 4]] < np.abs(before[:, -1, 1] - 0.02)[[0, 1, 3, 4]])


def test_curls_stay_within_their_radius_and_on_the_outside(bundle):
    points, outward, along = bundle
    before = points.copy()
    many = [np.full(5, value, np.float32) for value in (0.1, 0.7, 0.004, 0.04)]
    strands.curl(points, outward, along, *many, 1.0, 0.01, 0.0)
    moved = points - before
    assert np.abs(moved[..., 1]).max() > 0.002
    assert np.abs(moved[..., 1]).max() <= 0.004 + 1e-6
    assert moved[..., 2].min() >= -1e-7
    np.testing.assert_allclose(moved[:, 0], 0, atol=1e-7)


def test_curls_of_no_width_change_nothing(bundle):
    points, outward, along = bundle
    before = points.copy()
    many = [np.full(5, value, np.float32) for value in (0.1, 0.7, 0.0, 0.04)]
    strands.curl(points, outward, along, *many, 1.0, 0.01, 0.0)
    np.testing.assert_array_equal(points, before)


def test_hair_before_the_eyes_is_shortened_and_the_rest_is_not():
    points = np.zeros((2, 6, 3), dtype=np.float32)
    points[:, :, 1] = np.linspace(0.1, 0.0, 6)
    points[:, :, 2] = 0.09
    points[1, :, 0] = 0.08  # beside the face
    before = points.copy()
    kept = np.empty(2, dtype=np.float32)
    strands.clear_face(points, np.float32(0.045), np.float32(0.05), np.float32(0.045), kept)
    assert points[0, :, 1].min() >= 0.045
    assert kept[0] == pytest.approx(0.4)
    np.testing.assert_array_equal(points[1], before[1])
    assert kept[1] == 1


def test_ribbons_are_as_wide_as_asked_and_face_outwards(bundle):
    points, outward, along = bundle
    width = np.linspace(0.002, 0.006, 5, dtype=np.float32)
    profile = np.ones(9, dtype=np.float32)
    vertices, tangent, turning, faces, uv = strands.ribbon_mesh(
        points, outward, along, np.full((5, 9), 0.3, np.float32), width, np.zeros(5, np.float32), profile
    )
    pairs = vertices.reshape(5, 9, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1), np.repeat(width[:, None], 9, 1), rtol=1e-5)
    np.testing.assert_allclose(pairs.mean(2), points, atol=1e-7)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    assert np.all(np.cross(b - a, c - a)[:, 2] > 0)
    np.testing.assert_allclose(tangent, np.broadcast_to([1, 0, 0], tangent.shape), atol=1e-6)
    assert np.all(turning == np.float32(0.3))
    across = uv[:, 0] % strands.RIBBON_STRIDE
    assert set(np.unique(across)) == {0.0, 1.0}
    assert len(np.unique(uv[:, 0] // strands.RIBBON_STRIDE)) == 5


def test_smooth_random_values_vary_slowly():
    rng = np.random.default_rng(3)
    places = rng.uniform(-0.1, 0.1, (400, 3)).astype(np.float32)
    values = strands.smooth_random(np.random.default_rng(1), places, 0.03, 2)
    shifted = strands.smooth_random(np.random.default_rng(1), places + np.float32(0.001), 0.03, 2)
    assert 0.6 < values.std() < 1.4
    assert np.abs(values - shifted).max() < 0.4
