from __future__ import annotations

import numpy as np

from crossrig.face3d.model import FaceModel
from crossrig.face3d.normals import vertex_normals


def octahedron() -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float32)
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    return points, np.array(faces, dtype=np.int32)


def test_normals_of_an_octahedron_point_away_from_its_centre():
    points, faces = octahedron()
    np.testing.assert_allclose(vertex_normals(points, faces), points, atol=1e-6)


def test_normals_agree_with_a_plain_sum_of_face_normals():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 3)).astype(np.float32)
    faces = np.array([rng.choice(30, 3, replace=False) for _ in range(50)], dtype=np.int32)
    total = np.zeros((30, 3))
    for a, b, c in faces:
        normal = np.cross(points[b] - points[a], points[c] - points[a])
        for corner in (a, b, c):
            total[corner] += normal
    length = np.linalg.norm(total, axis=1, keepdims=True)
    expected = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
    np.testing.assert_allclose(vertex_normals(points, faces), expected, atol=1e-4)


def test_vertices_without_faces_have_no_normal():
    points, faces = octahedron()
    normals = vertex_normals(np.concatenate([points, points[:1] * 3]), faces)
    assert np.all(normals[-1] == 0)


def test_they_are_those_of_the_differentiable_side(model: FaceModel) -> None:
    expected = model.normals(model.mean[None])[0].numpy()
    np.testing.assert_allclose(vertex_normals(model.mean.numpy(), model.faces.numpy()), expected, atol=1e-4)
    assert vertex_normals(model.mean.double().numpy(), model.faces.numpy()).dtype == np.float64
