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

from crossrig.face3d.blocks import FaceSpace
from crossrig.face3d.params import PACKED_SIZE, FaceParams
from crossrig.features import STAGES, STEM_CHANNELS, FeatureTaps, FlattenedTaps, FoldedConv, resize

_LITE0_STRIDES = {2: 4, 4: 8, 10: 16, 15: 32}  # block of EfficientNet-Lite0, the last of its stride -> stride
_RESNET_STRIDES = (8, 16)


@dataclass(frozen=True)
class ReconstructionConfig:
    """Architecture of a regressor.

    network  "lite0": EfficientNet-Lite0; "resnet": a plain residual network
    size     pictures are resampled to this many pixels a side; a multiple of 32 for lite0, of 16 for resnet
    width    channels of the first stage of the resnet (ignored by lite0)
    taps     blocks of lite0 after which features are read (ignored by the resnet); the finer ones see lips and lids
    mixed    channels kept of the coarsest feature map before flattening; a quarter for every finer one
    hidden   width of the hidden layer of the head
    shift    `predict` looks three times: at the picture, and shifted by this many pixels up and left, down and right; 0: once
    """

    network: Literal["lite0", "resnet"] = "lite0"
    size: int = 96
    width: int = 32
    taps: tuple[int, ...] = (4, 10, 15)
    mixed: int = 128
    hidden: int = 768
    shift: int = 0

    def __post_init__(self) -> None:
        multiple = 32 if self.network == "lite0" else 16
        if self.size < multiple or self.size % multiple:
            raise ValueError(f"size must be a multiple of {multiple} for {self.network}, not {self.size}")
        if not 0 <= self.shift < self.size // 2:
            raise ValueError(f"shift must be 0 or more and below half of the size {self.size}, not {self.shift}")
        object.__setattr__(self, "taps", tuple(self.taps))  # a list comes from JSON; equality wants the tuple
        if not self.taps or list(self.taps) != sorted(set(self.taps) & set(_LITE0_STRIDES)):
            raise ValueError(f"taps must be some of {tuple(_LITE0_STRIDES)} in rising order, not {self.taps}")


#: The judge: other eyes, other resolution.
JUDGE = ReconstructionConfig(network="resnet", size=80, width=32, mixed=96, hidden=512, shift=2)


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


def _lite0(size: int, taps: tuple[int, ...], pretrained: bool) -> FeatureTaps:
    """EfficientNet-Lite0 whose weights train. Batch normalisation stays folded in: fine-tuning is short and the pictures of use
    (generated faces, photographs) differ from the training portraits, so nothing may depend on the statistics of a batch."""
    trunk = FeatureTaps(size, taps, None if pretrained else blank_tensors())
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
    `space`: whose parameters they are.
    """

    label_mean: Tensor
    label_scale: Tensor
    mirror: Tensor

    def __init__(self, config: ReconstructionConfig, pretrained: bool = False, space: FaceSpace | None = None) -> None:
        super().__init__()
        self.config = config
        self.space = space or FaceSpace()
        self.eyes: FeatureTaps | _PlainResNet
        if config.network == "lite0":
            self.eyes = _lite0(config.size, config.taps, pretrained)
            strides = tuple(_LITE0_STRIDES[tap] for tap in config.taps)
        else:
            self.eyes, strides = _PlainResNet(config.width), _RESNET_STRIDES
        channels = self.eyes.channels
        # A finer map has four times the positions: a quarter of the channels gives all the same say.
        mixed = tuple(max(config.mixed // 4**level, 1) for level in reversed(range(len(channels))))
        self.flatten = FlattenedTaps(channels, mixed, [config.size // stride for stride in strides])
        self.hidden = nn.Linear(self.flatten.size, config.hidden)
        self.out = nn.Linear(config.hidden, PACKED_SIZE)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("label_mean", torch.zeros(PACKED_SIZE))
        self.register_buffer("label_scale", torch.ones(PACKED_SIZE))
        self.register_buffer("mirror", torch.zeros(PACKED_SIZE, PACKED_SIZE))

    def set_mirror(self, matrix: Tensor) -> None:
        """Let `predict` look at the mirrored picture too: `face3d.mirror.mirror_matrix`, part of the weights from now on."""
        self.mirror.copy_(matrix)

    def set_population(self, labels: Tensor) -> None:
        """Take mean and standard deviation from labels (N,213). Values that never vary keep a tiny scale, so stay near their mean."""
        self.label_mean.copy_(labels.mean(0))
        self.label_scale.copy_(labels.std(0).clamp(min=1e-4))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.eyes(resize(images, self.config.size).contiguous(memory_format=torch.channels_last))
        hidden = F.elu(self.hidden(self.flatten(maps)))
        return cast(Tensor, self.label_mean + self.label_scale * self.out(hidden))

    @torch.no_grad()
    def predict(self, images: Tensor, batch: int = 64) -> FaceParams:
        """Parameters of pictures (B,3,H,W) in [-1,1], in batches, without gradients; weights of expression units are clamped to
        [0,1].

        Where the network knows how (`set_mirror`), the mean of what it reads in the picture and in its mirror image, and where it is asked
        to (`ReconstructionConfig.shift`) in shifted copies of both. The shifts are opposite: what they do to the translation averages out.
        """
        params = FaceParams.unpack(torch.cat([self._read(part) for part in torch.split(images, batch)]))
        return params.replace(expression=params.expression.clamp(0.0, 1.0)) if self.space.expression == "units" else params

    def _read(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,213): the mean over all views."""
        images = resize(images, self.config.size)
        read = [self(view) for view in self._views(images)]
        if self.mirror.any():
            read += [self(view) @ self.mirror for view in self._views(images.flip(3))]
        return torch.stack(read).mean(0)

    def _views(self, images: Tensor) -> list[Tensor]:
        """(B,3,size,size) -> the pictures, and where the network is asked to look at them two shifted copies, their edges repeated."""
        by, size = self.config.shift, self.config.size
        if not by:
            return [images]
        wide = F.pad(images, (by, by, by, by), mode="replicate")
        return [wide[..., start : start + size, start : start + size] for start in (by, 0, 2 * by)]
