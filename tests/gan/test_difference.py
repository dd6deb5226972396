from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from crossrig import assets, checkpoint
from crossrig.errors import UserError
from crossrig.gan.difference import decode, encode
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.weights import load_generator, save_difference, save_generator


@pytest.fixture
def child(tiny_generator: Generator) -> Generator:
    """What fine-tuning leaves: everything moved a little except what carries the latent space."""
    torch.manual_seed(8)
    child = copy.deepcopy(tiny_generator)
    still = {id(parameter) for parameter in child.latent_parameters()}
    for parameter in child.parameters():
        if id(parameter) not in still:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return child


@pytest.fixture
def parent_file(tiny_generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "generator-parent.safetensors"
    save_generator(path, tiny_generator)
    return path


@pytest.mark.parametrize("bits", [8, 6, 3])
def test_weights_come_back_within_half_a_step(tiny_generator: Generator, child: Generator, bits: int) -> None:
    parent, wanted = tiny_generator.state_dict(), child.state_dict()
    stored = encode(wanted, parent, bits)
    found = decode(stored, parent)
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        if tensor.ndim < 2 or torch.equal(tensor, parent[name]):
            torch.testing.assert_close(found[name], tensor)
            continue
        largest = (tensor - parent[name]).flatten(1).abs().amax(1)  # (O,)
        half_step = largest / (2 ** (bits - 1) - 1) / 2
        error = (found[name] - tensor).flatten(1).abs().amax(1)
        assert (error <= half_step * 1.001 + 1e-6).all()
        assert stored[f"levels/{name}"].dtype == torch.int8
        assert stored[f"levels/{name}"].abs().max() == 2 ** (bits - 1) - 1


def test_only_what_moved_is_stored(tiny_generator: Generator, child: Generator) -> None:
    stored = encode(child.state_dict(), tiny_generator.state_dict())
    assert not any("mapping" in name or "affine" in name or "noise_const" in name or "w_avg" in name for name in stored)
    assert "levels/synthesis.b16.conv1.weight" in stored
    assert "plain/synthesis.b16.torgb.bias" in stored
    assert encode(tiny_generator.state_dict(), tiny_generator.state_dict()) == {}


def test_pictures_come_back(tiny_generator: Generator, child: Generator, parent_file: Path, tmp_path: Path) -> None:
    path, whole = tmp_path / "child.safetensors", tmp_path / "whole.safetensors"
    save_difference(path, child, parent_file, {"licence": "CC0"})
    save_generator(whole, child)
    read = load_generator(path)
    s = child.affine(child.map(torch.randn(8, 32)))
    gap = (read.synthesise(s) - child.synthesise(s)).abs()
    moved = (tiny_generator.synthesise(s) - child.synthesise(s)).abs()
    assert gap.mean() < 0.01 * moved.mean()
    assert path.stat().st_size < 0.5 * whole.stat().st_size
    header = checkpoint.load_header(path)
    assert header["parent"] == {"name": "generator-parent", "sha256": checkpoint.sha256(parent_file)}
    assert header["licence"] == "CC0"


def test_the_parent_may_be_among_the_networks_in_use(
    child: Generator, parent_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere" / "child.safetensors"
    save_difference(path, child, parent_file)
    with pytest.raises(UserError, match=r"generator-parent\.safetensors with the SHA-256 .* is not in"):
        load_generator(path)
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    load_generator(path)


def test_another_parent_of_that_name_is_refused(child: Generator, parent_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "child.safetensors"
    save_difference(path, child, parent_file)
    save_generator(parent_file, child)
    with pytest.raises(UserError, match="that very file"):
        load_generator(path)


def test_what_cannot_be_stored_or_read(tiny_generator: Generator, child: Generator, parent_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "child.safetensors"
    stranger = Generator(GeneratorConfig(resolution=16, z_dim=32, w_dim=32, channels=(16, 16, 8), mapping_layers=2))
    with pytest.raises(UserError, match="no child of"):
        save_difference(path, stranger, parent_file)
    assert not path.exists()
    save_difference(path, child, parent_file)
    with pytest.raises(UserError, match="not a generator"):  # no differences of differences
        save_difference(tmp_path / "second.safetensors", child, path)
    tensors, header = checkpoint.load(path)
    for broken in (
        {name: tensor for name, tensor in tensors.items() if not name.startswith("scale/")},
        tensors | {"plain/nothing": torch.zeros(2)},
        tensors | {"other/synthesis.b4.torgb.bias": torch.zeros(3)},
    ):
        checkpoint.save(path, broken, header)
        with pytest.raises(UserError, match="do not fit its parent"):
            load_generator(path)
    for parent in (None, {"name": "../generator-parent", "sha256": header["parent"]["sha256"]}, {"name": 3}):
        checkpoint.save(path, tensors, header | {"parent": parent})
        with pytest.raises(UserError, match="does not name the parent"):
            load_generator(path)
    with pytest.raises(ValueError, match="bits"):
        encode(child.state_dict(), tiny_generator.state_dict(), 9)
