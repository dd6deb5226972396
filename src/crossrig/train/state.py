"""The state of a run as named tensors: modules, optimisers and random generators, for checkpoints without pickles."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Part = nn.Module | torch.optim.Optimizer | torch.Generator


def collect(parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Everything needed to go on, as one flat dictionary `part/name -> tensor`."""
    tensors: dict[str, Tensor] = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            tensors |= {f"{name}/{key}": value.detach() for key, value in part.state_dict().items()}
        elif isinstance(part, torch.optim.Optimizer):
            for index, state in part.state_dict()["state"].items():
                tensors |= {f"{name}/{index}/{key}": value for key, value in state.items() if isinstance(value, Tensor)}
        else:
            tensors[f"{name}/random"] = part.get_state()
    return {key: value.contiguous() for key, value in tensors.items()}


def restore(tensors: Mapping[str, Tensor], parts: Mapping[str, Part]) -> None:
    """Put the tensors of `collect` back into equal parts; optimiser settings such as lr stay those of the new run."""
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
        if isinstance(part, nn.Module):
            part.load_state_dict(own)
        elif isinstance(part, torch.optim.Optimizer):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in own.items():
                index, field = key.split("/", 1)
                state.setdefault(int(index), {})[field] = value
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
        else:
            part.set_state(own["random"])
