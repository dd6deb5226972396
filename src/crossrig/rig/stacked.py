"""M of all layers at once, for one code: what `Rig.move` does with some two hundred small products of matrices, in a few large ones.

An attribute's layers have encoders and decoders of one shape but for the number of styles and of directions. Padded with zeros to the
widest they are stacked, and every step is one batched product. It gives what `Rig.move` gives, up to rounding, and is tested against it.

An attribute that gets the code and the command of the call before, as those do that come before the one under the hand, is not asked again.
(In bfloat16 it would take half the time; but it is a difference of two answers, and that of a small command would be lost.)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.manipulation import EDIT_ORDER, Manipulator, Rig
from crossrig.traced import Traced


class StackedRig:
    """The manipulation networks of a rig, frozen as they are now."""

    def __init__(self, rig: Rig) -> None:
        networks = rig.manipulators_by_name()
        self._attributes = {name: Traced(_Stacked(manipulator, rig.space).move) for name, manipulator in networks.items()}
        self._last: dict[str, tuple[Tensor, Tensor, Tensor]] = {}  # attribute -> code, command and what came of it

    def move(self, s: Tensor, commands: Mapping[str, Tensor]) -> Tensor:
        """One pass of `Rig.move`: style codes (B, S) by attribute -> dP (B, n); returns s' (B, S). No gradients."""
        for name in EDIT_ORDER:
            if name in commands and bool((commands[name] != 0).any()):
                s = self._moved(name, s, commands[name])
        return s

    def _moved(self, name: str, s: Tensor, command: Tensor) -> Tensor:
        last = self._last.get(name)
        if last is not None and torch.equal(last[0], s) and torch.equal(last[1], command):
            return last[2]
        moved: Tensor = self._attributes[name](s, command)
        self._last[name] = s, command, moved
        return moved


class _Stacked:
    """M of one attribute; L layers of up to M styles (those read: up to E) and R directions, H hidden units, C numbers of code."""

    @torch.no_grad()
    def __init__(self, manipulator: Manipulator, space: StyleSpace) -> None:
        config = manipulator.config
        editors = [manipulator.editor(name) for name in config.layers]
        self._command_scale = manipulator.command_scale.clone()  # (n,)
        places = [space.mask([name]).nonzero()[:, 0] for name in config.layers]
        widest = max(map(len, places))
        rank = max(len(editor.directions) for editor in editors)
        self._index = _padded(places, widest)  # (L,M): entries of s that are edited
        real = torch.stack([torch.arange(widest) < len(place) for place in places]).to(self._index.device)
        self._real = real.flatten()  # (L M,): not padding
        longest = max(len(editor.mean) for editor in editors)
        self._read = _padded([space.mask([name]).nonzero()[:, 0] for name, _ in config.sources.values()], longest)  # (L,E): read
        self._mean = _padded([editor.mean for editor in editors], longest)  # (L,E)
        self._gain = _padded([1.0 / editor.scale for editor in editors], longest)  # (L,E), 0 for padding
        self._directions = torch.stack(
            [F.pad(editor.directions, (0, widest - editor.directions.shape[1], 0, rank - len(editor.directions))) for editor in editors]
        )  # (L,R,M)
        self._encoder = [_layer([_linear(editor.encoder[step]) for editor in editors]) for step in (0, 2)]
        self._decoder = [_layer([_linear(editor.decoder[step]) for editor in editors]) for step in (0, 2, 4)]

    def move(self, s: Tensor, command: Tensor) -> Tensor:
        """s (B, S), dP (B, n) -> s' (B, S)."""
        styles = ((s[:, self._read] - self._mean) * self._gain).transpose(0, 1)  # (L,B,E)
        (first, first_bias), (last, last_bias) = self._encoder
        code = torch.baddbmm(last_bias, F.elu(torch.baddbmm(first_bias, styles, first)), last)  # (L,B,C)
        standard = (command / self._command_scale).expand(len(code), -1, -1)  # (L,B,n)
        x = torch.cat([torch.cat([code, standard], 2), torch.cat([code, torch.zeros_like(standard)], 2)], 1)  # (L,2B,C+n)
        for weight, bias in self._decoder[:-1]:
            x = F.elu(torch.baddbmm(bias, x, weight))
        commanded, idle = x.chunk(2, dim=1)
        # linear from here on: the difference of the last layers is the last layer of the difference, without its bias
        moves = torch.bmm(commanded - idle, self._decoder[-1][0])  # (L,B,R)
        offsets = torch.bmm(moves, self._directions).transpose(0, 1).flatten(1)  # (B,LM)
        return s.index_add(1, self._index.flatten()[self._real], offsets[:, self._real])


def _linear(layer: nn.Module) -> nn.Linear:
    assert isinstance(layer, nn.Linear)
    return layer


def _padded(rows: list[Tensor], width: int) -> Tensor:
    """Vectors of up to `width` numbers as (L, width), zeros behind."""
    return torch.stack([F.pad(row, (0, width - len(row))) for row in rows])


def _layer(layers: list[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weights (L, inputs, outputs) and biases (L, 1, outputs) of the same step everywhere, padded with zeros to the widest."""
    inputs, outputs = max(layer.in_features for layer in layers), max(layer.out_features for layer in layers)
    weights = [F.pad(layer.weight.T, (0, outputs - layer.out_features, 0, inputs - layer.in_features)) for layer in layers]
    return torch.stack(weights).contiguous(), _padded([layer.bias for layer in layers], outputs)[:, None]
