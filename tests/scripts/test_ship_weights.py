from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator, save_generator


@pytest.fixture
def script(load_script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_script("ship_weights")
    monkeypatch.setattr(module, "shipped_folder", lambda: tmp_path / "assets")
    return module


def test_floats_are_halved_and_the_rest_is_kept(script: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "run.safetensors"
    checkpoint.save(source, {"weight": torch.tensor([0.5, 1.0]), "index": torch.tensor([70000])}, {"kind": "judge"})
    tensors, header = checkpoint.load(script.ship("judge", source))
    assert header == {"kind": "judge"}
    assert tensors["weight"].dtype == torch.float16
    assert tensors["index"].tolist() == [70000]


def test_the_mean_of_two_runs_is_shipped(script: ModuleType, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    checkpoint.save(first, {"weight": torch.tensor([0.5, 1.0]), "index": torch.tensor([3])}, {"kind": "rig"})
    shipped = {"weight": torch.tensor([1.5, 0.0]).half(), "index": torch.tensor([3])}  # 16 bits, as what is shipped already
    checkpoint.save(second, shipped, {"kind": "rig"})
    tensors, header = checkpoint.load(script.ship("manipulation", first, second))
    assert tensors["weight"].tolist() == [1.0, 0.5]
    assert tensors["index"].tolist() == [3]
    assert header == {"kind": "rig", "mean_with": checkpoint.sha256(second)}


@pytest.mark.parametrize("other", [{"weight": torch.zeros(3)}, {"weight": torch.zeros(2), "index": torch.tensor([4])}])
def test_networks_that_do_not_fit_have_no_mean(script: ModuleType, tmp_path: Path, other: dict[str, torch.Tensor]) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    checkpoint.save(first, {"weight": torch.zeros(2), "index": torch.tensor([3])}, {"kind": "rig"})
    checkpoint.save(second, other, {"kind": "rig"})
    with pytest.raises(UserError, match="mean"):
        script.ship("manipulation", first, second)


def test_values_too_large_for_half_precision_are_refused(script: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "run.safetensors"
    checkpoint.save(source, {"weight": torch.tensor([1e6])}, {"kind": "judge"})
    with pytest.raises(UserError, match="half precision"):
        script.ship("judge", source)
    assert not (tmp_path / "assets").exists()


def test_a_child_is_shipped_as_its_difference(script: ModuleType, tmp_path: Path, tiny_generator: Generator) -> None:
    own, child = tmp_path / "own.safetensors", copy.deepcopy(tiny_generator)
    child.synthesis.get_parameter("b8.conv1.weight").add_(0.1)
    save_generator(own, tiny_generator)
    script.ship("generator-human", own)
    save_generator(own, child, {"licence": "CC0"})
    path = script.ship_difference("generator-toon", own, "generator-human")
    tensors, header = checkpoint.load(path)
    assert header["licence"] == "CC0"
    assert tensors["levels/synthesis.b8.conv1.weight"].dtype == torch.int8
    gap = load_generator(path).synthesis.get_parameter("b8.conv1.weight") - child.synthesis.get_parameter("b8.conv1.weight")
    assert gap.abs().max() < 1e-3


def test_weights_of_eight_bits_take_half_the_space(script: ModuleType, tmp_path: Path) -> None:
    source, weight = tmp_path / "run.safetensors", torch.randn(64, 64)
    checkpoint.save(source, {"weight": weight}, {"kind": "encoder"})
    half = script.ship("encoder", source).stat().st_size
    path = script.ship("encoder", source, bits=8)
    assert path.stat().st_size < 0.6 * half
    torch.testing.assert_close(checkpoint.load(path)[0]["weight"], weight, atol=0.03, rtol=0)
