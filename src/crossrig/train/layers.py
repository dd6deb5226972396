"""Choose the layers of every attribute: measure (`rig.layers`), select, write JSON.

The *rig* measurement needs an editor over all convolution layers for all attributes (CDDFM3D, section 3.3). It trains a small StyleRig-like
one, or takes a trained StyleRig in S (`probe`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.config import setting
from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.errors import UserError
from crossrig.evaluation.plots import Pixels, heat_map
from crossrig.evaluation.report import table
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.gan.weights import load_generator
from crossrig.memory import keep_freed_memory
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.baselines.latents import latents_of
from crossrig.rig.baselines.stylerig import StyleRigEditor
from crossrig.rig.layers import (
    SHARE,
    Probe,
    Scores,
    agreement,
    combine,
    editable,
    manipulator_probe,
    mean_share,
    rig_scores,
    select,
    swap_scores,
)  # fmt: skip
from crossrig.rig.losses import BlockLosses, average
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, shift
from crossrig.rig.reading import on_device
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.selection import save_selection
from crossrig.rig.units import Units
from crossrig.rig.weights import load_attributes, load_reconstruction, load_stylerig
from crossrig.train.codes import load_seen, sample_styles
from crossrig.train.reconstruction import schedule
from crossrig.train.run import Run


@dataclass(frozen=True)
class LayersTraining:
    """Settings."""

    generator: Path
    attributes: Path
    reconstruction: Path
    outdir: Path
    method: Literal["rig", "swap", "both"] = setting("both", "how layers are scored")
    share: float = setting(SHARE, "a layer is selected from this share of the best layer's score")
    least: int = setting(2, "layers selected at least")
    probe: Path | None = setting(None, "StyleRig in S (`crossrig train stylerig --space s`) to measure with; none: train a small editor")
    steps: int = setting(600, "training steps of the editor over all layers")
    batch: int = setting(64, "codes a step")
    lr: float = setting(2e-3, "peak learning rate")
    size_weight: float = setting(0.1, "cost of moving styles, so that layers that do not help stay still")
    codes: int = setting(96, "codes the layers are measured on")
    repeats: int = setting(3, "times that all is measured, with other seeds: means are taken, and it is told how far the selections agree")
    seen: Path | None = setting(None, "seen.safetensors of T's run: half of the people the probe learns from are drawn from it")
    device: str = setting("cpu", "where codes are painted and looked at: cpu or cuda")
    seed: int = setting(2, "seed")

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"layers must be measured once or more, not {self.repeats} times")
        if self.probe is not None and self.method == "swap":
            raise ValueError("layer swaps need no probe; leave it out, or choose the method rig or both")


def train_probe(config: LayersTraining, generator: Generator, predictor: AttributePredictor, units: Units, run: Run) -> Manipulator:
    """The StyleRig-like editor: every convolution layer, every block, two-way consistency through T (Tewari 2020, section 4)."""
    space: StyleSpace = generator.style_space
    names = editable(space)
    random = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)
    seen = load_seen(config.seen, generator)
    many = sample_styles(generator, 2048, random, seen=seen)
    with torch.no_grad():
        population = predictor.predict(many)
    sizes = tuple(space.layer(name).size for name in names)
    probe = Manipulator(ManipulatorConfig(tuple(BLOCKS), names, sizes, hidden=128, rank=64))
    probe.set_populations(space.split(many), population)
    losses = BlockLosses(units, population)
    optimiser = torch.optim.Adam(probe.parameters(), lr=config.lr)
    for step in range(config.steps):
        styles: Tensor = sample_styles(generator, config.batch, random, seen=seen)
        with torch.no_grad():
            own = predictor.predict(styles)
            goal = FaceParams.unpack(own.pack().roll(1, 0))
            # Half the batch takes over one random block only, as the measurement will command it.
            single = list(BLOCKS)[int(torch.randint(len(BLOCKS), (), generator=random))]
            half = (torch.arange(config.batch) % 2 == 0)[:, None]
            one = own.replace(**{single: getattr(goal, single)})
            goal = FaceParams.unpack(torch.where(half, one.pack(), goal.pack()))
        moves = probe.moves(space.split(styles), goal.pack() - own.pack())
        found = predictor.predict(shift(space, styles, probe.offsets(moves)))
        size = torch.stack([move.square().mean() for move in moves.values()]).mean()
        loss = average(losses(found, goal)) + config.size_weight * size
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step / config.steps)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        run.progress(step + 1, config.steps, loss=float(loss.detach()))
    return probe.eval()


def _probe(config: LayersTraining, generator: Generator, predictor: AttributePredictor, units: Units, run: Run) -> Probe:
    if config.probe is None:
        return manipulator_probe(train_probe(config, generator, predictor, units, run), generator.style_space)
    stylerig = load_stylerig(config.probe, checkpoint.sha256(config.generator))
    if stylerig.space != "s":
        raise UserError(f"{config.probe} rigs W+, not layers of S: train a probe with `crossrig train stylerig --space s`.")
    return StyleRigEditor(stylerig, latents_of("s", generator), predictor).change


def train(
    config: LayersTraining,
    generator: Generator | None = None,
    network: Reconstruction | None = None,
    predictor: AttributePredictor | None = None,
    model: FaceModel | None = None,
) -> Path:
    """Measure and select; returns `layers.json` in `config.outdir`. It takes a minute or two and starts anew when interrupted.

    Of several processes (`train/parallel.py`) the first does it alone, and the others wait.
    """
    keep_freed_memory()
    generator = (generator or load_generator(config.generator)).eval().requires_grad_(False)
    predictor = (predictor or load_attributes(config.attributes)).eval().requires_grad_(False)
    model = model or FaceModel.load(assets.require("head"))
    predictor.space.check(model.space, "attribute network T")
    units = Units.of(model)
    with Run.open(config.outdir, config) as run:
        return run.processes.of_first(partial(_choose, config, generator, network, predictor, units, run))


def _choose(
    config: LayersTraining, generator: Generator, network: Reconstruction | None, predictor: AttributePredictor, units: Units, run: Run
) -> Path:
    if config.method != "rig":
        network = (network or load_reconstruction(config.reconstruction)).eval().requires_grad_(False)
    repeats = [replace(config, seed=config.seed + 100 * repeat) for repeat in range(config.repeats)]
    tables = [_measure(repeat, generator, network, predictor, units, run) for repeat in repeats]
    scores = mean_share(tables)
    chosen = select(scores, config.share, config.least)
    agreed = agreement(chosen, [select(table, config.share, config.least) for table in tables])
    for attribute, layers in chosen.items():
        run.say(f"{attribute}: {' '.join(layers)} (repeats agree to {agreed[attribute]:.0%})")
    run.say(score_table(scores, chosen))
    save_picture(config.outdir / "layers.png", score_picture(scores, chosen), DigitalSource.RENDERED, overwrite=True)
    target = config.outdir / "layers.json"
    notes = {
        "generator": checkpoint.sha256(config.generator),
        "method": config.method,
        "share": config.share,
        "probe": None if config.probe is None else checkpoint.sha256(config.probe),
        "agreement": agreed,
    }
    save_selection(target, chosen, scores, notes)
    return target


def _measure(
    config: LayersTraining, generator: Generator, network: Reconstruction | None, predictor: AttributePredictor, units: Units, run: Run
) -> Scores:
    """The scores of one seed."""
    measured = sample_styles(generator, config.codes, torch.Generator().manual_seed(config.seed + 1), mixed=0.0)
    tables = []
    if config.method != "swap":
        probe = _probe(config, generator, predictor, units, run)
        tables.append(rig_scores(probe, predictor, generator.style_space, units, measured))
    if network is not None and config.method != "rig":
        tables.append(swap_scores(*on_device(generator, network, config.device), units, measured))
    return tables[0] if len(tables) == 1 else combine(*tables)


def score_table(scores: Scores, chosen: Mapping[str, tuple[str, ...]]) -> str:
    """Layers x attributes, shares of the best layer's score; selected layers have a star."""
    rows = [
        [layer, *(f"{scores[name][layer]:.2f}{'*' if layer in chosen[name] else ''}" for name in scores)]
        for layer in next(iter(scores.values()))
    ]
    return table(["layer", *scores], rows)


def score_picture(scores: Scores, chosen: Mapping[str, tuple[str, ...]]) -> Pixels:
    """The same as a heat map; selected layers are framed."""
    layers = list(next(iter(scores.values())))
    values = np.array([[scores[name][layer] for name in scores] for layer in layers])
    framed = np.array([[layer in chosen[name] for name in scores] for layer in layers])
    return heat_map(values, layers, [name[:5] for name in scores], "layers: share of the best score", framed=framed)
