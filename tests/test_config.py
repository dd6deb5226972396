"""Settings: dataclass <-> TOML <-> command line."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrig.config import (
    add_options,
    differences,
    dump_toml,
    from_mapping,
    from_options,
    load_toml,
    setting,
    suggest,
    to_mapping,
)
from crossrig.errors import UserError


@dataclass(frozen=True)
class Inner:
    width: int = 3
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    outdir: Path = setting(Path("runs/x"), "where it goes")
    data: tuple[Path, ...] = ()
    batch: int = 16
    lr: float = 1e-3
    augment: bool = True
    mode: Literal["fast", "good"] = "fast"
    channels: tuple[int, ...] = (4, 2)
    limit: int | None = None
    note: str = ""
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, not {self.batch}")


@dataclass(frozen=True)
class Needy:
    network: Path


text = st.text(st.characters(exclude_categories=["Cs"]))
configs = st.builds(
    Config,
    outdir=text.map(Path),
    data=st.lists(text.map(Path), max_size=3).map(tuple),
    batch=st.integers(1, 10**9),
    lr=st.floats(allow_nan=False),
    augment=st.booleans(),
    mode=st.sampled_from(["fast", "good"]),
    channels=st.lists(st.integers(-(2**40), 2**40), max_size=4).map(tuple),
    limit=st.none() | st.integers(-5, 5),
    note=text,
    inner=st.builds(Inner, width=st.integers(-5, 5), names=st.lists(text, max_size=3).map(tuple)),
)


@given(configs)
def test_toml_round_trip(config: Config) -> None:
    assert from_mapping(Config, tomllib.loads(dump_toml(config))) == config


def parse(*words: str, base: Config | None = None) -> Config:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser, Config)
    return from_options(Config, parser.parse_args(words), base)


def test_options_cover_every_type() -> None:
    config = parse(
        *("--outdir", "a b"), *("--data", "x.zip,y.zip"), *("--batch", "4"), *("--lr", "2"), "--no-augment", *("--mode", "good"),
        *("--channels", "8,4"), *("--limit", "7"), *("--note", "12"), *("--inner-width", "9"),
    )  # fmt: skip
    assert config == Config(
        Path("a b"), (Path("x.zip"), Path("y.zip")), 4, 2.0, False, "good", (8, 4), 7, "12", Inner(9)
    )


def test_options_leave_the_file_alone_where_not_given() -> None:
    base = Config(batch=5, limit=3, inner=Inner(width=8))
    assert parse("--lr", "0.5", base=base) == Config(batch=5, limit=3, lr=0.5, inner=Inner(width=8))
    assert parse("--limit", "none", base=base).limit is None
    assert parse() == Config()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bacth": 3}, 'unknown key "bacth". Did you mean "batch"'),
        ({"inner": {"widht": 1}}, 'unknown key "widht". Did you mean "width"'),
        ({"batch": "3"}, '"batch" must be a whole number'),
        ({"batch": True}, '"batch" must be a whole number'),
        ({"batch": 2.5}, '"batch" must be a whole number'),
        ({"lr": "fast"}, '"lr" must be a number'),
        ({"lr": float("nan")}, "not nan"),
        ({"augment": 1}, "must be true or false"),
        ({"mode": "slow"}, "must be one of fast, good"),
        ({"channels": 3}, "must be a list"),
        ({"channels": [1, "x"]}, "must be a whole number"),
        ({"inner": 3}, "must be a table"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"outdir": 3}, "must be a path"),
        ({"note": 3}, "must be text"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_mapping(Config, values, "file.toml")
    assert message in str(caught.value)
    assert "file.toml" in str(caught.value)


def test_bad_words_on_the_command_line() -> None:
    with pytest.raises(UserError, match="--batch must be a whole number"):
        parse("--batch", "many")
    with pytest.raises(UserError, match="--channels must be a whole number"):
        parse("--channels", "4,x")


def test_missing_values_are_named() -> None:
    with pytest.raises(UserError, match='"network" is missing'):
        from_mapping(Needy, {}, "n.toml")
    with pytest.raises(UserError, match="--network is needed"):
        from_options(Needy, argparse.Namespace())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such settings file"):
        load_toml(Config, tmp_path / "none.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load_toml(Config, tmp_path)
    (tmp_path / "bad.toml").write_text("batch = = 3")
    with pytest.raises(UserError, match="not valid TOML"):
        load_toml(Config, tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not valid TOML"):
        load_toml(Config, tmp_path / "binary.toml")


def test_differences_name_nested_fields() -> None:
    assert differences(Config(), Config(lr=0.5, inner=Inner(width=4))) == {"lr": (1e-3, 0.5), "inner.width": (3, 4)}
    assert to_mapping(Config())["outdir"] == "runs/x"


def test_suggestions_are_near_or_nothing() -> None:
    assert suggest("Smlie", ["smile", "yaw"]) == ' Did you mean "smile"?'
    assert suggest("zzz", ["smile", "yaw"]) == ""


def test_help_shows_text_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, Config)
    parser.print_help()
    shown = " ".join(capsys.readouterr().out.split())
    assert "where it goes (default: runs/x)" in shown
    assert "--inner-width N" in shown
