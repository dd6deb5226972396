"""What is set on a picture, and the steps that led there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from crossrig.face3d.controls import CONTROLS
from crossrig.studio import panel
from crossrig.studio.history import History
from crossrig.studio.protocol import Attribute, Edited, Entry, GoTo, Redo, Undo

ONE_STEP = 0.7
"""Seconds within which changes of the same controls are one step of the history."""
MOST_SENT = 200
"""Steps of the history, those round the one shown, that a page sees."""


class Edits:
    """The controls of one picture and their history. Every change has a revision; nothing here computes or waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.values: dict[str, float] = {}
        self.history = History()
        self.locked: frozenset[str] = frozenset()
        """Attributes whose controls only a hand on them moves, and no preset or look. Undo does not change this."""
        self.revision = 0
        self.settled = True
        """Whether the hand has let go."""
        self.changed_at = 0.0
        self.unsaved_since: float | None = None
        """Since when something is set that is not on disk; None when all is."""
        self._last_settled: tuple[set[str], float] | None = None

    def begin(self, history: History, values: Mapping[str, float], locked: Iterable[str] = ()) -> None:
        """Go on from these."""
        self.history = history
        self.values = dict(values)
        self.locked = frozenset(locked)
        self.touch(True)

    def change(self, values: Mapping[str, float], settled: bool) -> bool:
        """Set controls; those set before keep their values. True when that is a step of the history."""
        # what was touched last has the last word, where controls move the same units
        for name, value in values.items():
            self.values.pop(name, None)
            self.values[name] = value
        self.touch(settled)
        if settled:
            self._settle("")
        return settled

    def assign(self, values: Mapping[str, float], settled: bool) -> bool:
        """These, and no others. True when that is a step of the history."""
        self.values = dict(values)
        self.touch(settled)
        if settled:
            self._settle("")
        return settled

    def replace(self, values: dict[str, float], label: str = "") -> None:
        """These, and no others, in one step of the history."""
        self.values = values
        self.touch(True)
        self._settle(label)

    def replace_unlocked(self, values: Mapping[str, float], label: str) -> None:
        """These, except that locked attributes stay as they are, in one step of the history."""
        kept = {name: value for name, value in self.values.items() if CONTROLS[name].attribute in self.locked}
        self.replace({name: value for name, value in values.items() if CONTROLS[name].attribute not in self.locked} | kept, label)

    def lock(self, attribute: str, on: bool) -> None:
        """Lock an attribute, or unlock it."""
        self.locked = self.locked | {attribute} if on else self.locked - {attribute}
        self._keep_soon()

    @property
    def locked_in_order(self) -> tuple[Attribute, ...]:
        """As they are sent and kept."""
        return tuple(name for name in get_args(Attribute) if name in self.locked)

    def travel(self, message: Undo | Redo | GoTo) -> None:
        """To another step of the history. Raises UserError when there is no such step."""
        match message:
            case Undo():
                # a drag that was never settled is undone first
                if self.values == self.history.current.values:
                    self.history.undo()
            case Redo():
                self.history.redo()
            case GoTo(number):
                self.history.go_to(number)
        self.values = dict(self.history.current.values)
        self._last_settled = None
        self.touch(True)

    def touch(self, settled: bool) -> None:
        """Something changed: it is to be drawn and kept."""
        self.revision += 1
        self.settled = settled
        self.changed_at = self.clock()
        self._keep_soon()

    def _keep_soon(self) -> None:
        if self.unsaved_since is None:
            self.unsaved_since = self.clock()

    def message(self, shown: Mapping[str, float]) -> Edited:
        """What a page is told; ``shown``: where every slider stands."""
        steps = self.history.steps
        first = max(0, min(len(steps) - MOST_SENT, self.history.position - MOST_SENT // 2))
        return Edited(
            dict(self.values),
            shown,
            tuple(Entry(step.number, step.label) for step in steps[first : first + MOST_SENT]),
            self.history.current.number,
            self.history.can_undo or self.values != self.history.current.values,
            self.history.can_redo,
            self.locked_in_order,
        )

    def _settle(self, label: str) -> None:
        """A step of the history. A key that is held down, or a double click, makes one step and not many."""
        names = self._changed_names()
        now = self.clock()
        again = self._last_settled
        if not label and again is not None and names == again[0] and now - again[1] < ONE_STEP:
            self.history.take_back()
            names = self._changed_names()
        self.history.add(label or panel.label_of(names, self.values), self.values)
        self._last_settled = (names, now) if names and not label else None

    def _changed_names(self) -> set[str]:
        """Controls that differ from the step shown."""
        before = self.history.current.values
        return {name for name in self.values.keys() | before.keys() if self.values.get(name) != before.get(name)}
