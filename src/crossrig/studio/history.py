"""Steps of an edit: undo and redo without limit, a new step after an undo replaces what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossrig.errors import UserError


@dataclass(frozen=True)
class Step:
    """All controls that were set at a moment."""

    number: int
    label: str
    values: Mapping[str, float]


@dataclass
class History:
    """There is always a first step: the picture as it was."""

    steps: list[Step] = field(default_factory=lambda: [Step(0, "Original", {})])
    position: int = 0
    """Index of the step that is shown."""
    last_number: int = 0
    """Numbers are never given twice, so a picture of a step stays right whatever is undone."""

    @property
    def current(self) -> Step:
        return self.steps[self.position]

    @property
    def can_undo(self) -> bool:
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        return self.position + 1 < len(self.steps)

    def add(self, label: str, values: Mapping[str, float]) -> bool:
        """A new step after the one shown; False when it would change nothing. The order of the values counts."""
        if list(values.items()) == list(self.current.values.items()):
            return False
        self._forget_later()
        self.last_number += 1
        self.steps.append(Step(self.last_number, label, dict(values)))
        self.position += 1
        return True

    def take_back(self) -> None:
        """Forget the step shown, so that the next takes its place."""
        self.undo()
        self._forget_later()

    def _forget_later(self) -> None:
        del self.steps[self.position + 1 :]

    def undo(self) -> None:
        if self.can_undo:
            self.position -= 1

    def redo(self) -> None:
        if self.can_redo:
            self.position += 1

    def go_to(self, number: int) -> None:
        """Raises UserError when there is no such step."""
        for index, step in enumerate(self.steps):
            if step.number == number:
                self.position = index
                return
        raise UserError(f"There is no step {number} in the history any more; choose one of those shown.")
