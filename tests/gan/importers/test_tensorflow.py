"""NVIDIA's TensorFlow pickles: the same network as in PyTorch, its arrays turned as their conversion describes."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan.importers.generators import import_networks


class Network:
    """What dnnlib.tflib.network calls so."""

    def __init__(self, variables: dict[str, torch.Tensor], components: dict[str, Network], **facts: object) -> None:
        self.__dict__.update(
            version=4, name="net", build_module_src="raise SystemExit", components=components,
            variables=[(name, tensor.contiguous().numpy()) for name, tensor in variables.items()], **facts,
        )  # fmt: skip


Network.__module__ = "dnnlib.tflib.network"


@pytest.fixture(autouse=True)
def tensorflow_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["dnnlib.tflib.network"].Network = Network  # type: ignore[attr-defined]


def tensorflow_generator(tensors: dict[str, torch.Tensor], **arguments: object) -> Network:
    """The variables of their TensorFlow generator that hold the tensors of their PyTorch one."""
    own: dict[str, torch.Tensor] = {"lod": torch.zeros(()), "dlatent_avg": tensors["mapping.w_avg"]}
    mapping: dict[str, torch.Tensor] = {}
    synthesis: dict[str, torch.Tensor] = {"4x4/Const/const": tensors["synthesis.b4.const"][None]}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"mapping\.(?:fc(\d)|embed)\.(weight|bias)", name):
            layer = "LabelEmbed" if match[1] is None else f"Dense{match[1]}"
            mapping[f"{layer}/{match[2]}"] = tensor.t() if match[2] == "weight" else tensor
        if match := re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.([\w.]+)", name):
            side = int(match[1])
            layer = {"conv0": "Conv0_up", "conv1": "Conv" if side == 4 else "Conv1", "torgb": "ToRGB"}[match[2]]
            path = f"{side}x{side}/{layer}/"
            if match[3] == "weight":
                kernel = tensor.permute(2, 3, 1, 0)
                synthesis[path + "weight"] = kernel.flip(0, 1) if layer == "Conv0_up" else kernel
            elif match[3] == "affine.weight":
                synthesis[path + "mod_weight"] = tensor.t()
            elif match[3] == "affine.bias":
                synthesis[path + "mod_bias"] = tensor - 1.0
            elif match[3] == "noise_const":
                number = 2 * side.bit_length() - 6 - (layer == "Conv0_up")
                synthesis[f"noise{number}"] = tensor[None, None]
            elif match[3] in ("bias", "noise_strength"):
                synthesis[path + match[3]] = tensor
    components = {"mapping": Network(mapping, {}), "synthesis": Network(synthesis, {})}
    return Network(own, components, static_kwargs={"resolution": 16, **arguments}, build_func_name="G_main")


def tensorflow_discriminator(tensors: dict[str, torch.Tensor], **arguments: object) -> Network:
    own: dict[str, torch.Tensor] = {}
    names = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "conv": "Conv", "fc": "Dense0", "out": "Output"}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"b(\d+)\.(\w+)\.(weight|bias)", name):
            path = "" if match[2] == "out" else f"{match[1]}x{match[1]}/"
            turned = tensor.t() if tensor.ndim == 2 else tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor
            own[f"{path}{names[match[2]]}/{match[3]}"] = turned
    return Network(own, {}, static_kwargs=arguments, build_func_name="D_stylegan2")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_same_network_as_in_pytorch(
    tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes], classes: int, protocol: int
) -> None:
    g, d = files.nvidia_generator(classes), files.nvidia_discriminator()
    one, other = tmp_path / "torch.pkl", tmp_path / "tf.pkl"
    one.write_bytes(nvidia_file(G_ema=g, D=d))
    other.write_bytes(
        pickle.dumps((tensorflow_generator(g), tensorflow_discriminator(d), tensorflow_generator(g, conv_clamp=None)), protocol)
    )
    in_torch, in_tensorflow = import_networks(one), import_networks(other)
    assert "TensorFlow" in in_tensorflow.layout
    assert in_tensorflow.generator.config == in_torch.generator.config
    for name, tensor in in_torch.generator.state_dict().items():
        torch.testing.assert_close(in_tensorflow.generator.state_dict()[name], tensor, rtol=0, atol=1e-6, msg=name)
    assert in_torch.discriminator is not None
    assert in_tensorflow.discriminator is not None
    for name, tensor in in_torch.discriminator.state_dict().items():
        assert torch.equal(in_tensorflow.discriminator.state_dict()[name], tensor), name


def test_arguments_are_taken_or_refused(tmp_path: Path, files: Any) -> None:
    path, g = tmp_path / "tf.pkl", files.nvidia_generator()

    def load(**arguments: object) -> Any:
        path.write_bytes(pickle.dumps((Network({}, {}), Network({}, {}), tensorflow_generator(g, **arguments))))
        return import_networks(path).generator.config

    config = load(conv_clamp=256, mapping_lrmul=0.1)
    assert (config.clamp, config.mapping_lr_mul) == (256, 0.1)
    for arguments, words in (
        ({"architecture": "resnet"}, "architecture is resnet"),
        ({"nonlinearity": "relu"}, "activation is relu"),
        ({"resample_kernel": [1, 2, 1]}, "resampling filter"),
        ({"conv_clamp": [1]}, "no number"),
    ):
        with pytest.raises(UserError, match=words):
            load(**arguments)


def test_damaged_and_other_networks(tmp_path: Path, files: Any) -> None:
    path = tmp_path / "tf.pkl"
    good = tensorflow_generator(files.nvidia_generator())

    def refused(network: object, words: str) -> None:
        path.write_bytes(pickle.dumps((good, good, network)))
        with pytest.raises(UserError, match=words):
            import_networks(path)

    refused(Network({"4x4/Dense1/weight": torch.zeros(1)}, {}), "variable 4x4/Dense1/weight, which")
    refused(Network({"synthesis/4x4/Conv/weight": torch.zeros(2, 2)}, {}), "has the shape")
    refused(Network({}, {}), "is another network")
    broken = Network({}, {})
    broken.__dict__["variables"] = [1]
    refused(broken, "damaged")
    broken.__dict__["variables"] = None
    refused(broken, "damaged, or older")
