"""Train M for every attribute, and write the rig: T and all M in one file (CDDFM3D, section 3.3).

For a code s with parameters P = T(s), a command dP for one attribute and s' = s + M(s, dP):

edit         T(s') must show the commanded attribute                            (paper: render with it, compare with the target picture)
consistency  T(s') must keep everything else                                    (paper: render with it, compare with the source picture)
landmarks    the 68 projected landmarks must be where P + dP has them, mouth weighted apart
contour      for shape: the face's outline must be where P + dP has it
size         moves along principal directions are kept small, so that s' stays where T and G are at home
image        what the frozen reconstruction network sees in G(s'), on a part of the batch: keeps M from pleasing T alone
paired       where pairs (s, s_target, dP) of the same person are known, the selected layers must move as they did
render       optional: renders of T(s') and of P + dP must look alike, the paper's form at a small size

The paper's reconstruction loss (dP = 0 returns s) holds by construction, see `rig.manipulation`.

Several processes (`train/parallel.py`) sample all codes and commands alike; each edits, paints and looks at its rows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.config import setting
from crossrig.data.people import CODE_SIZE
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.precision import Precision, feature_dtype
from crossrig.gan.weights import load_generator
from crossrig.memory import keep_freed_memory
from crossrig.rig.attributes import AttributePredictor
from crossrig.rig.losses import BlockLosses, ContourLoss, PointLoss, RenderLoss
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig, shift
from crossrig.rig.reading import on_device
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.selection import load_selection
from crossrig.rig.units import Units
from crossrig.rig.weights import load_attributes, load_reconstruction, load_rig, save_rig
from crossrig.train.budget import Budget
from crossrig.train.codes import load_seen, sample_styles
from crossrig.train.pairs import Pairs, known_pairs
from crossrig.train.parallel import Processes
from crossrig.train.reconstruction import schedule
from crossrig.train.run import Run
from crossrig.train.state import collect, restore

_SHIFT = 5  # px: how far pictures are shifted before they are looked at


@dataclass(frozen=True)
class ManipulationTraining:
    """Settings; one step trains the network of every attribute (of `only`) once."""

    generator: Path
    attributes: Path
    layers: Path
    reconstruction: Path
    outdir: Path
    steps: int = setting(2500, "training steps")
    minutes: float = setting(0.0, "stop after this time; 0: no limit")
    batch: int = setting(64, "codes a step")
    lr: float = setting(1.5e-3, "peak learning rate")
    edit_weight: float = setting(1.0, "the commanded attribute must arrive")
    consistency_weight: float = setting(1.0, "everything else must stay")
    landmark_weight: float = setting(0.3, "projected landmarks")
    contour_weight: float = setting(0.2, "outline of the face, for shape")
    contour_batch: int = setting(4, "codes of a step the outline is compared on")
    size_weight: float = setting(0.05, "size of the move")
    image_weight: float = setting(1.0, "edit and consistency as seen in the generated picture")
    image_noise: float = setting(0.1, "noise on the painted pictures, which are also shifted and blurred; 0: as they are")
    image_size: int = setting(0, "px the generator stops at when it paints, if it knows the size; 0: whole pictures")
    image_batch: int = setting(6, "codes that are painted, of one attribute a step in turn; 0: none")
    paired_weight: float = setting(1.0, "known pairs, where the generator has them")
    paired_batch: int = setting(32, "pairs a step")
    paired_people: int = setting(1024, "people known pairs are made of, where z contains the person code; 0: no pairs")
    render_size: int = setting(0, "compare renders of this many pixels a side; 0: do not render")
    render_weight: float = setting(1.0, "compared renders")
    seen: Path | None = setting(None, "seen.safetensors of T's run: half of the people are drawn from it")
    init: Path | None = setting(None, "rig of the same generator and layers whose M are the beginning")
    only: tuple[str, ...] = setting((), "attributes to train; the others stay as they are in --init. None: all")
    misindexed: bool = setting(False, "ablation: with the mixed-up layers of the original repository (rig/manipulation.py)")
    precision: Precision = setting("auto", "number format of painted features; auto: the fastest on this machine (gan/precision.py)")
    device: str = setting("cpu", "where edits are painted and looked at: cpu or cuda")
    seed: int = setting(3, "seed")

    def __post_init__(self) -> None:
        if unknown := set(self.only) - set(ATTRIBUTES):
            raise ValueError(f"only names {', '.join(sorted(unknown))}; the attributes are {', '.join(ATTRIBUTES)}")
        if self.only and self.init is None:
            raise ValueError("only some attributes can be trained where the others come from a rig: init")

    @property
    def trained(self) -> tuple[str, ...]:
        """The attributes whose M are trained."""
        return tuple(name for name in ATTRIBUTES if name in self.only or not self.only)


@dataclass(frozen=True)
class _Painter:
    """G, and the frozen reconstruction network that looks at what it paints."""

    generator: Generator
    network: Reconstruction
    dtype: torch.dtype
    size: int | None
    """px to stop at; changes of what is seen are compared, so it matters little what the finest blocks would add."""

    def see(self, styles: Tensor, view: _View) -> FaceParams:
        """Style codes (B,S) -> what is seen in their pictures; gradients pass."""
        device = self.generator.w_avg.device
        images = view(self.generator.synthesise(styles.to(device), dtype=self.dtype, resolution=self.size))
        return FaceParams.unpack(self.network(images).to(styles.device))


@dataclass(frozen=True)
class _View:
    """A way of looking at pictures: shifted by some pixels, sometimes blurred, noisy.

    M is taught through the network's gradient, and left to itself finds patterns that the network takes for light and nobody else does.
    What is asked for must show in a damaged picture, too.
    """

    shift: tuple[int, int]
    blurred: bool
    noise: float
    seed: int

    @classmethod
    def random(cls, noise: float, random: torch.Generator) -> _View:
        """Another one every time; `noise` 0 looks at the pictures as they are."""
        dice = torch.rand(4, generator=random).tolist()
        if not noise:
            return cls((0, 0), False, 0.0, 0)
        reach = 2 * _SHIFT + 1
        return cls((int(dice[0] * reach) - _SHIFT, int(dice[1] * reach) - _SHIFT), dice[2] < 0.5, noise, int(dice[3] * 2**31))

    def __call__(self, images: Tensor) -> Tensor:
        """(B,3,R,R) -> (B,3,R,R), all seen alike."""
        if not self.noise:
            return images
        images = images.roll(self.shift, (2, 3))
        if self.blurred:
            images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        grain = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(self.seed))
        return images + self.noise * grain.to(images)


class _Losses:
    """Everything frozen that a step compares with."""

    def __init__(self, config: ManipulationTraining, model: FaceModel, population: FaceParams, scales: Mapping[str, Tensor]) -> None:
        self.scales = scales  # layer name -> (size,): standard deviation of its styles
        self.blocks = BlockLosses(Units.of(model), population)
        self.landmarks = PointLoss.landmarks(model)
        self.contour = ContourLoss(model)
        self.render = RenderLoss(model, config.render_size) if config.render_size else None
        self.landmark_spread = self.landmarks.spread(population)
        mean = FaceParams.unpack(population.pack().mean(0, keepdim=True).expand(len(population), -1))
        few = population[: config.contour_batch]
        self.contour_spread = float(self.contour(mean[: config.contour_batch], few).mean())


def sample_commands(attribute: str, own: FaceParams, random: torch.Generator) -> Tensor:
    """dP (B, n) of typical edits: towards another face of the batch, all the way or partly; a third of them by a few values only, as
    sliders do (yaw alone, one expression unit)."""
    values = own.attribute(attribute)
    count, size = values.shape
    other = (torch.arange(count) + torch.randint(1, max(count, 2), (count,), generator=random)) % count
    command = (values[other] - values) * (0.2 + torch.rand(count, 1, generator=random))
    sparse = torch.rand(count, 1, generator=random) < 1 / 3
    few = torch.rand(count, size, generator=random) < max(0.1, 1.5 / size)
    # Fewer values commanded: each of them further, or the lesson would be about very small edits only.
    return torch.where(sparse, command * few * 1.5, command)


def train(
    config: ManipulationTraining,
    pairs: Pairs | None = None,
    generator: Generator | None = None,
    network: Reconstruction | None = None,
    predictor: AttributePredictor | None = None,
    model: FaceModel | None = None,
    layers: Mapping[str, tuple[str, ...]] | None = None,
) -> Path:
    """Train or resume the run in `config.outdir`; returns the rig, `manipulation.safetensors`.

    Known pairs are made when the generator's header says that its z contains the person code ("code_size"); `pairs` replaces them.
    The other arguments stand in for the files that `config` names.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    keep_freed_memory()
    generator = (generator or load_generator(config.generator)).eval().requires_grad_(False)
    predictor = (predictor or load_attributes(config.attributes)).eval().requires_grad_(False)
    model = model or FaceModel.load(assets.require("head"))
    predictor.space.check(model.space, "attribute network T")
    if config.image_batch or (pairs is None and config.paired_people):
        network = (network or load_reconstruction(config.reconstruction)).eval().requires_grad_(False)
        network.space.check(model.space, "reconstruction network")
    if config.image_size and f"b{config.image_size}" not in generator.synthesis:
        raise UserError(f"The generator knows no picture of {config.image_size} px: give --image-size a power of two up to its resolution.")
    dtype = processes.of_first(lambda: feature_dtype(config.precision))
    wanted = pairs is None and config.paired_people and config.paired_weight
    if wanted and network is not None and checkpoint.load_header(config.generator).get("code_size") == CODE_SIZE:
        pairs = known_pairs(generator, network, config.paired_people, dtype=dtype)
    space = generator.style_space
    layers = layers or load_selection(config.layers, space)
    torch.manual_seed(config.seed)
    seen = load_seen(config.seen, generator)
    many = sample_styles(generator, 4096, torch.Generator().manual_seed(config.seed), mixed=0.25, seen=seen)
    with torch.no_grad():
        population = predictor.predict(many)
    scales = {name: style.std(0).clamp(min=1e-4) for name, style in space.split(many).items()}
    losses = _Losses(config, model, population, scales)
    networks = {name: Manipulator(ManipulatorConfig.for_attribute(name, layers[name], space, config.misindexed)) for name in ATTRIBUTES}
    for manipulator in networks.values():
        manipulator.set_populations(space.split(many), population)
    rig = Rig(predictor, networks, space, checkpoint.sha256(config.generator))
    if config.init is not None:
        _begin_with(rig, config.init)
    parameters = [p for name in config.trained for p in rig.manipulator(name).parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.98))
    eyes = None
    if network is not None and config.image_batch:
        eyes = _Painter(*on_device(generator, network, config.device), dtype, config.image_size or None)
    with Run.open(config.outdir, config) as run:
        step, tensors = run.latest() or (0, {})
        if tensors:
            restore(tensors, {"manipulators": rig.manipulators, "optimiser": optimiser})
        processes.align(rig.manipulators)
        budget = Budget(config.steps, config.minutes, step, tensors, processes)
        while budget.progress < 1.0:
            run.seed(budget.step)
            random = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            painted = config.trained[budget.step % len(config.trained)]
            for group in optimiser.param_groups:
                group["lr"] = config.lr * schedule(budget.progress)
            optimiser.zero_grad(set_to_none=True)
            shown: dict[str, float] = {}
            styles = sample_styles(generator, config.batch, random, mixed=0.25, seen=seen)
            with torch.no_grad():
                own = predictor.predict(styles)
            for attribute in config.trained:
                painter = eyes if attribute == painted else None
                found = _losses_of(config, attribute, rig, losses, styles, own, painter, pairs, random, processes)
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
                state = collect({"manipulators": rig.manipulators, "optimiser": optimiser})
                run.save(step, state | budget.state())
    target = config.outdir / "manipulation.safetensors"
    processes.of_first(lambda: save_rig(target, rig, {"steps": step, "seed": config.seed, "paired": pairs is not None}))
    return target


def _begin_with(rig: Rig, path: Path) -> None:
    """Take every M of another rig, with the statistics of its populations. Raises UserError when the two do not edit the same layers."""
    earlier = load_rig(path, rig.generator).manipulators_by_name()
    if any(earlier[name].config != manipulator.config for name, manipulator in rig.manipulators_by_name().items()):
        raise UserError(f"{path} edits other layers than those selected here: start from another rig, or from none.")
    for name, manipulator in rig.manipulators_by_name().items():
        manipulator.load_state_dict(earlier[name].state_dict())


def _losses_of(
    config: ManipulationTraining,
    attribute: str,
    rig: Rig,
    losses: _Losses,
    styles: Tensor,
    own: FaceParams,
    painter: _Painter | None,
    pairs: Pairs | None,
    random: torch.Generator,
    processes: Processes,
) -> dict[str, Tensor]:
    """The terms of one attribute, of this process's rows of `styles` and `own`, which are those of the whole batch."""
    manipulator = rig.manipulator(attribute)
    command = processes.share(sample_commands(attribute, own, random))
    styles, own = processes.share(styles), FaceParams.unpack(processes.share(own.pack()))
    goal = own.with_attribute(attribute, own.attribute(attribute) + command)
    moves = manipulator.moves(rig.space.split(styles), command)
    edited = shift(rig.space, styles, manipulator.offsets(moves))
    found = rig.predict(edited)
    terms = {
        "edit": losses.blocks.edited(attribute, found, goal, 0.0, config.edit_weight),
        "consistency": losses.blocks.edited(attribute, found, goal, config.consistency_weight, 0.0),
        "landmarks": config.landmark_weight * losses.landmarks(found, goal).mean() / losses.landmark_spread,
        "size": config.size_weight * torch.stack([move.square().mean() for move in moves.values()]).mean(),
    }
    if attribute == "shape" and config.contour_weight:

        def contour(few: slice) -> Tensor:
            apart: Tensor = losses.contour(found[few], goal[few])  # (few,)
            return apart.mean() / losses.contour_spread

        terms["contour"] = config.contour_weight * processes.of_few(min(config.contour_batch, config.batch), contour)
    if (render := losses.render) is not None:
        drawn = processes.of_few(min(config.contour_batch, config.batch), lambda few: render(found[few], goal[few]).mean())
        terms["render"] = config.render_weight * drawn
    if painter is not None:
        view = _View.random(config.image_noise, random)

        def image(few: slice) -> Tensor:
            return _image_loss(config, attribute, losses, painter, view, styles[few], edited[few], command[few])

        terms["image"] = config.image_weight * processes.of_few(min(config.image_batch, config.batch), image)
    if pairs is not None and config.paired_weight:
        before, after, change = (part[processes.own] for part in pairs(attribute, config.paired_batch))

        def paired(few: slice) -> Tensor:
            return _paired_loss(manipulator, rig, losses, (before[few], after[few], change[few]))

        terms["paired"] = config.paired_weight * processes.of_few(config.paired_batch, paired)
    return terms


def _image_loss(
    config: ManipulationTraining,
    attribute: str,
    losses: _Losses,
    painter: _Painter,
    view: _View,
    styles: Tensor,
    edited: Tensor,
    command: Tensor,
) -> Tensor:
    """Edit and consistency by what is seen before and after. Differences of what is seen are compared with the command, so a constant
    error of the network does not count."""
    with torch.no_grad():
        before = painter.see(styles, view)
    after = painter.see(edited, view)
    goal = before.with_attribute(attribute, before.attribute(attribute) + command)
    return losses.blocks.edited(attribute, after, goal, config.consistency_weight, config.edit_weight)


def _paired_loss(manipulator: Manipulator, rig: Rig, losses: _Losses, known: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Mean squared difference, in variances of each style value, between the edit and the known change of the selected layers."""
    before, after, command = known
    parts, goal = rig.space.split(before), rig.space.split(after)
    offsets = manipulator(parts, command)
    errors = [((parts[name] + offset - goal[name]) / losses.scales[name]).square().mean() for name, offset in offsets.items()]
    return torch.stack(errors).mean()
