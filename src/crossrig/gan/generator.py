"""The StyleGAN2 generator (Karras et al. 2020, configuration F with skip connections) in three explicit calls.

w = generator.map(z)            # (B, z_dim) -> (B, w_dim)
s = generator.affine(w)         # (B, w_dim) or (B, L, w_dim) -> style code (B, S), see stylespace.py
image = generator.synthesise(s) # (B, 3, R, R) in about [-1, 1]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from crossrig.gan import bands
from crossrig.gan.mapping import Mapping
from crossrig.gan.ops import (
    ACTIVATION_GAIN,
    FIR_TAPS,
    LEAKY_SLOPE,
    EqualLinear,
    check_taps,
    clip,
    convolve,
    demodulation,
    energy_of,
    laid_out,
    upsample,
)
from crossrig.gan.stylespace import CONSTANT_RESOLUTION, StyleLayer, StyleSpace
from crossrig.traced import Traced

NoiseMode = Literal["const", "random", "none"]


@dataclass(frozen=True)
class GeneratorConfig:
    """Architecture of a generator.

    resolution: px, a power of two from 4 up. channels: feature channels of the blocks at 4, 8, 16 ... px; entries
    beyond the resolution are dropped, so that one table serves a network that grows. The default keeps the
    multiply-adds of every level about equal, which suits a CPU. mapping_lr_mul: learning-rate multiplier of the
    mapping network. Raises ValueError or TypeError for values that make no network.

    The rest is for networks of others. c_dim: length of the class vector, 0 for a network without classes; embed_dim:
    what it is mapped to before it joins z (None: w_dim). mapping_dim: width between the mapping layers (None: w_dim).
    clamp: bound of the features of every layer and of its RGB, which half precision needs (None: none). taps: the
    low-pass filter for changes of resolution.
    """

    resolution: int = 128
    z_dim: int = 512
    w_dim: int = 512
    channels: tuple[int, ...] = (256, 256, 128, 64, 32, 16)
    mapping_layers: int = 4
    mapping_lr_mul: float = 0.01
    c_dim: int = 0
    embed_dim: int | None = None
    mapping_dim: int | None = None
    clamp: float | None = None
    taps: tuple[float, ...] = FIR_TAPS

    def __post_init__(self) -> None:
        if self.resolution < CONSTANT_RESOLUTION or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution must be a power of two, at least 4: got {self.resolution}")
        levels = self.resolution.bit_length() - CONSTANT_RESOLUTION.bit_length() + 1
        if len(self.channels) < levels:
            raise ValueError(f"{self.resolution} px needs {levels} channel counts, from 4 px up: got {self.channels}")
        if min(self.z_dim, self.w_dim, self.mapping_layers, *self.channels) < 1 or not self.mapping_lr_mul > 0:
            raise ValueError(f"dimensions, layers and multipliers must be positive: got {self}")
        if self.c_dim < 0 or min(self.embed_dim or 1, self.mapping_dim or 1) < 1:
            raise ValueError(f"the class vector and the widths of the mapping network must be positive: got {self}")
        if self.clamp is not None and not self.clamp > 0:
            raise ValueError(f"clamp must be positive or None: got {self.clamp}")
        object.__setattr__(self, "taps", check_taps(self.taps))
        # a list comes from JSON or TOML; equality and hashing want the tuple
        object.__setattr__(self, "channels", tuple(self.channels[:levels]))

    @property
    def style_space(self) -> StyleSpace:
        """The named layers of this architecture."""
        table = {CONSTANT_RESOLUTION << level: count for level, count in enumerate(self.channels)}
        return StyleSpace(self.resolution, table)


@dataclass(frozen=True)
class Prepared:
    """What a styled convolution computes with whatever the style."""

    weight: torch.Tensor  # (O, I, 3, 3), in the format of the features
    energy: torch.Tensor  # (O, I)
    bias: torch.Tensor  # (1, 1, 1, O): channels last, as the features lie in memory
    noise: torch.Tensor | None  # (1 or B, R, R, 1)
    whole: torch.Tensor | None = None  # (1 or B, O, 1 or R, 1 or R): what `offset` is, if it was added up before

    def offset(self) -> torch.Tensor:
        """Bias and noise, (1 or B, O, 1 or R, 1 or R), in the format and the order in memory of the features."""
        if self.whole is not None:
            return self.whole
        return (self.bias if self.noise is None else self.bias + self.noise).permute(0, 3, 1, 2)

    def of(self, sample: int) -> Prepared:
        """For one sample of a batch."""
        if self.noise is None or len(self.noise) == 1:
            return self
        return replace(self, noise=self.noise[sample : sample + 1], whole=None)

    def channels_last(self, up: bool) -> Prepared:
        """The same laid out as the convolution wants it, which would copy it at every call."""
        return replace(self, weight=laid_out(self.weight, up), whole=self.offset())


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; `up` doubles the resolution first."""

    noise_const: torch.Tensor

    def __init__(self, layer: StyleLayer, outputs: int, config: GeneratorConfig, *, up: bool) -> None:
        super().__init__()
        self.up, self.taps, self.clamp = up, config.taps, config.clamp
        self.weight = nn.Parameter(laid_out(torch.randn(outputs, layer.size, 3, 3), up))
        self.weight_gain = 1.0 / math.sqrt(layer.size * 9)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(layer.resolution, layer.resolution))
        self.affine = EqualLinear(config.w_dim, layer.size, bias=1.0)

    def prepare(self, dtype: torch.dtype, noise: NoiseMode, batch: int) -> Prepared:
        """For features of this format; random noise is another for each of a batch."""
        grain: torch.Tensor | None = None
        if noise == "const":
            grain = (self.noise_const * (self.noise_strength * ACTIVATION_GAIN)).to(dtype)[None, :, :, None]  # (1, R, R, 1)
        elif noise == "random":
            grain = torch.randn(batch, *self.noise_const.shape, 1, dtype=dtype, device=self.weight.device)
            grain = grain * (self.noise_strength * ACTIVATION_GAIN)  # (B, R, R, 1)
        bias = (self.bias * ACTIVATION_GAIN).to(dtype)[None, None, None]
        return Prepared(self.weight.to(dtype), energy_of(self.weight), bias, grain)

    def forward(self, x: torch.Tensor, style: torch.Tensor, prepared: Prepared) -> torch.Tensor:
        # The equalised gain goes into the style and the activation gain, positively homogeneous, into factor and bias:
        # the same numbers as modulated_conv + leaky_relu with fewer passes over the large tensors.
        style = style * self.weight_gain
        x = convolve(x * style.to(x.dtype)[:, :, None, None], prepared.weight, self.up, self.taps)
        factor = (demodulation(prepared.energy, style) * ACTIVATION_GAIN).to(x.dtype)  # (B, O)
        return clip(F.leaky_relu_(scaled_sum(prepared.offset(), x, factor[:, :, None, None]), LEAKY_SLOPE), self.clamp)


def scaled_sum(offset: torch.Tensor, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """offset + x * factor, for features x (B, C, H, W). torch's fused operation takes three times as long on few bfloat16 channels."""
    if x.dtype == torch.bfloat16 and offset.shape[1] < 32:
        return (x * factor).add_(offset)
    return torch.addcmul(offset, x, factor)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB, without demodulation."""

    def __init__(self, layer: StyleLayer, config: GeneratorConfig) -> None:
        super().__init__()
        self.clamp = config.clamp
        self.weight = nn.Parameter(torch.randn(3, layer.size, 1, 1))
        self.weight_gain = 1.0 / math.sqrt(layer.size)
        self.bias = nn.Parameter(torch.zeros(3))
        self.affine = EqualLinear(config.w_dim, layer.size, bias=1.0)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        # three outputs only: per-sample weights are smaller than a scaled copy of x
        weight = self.weight[:, :, 0, 0] * (style * self.weight_gain)[:, None, :]  # (B, 3, C)
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C), a view of channels-last x
        rgb = clip(pixels @ weight.transpose(1, 2).to(x.dtype) + self.bias, self.clamp)  # (B, HW, 3), in the format of the bias
        return rgb.reshape(x.shape[0], x.shape[2], x.shape[3], 3).permute(0, 3, 1, 2)


class SynthesisBlock(nn.Module):
    """One resolution: up-convolution (not at 4 px), convolution, toRGB added to the upsampled image so far."""

    def __init__(self, layers: dict[str, StyleLayer], outputs: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.taps = config.taps
        self.conv0 = StyledConv(layers["conv0"], outputs, config, up=True) if "conv0" in layers else None
        self.conv1 = StyledConv(layers["conv1"], outputs, config, up=False)
        self.torgb = ToRGB(layers["torgb"], config)

    def forward(
        self, x: torch.Tensor, image: torch.Tensor | None, styles: dict[str, torch.Tensor], prepare: Callable[[StyledConv], Prepared]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.conv0 is not None:
            x = self.conv0(x, styles["conv0"], prepare(self.conv0))
        x = self.conv1(x, styles["conv1"], prepare(self.conv1))
        rgb = self.torgb(x, styles["torgb"])
        return x, rgb if image is None else upsample(image, self.taps) + rgb


class Generator(nn.Module):
    """StyleGAN2: `map`, `affine`, `synthesise`; see the module docstring. `style_space` names the entries of s."""

    w_avg: torch.Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.style_space = config.style_space
        self.mapping = Mapping(
            config.z_dim,
            config.w_dim,
            config.mapping_layers,
            config.mapping_lr_mul,
            hidden=config.mapping_dim or config.w_dim,
            c_dim=config.c_dim,
            embed_dim=config.embed_dim or config.w_dim,
        )
        self.register_buffer("w_avg", torch.zeros(config.w_dim))
        self.const = nn.Parameter(torch.randn(config.channels[0], CONSTANT_RESOLUTION, CONSTANT_RESOLUTION))
        self.synthesis = nn.ModuleDict(
            {
                f"b{resolution}": SynthesisBlock(self._block_layers(resolution), outputs, config)
                for resolution, outputs in zip(self.style_space.block_resolutions, config.channels, strict=True)
            }
        )

    def _block_layers(self, resolution: int) -> dict[str, StyleLayer]:
        layers = (layer for layer in self.style_space.layers if layer.resolution == resolution)
        return {layer.name.partition(".")[2]: layer for layer in layers}

    def map(
        self, z: torch.Tensor, truncation: float | torch.Tensor = 1.0, c: torch.Tensor | None = None
    ) -> torch.Tensor:
        """z (B, z_dim) ~ N(0, 1) -> w (B, w_dim), moved towards the mean w (`truncation` 1: not at all, 0: onto it).

        c (B, c_dim): the class vectors, usually one-hot, of a network with classes; ValueError when they do not fit.
        """
        w: torch.Tensor = self.mapping(z, c)
        return w if isinstance(truncation, float) and truncation == 1.0 else self.w_avg.lerp(w, truncation)

    @torch.no_grad()
    def track_w(self, w: torch.Tensor, beta: float = 0.998) -> None:
        """Moves the running mean `w_avg` towards the mean of this batch of w (B, w_dim); training calls it."""
        self.w_avg.copy_(w.detach().mean(dim=0).lerp(self.w_avg, beta))

    def broadcast(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, w_dim) -> w_plus (B, L, w_dim), the same w for every layer (a view)."""
        return w[:, None, :].expand(-1, self.style_space.w_count, -1)

    def affine(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, w_dim) or w_plus (B, L, w_dim) -> style code s (B, S)."""
        w_plus = self.broadcast(w) if w.ndim == 2 else w
        expected = (self.style_space.w_count, self.config.w_dim)
        if w_plus.ndim != 3 or w_plus.shape[1:] != expected:
            raise ValueError(f"w must be (B, {expected[1]}) or (B, {expected[0]}, {expected[1]}): got {tuple(w.shape)}")
        return self.style_space.join(
            {layer.name: self._layer(layer.name).affine(w_plus[:, layer.w_index]) for layer in self.style_space.layers}
        )

    def synthesise(
        self, s: torch.Tensor, noise: NoiseMode = "const", dtype: torch.dtype | None = None, resolution: int | None = None
    ) -> torch.Tensor:
        """Style code s (B, S) -> images (B, 3, R, R), about [-1, 1], not clipped.

        noise: "const" adds each layer's fixed noise (deterministic), "random" fresh noise per sample, "none" no noise.
        dtype: of the features, that of the weights by default; bfloat16 is up to twice as fast where the CPU has it. Styles, demodulation
        and the sum of the RGB of all levels keep the format of the weights. resolution: px to stop at, of a block; the picture is what
        the network has so far, and what it would show with the finer toRGB layers silent.
        """
        if noise not in ("const", "random", "none"):
            raise ValueError(f"noise must be const, random or none: got {noise!r}")
        if resolution is not None and f"b{resolution}" not in self.synthesis:
            raise ValueError(f"no block ends at {resolution} px; there are {', '.join(self.synthesis)}")
        features = dtype or self.const.dtype
        return self._painted(s, features, resolution, lambda conv: conv.prepare(features, noise, s.shape[0]))[0]

    @torch.no_grad()
    def frozen(
        self, dtype: torch.dtype, resolution: int, coarse: int | None = None
    ) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """`synthesise` with constant noise and these, for the weights as they are now and without gradients; each layer prepared once.

        Codes (B, S) -> pictures, and what they were at `coarse` px, from where the first goes on alone. None: twice the same.
        For a few codes at a time, preparing takes longer than what is left; and Python's part of the rest is recorded (`traced`).
        """
        layers = [layer for layer in self.modules() if isinstance(layer, StyledConv)]
        table = {layer: layer.prepare(dtype, "const", 1).channels_last(layer.up) for layer in layers}
        return Traced(lambda s: self._painted(s, dtype, resolution, table.__getitem__, coarse))

    def _painted(
        self,
        s: torch.Tensor,
        features: torch.dtype,
        resolution: int | None,
        prepare: Callable[[StyledConv], Prepared],
        coarse: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        styles = self.style_space.split(s)
        rough: torch.Tensor | None = None
        x = self.const.to(features).expand(s.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image: torch.Tensor | None = None
        for name, block in self.synthesis.items():
            own = {key.partition(".")[2]: style for key, style in styles.items() if key.startswith(f"{name}.")}
            assert isinstance(block, SynthesisBlock)
            if image is not None and bands.pays(block, x):
                x, image = bands.paint(block, x, image, own, prepare, last=name in (f"b{resolution}", list(self.synthesis)[-1]))
            else:
                x, image = block(x, image, own, prepare)
            if name == f"b{coarse}":
                rough, x, image, styles = image, x[:1], image[:1], {key: style[:1] for key, style in styles.items()}
            if name == f"b{resolution}":
                break
        assert image is not None  # there is always a 4 px block
        return image, image if rough is None else rough

    def forward(
        self, z: torch.Tensor, truncation: float = 1.0, noise: NoiseMode = "const", c: torch.Tensor | None = None
    ) -> torch.Tensor:
        """z (B, z_dim) -> images (B, 3, R, R): map, affine, synthesise."""
        return self.synthesise(self.affine(self.map(z, truncation, c)), noise)

    def sample_z(self, seed: int) -> torch.Tensor:
        """z (1, z_dim) of the sample that is called by this number, on the CPU: the same everywhere."""
        return torch.randn(1, self.config.z_dim, generator=torch.Generator().manual_seed(seed))

    def latent_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that carry the latent space: mapping network and affine layers.

        Held still, they keep a fine-tuned child in the style space of its parent.
        """
        yield from self.mapping.parameters()
        for layer in self.style_space.layers:
            yield from self.affine_parameters(layer.name)

    def affine_parameters(self, name: str) -> Iterator[nn.Parameter]:
        """Weight and bias of what makes the style of a named layer; the first dimension of both is the entry of the style."""
        yield from self._layer(name).affine.parameters()

    def _layer(self, name: str) -> StyledConv | ToRGB:
        block, _, part = name.partition(".")
        layer = self.synthesis.get_submodule(block).get_submodule(part)
        assert isinstance(layer, StyledConv | ToRGB)
        return layer
