"""Train the human generator: a supervised start from person codes, then projected adversarial training.

Two stages, one loop. *Supervised*: z contains the code of a portrait (`gan.codes`), so the picture that G must paint for
z is known and multi-scale L1 plus a perceptual distance train it, with no game to balance. *Adversarial* (Projected
GAN, Sauer 2021, section 3): a projected discriminator sharpens what L1 leaves blurred, on the paired pictures and on
style-mixed ones, while the supervised loss keeps the variety and the meaning of z. The result is an ordinary StyleGAN2.

What a mapping network can learn about a person from a code and some ten thousand examples is not all there is to see. With `encode`, an
encoder trains along: most pictures are painted from the w that it finds in the portrait itself, which lets the synthesis network learn
haircuts and glasses that the code would only hint at, while the mapping network learns to predict that w from z. Encoder and mapping are
drawn to each other, so that w stays what z can say. The encoder is the start of every inversion afterwards (`train/encoder.py`).

Mouths and eyes are few pixels and yet most of an expression: with a `reader`, a frozen reconstruction network, the painted picture must
also read as the portrait does (imitative learning, DiscoFaceGAN, Deng 2020, section 3.2; there with rendered pictures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossrig import checkpoint
from crossrig.config import setting
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.domains.finetune import hold_latent_space, hold_layers
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.features import PerceptualDistance, TextureDifference, resize
from crossrig.gan.augment import Augmentation
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.ema import WeightAverage
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.losses import hinge_discriminator, hinge_generator
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.gan.stylespace import StyleSpace
from crossrig.gan.weights import grow, load_generator, save_generator
from crossrig.inversion.encoder import Encoder, encoder_for, load_encoder, save_encoder
from crossrig.memory import keep_freed_memory
from crossrig.rig.losses import BlockLosses, average
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction
from crossrig.sheets import save_grid
from crossrig.train.parallel import Processes
from crossrig.train.run import Run
from crossrig.train.state import Part, collect, restore
from crossrig.train.views import close_up, critics, eyes_and_mouth
from crossrig.train.warm_start import warm_mapping

#: Expressions count more in what the reader finds: they are what pixels neglect.
READER_WEIGHTS = {"expression": 2.0}
_HELD = 32  # known people, and as many free samples, painted in every sheet


@dataclass(frozen=True)
class GeneratorTraining:
    """Settings of a run; lengths in thousands of images (kimg)."""

    outdir: Path
    data: tuple[Path, ...] = setting((), "portrait archives made by `crossrig synth`")
    resolution: int = setting(128, "px, a power of two")
    channels: tuple[int, ...] = setting((256, 256, 128, 64, 32, 16), "feature channels at 4, 8, 16 ... px")
    mapping_layers: int = setting(3, "layers of the mapping network")
    mapping_lr_mul: float = setting(1.0, "learning-rate multiplier of the mapping network; regression needs more than StyleGAN2's 0.01")
    batch: int = setting(16, "portraits a step")
    kimg: float = setting(250.0, "length of the run; the learning rate falls along it")
    supervised_kimg: float = setting(150.0, "images before the discriminator joins")
    warm_steps: int = setting(2000, "steps on the mapping network alone before the first image (train/warm_start.py)")
    lr: float = setting(5e-3, "learning rate of the generator")
    discriminator_lr: float = setting(1e-3, "learning rate of the discriminator")
    perceptual_weight: float = setting(0.5, "weight of the perceptual distance beside L1")
    perceptual_size: int = setting(64, "px at which the perceptual distance looks, a multiple of 32")
    texture_weight: float = setting(0.0, "weight of how differently the pictures vary within small windows (features.TextureDifference)")
    discriminator_size: int = setting(96, "px at which the discriminator's frozen features look, a multiple of 32")
    augment_probability: float = setting(0.5, "share of the pictures augmented before the discriminator sees them")
    adversarial_weight: float = setting(0.15, "weight of the adversarial loss beside L1")
    l1_size: int | None = setting(
        None, "px at which L1 compares once the discriminator has joined; none: all. Finer, L1 prefers one blurred strand to two sharp ones"
    )
    mixing: float = setting(0.5, "share of the style-mixed samples that really mix")
    torgb_swap: float = setting(0.5, "share of the known portraits painted with another person's toRGB styles (see swap_torgb)")
    ema_kimg: float = setting(1.0, "half-life of the averaged generator")
    limit: int | None = setting(None, "read at most this many portraits of each archive")
    reader: Path | None = setting(None, "reconstruction network that must read the same parameters in both pictures; none: not asked")
    reader_weight: float = setting(1.0, "weight of what the reader finds different")
    reader_every: int = setting(2, "steps from one reading to the next")
    encode: bool = setting(False, "train an encoder along, and paint most portraits from what it sees in them")
    encoder_init: Path | None = setting(None, "encoder of a generator with the same W to begin with")
    shown: tuple[Path, ...] = setting((), "with --encode: archives of the people of --data as the encoder knows them, in the same order")
    encoder_lr: float = setting(4e-4, "learning rate of the encoder")
    known_share: float = setting(0.25, "with --encode: share of the portraits that are painted from their code all the same")
    agreement_weight: float = setting(0.3, "with --encode: weight of the distance between mapped and encoded w, in standard deviations")
    predictable_weight: float = setting(0.1, "of that: how much the encoder gives in to the mapping network")
    init: Path | None = setting(None, "generator of the same or a lower resolution to begin with")
    hold_latent: bool = setting(
        False, "latent-consistent fine-tuning of --init (domains/finetune.py): to another domain, or to more pixels for the same codes"
    )
    hold_affine: bool = setting(
        False, "hold the affine layers of --init still, so that a style keeps its meaning: rig and children go on fitting, if less exactly"
    )
    freeze: tuple[str, ...] = setting((), "blocks or layers of --init held still: b4,b8 (FreezeG)")
    paint_size: int | None = setting(
        None, "px at which known portraits are painted and compared before the discriminator joins; none: all. Half the size, half the time"
    )
    close_ups: float = setting(
        0.0, "share of the steps in which perceptual distance, discriminator and half of L1 look at a window of few px, not at everything"
    )
    on_eyes_and_mouth: float = setting(0.0, "share of the close-ups of known portraits that are laid on an eye or the mouth")
    precision: Precision = setting("auto", "number format of the features; auto: the fastest on this machine (gan/precision.py)")
    seed: int = setting(0, "seed")
    checkpoint_seconds: float = setting(150.0, "time between checkpoints")
    sheet_kimg: float = setting(5.0, "images between two sheets of samples")

    def __post_init__(self) -> None:
        if not 0.0 <= self.close_ups <= 1.0:
            raise ValueError(f"close_ups must be between 0 and 1, not {self.close_ups:g}")
        if not 0.0 <= self.on_eyes_and_mouth <= 1.0:
            raise ValueError(f"on_eyes_and_mouth must be between 0 and 1, not {self.on_eyes_and_mouth:g}")
        sizes = [2**level for level in range(2, self.resolution.bit_length())]
        if self.paint_size is not None and self.paint_size not in sizes:
            raise ValueError(f"paint_size must be one of {', '.join(map(str, sizes))}, not {self.paint_size}")
        if self.l1_size is not None and self.l1_size not in sizes:
            raise ValueError(f"l1_size must be one of {', '.join(map(str, sizes))}, not {self.l1_size}")
        if (self.hold_affine or self.freeze) and self.init is None:
            raise ValueError("hold_affine and freeze need a generator to begin with: init")


def multiscale_l1(fake: Tensor, real: Tensor, levels: int = 3, finest: int = 0) -> Tensor:
    """Mean absolute difference of pictures (B,3,R,R), averaged over `levels` octaves: the large must match first.

    The `finest` octaves are left out before, and R is a multiple of 2**(finest + levels - 1).
    """
    if finest:
        fake, real = F.avg_pool2d(fake, 2**finest), F.avg_pool2d(real, 2**finest)
    total = F.l1_loss(fake, real)
    for _ in range(levels - 1):
        fake, real = F.avg_pool2d(fake, 2), F.avg_pool2d(real, 2)
        total = total + F.l1_loss(fake, real)
    return total / levels


def mix_styles(w: Tensor, layers: int, probability: float) -> Tensor:
    """Style mixing (Karras 2019, section 3.1): w (B,W) -> w_plus (B,layers,W).

    With `probability` the layers from a random crossover on come from another sample of the batch.
    """
    batch = w.shape[0]
    crossover = torch.randint(1, layers, (batch, 1, 1))
    coarse = torch.arange(layers)[None, :, None] < crossover  # (B, layers, 1)
    whole = torch.rand(batch, 1, 1) > probability
    return torch.where(coarse | whole, w[:, None], w[torch.randperm(batch)][:, None])


def swap_torgb(space: StyleSpace, s: Tensor, share: float) -> Tensor:
    """Style codes (B,S) in which a share of the codes has the toRGB styles of the next one.

    Painting the same portrait from such codes teaches the convolutions to hold all colour and light. Left to itself a generator trained
    on known portraits puts half of them into toRGB, whose styles the rig never edits (CDDFM3D, section 3.3).
    """
    chosen = torch.rand(len(s), 1) < share  # (B,1)
    torgb = space.mask([layer.name for layer in space.layers if layer.kind == "torgb"])  # (S,)
    return torch.where(chosen & torgb, s.roll(1, 0), s)


def _one_of(places: Tensor, share: float) -> Tensor:
    """One (B,2) of everybody's places (B,3,2) for about a `share` of them, of the others not a number."""
    chosen = places[torch.arange(len(places)), torch.randint(places.shape[1], (len(places),))]
    return torch.where(torch.rand(len(places), 1) < share, chosen, torch.nan)


def learning_rate_factor(images: int, total: int) -> float:
    """A short linear rise, then a cosine fall to a twentieth at the end of the run."""
    rise = min(1.0, (images + 1) / 2000.0)
    return rise * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, images / total))))


class Reader:
    """A frozen reconstruction network that compares what it reads in two batches of pictures (B,3,R,R)."""

    def __init__(self, network: Reconstruction, model: FaceModel, labels: Tensor) -> None:
        """`labels` (N,213): the population whose spreads the differences are measured in."""
        self.network = network.eval().requires_grad_(False)
        self.blocks = BlockLosses(Units.of(model), FaceParams.unpack(labels))

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        """Mean squared difference of the readings, about 1 for pictures of people who have nothing to do with each other."""
        with torch.no_grad():
            wanted = FaceParams.unpack(self.network(real))
        return average(self.blocks(FaceParams.unpack(self.network(fake)), wanted), READER_WEIGHTS)


def agreement(mapped: Tensor, encoded: Tensor, scale: Tensor, predictable: float) -> Tensor:
    """How far the w of a code and the w of its portrait, (B,W) each, lie apart, in mean squared standard deviations `scale` (W,).

    The mapping network feels all of it, the encoder a share `predictable`: what no code can tell must not fill w.
    """
    chasing = ((mapped - encoded.detach()) / scale).square().mean()
    giving_in = ((encoded - mapped.detach()) / scale).square().mean()
    return chasing + predictable * giving_in


def _partners(config: GeneratorTraining, portraits: PortraitSet) -> PortraitSet:
    """The pictures that the encoder looks at: one for each portrait, of the same person."""
    if not config.shown:
        return portraits
    shown = load_portraits(config.shown, config.resolution, config.limit)
    if len(shown) < len(portraits) or not torch.equal(shown.codes[: len(portraits)], portraits.codes):
        raise UserError("The archives of --shown do not hold the people of --data in the same order: make both from the same --seed.")
    return shown


def _start_encoder(config: GeneratorTraining, generator: Generator) -> Encoder:
    if config.encoder_init is None:
        return encoder_for(generator)
    given = load_encoder(config.encoder_init)
    encoder = encoder_for(generator, given.config)
    # The offsets, one for every layer, are no part of this training and may be of a smaller generator.
    own = encoder.state_dict()
    encoder.load_state_dict(own | {name: tensor for name, tensor in given.state_dict().items() if tensor.shape == own[name].shape})
    return encoder


@torch.no_grad()
def _seen(encoder: Encoder, shown: PortraitSet, batch: int = 64) -> Tensor:
    """The w (N,W) that a frozen encoder finds in every portrait: found once, not at every step."""
    return torch.cat([encoder.common_w(shown.batch(index)[0]) for index in torch.split(torch.arange(len(shown)), batch)])


def _start(config: GeneratorTraining) -> tuple[Generator, StyleSpace | None]:
    """The generator to train, and the style space that it grew from."""
    settings = GeneratorConfig(
        resolution=config.resolution,
        channels=config.channels,
        mapping_layers=config.mapping_layers,
        mapping_lr_mul=config.mapping_lr_mul,
    )
    generator = Generator(settings)
    if config.init is None:
        return generator, None
    parent = load_generator(config.init)
    generator.load_state_dict(grow(parent.state_dict(), parent.config, settings, seed=config.seed))
    return generator, parent.style_space


def train(config: GeneratorTraining) -> Path:
    """Train, or resume, the run in `config.outdir`; returns the checkpoint of the averaged generator.

    Several processes (`train/parallel.py`) share every batch: maps and styles are computed for all of it by each, pictures are painted and
    judged by rows. Raises UserError when the archives cannot be read, the folder belongs to another recipe or the halves of a batch cannot
    be shared evenly.
    """
    processes = Processes.join()
    processes.check_batch(config.batch, 2)
    with Run.open(config.outdir, config) as run:
        run.seed(0)
        keep_freed_memory()
        portraits = load_portraits(config.data, config.resolution, config.limit)
        shown = _partners(config, portraits)
        generator, known = _start(config)
        z_dim, code_size = generator.config.z_dim, portraits.codes.shape[1]
        rotation = code_rotation(z_dim)
        perceptual = PerceptualDistance(config.perceptual_size)
        texture = TextureDifference(config.perceptual_size) if config.texture_weight else None
        reader = Reader(load_reconstruction(config.reader), FaceModel.load(), portraits.labels) if config.reader else None
        discriminators = critics(config.discriminator_size, config.close_ups)
        judged_by = nn.ModuleList(discriminators)
        # weak colour changes and no holes: stronger ones leak into the samples
        augment = Augmentation(brightness=0.2, saturation=0.3, contrast=0.2, shift=0.125, cutout=0.0)
        averaged = WeightAverage(generator, half_life=1000.0 * config.ema_kimg)
        encoder = _start_encoder(config, generator) if config.encode else None
        if config.hold_latent or config.hold_affine:
            hold_latent_space(generator, known)
        if not config.hold_latent:
            generator.mapping.requires_grad_(True)
        hold_layers(generator, config.freeze)
        trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [{"params": trained, "peak": config.lr}]
        moving = encoder is not None and not config.shown  # people of another domain are found by the parent's encoder, as it is
        if encoder is not None and moving:
            groups.append({"params": list(encoder.parameters()), "peak": config.encoder_lr})
        optimiser = torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))
        critic = torch.optim.Adam(judged_by.parameters(), lr=config.discriminator_lr, betas=(0.0, 0.99))
        parts: dict[str, Part] = {
            "generator": generator,
            "average": averaged.module,
            "discriminators": judged_by,
            "optimiser": optimiser,
            "critic": critic,
        }
        seeing = WeightAverage(encoder, half_life=1000.0 * config.ema_kimg) if encoder is not None else None
        if encoder is not None and seeing is not None:
            parts |= {"encoder": encoder, "encoder_average": seeing.module}
        found = _seen(encoder, shown) if encoder is not None and not moving else None
        held_z = torch.cat([z_from_code(portraits.codes[:_HELD], rotation), torch.randn(_HELD, z_dim)])
        places = eyes_and_mouth(portraits.labels, FaceModel.load()) if config.on_eyes_and_mouth else None  # (N,3,2)
        images = 0
        if (latest := run.latest()) is not None:
            images = latest[0]
            restore(latest[1], parts)
        elif config.init is None and config.warm_steps:
            explained = warm_mapping(generator, portraits, rotation, config.warm_steps)
            averaged.module.load_state_dict(generator.state_dict())
            run.say(f"the mapping network explains {explained:.0%} of what it should tell about unseen portraits")
        processes.align(*parts.values())
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        total, batch, dtype = round(1000 * config.kimg), config.batch, processes.of_first(lambda: feature_dtype(config.precision))
        paint, augmented, windows = processes.by_rows(generator.synthesise), processes.by_rows(augment), processes.by_rows(close_up)
        path = config.outdir / "generator.safetensors"

        while images < total:
            run.seed(images)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * learning_rate_factor(images, total)
            index = torch.randint(len(portraits), (batch,))
            own = processes.share(index)  # (b,), b = B / processes
            real = portraits.batch(own)[0]  # (b,3,R,R)

            w = mapped = generator.map(z_from_code(portraits.codes[index], rotation))  # (B,W)
            if not config.hold_latent:
                generator.track_w(w)
            if encoder is not None:
                if found is None:
                    encoded = processes.gather(encoder.common_w(shown.batch(own)[0] if config.shown else real))  # (B,W)
                else:
                    encoded = found[index]
                w = torch.where(torch.rand(batch, 1) < config.known_share, mapped, encoded)
            s = processes.share(swap_torgb(generator.style_space, generator.affine(w), config.torgb_swap))  # (b,S)
            adversarial = images >= 1000 * config.supervised_kimg
            if config.paint_size is not None and not adversarial:
                real = resize(real, config.paint_size)
            fake = paint(s, "random", dtype, real.shape[-1])  # (b,3,R,R)
            close = bool(torch.rand(()) < config.close_ups)
            at = processes.share(_one_of(places[index], config.on_eyes_and_mouth)) if close and places is not None else None  # (b,2)
            near = windows((fake, real), config.perceptual_size, at) if close else (fake, real)
            finest = (config.resolution // config.l1_size).bit_length() - 1 if adversarial and config.l1_size else 0
            pixel, feature = multiscale_l1(fake, real, finest=finest), perceptual(*near).mean()
            if close:  # an eye is few of all pixels
                pixel = 0.5 * (pixel + multiscale_l1(near[0], near[1], finest=finest))
            loss = pixel + config.perceptual_weight * feature
            figures = {"l1": pixel.item(), "perceptual": feature.item()}
            if texture is not None:
                rough = texture(*near).mean()
                loss = loss + config.texture_weight * rough
                figures["texture"] = rough.item()
            if encoder is not None and moving:
                apart_w = agreement(mapped, encoded, encoder.w_scale, config.predictable_weight)
                loss = loss + config.agreement_weight * apart_w
                figures["agreement"] = apart_w.item()
            if reader is not None and (images // batch) % config.reader_every == 0:
                read = reader(fake, real)
                loss = loss + config.reader_weight * read
                figures["read"] = read.item()
            if adversarial:
                half = batch // 2
                others = generator.map(torch.randn(batch - half, z_dim))
                w_plus = mix_styles(others, generator.style_space.w_count, config.mixing)
                mixed = paint(processes.share(generator.affine(w_plus)), "random", dtype)
                fakes = torch.cat([fake[: processes.portion(half)], mixed])  # (b,3,R,R)
                discriminator, reals = discriminators[int(close)], real
                if close:
                    if at is not None:  # nobody knows where the mixed ones have their eyes
                        at = torch.where(torch.arange(len(at))[:, None] < processes.portion(half), at, torch.nan)
                    fakes, reals = windows((fakes, real), config.discriminator_size, at)
                fake_features = discriminator.project(augmented(fakes, config.augment_probability))
                discriminator.judges.requires_grad_(False)
                fooled = hinge_generator(torch.cat(list(discriminator.judge(fake_features)), dim=1))
                discriminator.judges.requires_grad_(True)
                loss = loss + config.adversarial_weight * fooled
                figures["fooled"] = fooled.item()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            processes.average(optimiser)
            optimiser.step()

            if adversarial:
                with torch.no_grad():
                    real_features = discriminator.project(augmented(reals, config.augment_probability))
                scores_real, scores_fake = (
                    torch.cat(list(discriminator.judge([feature.detach() for feature in features])), dim=1)
                    for features in (real_features, fake_features)
                )
                apart = hinge_discriminator(scores_real, scores_fake)
                critic.zero_grad(set_to_none=True)
                apart.backward()  # type: ignore[no-untyped-call]
                processes.average(critic)
                critic.step()
                figures["apart"] = apart.item()

            images += batch
            averaged.update(generator, batch, images)
            if encoder is not None and seeing is not None and moving:
                seeing.update(encoder, batch, images)
            figures = processes.mean(figures)
            run.progress(images, total, **figures)
            if not math.isfinite(figures["l1"]):
                raise UserError(f"{config.outdir}: training diverged at {images} images; give the same command with a lower --lr.")
            if run.due(20.0, "log") or images >= total:
                run.log(images, **figures)
            if processes.first and ((images // batch) % max(1, round(1000 * config.sheet_kimg / batch)) == 0 or images >= total):
                with torch.no_grad():
                    sheet = averaged.module(held_z)
                    truth = portraits.batch(torch.arange(min(_HELD, len(portraits))))[0]
                    rows = [truth, sheet]
                    if seeing is not None:
                        faces = shown.batch(torch.arange(len(truth)))[0]
                        rows.insert(1, averaged.module.synthesise(averaged.module.affine(seeing.module.common_w(faces))))
                save_grid(config.outdir / f"sheet-{images:07d}.png", torch.cat(rows), columns=16)
            if run.due(config.checkpoint_seconds) or images >= total:
                run.save(images, collect(parts))
                _export(run, config, images, code_size, averaged.module, seeing.module if seeing is not None else None)
        run.save(images, collect(parts))
        _export(run, config, images, code_size, averaged.module, seeing.module if seeing is not None else None)
        return path


def _export(run: Run, config: GeneratorTraining, images: int, code_size: int, generator: Generator, encoder: Encoder | None) -> None:
    """Write the averaged networks."""
    if not run.processes.first:
        return
    path = config.outdir / "generator.safetensors"
    save_generator(path, generator, header_facts(config, images, code_size))
    if encoder is not None:
        header = {"generator": checkpoint.sha256(path), "images_seen": images, "licence": "Apache-2.0"}
        save_encoder(config.outdir / "encoder.safetensors", encoder, header)


def header_facts(config: GeneratorTraining, images: int, code_size: int) -> dict[str, object]:
    """What a generator checkpoint says about its training."""
    return {
        "images_seen": images,
        "code_size": code_size,
        "data": [Path(archive).name for archive in config.data],
        "licence": "Apache-2.0",
    }
