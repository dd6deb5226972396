"""What was trained on a generator goes on serving it after it was trained on, or grew to more pixels or channels.

While its affine layers are held (`train generator --hold-affine`, or `--hold-latent`) a w keeps the styles that it had; only those of
new blocks and channels are new. T reads nothing in those, M edits none of them, and the encoder gives new layers its common w. What the
styles show was trained on: the rig is as good as that left them, which `crossrig eval edits` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.gan.weights import widen
from crossrig.inversion.encoder import Encoder
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.manipulation import Manipulator, Rig


def check_grown(old: Generator, new: Generator) -> None:
    """Raises UserError unless the styles that `new` makes of a w are those of `old`, or those and more."""
    before, after = old.state_dict(), new.state_dict()
    for name, tensor in before.items():
        if "affine" in name and (name not in after or not torch.equal(after[name][: len(tensor)], tensor)):
            raise UserError(f"The new generator has another {name}: its affine layers were not held in training, so train its rig anew.")


def grown_rig(rig: Rig, space: StyleSpace, generator: str) -> Rig:
    """The same T and M for a generator with the style space `space` and the SHA-256 `generator`; see `check_grown`.

    Raises UserError when the space lacks layers, or entries of layers, that the rig knows.
    """
    own = {name: rig.space.layer(name).size for name in rig.space.names}
    if any(name not in space.names or space.layer(name).size < size for name, size in own.items()):
        raise UserError("The new generator lacks layers that the rig knows; train its rig anew.")
    known = torch.cat([torch.arange(layer.size) < own.get(layer.name, 0) for layer in space.layers])  # (S',): the entries of s, in order
    old = rig.predictor
    predictor = AttributePredictor(replace(old.config, style_size=space.size), space=old.space)
    state = old.state_dict()
    state["layers.0.weight"] = _spread(state["layers.0.weight"], known, 0.0)
    state["style_mean"] = _spread(state["style_mean"], known, 0.0)
    state["style_scale"] = _spread(state["style_scale"], known, 1.0)
    predictor.load_state_dict(state)
    manipulators = {name: _grown_manipulator(manipulator, space) for name, manipulator in rig.manipulators_by_name().items()}
    return Rig(predictor, manipulators, space, generator).eval().requires_grad_(False)


def _grown_manipulator(manipulator: Manipulator, space: StyleSpace) -> Manipulator:
    """The same M, whose layers may have more entries: it neither reads nor moves the new ones."""
    config = manipulator.config
    sizes, read_sizes = (tuple(space.layer(name).size for name in names) for names in (config.layers, config.read))
    grown = Manipulator(replace(config, sizes=sizes, read_sizes=read_sizes))
    before = manipulator.state_dict()
    rest = {name: torch.ones_like(x) if name.endswith(".scale") else torch.zeros_like(x) for name, x in grown.state_dict().items()}
    grown.load_state_dict({name: widen(before[name], rest[name]) for name in rest})
    return grown


def grown_child(child: Mapping[str, Tensor], old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a child of `old` for the generator `new`: what it had added to the weights of the one is added to those of the other.

    Weights of networks that began as one can be added up (Ilharco 2023, *Editing models with task arithmetic*), roughly.
    """
    state = {name: tensor.float() for name, tensor in new.items()}
    for name, tensor in child.items():
        state[name] = state[name] + widen(tensor.float() - old[name].float(), torch.zeros_like(state[name]))
    return state


def grown_encoder(encoder: Encoder, layers: int) -> Encoder:
    """The same encoder for a generator with `layers` entries in w_plus: the common w in the new ones, no offset."""
    if layers < encoder.config.layers:
        raise UserError(f"The encoder makes {encoder.config.layers} entries of w_plus and the generator takes {layers}: it did not grow.")
    grown = Encoder(replace(encoder.config, layers=layers), pretrained=False)
    old = encoder.state_dict()
    state = {name: torch.zeros_like(tensor) for name, tensor in grown.state_dict().items()}
    for name, tensor in state.items():
        if tensor.ndim:
            tensor[: len(old[name])] = old[name]
        else:
            tensor.copy_(old[name])
    grown.load_state_dict(state)
    return grown.eval().requires_grad_(False)


def _spread(values: Tensor, known: Tensor, rest: float) -> Tensor:
    """(..., S) at the places `known` (S',) of a (..., S') that is `rest` elsewhere."""
    wide = values.new_full((*values.shape[:-1], len(known)), rest)
    wide[..., known] = values
    return wide
