"""NVIDIA's StyleGAN2 in TensorFlow (repositories stylegan2 and stylegan2-ada): the same network in other arrays.

A pickled network holds its variables as (name, array) pairs, its sub-networks, and the arguments it was built with. It
is brought into the layout of NVIDIA's PyTorch networks, as their own conversion does: dense weights are (in, out) there,
convolutions (k, k, in, out), the kernels of up-convolutions are flipped, and the bias of an affine layer is less by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch

from crossrig.errors import UserError
from crossrig.gan.importers.network import MOST_TENSORS, Foreign, load_arrays
from crossrig.gan.stylespace import CONSTANT_RESOLUTION
from crossrig.pickles.restricted import Record, printable

Change = Callable[[torch.Tensor], torch.Tensor]


def network_of(record: Record) -> Foreign:
    """A pickled TensorFlow network as if it were NVIDIA's in PyTorch; UserError when it is no StyleGAN2."""
    arrays, built_with = _variables(record)
    tensors = {}
    for name, tensor in load_arrays(arrays).items():
        renamed = _renamed(name, tensor)
        if renamed is not None:
            tensors[renamed[0]] = renamed[1]
    return Foreign(tensors, _settings(built_with, tensors))


def _variables(record: Record) -> tuple[dict[object, object], dict[str, object]]:
    """Arrays by path, and the arguments of the outermost network."""
    arrays: dict[object, object] = {}
    waiting: list[tuple[str, object]] = [("", record)]
    visits = 0
    while waiting:
        prefix, part = waiting.pop()
        visits += 1
        state = part.state if isinstance(part, Record) and part.kind == "Network" else None
        if not isinstance(state, dict) or visits > MOST_TENSORS:
            raise UserError("its network has a part that is no TensorFlow network")
        variables, components = state.get("variables"), state.get("components")
        if not isinstance(variables, list) or not isinstance(components, dict):
            raise UserError("its TensorFlow network is damaged, or older than StyleGAN2")
        for entry in variables:
            if not isinstance(entry, tuple | list) or len(entry) != 2 or not isinstance(entry[0], str):
                raise UserError("its TensorFlow network is damaged")
            arrays[prefix + entry[0]] = entry[1]
        waiting.extend((f"{prefix}{name}/", part) for name, part in components.items())
    outer = record.state if isinstance(record.state, dict) else {}
    arguments, built_by = outer.get("static_kwargs"), outer.get("build_func_name")
    built_with = {name: value for name, value in arguments.items() if isinstance(name, str)} if isinstance(arguments, dict) else {}
    return arrays, {**built_with, "build_func_name": built_by}


def _dense(weight: torch.Tensor) -> torch.Tensor:
    return weight.t()


def _convolution(weight: torch.Tensor) -> torch.Tensor:
    return weight.permute(3, 2, 0, 1)


def _up_convolution(weight: torch.Tensor) -> torch.Tensor:
    return weight.flip(0, 1).permute(3, 2, 0, 1)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _plus_one(bias: torch.Tensor) -> torch.Tensor:
    return bias + 1.0


def _noise_layer(match: re.Match[str]) -> str:
    level, part = divmod(int(match[1]) + 1, 2)
    return f"synthesis.b{CONSTANT_RESOLUTION << level}.conv{part}.noise_const"


_LAYER = r"synthesis/(\d{1,5})x\1/"
_BLOCK = r"(\d{1,5})x\1/"
_TABLE: tuple[tuple[str, str | Callable[[re.Match[str]], str], Change], ...] = (
    (r"dlatent_avg", "mapping.w_avg", _same),
    (r"(?:mapping/)?LabelEmbed/weight", "mapping.embed.weight", _dense),
    (r"(?:mapping/)?LabelEmbed/bias", "mapping.embed.bias", _same),
    (r"(?:mapping/Dense|Mapping)(\d{1,3})/weight", r"mapping.fc\1.weight", _dense),
    (r"(?:mapping/Dense|Mapping)(\d{1,3})/bias", r"mapping.fc\1.bias", _same),
    (r"synthesis/4x4/Const/const", "synthesis.b4.const", _same),
    (r"synthesis/noise(\d{1,3})", _noise_layer, _same),
    (_LAYER + r"Conv1?/weight", r"synthesis.b\1.conv1.weight", _convolution),
    (_LAYER + r"Conv0_up/weight", r"synthesis.b\1.conv0.weight", _up_convolution),
    (_LAYER + r"ToRGB/weight", r"synthesis.b\1.torgb.weight", _convolution),
    (_LAYER + r"Conv1?/(bias|noise_strength)", r"synthesis.b\1.conv1.\2", _same),
    (_LAYER + r"Conv0_up/(bias|noise_strength)", r"synthesis.b\1.conv0.\2", _same),
    (_LAYER + r"ToRGB/bias", r"synthesis.b\1.torgb.bias", _same),
    (_LAYER + r"Conv1?/mod_weight", r"synthesis.b\1.conv1.affine.weight", _dense),
    (_LAYER + r"Conv0_up/mod_weight", r"synthesis.b\1.conv0.affine.weight", _dense),
    (_LAYER + r"ToRGB/mod_weight", r"synthesis.b\1.torgb.affine.weight", _dense),
    (_LAYER + r"Conv1?/mod_bias", r"synthesis.b\1.conv1.affine.bias", _plus_one),
    (_LAYER + r"Conv0_up/mod_bias", r"synthesis.b\1.conv0.affine.bias", _plus_one),
    (_LAYER + r"ToRGB/mod_bias", r"synthesis.b\1.torgb.affine.bias", _plus_one),
    (_BLOCK + r"FromRGB/weight", r"b\1.fromrgb.weight", _convolution),
    (_BLOCK + r"FromRGB/bias", r"b\1.fromrgb.bias", _same),
    (_BLOCK + r"Conv0/weight", r"b\1.conv0.weight", _convolution),
    (_BLOCK + r"Conv0/bias", r"b\1.conv0.bias", _same),
    (_BLOCK + r"Conv1_down/weight", r"b\1.conv1.weight", _convolution),
    (_BLOCK + r"Conv1_down/bias", r"b\1.conv1.bias", _same),
    (_BLOCK + r"Skip/weight", r"b\1.skip.weight", _convolution),
    (r"4x4/Conv/weight", "b4.conv.weight", _convolution),
    (r"4x4/Conv/bias", "b4.conv.bias", _same),
    (r"4x4/Dense0/weight", "b4.fc.weight", _dense),
    (r"4x4/Dense0/bias", "b4.fc.bias", _same),
    (r"Output/weight", "b4.out.weight", _dense),
    (r"Output/bias", "b4.out.bias", _same),
)
_DROPPED = r"lod|synthesis/lod|.*/?(?:pl_mean_var|pl_mean)"


def _renamed(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor] | None:
    if re.fullmatch(_DROPPED, name):
        return None
    for pattern, new, change in _TABLE:
        match = re.fullmatch(pattern, name)
        if match:
            try:
                return (new(match) if callable(new) else match.expand(new)), change(tensor).contiguous()
            except (RuntimeError, IndexError) as error:
                raise UserError(f"its variable {printable(name)} has the shape {tuple(tensor.shape)}, which no StyleGAN2 has") from error
    raise UserError(f"its network has a variable {printable(name)}, which StyleGAN2 does not have")


def _settings(built_with: Mapping[str, object], tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, object]]:
    """The arguments of the TensorFlow network as attributes of NVIDIA's PyTorch modules."""
    generator = "synthesis.b4.const" in tensors
    if built_with.get("resample_kernel", [1, 3, 3, 1]) not in ([1, 3, 3, 1], (1, 3, 3, 1), None):
        raise UserError("its resampling filter is not the usual one, which is not supported for TensorFlow networks")
    activation = built_with.get("nonlinearity") or "lrelu"
    clamp = built_with.get("conv_clamp")
    settings: dict[str, dict[str, object]] = {}
    blocks = {match[1] for name in tensors if (match := re.match(r"((?:synthesis\.)?b\d+)\.", name))}
    for block in blocks:
        settings[block] = {"architecture": built_with.get("architecture") or ("skip" if generator else "resnet")}
        for part in ("conv0", "conv1", "torgb", "fromrgb", "conv"):
            settings[f"{block}.{part}"] = {"activation": activation, "conv_clamp": clamp}
        settings[f"{block}.torgb"] = {"conv_clamp": clamp}
    lr_mul = built_with.get("mapping_lrmul", 0.01 if generator else 0.1)
    mapping_activation = built_with.get("mapping_nonlinearity") if generator else activation
    for index in range(sum(1 for name in tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name))):
        settings[f"mapping.fc{index}"] = {"bias_gain": lr_mul, "activation": mapping_activation or "lrelu"}
    # the first StyleGAN2 took the statistic over groups of four, ADA's over the batch unless told otherwise
    usual_group = 4 if built_with.get("build_func_name") == "D_stylegan2" else None
    settings["b4.mbstd"] = {
        "group_size": built_with.get("mbstd_group_size", usual_group),
        "num_channels": built_with.get("mbstd_num_features", 1),
    }
    return settings
