"""Teach the mapping network the people whom an encoder sees: different from each other, and still what their codes say.

The supervised start (`train/generator.py`) regresses the mapping network onto what is known of a person. What no code tells it answers
with a mean, so made-up people have fewer haircuts than real ones. Here it learns the distribution of the w that the encoder finds in
portraits, given their person codes; the rest of z, which it ignored, becomes what the code leaves open. The loss is the energy score
(Gneiting & Raftery 2007, *Strictly proper scoring rules*, section 4.3; Shen & Meinshausen 2024, *Engression*). With two answers to a code,

    E |f(c, e) - w|  -  1/2 E |f(c, e) - f(c, e')|

is least where f(c, e), over free normals e, is distributed as w is. No discriminator, no game. The synthesis network and the affine layers
stay as they are, and with them the meaning of every w. Give portraits that the generator was not trained with: of those it knows by heart
more than their codes say.

From where the supervised start leaves it the score hardly moves the network: it says less than a linear regression of w on the codes
would. So it begins as that (`LinearAnswer`): the regression, and normal residuals of the right covariance, which a mapping network of two
layers or more can say exactly. How far it gets: docs/4-training.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig import checkpoint
from crossrig.config import setting
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.errors import UserError
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.generator import Generator
from crossrig.gan.mapping import Mapping
from crossrig.gan.ops import ACTIVATION_GAIN, LEAKY_SLOPE, EqualLinear
from crossrig.gan.weights import load_generator, save_generator
from crossrig.inversion.encoder import load_encoder, w_samples
from crossrig.sheets import save_grid
from crossrig.train.codes import seen_people
from crossrig.train.parallel import Processes
from crossrig.train.reconstruction import schedule
from crossrig.train.run import Run
from crossrig.train.state import Part, collect, restore

_SHEET = 8  # people in a row of the sheet
_RIDGE = 30.0  # as many portraits as are worth nobody's: codes hardly tell some of them, and portraits are few
_MOST_GROWTH = 3.0  # of residuals: a handful of portraits, which the regression knows by heart, says nothing of others
_BEND = 3.0  # standard deviations below which a unit that passes on a number of z leaves its straight part


@dataclass(frozen=True)
class MappingTraining:
    """Settings."""

    generator: Path
    encoder: Path
    outdir: Path
    data: tuple[Path, ...] = setting((), "portraits that the generator was not trained with, made by `crossrig synth`")
    steps: int = setting(12_000, "steps; some twenty a second on one core")
    batch: int = setting(256, "portraits a step")
    lr: float = setting(2e-3, "peak learning rate")
    from_linear: bool = setting(True, "begin as the best linear answer, not as the generator's mapping network is")
    held_out: float = setting(0.1, "share of the portraits that only say how well it goes")
    limit: int | None = setting(None, "read at most this many portraits of each archive")
    seed: int = setting(0, "seed")
    checkpoint_seconds: float = setting(60.0, "time between checkpoints")

    def __post_init__(self) -> None:
        if not 0.0 < self.held_out < 1.0:
            raise ValueError(f"held_out must be between 0 and 1, not {self.held_out:g}")


@dataclass(frozen=True)
class LinearAnswer:
    """w = mean + code @ told + free @ open: regression on the codes, and normal residuals.

    mean (W,), told (C, W), open (F, W), where F is what z has beside the code.
    """

    mean: Tensor
    told: Tensor
    open: Tensor

    @classmethod
    def of(cls, codes: Tensor, w: Tensor, free: int) -> LinearAnswer:
        """Ridge regression of w (N, W) on codes (N, C), and the `free` widest axes of what it leaves.

        The residuals of portraits that the regression was fitted to are too small; they are enlarged to those of a fifth that it was not.
        """
        known = len(codes) - max(1, len(codes) // 5)
        mean, told = _ridge(codes[:known], w[:known])
        seen, unseen = ((w[part] - mean - codes[part] @ told).square().mean() for part in (slice(known), slice(known, None)))
        growth = min(float((unseen / seen.clamp(min=1e-12)).sqrt()), _MOST_GROWTH)
        mean, told = _ridge(codes, w)
        variances, axes = torch.linalg.eigh(torch.cov((w - mean - codes @ told).T))
        widest = variances.argsort(descending=True)[:free]
        spread = F.pad(axes[:, widest] * variances[widest].clamp(min=0.0).sqrt(), (0, max(free - len(widest), 0)))  # (W, F)
        return cls(mean, told, growth * spread.T)

    def into(self, mapping: Mapping, rotation: Tensor) -> None:
        """Make the network say it: its weights are overwritten. `rotation` as in `gan.codes`.

        ValueError for a network of fewer than two layers, or with layers of another width than w or (if more than two) than z.

        The first layers turn z back into code and free numbers and keep to the straight part of the leaky ReLU. The last two undo each
        other's bends, for lrelu(-lrelu(-w) / slope) = w.
        """
        layers = [layer for layer in mapping.layers if isinstance(layer, EqualLinear)]
        numbers = torch.cat([self.told, self.open])  # (Z, W)
        z_dim, w_dim = numbers.shape
        if len(layers) < 2 or any(len(layer.bias) != z_dim for layer in layers[:-2]) or len(layers[-2].bias) != w_dim:
            widths = ", ".join(str(len(layer.bias)) for layer in layers)
            raise ValueError(f"a mapping network with layers of {widths} numbers has no linear answer: use --no-from-linear")
        eye, bend, gain = torch.eye(z_dim), 0.0, 1.0
        turn = rotation.T  # (Z, Z): z -> numbers
        for layer in layers[:-2]:  # gain * (numbers + bend) -> the same of the next layer
            _set(layer, turn / gain, _BEND - turn.sum(1) * bend)
            turn, bend, gain = eye, _BEND, ACTIVATION_GAIN
        minus = -numbers.T @ turn  # (W, Z)
        _set(layers[-2], minus / gain, -self.mean - minus.sum(1) * bend)
        _set(layers[-1], -torch.eye(w_dim) / (LEAKY_SLOPE * ACTIVATION_GAIN**2), torch.zeros(w_dim))


def _ridge(codes: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The mean answer (W,) and the slopes (C, W)."""
    centre, mean = codes.mean(0), w.mean(0)
    codes = codes - centre
    slopes = torch.linalg.solve(codes.T @ codes + _RIDGE * torch.eye(codes.shape[1]), codes.T @ (w - mean))
    return mean - centre @ slopes, slopes


@torch.no_grad()
def _set(layer: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight / layer.weight_gain)
    layer.bias.copy_(bias / layer.bias_gain)


class Yardstick:
    """Differences of w along the principal axes of a population, of unit size on average.

    Every axis is divided by the root of its standard deviation: as it is, pose and light would drown haircuts; divided by all of it, what
    nobody can see would count as much as they. Axes along which nobody differs count most: what lies there the generator never painted.
    """

    def __init__(self, w: Tensor) -> None:
        """`w` (N, W): the population."""
        variances, axes = torch.linalg.eigh(torch.cov(w.T))
        sizes = variances.clamp(min=0.0).sqrt()
        scaled = axes * sizes.clamp(min=0.01 * float(sizes.max())).rsqrt()  # (W, W)
        self._axes = scaled / ((w - w.mean(0)) @ scaled).square().sum(1).mean().sqrt()

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,) between w (B, W) and w (B, W)."""
        squares: Tensor = ((a - b) @ self._axes).square().sum(1)
        return squares.add(1e-6).sqrt()


def energy_score(first: Tensor, second: Tensor, found: Tensor, distance: Yardstick) -> Tensor:
    """Of two answers (B, W) to the same codes, where `found` (B, W) is what was seen: the less, the likelier it was among the answers."""
    return (0.5 * (distance(first, found) + distance(second, found) - distance(first, second))).mean()


def variety(generator: Generator, seen: Tensor) -> float:
    """Spread of made-up people in W as a share of that of people who were `seen` (N, W): square root of a ratio of variances."""
    made = w_samples(generator)
    return float((made.var(0).sum() / seen.var(0).sum()).sqrt())


def train(config: MappingTraining) -> Path:
    """Train or resume the run in `config.outdir`; returns the generator with its new mapping network.

    Raises UserError when files cannot be read, do not belong together, or hold too few portraits.
    """
    processes = Processes.join()
    processes.check_batch(config.batch)
    generator, encoder = load_generator(config.generator), load_encoder(config.encoder)
    header = checkpoint.load_header(config.generator)
    if encoder.config.w_dim != generator.config.w_dim:
        raise UserError(f"{config.encoder} finds w of {encoder.config.w_dim} numbers, and {config.generator} has {generator.config.w_dim}.")
    portraits = load_portraits(config.data, encoder.config.size, config.limit)
    if header.get("code_size") != portraits.codes.shape[1]:
        raise UserError(f"{config.generator} did not learn from person codes as these portraits have them; see `crossrig train generator`.")
    held = max(1, round(config.held_out * len(portraits)))
    if len(portraits) - held < 2:
        raise UserError(f"{len(portraits)} portraits are too few; make some thousand with `crossrig synth`.")
    with Run.open(config.outdir, config) as run:
        run.seed(0)
        found, codes = seen_people(encoder.common_w, portraits), portraits.codes  # (N, W), (N, C)
        distance = Yardstick(found[:-held])
        before = variety(generator, found)  # of the generator as it came
        rotation = code_rotation(generator.config.z_dim)
        mapping = generator.requires_grad_(False).mapping.requires_grad_(True).train()
        optimiser = torch.optim.Adam(mapping.parameters(), lr=config.lr, betas=(0.9, 0.99))
        parts: dict[str, Part] = {"mapping": mapping, "optimiser": optimiser}
        step = 0
        if (latest := run.latest()) is not None:
            step = latest[0]
            restore(latest[1], parts)
        elif config.from_linear:
            answer = LinearAnswer.of(codes[:-held], found[:-held], generator.config.z_dim - codes.shape[1])
            try:
                answer.into(mapping, rotation)
            except ValueError as error:
                raise UserError(f"{config.generator}: {error}.") from None
        processes.align(*parts.values())

        def score_of(index: Tensor, own: slice) -> Tensor:
            """The score for the portraits of an index (B,), or some of its rows."""
            first, second = (mapping(z_from_code(codes[index], rotation)[own]) for _ in range(2))
            return energy_score(first, second, found[index[own]], distance)

        while step < config.steps:
            run.seed(step)
            for group in optimiser.param_groups:
                group["lr"] = config.lr * schedule(step / config.steps)
            score = score_of(torch.randint(len(codes) - held, (config.batch,)), processes.own)
            optimiser.zero_grad(set_to_none=True)
            score.backward()  # type: ignore[no-untyped-call]
            processes.average(optimiser)
            optimiser.step()
            step += 1
            figures = processes.mean({"score": score.item()})
            run.progress(step, config.steps, **figures)
            if run.due(20.0, "log") or step == config.steps:
                with torch.no_grad():
                    unseen = score_of(torch.arange(len(codes) - held, len(codes)), slice(None))
                run.log(step, **figures, unseen=unseen.item())
            if run.due(config.checkpoint_seconds) or step == config.steps:
                run.save(step, collect(parts))
        path = config.outdir / "generator.safetensors"
        with torch.no_grad():
            generator.w_avg.copy_(w_samples(generator).mean(0))
            if processes.first:
                facts = {name: value for name, value in header.items() if name not in ("kind", "config")}
                save_generator(path, generator.eval(), facts | {"mapping_people": len(portraits) - held})
                _save_sheet(config.outdir / "sheet.png", generator, portraits, found)
        run.say(f"made-up people differ by {variety(generator, found):.0%} of what people do whom the encoder sees; before by {before:.0%}")
        return path


def _save_sheet(path: Path, generator: Generator, portraits: PortraitSet, found: Tensor) -> None:
    """Rows: people who were seen; as many others made up; four codes, each with two people."""
    rotation = code_rotation(generator.config.z_dim)
    random = torch.Generator().manual_seed(1)
    free = torch.randn(_SHEET, generator.config.z_dim - portraits.codes.shape[1], generator=random)
    rows = [
        found[-_SHEET:],
        generator.map(torch.randn(_SHEET, generator.config.z_dim, generator=random)),
        generator.map(z_from_code(portraits.codes[-_SHEET // 2 :].repeat_interleave(2, 0), rotation, free)),
    ]
    save_grid(path, torch.cat([generator.synthesise(generator.affine(w)) for w in rows]), columns=_SHEET)
