"""Other people's StyleGAN2 files as networks of ours: which program wrote a file, and what of it to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crossrig.errors import UserError
from crossrig.gan.discriminator import Discriminator
from crossrig.gan.generator import Generator
from crossrig.gan.importers import nvidia, rosinality, tensorflow
from crossrig.gan.importers.network import load_arrays
from crossrig.pickles.files import open_foreign
from crossrig.pickles.restricted import Record, printable

Which = Literal["G_ema", "G"]
"""The averaged generator, which makes the better pictures, or the one that was trained last."""


@dataclass(frozen=True)
class Imported:
    """Networks from a file of another program."""

    layout: str  # whose file it is, in words
    generator: Generator
    discriminator: Discriminator | None
    notes: tuple[str, ...]  # sentences about what the file did not say or what could not be taken


def import_networks(path: str | Path, which: Which = "G_ema") -> Imported:
    """The generator in NVIDIA's or rosinality's file, and the discriminator if there is one that ours can express.

    Nothing in the file is executed. UserError names the file and what is wrong with it: no such file, damaged, asking
    for code, or no StyleGAN2.
    """
    with open_foreign(path) as value:
        return networks_in(value, which)


def networks_in(value: object, which: Which = "G_ema") -> Imported:
    """`import_networks` of a value that `open_foreign` gave."""
    if isinstance(value, tuple | list) and len(value) == 3 and all(_is_tensorflow(item) for item in value):
        value = dict(zip(("G", "D", "G_ema"), value, strict=True))
    if isinstance(value, Record) and value.kind != "argparse.Namespace":
        value = {"G_ema": value}
    if not isinstance(value, dict):
        raise UserError("it holds no networks; give a .pkl of NVIDIA's or a .pt of rosinality's")
    networks: dict[object, object] = value
    if any(isinstance(networks.get(name), Record) for name in ("G_ema", "G")):
        return _nvidia(networks, which)
    if "style.1.weight" in networks:
        networks = {"g_ema": networks, "g": networks}
    if any(isinstance(networks.get(name), dict) for name in ("g_ema", "g")):
        return _rosinality(networks, which)
    names = ", ".join(printable(str(name), 30) for name, _ in zip(networks, range(6), strict=False))
    raise UserError(f"it holds no generator under G_ema, G, g_ema or g, but {names or 'nothing'}")


def _is_tensorflow(item: object) -> bool:
    return isinstance(item, Record) and item.kind == "Network"


def _nvidia(value: Mapping[object, object], which: Which) -> Imported:
    module = value.get(which)
    if not isinstance(module, Record):
        raise UserError(f"it has no network {which}; choose the other one")
    read = tensorflow.network_of if _is_tensorflow(module) else nvidia.network_of
    layout = "NVIDIA StyleGAN2, TensorFlow" if _is_tensorflow(module) else "NVIDIA StyleGAN2, PyTorch"
    generator, notes = nvidia.generator_of(read(module))
    discriminator = None
    critic = value.get("D")
    if isinstance(critic, Record):
        try:
            discriminator = nvidia.discriminator_of((tensorflow.network_of if _is_tensorflow(critic) else nvidia.network_of)(critic))
        except UserError as error:
            notes = (*notes, f"The discriminator was left out: {error}.")
    return Imported(layout, generator, discriminator, notes)


def _rosinality(value: Mapping[object, object], which: Which) -> Imported:
    name = which.lower()
    state = value.get(name)
    if not isinstance(state, dict):
        raise UserError(f"it has no network {name}; choose the other one")
    mean = load_arrays({"latent_avg": value.get("latent_avg")}).get("latent_avg")
    generator, notes = rosinality.generator_of(rosinality.network_of(state), mean)
    discriminator = None
    critic = value.get("d")
    if isinstance(critic, dict):
        try:
            discriminator = rosinality.discriminator_of(rosinality.network_of(critic))
        except UserError as error:
            notes = (*notes, f"The discriminator was left out: {error}.")
    return Imported("rosinality StyleGAN2, PyTorch", generator, discriminator, notes)
