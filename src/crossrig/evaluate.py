"""The figures behind `crossrig eval`: measured on people, codes and pictures that no network was trained on.

    crossrig eval --quick           a table
    crossrig eval --quick --json    one flat object of figures and nothing else

Protocol of the quick evaluation
--------------------------------
*synth*           portraits of the stream HELD_OUT_SEED, made as `crossrig synth` makes them, timed after one warm-up archive (compiled
                  code in place); the start of the processes is counted.
*reconstruction*  those portraits through the reconstruction network against their exact labels: median angle errors, pooled R2
                  (`metrics.r2`). `judge.*`: the same of the judge.
*attributes*      T on codes of unseen z (CODES_SEED, truncation 1, unmixed) against what the reconstruction network sees in the
                  generated pictures (the source of T's training labels); `attributes.<name>_r2_judge`: against what the judge sees.
*edits*           for 128 unseen codes and each attribute, the command is the difference to the attribute of another unseen code (by T):
                  an edit of typical size. The judge looks before and after. The change of each attribute is divided by its spread over
                  the judge's reading of all unedited codes; `edits.<name>_moves_most` is the share of codes where the commanded
                  attribute moved more than every other, `edits.<name>_moves_<other>` the mean changes. `edits.yaw_correlation`:
                  commanded against judged change of yaw over the pose edits.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.data.synth import synthesise
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.metrics.angles import ANGLES, correlation, median_angle_errors, slope
from crossrig.metrics.moves import moves, moves_most
from crossrig.metrics.r2 import all_r2
from crossrig.rig.manipulation import Rig
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, load_rig

#: Stream of portraits that is never trained on; `crossrig synth --seed` refuses nothing, so recipes must not use it.
HELD_OUT_SEED = 770_000_007
#: Seed of the z that T and M are evaluated on.
CODES_SEED = 770_000_013

Figures = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """How much is measured; tests use less."""

    portraits: int = 512
    portrait_size: int = 128
    codes: int = 512
    edits: int = 128
    passes: int = 2


@torch.no_grad()
def unseen_styles(generator: Generator, count: int, seed: int = CODES_SEED) -> Tensor:
    """(count, S): codes of people no network was trained on. `seed` is one of the reserved ones."""
    z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
    return generator.affine(generator.map(z))


def synth_figures(sizes: Sizes, workers: int | None = None) -> tuple[Figures, PortraitSet]:
    """Portraits per second, and the portraits."""
    with tempfile.TemporaryDirectory() as folder:
        synthesise(2, sizes.portrait_size, HELD_OUT_SEED + 1, folder, workers=1, progress=False)
        began = time.monotonic()
        path = synthesise(sizes.portraits, sizes.portrait_size, HELD_OUT_SEED, folder, workers=workers, progress=False)
        seconds = time.monotonic() - began
        portraits = load_portraits([path], sizes.portrait_size)
    return {"synth.portraits_per_second": sizes.portraits / seconds}, portraits


def reconstruction_figures(network: Reconstruction, units: Units, portraits: PortraitSet, prefix: str) -> Figures:
    """Angle errors and R2 of a network on labelled portraits."""
    parts = [network.predict(portraits.batch(index)[0]) for index in torch.split(torch.arange(len(portraits)), 64)]
    found, truth = FaceParams.concatenate(parts), FaceParams.unpack(portraits.labels)
    figures = {f"{prefix}.{name}_error_deg": value for name, value in median_angle_errors(found, truth).items()}
    return figures | {f"{prefix}.{name}_r2": value for name, value in all_r2(units, found, truth).items()}


@torch.no_grad()
def attributes_figures(
    rig: Rig, generator: Generator, network: Reconstruction, judge: Reconstruction, units: Units, styles: Tensor
) -> Figures:
    """R2 of T against what the reconstruction network sees, and against what the judge sees."""
    found = rig.predict(styles)
    figures: Figures = {}
    for label, eyes in (("", network), ("_judge", judge)):
        truth = see(eyes, generator, styles)
        figures |= {f"attributes.{name}_r2{label}": value for name, value in all_r2(units, found, truth).items()}
    return figures


@torch.no_grad()
def edits_figures(rig: Rig, generator: Generator, judge: Reconstruction, units: Units, styles: Tensor, passes: int) -> Figures:
    """Which attribute moved most under a command for each, and how yaw followed."""
    own = rig.predict(styles)
    before = see(judge, generator, styles)
    spread = units.spread(before)
    figures: Figures = {}
    for attribute in ATTRIBUTES:
        command = own.attribute(attribute).roll(1, 0) - own.attribute(attribute)
        after = see(judge, generator, rig.move(styles, {attribute: command}, passes))
        moved = moves(units, spread, before, after)
        figures[f"edits.{attribute}_moves_most"] = float(moves_most(moved, attribute).float().mean())
        figures |= {f"edits.{attribute}_moves_{name}": float(change.mean()) for name, change in moved.items()}
        if attribute == "pose":
            commanded, judged = yaw(own).roll(1, 0) - yaw(own), yaw(after) - yaw(before)
            figures["edits.yaw_correlation"] = correlation(commanded, judged)
            figures["edits.yaw_slope"] = slope(commanded, judged)
    return figures


def yaw(params: FaceParams) -> Tensor:
    """(B,): yaw in degrees."""
    return torch.rad2deg(params.rotation.select(1, ANGLES.index("yaw")))


def evaluate_quick(
    generator: Generator,
    rig: Rig,
    network: Reconstruction,
    judge: Reconstruction,
    model: FaceModel,
    sizes: Sizes | None = None,
    portraits: PortraitSet | None = None,
    workers: int | None = None,
) -> Figures:
    """All figures of the quick evaluation, by name. `portraits` stand in for freshly made ones (then nothing is timed)."""
    sizes = sizes or Sizes()
    if portraits is None and model.imported:
        raise UserError(f"Portraits are labelled for our own face model, and {model.space.name} is in use: use `crossrig eval edits`.")
    network.space.check(model.space, "reconstruction network")
    judge.space.check(model.space, "judge")
    units = Units.of(model)
    figures: Figures = {}
    if portraits is None:
        figures, portraits = synth_figures(sizes, workers)
    figures |= reconstruction_figures(network, units, portraits, "reconstruction")
    figures |= reconstruction_figures(judge, units, portraits, "judge")
    styles = unseen_styles(generator, max(sizes.codes, sizes.edits))
    figures |= attributes_figures(rig, generator, network, judge, units, styles)
    return figures | edits_figures(rig, generator, judge, units, styles[: sizes.edits], sizes.passes)


def shipped_quick(workers: int | None = None) -> Figures:
    """`evaluate_quick` of the shipped networks. Raises UserError naming what is missing."""
    human = assets.require("generator-human")
    return evaluate_quick(
        load_generator(human),
        load_rig(assets.require("manipulation"), checkpoint.sha256(human)),
        load_reconstruction(assets.require("reconstruction")),
        load_reconstruction(assets.require("judge")),
        FaceModel.load(assets.require("head")),
        workers=workers,
    )


#: Figure -> (bound, whether larger is better): what the first version has to reach.
GOALS: Mapping[str, tuple[float, bool]] = {
    "reconstruction.yaw_error_deg": (3.0, False),
    "reconstruction.pitch_error_deg": (3.0, False),
    "reconstruction.expression_r2": (0.7, True),
    "reconstruction.illumination_r2": (0.7, True),
    "reconstruction.albedo_r2": (0.6, True),
    "reconstruction.shape_r2": (0.4, True),
    "attributes.pose_r2": (0.5, True),
    "attributes.expression_r2": (0.5, True),
    "attributes.illumination_r2": (0.5, True),
    "edits.yaw_correlation": (0.9, True),
    **{f"edits.{name}_moves_most": (0.5, True) for name in ATTRIBUTES},
    "synth.portraits_per_second": (60.0, True),
}


def table(figures: Mapping[str, float], goals: Mapping[str, tuple[float, bool]] = GOALS) -> str:
    """The figures as lines, with the goal and whether it is met where there is one."""
    lines = []
    for name, value in figures.items():
        goal = ""
        if name in goals:
            bound, larger = goals[name]
            met = value >= bound if larger else value <= bound
            goal = f"  {'>=' if larger else '<='} {bound:g}  {'ok' if met else 'MISSED'}"
        lines.append(f"{name:<42} {value:10.3f}{goal}")
    return "\n".join(lines)


def as_json(figures: Mapping[str, float]) -> str:
    """The figures as one flat JSON object."""
    return json.dumps({name: round(value, 5) for name, value in figures.items()}, indent=1)
