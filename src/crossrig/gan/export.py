"""Our generators for other programs: rosinality's PyTorch layout, and ONNX."""

from __future__ import annotations

import io
import json
import logging
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from crossrig.errors import UserError
from crossrig.files import replacing
from crossrig.gan.generator import Generator
from crossrig.gan.importers import rosinality

Start = Literal["z", "s"]
"""Where an ONNX network begins: z (with truncation, and the class if there are some), or the style code."""

OPSET = 18


def export_rosinality(path: str | Path, generator: Generator) -> tuple[str, ...]:
    """Writes {"g_ema", "latent_avg"} as rosinality's `generate.py` reads them; returns notes on what differs there.

    The file is one of torch.save with nothing but tensors in it: `torch.load(..., weights_only=True)` reads it, too.
    UserError when their generator cannot express ours.
    """
    config = generator.config
    contents = {"g_ema": rosinality.state_of(generator), "latent_avg": generator.w_avg.detach().cpu().clone()}
    notes = [f"Their generator is Generator({config.resolution}, {config.w_dim}, {config.mapping_layers}, channel_multiplier=M)."]
    multiplier = rosinality.channel_multiplier(config)
    if multiplier is None:
        notes.append("No M gives these channel counts: their `channels` table has to be edited for this file.")
    else:
        notes.append(f"M is {multiplier}.")
    if config.mapping_lr_mul != rosinality.MAPPING_LR_MUL:
        notes.append(f"The mapping network was scaled to their learning-rate multiplier of {rosinality.MAPPING_LR_MUL}.")
    if config.clamp is not None:
        notes.append(f"Their generator does not hold features within +-{config.clamp:g}: images that reach it will differ.")
    data = io.BytesIO()
    torch.save(contents, data)
    with replacing(path) as temporary:
        temporary.write_bytes(data.getbuffer())
    return tuple(notes)


class _FromZ(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: torch.Tensor, truncation: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        return self.generator.synthesise(self.generator.affine(self.generator.map(z, truncation, c)))


class _FromStyle(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, s: torch.Tensor) -> torch.Tensor:
        return self.generator.synthesise(s)


def export_onnx(path: str | Path, generator: Generator, start: Start = "z") -> None:
    """Writes an ONNX network of any batch size with the constant noise; its output is `image` (B, 3, R, R).

    Its inputs are z (B, z_dim), truncation (a scalar, 1 for none) and, if there are classes, c (B, c_dim); or, with
    start "s", the style code s (B, S). The metadata entry "crossrig" is a JSON object with the layers of the style
    code in their order: name and size. Raises UserError when the packages that write ONNX are missing.
    """
    try:
        import onnx  # noqa: F401  # needed by the exporter, which reports them less plainly
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"exporting to ONNX needs the package {error.name}: pip install 'crossrig[onnx]'") from None
    config, space = generator.config, generator.style_space
    batch = torch.export.Dim("batch")
    inputs: dict[str, torch.Tensor] = {}
    if start == "z":
        inputs = {"z": torch.zeros(2, config.z_dim), "truncation": torch.tensor(1.0)}
        if config.c_dim:
            inputs["c"] = torch.zeros(2, config.c_dim)
    else:
        inputs = {"s": torch.zeros(2, space.size)}
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it reports optional packages it does not need
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                (_FromZ(generator) if start == "z" else _FromStyle(generator)).eval(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=["image"],
                dynamic_shapes=tuple({0: batch} if tensor.ndim else None for tensor in inputs.values()),
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with the paths of this computer
    layers = [{"name": layer.name, "size": layer.size} for layer in space.layers]
    program.model.metadata_props["crossrig"] = json.dumps({"style_layers": layers, "resolution": config.resolution})
    with replacing(path) as temporary:
        temporary.write_bytes(program.model_proto.SerializeToString())
