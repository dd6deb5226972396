"""rosinality's StyleGAN2 in PyTorch: the state dictionaries of the stylegan2-pytorch repository."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from crossrig.errors import UserError
from crossrig.gan.discriminator import Discriminator, DiscriminatorConfig
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.importers.network import Foreign, assemble, filter_taps, load_arrays, mean_w, rename, sizes_named
from crossrig.gan.ops import FIR_TAPS, fir_kernel
from crossrig.gan.stylespace import CONSTANT_RESOLUTION, StyleLayer

MAPPING_LR_MUL = 0.01
"""Learning-rate multiplier of the mapping network: the repository's own, which its files do not hold."""


def network_of(state: Mapping[object, object]) -> Foreign:
    """A state dictionary as read from a file; UserError when an array is damaged."""
    return Foreign(load_arrays(state), {})


def our_name(convolution: int) -> str:
    """conv1 is 0 and `convs.i` is i + 1 there; "b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0" ... here."""
    level, part = divmod(convolution + 1, 2)
    return f"b{CONSTANT_RESOLUTION << level}.conv{part}"


def their_name(layer: StyleLayer) -> str:
    """The module of rosinality's generator that is our layer: "conv1", "convs.3", "to_rgb1", "to_rgbs.2"."""
    level = (layer.resolution // CONSTANT_RESOLUTION).bit_length() - 1
    if layer.kind == "torgb":
        return f"to_rgbs.{level - 1}" if level else "to_rgb1"
    index = 2 * level - (2 if layer.name.endswith("conv0") else 1)
    return f"convs.{index}" if level else "conv1"


def generator_of(network: Foreign, latent_avg: torch.Tensor | None) -> tuple[Generator, tuple[str, ...]]:
    """Our generator with the weights of rosinality's, and notes on what the file did not say.

    latent_avg: the mean w, of w_dim numbers; None: it is measured. UserError for other architectures.
    """
    blocks, spare = divmod(network.count("convs.{}.conv.weight"), 2)
    if spare or network.count("to_rgbs.{}.conv.weight") != blocks:
        raise UserError("its generator has convolutions and images that do not pair up, so it is no StyleGAN2")
    w_dim, z_dim = network.shape("style.1.weight", 2)
    first = network.shape("conv1.conv.weight", 5)[1]
    above = tuple(network.shape(f"convs.{2 * block + 1}.conv.weight", 5)[1] for block in range(blocks))
    with sizes_named():
        config = GeneratorConfig(
            resolution=CONSTANT_RESOLUTION << blocks,
            z_dim=z_dim,
            w_dim=w_dim,
            channels=(first, *above),
            mapping_layers=network.count("style.{}.weight", first=1),
            mapping_lr_mul=MAPPING_LR_MUL,
            taps=filter_taps(network, r".*\.kernel"),
        )

    def layer(name: str, tail: str) -> str:
        part = {"conv.weight": "weight", "noise.weight": "noise_strength", "activate.bias": "bias", "bias": "bias"}
        return f"synthesis.{name}.{part.get(tail) or tail.replace('conv.modulation', 'affine')}"

    def convolution(match: re.Match[str]) -> str:
        return layer(our_name(0 if match[1] is None else int(match[1]) + 1), match[2])

    def image(match: re.Match[str]) -> str:
        return layer(f"b{CONSTANT_RESOLUTION << (0 if match[1] is None else int(match[1]) + 1)}.torgb", match[2])

    state = rename(
        network,
        {
            r"style\.(\d{1,4})\.(weight|bias)": lambda match: f"mapping.layers.{int(match[1]) - 1}.{match[2]}",
            r"input\.input": "const",
            r"(?:conv1|convs\.(\d{1,3}))\.(conv\.weight|noise\.weight|activate\.bias|conv\.modulation\.(?:weight|bias))": convolution,
            r"(?:to_rgb1|to_rgbs\.(\d{1,3}))\.(conv\.weight|bias|conv\.modulation\.(?:weight|bias))": image,
            r"noises\.noise_(\d{1,3})": lambda match: f"synthesis.{our_name(int(match[1]))}.noise_const",
            r".*\.kernel": "",
        },
    )
    notes = []
    if not network.count("noises.noise_{}"):
        source = torch.Generator().manual_seed(0)
        for item in config.style_space.layers:
            if item.kind == "conv":
                noise = torch.randn(item.resolution, item.resolution, generator=source)
                state[f"synthesis.{item.name}.noise_const"] = noise
        notes.append("The file has no constant noise: it was drawn from a fixed seed.")
    state["w_avg"] = torch.zeros(w_dim) if latent_avg is None else latent_avg
    generator = assemble(lambda: Generator(config), state)
    if latent_avg is None:
        generator.w_avg.copy_(mean_w(generator))
        notes.append("The file has no mean w for truncation: it was measured on 16384 samples.")
    return generator, tuple(notes)


def channel_multiplier(config: GeneratorConfig) -> int | None:
    """The channel multiplier of rosinality's generator, 1 or 2, that gives these channel counts; None: there is none."""
    for multiplier in (2, 1):
        table = (512, 512, 512, 512, *(count * multiplier for count in (256, 128, 64, 32, 16)))
        if config.channels == tuple(count for count, _ in zip(table, config.channels, strict=False)):
            return multiplier
    return None


def state_of(generator: Generator) -> dict[str, torch.Tensor]:
    """The state dictionary of rosinality's generator with the weights of ours, the inverse of `generator_of`.

    A mapping network of another learning-rate multiplier is scaled to theirs, which rounds; all else is kept bit for bit.
    UserError when theirs cannot express the network. Their generator has no clamp: it is left out.
    """
    config = generator.config
    if config.c_dim or {config.z_dim, config.mapping_dim or config.w_dim} != {config.w_dim}:
        raise UserError("rosinality's layout has no classes and one width for z, w and the layers between; export to ONNX instead")
    if len(config.taps) != len(FIR_TAPS):
        taps = len(config.taps)
        raise UserError(f"rosinality's layout has filters of {len(FIR_TAPS)} taps, this network of {taps}; export to ONNX instead")
    ours = generator.state_dict()
    scale = config.mapping_lr_mul / MAPPING_LR_MUL
    kernel = fir_kernel(generator.w_avg, gain=4.0, taps=config.taps)
    state: dict[str, torch.Tensor] = {}
    for index in range(config.mapping_layers):
        for part in ("weight", "bias"):
            tensor = ours[f"mapping.layers.{index}.{part}"]
            state[f"style.{index + 1}.{part}"] = tensor if scale == 1.0 else tensor * scale
    state["input.input"] = ours["const"][None]
    noises: dict[str, torch.Tensor] = {}
    for layer in config.style_space.layers:
        name, own = their_name(layer), f"synthesis.{layer.name}"
        state[f"{name}.conv.weight"] = ours[f"{own}.weight"][None]
        for part in ("weight", "bias"):
            state[f"{name}.conv.modulation.{part}"] = ours[f"{own}.affine.{part}"]
        if layer.kind == "conv":
            if layer.name.endswith("conv0"):
                state[f"{name}.conv.blur.kernel"] = kernel
            state[f"{name}.noise.weight"] = ours[f"{own}.noise_strength"].reshape(1)
            state[f"{name}.activate.bias"] = ours[f"{own}.bias"]
            noises[f"noises.noise_{len(noises)}"] = ours[f"{own}.noise_const"][None, None]
        else:
            if layer.w_index > 1:
                state[f"{name}.upsample.kernel"] = kernel
            state[f"{name}.bias"] = ours[f"{own}.bias"].reshape(1, -1, 1, 1)
    return {name: tensor.detach().cpu().clone() for name, tensor in (state | noises).items()}


def discriminator_of(network: Foreign) -> Discriminator:
    """Our discriminator with the weights of rosinality's; UserError when it is none."""
    blocks = network.count("convs.{}.conv1.0.weight", first=1)
    image = network.shape("convs.0.0.weight", 4)[0]
    below = tuple(network.shape(f"convs.{block + 1}.conv2.1.weight", 4)[0] for block in range(blocks))
    with sizes_named():
        config = DiscriminatorConfig(
            resolution=CONSTANT_RESOLUTION << blocks,
            channels=(image, *below)[::-1],
            taps=filter_taps(network, r".*\.kernel"),
        )

    def block(match: re.Match[str]) -> str:
        part = {
            "conv1.0.weight": "conv0.weight", "conv1.1.bias": "conv0.bias", "conv2.1.weight": "weight", "conv2.2.bias": "bias",
            "skip.1.weight": "skip.weight",
        }[match[2]]  # fmt: skip
        return f"blocks.{int(match[1]) - 1}.{part}"

    state = rename(
        network,
        {
            r"convs\.0\.0\.weight": "from_rgb.weight",
            r"convs\.0\.1\.bias": "from_rgb.bias",
            r"convs\.(\d{1,3})\.(conv1\.0\.weight|conv1\.1\.bias|conv2\.1\.weight|conv2\.2\.bias|skip\.1\.weight)": block,
            r"final_conv\.0\.weight": "conv.weight",
            r"final_conv\.1\.bias": "conv.bias",
            r"final_linear\.0\.(weight|bias)": r"hidden.\1",
            r"final_linear\.1\.(weight|bias)": r"logit.\1",
            r".*\.kernel": "",
        },
    )
    return assemble(lambda: Discriminator(config), state)
