"""Train the inversion encoder of a generator and, if wanted, of its latent-consistent children.

Some of every batch are the generator's own pictures, whose w is known: the encoder must find it. The others are portraits, mirrored or
not. Where the generator was trained on person codes their w is known too, up to what a code leaves open. In any case the generator's
picture of the predicted code must look like the target, in pixels at several scales and in features; that is the expensive part and done
every `image_every` steps. Inputs are damaged (blur, noise, JPEG, covered patches), targets are not. Offsets from one common w are kept
small (e4e, Tov et al. 2021, equation 4), because codes near W are the ones that edit well; and in half of the comparisons they are left
out, because the common w alone is what children and T are taught with.

Children share their parent's latent space, so one encoder serves all: every other comparison of pictures is the parent's, and the children
take turns with the rest.

Several processes (`train/parallel.py`) paint their rows of the generated pictures, damage all inputs alike, because a patch may come from
any of them, and encode their rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig import checkpoint
from crossrig.config import setting
from crossrig.data.images import open_images
from crossrig.data.portrait_set import load_portraits
from crossrig.domains.blend import check_fit
from crossrig.errors import UserError
from crossrig.features import PerceptualDistance
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.ema import WeightAverage
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for, enlarged, load_encoder, save_encoder
from crossrig.memory import keep_freed_memory
from crossrig.sheets import save_grid
from crossrig.train.degrade import Degradation, damage
from crossrig.train.generator import multiscale_l1
from crossrig.train.parallel import Processes
from crossrig.train.run import Run
from crossrig.train.state import Part, collect, restore


@dataclass(frozen=True)
class EncoderTraining:
    """Settings of a run."""

    generator: Path = setting(Path("generator.safetensors"), "checkpoint of the generator to invert")
    data: tuple[Path, ...] = setting((), "portrait archives made by `crossrig synth` in the generator's domain")
    children: tuple[Path, ...] = setting((), "checkpoints of children of the generator that the encoder is to serve as well")
    child_data: tuple[Path, ...] = setting((), "pictures for each of them, in that order: an archive or a folder of heads")
    init: Path | None = setting(None, "encoder to begin with, as one that trained along with the generator; --network-size may be larger")
    outdir: Path = setting(Path("runs/encoder"), "folder of the run; an existing one is continued")
    network: EncoderConfig = field(default_factory=EncoderConfig)
    kimg: float = setting(60.0, "thousands of pictures to train on")
    batch: int = setting(16, "pictures a step")
    made_share: float = setting(0.5, "share of them that are generated")
    lr: float = setting(1e-3, "peak learning rate of the heads")
    trunk_lr: float = setting(3e-4, "peak learning rate of the pretrained trunk")
    w_weight: float = setting(0.3, "weight of the distance to the known w, in standard deviations of W")
    offset_weight: float = setting(0.05, "weight of the squared per-layer offsets")
    perceptual_weight: float = setting(1.0, "weight of the perceptual distance")
    perceptual_size: int = setting(64, "px at which features are compared")
    paint_size: int | None = setting(None, "px at which pictures are painted and compared; none: all. Half the size, half the time")
    image_every: int = setting(2, "steps from one comparison of pictures to the next; 1: always")
    limit: int | None = setting(None, "read at most this many portraits of each archive")
    seed: int = setting(0, "seed")
    device: str = setting("cpu", "cpu or cuda")
    checkpoint_seconds: float = setting(120.0, "time between two checkpoints")
    sheet_kimg: float = setting(8.0, "thousands of pictures between two sheets")

    def __post_init__(self) -> None:
        if not 0.0 < self.made_share < 1.0:
            raise ValueError(f"made_share must lie between 0 and 1, not {self.made_share:g}")

    def side(self, generator: Generator) -> int:
        """At how many px pictures are read, painted and compared. Raises UserError when no block of the generator ends there."""
        if self.paint_size is None:
            return generator.config.resolution
        sizes = [2**level for level in range(2, generator.config.resolution.bit_length())]
        if self.paint_size not in sizes:
            raise UserError(f"The generator's blocks end at {', '.join(map(str, sizes))} px: --paint-size {self.paint_size} is not there.")
        return self.paint_size


@dataclass(frozen=True)
class Domain:
    """A frozen generator and pictures of its domain."""

    generator: Generator
    pictures: Tensor
    """(N,3,R,R) uint8 sRGB, R what `EncoderTraining.side` says"""
    codes: Tensor | None = None
    """(N,C): the person codes of the pictures, where they are codes of this generator."""

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, index: Tensor) -> Tensor:
        """(B,) indices -> pictures (B,3,R,R) float in [-1,1]."""
        return (self.pictures[index].float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def _read_parent(config: EncoderTraining) -> Domain:
    generator = load_generator(config.generator)
    portraits = load_portraits(config.data, config.side(generator), config.limit)
    # An encoder that trained along with the generator has seen more in a portrait than its code says: it is not taught the code's w again.
    coded = config.init is None and checkpoint.load_header(config.generator).get("code_size") == portraits.codes.shape[1]
    return Domain(generator, portraits.pictures, portraits.codes if coded else None)


def _read_child(config: EncoderTraining, path: Path, data: Path, parent: Generator) -> Domain:
    generator = load_generator(path)
    try:
        check_fit(parent, generator)
    except UserError as error:
        raise UserError(f"{path} is no child of the generator that the encoder is trained for. {error}") from None
    heads = open_images(data, labelled=False).read_all(config.side(generator))
    return Domain(generator, torch.from_numpy(np.stack(list(islice(heads, config.limit)))).permute(0, 3, 1, 2).contiguous())


def _read_domains(config: EncoderTraining) -> list[Domain]:
    if len(config.children) != len(config.child_data):
        raise UserError(f"There are {len(config.children)} children and {len(config.child_data)} sets of pictures; give one for each.")
    parent = _read_parent(config)
    both = zip(config.children, config.child_data, strict=True)
    return [parent, *(_read_child(config, path, data, parent.generator) for path, data in both)]


def _turn(domains: Sequence[Domain], number: int) -> Domain:
    """Whose turn it is at the comparison `number` of pictures: the parent's every second time."""
    parent, *children = domains
    return children[number // 2 % len(children)] if number % 2 and children else parent


def train(config: EncoderTraining, domains: list[Domain] | None = None) -> Path:
    """Train or resume the run in ``config.outdir``; returns ``encoder.safetensors`` in it.

    ``domains``, the parent's first, stand in for the files named in the settings. Raises UserError when those cannot be read or do not
    belong together, or a batch cannot be shared evenly by the processes.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    if config.device == "cpu":
        keep_freed_memory()
    generated_for = "" if domains is not None else checkpoint.sha256(config.generator)
    domains = domains or _read_domains(config)
    for domain in domains:
        domain.generator.to(config.device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    parent = domains[0].generator
    torch.manual_seed(config.seed)
    encoder = _start(config, parent).to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(encoder, half_life=1000.0 * min(2.0, config.kimg / 20))
    perceptual = PerceptualDistance(config.perceptual_size).to(config.device)
    rotation = code_rotation(parent.config.z_dim)
    trunk = list(encoder.eyes.parameters())
    in_trunk = {id(parameter) for parameter in trunk}
    heads = [parameter for parameter in encoder.parameters() if id(parameter) not in in_trunk]
    optimiser = torch.optim.AdamW([{"params": heads}, {"params": trunk}], lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-3)
    rates = (config.lr, config.trunk_lr)
    parts: dict[str, Part] = {"encoder": encoder, "average": average.module, "optimiser": optimiser}
    path = config.outdir / "encoder.safetensors"
    with Run.open(config.outdir, config) as run:
        images = 0
        figures: dict[str, float] = {}
        if (latest := run.latest()) is not None:
            images = latest[0]
            restore(latest[1], parts)
        processes.align(*parts.values())
        total, batch, side = round(1000 * config.kimg), config.batch, config.side(parent)
        made_count = min(processes.rounded(batch * config.made_share), batch - processes.count)
        while images < total:
            run.seed(images)
            step = images // batch
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _schedule(images / total)
            random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            domain = _turn(domains, step // config.image_every)
            generator = domain.generator
            with torch.no_grad():
                index = torch.randint(len(domain), (batch - made_count,))
                real = domain.batch(index)  # (B - m,3,R,R)
                z = torch.randn(made_count, generator.config.z_dim)
                if domain.codes is not None:
                    z = torch.cat([z, z_from_code(domain.codes[index], rotation)])
                elif torch.rand(()) < 0.5:
                    real = real.flip(3)
                w = generator.map(z.to(config.device))  # (m or B,W)
                paint = processes.by_rows(generator.synthesise)
                styles = generator.affine(processes.share(w[:made_count]))
                made = processes.gather(paint(styles, noise="random", resolution=side)).clamp(-1, 1)  # (m,3,R,R)
            target = torch.cat([made, real.to(config.device)])  # (B,3,R,R)
            damaged = damage(target.cpu(), Degradation(), random)
            target, damaged, w = processes.share(target), processes.share(damaged), processes.share(w)
            base, offsets = encoder.parts(damaged.to(config.device))

            apart = F.smooth_l1_loss(base[: len(w)], (w - encoder.w_mean) / encoder.w_scale)
            spread = offsets.square().mean()
            loss = config.w_weight * apart + config.offset_weight * spread
            losses = {"w": apart, "offsets": spread}
            if step % config.image_every == 0:
                kept = offsets * float(torch.rand(()) < 0.5)
                found = generator.synthesise(generator.affine(encoder.assemble(base, kept)), resolution=side)
                pixel, feature = multiscale_l1(found, target), perceptual(found, target).mean()
                loss = loss + pixel + config.perceptual_weight * feature
                losses |= {"pixel": pixel, "perceptual": feature}
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            processes.average(optimiser)
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 5.0)
            optimiser.step()

            images += batch
            average.update(encoder, batch, images)
            figures |= processes.mean({name: float(value.detach()) for name, value in losses.items()})
            run.progress(images, total, **figures)
            if run.due(20.0, "log") or images >= total:
                run.log(images, **figures)
            if processes.first and (_crossed(images, batch, round(1000 * config.sheet_kimg)) or images >= total):
                _save_sheet(config.outdir / f"sheet-{images:07d}.png", average.module, domains)
            if run.due(config.checkpoint_seconds) or images >= total:
                run.save(images, collect(parts))
                if processes.first:
                    save_encoder(path, average.module, {"generator": generated_for, "images_seen": images, "licence": "Apache-2.0"})
    return path


def _start(config: EncoderTraining, parent: Generator) -> Encoder:
    if config.init is None:
        return encoder_for(parent, config.network)
    encoder = load_encoder(config.init)
    if encoder.config.size < config.network.size:
        encoder = enlarged(encoder, config.network.size)
    if encoder.config != encoder_for(parent, config.network, pretrained=False).config:
        raise UserError(f"{config.init} is an encoder of {encoder.config}: it does not fit the generator or the settings; start without.")
    return encoder.train().requires_grad_(True)


@torch.no_grad()
def _save_sheet(path: Path, encoder: Encoder, domains: list[Domain], count: int = 16) -> None:
    """For every domain a row of its pictures above what its generator makes of their codes."""
    rows = []
    for domain in domains:
        real = domain.batch(torch.linspace(0, len(domain) - 1, count).long()).to(encoder.w_mean.device)
        rows += [real, domain.generator.synthesise(domain.generator.affine(encoder(real)), resolution=real.shape[-1])]
    save_grid(path, torch.cat(rows), columns=count)


def _schedule(progress: float) -> float:
    """Learning-rate factor: a short linear rise, then half a cosine down to 2 %."""
    return min(1.0, progress / 0.02 + 0.02) * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def _crossed(images: int, step: int, every: int) -> bool:
    return every > 0 and images // every != (images - step) // every

