"""One interface for everything that edits a style code, so that methods can be compared and exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from crossrig.rig.manipulation import Rig
from crossrig.rig.refine import Refiner


class Editor(Protocol):
    """(style codes (N,S), attribute, command dP (N,n)) -> edited codes (N,S). A command of zeros changes nothing."""

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class FeedForward:
    """M alone (CDDFM3D, section 3.3). passes above 1 command again what T still finds missing."""

    rig: Rig
    passes: int = 1

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        return self.rig.move(styles, {attribute: command}, self.passes)


@dataclass(frozen=True)
class Refined:
    """M, then Gauss-Newton steps that close what is left (`rig.refine`)."""

    rig: Rig
    refiner: Refiner

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        commands = {attribute: command}
        return self.refiner(styles, self.rig.move(styles, commands), commands)
