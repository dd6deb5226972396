"""Ridge regression with the penalty chosen on examples kept apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossrig.errors import UserError

#: Penalties tried, as shares of the number of examples (inputs are standardised).
PENALTIES: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def ridge(inputs: Tensor, targets: Tensor, penalties: Sequence[float] = PENALTIES, held_out: float = 0.1) -> Tensor:
    """inputs (N,K), targets (N,D) -> coefficients (K,D) with targets ~ mean + (inputs - mean) @ coefficients, least squares + penalty.

    Inputs are standardised inside, so one penalty suits all of them; each target counts in its own spread when the penalty is chosen on
    the last `held_out` of the examples. The coefficients are then fitted to all of them. Raises UserError for fewer than 20 examples.
    """
    count = len(inputs)
    if count < 20 or len(targets) != count:
        raise UserError(f"A regression needs 20 or more examples with as many targets; there are {count} and {len(targets)}.")
    inputs, targets = inputs.double(), targets.double()
    scale = inputs.std(0).clamp(min=1e-6)
    x, y = (inputs - inputs.mean(0)) / scale, targets - targets.mean(0)
    cut = count - max(1, round(count * held_out))
    weight = 1.0 / y.std(0).clamp(min=1e-6)
    errors = []
    for penalty in penalties:
        error = (x[cut:] @ _solve(x[:cut], y[:cut], penalty) - y[cut:]) * weight
        errors.append(float(error.square().mean()))
    best = penalties[errors.index(min(errors))]
    return (_solve(x, y, best) / scale[:, None]).float()


def _solve(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    found: Tensor = torch.linalg.solve(x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    return found
