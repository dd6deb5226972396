"""Pictures to face parameters: the reconstruction network, and the judge that looks over its shoulder.

Both are one regressor with different eyes. The reconstruction network labels generated pictures for T and M; the judge has another
architecture, other weights and other training people, and is used for evaluation only, so that M is never graded by the network it was
trained through. Head: the spatial features are flattened rather than averaged, because where things are is the answer here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossrig.face3d.params import PACKED_SIZE, FaceParams
from crossrig.features import STAGES, STEM_CHANNELS, FeatureTaps, FoldedConv, resize

# Blocks of EfficientNet-Lite0 after which features are read: the last at stride 16 and the last of all (stride 32).
_LITE0_TAPS = (10, 15)
_LITE0_STRIDES = (16, 32)
_RESNET_STRIDES = (8, 16)


@dataclass(frozen=True)
class ReconstructionConfig:
    """Architecture of a regressor.

    network  "lite0": EfficientNet-Lite0; "resnet": a plain residual network
    size     pictures are resampled to this many pixels a side; a multiple of 32 for lite0, of 16 for resnet
    width    channels of the first stage of the resnet (ignored by lite0)
    mixed    channels kept of each feature map before flattening
    hidden   width of the hidden layer of the head
    """

    network: Literal["lite0", "resnet"] = "lite0"
    size: int = 96
    width: int = 32
    mixed: int = 128
    hidden: int = 768

    def __post_init__(self) -> None:
        multiple = 32 if self.network == "lite0" else 16
        if self.size < multiple or self.size % multiple:
            raise ValueError(f"size must be a multiple of {multiple} for {self.network}, not {self.size}")


#: The judge: other eyes, other resolution.
JUDGE = ReconstructionConfig(network="resnet", size=80, width=32, mixed=96, hidden=512)


def blank_tensors() -> dict[str, Tensor]:
    """Tensors of the names and shapes of EfficientNet-Lite0, without its ImageNet weights: a trunk to load trained weights into."""
    tensors: dict[str, Tensor] = {}

    def add(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        tensors[f"{conv}.weight"] = torch.randn(shape) * (2.0 / (shape[1] * shape[2] * shape[3])) ** 0.5
        tensors[f"{norm}.weight"] = tensors[f"{norm}.running_var"] = torch.ones(shape[0])
        tensors[f"{norm}.bias"] = tensors[f"{norm}.running_mean"] = torch.zeros(shape[0])

    add("_conv_stem", "_bn0", (STEM_CHANNELS, 3, 3, 3))
    inputs, index = STEM_CHANNELS, 0
    for count, kernel, _, expansion, outputs in STAGES:
        for _ in range(count):
            inner = inputs * expansion
            if expansion > 1:
                add(f"_blocks.{index}._expand_conv", f"_blocks.{index}._bn0", (inner, inputs, 1, 1))
            add(f"_blocks.{index}._depthwise_conv", f"_blocks.{index}._bn1", (inner, 1, kernel, kernel))
            add(f"_blocks.{index}._project_conv", f"_blocks.{index}._bn2", (outputs, inner, 1, 1))
            inputs, index = outputs, index + 1
    return tensors


def _lite0(size: int, pretrained: bool) -> FeatureTaps:
    """EfficientNet-Lite0 whose weights train. Batch normalisation stays folded in: fine-tuning is short and the pictures of use
    (generated faces, photographs) differ from the training portraits, so nothing may depend on the statistics of a batch."""
    trunk = FeatureTaps(size, _LITE0_TAPS, None if pretrained else blank_tensors())
    for module in trunk.modules():
        if isinstance(module, FoldedConv):
            for name, buffer in list(module.named_buffers(recurse=False)):
                delattr(module, name)
                module.register_parameter(name, nn.Parameter(buffer))
    return trunk


class _Residual(nn.Module):
    """Two 3x3 convolutions with group normalisation around a skip (He 2016, figure 5 left)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.first_norm, self.second_norm = nn.GroupNorm(8, outputs), nn.GroupNorm(8, outputs)
        self.skip = nn.Identity() if inputs == outputs and stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.skip(x))


class _PlainResNet(nn.Module):
    """Stem at stride 2, stages at strides 2, 4, 8, 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (width, width * 2, width * 4, width * 6)
        self.stem = nn.Conv2d(3, width, 5, 2, 2)
        self.stages = nn.ModuleList()
        inputs = width
        for index, outputs in enumerate(widths):
            stride = 1 if index == 0 else 2
            blocks = [_Residual(inputs, outputs, stride)] + ([_Residual(outputs, outputs, 1)] if index else [])
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.channels = (widths[2], widths[3])

    def forward(self, images: Tensor) -> list[Tensor]:
        features = F.relu(self.stem(images))
        taps = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index >= 2:
                taps.append(features)
        return taps


class Reconstruction(nn.Module):
    """Pictures (B,3,H,W) in [-1,1], framed as the renderer's camera frames a head -> packed FaceParams (B,213).

    The labels' mean and standard deviation (`set_population`) are part of the weights: the network predicts standardised values.
    """

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self, config: ReconstructionConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.eyes: FeatureTaps | _PlainResNet
        if config.network == "lite0":
            self.eyes, strides = _lite0(config.size, pretrained), _LITE0_STRIDES
        else:
            self.eyes, strides = _PlainResNet(config.width), _RESNET_STRIDES
        channels = self.eyes.channels
        # The finer map has four times the positions: a quarter of the channels gives both the same say.
        mixed = (max(config.mixed // 4, 1), config.mixed)
        self.mixers = nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for inputs, outputs in zip(channels, mixed, strict=True))
        flat = sum(count * (config.size // stride) ** 2 for count, stride in zip(mixed, strides, strict=True))
        self.norm = nn.LayerNorm(flat)
        self.hidden = nn.Linear(flat, config.hidden)
        self.out = nn.Linear(config.hidden, PACKED_SIZE)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("label_mean", torch.zeros(PACKED_SIZE))
        self.register_buffer("label_scale", torch.ones(PACKED_SIZE))

    def set_population(self, labels: Tensor) -> None:
        """Take mean and standard deviation from labels (N,213). Values that never vary keep a tiny scale, so stay near their mean."""
        self.label_mean.copy_(labels.mean(0))
        self.label_scale.copy_(labels.std(0).clamp(min=1e-4))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.eyes(resize(images, self.config.size).contiguous(memory_format=torch.channels_last))
        flat = [mixer(features).flatten(1) for mixer, features in zip(self.mixers, maps, strict=True)]
        hidden = F.elu(self.hidden(self.norm(torch.cat(flat, dim=1))))
        return cast(Tensor, self.label_mean + self.label_scale * self.out(hidden))

    @torch.no_grad()
    def predict(self, images: Tensor, batch: int = 64) -> FaceParams:
        """Parameters of pictures (B,3,H,W) in [-1,1], in batches, without gradients; expression weights are clamped to [0,1]."""
        parts = [self(part) for part in torch.split(images, batch)]
        params = FaceParams.unpack(torch.cat(parts))
        return params.replace(expression=params.expression.clamp(0.0, 1.0))
