"""Obedience: how much of a commanded change is what the judge sees happen."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from crossrig.metrics.bootstrap import Resampling, Statistic
from crossrig.rig.units import Units


@dataclass(frozen=True)
class Answer:
    """Commands of one block and what came of them, per person, in squared population spreads."""

    asked: Tensor
    """(N,): squared length of the command."""
    missed: Tensor
    """(N,): squared length of (change - command)."""
    along: Tensor
    """(N,): inner product of change and command."""

    def r2(self, resampling: Resampling) -> Statistic:
        """1 - sum |change - command|^2 / sum |command|^2: 1 when every command is followed exactly, 0 for an editor that does nothing.

        Where the commands add up to nothing, as differences to other people do, this is the usual R2 with the commands as truth.
        """
        unexplained = resampling.ratio(self.missed, self.asked)
        return Statistic(1.0 - unexplained.value, 1.0 - unexplained.drawn)

    def slope(self, resampling: Resampling) -> Statistic:
        """Change per commanded change, by least squares through nothing commanded, nothing changed. 1 is right, below 1 too little."""
        return resampling.ratio(self.along, self.asked)


def answer(units: Units, block: str, spread: float, command: Tensor, change: Tensor) -> Answer:
    """Commanded and judged change of a block (N, n), compared in `Units` (metres of the face, colours, irradiance, degrees)."""
    scale = 1.0 / spread**2
    asked, missed = units.squared(block, command), units.squared(block, change - command)
    return Answer(asked * scale, missed * scale, units.inner(block, command, change) * scale)


def answer_along(units: Units | None, block: str, spread: float, command: Tensor, change: Tensor) -> Answer:
    """The same for a control, which commands one direction at a time: only the part of the change along the command counts as the answer;
    what happens across it is another matter (`sideways`). units None: plain coefficients instead of `Units`, for what hardly moves the
    face's surface (gaze, tongue)."""
    if units is None:
        asked, along = (command * command).sum(1), (command * change).sum(1)
    else:
        asked, along = units.squared(block, command), units.inner(block, command, change)
    scale = 1.0 / spread**2
    # p the part of the change along the unit command: p^2 = along^2 / asked, and (p - |command|)^2 = p^2 - 2 along + asked
    missed = along**2 / asked.clamp(min=1e-20) - 2 * along + asked
    return Answer(asked * scale, missed.clamp(min=0) * scale, along * scale)
