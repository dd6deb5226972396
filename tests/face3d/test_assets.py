from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.face3d.assets import read_base_mesh, read_target, triangulate

MESH = """# a comment
v 0 0 0
v 10 0 0
v 10 10 0
v 0 10 0
vt 0.25 0.5
g body
f 1/1 2/1 3/1 4/1
g joint-x
f 4 3 2 1
"""


def test_mesh_is_read_in_metres_with_groups(tmp_path: Path) -> None:
    (tmp_path / "base.obj").write_text(MESH)
    mesh = read_base_mesh(tmp_path / "base.obj")
    assert mesh.vertices[2].tolist() == [1.0, 1.0, 0.0]
    assert mesh.quads["body"].tolist() == [[0, 1, 2, 3]]
    assert mesh.corners["body"].tolist() == [[0, 0, 0, 0]]
    assert mesh.corners["joint-x"].tolist() == [[-1, -1, -1, -1]]


@pytest.mark.parametrize(
    "broken", ["v 1 2 x\n", "f 1 2 3\n", "f 1 2 3 9\n", "f 0 1 2 3\n", "f a b c d\n", "g\n", "v 1 2\n", "v 1 2 3\n"]
)
def test_broken_meshes_are_refused_in_a_sentence(tmp_path: Path, broken: str) -> None:
    (tmp_path / "base.obj").write_text(broken if broken == "v 1 2 3\n" else MESH + broken)
    with pytest.raises(UserError, match=r"base\.obj"):
        read_base_mesh(tmp_path / "base.obj")


def test_targets_are_dense_and_in_metres_also_when_compressed(tmp_path: Path) -> None:
    text = "# licence\n2 10 0 -.5\n0 0 1 0\n"
    (tmp_path / "a.target").write_text(text)
    with gzip.open(tmp_path / "a.target.gz", "wt") as stream:
        stream.write(text)
    plain = read_target(tmp_path / "a.target", 4)
    assert plain.tolist() == [[0, 0.1, 0], [0, 0, 0], [1, 0, -0.05], [0, 0, 0]]
    assert np.array_equal(read_target(tmp_path / "a.target.gz", 4), plain)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".target", ".target.gz"]))
def test_any_bytes_give_a_target_or_a_user_error(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    with contextlib.suppress(UserError):  # any other exception fails the test
        assert read_target(path, 5).shape == (5, 3)


@pytest.mark.parametrize("line", ["5 0 0 0", "-1 0 0 0", "0.5 1 1 1", "1 2 3", "nan 0 0 0", "inf 0 0 0"])
def test_indices_outside_the_mesh_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.target").write_text(line)
    with pytest.raises(UserError, match=r"x\.target, line 1"):
        read_target(tmp_path / "x.target", 5)


def test_quads_are_cut_along_the_shorter_diagonal_and_keep_their_winding() -> None:
    points = np.array([[0.0, 0, 0], [3, 0, 0], [4, 2, 0], [0, 1, 0]])
    triangles = triangulate(np.array([[0, 1, 2, 3]]), points)
    assert triangles.tolist() == [[0, 1, 3], [1, 2, 3]]
    area = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    assert (area[:, 2] > 0).all()
