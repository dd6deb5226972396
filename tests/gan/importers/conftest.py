"""Small network files in the layouts of other programs, made here, and what those programs compute, written out."""

from __future__ import annotations

import argparse
import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

Tensors = dict[str, torch.Tensor]
RESOLUTIONS = (4, 8, 16)
CHANNELS = {4: 6, 8: 5, 16: 4}
Z_DIM, W_DIM, LAYERS = 8, 6, 3
FILTER = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
SOURCE = "import os; raise SystemExit('the source code in the file was run')"


class Random:
    """Normal numbers from a seed."""

    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, around: float = 0.0, scale: float = 1.0) -> torch.Tensor:
        return around + scale * torch.randn(*shape, generator=self.source)


# -- NVIDIA ---------------------------------------------------------------------------------------------------------


def nvidia_generator(classes: int = 0, width: int = W_DIM, lr_mul: float = 0.01) -> Tensors:
    """The tensors of an untrained StyleGAN2 under NVIDIA's names; biases and noise strengths are random, too."""
    random = Random(1)
    tensors: Tensors = {"mapping.w_avg": random(W_DIM)}
    inputs = Z_DIM
    if classes:
        tensors |= {"mapping.embed.weight": random(W_DIM, classes), "mapping.embed.bias": random(W_DIM)}
        inputs += W_DIM
    widths = [inputs, *[width] * (LAYERS - 1), W_DIM]
    for index, (before, after) in enumerate(pairwise(widths)):
        tensors[f"mapping.fc{index}.weight"] = random(after, before, scale=1 / lr_mul)
        tensors[f"mapping.fc{index}.bias"] = random(after, scale=0.1 / lr_mul)
    below = CHANNELS[4]
    for resolution in RESOLUTIONS:
        channels, block = CHANNELS[resolution], f"synthesis.b{resolution}"
        tensors[f"{block}.resample_filter"] = FILTER.clone()
        layers = {"conv0": (channels, below, 3), "conv1": (channels, channels, 3), "torgb": (3, channels, 1)}
        if resolution == 4:
            tensors[f"{block}.const"] = random(channels, 4, 4)
            del layers["conv0"]
        for name, (outputs, inputs, size) in layers.items():
            tensors[f"{block}.{name}.weight"] = random(outputs, inputs, size, size)
            tensors[f"{block}.{name}.bias"] = random(outputs, scale=0.3)
            tensors[f"{block}.{name}.affine.weight"] = random(inputs, W_DIM)
            tensors[f"{block}.{name}.affine.bias"] = random(inputs, around=1.0, scale=0.3)
            if size == 3:
                tensors[f"{block}.{name}.resample_filter"] = FILTER.clone()
                tensors[f"{block}.{name}.noise_const"] = random(resolution, resolution)
                tensors[f"{block}.{name}.noise_strength"] = random(1)[0]
        below = channels
    return tensors


def nvidia_discriminator(classes: int = 0) -> Tensors:
    """Likewise their residual discriminator."""
    random = Random(2)
    tensors: Tensors = {}
    for resolution in RESOLUTIONS[::-1]:
        channels, block = CHANNELS[resolution], f"b{resolution}"
        if resolution == 4:
            tensors |= {f"{block}.conv.weight": random(channels, channels + 1, 3, 3), f"{block}.conv.bias": random(channels)}
            tensors |= {f"{block}.fc.weight": random(channels, 16 * channels), f"{block}.fc.bias": random(channels)}
            features = channels if classes else 1
            tensors |= {f"{block}.out.weight": random(features, channels), f"{block}.out.bias": random(features)}
            continue
        below = CHANNELS[resolution // 2]
        if resolution == RESOLUTIONS[-1]:
            tensors |= {f"{block}.fromrgb.weight": random(channels, 3, 1, 1), f"{block}.fromrgb.bias": random(channels)}
        tensors |= {f"{block}.conv0.weight": random(channels, channels, 3, 3), f"{block}.conv0.bias": random(channels)}
        tensors |= {f"{block}.conv1.weight": random(below, channels, 3, 3), f"{block}.conv1.bias": random(below)}
        tensors |= {f"{block}.skip.weight": random(below, channels, 1, 1), f"{block}.resample_filter": FILTER.clone()}
    if classes:
        widths = [CHANNELS[4]] * 3
        tensors |= {"mapping.embed.weight": random(widths[0], classes), "mapping.embed.bias": random(widths[0])}
        for index in range(2):
            tensors[f"mapping.fc{index}.weight"] = random(widths[0], widths[0], scale=100.0)
            tensors[f"mapping.fc{index}.bias"] = random(widths[0], scale=10.0)
    return tensors


class EasyDict(dict):  # type: ignore[type-arg]
    """What dnnlib.util calls so."""


class Persistent:
    """Pickles as an object of torch_utils.persistence does: class name, source code, state."""

    def __init__(self, class_name: str, state: Mapping[str, object]) -> None:
        self.meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": class_name, "state": dict(state)}

    def __reduce__(self) -> tuple[object, ...]:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


def nvidia_module(
    tensors: Tensors, settings: Mapping[str, Mapping[str, object]], *, name: str = "Generator", new: bool = True, path: str = ""
) -> Persistent:
    """A tree of modules with these tensors; `new` layouts keep plain dictionaries, old ones ordered dictionaries."""
    group: Callable[[], dict[str, object]] = dict if new else OrderedDict
    parameters, buffers, children = group(), group(), group()
    own = {key.removeprefix(path): tensor for key, tensor in tensors.items() if key.startswith(path)}
    for key in own:
        child, dot, _ = key.partition(".")
        if dot and child not in children:
            children[child] = nvidia_module(tensors, settings, name="Layer", new=new, path=f"{path}{child}.")
        elif not dot and key in ("resample_filter", "noise_const", "w_avg"):
            buffers[key] = own[key]
        elif not dot:
            parameters[key] = torch.nn.Parameter(own[key], requires_grad=False)
    for key in settings:  # modules without tensors
        child, _, deeper = key.removeprefix(path).partition(".")
        if key.startswith(path) and key != path.removesuffix(".") and not deeper and child not in children:
            children[child] = nvidia_module({}, settings, name="Layer", new=new, path=f"{path}{child}.")
    state: dict[str, object] = {
        "training": False, "_parameters": parameters, "_buffers": buffers, "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(), "_modules": children, "_init_args": (), "_init_kwargs": EasyDict(channel_base=64),
    }  # fmt: skip
    plain = path.removesuffix(".")
    if "weight" in own and plain.split(".")[-1][:2] in ("fc", "em", "af", "ou"):  # a dense layer
        state["weight_gain"] = np.float64((0.01 if "mapping.fc" in path else 1.0) / np.sqrt(own["weight"].shape[1]))
        state["bias_gain"] = 0.01 if "mapping.fc" in path else 1
    return Persistent(name, state | dict(settings.get(plain, {})))


@pytest.fixture
def nvidia_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the names importable that NVIDIA's pickles use, so that the tests can write them."""
    modules = {name: ModuleType(name) for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")}

    def _reconstruct_persistent_obj(meta: object) -> object:
        raise AssertionError("called")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    modules["dnnlib.util"].EasyDict = EasyDict  # type: ignore[attr-defined]
    monkeypatch.setattr(EasyDict, "__module__", "dnnlib.util")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


Write = Callable[..., bytes]


@pytest.fixture
def nvidia_file(nvidia_names: None) -> Write:
    """A network snapshot as their training loops write it."""

    def write(
        classes: int = 0, *, new: bool = True, settings: Mapping[str, Mapping[str, object]] | None = None, **networks: Tensors
    ) -> bytes:
        g = networks.get("G", nvidia_generator(classes))
        d = networks.get("D", nvidia_discriminator(classes))
        g_ema = networks.get("G_ema", {name: 1.1 * tensor if name.endswith("bias") else tensor for name, tensor in g.items()})
        contents = {
            "training_set_kwargs": EasyDict(path="images.zip", use_labels=classes > 0),
            "G": nvidia_module(g, settings or {}, new=new),
            "D": nvidia_module(d, settings or {}, name="Discriminator", new=new),
            "G_ema": nvidia_module(g_ema, settings or {}, new=new),
            "augment_pipe": None,
        }
        return pickle.dumps(contents, protocol=4 if new else 3)

    return write


def fir(x: torch.Tensor, up: int, before: int, after: int, kernel: torch.Tensor = FILTER) -> torch.Tensor:
    """Insert zeros, pad, filter with gain up^2: upfirdn2d as its documentation has it."""
    size = len(kernel)
    batch, channels, height, width = x.shape
    y = x.new_zeros(batch, channels, height * up, width * up)
    y[:, :, ::up, ::up] = x
    y = F.pad(y, (before, after, before, after))
    return F.conv2d(y, (kernel.to(x) * up**2).flip(0, 1).expand(channels, 1, size, size), groups=channels)


def modulated(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, *, demodulate: bool, up: torch.Tensor | None = None
) -> torch.Tensor:
    """One sample after the other: its own weights, filter first, then the true convolution."""
    outputs = []
    for sample, scale in zip(x, style, strict=True):
        kernel = weight * scale[None, :, None, None]
        if demodulate:
            kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up is not None:
            before, after = 1 + (len(up) + 1) // 2, 1 + (len(up) - 2) // 2
            outputs.append(F.conv2d(fir(sample[None], 2, before, after, up), kernel.flip(2, 3)))
        else:
            outputs.append(F.conv2d(sample[None], kernel, padding=weight.shape[-1] // 2))
    return torch.cat(outputs)


def activated(x: torch.Tensor, bias: torch.Tensor, clamp: float | None) -> torch.Tensor:
    y = F.leaky_relu(x + bias[None, :, None, None], 0.2) * 2**0.5
    return y if clamp is None else y.clamp(-clamp, clamp)


def dense(x: torch.Tensor, tensors: Tensors, name: str, lr_mul: float = 1.0) -> torch.Tensor:
    weight = tensors[f"{name}.weight"].to(x)
    return x @ (weight * lr_mul / weight.shape[1] ** 0.5).t() + tensors[f"{name}.bias"].to(x) * lr_mul


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def mapped(tensors: Tensors, z: torch.Tensor | None, c: torch.Tensor | None, lr_mul: float = 0.01) -> torch.Tensor:
    parts = [] if z is None else [unit(z)]
    if c is not None:
        parts.append(unit(dense(c, tensors, "mapping.embed")))
    x = torch.cat(parts, dim=1)
    index = 0
    while f"mapping.fc{index}.weight" in tensors:
        x = F.leaky_relu(dense(x, tensors, f"mapping.fc{index}", lr_mul), 0.2) * 2**0.5
        index += 1
    return x


def nvidia_image(
    tensors: Tensors, z: torch.Tensor, c: torch.Tensor | None = None, psi: float = 1.0, noise: bool = True, clamp: float | None = None
) -> torch.Tensor:
    """What NVIDIA's generator makes of z, in the precision of z."""
    like = z
    kernel = tensors["synthesis.b4.resample_filter"]
    average = tensors["mapping.w_avg"].to(like)
    w = average + psi * (mapped(tensors, z, c) - average)
    x = tensors["synthesis.b4.const"].to(like).expand(len(z), -1, -1, -1)
    image: torch.Tensor | None = None
    resolution = 4
    while f"synthesis.b{resolution}.conv1.weight" in tensors:
        for name in ("conv0", "conv1"):
            layer = f"synthesis.b{resolution}.{name}"
            if f"{layer}.weight" in tensors:
                style = dense(w, tensors, f"{layer}.affine")
                x = modulated(x, tensors[f"{layer}.weight"].to(like), style, demodulate=True, up=kernel if name == "conv0" else None)
                if noise:
                    x = x + tensors[f"{layer}.noise_const"].to(like) * tensors[f"{layer}.noise_strength"].to(like)
                x = activated(x, tensors[f"{layer}.bias"].to(like), clamp)
        layer = f"synthesis.b{resolution}.torgb"
        weight = tensors[f"{layer}.weight"].to(like)
        style = dense(w, tensors, f"{layer}.affine") / weight.shape[1] ** 0.5
        rgb = modulated(x, weight, style, demodulate=False) + tensors[f"{layer}.bias"].to(like)[:, None, None]
        rgb = rgb if clamp is None else rgb.clamp(-clamp, clamp)
        image = rgb if image is None else fir(image, 2, (len(kernel) + 1) // 2, (len(kernel) - 2) // 2, kernel) + rgb
        resolution *= 2
    assert image is not None
    return image


def nvidia_logits(tensors: Tensors, image: torch.Tensor, c: torch.Tensor | None = None, clamp: float | None = None) -> torch.Tensor:
    """What NVIDIA's discriminator makes of images; one group of the batch for the statistic."""

    kernel = tensors["b8.resample_filter"]

    def convolution(x: torch.Tensor, name: str, down: bool = False) -> torch.Tensor:
        weight = tensors[f"{name}.weight"].to(x)
        weight = weight / weight[0].numel() ** 0.5
        if down:
            border = weight.shape[-1] // 2
            return F.conv2d(fir(x, 1, border + (len(kernel) - 1) // 2, border + (len(kernel) - 2) // 2, kernel), weight, stride=2)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    resolution = image.shape[-1]
    x = activated(convolution(image, f"b{resolution}.fromrgb"), tensors[f"b{resolution}.fromrgb.bias"].to(image), clamp)
    while resolution > 4:
        block = f"b{resolution}"
        shortcut = convolution(x, f"{block}.skip", True)
        x = activated(convolution(x, f"{block}.conv0"), tensors[f"{block}.conv0.bias"].to(x), clamp)
        x = activated(convolution(x, f"{block}.conv1", True), tensors[f"{block}.conv1.bias"].to(x), clamp)
        x = (x + shortcut) * 0.5**0.5
        resolution //= 2
    deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = activated(convolution(x, "b4.conv"), tensors["b4.conv.bias"].to(x), clamp)
    x = F.leaky_relu(dense(x.flatten(1), tensors, "b4.fc"), 0.2) * 2**0.5
    x = dense(x, tensors, "b4.out")
    if c is None:
        return x
    classes = mapped(tensors, None, c)
    return (x * classes).sum(dim=1, keepdim=True) / classes.shape[1] ** 0.5


# -- rosinality -----------------------------------------------------------------------------------------------------


def rosinality_generator() -> Tensors:
    """The state dictionary of an untrained generator of rosinality's, in its order."""
    random = Random(3)
    kernel = FILTER * 4
    tensors: Tensors = {}
    for index in range(1, LAYERS + 1):
        tensors |= {f"style.{index}.weight": random(W_DIM, W_DIM, scale=100.0), f"style.{index}.bias": random(W_DIM, scale=10.0)}
    tensors["input.input"] = random(1, CHANNELS[4], 4, 4)

    def layer(name: str, inputs: int, outputs: int, size: int, up: bool) -> None:
        if size == 1:
            tensors[f"{name}.bias"] = random(1, 3, 1, 1, scale=0.3)
            if up:
                tensors[f"{name}.upsample.kernel"] = kernel
        tensors[f"{name}.conv.weight"] = random(1, outputs, inputs, size, size)
        if size == 3 and up:
            tensors[f"{name}.conv.blur.kernel"] = kernel
        tensors[f"{name}.conv.modulation.weight"] = random(inputs, W_DIM)
        tensors[f"{name}.conv.modulation.bias"] = random(inputs, around=1.0, scale=0.3)
        if size == 3:
            tensors[f"{name}.noise.weight"] = random(1)
            tensors[f"{name}.activate.bias"] = random(outputs, scale=0.3)

    layer("conv1", CHANNELS[4], CHANNELS[4], 3, False)
    layer("to_rgb1", CHANNELS[4], 3, 1, False)
    for level, resolution in enumerate(RESOLUTIONS[1:]):
        layer(f"convs.{2 * level}", CHANNELS[resolution // 2], CHANNELS[resolution], 3, True)
        layer(f"convs.{2 * level + 1}", CHANNELS[resolution], CHANNELS[resolution], 3, False)
        layer(f"to_rgbs.{level}", CHANNELS[resolution], 3, 1, True)
    for index in range(2 * len(RESOLUTIONS) - 1):
        side = RESOLUTIONS[(index + 1) // 2]
        tensors[f"noises.noise_{index}"] = random(1, 1, side, side)
    return tensors


def rosinality_discriminator() -> Tensors:
    """The state dictionary of an untrained discriminator of rosinality's."""
    theirs = nvidia_discriminator()
    tensors: Tensors = {"convs.0.0.weight": theirs["b16.fromrgb.weight"], "convs.0.1.bias": theirs["b16.fromrgb.bias"]}
    for index, resolution in enumerate((16, 8), start=1):
        tensors[f"convs.{index}.conv1.0.weight"] = theirs[f"b{resolution}.conv0.weight"]
        tensors[f"convs.{index}.conv1.1.bias"] = theirs[f"b{resolution}.conv0.bias"]
        tensors[f"convs.{index}.conv2.0.kernel"] = FILTER
        tensors[f"convs.{index}.conv2.1.weight"] = theirs[f"b{resolution}.conv1.weight"]
        tensors[f"convs.{index}.conv2.2.bias"] = theirs[f"b{resolution}.conv1.bias"]
        tensors[f"convs.{index}.skip.0.kernel"] = FILTER
        tensors[f"convs.{index}.skip.1.weight"] = theirs[f"b{resolution}.skip.weight"]
    for ours, name in (("final_conv.0.weight", "conv.weight"), ("final_conv.1.bias", "conv.bias")):
        tensors[ours] = theirs[f"b4.{name}"]
    for index, name in enumerate(("fc", "out")):
        tensors |= {f"final_linear.{index}.{part}": theirs[f"b4.{name}.{part}"] for part in ("weight", "bias")}
    return tensors


def rosinality_image(tensors: Tensors, z: torch.Tensor, mean: torch.Tensor | None = None, psi: float = 1.0) -> torch.Tensor:
    """What rosinality's generator makes of z: transposed convolutions, then the blur."""
    x = unit(z)
    index = 1
    while f"style.{index}.weight" in tensors:
        x = F.leaky_relu(dense(x, tensors, f"style.{index}", 0.01), 0.2) * 2**0.5
        index += 1
    w = x if mean is None else mean.to(x) + psi * (x - mean.to(x))

    def convolution(x: torch.Tensor, name: str, demodulate: bool, up: bool) -> torch.Tensor:
        weight = tensors[f"{name}.conv.weight"].to(z)  # (1, O, I, k, k)
        style = dense(w, tensors, f"{name}.conv.modulation")
        kernels = weight * style[:, None, :, None, None] / weight[0, 0].numel() ** 0.5
        if demodulate:
            kernels = kernels * (kernels.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        if not up:
            return torch.cat([F.conv2d(s[None], k, padding=k.shape[-1] // 2) for s, k in zip(x, kernels, strict=True)])
        wide = torch.cat([F.conv_transpose2d(s[None], k.transpose(0, 1), stride=2) for s, k in zip(x, kernels, strict=True)])
        return fir(wide, 1, 1, 1) * 4

    def styled(x: torch.Tensor, name: str, noise: int, up: bool) -> torch.Tensor:
        y = convolution(x, name, True, up) + tensors[f"{name}.noise.weight"].to(z) * tensors[f"noises.noise_{noise}"].to(z)
        return activated(y, tensors[f"{name}.activate.bias"].to(z), None)

    x = styled(tensors["input.input"].to(z).expand(len(z), -1, -1, -1), "conv1", 0, False)
    image = convolution(x, "to_rgb1", False, False) + tensors["to_rgb1.bias"].to(z)
    level = 0
    while f"to_rgbs.{level}.conv.weight" in tensors:
        x = styled(x, f"convs.{2 * level}", 2 * level + 1, True)
        x = styled(x, f"convs.{2 * level + 1}", 2 * level + 2, False)
        rgb = convolution(x, f"to_rgbs.{level}", False, False) + tensors[f"to_rgbs.{level}.bias"].to(z)
        image = fir(image, 2, 2, 1) + rgb
        level += 1
    return image


def rosinality_file(contents: Mapping[str, object], *, archive: bool = True) -> bytes:
    """As torch.save writes it: an archive since torch 1.6, a stream before."""
    file = io.BytesIO()
    torch.save(dict(contents), file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def rosinality_checkpoint() -> dict[str, object]:
    """What rosinality's training saves, with the mean w of its converter."""
    g, d = rosinality_generator(), rosinality_discriminator()
    optimiser = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.002, "params": [0]}]}
    return {
        "g": {name: 0.9 * tensor if name.endswith("bias") else tensor for name, tensor in g.items()},
        "d": d, "g_ema": g, "g_optim": optimiser, "latent_avg": Random(4)(W_DIM),
        "args": argparse.Namespace(size=16, path="images"), "ada_aug_p": 0.0,
    }  # fmt: skip


class Files:
    """The functions above, for tests to use."""

    nvidia_generator = staticmethod(nvidia_generator)
    nvidia_discriminator = staticmethod(nvidia_discriminator)
    nvidia_image = staticmethod(nvidia_image)
    nvidia_logits = staticmethod(nvidia_logits)
    rosinality_image = staticmethod(rosinality_image)
    rosinality_file = staticmethod(rosinality_file)
    rosinality_checkpoint = staticmethod(rosinality_checkpoint)


@pytest.fixture(scope="session")
def files() -> type[Files]:
    return Files
