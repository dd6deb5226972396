from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrig.data import packs
from crossrig.data.geometry import HAIR, HeadSurface, HeadTemplate
from crossrig.data.packs import (
    BASE_VERTICES,
    PackHair,
    PackItem,
    add_pack,
    hang,
    installed_packs,
    load_hair,
    load_item,
    parse_mhclo,
    parse_obj,
    read_pack,
    remembered_folders,
)  # fmt: skip
from crossrig.errors import UserError

# A strip of hair from the top of a toy head down its back: two columns, three rows.
OBJ = """# comment
v 0 2 0
v 1 2 0
v 0 1 -1
v 1 1 -1
v 0 0 -1
v 1 0 -1
vt 0.0 1.0
vt 0.1 1.0
vt 0.0 0.5
vt 0.1 0.5
vt 0.0 0.0
vt 0.1 0.0
f 1/1 2/2 4/4 3/3
f 3/3 4/4 6/6 5/5
"""

MHCLO = """# comment
basemesh hm08
tag short
name toy hair
obj_file toy.obj
x_scale 0 1 1.0
y_scale 0 2 1.0
z_scale 0 3 1.0
z_depth 50
verts 0
4
5 5 5 1.0 0.0 0.0 0.5 0.0 0.0
6
tag in between
6 6 6 1.0 0.0 0.0 0.5 0.0 0.0
7
7 7 7 1.0 0.0 0.0 0.5 0.0 0.0
delete_verts
1 - 3 17
"""


def toy_head(scale: float = 0.1) -> tuple[HeadSurface, np.ndarray]:
    """Eight vertices known to the base mesh, two triangles of scalp; base units times `scale` are metres."""
    points = np.array(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 2, 0], [0.5, 2, 0], [0, 1, -1], [0, 0, -1.2]], np.float32
    ) * np.float32(scale)  # fmt: skip
    template = HeadTemplate(
        mean=points, faces=np.array([[4, 5, 6], [0, 1, 2]], np.int32), uv=np.zeros((8, 2), np.float32), face_part=np.zeros(2, np.uint8),
        rotation_weight=np.ones(8, np.float32), regions={"scalp": np.array([4, 5])}, landmarks={},
    )  # fmt: skip
    return HeadSurface.of(template, points), np.arange(8)


def write_pack(folder: Path, mhclo: str = MHCLO, obj: str = OBJ, kind: str = "hair") -> Path:
    place = folder / kind / "toy"
    place.mkdir(parents=True)
    (place / "toy.mhclo").write_text(mhclo)
    (place / "toy.obj").write_text(obj)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv(packs.HOME_VARIABLE, str(folder))
    return folder


def test_vertices_hang_where_the_file_says() -> None:
    head, base = toy_head()
    placed = hang(parse_mhclo(MHCLO, "toy"), head, base)
    expected = head.vertices[[4, 5, 6, 6, 7, 7]].copy()
    expected[[1, 3, 5], 0] += 0.05  # half a decimetre, as long as the x_scale line is one decimetre
    np.testing.assert_allclose(placed, expected, atol=1e-7)


def test_offsets_grow_with_the_head() -> None:
    head, base = toy_head(0.2)
    placed = hang(parse_mhclo(MHCLO, "toy"), head, base)
    assert placed[1, 0] - head.vertices[5, 0] == pytest.approx(0.1)


def test_vertices_the_head_lacks_take_their_faces_away() -> None:
    head, base = toy_head()
    without = base.copy()
    without[7] = -1
    hanging = parse_mhclo(MHCLO, "toy")
    assert np.isnan(hang(hanging, head, without)).any(axis=1).tolist() == [False] * 4 + [True] * 2


def test_hair_has_strands_from_root_to_tip(tmp_path: Path) -> None:
    head, base = toy_head()
    item = read_pack(write_pack(tmp_path / "pack")).items[0]
    [patch] = load_hair(item, head, base, (0.1, 0.05, 0.02))
    assert patch.material == HAIR
    assert len(patch.faces) == 4
    assert patch.uv[:, 1].tolist() == pytest.approx([0.0, 0.0, 0.5, 0.5, 1.0, 1.0])  # root at the scalp, though the texture starts at 1
    np.testing.assert_allclose(np.linalg.norm(patch.tangent, axis=1), 1.0, rtol=1e-5)
    assert (patch.tangent[:, 1] < 0).all()  # downwards
    assert np.isfinite(patch.vertices).all()


def test_hair_that_hangs_on_nothing_is_a_clear_error(tmp_path: Path) -> None:
    head, base = toy_head()
    item = read_pack(write_pack(tmp_path / "pack")).items[0]
    with pytest.raises(UserError, match="does not have"):
        PackHair(item, head.template, np.full_like(base, -1))


def test_a_pack_lists_what_it_holds(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack")
    write_pack(tmp_path / "pack", kind="eyebrows")
    pack = read_pack(tmp_path / "pack")
    assert [item.kind for item in pack.items] == ["eyebrows", "hair"]
    assert "1 hair, 1 eyebrows" in pack.summary()


def test_added_packs_are_remembered_once(tmp_path: Path, home: Path) -> None:
    assert installed_packs() == []
    folder = write_pack(tmp_path / "pack")
    assert add_pack(folder) == add_pack(folder)
    assert remembered_folders() == [folder.resolve()]
    assert [pack.folder for pack in installed_packs()] == [folder.resolve()]
    assert sorted(path.name for path in home.iterdir()) == ["packs.json"]
    assert "1 hair" in packs.add(folder)


def test_a_pack_that_went_away_is_not_installed(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    add_pack(folder)
    folder.rename(tmp_path / "elsewhere")
    assert installed_packs() == []
    assert remembered_folders() == [folder.resolve()]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"packs": 3}', '{"packs": [3]}', "[" * 100_000])
def test_damaged_memory_is_a_clear_error(home: Path, text: str) -> None:
    home.mkdir()
    (home / "packs.json").write_text(text)
    with pytest.raises(UserError, match="delete it"):
        installed_packs()


@pytest.mark.parametrize(
    ("mhclo", "message"),
    [
        ("", "names no obj_file"),
        (MHCLO.split("verts 0")[0], "no vertices"),
        (MHCLO.replace("hm08", "alien"), "only hm08"),
        (MHCLO.replace("\n4\n", "\n99999\n"), "vertices 0 to"),
        (MHCLO.replace("\n4\n", "\n-4\n"), "vertices 0 to"),
        (MHCLO.replace("\n4\n", "\n4 5\n"), "2 words"),
        (MHCLO.replace("0.5 0.0 0.0", "nan 0.0 0.0"), "not a number"),
        (MHCLO.replace("0.5 0.0 0.0", "much 0.0 0.0"), "expected numbers"),
        (MHCLO.replace("x_scale 0 1 1.0", "x_scale 0 1 0.0"), "must be positive"),
        (MHCLO.replace("x_scale 0 1 1.0", "x_scale 0 1"), "two vertex numbers"),
        (MHCLO.replace("x_scale 0 1 1.0\n", ""), "no x_scale"),
        (MHCLO.replace("\n4\n", "\n4\n4\n"), "do not belong together"),
        (MHCLO.replace("toy.obj", "absent.obj"), "missing"),
        (MHCLO.replace("toy.obj", "../../../outside.obj"), "outside the pack"),
        (MHCLO.replace("toy.obj", "/etc/passwd"), "outside the pack"),
    ],
)
def test_broken_items_are_clear_errors(tmp_path: Path, mhclo: str, message: str) -> None:
    (tmp_path / "outside.obj").write_text(OBJ)
    with pytest.raises(UserError, match=message):
        add_pack(write_pack(tmp_path / "pack", mhclo=mhclo))
    assert remembered_folders() == []


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ("", "no faces"),
        (OBJ.replace("f 1/1", "f 99/1"), "vertex that does not exist"),
        (OBJ.replace("f 1/1", "f 1/99"), "texture coordinate that does not exist"),
        (OBJ.replace("f 1/1", "f one"), "not a face corner"),
        (OBJ.replace("f 1/1 2/2 4/4 3/3", "f 1/1 2/2"), "2 corners"),
        (OBJ.replace("v 0 2 0", "v 0 2"), "three numbers"),
        (OBJ.replace("v 0 2 0", "v 0 inf 0"), "infinite"),
        (OBJ.replace("vt 0.0 1.0", "vt 0.0"), "two numbers"),
        (OBJ.replace("v 0 2 0", "v 0 2 0\0"), "not a text file"),
    ],
)
def test_broken_meshes_are_clear_errors(tmp_path: Path, obj: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_pack(write_pack(tmp_path / "pack", obj=obj))


def test_faces_count_back_from_the_end_and_may_lack_texture() -> None:
    mesh = parse_obj("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf -4 -3//1 -1 -2\n", "toy")
    assert mesh.faces.tolist() == [[0, 1, 3], [0, 3, 2]]
    assert mesh.uv_faces.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_links_out_of_a_pack_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    write_pack(secret)
    folder = tmp_path / "pack"
    (folder / "hair").mkdir(parents=True)
    (folder / "hair" / "linked").symlink_to(secret / "hair" / "toy", target_is_directory=True)
    (folder / "hair" / "toy.mhclo").symlink_to(secret / "hair" / "toy" / "toy.mhclo")
    with pytest.raises(UserError, match=r"no \.mhclo files"):
        read_pack(folder)
    (folder / "hair" / "toy.mhclo").unlink()
    (folder / "hair" / "toy.mhclo").write_text(MHCLO)
    (folder / "hair" / "toy.obj").symlink_to(secret / "hair" / "toy" / "toy.obj")
    with pytest.raises(UserError, match="outside the pack"):
        read_pack(folder)


def test_size_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pack(tmp_path / "pack")
    monkeypatch.setattr(packs, "MAX_VERTICES", 5)
    with pytest.raises(UserError, match="too many"):
        read_pack(folder)
    monkeypatch.setattr(packs, "MAX_VERTICES", 100)
    monkeypatch.setattr(packs, "MAX_OBJ_BYTES", 64)
    with pytest.raises(UserError, match="too large"):
        read_pack(folder)
    monkeypatch.setattr(packs, "MAX_OBJ_BYTES", 2**20)
    monkeypatch.setattr(packs, "MAX_ENTRIES", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        read_pack(folder)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_what_is_no_pack_is_a_clear_error(tmp_path: Path, make: object) -> None:
    path = tmp_path / "pack"
    make(path)  # type: ignore[operator]
    with pytest.raises(UserError, match=r"not a folder|no \.mhclo"):
        read_pack(path)


words = st.sampled_from(
    ["v", "vt", "f", "verts", "0", "1", "-1", "19157", "1/1", "2//3", "0.5", "nan", "1e999", "name", "obj_file", "x_scale", "basemesh",
     "hm08", "delete_verts", "#", "", "\u2603", "9" * 30]
)  # fmt: skip
lines = st.lists(st.lists(words, max_size=10).map(" ".join), max_size=30).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=200), lines))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_mhclo, parse_obj):
        try:
            result = parse(text, "something")
        except UserError:
            continue
        for array in vars(result).values():
            if isinstance(array, np.ndarray):
                assert np.isfinite(array).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, BASE_VERTICES - 1), st.floats(-2, 2, allow_subnormal=False)), min_size=1, max_size=20))
def test_written_items_come_back(values: list[tuple[int, float]]) -> None:
    rows = "\n".join(f"{index} {index} {index} 1.0 0.0 0.0 {offset!r} 0.0 0.0" for index, offset in values)
    hanging = parse_mhclo(f"obj_file a.obj\nx_scale 1 2 1.5\nverts 0\n{rows}\n", "toy")
    assert hanging.corners[:, 0].tolist() == [index for index, _ in values]
    assert hanging.offset[:, 0].tolist() == [offset for _, offset in values]


def test_items_of_a_pack_load(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    item = PackItem("hair", "toy", folder / "hair/toy/toy.mhclo", folder / "hair/toy/toy.obj")
    hanging, mesh = load_item(item)
    assert hanging.name == "toy hair"
    assert mesh.faces.shape == (4, 3)


def test_memory_is_plain_json(tmp_path: Path, home: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    add_pack(folder)
    assert json.loads((home / "packs.json").read_text()) == {"packs": [str(folder.resolve())]}
