"""NVIDIA's StyleGAN2 in PyTorch: the pickles of the stylegan2-ada-pytorch and stylegan3 repositories.

A module is pickled as its class name, its source code (which the reader drops) and its attributes; the latter hold what
the tensors do not tell: learning-rate multipliers, clamps, filters. The two repositories name their tensors alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import torch

from crossrig.errors import UserError
from crossrig.gan.discriminator import Discriminator, DiscriminatorConfig
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.importers.network import (
    MOST_TENSORS,
    Foreign,
    assemble,
    block_resolutions,
    filter_taps,
    load_arrays,
    mean_w,
    rename,
    sizes_named,
)
from crossrig.gan.stylespace import CONSTANT_RESOLUTION
from crossrig.pickles.arrays import NumpyArray, StoredTensor
from crossrig.pickles.restricted import Record, printable

MAPPING_LR_MUL = 0.01
"""Learning-rate multiplier of the mapping network where a file does not say it."""


def network_of(module: Record) -> Foreign:
    """The tensors and attributes of a pickled module and its children; UserError when it is none."""
    arrays: dict[object, object] = {}
    settings: dict[str, Mapping[str, object]] = {}
    waiting: list[tuple[str, object]] = [("", module)]
    visits = 0  # a module that is shared between modules that are shared ... is visited once for each way to it
    while waiting:
        path, part = waiting.pop()
        state = part.state if isinstance(part, Record) else None
        visits += 1
        if not isinstance(state, dict) or visits > MOST_TENSORS:
            raise UserError(f"its network has a part {printable(path)} that is no module, or too many of them")
        settings[path] = {
            name: value for name, value in state.items() if value is None or isinstance(value, bool | int | float | str)
        }
        prefix = f"{path}." if path else ""
        for group in ("_parameters", "_buffers"):
            for name, value in _named(state, group):
                if isinstance(value, StoredTensor | NumpyArray):
                    arrays[prefix + name] = value
        waiting.extend((prefix + name, child) for name, child in _named(state, "_modules") if child is not None)
    return Foreign(load_arrays(arrays), settings)


def _named(state: Mapping[object, object], group: str) -> list[tuple[str, object]]:
    entries = state.get(group, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise UserError("its network has a damaged module")
    return list(entries.items())


def generator_config(network: Foreign) -> GeneratorConfig:
    """The architecture of NVIDIA's generator; UserError for another than StyleGAN2's with skip connections."""
    if "synthesis.b4.const" not in network.tensors:
        kind = "a StyleGAN3" if any(path.startswith("synthesis.L") for path in network.settings) else "another network"
        raise UserError(f"its generator is {kind}; only StyleGAN2 is supported")
    layers = r"synthesis\.b\d+\.(conv0|conv1|torgb)"
    network.require(r"synthesis\.b\d+", "architecture", "skip")
    network.require(layers, "activation", "lrelu")
    network.require(r"mapping\.fc\d+", "activation", "lrelu")
    resolutions = block_resolutions(network, r"synthesis\.b(\d{1,9})\.conv1\.weight")
    width, inputs = network.shape("mapping.fc0.weight", 2)
    _, w_dim = network.shape("synthesis.b4.conv1.affine.weight", 2)
    c_dim, embed_dim = _class_sizes(network)
    with sizes_named():
        return GeneratorConfig(
            resolution=resolutions[-1],
            z_dim=inputs - embed_dim,
            w_dim=w_dim,
            channels=tuple(network.shape(f"synthesis.b{resolution}.conv1.weight", 4)[0] for resolution in resolutions),
            mapping_layers=network.count("mapping.fc{}.weight"),
            mapping_lr_mul=_mapping_lr_mul(network, MAPPING_LR_MUL),
            c_dim=c_dim,
            embed_dim=embed_dim if embed_dim not in (0, w_dim) else None,
            mapping_dim=width if width != w_dim else None,
            clamp=network.number(layers, "conv_clamp", None),
            taps=filter_taps(network, r"synthesis\..*resample_filter"),
        )


def generator_of(network: Foreign) -> tuple[Generator, tuple[str, ...]]:
    """Our generator with the weights of NVIDIA's, and notes on what the file did not say.

    UserError for networks of another architecture.
    """
    config = generator_config(network)
    state = rename(
        network,
        {
            r"mapping\.w_avg": "w_avg",
            r"mapping\.embed\.(weight|bias)": r"mapping.embed.\1",
            r"mapping\.fc(\d+)\.(weight|bias)": r"mapping.layers.\1.\2",
            r"synthesis\.b4\.const": "const",
            r"synthesis\.b\d+\.(?:conv[01]|torgb)\.(?:weight|bias|noise_const|noise_strength|affine\.(?:weight|bias))": r"\g<0>",
            r".*\bresample_filter": "",
        },
    )
    for layer in config.style_space.layers:
        if layer.kind == "conv" and f"synthesis.{layer.name}.noise_strength" not in state:  # built with use_noise=False
            state[f"synthesis.{layer.name}.noise_strength"] = torch.zeros(())
            state[f"synthesis.{layer.name}.noise_const"] = torch.zeros(layer.resolution, layer.resolution)
    averaged = "w_avg" in state
    state.setdefault("w_avg", torch.zeros(config.w_dim))
    generator = assemble(lambda: Generator(config), state)
    if averaged:
        return generator, ()
    generator.w_avg.copy_(mean_w(generator))
    return generator, ("The file has no mean w for truncation: it was measured on 16384 samples.",)


def discriminator_of(network: Foreign) -> Discriminator:
    """Our discriminator with the weights of NVIDIA's; UserError when ours cannot express it."""
    convolutions = r"b\d+\.(fromrgb|conv0|conv1|conv)"
    network.require(r"b\d+", "architecture", "resnet")
    network.require(convolutions + r"|b4\.fc|mapping\.fc\d+", "activation", "lrelu")
    network.require(r"b4\.mbstd", "num_channels", 1)
    resolutions = block_resolutions(network, r"b(\d{1,9})\.(?:conv1|conv)\.weight")
    largest = resolutions[-1]
    channels = tuple(
        network.shape("b4.conv.weight" if resolution == CONSTANT_RESOLUTION else f"b{resolution}.conv0.weight", 4)[0]
        for resolution in resolutions
    )
    group = network.number(r"b4\.mbstd", "group_size", 4)
    with sizes_named():
        config = DiscriminatorConfig(
            resolution=largest,
            channels=channels,
            stddev_group=None if group is None else int(group),
            clamp=network.number(convolutions, "conv_clamp", None),
            taps=filter_taps(network, r".*resample_filter"),
        )
        c_dim, embed_dim = _class_sizes(network)
        if c_dim:
            features, _ = network.shape("b4.out.weight", 2)
            width, _ = network.shape("mapping.fc0.weight", 2)
            config = replace(
                config,
                c_dim=c_dim,
                cmap_dim=features,
                mapping_layers=network.count("mapping.fc{}.weight"),
                mapping_lr_mul=_mapping_lr_mul(network, MAPPING_LR_MUL),
                embed_dim=embed_dim if embed_dim != features else None,
                mapping_dim=width if width != features else None,
            )

    def block(match: re.Match[str]) -> str:
        """Ours are numbered from the image down."""
        part = {"conv0": "conv0.", "conv1": "", "skip": "skip."}[match[2]]
        return f"blocks.{int(math.log2(largest // int(match[1])))}.{part}{match[3]}"

    state = rename(
        network,
        {
            rf"b{largest}\.fromrgb\.(weight|bias)": r"from_rgb.\1",
            r"b4\.conv\.(weight|bias)": r"conv.\1",
            r"b4\.fc\.(weight|bias)": r"hidden.\1",
            r"b4\.out\.(weight|bias)": r"logit.\1",
            r"b(8|16|32|64|128|256|512|1024|2048|4096)\.(conv0|conv1|skip)\.(weight|bias)": block,
            r"mapping\.embed\.(weight|bias)": r"mapping.embed.\1",
            r"mapping\.fc(\d+)\.(weight|bias)": r"mapping.layers.\1.\2",
            r".*\bresample_filter": "",
        },
    )
    return assemble(lambda: Discriminator(config), state)


def _class_sizes(network: Foreign) -> tuple[int, int]:
    """Length of the class vector and of its embedding, 0 and 0 for networks without classes."""
    if "mapping.embed.weight" not in network.tensors:
        return 0, 0
    network.require(r"mapping\.embed", "activation", "linear")
    network.require(r"mapping\.embed", "bias_gain", 1)
    embed_dim, c_dim = network.shape("mapping.embed.weight", 2)
    return c_dim, embed_dim


def _mapping_lr_mul(network: Foreign, default: float) -> float:
    lr_mul = network.number(r"mapping\.fc\d+", "bias_gain", default)
    if lr_mul is None:
        raise UserError("its mapping layers do not say how they scale their biases")
    for path, attributes in network.settings.items():
        gain = attributes.get("weight_gain")
        if re.fullmatch(r"mapping\.fc\d+", path) and isinstance(gain, float):
            expected = lr_mul / math.sqrt(network.shape(f"{path}.weight", 2)[1])
            if not math.isclose(gain, expected, rel_tol=1e-4):
                raise UserError(f"its mapping layers scale their weights by {gain:g} instead of {expected:g}, which is not supported")
    return lr_mul
