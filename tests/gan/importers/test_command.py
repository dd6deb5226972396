"""`crossrig import generator`, `export generator` and sampling what was imported."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig import checkpoint
from crossrig.cli import main
from crossrig.gan.importers.generators import import_networks
from crossrig.gan.weights import load_discriminator, load_generator


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    before = sorted(Path().iterdir())
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert sorted(Path().iterdir()) == before
    return line


def test_import_sample_and_keep(files: Any, nvidia_file: Callable[..., bytes], capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.pkl").write_bytes(nvidia_file(3))
    words = ("import", "generator", "net.pkl", "-o", "g.safetensors", "--discriminator", "d.safetensors")
    assert main(words) == 0
    assert capsys.readouterr().out == "g.safetensors\nd.safetensors\n"
    found, generator = import_networks("net.pkl"), load_generator("g.safetensors")
    assert generator.config == found.generator.config
    assert all(torch.equal(tensor, generator.state_dict()[name]) for name, tensor in found.generator.state_dict().items())
    assert found.discriminator is not None
    discriminator = load_discriminator("d.safetensors")
    assert discriminator.config == found.discriminator.config
    assert all(torch.equal(tensor, discriminator.state_dict()[name]) for name, tensor in found.discriminator.state_dict().items())
    header = checkpoint.load_header("g.safetensors")["imported"]
    assert header == {
        "file": "net.pkl", "sha256": checkpoint.sha256("net.pkl"), "layout": "NVIDIA StyleGAN2, PyTorch", "network": "G_ema"
    }  # fmt: skip
    assert "exists already" in refused(capsys, *words)
    assert main((*words, "--overwrite", "--which", "G")) == 0
    assert checkpoint.load_header("g.safetensors")["imported"]["network"] == "G"
    sample = ("sample", "--network", "g.safetensors", "--seeds", "0")
    capsys.readouterr()
    assert "--class must be between 0 and 2" in refused(capsys, *sample)
    assert "--class must be between 0 and 2" in refused(capsys, *sample, "--class", "3")
    assert main((*sample, "--class", "2")) == 0
    assert Path("samples/seed0000.png").exists()


def test_bad_files(files: Any, nvidia_file: Callable[..., bytes], capsys: pytest.CaptureFixture[str]) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("touch ran",)

    Path("evil.pkl").write_bytes(pickle.dumps({"G_ema": Evil()}))
    line = refused(capsys, "import", "generator", "evil.pkl", "-o", "g.safetensors")
    assert line.startswith("crossrig: evil.pkl: it asks for posix.system")
    assert not Path("ran").exists()
    Path("net.pt").write_bytes(files.rosinality_file({"g_ema": files.rosinality_checkpoint()["g_ema"]}))
    assert "choose a name that ends so" in refused(capsys, "import", "generator", "net.pt", "-o", "g.pt")
    words = ("import", "generator", "net.pt", "-o", "g.safetensors")
    assert "holds no discriminator" in refused(capsys, *words, "--discriminator", "d.safetensors")
    assert "two names" in refused(capsys, *words, "--discriminator", "g.safetensors")
    assert "cannot be opened" in refused(capsys, "import", "generator", "none.pt", "-o", "g.safetensors")
    assert main(words) == 0
    assert "measured" in capsys.readouterr().err


def test_export(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    state = files.rosinality_checkpoint()["g_ema"]
    Path("net.pt").write_bytes(files.rosinality_file({"g_ema": state, "latent_avg": torch.zeros(6)}))
    assert main(("import", "generator", "net.pt", "-o", "g.safetensors")) == 0
    capsys.readouterr()
    words = ("export", "generator", "g.safetensors", "--format")
    assert main((*words, "pt", "-o", "back.pt")) == 0
    captured = capsys.readouterr()
    assert captured.out == "back.pt\n"
    assert "channel_multiplier" in captured.err
    back = torch.load("back.pt", weights_only=True)["g_ema"]
    assert set(back) == set(state)
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())
    assert "exists already" in refused(capsys, *words, "pt", "-o", "back.pt")
    assert "these networks are written as .onnx" in refused(capsys, *words, "onnx", "-o", "g.pt")
    assert "no checkpoint" in refused(capsys, "export", "generator", "none.safetensors", "--format", "pt", "-o", "x.pt")
    assert main(("sample", "--network", "g.safetensors", "--seeds", "0", "--class", "1")) == 2
    assert "has no classes" in capsys.readouterr().err
