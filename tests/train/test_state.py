from __future__ import annotations

import torch
from torch import nn

from crossrig.train.state import collect, restore


def _step(network: nn.Module, optimiser: torch.optim.Optimizer) -> torch.Tensor:
    loss = network(torch.ones(2, 3)).square().sum()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def test_restored_parts_go_on_like_the_originals() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(3):
        _step(network, optimiser)
    saved = {key: value.clone() for key, value in collect({"network": network, "optimiser": optimiser}).items()}
    expected = [_step(network, optimiser) for _ in range(3)]

    again = nn.Linear(3, 2)
    other = torch.optim.Adam(again.parameters(), lr=0.1)
    restore(saved, {"network": again, "optimiser": other})
    assert [_step(again, other) for _ in range(3)] == expected


def test_random_generator_state_is_kept() -> None:
    random = torch.Generator().manual_seed(5)
    torch.randn(7, generator=random)
    saved = collect({"random": random})
    expected = torch.randn(4, generator=random)
    other = torch.Generator()
    restore(saved, {"random": other})
    torch.testing.assert_close(torch.randn(4, generator=other), expected)


def test_learning_rate_of_the_new_run_wins() -> None:
    network = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    _step(network, optimiser)
    other = torch.optim.Adam(network.parameters(), lr=0.01)
    restore(collect({"optimiser": optimiser}), {"optimiser": other})
    assert other.param_groups[0]["lr"] == 0.01
