"""Shards: every portrait once, and together the same bytes; anything else is refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrig.cli import main
from crossrig.data.shards import Shard, join_shards
from crossrig.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole (7 portraits) in `whole`, and three shards of it."""
    out = tmp_path_factory.mktemp("shards")
    common = ["synth", "--count", "7", "--first", "2", "--size", "16", "--seed", "5", "--workers", "1", "--style", "sketch"]
    common += ["--relit", "0.5"]
    assert main([*common, "--outdir", str(out / "whole")]) == 0
    for number in (1, 2, 3):
        assert main([*common, "--outdir", str(out), "--shard", f"{number}/3"]) == 0
    return out


@given(st.integers(1, 500), st.integers(0, 1000), st.integers(1, 40))
def test_every_portrait_is_in_one_shard(count: int, first: int, of: int) -> None:
    if count < of:
        with pytest.raises(UserError, match="cannot be split"):
            Shard(1, of).numbers(count, first)
        return
    parts = [Shard(number, of).numbers(count, first) for number in range(1, of + 1)]
    assert [n for part in parts for n in part] == list(range(first, first + count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_bad_shards_are_explained(text: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        Shard.parse(text)


def test_joined_shards_are_the_whole_to_the_byte(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = sorted(folder.glob("*.zip"), reverse=True)  # in any order
    assert len(shards) == 3
    assert main(["synth", "--join", *map(str, shards), "--outdir", str(tmp_path)]) == 0
    joined = Path(capsys.readouterr().out.strip())
    (whole,) = (folder / "whole").glob("*.zip")
    assert joined.name == whole.name
    same = joined.read_bytes() == whole.read_bytes()
    assert same, "the archives differ"


def test_a_missing_or_doubled_shard_is_told(folder: Path, tmp_path: Path) -> None:
    first, second, third = sorted(folder.glob("*.zip"))
    with pytest.raises(UserError, match="number 4 is next"):
        join_shards([first, third], tmp_path)
    with pytest.raises(UserError, match="every shard once"):
        join_shards([first, first, second], tmp_path)
    with pytest.raises(UserError, match="two archives"):
        join_shards([first], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_belong_together_is_told(folder: Path, tmp_path: Path) -> None:
    first, second, _ = sorted(folder.glob("*.zip"))
    for old, new in (("seed5", "seed6"), ("relit50", "relit51")):
        other = shutil.copy(second, tmp_path / second.name.replace(old, new))
        with pytest.raises(UserError, match="another stream"):
            join_shards([first, other], tmp_path / "out")
    strange = shutil.copy(second, tmp_path / "mine.zip")
    with pytest.raises(UserError, match="name back"):
        join_shards([first, strange], tmp_path / "out")
    with pytest.raises(UserError, match="There is no archive"):
        join_shards([first, tmp_path / second.name], tmp_path / "out")


@pytest.mark.parametrize("harm", ["cut", "labels", "entry", "count"])
def test_a_damaged_shard_is_told_and_nothing_written(folder: Path, tmp_path: Path, harm: str) -> None:
    first, second, _ = sorted(folder.glob("*.zip"))
    bad = tmp_path / second.name
    if harm == "cut":
        bad.write_bytes(second.read_bytes()[:-200])
    else:
        with zipfile.ZipFile(second) as old, zipfile.ZipFile(bad, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "dataset.json" and harm != "entry":
                    labels = json.loads(content)["labels"]
                    content = json.dumps({"labels": labels[:-1] if harm == "count" else [[n, v[:5]] for n, v in labels]}).encode()
                if not (harm == "entry" and name.endswith("img00000001.png")):
                    new.writestr(name, content)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="damaged"):
        join_shards([first, bad], out, progress=False)
    assert list(out.iterdir()) == []


def test_the_command_line_tells_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--outdir", str(tmp_path)]) == 2
    assert "--count is missing" in capsys.readouterr().err
    assert main(["synth", "--count", "3", "--join", "a.zip", "b.zip", "--outdir", str(tmp_path)]) == 2
    assert "leave out --count" in capsys.readouterr().err
