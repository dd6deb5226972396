"""Train the inversion encoder of a generator and, if wanted, of its latent-consistent child.

Half of every batch are the generator's own pictures, whose w is known: the encoder must find it. The other half are portraits. Where the
generator was trained on person codes their w is known too, up to what a code leaves open. In any case the generator's picture of the
predicted code must look like the target, in pixels at several scales and in features; that is the expensive part and done every
`image_every` steps. Inputs are damaged (blur, noise, JPEG, covered patches), targets are not. Offsets from one common w are kept
small (e4e, Tov et al. 2021, equation 4), because codes near W are the ones that edit well.

A child shares its parent's latent space, so one encoder serves both: steps take turns between the domains.

Several processes (`train/parallel.py`) paint their rows of the generated pictures, damage all inputs alike, because a patch may come from
any of them, and encode their rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

from crossrig import checkpoint
from crossrig.config import setting
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.errors import UserError
from crossrig.features import PerceptualDistance
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.ema import WeightAverage
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.inversion.optimise import centre_weight, multiscale_l2
from crossrig.memory import keep_freed_memory
from crossrig.sheets import save_grid
from crossrig.train.degrade import Degradation, damage
from crossrig.train.parallel import Processes
from crossrig.train.run import Run
from crossrig.train.state import Part, collect, restore


@dataclass(frozen=True)
class EncoderTraining:
    """Settings of a run."""

    generator: Path = setting(Path("generator.safetensors"), "checkpoint of the generator to invert")
    data: tuple[Path, ...] = setting((), "portrait archives made by `crossrig synth` in the generator's domain")
    child: Path | None = setting(None, "checkpoint of a child generator (toon) that the encoder is to serve as well")
    child_data: tuple[Path, ...] = setting((), "portrait archives in the child's domain")
    init: Path | None = setting(None, "encoder to begin with: the one that trained along with the generator")
    outdir: Path = setting(Path("runs/encoder"), "folder of the run; an existing one is continued")
    network: EncoderConfig = field(default_factory=EncoderConfig)
    kimg: float = setting(60.0, "thousands of pictures to train on")
    batch: int = setting(16, "pictures a step; half of them generated")
    lr: float = setting(1e-3, "peak learning rate of the heads")
    trunk_lr: float = setting(3e-4, "peak learning rate of the pretrained trunk")
    w_weight: float = setting(0.3, "weight of the distance to the known w, in standard deviations of W")
    offset_weight: float = setting(0.05, "weight of the squared per-layer offsets")
    perceptual_weight: float = setting(1.0, "weight of the perceptual distance")
    perceptual_size: int = setting(64, "px at which features are compared")
    image_every: int = setting(2, "steps from one comparison of pictures to the next; 1: always")
    limit: int | None = setting(None, "read at most this many portraits of each archive")
    seed: int = setting(0, "seed")
    device: str = setting("cpu", "cpu or cuda")
    checkpoint_seconds: float = setting(120.0, "time between two checkpoints")
    sheet_kimg: float = setting(8.0, "thousands of pictures between two sheets")


@dataclass(frozen=True)
class Domain:
    """A frozen generator, portraits of its domain, and whether their person codes are codes of this generator."""

    generator: Generator
    portraits: PortraitSet
    coded: bool = False


def _read_domain(path: Path, data: tuple[Path, ...], config: EncoderTraining) -> Domain:
    generator = load_generator(path)
    portraits = load_portraits(data, generator.config.resolution, config.limit)
    # An encoder that trained along with the generator has seen more in a portrait than its code says: it is not taught the code's w again.
    coded = config.init is None and checkpoint.load_header(path).get("code_size") == portraits.codes.shape[1]
    return Domain(generator, portraits, coded)


def _read_domains(config: EncoderTraining) -> list[Domain]:
    domains = [_read_domain(config.generator, config.data, config)]
    if config.child is not None:
        domains.append(_read_domain(config.child, config.child_data, config))
        if domains[0].generator.config != domains[1].generator.config:
            raise UserError(f"{config.child} has another architecture than {config.generator}; give a child that was fine-tuned from it.")
    return domains


def train(config: EncoderTraining, domains: list[Domain] | None = None) -> Path:
    """Train or resume the run in ``config.outdir``; returns ``encoder.safetensors`` in it.

    ``domains``, the parent's first, stand in for the files named in the settings. Raises UserError when those cannot be read, or the halves
    of a batch cannot be shared evenly by the processes.
    """
    processes = Processes.join()
    processes.check_batch(config.batch, 2)
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
    weight = centre_weight(parent.config.resolution).to(config.device)
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
        total, half = round(1000 * config.kimg), max(1, config.batch // 2)
        while images < total:
            run.seed(images)
            step = images // (2 * half)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _schedule(images / total)
            random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            domain = domains[step // config.image_every % len(domains)]
            generator = domain.generator
            with torch.no_grad():
                real, _, codes = domain.portraits.batch(torch.randint(len(domain.portraits), (half,)))
                z = torch.randn(half, generator.config.z_dim)
                if domain.coded:
                    z = torch.cat([z, z_from_code(codes, rotation)])
                w = generator.map(z.to(config.device))  # (b or 2b, W)
                paint = processes.by_rows(generator.synthesise)
                made = processes.gather(paint(generator.affine(processes.share(w[:half])), noise="random")).clamp(-1, 1)
            target = torch.cat([made, real.to(config.device)])  # (2b, 3, R, R)
            damaged = damage(target.cpu(), Degradation(), random)
            target, damaged, w = processes.share(target), processes.share(damaged), processes.share(w)
            base, offsets = encoder.parts(damaged.to(config.device))

            apart = F.smooth_l1_loss(base[: len(w)], (w - encoder.w_mean) / encoder.w_scale)
            spread = offsets.square().mean()
            loss = config.w_weight * apart + config.offset_weight * spread
            losses = {"w": apart, "offsets": spread}
            if step % config.image_every == 0:
                found = generator.synthesise(generator.affine(encoder.assemble(base, offsets)))
                pixel, feature = multiscale_l2(found, target, weight), perceptual(found, target).mean()
                loss = loss + pixel + config.perceptual_weight * feature
                losses |= {"pixel": pixel, "perceptual": feature}
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            processes.average(optimiser)
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 5.0)
            optimiser.step()

            images += 2 * half
            average.update(encoder, 2 * half, images)
            figures |= processes.mean({name: float(value.detach()) for name, value in losses.items()})
            run.progress(images, total, **figures)
            if run.due(20.0, "log") or images >= total:
                run.log(images, **figures)
            if processes.first and (_crossed(images, 2 * half, round(1000 * config.sheet_kimg)) or images >= total):
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
    if encoder.config != encoder_for(parent, config.network, pretrained=False).config:
        raise UserError(f"{config.init} is an encoder of {encoder.config}: it does not fit the generator or the settings; start without.")
    return encoder.train().requires_grad_(True)


@torch.no_grad()
def _save_sheet(path: Path, encoder: Encoder, domains: list[Domain], count: int = 16) -> None:
    """For every domain a row of portraits above what its generator makes of their codes."""
    rows = []
    for domain in domains:
        index = torch.linspace(0, len(domain.portraits) - 1, count).long()
        real = domain.portraits.batch(index)[0].to(encoder.w_mean.device)
        rows += [real, domain.generator.synthesise(domain.generator.affine(encoder(real)))]
    save_grid(path, torch.cat(rows), columns=count)


def _schedule(progress: float) -> float:
    """Learning-rate factor: a short linear rise, then half a cosine down to 2 %."""
    return min(1.0, progress / 0.02 + 0.02) * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def _crossed(images: int, step: int, every: int) -> bool:
    return every > 0 and images // every != (images - step) // every

