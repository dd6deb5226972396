"""Generators and discriminators on disk, and growing a trained generator to a higher resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from crossrig import assets, checkpoint, quantise
from crossrig.errors import UserError
from crossrig.gan import difference
from crossrig.gan.discriminator import Discriminator, DiscriminatorConfig
from crossrig.gan.generator import Generator, GeneratorConfig

KIND = "generator"
DISCRIMINATOR_KIND = "discriminator"

Config = TypeVar("Config", GeneratorConfig, DiscriminatorConfig)
Network = TypeVar("Network", Generator, Discriminator)


def save_generator(path: str | Path, generator: Generator, header: Mapping[str, Any] | None = None) -> None:
    """Writes a generator checkpoint; `header` adds facts (data, licence, images seen ...) to kind and config."""
    facts = dict(header or {})
    facts.update(kind=KIND, config=asdict(generator.config))
    checkpoint.save(path, generator.state_dict(), facts)


def save_difference(
    path: str | Path, child: Generator, parent: str | Path, header: Mapping[str, Any] | None = None, bits: int = quantise.BITS
) -> None:
    """Writes a child as its difference from the generator in the file `parent` (see `gan/difference.py`); `header` as above.

    The file can only be read where that very file is at hand, under its name, beside it or among the networks in use. Raises UserError when
    the two do not fit or `parent` is no whole generator.
    """
    whole = _whole(parent)
    try:
        stored = difference.encode(child.state_dict(), whole, bits)
    except ValueError as error:
        raise UserError(f"The generator is no child of {parent} ({error}): it cannot be stored as its difference.") from None
    facts = dict(header or {})
    facts.update(
        kind=difference.KIND, config=asdict(child.config), bits=bits,
        parent={"name": Path(parent).stem, "sha256": checkpoint.sha256(parent)},
    )  # fmt: skip
    checkpoint.save(path, stored, facts)


def load_generator(path: str | Path) -> Generator:
    """Reads a generator checkpoint, whole or as its difference from a parent: evaluation mode, CPU.

    UserError when the file is not one, does not fit, or its parent is not at hand.
    """
    tensors, header = checkpoint.load(path)
    if header.get("kind") == difference.KIND:
        try:
            tensors = difference.decode(tensors, _whole(assets.parent_of(path, header)))
        except ValueError as error:
            raise UserError(f"the tensors in {path} do not fit its parent ({error}); download or make it again") from None
        header = header | {"kind": KIND}
    return generator_of(tensors, header, path)


def generator_of(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], path: str | Path) -> Generator:
    """The generator of a whole checkpoint's tensors and header; `path` is named when they do not fit."""
    _check_kind(header, path, KIND)
    return _filled(Generator(parse_config(header.get("config"), path)), tensors, path)


def save_discriminator(path: str | Path, discriminator: Discriminator, header: Mapping[str, Any] | None = None) -> None:
    """Writes a discriminator checkpoint; `header` as in `save_generator`."""
    facts = dict(header or {})
    facts.update(kind=DISCRIMINATOR_KIND, config=asdict(discriminator.config))
    checkpoint.save(path, discriminator.state_dict(), facts)


def load_discriminator(path: str | Path) -> Discriminator:
    """Reads a discriminator checkpoint: evaluation mode, CPU. UserError when the file is not one or does not fit."""
    tensors, header = checkpoint.load(path)
    _check_kind(header, path, DISCRIMINATOR_KIND)
    return _filled(Discriminator(_parse(DiscriminatorConfig, header.get("config"), path, DISCRIMINATOR_KIND)), tensors, path)


def parse_config(config: object, path: str | Path) -> GeneratorConfig:
    """The `config` object of a generator's header as GeneratorConfig; UserError names what does not fit."""
    return _parse(GeneratorConfig, config, path, KIND)


def _whole(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a whole generator's checkpoint."""
    tensors, header = checkpoint.load(path)
    _check_kind(header, path, KIND)
    return tensors


def _check_kind(header: Mapping[str, Any], path: str | Path, kind: str) -> None:
    if header.get("kind") != kind:
        raise UserError(f"{path} holds a '{header.get('kind')}', not a {kind}; give a {kind} checkpoint")


def _parse(settings: type[Config], config: object, path: str | Path, kind: str) -> Config:
    if not isinstance(config, dict):
        raise UserError(f"the header of {path} has no 'config' object; download or train it again")
    try:
        return settings(**config)
    except (TypeError, ValueError) as error:
        raise UserError(f"the config in {path} is not a {kind}'s ({error}); was a newer crossrig used?") from None


def _filled(network: Network, tensors: Mapping[str, torch.Tensor], path: str | Path) -> Network:
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the tensors in {path} do not fit its config ({reason}); download or train it again") from None
    return network.eval()


def grow(
    tensors: Mapping[str, torch.Tensor], old: GeneratorConfig, new: GeneratorConfig, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Weights of a `new`, larger generator that begins with the images of the `old` one, upsampled.

    Blocks of the old network keep their tensors (mapping, affine layers and mean w included); higher blocks start fresh
    from `seed`, with toRGB weights of zero, so that the skip path alone shows. A block may also have more channels than it had: the new
    ones are fresh and nothing reads them yet (Net2Net, Chen 2016, without its copies). `tensors`: the old state_dict.
    ValueError unless `new` differs from `old` only by more, higher blocks and more channels.
    """
    wider = all(after >= before for after, before in zip(new.channels, old.channels, strict=False))
    if new.resolution < old.resolution or not wider:
        raise ValueError(f"{new.channels} at {new.resolution} px does not extend {old.channels} at {old.resolution} px")
    if replace(new, resolution=old.resolution, channels=old.channels) != old:
        raise ValueError(f"growing keeps the mapping network and only adds blocks and channels: {new} does not extend {old}")
    with torch.random.fork_rng(devices=[]):
        expected = set(Generator(old).state_dict())
        torch.manual_seed(seed)
        grown = Generator(new)
    if set(tensors) != expected:
        raise ValueError(f"the tensors are not those of the old network: {sorted(expected ^ set(tensors))[:4]} ...")
    state = {name: tensor.clone() for name, tensor in grown.state_dict().items()}
    for name, tensor in tensors.items():
        state[name] = widen(tensor.detach(), state[name])
    for layer in new.style_space.layers:
        if layer.kind == "torgb" and layer.resolution > old.resolution:
            state[f"synthesis.{layer.name}.weight"].zero_()
    return state


def widen(tensor: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """A tensor of a generator, or of its rig, for one with more channels: itself in the first places of every dimension, else `rest`.

    For convolutions (O, I, k, k) what came out before comes out again: the O outputs there were read none of the new inputs, and their
    weights make up for the equalised gain, which falls with the number of inputs.
    """
    wide = rest.clone()
    if tensor.ndim == 4:
        outputs, inputs = tensor.shape[:2]
        tensor = tensor * (rest.shape[1] / inputs) ** 0.5
        wide[:outputs, inputs:] = 0.0
    wide[tuple(slice(side) for side in tensor.shape)] = tensor
    return wide
