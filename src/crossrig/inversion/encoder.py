"""Picture -> W+ in one pass: the start of every inversion.

The encoder predicts one w and an offset for every layer, as e4e does (Tov et al. 2021, *Designing an encoder for
StyleGAN image manipulation*): codes near W edit well, so the offsets are regularised in training and start at zero. The
eyes are EfficientNet-Lite0 with its ImageNet weights, made trainable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossrig import checkpoint
from crossrig.config import from_mapping
from crossrig.errors import UserError
from crossrig.features import FeatureTaps, FlattenedTaps, FoldedConv
from crossrig.gan.generator import Generator

_TAPS = {4: 40, 10: 112, 15: 320}  # block of EfficientNet-Lite0 -> channels; strides 8, 16, 32
_KEPT = {4: 8, 10: 24, 15: 96}  # channels kept of each before flattening
_STRIDES = {4: 8, 10: 16, 15: 32}


@dataclass(frozen=True)
class EncoderConfig:
    """Architecture of an encoder.

    size: pictures are resampled to this, px, a multiple of 32. hidden: width of the layer that all outputs share. rank:
    width of the layer that each offset is made from. layers, w_dim: L and W of the generator it serves.
    """

    size: int = 128
    hidden: int = 768
    rank: int = 64
    layers: int = 11
    w_dim: int = 512

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 32:
            raise ValueError(f"size must be a multiple of 32, not {self.size}")


class Encoder(nn.Module):
    """Images (B, 3, H, W) in [-1, 1], framed as the renderer's camera frames a head -> w_plus (B, L, W)."""

    w_mean: Tensor
    w_scale: Tensor

    def __init__(self, config: EncoderConfig, pretrained: bool = True) -> None:
        super().__init__()
        self.config = config
        self.eyes = FeatureTaps(config.size, tuple(_TAPS))
        _make_trainable(self.eyes, keep=pretrained)
        sides = [config.size // stride for stride in _STRIDES.values()]
        self.flatten = FlattenedTaps(list(_TAPS.values()), list(_KEPT.values()), sides)
        self.hidden = nn.Linear(self.flatten.size, config.hidden)
        self.base = nn.Linear(config.hidden, config.w_dim)
        self.narrow = nn.Linear(config.hidden, config.layers * config.rank)
        self.offsets = nn.Parameter(torch.zeros(config.layers, config.rank, config.w_dim))
        nn.init.normal_(self.base.weight, std=0.01)
        nn.init.zeros_(self.base.bias)
        self.register_buffer("w_mean", torch.zeros(config.w_dim))
        self.register_buffer("w_scale", torch.ones(config.w_dim))

    @torch.no_grad()
    def set_population(self, w: Tensor) -> None:
        """Take mean and standard deviation from samples of w (N, W); outputs are relative to them."""
        self.w_mean.copy_(w.mean(0))
        self.w_scale.copy_(w.std(0).clamp(min=1e-4))

    def _describe(self, images: Tensor) -> Tensor:
        """(B, hidden)."""
        return F.elu(self.hidden(self.flatten(self.eyes(images))))

    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised base w (B, W) and per-layer offsets (B, L, W)."""
        hidden = self._describe(images)
        narrow = F.elu(self.narrow(hidden)).reshape(-1, self.config.layers, self.config.rank)  # (B, L, rank)
        return self.base(hidden), torch.einsum("blr,lrw->blw", narrow, self.offsets)

    def assemble(self, base: Tensor, offsets: Tensor) -> Tensor:
        """What ``parts`` returned, as w_plus (B, L, W)."""
        return self.w_mean + self.w_scale * (base[:, None] + offsets)

    def common_w(self, images: Tensor) -> Tensor:
        """The w (B, W) that all layers share, without the offsets."""
        return self.w_mean + self.w_scale * cast(Tensor, self.base(self._describe(images)))

    def forward(self, images: Tensor) -> Tensor:
        return self.assemble(*self.parts(images))


def encoder_for(generator: Generator, config: EncoderConfig | None = None, pretrained: bool = True) -> Encoder:
    """A fresh encoder that fits a generator; ``config`` gives the sizes that are free."""
    free = config or EncoderConfig()
    fitted = EncoderConfig(free.size, free.hidden, free.rank, generator.style_space.w_count, generator.config.w_dim)
    encoder = Encoder(fitted, pretrained)
    encoder.set_population(w_samples(generator))
    return encoder


@torch.no_grad()
def enlarged(encoder: Encoder, size: int) -> Encoder:
    """An encoder that looks at `size` px and begins with what another one has learned at fewer.

    The trunk is convolutional and stays as it is. What reads its maps place by place has its weights interpolated to more places and
    scaled down as these become more. The answers are near those of before, not equal: the trunk sees everything enlarged.
    """
    before = encoder.config
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    columns, start = [], 0
    for index, (tap, stride) in enumerate(_STRIDES.items()):
        kept, old, new = _KEPT[tap], before.size // stride, size // stride
        end = start + kept * old**2
        read = state["hidden.weight"][:, start:end].reshape(before.hidden, kept, old, old)
        columns.append((_spread(read, new) * (old / new) ** 2).flatten(1))
        for name in (f"flatten.norms.{index}.weight", f"flatten.norms.{index}.bias"):
            state[name] = _spread(state[name].reshape(1, kept, old, old), new).flatten()
        start = end
    state["hidden.weight"] = torch.cat(columns, dim=1)
    larger = Encoder(replace(before, size=size), pretrained=False)
    larger.load_state_dict(state)
    return larger


def _spread(maps: Tensor, side: int) -> Tensor:
    """(B, C, h, w) -> (B, C, side, side)."""
    return F.interpolate(maps, (side, side), mode="bilinear", align_corners=False)


@torch.no_grad()
def w_samples(generator: Generator, count: int = 4096) -> Tensor:
    """w (count, W) of fixed random z: the population that statistics of W are taken from."""
    z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    return generator.map(z.to(generator.w_avg.device))


def save_encoder(path: str | Path, encoder: Encoder, header: Mapping[str, Any]) -> None:
    """Write an encoder, in half precision; ``header`` must name the generator it serves ("generator": SHA-256)."""
    tensors = {name: tensor.half() for name, tensor in encoder.state_dict().items()}
    checkpoint.save(path, tensors, dict(header) | {"kind": "encoder", "config": asdict(encoder.config)})


def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder, frozen. Raises :class:`UserError` when the file is of another kind."""
    return encoder_of(*checkpoint.load(path), path)


def encoder_of(tensors: Mapping[str, Tensor], header: Mapping[str, Any], path: str | Path) -> Encoder:
    """The encoder of a checkpoint's tensors and header; ``path`` is named when they do not fit."""
    if header.get("kind") != "encoder":
        raise UserError(f"{path} holds a '{header.get('kind')}', not an encoder; give an encoder checkpoint.")
    encoder = Encoder(from_mapping(EncoderConfig, header.get("config") or {}, str(path)), pretrained=False)
    try:
        encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit the header's architecture; get the file again.") from error
    return encoder.eval().requires_grad_(False)


def _make_trainable(trunk: FeatureTaps, keep: bool) -> None:
    """Turn a trunk's frozen convolutions into parameters, with their weights or, unless ``keep``, zeros to be loaded."""
    for module in trunk.modules():
        if isinstance(module, FoldedConv):
            weight, bias = module.weight, module.bias
            del module.weight, module.bias
            module.weight = nn.Parameter(weight.clone() if keep else torch.zeros_like(weight))
            module.bias = nn.Parameter(bias.clone() if keep else torch.zeros_like(bias))
