"""What the processes of `test_parallel.py` do: a script for `accelerate launch`, and the same functions for one process.

    together.py FOLDER RECIPE ...    FOLDER/material.pt holds small stand-ins; a recipe trains into FOLDER/RECIPE-<number of processes>
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.precision import feature_dtype
from crossrig.inversion.encoder import EncoderConfig
from crossrig.rig.layers import editable
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.train import adapt, attributes, encoder, generator, layers, manipulation, mapping, reconstruction, stylerig
from crossrig.train.codes import sample_styles
from crossrig.train.parallel import Processes
from crossrig.train.run import Run

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


class Sees(Reconstruction):
    """Stands in for a trained network: reads parameters linearly from four coarse colours."""

    def forward(self, images: Tensor) -> Tensor:
        colours = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)  # (B,12)
        mixing = torch.randn(12, 213, generator=torch.Generator().manual_seed(6))
        return self.label_mean + self.label_scale * (colours @ mixing)


def log_every_step(self: Run, seconds: float, what: str = "checkpoint") -> bool:
    """In place of `Run.due`."""
    return self.processes.first and (what == "log" or seconds == 60)


def generator_settings(folder: Path, outdir: Path) -> generator.GeneratorTraining:
    """A generator that has everything: an encoder, a reader, close-ups, and a discriminator in the last two steps.

    Not in more: Adam's first steps go as far for a gradient of nearly nothing as for any other, so what is rounded otherwise grows fast
    from there.
    """
    return generator.GeneratorTraining(
        outdir=outdir, data=(folder / "people.zip",), resolution=64, channels=(16, 16, 8, 8, 8), batch=4, kimg=0.024,
        supervised_kimg=0.016, perceptual_size=32, discriminator_size=32, warm_steps=5, sheet_kimg=0.016, encode=True, close_ups=0.5,
        on_eyes_and_mouth=0.5, reader=folder / "assets" / "reconstruction.safetensors", reader_every=2, precision="float32",
    )  # fmt: skip


def train_generator(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    generator.train(generator_settings(folder, outdir))


def train_adapt(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    config = adapt.AdaptTraining(
        outdir=outdir, images=folder / "pictures", name="red", aligned=True, kimg=0.024, batch=4, check_kimg=0.012,
        discriminator_size=32, structure_size=8, least_yaw=-1.0, least_expression=-1.0, precision="float32", augment_ramp_kimg=0.02,
    )  # fmt: skip
    adapt.train(config)


def train_encoder(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    generator, blobs = material["generator"], material["blobs"]
    domains = [encoder.Domain(generator, blobs.pictures, codes) for codes in (blobs.codes, None)]
    encoder.train(
        encoder.EncoderTraining(
            outdir=outdir, network=EncoderConfig(size=32, hidden=32, rank=4), kimg=0.048, batch=8, perceptual_size=32, sheet_kimg=0.016
        ),
        domains,
    )


def train_mapping(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    config = mapping.MappingTraining(
        generator=folder / "coded.safetensors", encoder=folder / "assets" / "encoder.safetensors", outdir=outdir,
        data=(folder / "people.zip",), steps=5, batch=6, held_out=0.25,
    )  # fmt: skip
    mapping.train(config)


def train_reconstruction(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    config = reconstruction.ReconstructionTraining(
        outdir=outdir, network=TINY, kimg=0.8, batch=16, lr=4e-6, held_out=16, precision="float32"
    )  # fmt: skip
    reconstruction.train(config, material["blobs"], material["model"])


def train_attributes(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    network = Sees(TINY)
    network.set_population(material["people"].pack())
    config = attributes.AttributesTraining(
        generator=folder / "assets" / "generator-human.safetensors", reconstruction=folder / "assets" / "reconstruction.safetensors",
        outdir=outdir, codes=512, held_out=63, mixed=0.2, steps=30, batch=64, hidden=(64,), lr=3e-3, dropout=0.1,
    )  # fmt: skip
    attributes.train(config, network=network, model=material["model"])


def train_manipulation(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    generator = material["generator"]

    def pairs(attribute: str, count: int) -> tuple[Tensor, Tensor, Tensor]:
        styles = sample_styles(generator, count, torch.Generator().manual_seed(int(torch.randint(2**31, ()))), mixed=0.0)
        return styles, styles.roll(1, 0), torch.ones(count, FaceParams.attribute_size(attribute))

    config = manipulation.ManipulationTraining(
        generator=folder / "assets" / "generator-human.safetensors", attributes=folder / "assets" / "attributes.safetensors",
        layers=folder / "layers.json", reconstruction=folder / "assets" / "reconstruction.safetensors", outdir=outdir,
        steps=4, batch=8, image_batch=3, contour_batch=1, paired_batch=5, render_size=16, lr=1e-4, precision="float32",
    )  # fmt: skip
    some = dict.fromkeys(ATTRIBUTES, editable(generator.style_space)[:2])
    manipulation.train(config, pairs, model=material["model"], layers=some)


def train_stylerig(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    config = stylerig.StyleRigTraining(
        generator=folder / "assets" / "generator-human.safetensors", attributes=folder / "assets" / "attributes.safetensors",
        outdir=outdir, steps=4, batch=8, render_size=16, render_batch=3,
    )  # fmt: skip
    stylerig.train(config, model=material["model"])


def choose_layers(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    config = layers.LayersTraining(
        generator=folder / "assets" / "generator-human.safetensors", attributes=folder / "assets" / "attributes.safetensors",
        reconstruction=folder / "assets" / "reconstruction.safetensors", outdir=outdir, steps=4, batch=8, codes=8,
    )  # fmt: skip
    layers.train(config, model=material["model"])


def say_what_is_shared(folder: Path, outdir: Path, material: dict[str, Any]) -> None:
    """Writes what the methods of `Processes` give, a file for each process."""
    processes = Processes.join()
    torch.manual_seed(0)
    batch = torch.randn(6, 2)
    weight = torch.nn.Parameter(torch.zeros(2))
    untouched = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([weight, untouched], lr=1.0)
    # A row counts its own place and what lies before it, which another process has.
    whole = processes.gather(processes.share(batch) * weight)  # (6,2)
    rows = processes.share(whole.roll(1, 0) * torch.arange(6.0)[:, None] + batch)
    (rows.sum(1).mean() + processes.of_few(3, lambda few: (processes.share(batch)[few] * weight).sum(1).mean())).backward()
    processes.average(optimiser)
    module = torch.nn.Linear(2, 2)
    module.weight.data.fill_(float(processes.rank))
    processes.align(module, optimiser)
    found = {
        "share": processes.share(batch).tolist(),
        "gather": processes.gather(processes.share(batch)).tolist(),
        "gradient": weight.grad.tolist() if weight.grad is not None else None,
        "untouched": untouched.grad is None,
        "mean": processes.mean({"rank": float(processes.rank), "one": 1.0}),
        "aligned": float(module.weight.detach().sum()),
        "first": processes.of_first(lambda: f"made by {processes.rank}"),
        "dtype": str(processes.of_first(lambda: feature_dtype("bfloat16"))),
    }
    (folder / f"shared-{processes.rank}-of-{processes.count}.json").write_text(json.dumps(found))


RECIPES: dict[str, Callable[[Path, Path, dict[str, Any]], None]] = {
    "generator": train_generator,
    "adapt": train_adapt,
    "encoder": train_encoder,
    "mapping": train_mapping,
    "reconstruction": train_reconstruction,
    "attributes": train_attributes,
    "manipulation": train_manipulation,
    "stylerig": train_stylerig,
    "layers": choose_layers,
    "shared": say_what_is_shared,
}


def refuse_writing(folder: Path) -> None:
    """From now on this process can write nothing into the folder but its file of `say_what_is_shared`."""
    above = str(folder)

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in {"os.mkdir", "os.remove", "os.rename", "shutil.rmtree"}
        if event == "open" and isinstance(arguments[2], int):
            writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND))
        if writes and str(arguments[0]).startswith(above) and not Path(arguments[0]).name.startswith("shared-"):
            raise PermissionError(f"this process writes {arguments[0]}")

    sys.addaudithook(look)


def train_all(folder: Path, names: list[str]) -> None:
    """Run the named recipes one after the other, in all processes that were started together."""
    material = torch.load(folder / "material.pt", weights_only=False)  # written by the test
    for name in names:
        RECIPES[name](folder, folder / f"{name}-{Processes.join().count}", material)


if __name__ == "__main__":
    Run.due = log_every_step  # type: ignore[method-assign]
    if not Processes.join().first:
        refuse_writing(Path(sys.argv[1]))
    train_all(Path(sys.argv[1]), sys.argv[2:])
