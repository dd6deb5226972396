"""StyleRig (Tewari et al., CVPR 2020, arXiv 2004.00121), in its own space W+ and in S: the rig that CDDFM3D starts from.

RigNet (section 4): for every layer l of the code an encoder E_l: w_l -> 32 values, and a decoder D_l: (E_l(w_l), p) -> d_l; the edited
code is w + d. Both are linear. p are the parameters of one attribute that the edited face shall have; each attribute has its own RigNet.

As in all networks here, inputs are standardised and offsets are in standard deviations of the layer; the paper feeds plain values. All five
attributes get a RigNet, the paper's three (pose, expression, illumination) as well as shape and albedo, so that it can be compared in all.

Nothing keeps a RigNet from moving a code when its own parameters are commanded. Its reconstruction loss teaches it not to
(`train.stylerig`), so a command of zeros moves a code a little, where M (`rig.manipulation`) returns it bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams, attribute_size
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.baselines.latents import Latents, Space


@dataclass(frozen=True)
class RigNetConfig:
    """attribute: what is commanded. layers, sizes: names of the code's layers and their numbers of entries. code: length of E_l's output.

    hidden: width of an ELU layer inside each decoder; 0: linear, as published. control: D_l is told the parameters the face shall have
    ("target", as published) or by how much they shall change ("difference", the form of CDDFM3D's M).
    """

    attribute: str
    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    code: int = 32
    hidden: int = 0
    control: Literal["target", "difference"] = "target"

    def __post_init__(self) -> None:
        if self.attribute not in ATTRIBUTES:
            raise ValueError(f"attribute must be one of {', '.join(ATTRIBUTES)}: got {self.attribute}")
        if not self.layers or len(self.layers) != len(self.sizes):
            raise ValueError(f"every layer needs one size: got {self.layers} and {self.sizes}")


class _LayerRig(nn.Module):
    """E_l and D_l of one layer."""

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int, config: RigNetConfig) -> None:
        super().__init__()
        self.encoder = nn.Linear(size, config.code)
        inputs = config.code + attribute_size(config.attribute)
        out = nn.Linear(config.hidden or inputs, size)
        # Starts near "w stays as it is"; a full-size start throws the first codes far out, where T means nothing.
        nn.init.normal_(out.weight, std=0.01)
        nn.init.zeros_(out.bias)
        self.decoder = nn.Sequential(nn.Linear(inputs, config.hidden), nn.ELU(), out) if config.hidden else out
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, part: Tensor, control: Tensor) -> Tensor:
        """part (B, size), standardised control (B, n) -> d_l in standard deviations of the layer (B, size)."""
        code = self.encoder((part - self.mean) / self.scale)
        return cast(Tensor, self.decoder(torch.cat([code, control], 1)))


class RigNet(nn.Module):
    """One attribute's rig: the layers of a code, the face's parameters and a command -> offsets of the layers."""

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self, config: RigNetConfig) -> None:
        super().__init__()
        self.config = config
        # Module names cannot hold dots.
        rigs = {name.replace(".", "_"): _LayerRig(size, config) for name, size in zip(config.layers, config.sizes, strict=True)}
        self.rigs = nn.ModuleDict(rigs)
        self.register_buffer("label_mean", torch.zeros(attribute_size(config.attribute)))
        self.register_buffer("label_scale", torch.ones(attribute_size(config.attribute)))

    def layer(self, name: str) -> _LayerRig:
        """E_l and D_l of the named layer."""
        return cast(_LayerRig, self.rigs[name.replace(".", "_")])

    @torch.no_grad()
    def set_populations(self, parts: Mapping[str, Tensor], labels: FaceParams) -> None:
        """Statistics of codes, layer name -> (N, size), and of their parameters (N)."""
        for name in self.config.layers:
            self.layer(name).mean.copy_(parts[name].mean(0))
            self.layer(name).scale.copy_(parts[name].std(0).clamp(min=1e-4))
        values = labels.attribute(self.config.attribute)
        self.label_mean.copy_(values.mean(0))
        self.label_scale.copy_(values.std(0).clamp(min=1e-3))

    def moves(self, parts: Mapping[str, Tensor], own: Tensor, command: Tensor) -> dict[str, Tensor]:
        """Layer name -> d_l (B, size) in standard deviations. own (B,n): the attribute as it is, by T; command dP (B,n)."""
        if self.config.control == "target":
            told = (own + command - self.label_mean) / self.label_scale
        else:
            told = command / self.label_scale
        return {name: self.layer(name)(parts[name], told) for name in self.config.layers}

    def offsets(self, moves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Moves -> layer name -> d_l (B, size) in the layer's own numbers."""
        return {name: move * self.layer(name).scale for name, move in moves.items()}

    def forward(self, parts: Mapping[str, Tensor], own: Tensor, command: Tensor) -> dict[str, Tensor]:
        """Layer name -> d_l (B, size)."""
        return self.offsets(self.moves(parts, own, command))


class StyleRig(nn.Module):
    """One RigNet for each attribute, in one latent space of one generator (SHA-256 in `generator`)."""

    def __init__(self, networks: Mapping[str, RigNet], space: Space, generator: str) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.space = space
        self.generator = generator

    @classmethod
    def untrained(
        cls, latents: Latents, space: Space, generator: str, hidden: int = 0, control: Literal["target", "difference"] = "target"
    ) -> StyleRig:
        """Fresh networks for every attribute over all layers of a latent space."""
        layers, sizes = tuple(latents.sizes), tuple(latents.sizes.values())
        configs = {name: RigNetConfig(name, layers, sizes, hidden=hidden, control=control) for name in ATTRIBUTES}
        return cls({name: RigNet(config) for name, config in configs.items()}, space, generator)

    def network(self, attribute: str) -> RigNet:
        """The RigNet of an attribute. Raises UserError when there is none."""
        if attribute not in self.networks:
            raise UserError(f"This StyleRig cannot edit '{attribute}'; it edits {', '.join(self.networks)}.")
        return cast(RigNet, self.networks[attribute])

    def networks_by_name(self) -> dict[str, RigNet]:
        """Attribute -> RigNet."""
        return {name: self.network(name) for name in self.networks}


@dataclass(frozen=True)
class StyleRigEditor:
    """StyleRig as an editor of style codes (`rig.editors.Editor`), but for one promise: a command of zeros moves a little.

    latents: the space it was trained in. predictor: T, which says what p a code has before the edit, as in the paper.
    """

    stylerig: StyleRig
    latents: Latents
    predictor: AttributePredictor

    def __post_init__(self) -> None:
        for network in self.stylerig.networks_by_name().values():
            if dict(zip(network.config.layers, network.config.sizes, strict=True)) != dict(self.latents.sizes):
                raise UserError("This StyleRig was trained for other layers than this generator has; train one for it.")

    def offsets(self, styles: Tensor, attribute: str, command: Tensor) -> dict[str, Tensor]:
        """Style codes (B,S) and dP (B,n) -> layer name -> d_l (B, size)."""
        own = self.predictor.predict(styles).attribute(attribute)
        return self.stylerig.network(attribute)(self.latents.of_styles(styles), own, command)  # type: ignore[no-any-return]

    def change(self, styles: Tensor, attribute: str, command: Tensor) -> dict[str, Tensor]:
        """As `offsets`, less what a command of zeros does: what the command itself changes. A probe of the layers (`rig.layers.Probe`)."""
        idle = self.offsets(styles, attribute, torch.zeros_like(command))
        return {name: offset - idle[name] for name, offset in self.offsets(styles, attribute, command).items()}

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        return self.latents.moved(styles, self.offsets(styles, attribute, command))
