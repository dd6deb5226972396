from __future__ import annotations

import numpy as np
import pytest

from crossrig.data.geometry import CLOTH, HAIR, HeadSurface, HeadTemplate, Patch, join_patches, mean_surface


def make_patch(count: int, material: int = HAIR) -> Patch:
    rng = np.random.default_rng(count)
    return Patch(
        vertices=rng.standard_normal((count, 3)).astype(np.float32),
        faces=np.array([[0, 1, 2]], dtype=np.int32),
        uv=np.zeros((count, 2), dtype=np.float32),
        colour=np.full((count, 3), 0.1 * count, dtype=np.float32),
        tangent=np.zeros((count, 3), dtype=np.float32),
        rotation_weight=np.ones(count, dtype=np.float32),
        material=material,
        opacity=np.ones(count, dtype=np.float32),
    )


def octahedron() -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float32)
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    return points, np.array(faces, dtype=np.int32)


def test_joined_patches_keep_every_triangle():
    first, second = make_patch(4), make_patch(5)
    joined = join_patches([first, second])
    np.testing.assert_array_equal(joined.vertices[joined.faces[0]], first.vertices[first.faces[0]])
    np.testing.assert_array_equal(joined.vertices[joined.faces[1]], second.vertices[second.faces[0]])
    np.testing.assert_array_equal(joined.colour[4:], second.colour)


def test_patches_of_different_materials_do_not_join():
    with pytest.raises(ValueError, match="same material"):
        join_patches([make_patch(4), make_patch(4, CLOTH)])
    with pytest.raises(ValueError, match="at least one"):
        join_patches([])


@pytest.mark.parametrize("field", ["uv", "colour", "tangent", "rotation_weight", "opacity", "faces"])
def test_a_patch_with_a_wrong_shape_is_refused(field: str):
    good = make_patch(4)
    values = {name: getattr(good, name) for name in Patch.__dataclass_fields__}
    values[field] = np.zeros((7, 7), dtype=np.float32)
    with pytest.raises(ValueError, match=field):
        Patch(**values)


def test_a_surface_knows_its_template_and_landmarks():
    points, faces = octahedron()
    template = HeadTemplate(
        mean=points, faces=faces, uv=np.zeros((6, 2), np.float32), face_part=np.zeros(8, np.uint8),
        rotation_weight=np.ones(6, np.float32), regions={"all": np.arange(6)}, landmarks={"tip": 4},
    )  # fmt: skip
    surface = HeadSurface.of(template, 2 * points)
    np.testing.assert_array_equal(surface.landmark("tip"), [0, 0, 2])
    assert surface.regions is template.regions
    assert mean_surface(template) is mean_surface(template)
    np.testing.assert_array_equal(mean_surface(template).vertices, points)
