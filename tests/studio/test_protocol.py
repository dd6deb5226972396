"""The protocol: every message survives the way there and back, and no text whatever raises anything but UserError."""

from __future__ import annotations

import contextlib
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.studio import codec, page_types, protocol
from crossrig.studio.protocol import Frame, Hello, SetControls, pack_frame, parse, unpack_frame, write

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.none() | values_of(arguments[0])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXTS, values_of(arguments[1]), max_size=3)
    simple = {str: TEXTS, bool: st.booleans(), int: st.integers(-(10**9), 10**9), float: st.floats(-1e9, 1e9)}
    return simple[hint] if hint in simple else objects_of(hint)


def objects_of(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: values_of(hint) for name, hint in codec.hints(kind).items()})


MESSAGES = st.one_of([objects_of(kind) for kind in protocol.CLIENT.values()])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.sampled_from(["values", "settled", "name"]), inner, max_size=4),
)


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message: protocol.ClientMessage) -> None:
    assert parse(write(message)) == message


@given(st.one_of([objects_of(kind) for kind in protocol.SERVER.values()]))
def test_what_the_server_says_can_be_read(message: protocol.ServerMessage) -> None:
    content = json.loads(write(message))
    assert codec.read(protocol.SERVER[content.pop("type")], content) == message


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_any_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)


@given(JSON, st.sampled_from(sorted(protocol.CLIENT)))
def test_any_json_is_a_message_or_refused(content: Any, name: str) -> None:
    fields = content if isinstance(content, dict) else {"values": content, "settled": content, "name": content}
    with contextlib.suppress(UserError):
        assert type(parse(json.dumps({**fields, "type": name}))).__name__ == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"type": "Undo", "far": 1}', 'Undo has no field "far"; it has none'),
        ('{"type": "SetControls", "settled": true}', "SetControls lacks the field values"),
        ('{"type": "SetControls", "values": {"yaw": true}, "settled": true}', r"SetControls\.values\.yaw must be a number"),
        ('{"type": "SetControls", "values": {"yaw": 1}, "settled": 1}', r"SetControls\.settled must be true or false"),
        ('{"type": "SetControls", "values": {"yaw": NaN}, "settled": true}', "JSON with finite numbers"),
        ('{"type": "SetControls", "values": {"yaw": 1e999}, "settled": true}', "must be a number between"),
        ('{"type": "SetControls", "values": {"yaw": 1' + "0" * 400 + '}, "settled": true}', "must be a number between"),
        ('{"type": "GoTo", "number": 1.5}', r"GoTo\.number must be a whole number"),
        ('{"type": "Show", "extent": "all"}', r"Show\.extent must be face or whole"),
        ('{"type": "ClearControls", "names": "yaw"}', r"ClearControls\.names must be a list"),
        ('{"type": "ApplyLook", "name": "' + "x" * 401 + '"}', "may have 400 characters, not 401"),
        ('{"type": "ApplyLook", "name": "\\ud800"}', "no valid Unicode"),
        ('{"type": "Welcome"}', "There is no such message"),
        ('["Undo"]', "must be an object"),
        ("[" * 5000, "must be JSON"),
        ('"' + "x" * 70000 + '"', "may have 65536 characters"),
    ],
)
def test_what_is_wrong_is_named(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse(text)


def test_long_lists_are_refused() -> None:
    with pytest.raises(UserError, match="may have 1024 items, not 1025"):
        parse(json.dumps({"type": "ClearControls", "names": ["x"] * 1025}))


def test_defaults_may_be_left_out() -> None:
    assert parse('{"type": "Hello", "version": 1}') == Hello(1)
    assert parse('{"type": "SetControls", "values": {"yaw": 3}, "settled": false}') == SetControls({"yaw": 3.0}, False)


@given(objects_of(Frame), st.binary(max_size=50))
def test_frames_come_back_as_they_were(frame: Frame, picture: bytes) -> None:
    assert unpack_frame(pack_frame(frame, picture)) == (frame, picture)


def test_the_types_of_the_page_are_current() -> None:
    assert page_types.PATH.read_text(encoding="utf-8") == page_types.module(), "run `python -m crossrig.studio.page_types`"
