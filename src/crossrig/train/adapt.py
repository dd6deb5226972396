"""Adapt a generator to a folder of pictures: latent-consistent fine-tuning without labels (CDDFM3D, section 3.4).

    codes s, one for parent and child --> parent's pictures, child's pictures
    child's pictures + the folder's   --> projected discriminator (Projected GAN, Sauer 2021): look like these
                                      --> moments of its features (Salimans 2016, section 3.1), a pull in the right direction long
                                          before the discriminator knows what to look for
    child's pictures + parent's       --> structure_distance (domains/consistency.py): stay these people
    the folder's, if asked for        --> encoder --> child: paint them again (domains/repainting.py)

What is held still says which of the two wins where: mapping network and affine layers always, so that z, w and s keep their meaning; blocks
of the synthesis network by name (`freeze`, FreezeG); the discriminator's feature network always, more of it if asked (FreezeD). The
discriminator's pictures are augmented as often as it overfits (StyleGAN2-ADA, Karras 2020, section 3). A reconstruction network that is
asked nothing during training reads both generators' pictures of the same codes from time to time; when they no longer agree the run
ends, and the generator of the last agreement is its result. It also ends when the style comes no nearer for long (domains/style.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crossrig import assets, checkpoint
from crossrig.config import setting
from crossrig.data.aligned import AlignedSet, align_images
from crossrig.data.images import open_images
from crossrig.domains.blend import check_fit
from crossrig.domains.consistency import Consistency, structure_distance
from crossrig.domains.finetune import hold_latent_space, hold_layers
from crossrig.domains.generators import generator_file
from crossrig.domains.repainting import Repainting
from crossrig.domains.style import StyleDistance
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.gan.augment import AdaptiveProbability, Augmentation
from crossrig.gan.ema import WeightAverage
from crossrig.gan.generator import Generator
from crossrig.gan.losses import feature_moments, hinge_discriminator, hinge_generator
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.gan.weights import load_generator, save_generator
from crossrig.inversion.encoder import load_encoder, save_encoder
from crossrig.memory import keep_freed_memory
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.weights import load_reconstruction
from crossrig.sheets import save_grid
from crossrig.train.generator import learning_rate_factor, mix_styles
from crossrig.train.parallel import Processes
from crossrig.train.run import Run, read_log
from crossrig.train.state import Part, collect, restore
from crossrig.train.views import close_up, critics

_HELD = 64  # codes whose pictures are compared
_SHOWN = 16  # of them, in every sheet
_COMPARED = 256  # pictures of the domain that the style is measured against
_FEW = 100  # faces; of fewer a child learns more the people than the style
_TARGET_SIGN = 0.6  # of the logits of real pictures, above which the discriminator overfits (Karras 2020, section 3)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class AdaptTraining:
    """Settings of a run; lengths in thousands of images (kimg)."""

    outdir: Path
    images: Path = field(metadata={"help": "folder or ZIP of pictures of the new domain, a few hundred faces or more"})
    name: str = field(metadata={"help": "name of the new domain"})
    parent: str = setting("human", "generator to begin with: human, toon, a domain of your own or a checkpoint")
    init: Path | None = setting(None, "child of the same parent to go on from, instead of the parent itself")
    aligned: bool = setting(False, "the pictures are heads cut out already, as `crossrig synth` makes them: look for no faces")
    limit: int | None = setting(10_000, "at most this many pictures, chosen at random")
    fewest: int = setting(16, "refuse a set with fewer faces: the child would learn these people by heart")
    hold_latent: bool = setting(True, "hold the mapping network and the affine layers; without them the result is no child (an ablation)")
    freeze: tuple[str, ...] = setting((), "blocks or layers held besides the mapping network and the affine layers: b4,b8 (FreezeG)")
    freeze_discriminator: int = setting(0, "first convolutions held in every judge of the discriminator (FreezeD)")
    kimg: float = setting(20.0, "length of the run; the learning rate falls along it")
    batch: int = setting(8, "pictures a step")
    lr: float = setting(2e-3, "learning rate of the generator")
    discriminator_lr: float = setting(1e-3, "learning rate of the discriminator")
    adversarial_weight: float = setting(0.1, "weight of the adversarial loss")
    moments_weight: float = setting(3.0, "weight of the moments of the discriminator's features beside it")
    structure_weight: float = setting(10.0, "weight of the parent's coarse structure beside it")
    structure_size: int = setting(16, "px at which the structure is compared")
    repaint_weight: float = setting(0.0, "weight of painting the pictures from what an encoder sees in them; 0: none trains along")
    encoder: Path | None = setting(None, "the parent's encoder, which that encoder begins as; None: the shipped one")
    encoder_lr: float = setting(4e-4, "learning rate of the encoder")
    discriminator_size: int = setting(96, "px at which the discriminator's frozen features look, a multiple of 32")
    close_ups: float = setting(
        0.0, "share of the steps in which the discriminator looks at a window of its own size, not at everything; for 256 px and more"
    )
    mirror: bool = setting(True, "show the discriminator every second picture mirrored")
    mixing: float = setting(0.5, "share of the codes mixed from two samples")
    augment_ramp_kimg: float = setting(20.0, "images in which the share of augmented pictures may rise from 0 to 1")
    augment_most: float = setting(0.8, "largest share of augmented pictures; 0: no augmentation")
    ema_kimg: float = setting(0.5, "half-life of the averaged generator")
    check_kimg: float = setting(1.0, "images between two sheets with the measurement of consistency")
    least_yaw: float = setting(0.9, "stop when the child's yaw correlates less with the parent's; -1: never")
    least_expression: float = setting(0.5, "stop when the child's expression correlates less with the parent's; -1: never")
    patience: int = setting(6, "stop when the style has come no nearer in so many measurements; 0: never")
    precision: Precision = setting("auto", "number format of the features; auto: the fastest on this machine (gan/precision.py)")
    seed: int = setting(0, "seed")
    checkpoint_seconds: float = setting(120.0, "time between checkpoints")

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f'the name "{self.name}" must consist of letters, digits, - and _')
        if f"generator-{self.name}" in assets.ASSETS:
            raise ValueError(f'the name "{self.name}" is that of a shipped domain; choose another')
        if self.batch < 1 or self.fewest < 1 or not self.kimg > 0 or not self.check_kimg > 0:
            raise ValueError("batch, fewest, kimg and check_kimg must be positive")
        if self.discriminator_size < 32 or self.discriminator_size % 32:
            raise ValueError(f"discriminator_size must be a multiple of 32, not {self.discriminator_size}")
        if self.freeze_discriminator < 0:
            raise ValueError(f"freeze_discriminator must not be negative, as {self.freeze_discriminator} is")
        if self.patience < 0:
            raise ValueError(f"patience must not be negative, as {self.patience} is")
        if self.repaint_weight < 0:
            raise ValueError(f"repaint_weight must not be negative, as {self.repaint_weight:g} is")
        if not 0.0 <= self.close_ups <= 1.0:
            raise ValueError(f"close_ups must be between 0 and 1, not {self.close_ups:g}")
        if not 0.0 <= self.augment_most <= 1.0:
            raise ValueError(f"augment_most must be between 0 and 1, not {self.augment_most:g}")

    @property
    def result(self) -> Path:
        """The checkpoint of the child."""
        return self.outdir / f"generator-{self.name}.safetensors"

    @property
    def encoder_result(self) -> Path:
        """What sees people in pictures of the domain, where they were repainted."""
        return self.outdir / f"encoder-{self.name}.safetensors"


def train(
    config: AdaptTraining, reader: Reconstruction | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Train, or resume, the run in `config.outdir`; returns the checkpoint of the averaged child as it last agreed with its parent.

    `reader`: reads poses and expressions, and refines the framings; the shipped reconstruction network by default. `progress(done, total)`
    is told about the pictures that are looked through. Of several processes (`train/parallel.py`) the first cuts out the heads and hands
    them to the others; then they share every batch. Raises UserError when there is no set of faces to learn from, for settings that do
    not fit the parent or the number of processes, or when the child never agreed.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    parent_file, parent, child = _children_of(config)
    images = open_images(config.images, labelled=False)
    reader = (reader or load_reconstruction(assets.require("reconstruction"))).eval().requires_grad_(False)
    with Run.open(config.outdir, config) as run:
        run.seed(0)
        keep_freed_memory()
        resolution, reconstruct = parent.config.resolution, None if config.aligned else reader.predict
        faces = processes.of_first(
            lambda: align_images(images, config.outdir / "aligned", resolution, reconstruct, config.limit, progress)
        )
        run.note(0, "faces", _enough(faces, config))
        discriminators = critics(config.discriminator_size, config.close_ups)
        for critic_of_view in discriminators:
            critic_of_view.hold_first(config.freeze_discriminator)
        learners = [parameter for parameter in child.parameters() if parameter.requires_grad]
        judged_by = nn.ModuleList(discriminators)
        judges = [parameter for parameter in judged_by.parameters() if parameter.requires_grad]
        averaged = WeightAverage(child, half_life=1000.0 * config.ema_kimg)
        critic = torch.optim.Adam(judges, lr=config.discriminator_lr, betas=(0.0, 0.99))
        repainting = _repainting(config, child)
        learning, peaks = [{"params": learners, "lr": config.lr}], [config.lr]
        if repainting is not None:
            learning.append({"params": list(repainting.encoder.parameters()), "lr": config.encoder_lr})
            peaks.append(config.encoder_lr)
        optimiser = torch.optim.Adam(learning, betas=(0.0, 0.99))
        parts: dict[str, Part] = {
            "child": child, "average": averaged.module, "discriminators": judged_by, "optimiser": optimiser, "critic": critic,
        }  # fmt: skip
        if repainting is not None:
            seeing = WeightAverage(repainting.encoder, half_life=1000.0 * config.ema_kimg)
            parts |= {"encoder": repainting.encoder, "encoder_average": seeing.module}
        augment = Augmentation(brightness=0.2, saturation=0.3, contrast=0.2, shift=0.125, cutout=0.0)
        adaptive = AdaptiveProbability(0.0, _TARGET_SIGN, 1000.0 * config.augment_ramp_kimg, config.augment_most)
        probes = _probes(parent, config.seed)  # (64,Z)
        truth = _pictures(parent, probes)  # (64,3,R,R)
        wanted = reader.predict(truth.clamp(-1, 1))
        least = Consistency(config.least_yaw, config.least_expression)
        style = StyleDistance(faces.batch(torch.arange(min(len(faces), _COMPARED))), truth.clamp(-1, 1))
        images_seen = 0
        if (latest := run.latest()) is not None:
            images_seen = latest[0]
            restore(latest[1], parts)
            adaptive = replace(adaptive, probability=min(float(latest[1]["augment/probability"]), config.augment_most))
        processes.align(*parts.values())
        child.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        total, batch, dtype = round(1000 * config.kimg), config.batch, processes.of_first(lambda: feature_dtype(config.precision))
        paint, augmented, windows = processes.by_rows(child.synthesise), processes.by_rows(augment), processes.by_rows(close_up)
        check_every = max(1, round(1000 * config.check_kimg / batch)) * batch
        figures: dict[str, float] = {}

        while True:
            finished = images_seen >= total
            if images_seen and (finished or images_seen % check_every == 0):
                measure = partial(_measured, config, images_seen, averaged.module, probes, truth, reader, wanted, style)
                agreed, near = processes.of_first(measure)
                run.log(images_seen, **figures, yaw=agreed.yaw, expression=agreed.expression, style=near)
                run.save(images_seen, _state(parts, adaptive))
                if short := agreed.shortfall(least):
                    run.note(images_seen, "stopped", f"stopped at {images_seen} images: {short}.")
                    break
                if processes.first:
                    if repainting is not None:
                        save_encoder(config.encoder_result, seeing.module, {"generator": checkpoint.sha256(parent_file)})
                    save_generator(config.result, averaged.module, _facts(config, parent_file, images_seen, len(faces), agreed))
                if not finished and processes.of_first(partial(_at_rest, config, images_seen)):
                    text = f"stopped at {images_seen} images: the style has come no nearer in {config.patience} measurements."
                    run.note(images_seen, "stopped", text)
                    break
            if finished:
                run.note(images_seen, "finished", f"finished after {images_seen} images.")
                break

            run.seed(images_seen)
            for group, peak in zip([*optimiser.param_groups, *critic.param_groups], [*peaks, config.discriminator_lr], strict=True):
                group["lr"] = peak * learning_rate_factor(images_seen, total)
            index = torch.randint(len(faces), (batch,))
            mirrored = processes.share(torch.rand(batch) < 0.5) if config.mirror else None
            real = faces.batch(processes.share(index), mirrored)  # (b,3,R,R), b = B / processes
            close = config.close_ups > 0 and bool(torch.rand(()) < config.close_ups)
            discriminator, window = discriminators[int(close)], config.discriminator_size if close else parent.config.resolution
            z = torch.randn(batch, child.config.z_dim)
            both = mix_styles(torch.cat([child.map(z), parent.map(z)], dim=-1), child.style_space.w_count, config.mixing)  # (B,L,2W)
            s, known = (processes.share(network.affine(w)) for network, w in zip((child, parent), both.chunk(2, dim=-1), strict=True))
            with torch.no_grad():  # s and `known` (b,S) are equal as long as the latent space is held
                meant = parent.synthesise(known, "const", dtype)  # (b,3,R,R)
                real_features = discriminator.project(augmented(windows((real,), window)[0], adaptive.probability))
            fake = paint(s, "random", dtype)  # (b,3,R,R)
            fake_features = discriminator.project(augmented(windows((fake,), window)[0], adaptive.probability))
            for parameter in judges:
                parameter.requires_grad_(False)
            fooled = hinge_generator(torch.cat(list(discriminator.judge(fake_features)), dim=1))
            for parameter in judges:
                parameter.requires_grad_(True)
            structure = structure_distance(fake, meant, config.structure_size)
            moments = feature_moments(*([processes.gather(scale) for scale in features] for features in (fake_features, real_features)))
            loss = config.adversarial_weight * fooled + config.moments_weight * moments + config.structure_weight * structure
            if repainting is not None:
                repainted = repainting(real, child, parent, lambda codes: paint(codes, "random", dtype))
                loss = loss + config.repaint_weight * repainted
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            processes.average(optimiser)
            optimiser.step()

            scores_real, scores_fake = (
                torch.cat(list(discriminator.judge([feature.detach() for feature in features])), dim=1)
                for features in (real_features, fake_features)
            )
            apart = hinge_discriminator(scores_real, scores_fake)
            critic.zero_grad(set_to_none=True)
            apart.backward()  # type: ignore[no-untyped-call]
            processes.average(critic)
            critic.step()
            adaptive = adaptive.updated(processes.gather(scores_real.detach()))

            images_seen += batch
            averaged.update(child, batch, images_seen)
            if repainting is not None:
                seeing.update(repainting.encoder, batch, images_seen)
            figures = processes.mean(({"repainted": repainted.item()} if repainting is not None else {}) | {
                "fooled": fooled.item(), "apart": apart.item(), "moments": moments.item(), "structure": structure.item(),
                "augment": adaptive.probability,
            })  # fmt: skip
            run.progress(images_seen, total, **figures)
            if not all(math.isfinite(value) for value in figures.values()):
                raise UserError(f"{config.outdir}: training diverged at {images_seen} images; give the same command with a lower --lr.")
            if run.due(20.0, "log"):
                run.log(images_seen, **figures)
            if run.due(config.checkpoint_seconds):
                run.save(images_seen, _state(parts, adaptive))
    if not config.result.is_file():
        raise UserError(
            f"{config.outdir}: the child lost its parent's people before the first measurement: hold more (--freeze b4,b8), raise "
            "--structure-weight, or, in a domain that the reading network cannot read, lower --least-yaw and --least-expression."
        )
    return config.result


def _children_of(config: AdaptTraining) -> tuple[Path, Generator, Generator]:
    """File of the parent, the parent, and the child that begins as its copy, with what is held still; UserError when they cannot be had."""
    file = generator_file(config.parent)
    parent, child = load_generator(file).requires_grad_(False), load_generator(config.init or file)
    if config.init is not None:
        check_fit(parent, child)
    if parent.config.c_dim:
        raise UserError(f"The generator {config.parent} has classes; only one without can be adapted.")
    if config.structure_size < 2 or parent.config.resolution % config.structure_size:
        raise UserError(f"--structure-size must divide the {parent.config.resolution} px of the generator, not be {config.structure_size}.")
    if config.hold_latent:
        hold_latent_space(child)
    hold_layers(child, config.freeze)
    if not any(parameter.requires_grad for parameter in child.parameters()):
        raise UserError("Nothing is left to train: hold fewer layers with --freeze.")
    return file, parent, child


def _repainting(config: AdaptTraining, child: Generator) -> Repainting | None:
    """What an encoder that begins as the parent's asks of the child; None where nothing is repainted."""
    if not config.repaint_weight:
        return None
    encoder = load_encoder(config.encoder or assets.require("encoder"))
    if (encoder.config.layers, encoder.config.w_dim) != (child.style_space.w_count, child.config.w_dim):
        named = config.encoder or "The shipped encoder"
        raise UserError(f"{named} serves another generator than {config.parent}; give that one's own with --encoder.")
    return Repainting(encoder.train().requires_grad_(True), structure_size=config.structure_size)


def _enough(faces: AlignedSet, config: AdaptTraining) -> str:
    """What came of the pictures, in a sentence; UserError when it is too little."""
    if len(faces) == 0:
        hint = "" if config.aligned else " If they are heads cut out already, add --aligned."
        raise UserError(f"{config.images}: there is nothing to learn from: {faces.sentence}{hint}")
    if len(faces) < config.fewest:
        raise UserError(
            f"{config.images}: {faces.sentence} A domain takes at least {config.fewest}, better some hundreds; --fewest {len(faces)} "
            "tries it all the same."
        )
    few = " That is few: the child may learn these people rather than their style." if len(faces) < _FEW else ""
    return faces.sentence + few


def _probes(parent: Generator, seed: int) -> Tensor:
    """(64, z_dim): the z's of every sheet and measurement."""
    return torch.randn(_HELD, parent.config.z_dim, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _pictures(generator: Generator, probes: Tensor) -> Tensor:
    """(N, Z) -> (N, 3, R, R), a few at a time."""
    return torch.cat([generator.synthesise(part) for part in torch.split(generator.affine(generator.map(probes)), 16)])


def _measured(
    config: AdaptTraining, images: int, child: Generator, probes: Tensor, truth: Tensor, reader: Reconstruction, wanted: FaceParams,
    style: StyleDistance,
) -> tuple[Consistency, float]:  # fmt: skip
    """How the child's pictures of the z's `probes` agree with the parent's, `truth` and their readings `wanted`, and how far they are from
    the domain; writes a sheet of both."""
    shown = _pictures(child, probes)
    save_grid(config.outdir / f"sheet-{images:07d}.png", torch.cat([truth[:_SHOWN], shown[:_SHOWN]]), columns=_SHOWN)
    return Consistency.between(wanted, reader.predict(shown.clamp(-1, 1))), style(shown.clamp(-1, 1))


def _at_rest(config: AdaptTraining, images: int) -> bool:
    """Whether the last `patience` measurements of the style, all up to `images` being logged, found it no nearer than before."""
    found = [line["style"] for line in read_log(config.outdir) if "style" in line and line["step"] <= images]
    return 0 < config.patience < len(found) and min(found[-config.patience :]) >= min(found[: -config.patience])


def _state(parts: Mapping[str, Part], adaptive: AdaptiveProbability) -> dict[str, Tensor]:
    return collect(parts) | {"augment/probability": torch.tensor(adaptive.probability)}


def _facts(config: AdaptTraining, parent: Path, images: int, faces: int, agreed: Consistency) -> dict[str, Any]:
    """What the child's checkpoint says about its training."""
    held = [*(["mapping", "affine"] if config.hold_latent else []), *config.freeze]
    adapted = {
        "name": config.name, "from": checkpoint.sha256(parent), "faces": faces, "held": held, "consistency": asdict(agreed),
    }  # fmt: skip
    return {"images_seen": images, "adapted": adapted}
