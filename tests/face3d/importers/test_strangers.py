"""Files that want code to run, that are cut short, swollen, or of another model: one sentence each, nothing run and nothing written."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from crossrig.cli import main
from crossrig.errors import UserError
from crossrig.face3d.importers import limits, matlab
from crossrig.face3d.importers.face_models import import_face_model
from crossrig.face3d.importers.pickled import array_of, read_pickled

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command in a folder of the test's own; its one sentence."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        before = sorted(Path().rglob("*"))
        capsys.readouterr()
        assert main(["import", "face-model", *words, "-o", "out.safetensors"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert sorted(Path().rglob("*")) == before
        return line

    return run


class Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


def embedding(path: Path, contents: object) -> None:
    with open(path, "wb") as file:
        np.save(file, np.array(contents, dtype=object), allow_pickle=True)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_code_in_pickles_is_refused_by_name(refused: Refused, mask: Any, writers: Any, protocol: int) -> None:
    arrays = writers.flame_arrays(mask)
    Path("evil.pkl").write_bytes(pickle.dumps({**arrays, "bs_style": Attack()}, protocol))
    Path("good.pkl").write_bytes(pickle.dumps(arrays, protocol))
    embedding(Path("evil.npy"), {"full_lmk_faces_idx": Attack()})
    for words, name in ((("evil.pkl", "--landmarks", "evil.npy"), "evil.pkl"), (("good.pkl", "--landmarks", "evil.npy"), "evil.npy")):
        line = refused(*words)
        assert line.startswith(f"crossrig: {name}: it asks for posix.system, which no face model needs")
        assert "nothing of it was run" in line
    Path("evil.pkl").write_bytes(pickle.dumps(Attack(), protocol))
    assert "posix.system" in refused("evil.pkl")
    assert not Path("ran").exists()


def test_objects_in_archives_are_not_read(refused: Refused) -> None:
    np.savez("evil.npz", v_template=np.array([Attack()], dtype=object))
    assert "holds Python objects" in refused("evil.npz")
    assert not Path("ran").exists()


def test_files_that_are_cut_short(refused: Refused, mask: Any, writers: Any) -> None:
    here = Path()
    arrays = writers.flame_arrays(mask)
    Path("flame.pkl").write_bytes(pickle.dumps(arrays, 2))
    np.savez("flame.npz", **arrays)
    Path("flame.json").write_text(json.dumps({name: array.tolist() for name, array in arrays.items()}))
    files = {
        "flame.pkl": ["--landmarks", "landmarks.txt"], "flame.npz": ["--landmarks", "landmarks.txt"],
        "flame.json": ["--landmarks", "landmarks.txt"], writers.write_basel_2009(here, mask).name: ["--landmarks", "landmarks.txt"],
        writers.write_basel_h5(here, mask).name: [],
    }  # fmt: skip
    for name, options in files.items():
        whole = Path(name).read_bytes()
        for share in (0.001, 0.2, 0.5, 0.9, 0.999):
            Path(name).write_bytes(whole[: max(int(len(whole) * share), 9)])
            assert refused(name, *options).startswith(f"crossrig: {name}: ")
        Path(name).write_bytes(whole)
        assert main(["import", "face-model", name, "-o", "fine.safetensors", "--overwrite", *options]) == 0


def test_bytes_that_were_changed_never_do_more_than_be_refused(tmp_path: Path, mask: Any, writers: Any) -> None:
    random = np.random.default_rng(0)
    files = [(writers.write_basel_2009(tmp_path, mask), tmp_path / "landmarks.txt"), (writers.write_basel_h5(tmp_path, mask), None)]
    (tmp_path / "flame.pkl").write_bytes(pickle.dumps(writers.flame_arrays(mask), 2))
    files.append((tmp_path / "flame.pkl", tmp_path / "landmarks.txt"))
    for path, landmarks in files:
        whole = path.read_bytes()
        for _ in range(25):
            damaged = bytearray(whole)
            for place in random.integers(0, min(len(whole), 4000), 6):
                damaged[place] = random.integers(256)
            path.write_bytes(bytes(damaged))
            with suppress(UserError):  # and nothing else
                import_face_model(path, landmarks)


def test_arrays_larger_than_their_files(refused: Refused, mask: Any, writers: Any) -> None:
    path = writers.write_basel_h5(Path(), mask)
    with h5py.File(path, "a") as file:
        del file["shape/model/mean"]
        file.create_dataset("shape/model/mean", (3_000_000_000,), "f4", chunks=(1024,))  # takes no room on disk
    assert "has the shape (3000000000,)" in refused(path.name)
    assert path.stat().st_size < 1e6
    # a .npy whose header claims more than follows
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 3)})
    with zipfile.ZipFile("flame.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v_template.npy", header.getvalue() + bytes(100))
    assert "its bytes do not fit" in refused("flame.npz")
    # a sparse matrix with next to nothing in it
    arrays = writers.flame_arrays(mask)
    arrays["J_regressor"] = csc_matrix((10**9, 10**6))
    Path("flame.pkl").write_bytes(pickle.dumps(arrays, 2))
    assert "sparse matrix" in refused("flame.pkl", "--landmarks", "none.txt")
    # a matrix of MATLAB's whose dimensions were changed
    savemat("huge.mat", {"shapeMU": np.zeros((7, 9), np.float32)})
    data = Path("huge.mat").read_bytes().replace(struct.pack("<ii", 7, 9), struct.pack("<ii", 2**30, 2**30))
    Path("huge.mat").write_bytes(data)
    assert "has the shape" in refused("huge.mat")


def test_compressed_matlab_files_are_measured_before_they_are_read(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MOST_BYTES", 8 << 20)
    savemat("bomb.mat", {"other": np.zeros(16 << 20, np.uint8)}, do_compression=True)
    assert Path("bomb.mat").stat().st_size < 1 << 20
    assert "unpacked it would have more than 8 MiB" in refused("bomb.mat")


def test_files_that_are_too_large_or_none(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be read" in refused("none.pkl")
    Path("text.pkl").write_text("hello")
    assert "none of the face models that are read" in refused("text.pkl")
    Path("old.pkl").write_bytes(b"(dp0\nS'v_template'\np1\n.")
    assert "none of the face models that are read" in refused("old.pkl")
    Path("empty").mkdir()
    assert "no generic_neutral_mesh.obj" in refused("empty")
    savemat("other.mat", {"tri": np.zeros((3, 3))})
    assert "no variable shapeMU" in refused("other.mat")
    with h5py.File("other.h5", "w") as file:
        file["data"] = np.zeros(3)
    assert "no Basel Face Model of 2017 or 2019" in refused("other.h5")
    Path("other.json").write_text('{"v_template": []}')
    assert "no FLAME model" in refused("other.json")
    monkeypatch.setattr("crossrig.face3d.importers.face_models.checked_size", lambda path: limits.checked_size(path, 4))
    assert "no such file has more" in refused("text.pkl")


def test_links_out_of_a_file_are_not_followed(refused: Refused, mask: Any, writers: Any) -> None:
    path = writers.write_basel_h5(Path(), mask)
    other = writers.write_basel_h5(Path(), mask, "other.h5")
    with h5py.File(path, "a") as file:
        del file["shape/model/mean"]
        file["shape/model/mean"] = h5py.ExternalLink(other.name, "shape/model/mean")
    assert "it has no shape/model/mean" in refused(path.name)


def test_without_h5py(refused: Refused, mask: Any, writers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = writers.write_basel_h5(Path(), mask)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refused(path.name).endswith("reading HDF5 files needs the package h5py: pip install 'crossrig[face-models]'")


def test_landmarks_that_make_no_face(refused: Refused, mask: Any, writers: Any) -> None:
    path = writers.write_basel_2009(Path(), mask)
    assert "give their vertex numbers with --landmarks" in refused(path.name)
    Path("few.txt").write_text("1 2 3")
    assert "few.txt: it has 3 numbers" in refused(path.name, "--landmarks", "few.txt")
    Path("far.txt").write_text(" ".join(str(index + 100) for index in range(68)))
    assert "name a vertex that does not exist" in refused(path.name, "--landmarks", "far.txt")
    Path("words.txt").write_text("chin nose")
    assert "words.txt: it is no landmark file" in refused(path.name, "--landmarks", "words.txt")
    upside_down = sorted(range(68), key=lambda index: mask.points[index, 1])
    Path("mixed.txt").write_text(" ".join(map(str, upside_down)))
    assert "landmarks" in refused(path.name, "--landmarks", "mixed.txt")
    variables = writers.matlab_variables(mask)
    variables["shapeMU"] = variables["shapeMU"] * 1000
    savemat("nanometres.mat", variables)
    assert "mm apart" in refused("nanometres.mat", "--landmarks", "landmarks.txt")
    path = writers.write_basel_h5(Path(), mask, "plain.h5", landmarks=False)
    assert "has no landmarks" in refused(path.name)
    np.savez("flame.npz", **writers.flame_arrays(mask))
    assert "--landmarks landmark_embedding.npy" in refused("flame.npz")
    inner = {"static_lmk_faces_idx": np.zeros(51), "lmk_face_idx": np.zeros(51), "lmk_b_coords": np.tile([1.0, 0.0, 0.0], (51, 1))}
    embedding(Path("inner.npy"), inner)
    assert "the inner 51 landmarks only" in refused("flame.npz", "--landmarks", "inner.npy")


def test_expressions_that_do_not_belong(refused: Refused, mask: Any, writers: Any) -> None:
    path, expressions = writers.write_basel_2009(Path(), mask), writers.write_expressions(Path(), mask)
    options = ("--landmarks", "landmarks.txt", "--expressions", expressions.name)
    expressions.write_bytes(expressions.read_bytes()[:-4])
    assert "Exp_Pca.bin: it does not hold 60 components" in refused(path.name, *options)
    Path("std_exp.txt").unlink()
    assert "std_exp.txt: it cannot be read" in refused(path.name, *options)
    assert "has expressions of its own" in refused(writers.write_basel_h5(Path(), mask).name, "--expressions", expressions.name)


def test_damaged_folders_of_ict(refused: Refused, mask: Any, writers: Any) -> None:
    folder = writers.write_ict(Path(), mask)
    mesh, pose = folder / "generic_neutral_mesh.obj", folder / "jawOpen.obj"
    whole = pose.read_text()
    pose.write_text(whole.replace("v ", "v nan", 1))
    assert "jawOpen.obj: it has" in refused(str(folder))
    pose.write_text("\n".join(line for number, line in enumerate(whole.splitlines()) if number != 3))
    assert "has 107 vertices" in refused(str(folder))
    pose.write_text(whole)
    mesh.write_text(mesh.read_text().replace("f ", "f 9999/1 ", 1))
    assert "generic_neutral_mesh.obj: it has a polygon" in refused(str(folder))


def test_a_chumpy_selection_is_computed(tmp_path: Path) -> None:
    """What MANO's and some of FLAME's files hold: part of another array, in another shape."""
    path = tmp_path / "select.pkl"
    state = {"a": np.arange(12.0).reshape(3, 4), "idxs": np.array([0, 5, 7, 11]), "preferred_shape": (2, 2)}
    body = pickle.dumps(state, 2)[2:-1]  # without the protocol and the stop
    path.write_bytes(b"\x80\x02cchumpy.reordering\nSelect\n)\x81" + body + b"b.")
    assert array_of(read_pickled(path), "it").tolist() == [[0.0, 5.0], [7.0, 11.0]]
    state["idxs"] = np.array([99])
    path.write_bytes(b"\x80\x02cchumpy.reordering\nSelect\n)\x81" + pickle.dumps(state, 2)[2:-1] + b"b.")
    with pytest.raises(UserError, match="its it is damaged"):
        array_of(read_pickled(path), "it")
