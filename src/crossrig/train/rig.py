"""Rig a generator: everything between its weights and sliders (CDDFM3D, section 3), one stage after the other.

    T       on codes of the generator and what our reconstruction network sees in their pictures
    layers  which style layers belong to which attribute
    M       moves style codes as commanded
    figures what the judge sees M do to unseen codes
    model   generator, T, M and, if there is one, an encoder in one file

No 3D model, reconstruction network or label of anybody else is needed: the generator must make faces, framed about as ours
(`data/align.py`), and nothing else. Every stage is a recipe of its own with its own folder; an interrupted stage is continued and a
finished one is not repeated when the same command is given again.

Under `accelerate launch` the work that takes long, labelling codes for T and training T and M, is shared (`train/parallel.py`); layers and
figures are found by the first process while the others wait.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from crossrig import assets, checkpoint, models
from crossrig.config import setting
from crossrig.errors import UserError
from crossrig.evaluation.edits import Sizes, evaluate_edits
from crossrig.evaluation.instruments import Instruments
from crossrig.evaluation.methods import rig_editor
from crossrig.face3d.model import FaceModel
from crossrig.files import write_text
from crossrig.gan.weights import load_generator, parse_config
from crossrig.rig.weights import load_reconstruction, load_rig
from crossrig.train import attributes, layers, manipulation
from crossrig.train.parallel import Processes

#: Pixels that a step of M paints at most, with their gradients: 6 pictures up to 256 px, one of 1024.
_PIXELS = 8 * 256**2


@dataclass(frozen=True)
class RigTraining:
    """Settings."""

    generator: Path
    name: str = dataclasses.field(metadata={"help": "what the model will be called"})
    outdir: Path | None = setting(None, "folder of the stages; none: runs/NAME")
    reconstruction: Path | None = setting(None, "network that reads the pictures; none: the shipped one")
    encoder: Path | None = setting(None, "encoder of this generator (`crossrig train encoder`), for quicker inversions")
    codes: int = setting(10000, "codes to label for T; 50000 is better where there is a GPU or a night")
    attributes_minutes: float = setting(0.0, "stop T after this time; 0: 6000 steps")
    manipulation_minutes: float = setting(0.0, "stop M after this time; 0: 2500 steps")
    samples: int = setting(64, "unseen codes the finished rig is measured on; 0: it is not measured")
    device: str = setting("cpu", "where pictures are painted and looked at: cpu or cuda")
    overwrite: bool = setting(False, "replace a model of this name")
    seed: int = setting(1, "seed")


@dataclass(frozen=True)
class _Stage:
    """One stage: its name, the file it leaves behind, and how to get it."""

    name: str
    result: Path
    make: Callable[[], object]


def train(config: RigTraining) -> Path:
    """Rig the generator, or go on with it; returns the file of the model. Raises UserError for a file that is no generator of ours."""
    target = models.path_of(config.name)
    if target.exists() and not config.overwrite:
        raise UserError(f"There is a model {config.name} already ({target}); choose another --name, or replace it with --overwrite.")
    outdir = config.outdir or Path("runs") / config.name
    began = time.monotonic()
    processes = Processes.join()
    stages = _stages(config, outdir, processes)
    for number, stage in enumerate(stages, 1):
        where = f"{config.name}: stage {number} of {len(stages)}, {stage.name}"
        done = processes.of_first(partial(_done, stage.result, config.generator))
        if processes.first:
            note = ": done before" if done else f", after {(time.monotonic() - began) / 60:.0f} min"
            print(where + note, file=sys.stderr)
        if not done:
            stage.make()
    processes.of_first(lambda: _save(config, outdir, target))
    return target


def _save(config: RigTraining, outdir: Path, target: Path) -> None:
    rig = outdir / "M" / "manipulation.safetensors"
    figures = json.loads((outdir / "figures.json").read_text()) if config.samples else {}
    target.parent.mkdir(parents=True, exist_ok=True)
    models.save(target, config.name, config.generator, rig, config.encoder, {"figures": figures})


def _stages(config: RigTraining, outdir: Path, processes: Processes) -> list[_Stage]:
    generator = config.generator
    network = config.reconstruction or assets.require("reconstruction")
    resolution = parse_config(checkpoint.load_header(generator).get("config"), generator).resolution
    rig, t, selection = (outdir / part for part in ("M/manipulation.safetensors", "T/attributes.safetensors", "layers/layers.json"))
    common: dict[str, Any] = {"generator": generator, "reconstruction": network, "device": config.device}
    attribute = attributes.AttributesTraining(
        **common, outdir=t.parent, codes=config.codes, held_out=min(512, config.codes // 4), batch=processes.rounded(128),
        minutes=config.attributes_minutes, seed=config.seed,
    )  # fmt: skip
    layer = layers.LayersTraining(**common, attributes=t, outdir=selection.parent, seed=config.seed + 1)
    move = manipulation.ManipulationTraining(
        **common, attributes=t, layers=selection, outdir=rig.parent, minutes=config.manipulation_minutes,
        steps=100_000 if config.manipulation_minutes else 2500, batch=processes.rounded(64),
        image_batch=max(1, min(6, _PIXELS // resolution**2)), seed=config.seed + 2,
    )  # fmt: skip
    stages = [
        _Stage("T, which reads style codes", t, lambda: attributes.train(attribute)),
        _Stage("the layers of every attribute", selection, lambda: layers.train(layer)),
        _Stage("M, which moves style codes", rig, lambda: manipulation.train(move)),
    ]
    if config.samples:
        figures = outdir / "figures.json"
        measure = partial(_measure, config, network, rig, figures)
        stages.append(_Stage("what it does to unseen codes", figures, lambda: processes.of_first(measure)))
    return stages


def _done(result: Path, generator: Path) -> bool:
    """Whether a stage is finished and was about this generator."""
    if not result.exists():
        return False
    header = json.loads(result.read_text()) if result.suffix == ".json" else checkpoint.load_header(result)
    return bool(header.get("generator") == checkpoint.sha256(generator))


def _measure(config: RigTraining, network: Path, rig_file: Path, target: Path) -> None:
    """Obedience, leak and the rest of M on unseen codes, as `crossrig eval edits` measures them, into a JSON file."""
    owner = checkpoint.sha256(config.generator)
    generator = load_generator(config.generator).eval().requires_grad_(False)
    judge = load_reconstruction(assets.require("judge"))
    instruments = Instruments.of(generator, load_reconstruction(network), judge, FaceModel.load(assets.require("head")))
    editors = {"ours_feedforward": rig_editor(load_rig(rig_file, owner))}
    evaluation = evaluate_edits(instruments, editors, Sizes.of(config.samples, 0))
    text = json.dumps({"generator": owner, "samples": config.samples} | evaluation.flat(), indent=1)
    write_text(target, text)
