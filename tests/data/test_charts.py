from __future__ import annotations

import numpy as np
import pytest

from crossrig.data.charts import Chart, make_chart
from crossrig.data.geometry import HeadSurface, HeadTemplate


@pytest.fixture(scope="module")
def ball() -> HeadTemplate:
    """A sphere of radius 0.1 m."""
    up, around = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, 41), np.linspace(-np.pi, np.pi, 81), indexing="ij")
    points = 0.1 * np.stack([np.cos(up) * np.sin(around), np.sin(up), np.cos(up) * np.cos(around)], -1).reshape(-1, 3)
    index = np.arange(41 * 81).reshape(41, 81)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    count = len(points)
    return HeadTemplate(
        mean=points.astype(np.float32), faces=faces.astype(np.int32), uv=np.zeros((count, 2), np.float32),
        face_part=np.zeros(len(faces), np.uint8), rotation_weight=np.linspace(0, 1, count, dtype=np.float32), regions={}, landmarks={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def chart(ball: HeadTemplate) -> Chart:
    angles = np.radians(np.linspace(-40, 40, 17)).astype(np.float32)
    return make_chart(ball.mean, ball.faces, np.zeros(3, np.float32), angles, angles)


def test_nodes_lie_where_their_rays_leave_the_surface(ball: HeadTemplate, chart: Chart):
    nodes = chart.place(HeadSurface.of(ball, ball.mean))
    across, up = np.meshgrid(chart.azimuth, chart.elevation, indexing="ij")
    expected = 0.1 * np.stack([np.cos(up) * np.sin(across), np.sin(up), np.cos(up) * np.cos(across)], -1)
    np.testing.assert_allclose(nodes[..., :3], expected, atol=4e-4)
    np.testing.assert_allclose(nodes[..., 3:6], expected / 0.1, atol=0.03)


def test_coordinates_and_look_up_are_inverse(ball: HeadTemplate, chart: Chart):
    nodes = chart.place(HeadSurface.of(ball, ball.mean))
    at = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(chart.coordinates(chart.look_up(nodes, at)[:, :3]), at, atol=4e-3)


def test_places_follow_the_mesh(ball: HeadTemplate, chart: Chart):
    at = np.array([[0.1, -0.2]], dtype=np.float32)
    still = chart.look_up(chart.place(HeadSurface.of(ball, ball.mean)), at)
    moved = chart.look_up(chart.place(HeadSurface.of(ball, ball.mean + np.float32(0.01))), at)
    np.testing.assert_allclose(moved[:, :3] - still[:, :3], 0.01, atol=1e-6)


def test_beyond_the_edge_the_edge_answers(ball: HeadTemplate, chart: Chart):
    nodes = chart.place(HeadSurface.of(ball, ball.mean))
    edge, beyond = chart.look_up(nodes, np.array([[0.0, chart.elevation[-1]], [0.0, 3.0]], dtype=np.float32))
    np.testing.assert_allclose(edge, beyond, atol=1e-4)
