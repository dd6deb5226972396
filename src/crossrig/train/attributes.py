"""Train T on codes of the generator and what the reconstruction network sees in their pictures (CDDFM3D, section 3.2).

Several processes (`train/parallel.py`) share the codes to label and then the batches.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.config import setting
from crossrig.data.portrait_set import load_portraits
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.memory import keep_freed_memory
from crossrig.metrics.r2 import all_r2
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.losses import BlockLosses, PointLoss, average
from crossrig.rig.reading import on_device
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, save_attributes
from crossrig.train import codes
from crossrig.train.budget import Budget
from crossrig.train.parallel import Processes
from crossrig.train.reconstruction import schedule
from crossrig.train.run import Run
from crossrig.train.state import collect, restore


@dataclass(frozen=True)
class AttributesTraining:
    """Settings. Codes and labels are made once and kept in the run's folder (`codes.safetensors`)."""

    generator: Path
    reconstruction: Path
    outdir: Path
    codes: int = setting(10000, "codes to label")
    held_out: int = setting(512, "codes of unmixed people kept for the figures in the log")
    mixed: float = setting(0.5, "share of the codes that join several people over the layers")
    encoder: Path | None = setting(None, "encoder of the generator: half of the people are then those it finds in --data")
    data: tuple[Path, ...] = setting((), "portrait archives for the encoder to look at")
    limit: int | None = setting(4000, "portraits of each archive it looks at")
    searched: int = setting(0, "portraits also searched for, as an edit does; everybody seen gets what that adds to one of them; 0: nobody")
    search_steps: int = setting(25, "steps of the search, as `crossrig edit` takes")
    hidden: tuple[int, ...] = setting((1024, 1024, 512), "widths of the network")
    steps: int = setting(6000, "training steps")
    minutes: float = setting(0.0, "stop training after this time; 0: no limit")
    batch: int = setting(128, "codes a step")
    lr: float = setting(1e-3, "peak learning rate")
    noise: float = setting(0.2, "noise on the standardised codes; T must also be right a little off the codes it saw")
    dropout: float = setting(0.2, "share of each hidden layer that is dropped in training")
    weight_decay: float = setting(0.05, "AdamW weight decay")
    landmark_weight: float = setting(0.3, "weight of the projected landmarks beside the six blocks")
    precision: Precision = setting("auto", "number format of painted features; auto: the fastest on this machine (gan/precision.py)")
    device: str = setting("cpu", "where codes are painted and looked at: cpu or cuda")
    seed: int = setting(1, "seed")

    def __post_init__(self) -> None:
        if self.searched and self.encoder is None:
            raise ValueError("a search begins with what an encoder finds: searched goes with encoder and data")


def labelled_codes(config: AttributesTraining, generator: Generator, network: Reconstruction, run: Run) -> tuple[Tensor, Tensor]:
    """Styles (N,S) and labels (N,213), the last `held_out` of unmixed people; read back when the run has already made them."""
    path = config.outdir / "codes.safetensors"
    facts = {
        "kind": "codes",
        "generator": checkpoint.sha256(config.generator),
        "reconstruction": checkpoint.sha256(config.reconstruction),
        "codes": config.codes,
        "held_out": config.held_out,
        "mixed": config.mixed,
        "encoder": checkpoint.sha256(config.encoder) if config.encoder else None,
        "searched": [config.searched, config.search_steps],
        "seed": config.seed,
    }
    if run.processes.of_first(lambda: path.exists() and checkpoint.load_header(path) == facts):
        tensors, _ = checkpoint.load(path)
        return tensors["styles"], tensors["labels"]
    # Folders for these very facts: shards of an interrupted run with other settings are never taken for ours.
    mark = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    dtype = run.processes.of_first(lambda: feature_dtype(config.precision))
    seen = None
    if config.encoder is not None:
        seen = _seen(config, generator, run, mark, dtype)
    styles, labels = codes.labelled_codes(
        *on_device(generator, network, config.device), config.codes, config.held_out, config.mixed, config.seed, run.progress, seen,
        config.outdir / f"labels-{mark}", run.processes, dtype,
    )  # fmt: skip
    if run.processes.first:
        checkpoint.save(path, {"styles": styles, "labels": labels}, facts)
    return styles, labels


def _seen(config: AttributesTraining, generator: Generator, run: Run, mark: str, dtype: torch.dtype) -> Tensor:
    """(N,L,W): people as pictures are inverted to codes: what the encoder finds, and what a search adds to it; kept in a file."""
    assert config.encoder is not None
    path, facts = config.outdir / "seen.safetensors", {"kind": "seen", "encoder": checkpoint.sha256(config.encoder), "mark": mark}
    if run.processes.of_first(lambda: path.exists() and checkpoint.load_header(path) == facts):
        return checkpoint.load(path)[0]["w_plus"]
    encoder, portraits = load_encoder(config.encoder), load_portraits(config.data, generator.config.resolution, config.limit)
    seen = codes.seen_people(encoder, portraits)
    if config.searched:
        few, shards = min(config.searched, len(portraits)), config.outdir / f"searched-{mark}"
        offsets = codes.search_offsets(generator, encoder, portraits, few, config.search_steps, run.progress, shards, run.processes, dtype)
        random = torch.Generator().manual_seed(config.seed)
        seen = seen + offsets[torch.randint(len(offsets), (len(seen),), generator=random)]
    if run.processes.first:
        checkpoint.save(path, {"w_plus": seen}, facts)
    return seen


def train(
    config: AttributesTraining,
    generator: Generator | None = None,
    network: Reconstruction | None = None,
    model: FaceModel | None = None,
) -> Path:
    """Train or resume the run in `config.outdir`; returns the weights, `attributes.safetensors`.

    The log shows R2 per attribute on held-out codes, so that a collapse to the mean face (a known fault of the original at its defaults)
    cannot pass unseen; a run whose pose R2 ends below 0 raises UserError instead of leaving weights behind.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    keep_freed_memory()
    generator = (generator or load_generator(config.generator)).eval().requires_grad_(False)
    network = (network or load_reconstruction(config.reconstruction)).eval().requires_grad_(False)
    model = model or FaceModel.load(assets.require("head"))
    network.space.check(model.space, "reconstruction network")
    units = Units.of(model)
    with Run.open(config.outdir, config) as run:
        styles, labels = labelled_codes(config, generator, network, run)
        cut = len(styles) - config.held_out
        population = FaceParams.unpack(labels[:cut])
        blocks, landmarks = BlockLosses(units, population), PointLoss.landmarks(model)
        landmark_spread = landmarks.spread(population)
        torch.manual_seed(config.seed)
        predictor = AttributePredictor(AttributePredictorConfig(generator.style_space.size, config.hidden), config.dropout, model.space)
        predictor.set_populations(styles[:cut], labels[:cut])
        optimiser = torch.optim.AdamW(predictor.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        step, tensors = run.latest() or (0, {})
        if tensors:
            restore(tensors, {"predictor": predictor, "optimiser": optimiser})
        processes.align(predictor)
        budget = Budget(config.steps, config.minutes, step, tensors, processes)
        predict = processes.by_rows(predictor.predict)
        predictor.train()
        while budget.progress < 1.0:
            run.seed(budget.step)
            index = torch.randint(cut, (config.batch,))
            noisy = styles[index] + config.noise * predictor.style_scale * torch.randn(config.batch, styles.shape[1])
            found, truth = predict(processes.share(noisy)), FaceParams.unpack(labels[processes.share(index)])
            points = landmarks(found, truth).mean() / landmark_spread
            loss = average(blocks(found, truth)) + config.landmark_weight * points
            for group in optimiser.param_groups:
                group["lr"] = config.lr * schedule(budget.progress)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            processes.average(optimiser)
            optimiser.step()
            budget.advance()
            step = budget.step
            shown = processes.mean({"loss": float(loss.detach())})
            run.progress(step, budget.expected, **shown)
            if run.due(60) or budget.progress >= 1.0:
                held_out = figures(predictor, units, styles[cut:], labels[cut:])
                predictor.train()
                run.log(step, **shown, **held_out)
                run.say(" ".join(f"{name} {value:.3f}" for name, value in held_out.items()))
                state = collect({"predictor": predictor, "optimiser": optimiser})
                run.save(step, state | budget.state())
        held_out = figures(predictor, units, styles[cut:], labels[cut:])
    if held_out["pose_r2"] <= 0:
        raise UserError(f"{config.outdir}: T collapsed (pose R2 {held_out['pose_r2']:.2f}); train longer or with other settings.")
    target = config.outdir / "attributes.safetensors"
    notes = {"generator": checkpoint.sha256(config.generator), "codes": cut, "steps": step, "seed": config.seed}
    processes.of_first(lambda: save_attributes(target, predictor, notes | {"held_out": held_out}))
    return target


@torch.no_grad()
def figures(predictor: AttributePredictor, units: Units, styles: Tensor, labels: Tensor) -> dict[str, float]:
    """`<attribute>_r2` on codes (N,S) with labels (N,213)."""
    predictor.eval()
    found = all_r2(units, predictor.predict(styles), FaceParams.unpack(labels))
    return {f"{name}_r2": value for name, value in found.items()}
