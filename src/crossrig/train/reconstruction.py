"""Train the reconstruction network, or with `network="resnet"` and other archives and seed the judge, on labelled portraits.

One step: a batch of portraits, degraded with their labels (`train.degrade`), through the network; the loss compares vertices, colours,
light and angles (`rig.losses`) block by block, each in units of its own spread, plus the projected landmarks.

Several processes (`train.parallel`) all degrade the whole batch, which costs little beside the network, and learn from their rows of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from crossrig.config import setting
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.errors import UserError
from crossrig.face3d.blocks import FaceSpace
from crossrig.face3d.mirror import mirror_matrix
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.memory import keep_freed_memory
from crossrig.metrics.angles import median_angle_errors
from crossrig.metrics.r2 import all_r2
from crossrig.rig.losses import BlockLosses, PointLoss, average
from crossrig.rig.reconstruction import JUDGE, Reconstruction, ReconstructionConfig
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, save_reconstruction
from crossrig.train.budget import Budget
from crossrig.train.degrade import Degradation, degrade
from crossrig.train.parallel import Processes
from crossrig.train.run import Run
from crossrig.train.state import collect, restore

#: Head angles must be right to a tenth of their spread, where squared losses are already small, and most expression units move little
#: that a mean over vertices would notice: they count more.
BLOCK_WEIGHTS = {"rotation": 2.5, "expression": 3.0}


@dataclass(frozen=True)
class ReconstructionTraining:
    """Settings. `minutes` ends the run by the clock instead of by `kimg` (the learning rate follows whichever is further)."""

    outdir: Path
    data: tuple[Path, ...] = setting((), "portrait archives made by `crossrig synth`")
    role: Literal["reconstruction", "judge"] = setting("reconstruction", "judge: a plain residual network, for evaluation only")
    network: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    kimg: float = setting(60.0, "thousands of portraits to train on, repeats counted")
    minutes: float = setting(0.0, "stop after this time even if fewer were seen; 0: no limit")
    batch: int = setting(32, "portraits a step")
    lr: float = setting(1e-3, "peak learning rate of the head (and of a network that starts from nothing)")
    trunk_lr: float = setting(4e-4, "peak learning rate of a pretrained trunk")
    held_out: int = setting(256, "portraits of the last archive kept for the figures in the log")
    landmark_weight: float = setting(0.3, "weight of the projected landmarks beside the six blocks")
    mirror: bool = setting(True, "mirror half of the portraits, and average what is read in a picture and its mirror image")
    augment: float = setting(1.0, "share of the portraits that are degraded; 0: none")
    pretrained: bool = setting(True, "start the trunk from its ImageNet weights")
    init: Path | None = setting(None, "network of the same architecture to begin with, its population included")
    limit: int | None = setting(None, "read at most this many portraits of each archive")
    precision: Precision = setting("auto", "number format of a judge's features; auto: the fastest on this machine (gan/precision.py)")
    seed: int = setting(0, "seed")

    def architecture(self) -> ReconstructionConfig:
        """The network: the judge's own one unless another was asked for."""
        return JUDGE if self.role == "judge" and self.network == ReconstructionConfig() else self.network


@torch.no_grad()
def figures(network: Reconstruction, units: Units, portraits: PortraitSet, batch: int = 64) -> dict[str, float]:
    """Held-out figures: `<attribute>_r2` and `<angle>_error_deg`."""
    parts = [network.predict(portraits.batch(index)[0]) for index in torch.split(torch.arange(len(portraits)), batch)]
    found, truth = FaceParams.concatenate(parts), FaceParams.unpack(portraits.labels)
    r2 = {f"{name}_r2": value for name, value in all_r2(units, found, truth).items()}
    return r2 | {f"{name}_error_deg": value for name, value in median_angle_errors(found, truth).items()}


def _split(portraits: PortraitSet, held_out: int) -> tuple[PortraitSet, PortraitSet]:
    if len(portraits) < held_out + 2 or held_out < 2:
        raise UserError(f"{len(portraits)} portraits cannot spare {held_out} for the held-out figures (at least 2): make more of them.")
    cut = len(portraits) - held_out

    def part(index: slice) -> PortraitSet:
        return PortraitSet(portraits.pictures[index], portraits.labels[index], portraits.codes[index])

    return part(slice(0, cut)), part(slice(cut, None))


def schedule(progress: float, warm: float = 0.03) -> float:
    """Learning-rate factor at `progress` in [0,1]: a short linear rise, then half a cosine down to 1 %."""
    if progress < warm:
        return (progress + 1e-3) / (warm + 1e-3)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min((progress - warm) / (1 - warm), 1.0)))


def train(config: ReconstructionTraining, portraits: PortraitSet | None = None, model: FaceModel | None = None) -> Path:
    """Train or resume the run in `config.outdir`; returns the weights, `reconstruction.safetensors` (or `judge.safetensors`).

    `portraits` and `model` stand in for `config.data` and the shipped face model. Raises UserError when the archives cannot be read, or the
    batch cannot be shared evenly by the processes.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    keep_freed_memory()
    architecture = config.architecture()
    if portraits is None:
        portraits = load_portraits(config.data, architecture.size, config.limit)
    model = model or FaceModel.load()
    units = Units.of(model)
    training, held_out = _split(portraits, config.held_out)
    population = FaceParams.unpack(training.labels)
    blocks, landmarks = BlockLosses(units, population), PointLoss.landmarks(model)
    mean_face = FaceParams.unpack(training.labels.mean(0, keepdim=True).expand_as(training.labels))
    landmark_spread = float(landmarks(mean_face, population).mean())
    torch.manual_seed(config.seed)
    network = _start(config, architecture, training.labels, model.space)
    network.set_mirror(mirror_matrix(model) if config.mirror else torch.zeros_like(network.mirror))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, config)
    # The convolutions of lite0, one filter a channel, gain nothing from bfloat16.
    narrow = architecture.network == "resnet" and processes.of_first(lambda: feature_dtype(config.precision)) == torch.bfloat16
    with Run.open(config.outdir, config) as run:
        step, tensors = run.latest() or (0, {})
        if tensors:
            restore(tensors, {"network": network, "optimiser": optimiser})
        run.processes.align(network)
        budget = Budget(max(1, round(config.kimg * 1000 / config.batch)), config.minutes, step, tensors, run.processes)
        while budget.progress < 1.0:
            run.seed(budget.step)
            random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            loss, parts = _step_loss(config, network, narrow, training, blocks, landmarks, landmark_spread, random, run.processes)
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * schedule(budget.progress)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            run.processes.average(optimiser)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            budget.advance()
            step = budget.step
            parts = run.processes.mean({"loss": float(loss.detach())} | parts)
            run.progress(step, budget.expected, loss=parts["loss"])
            if step % 50 == 0:
                run.log(step, **parts)
            if run.due(120) or budget.progress >= 1.0:
                network.eval()
                found = figures(network, units, held_out)
                network.train()
                run.log(step, **found)
                run.say(" ".join(f"{name} {value:.3f}" for name, value in found.items()))
                state = collect({"network": network, "optimiser": optimiser})
                run.save(step, state | budget.state())
        network.eval()
        target = config.outdir / f"{config.role}.safetensors"
        notes = {"role": config.role, "seed": config.seed, "portraits": len(training), "steps": step, "degradation": asdict(Degradation())}
        if run.processes.first:
            save_reconstruction(target, network, notes | {"held_out": figures(network, units, held_out)})
    return target


def _start(config: ReconstructionTraining, architecture: ReconstructionConfig, labels: Tensor, space: FaceSpace) -> Reconstruction:
    """The network before its first step."""
    if config.init is None:
        network = Reconstruction(architecture, config.pretrained, space)
        network.set_population(labels)
        return network
    network = load_reconstruction(config.init).requires_grad_(True).train()
    network.space.check(space, f"network {config.init}")
    if replace(network.config, shift=architecture.shift) != architecture:  # how often it looks is no matter of weights
        raise UserError(f"{config.init} is a network of {network.config}, not of {architecture}: start from another, or from none.")
    network.config = architecture
    return network


def _optimiser(network: Reconstruction, config: ReconstructionTraining) -> torch.optim.AdamW:
    trunk_lr = config.trunk_lr if config.pretrained and network.config.network == "lite0" else config.lr
    trunk = list(network.eyes.parameters())
    inside = {id(parameter) for parameter in trunk}
    head = [parameter for parameter in network.parameters() if id(parameter) not in inside]
    groups = [{"params": trunk, "lr": trunk_lr}, {"params": head, "lr": config.lr}]
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.02)


def _step_loss(
    config: ReconstructionTraining,
    network: Reconstruction,
    narrow: bool,
    training: PortraitSet,
    blocks: BlockLosses,
    landmarks: PointLoss,
    landmark_spread: float,
    random: torch.Generator,
    processes: Processes,
) -> tuple[Tensor, dict[str, float]]:
    images, labels, _ = training.batch(torch.randint(len(training), (config.batch,), generator=random))
    if config.mirror:
        turned = torch.rand(len(images), generator=random) < 0.5
        images = torch.where(turned[:, None, None, None], images.flip(3), images)
        labels = torch.where(turned[:, None], labels @ network.mirror, labels)
    truth = FaceParams.unpack(labels)
    damaged = round(config.augment * config.batch)
    if damaged:
        changed, changed_truth = degrade(images[:damaged], truth[:damaged], Degradation(), random)
        images = torch.cat([changed, images[damaged:]])
        truth = FaceParams.concatenate([changed_truth, truth[damaged:]])
    images, truth = processes.share(images), FaceParams.unpack(processes.share(truth.pack()))
    with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        read = network(images)
    found = FaceParams.unpack(read.float())
    parts = blocks(found, truth)
    points = landmarks(found, truth).mean() / landmark_spread
    loss = average(parts, BLOCK_WEIGHTS) + config.landmark_weight * points
    return loss, {name: float(part.detach().mean()) for name, part in parts.items()} | {"landmarks": float(points.detach())}
