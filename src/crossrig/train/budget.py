"""How far a run is that ends after some steps or after some minutes, whichever comes first, interruptions not counted."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from crossrig.train.parallel import Processes


class Budget:
    """Counts steps and minutes; goes on from a checkpoint's tensors."""

    def __init__(
        self, steps: int, minutes: float, step: int, tensors: Mapping[str, Tensor], processes: Processes | None = None
    ) -> None:
        """`minutes` 0: no limit. `step`, `tensors`: where the run stands, and what `state` gave for the checkpoint of then, if any.

        Of several `processes` the first one's clock counts.
        """
        self._processes = processes or Processes()
        self.steps, self.minutes, self.step = steps, minutes, step
        self._spent = float(tensors.get("seconds", torch.zeros(())))
        self._began = time.monotonic()
        self.progress = step / steps
        """Share of the run that is behind it; 1 or more at its end."""

    def advance(self) -> None:
        """One more step."""
        self.step += 1
        used = self._processes.of_first(self._seconds) / (60 * self.minutes) if self.minutes else 0.0
        self.progress = max(self.step / self.steps, used)

    @property
    def expected(self) -> int:
        """Steps that the whole run is going to have at this speed."""
        return round(self.step / self.progress)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {"seconds": torch.tensor(self._seconds())}

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._began
