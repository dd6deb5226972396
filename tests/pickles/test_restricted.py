"""The reader of pickles: what plain data becomes, and that nothing a file says is ever run."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.pickles.restricted import Name, Record, printable, read_pickle

ORDERED = Name("collections", "OrderedDict")
CALLS = {ORDERED: lambda _: {}, Name("argparse", "Namespace"): lambda _: Record("Namespace")}


def read(data: bytes) -> object:
    return read_pickle(io.BytesIO(data), CALLS)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(-5, 5), inner) | st.sets(st.text())
    ),
    max_leaves=20,
)


@given(plain, st.sampled_from((4, 5)))  # before 4, a set is a call
def test_plain_data_comes_back(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


def test_protocol_2_and_known_classes() -> None:
    ordered = collections.OrderedDict(a=1, b=[2])
    ordered._metadata = {"version": 1}  # type: ignore[attr-defined]  # as state dictionaries have
    assert read(pickle.dumps(ordered, 2)) == {"a": 1, "b": [2]}
    record = read(pickle.dumps(argparse.Namespace(size=16), 2))
    assert isinstance(record, Record)
    assert record.state == {"size": 16}


class Attack:
    """Pickles as a call of anything."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (Attack(os.system, "touch {}"), "posix.system"),
        (Attack(eval, "open('{}', 'w')"), "eval"),
        (Attack(exec, "open('{}', 'w')"), "exec"),
        (Attack(getattr, "", "upper"), "getattr"),
        (Attack(open, "{}", "w"), "open"),
        (Attack(pickle.loads, pickle.dumps(1)), "loads"),
        (Attack(__import__, "antigravity"), "__import__"),
    ],
)
def test_code_is_refused_by_name_and_not_run(tmp_path: Path, attack: Attack, name: str, protocol: int) -> None:
    trace = tmp_path / "ran"
    attack.arguments = tuple(word.replace("{}", str(trace)) if isinstance(word, str) else word for word in attack.arguments)
    data = pickle.dumps({"weights": [1, attack]}, protocol)
    modules = set(sys.modules)
    with pytest.raises(UserError, match=rf"asks for [\w.]*{name}, .*nothing of it was run"):
        read(data)
    assert not trace.exists()
    assert set(sys.modules) == modules


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut short"),
        (b"\x80\x04", "cut short"),
        (b"\x80\x04.", "values left over"),
        (b"\x80\x04NN.", "values left over"),
        (b"\x80\x04\xff.", "damaged"),
        (b"\x80\x04}q\x00h\x05s.", "not stored"),
        (b"\x80\x04a.", "empty stack"),
        (b"\x80\x04(.", "not data"),
        (b"\x80\x02ccollections\nOrderedDict\n.", "holds collections.OrderedDict"),
        (b"\x80\x02ccollections\nOrderedDict\nq\x00h\x00b.", "sets attributes of a Name"),
        (b"\x80\x04]K\x01b.", "sets attributes of a list"),
        (b"\x80\x04NNR.", "no name with arguments"),
        (b"\x80\x02ccollections\nOrderedDict\nNR.", "no name with arguments"),
        (b"\x80\x02NQ.", "outside itself"),
        (b"(i__main__\nX\n.", "opcode INST"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"I1\n.", "opcode INT"),
        (b"\x80\x04]q\x00h\x00a.", "contains itself"),
        (b"\x80\x04]q\x00\x85q\x01h\x00h\x01a0.", "contains itself"),
        (b"\x80\x04}q\x00X\x01\x00\x00\x00ah\x00s.", "contains itself"),
        (b"\x80\x04})Ns.", "tuple as a key"),
        (b"\x80\x04}\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7fNs.", "int as a key"),
        (b"\x80\x04\x8a\x20" + b"\x7f" * 32 + b".", "16 bytes"),
        (b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"ab.", "cut short"),
        (b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"NN.", "values left over"),
        (b"\x80\x04}(K\x01u.", "without a value"),
        (b"\x80\x04N(ea.", "list that is none"),
        (b"\x80\x02cos\x1b[31m\nsystem\n.", r"asks for os\?\[31m.system"),
    ],
)
def test_damage_and_tricks(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(data)


def test_a_huge_memo_index_costs_nothing() -> None:
    assert read(b"\x80\x04Nr\xff\xff\xff\xff.") is None


def test_deep_nesting_and_shared_lists_end_quickly() -> None:
    deep = read(b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".")
    assert isinstance(deep, list)
    while deep:
        deep = deep[0]
    doubled = b"]"  # holds the list before twice: 2^100 ways down
    for _ in range(100):
        doubled = doubled + b"q\x00" + b"0" + b"](h\x00h\x00e"
    assert isinstance(read(b"\x80\x04" + doubled + b"."), list)


def test_too_many_steps() -> None:
    with pytest.raises(UserError, match="steps"):
        read(b"\x80\x04" + b"N0" * 1_000_001 + b"N.")


FRAGMENTS = (
    b"N", b"\x88", b"K\x05", b"]", b"}", b")", b"(", b"0", b"\x85", b"\x86", b"\x87", b"t", b"a", b"e", b"s", b"u", b"b", b"R", b"Q",
    b"\x81", b"\x8f", b"\x90", b"\x91", b"\x93", b"\x94", b"q\x00", b"h\x00", b"h\x01", b"X\x01\x00\x00\x00a", b"\x8c\x04sing",
    b"\x8c\x06canary", b"ccanary\nsing\n", b"ccollections\nOrderedDict\n", b"cargparse\nNamespace\n", b"C\x02ab", b"2", b"1", b"\x92",
    b"o", b"icanary\nsing\n", b"\x96\x01\x00\x00\x00\x00\x00\x00\x00a", b"\x97", b"\x98", b"Pid\n", b"\x8a\x01\x05", b"G" + bytes(8),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
def test_any_program_ends_as_data_or_refusal(canary: list[str], program: list[bytes]) -> None:
    with suppress(UserError):
        read(b"\x80\x04" + b"".join(program) + b".")
    assert canary == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_end_as_data_or_refusal(canary: list[str], data: bytes) -> None:
    for start in (b"", b"\x80\x04"):
        with suppress(UserError):
            read(start + data)
    assert canary == []


def test_printable() -> None:
    assert printable("a\x1b[0m\nb") == "a?[0m?b"
    assert printable("x" * 200, 10) == "xxxxxxxxxx..."
