"""M, the latent manipulation networks: how a style code must move so that the face's parameters move as commanded.

CDDFM3D (arXiv 2104.11228, section 3.3): one network per attribute; per selected layer l an encoder E_l: s_l -> 32 and a decoder D_l:
(E_l(s_l), dP) -> ds_l, added to the *same* layer. Layers go by name everywhere.

Two choices are ours. (1) ds_l = D_l(e, dP) - D_l(e, 0): a command of nothing moves nothing, exactly and by construction, where the paper
has a reconstruction loss for it. (2) D_l ends in the layer's own principal directions scaled to unit variance, so that edits move along
the ways in which codes of this generator differ, and a small network output is a likely edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.attributes import AttributePredictor

#: Order in which the attributes of one edit are applied: layout first, surface after it.
EDIT_ORDER: tuple[str, ...] = ("pose", "shape", "expression", "albedo", "illumination")


@dataclass(frozen=True)
class ManipulatorConfig:
    """blocks: parameter blocks commanded, in order. layers, sizes: names of the edited style layers and their numbers of entries.

    code: length of E_l's output. hidden: width of the ELU layers. rank: principal directions of a layer that an edit may use.
    read, read_sizes: the layers that the encoders read instead of those they edit; an ablation, see `for_attribute`.
    """

    blocks: tuple[str, ...]
    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    code: int = 32
    hidden: int = 192
    rank: int = 96
    read: tuple[str, ...] = ()
    read_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.blocks or any(block not in BLOCKS for block in self.blocks):
            raise ValueError(f"blocks must be some of {', '.join(BLOCKS)}: got {self.blocks}")
        if not self.layers or len(self.layers) != len(self.sizes):
            raise ValueError(f"every edited layer needs one size: got {self.layers} and {self.sizes}")
        if len(self.read) != len(self.read_sizes) or (self.read and len(self.read) != len(self.layers)):
            raise ValueError(f"every edited layer needs one layer, and its size, to read: got {self.read} and {self.read_sizes}")
        if any(name.endswith(".torgb") for name in self.layers):
            raise ValueError(f"toRGB layers are never edited (CDDFM3D): got {self.layers}")

    @property
    def command_size(self) -> int:
        """Length of dP."""
        return sum(BLOCKS[block] for block in self.blocks)

    @property
    def sources(self) -> dict[str, tuple[str, int]]:
        """Edited layer -> the layer that its encoder reads, and that one's number of entries."""
        return dict(zip(self.layers, zip(self.read or self.layers, self.read_sizes or self.sizes, strict=True), strict=True))

    @classmethod
    def for_attribute(cls, attribute: str, layers: tuple[str, ...], space: StyleSpace, misindexed: bool = False) -> ManipulatorConfig:
        """The network that edits `attribute` through the named layers of a generator.

        misindexed: with the fault of the original repository, whose i-th encoder reads the i-th of *all* layers while its decoder moves
        the i-th of the attribute's (shape: layers 0 1 2 3 are read, 0 2 3 5 are moved). Only to measure what it costs.
        """

        def sizes(names: tuple[str, ...]) -> tuple[int, ...]:
            return tuple(space.layer(name).size for name in names)

        read = tuple(space.names[: len(layers)]) if misindexed else ()
        return cls(ATTRIBUTES[attribute], layers, sizes(layers), read=read, read_sizes=sizes(read))


def _key(name: str) -> str:
    """Module names cannot hold dots."""
    return name.replace(".", "_")


class _LayerEditor(nn.Module):
    """E_l and D_l of one layer of `size` entries. `read`: entries of the layer that E_l reads, the same one but in an ablation."""

    mean: Tensor
    scale: Tensor
    directions: Tensor

    def __init__(self, size: int, read: int, config: ManipulatorConfig) -> None:
        super().__init__()
        rank = min(config.rank, size)
        self.encoder = nn.Sequential(nn.Linear(read, config.hidden), nn.ELU(), nn.Linear(config.hidden, config.code))
        self.decoder = nn.Sequential(
            nn.Linear(config.code + config.command_size, config.hidden),
            nn.ELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ELU(),
            nn.Linear(config.hidden, rank),
        )
        self.register_buffer("mean", torch.zeros(read))
        self.register_buffer("scale", torch.ones(read))
        self.register_buffer("directions", torch.eye(rank, size))  # (rank, size), rows scaled to the standard deviation

    @torch.no_grad()
    def set_population(self, read: Tensor, styles: Tensor) -> None:
        """Statistics of the styles (N, read) that are read, principal directions of those (N, size) that are edited."""
        self.mean.copy_(read.mean(0))
        self.scale.copy_(read.std(0).clamp(min=1e-4))
        centred = styles - styles.mean(0)
        values, vectors = torch.linalg.eigh((centred.T @ centred).double() / (len(styles) - 1))  # ascending
        rank = self.directions.shape[0]
        deviations = values.clamp(min=0).sqrt()[-rank:].flip(0)
        self.directions.copy_((vectors[:, -rank:].flip(1) * deviations).T)

    def forward(self, style: Tensor, command: Tensor) -> Tensor:
        """style (B, read), standardised command (B, n) -> the edit in principal directions (B, rank)."""
        code = self.encoder((style - self.mean) / self.scale)
        both = torch.cat([torch.cat([code, command], 1), torch.cat([code, torch.zeros_like(command)], 1)])
        commanded, idle = self.decoder(both).chunk(2)
        return cast(Tensor, commanded - idle)


class Manipulator(nn.Module):
    """M of one attribute: styles by layer name and dP -> offsets by layer name."""

    command_scale: Tensor

    def __init__(self, config: ManipulatorConfig) -> None:
        super().__init__()
        self.config = config
        sizes = zip(config.layers, config.sizes, strict=True)
        self.editors = nn.ModuleDict({_key(name): _LayerEditor(size, config.sources[name][1], config) for name, size in sizes})
        self.register_buffer("command_scale", torch.ones(config.command_size))

    def set_populations(self, styles: Mapping[str, Tensor], labels: FaceParams) -> None:
        """Statistics of codes, layer name -> (N, size), and of their parameters (N)."""
        for name, (read, _) in self.config.sources.items():
            self.editor(name).set_population(styles[read], styles[name])
        values = torch.cat([getattr(labels, block) for block in self.config.blocks], dim=1)
        self.command_scale.copy_(values.std(0).clamp(min=1e-3))

    def editor(self, name: str) -> _LayerEditor:
        """E_l and D_l of the named layer."""
        return cast(_LayerEditor, self.editors[_key(name)])

    def moves(self, styles: Mapping[str, Tensor], command: Tensor) -> dict[str, Tensor]:
        """Layer name -> (B, rank): the edit in standard deviations along the layer's principal directions. `command` is dP (B, n)."""
        standard = command / self.command_scale
        return {name: self.editor(name)(styles[read], standard) for name, (read, _) in self.config.sources.items()}

    def offsets(self, moves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Moves -> layer name -> ds_l (B, size)."""
        return {name: move @ self.editor(name).directions for name, move in moves.items()}

    def forward(self, styles: Mapping[str, Tensor], command: Tensor) -> dict[str, Tensor]:
        """Layer name -> ds_l (B, size)."""
        return self.offsets(self.moves(styles, command))


def shift(space: StyleSpace, s: Tensor, offsets: Mapping[str, Tensor]) -> Tensor:
    """Add offsets to the layers they are named after; all other layers are returned unchanged."""
    styles = space.split(s)
    return space.join({name: style + offsets[name] if name in offsets else style for name, style in styles.items()})


class Rig(nn.Module):
    """T and one M per attribute, for one generator.

    space       the style space of the generator
    generator   SHA-256 of the generator the rig was trained with; codes of another generator of the same size mean something else
                (its latent-consistent children excepted: that is what they are for)
    """

    def __init__(self, predictor: AttributePredictor, manipulators: Mapping[str, Manipulator], space: StyleSpace, generator: str) -> None:
        super().__init__()
        if predictor.config.style_size != space.size:
            raise UserError(
                f"The rig reads style codes of {predictor.config.style_size} values and the generator has {space.size}: "
                "they do not belong together."
            )
        for manipulator in manipulators.values():
            for name, size in zip(manipulator.config.layers, manipulator.config.sizes, strict=True):
                if name not in space.names or space.layer(name).size != size:
                    raise UserError(f"The rig edits {name} ({size} values), which this generator does not have.")
            for name, size in manipulator.config.sources.values():
                if name not in space.names or space.layer(name).size != size:
                    raise UserError(f"The rig reads {name} ({size} values), which this generator does not have.")
        self.predictor = predictor
        self.manipulators = nn.ModuleDict(manipulators)
        self.space = space
        self.generator = generator

    def manipulator(self, attribute: str) -> Manipulator:
        """M of an attribute."""
        if attribute not in self.manipulators:
            raise UserError(f"The rig cannot edit '{attribute}'; it edits {', '.join(self.manipulators)}.")
        return cast(Manipulator, self.manipulators[attribute])

    def manipulators_by_name(self) -> dict[str, Manipulator]:
        """Attribute -> M."""
        return {name: self.manipulator(name) for name in self.manipulators}

    def predict(self, s: Tensor) -> FaceParams:
        """T: style codes (B, S) -> parameters."""
        return self.predictor.predict(s)

    def move(self, s: Tensor, commands: Mapping[str, Tensor], passes: int = 1) -> Tensor:
        """Edit style codes (B, S) by attribute -> dP (B, n); returns s' (B, S).

        Attributes are applied one after another in EDIT_ORDER, each network seeing what the ones before it did. An attribute that is
        not commanded, or by zeros only, is left out and does not touch a bit of s. With `passes` above 1, what T still finds
        missing is commanded again.
        """
        wanted: dict[str, Tensor] = {}
        if passes > 1:
            start = self.predict(s)
            wanted = {name: start.attribute(name) + command for name, command in commands.items()}
        active = [name for name in EDIT_ORDER if name in commands and bool((commands[name] != 0).any())]
        unknown = set(commands) - set(EDIT_ORDER)
        if unknown:
            raise UserError(f"There is no attribute {sorted(unknown)}; the attributes are {', '.join(EDIT_ORDER)}.")
        for index in range(passes):
            for name in active:
                command = commands[name]
                if index:
                    missing = wanted[name] - self.predict(s).attribute(name)
                    command = torch.where(commands[name] != 0, missing, torch.zeros_like(missing))
                manipulator = self.manipulator(name)
                s = shift(self.space, s, manipulator(self.space.split(s), command))
        return s

    def edit(self, s: Tensor, target: FaceParams, passes: int = 1) -> Tensor:
        """Edit style codes (B, S) towards target parameters: dP of every attribute is the target minus T(s)."""
        start = self.predict(s)
        commands = {name: target.attribute(name) - start.attribute(name) for name in self.manipulators}
        return self.move(s, commands, passes)
