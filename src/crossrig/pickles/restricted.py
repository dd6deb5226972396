"""A reader of pickles that runs nothing: no import, no call, no attribute of anything a file names.

A pickle is a program for a stack machine. Python's own machine imports and calls whatever the program says; this one
knows the opcodes that plain data needs, and answers a request for a module's object with a `Name`, which is two strings.
What "calling" a name means is decided here, by a closed table of functions of ours that take and return inert values
(`Calls`); any other name ends the reading with a sentence that says which it was.

Dictionaries, lists, tuples, sets, strings, bytes and numbers come back as themselves, everything else as a `Record`.
Files that are cut short, malformed, cyclic, or built to exhaust memory or time are refused as well. The opcodes are told
apart by `pickletools.genops` of the standard library, which only parses.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from crossrig.errors import UserError

MOST_OPERATIONS = 2_000_000
"""Opcodes in one pickle; a training state of a 1024 px network with its optimisers has about 50 000."""
MOST_DIGITS = 16
"""Bytes of one integer; the longest in a genuine file is torch's magic number, 10."""


@dataclass(frozen=True)
class Name:
    """An object of a module that a file asks for, by name only."""

    module: str
    name: str

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.name}")


@dataclass(eq=False)
class Record:
    """An object of a class of others: which class, and the state it was pickled with."""

    kind: str
    state: object = None

    def build(self, state: object) -> None:
        """Takes the state that follows the creation of an object in the file; UserError when it does not fit."""
        self.state = state


Calls = Mapping[Name, Callable[[tuple[object, ...]], object]]
"""What calling a name with arguments gives: only functions that build inert values belong here."""


def read_pickle(
    file: IO[bytes], calls: Calls, persistent: Callable[[object], object] | None = None, what: str = "network"
) -> object:
    """The value of the pickle at the position of `file`, which is left after its end.

    calls: the names a file may use. persistent: what a persistent id stands for; None: the format has none. what: what the file should
    hold, for the sentence about one that asks for more.
    Raises UserError with one sentence, without the name of the file, for anything that is not plain data.
    """
    machine = _Machine(calls, persistent, what)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count >= MOST_OPERATIONS:
                raise UserError(f"it has more than {MOST_OPERATIONS} steps, which no {what} needs")
            machine.step(opcode.name, argument)
    except (ValueError, EOFError, OverflowError) as error:  # what genops raises for bytes that are no pickle
        raise UserError(f"it is cut short or damaged ({printable(str(error))})") from None
    value = machine.result()
    refuse_cycles(value)
    return value


def printable(text: str, longest: int = 120) -> str:
    """Text of a stranger's file as one short line of visible characters."""
    shown = "".join(character if character.isprintable() else "?" for character in text[: longest + 1])
    return shown if len(text) <= longest else f"{shown[:longest]}..."


def refuse_cycles(value: object) -> None:
    """UserError when a container of `value` contains itself."""
    finished: set[int] = set()
    open_now: set[int] = set()
    path: list[tuple[int, Iterator[object]]] = []
    start = _children(value)
    if start is not None:
        path.append((id(value), start))
        open_now.add(id(value))
    while path:
        key, children = path[-1]
        child = next(children, _END)
        if child is _END:
            path.pop()
            open_now.discard(key)
            finished.add(key)
            continue
        grandchildren = _children(child)
        if grandchildren is None or id(child) in finished:
            continue
        if id(child) in open_now:
            raise UserError("it contains a structure that contains itself, which no network file does")
        path.append((id(child), grandchildren))
        open_now.add(id(child))


_END = object()


def _children(value: object) -> Iterator[object] | None:
    if isinstance(value, dict):
        return iter(value.values())  # keys are plain
    if isinstance(value, list | tuple):
        return iter(value)
    if isinstance(value, Record):
        return iter((value.state,))
    return None


class _Mark:
    """Where the arguments of a collecting opcode begin."""


@dataclass
class _Machine:
    """The stack machine: `step` through the opcodes, then `result`."""

    calls: Calls
    persistent: Callable[[object], object] | None
    what: str
    stack: list[object] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    stopped: bool = False

    def step(self, opcode: str, argument: object) -> None:
        if opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            self.stack.append(_checked(argument))
        elif opcode in _EMPTY:
            self.stack.append(_EMPTY[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        else:
            raise UserError(f"it uses the pickle opcode {opcode}, which plain data does not need; nothing of it was run")

    def result(self) -> object:
        if not self.stopped or len(self.stack) != 1:
            raise UserError("it is damaged: it ends with values left over, or with none")
        value = self.stack[0]
        if isinstance(value, Name | _Mark):
            raise UserError(f"it holds {value if isinstance(value, Name) else 'nothing'}, not data")
        return value

    # -- the stack ----------------------------------------------------------------------------------------------

    def pop(self) -> object:
        if not self.stack:
            raise UserError("it is damaged: it takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        if not self.stack:
            raise UserError("it is damaged: it uses a value of an empty stack")
        return self.stack[-1]

    def pop_to_mark(self) -> list[object]:
        values: list[object] = []
        while not isinstance(value := self.pop(), _Mark):
            values.append(value)
        values.reverse()
        return values

    # -- opcodes ------------------------------------------------------------------------------------------------

    def stop(self, _: object) -> None:
        self.stopped = True

    def ignore(self, _: object) -> None:
        """PROTO and FRAME concern how bytes are fetched."""

    def mark(self, _: object) -> None:
        self.stack.append(_Mark())

    def discard(self, _: object) -> None:
        self.pop()

    def put(self, index: object) -> None:
        assert isinstance(index, int)
        self.memo[index] = self._value(self.top())

    def memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self._value(self.top())

    def get(self, index: object) -> None:
        assert isinstance(index, int)
        if index not in self.memo:
            raise UserError("it is damaged: it refers to a value that it has not stored")
        self.stack.append(self.memo[index])

    def tuple_of(self, count: int) -> None:
        values = [self._value(self.pop()) for _ in range(count)]
        self.stack.append(tuple(reversed(values)))

    def tuple_to_mark(self, _: object) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def append(self, _: object) -> None:
        value = self._value(self.pop())
        self._list().append(value)

    def extend(self, _: object) -> None:
        values = self.pop_to_mark()
        self._list().extend(values)

    def set_item(self, _: object) -> None:
        value, key = self._value(self.pop()), self.pop()
        self._dictionary()[_key(key)] = value

    def set_items(self, _: object) -> None:
        values = self.pop_to_mark()
        if len(values) % 2:
            raise UserError("it is damaged: a dictionary has a key without a value")
        target = self._dictionary()
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def add_items(self, _: object) -> None:
        values = self.pop_to_mark()
        target = self.top()
        if not isinstance(target, set):
            raise UserError("it is damaged: it adds to a set that is none")
        target.update(_key(value) for value in values)

    def frozen_set(self, _: object) -> None:
        self.stack.append(frozenset(_key(value) for value in self.pop_to_mark()))

    def global_name(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")  # genops joins the two lines with a space
        self._ask(module, name)

    def stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise UserError("it is damaged: it asks for an object without saying which")
        self._ask(module, name)

    def call(self, _: object) -> None:
        """REDUCE and NEWOBJ: a name and a tuple of arguments."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise UserError("it calls something that is no name with arguments; nothing of it was run")
        self.stack.append(self.calls[name](arguments))

    def build(self, _: object) -> None:
        state, target = self._value(self.pop()), self.top()
        if isinstance(target, dict):
            return  # attributes beside the items, such as the _metadata of a state dictionary
        if not isinstance(target, Record):
            raise UserError(f"it sets attributes of a {type(target).__name__}; nothing of it was run")
        target.build(state)

    def persistent_id(self, _: object) -> None:
        identity = self.pop()
        if self.persistent is None:
            raise UserError("it refers to data outside itself, which its format does not allow")
        self.stack.append(self.persistent(identity))

    # -- checks -------------------------------------------------------------------------------------------------

    def _ask(self, module: str, name: str) -> None:
        wanted = Name(module, name)
        if wanted not in self.calls:
            raise UserError(
                f"it asks for {wanted}, which no {self.what} needs: this may be code meant to run on whoever opens the file; "
                "nothing of it was run"
            )
        self.stack.append(wanted)

    def _value(self, value: object) -> object:
        if isinstance(value, _Mark):
            raise UserError("it is damaged: a mark stands where a value belongs")
        return value

    def _list(self) -> list[object]:
        target = self.top()
        if not isinstance(target, list):
            raise UserError("it is damaged: it appends to a list that is none")
        return target

    def _dictionary(self) -> dict[object, object]:
        target = self.top()
        if not isinstance(target, dict):
            raise UserError("it is damaged: it sets an item of a dictionary that is none")
        return target


def _key(key: object) -> str | int | None:
    """Keys whose hash is cheap: a tuple of tuples of tuples takes for ever, equal hashes of long integers as well."""
    if key is None or isinstance(key, str) or (isinstance(key, int) and key.bit_length() < 64):
        return key
    raise UserError(f"it uses a {type(key).__name__} as a key, which no network file does")


def _checked(value: object) -> object:
    if isinstance(value, int) and value.bit_length() > 8 * MOST_DIGITS:
        raise UserError(f"it has an integer of more than {MOST_DIGITS} bytes, which no network needs")
    return value


_CONSTANTS: Mapping[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: Mapping[str, Callable[[], object]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_LITERALS = frozenset((
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "SHORT_BINSTRING", "BINSTRING",  # of Python 2; genops gives both as text, a character a byte
))  # fmt: skip
_ACTIONS: Mapping[str, Callable[[_Machine, object], None]] = {
    "PROTO": _Machine.ignore,
    "FRAME": _Machine.ignore,
    "STOP": _Machine.stop,
    "MARK": _Machine.mark,
    "POP": _Machine.discard,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE": _Machine.tuple_to_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "ADDITEMS": _Machine.add_items,
    "FROZENSET": _Machine.frozen_set,
    "GLOBAL": _Machine.global_name,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
