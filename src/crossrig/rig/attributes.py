"""T, the attribute prediction network: style code s -> face parameters (CDDFM3D, arXiv 2104.11228, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from crossrig.face3d.blocks import FaceSpace
from crossrig.face3d.params import PACKED_SIZE, FaceParams


@dataclass(frozen=True)
class AttributePredictorConfig:
    """style_size: length of s. hidden: widths of the ELU layers; the paper's 4096-2048-1024-512 reads 9088 values, ours about 1.6k."""

    style_size: int
    hidden: tuple[int, ...] = (1024, 1024, 512)


class AttributePredictor(nn.Module):
    """s (B,S) -> packed FaceParams (B,213).

    Inputs and outputs are standardised with statistics that are part of the weights (`set_populations`): without it the few loud
    channels of S, and the few large parameters, take all the gradient and the network answers the mean face.
    """

    style_mean: Tensor
    style_scale: Tensor
    label_mean: Tensor
    label_scale: Tensor

    def __init__(self, config: AttributePredictorConfig, dropout: float = 0.0, space: FaceSpace | None = None) -> None:
        """`dropout`: share of each hidden layer dropped in training mode; no part of the architecture. `space`: whose parameters."""
        super().__init__()
        self.config = config
        self.space = space or FaceSpace()
        layers: list[nn.Module] = []
        inputs = config.style_size
        for width in config.hidden:
            layers += [nn.Linear(inputs, width), nn.ELU(), nn.Dropout(dropout)]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(inputs, PACKED_SIZE)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("style_mean", torch.zeros(config.style_size))
        self.register_buffer("style_scale", torch.ones(config.style_size))
        self.register_buffer("label_mean", torch.zeros(PACKED_SIZE))
        self.register_buffer("label_scale", torch.ones(PACKED_SIZE))

    def set_populations(self, styles: Tensor, labels: Tensor) -> None:
        """Take means and standard deviations from style codes (N,S) and labels (N,213)."""
        self.style_mean.copy_(styles.mean(0))
        self.style_scale.copy_(styles.std(0).clamp(min=1e-4))
        self.label_mean.copy_(labels.mean(0))
        self.label_scale.copy_(labels.std(0).clamp(min=1e-4))

    def forward(self, styles: Tensor) -> Tensor:
        standard = (styles - self.style_mean) / self.style_scale
        return cast(Tensor, self.label_mean + self.label_scale * self.out(self.layers(standard)))

    @torch.no_grad()
    def slopes(self, styles: Tensor, rows: Tensor, directions: Tensor) -> Tensor:
        """How the answer changes along directions: (B,R,K) = rows (R,213) times the Jacobian at styles (B,S) times directions (K,S)'.

        The chain rule written out: for the few hundred rows and directions of a Gauss-Newton step several times faster than automatic
        differentiation, which repeats the forward pass for every row. Dropout is left out, as in evaluation mode.
        """
        x = (styles - self.style_mean) / self.style_scale
        gains: list[Tensor] = []  # (B, width) of every ELU
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                x = layer(x)
            elif isinstance(layer, nn.ELU):
                gains.append(torch.where(x > 0, torch.ones_like(x), x.exp()))
                x = layer(x)
        found = ((rows * self.label_scale) @ self.out.weight).expand(len(styles), -1, -1)  # (B,R,width)
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        along = (directions / self.style_scale).T  # (S,K)
        if not linear:
            return found @ along
        for index, layer in reversed(list(enumerate(linear))):
            found = found * gains[index][:, None, :]
            found = found @ (layer.weight if index else layer.weight @ along)
        return found

    def predict(self, styles: Tensor) -> FaceParams:
        """The same as named blocks; gradients pass. Expression weights are not clamped, so that differences stay exact."""
        return FaceParams.unpack(self(styles))
