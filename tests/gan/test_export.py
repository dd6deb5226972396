"""Exports: rosinality's layout round trip, and ONNX as onnxruntime computes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan import export
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.importers.generators import import_networks

CONFIG = GeneratorConfig(resolution=8, z_dim=6, w_dim=6, channels=(5, 4), mapping_layers=2)


def random_generator(config: GeneratorConfig) -> Generator:
    torch.manual_seed(0)
    generator = Generator(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.add_(0.3 * torch.randn_like(parameter))
    generator.w_avg.normal_()
    return generator


def test_rosinality_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    generator = random_generator(CONFIG)
    path = tmp_path / "out.pt"
    notes = export.export_rosinality(path, generator)
    found = import_networks(path)
    assert found.notes == ()
    assert found.generator.config == CONFIG
    assert set(found.generator.state_dict()) == set(generator.state_dict())
    for name, tensor in generator.state_dict().items():
        assert torch.equal(found.generator.state_dict()[name], tensor), name
    assert "Generator(8, 6, 2" in notes[0]
    assert "has to be edited" in notes[1]
    assert set(torch.load(path, weights_only=True)) == {"g_ema", "latent_avg"}
    first = path.read_bytes()
    export.export_rosinality(path, generator)
    assert path.read_bytes() == first


def test_what_rosinality_does_not_have_is_said(tmp_path: Path) -> None:
    generator = random_generator(GeneratorConfig(resolution=4, z_dim=6, w_dim=6, channels=(512,), mapping_lr_mul=1.0, clamp=256.0))
    notes = " ".join(export.export_rosinality(tmp_path / "out.pt", generator))
    assert "M is 2." in notes
    assert "multiplier of 0.01" in notes
    assert "+-256" in notes


def run(path: Path, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options)
    assert [entry.name for entry in session.get_inputs()] == list(inputs)
    return torch.from_numpy(session.run(["image"], {name: tensor.numpy() for name, tensor in inputs.items()})[0])


def test_onnx_from_z_with_classes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    generator = random_generator(GeneratorConfig(**{**vars(CONFIG), "c_dim": 3, "clamp": 2.0}))
    path = tmp_path / "z.onnx"
    export.export_onnx(path, generator)
    for batch, psi in ((1, 1.0), (3, 0.6)):  # another batch than the exporter saw
        z, c = torch.randn(batch, 6), torch.eye(3)[torch.arange(batch) % 3]
        image = run(path, {"z": z, "truncation": torch.tensor(psi), "c": c})
        expected = generator(z, psi, c=c)
        assert (image - expected).abs().max() < 1e-3 * (expected.max() - expected.min())
    assert b"site-packages" not in path.read_bytes()  # no paths of the computer it was made on
    assert b"/src/crossrig" not in path.read_bytes()


def test_onnx_from_the_style_code(tmp_path: Path) -> None:
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    generator = random_generator(CONFIG)
    path = tmp_path / "s.onnx"
    export.export_onnx(path, generator, "s")
    s = torch.randn(3, generator.style_space.size)
    expected = generator.synthesise(s)
    assert (run(path, {"s": s}) - expected).abs().max() < 1e-3 * (expected.max() - expected.min())
    (entry,) = (entry for entry in onnx.load(path).metadata_props if entry.key == "crossrig")
    layers = json.loads(entry.value)["style_layers"]
    assert [(layer["name"], layer["size"]) for layer in layers] == [(layer.name, layer.size) for layer in generator.style_space.layers]


def test_onnx_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"pip install 'crossrig\[onnx\]'"):
        export.export_onnx(tmp_path / "x.onnx", random_generator(CONFIG))
    assert list(tmp_path.iterdir()) == []
