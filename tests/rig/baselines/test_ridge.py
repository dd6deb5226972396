from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.rig.baselines.ridge import ridge


def test_a_linear_relation_is_found() -> None:
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(500, 6, generator=random) * torch.tensor([1.0, 10.0, 0.1, 1.0, 5.0, 1.0]) + 3.0
    truth = torch.randn(6, 4, generator=random)
    targets = inputs @ truth + 7.0 + 0.01 * torch.randn(500, 4, generator=random)
    assert torch.allclose(ridge(inputs, targets), truth, atol=0.05)


def test_noise_calls_for_a_large_penalty() -> None:
    random = torch.Generator().manual_seed(2)
    inputs, targets = torch.randn(60, 50, generator=random), torch.randn(60, 3, generator=random)
    chosen, plain = ridge(inputs, targets), ridge(inputs, targets, penalties=(1e-4,))
    assert float(chosen.norm()) < 0.5 * float(plain.norm())


def test_few_examples_are_refused() -> None:
    with pytest.raises(UserError, match="20 or more"):
        ridge(torch.zeros(19, 2), torch.zeros(19, 2))
