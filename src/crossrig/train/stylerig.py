"""Train StyleRig for every attribute, self-supervised through T (Tewari et al. 2020, section 4), in W+ or in S.

Two codes w and v with parameters P_w = T(w) and P_v = T(v); RigNet is to give w the attribute of v; P is what T reads in the edited code:

reconstruction  commanded its own attribute, RigNet must return w
edit            v's parameters, with the attribute taken from P, must be v's: what was asked for has arrived
consistency     P, with the attribute taken from w, must be w's parameters: everything else has stayed
landmarks       both comparisons again on the 68 projected landmarks, the mouth weighted apart
render          optional: both comparisons again between renders, the paper's per-pixel form, at a small size

Both ways, w -> v and v -> w, in every step. The codes are those M learns from, and it may learn for as long; what the paper does not have,
M's known pairs and its look at generated pictures, StyleRig does not get either.

Several processes (`train/parallel.py`) sample all codes alike; each edits its rows of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.config import setting
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.memory import keep_freed_memory
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.baselines.latents import Latents, latents_of
from crossrig.rig.baselines.stylerig import StyleRig
from crossrig.rig.losses import BlockLosses, PointLoss, RenderLoss
from crossrig.rig.units import Units
from crossrig.rig.weights import load_attributes, save_stylerig
from crossrig.train.budget import Budget
from crossrig.train.codes import load_seen, sample_w_plus
from crossrig.train.parallel import Processes
from crossrig.train.reconstruction import schedule
from crossrig.train.run import Run
from crossrig.train.state import collect, restore


@dataclass(frozen=True)
class StyleRigTraining:
    """Settings; one step trains every attribute's network once."""

    generator: Path
    attributes: Path
    outdir: Path
    space: Literal["wplus", "s"] = setting("wplus", "latent space that is rigged: W+, as published, or the convolutions of S")
    control: Literal["target", "difference"] = setting("target", "what a network is told: the wanted parameters (published), or the change")
    hidden: int = setting(0, "width of an ELU layer in each decoder; 0: linear, as published")
    steps: int = setting(2500, "training steps")
    minutes: float = setting(0.0, "stop after this time; 0: no limit")
    batch: int = setting(64, "codes a step, an even number: half of them are w, half v")
    lr: float = setting(1.5e-3, "peak learning rate")
    reconstruction_weight: float = setting(1.0, "a code commanded its own parameters must stay")
    edit_weight: float = setting(1.0, "the commanded attribute must arrive")
    consistency_weight: float = setting(1.0, "everything else must stay")
    landmark_weight: float = setting(0.3, "projected landmarks")
    render_size: int = setting(0, "compare renders of this many pixels a side; 0: do not render")
    render_weight: float = setting(1.0, "compared renders")
    render_batch: int = setting(4, "codes of a step whose renders are compared")
    seen: Path | None = setting(None, "seen.safetensors of T's run: half of the people are drawn from it")
    seed: int = setting(4, "seed")

    def __post_init__(self) -> None:
        if self.batch < 2 or self.batch % 2:
            raise ValueError(f"batch must be an even number, 2 or more, not {self.batch}")


class _Losses:
    """Everything frozen that a step compares with."""

    def __init__(self, config: StyleRigTraining, model: FaceModel, population: FaceParams) -> None:
        self.blocks = BlockLosses(Units.of(model), population)
        self.landmarks = PointLoss.landmarks(model)
        self.landmark_spread = self.landmarks.spread(population)
        self.render = RenderLoss(model, config.render_size) if config.render_size else None


def train(
    config: StyleRigTraining,
    generator: Generator | None = None,
    predictor: AttributePredictor | None = None,
    model: FaceModel | None = None,
) -> Path:
    """Train or resume the run in `config.outdir`; returns the weights, `stylerig.safetensors`.

    The other arguments stand in for the files that `config` names.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    keep_freed_memory()
    generator = (generator or load_generator(config.generator)).eval().requires_grad_(False)
    predictor = (predictor or load_attributes(config.attributes)).eval().requires_grad_(False)
    model = model or FaceModel.load(assets.require("head"))
    predictor.space.check(model.space, "attribute network T")
    seen = load_seen(config.seen, generator)
    latents = latents_of(config.space, generator)
    many = sample_w_plus(generator, 4096, torch.Generator().manual_seed(config.seed), mixed=0.25, seen=seen)
    with torch.no_grad():
        population = predictor.predict(generator.affine(many))
    losses = _Losses(config, model, population)
    torch.manual_seed(config.seed)
    stylerig = StyleRig.untrained(latents, config.space, checkpoint.sha256(config.generator), config.hidden, config.control)
    for network in stylerig.networks_by_name().values():
        network.set_populations(latents.of_w_plus(many), population)
    optimiser = torch.optim.Adam(stylerig.parameters(), lr=config.lr, betas=(0.9, 0.98))
    with Run.open(config.outdir, config) as run:
        step, tensors = run.latest() or (0, {})
        if tensors:
            restore(tensors, {"stylerig": stylerig, "optimiser": optimiser})
        processes.align(stylerig)
        budget = Budget(config.steps, config.minutes, step, tensors, processes)
        while budget.progress < 1.0:
            run.seed(budget.step)
            random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            for group in optimiser.param_groups:
                group["lr"] = config.lr * schedule(budget.progress)
            optimiser.zero_grad(set_to_none=True)
            w_plus = sample_w_plus(generator, config.batch, random, mixed=0.25, seen=seen)
            with torch.no_grad():
                own = predictor.predict(generator.affine(w_plus))
            shown: dict[str, float] = {}
            for attribute in ATTRIBUTES:
                found = _losses_of(config, attribute, stylerig, latents, generator, predictor, losses, w_plus, own, processes)
                torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
                shown |= {f"{attribute}_{name}": float(value.detach()) for name, value in found.items()}
            processes.average(optimiser)
            optimiser.step()
            shown = processes.mean(shown)
            budget.advance()
            step = budget.step
            run.progress(step, budget.expected, loss=sum(shown.values()))
            if step % 50 == 0 or budget.progress >= 1.0:
                run.log(step, **shown)
            if run.due(120) or budget.progress >= 1.0:
                run.say(" ".join(f"{name} {value:.3f}" for name, value in shown.items()))
                state = collect({"stylerig": stylerig, "optimiser": optimiser})
                run.save(step, state | budget.state())
    target = config.outdir / "stylerig.safetensors"
    processes.of_first(lambda: save_stylerig(target, stylerig, {"steps": step, "seed": config.seed}))
    return target


def _losses_of(
    config: StyleRigTraining,
    attribute: str,
    stylerig: StyleRig,
    latents: Latents,
    generator: Generator,
    predictor: AttributePredictor,
    losses: _Losses,
    w_plus: Tensor,
    own: FaceParams,
    processes: Processes,
) -> dict[str, Tensor]:
    """The terms of one attribute, of this process's rows of `w_plus` and `own`, which are those of the whole batch."""
    network = stylerig.network(attribute)
    # Rolled by half the batch, every w meets its v and every v its w: both ways at once.
    other = FaceParams.unpack(processes.share(own.pack().roll(len(own) // 2, 0)))
    w_plus, own = processes.share(w_plus), FaceParams.unpack(processes.share(own.pack()))
    parts, styles = latents.of_w_plus(w_plus), generator.affine(w_plus)
    mine, theirs = own.attribute(attribute), other.attribute(attribute)
    idle = network.moves(parts, mine, torch.zeros_like(mine))
    edited = latents.moved(styles, network(parts, mine, theirs - mine))
    found = predictor.predict(edited)
    asked = other.with_attribute(attribute, found.attribute(attribute))  # must be `other` again
    kept = found.with_attribute(attribute, mine)  # must be `own` again
    points = losses.landmarks(asked, other).mean() + losses.landmarks(kept, own).mean()
    terms = {
        "reconstruction": config.reconstruction_weight * torch.stack([move.square().mean() for move in idle.values()]).mean(),
        "edit": losses.blocks.edited(attribute, asked, other, 0.0, config.edit_weight),
        "consistency": losses.blocks.edited(attribute, kept, own, config.consistency_weight, 0.0),
        "landmarks": config.landmark_weight * points / losses.landmark_spread,
    }
    if (render := losses.render) is not None:

        def drawn(few: slice) -> Tensor:
            both: Tensor = render(asked[few], other[few]).mean() + render(kept[few], own[few]).mean()
            return both

        terms["render"] = config.render_weight * processes.of_few(min(config.render_batch, config.batch), drawn)
    return terms
