"""The evaluation of a generator: its samples, its latent spaces, and inversions into it. `crossrig eval generator`;
docs/8-generator-evaluation.md explains it to a reader.

Protocol
--------
*samples*     N pictures of unseen z (SAMPLES_SEED, truncation 1, unmixed, random noise) against N fresh portraits (PORTRAITS_SEED) at
              the generator's resolution, in EfficientNet-Lite0 features (last tap, mean over positions, pictures at 128 px). Precision and
              recall: `metrics.precision_recall`, k = 3. Frechet distance: `metrics.frechet`. Rulers: a second N portraits (RULER_SEED) in
              place of the samples, and the first N portraits at JPEG quality 10.
*copies*      where the training archives are named: is a sample nearer to its nearest training portrait than a fresh portrait is to
              its own (`metrics.neighbours.nearer_share`)? The same of samples among themselves and portraits among themselves: repeats.
*artefacts*   `metrics.artefacts` on the first samples and portraits.
*latent*      `metrics.path_length` in W with the perceptual distance; `metrics.dci` of z, w and s of the samples with respect to
              `evaluation.factors` of what the reconstruction network reads in them.
*inversion*   `evaluation.inversions` on unseen portraits (INVERSIONS_SEED), and on the example pictures, which have no labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from crossrig import assets, checkpoint
from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.data.portrait_set import load_portraits
from crossrig.errors import UserError
from crossrig.evaluate import Figures, as_json, table
from crossrig.evaluation import generator_sheets as sheets
from crossrig.evaluation.factors import Factors
from crossrig.evaluation.instruments import SHOWN
from crossrig.evaluation.inversions import METHODS, Inverter, example_crops, invert_all, judged_figures, picture_figures
from crossrig.evaluation.portraits import unseen_set
from crossrig.evaluation.progress import Progress
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.features import FeatureTaps, PerceptualDistance
from crossrig.files import write_text
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.metrics.artefacts import DROPLET, noise_change, peak_energies, sticking
from crossrig.metrics.dci import Dci, dci
from crossrig.metrics.frechet import frechet_distance, pooled_features
from crossrig.metrics.neighbours import nearer_share, nearest
from crossrig.metrics.path_length import path_lengths, trimmed_mean
from crossrig.metrics.precision_recall import precision_recall
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction, load_rig
from crossrig.session import Effort
from crossrig.sheets import Pixels

#: Reserved for this evaluation: no recipe may use them.
PORTRAITS_SEED = 770_000_041
RULER_SEED = 770_000_043
INVERSIONS_SEED = 770_000_047
SAMPLES_SEED = 770_000_053
NOISE_SEED = 770_000_054
PATHS_SEED = 770_000_059

#: Figure -> (bound, whether larger is better).
GOALS: Mapping[str, tuple[float, bool]] = {
    "samples.precision": (0.70, True),
    "samples.recall": (0.50, True),
    "inversion.encoder_l2": (0.03, False),
    "inversion.optimise_l2": (0.015, False),
    "inversion.pivotal_l2": (0.006, False),
    "inversion.pivotal_yaw_correlation": (0.9, True),
}

#: The latent spaces that are compared.
SPACES: tuple[str, ...] = ("z", "w", "s")

_BATCH = 32
_CHUNK = 1000  # portraits rendered at a time: what bounds the memory
_JPEG_QUALITY = 10
_LAST_TAP = (15,)
_LEAST, _LEAST_INVERSIONS = 32, 8
_ROWS = 8  # of the neighbour sheets
_MOST_CODES = 10_000  # that a DCI is made from
_MOST_PATHS = 2_000  # that are walked, two pictures each; their mean is known to some percent
_WALK_STOPS = 4


@dataclass(frozen=True)
class Sizes:
    """How much is measured. samples: pictures, and as many portraits, twice. inversions: portraits inverted; 0: none, and no examples
    either. artefacts: samples looked at for faults. effort: steps of an inversion."""

    samples: int = 10_000
    inversions: int = 500
    artefacts: int = 256
    effort: Effort = field(default_factory=Effort)

    def __post_init__(self) -> None:
        if self.samples < _LEAST or not (self.inversions == 0 or self.inversions >= _LEAST_INVERSIONS):
            raise UserError(
                f"An evaluation needs {_LEAST} or more samples, and {_LEAST_INVERSIONS} or more inversions or none; "
                f"got {self.samples} and {self.inversions}."
            )

    @classmethod
    def of(cls, samples: int, inversions: int | None = None, effort: Effort | None = None) -> Sizes:
        """The proportions of the full evaluation (500 inversions for 10,000 samples) for another number of samples."""
        if inversions is None:
            inversions = max(_LEAST_INVERSIONS, min(500, math.ceil(samples * 500 / 10_000)))
        return cls(samples, inversions, effort=effort or Effort())


@dataclass(frozen=True)
class Tools:
    """The generator, what looks at it, and what inverts into it."""

    generator: Generator
    reader: Reconstruction
    judge: Reconstruction
    units: Units
    features: FeatureTaps
    perceptual: PerceptualDistance
    inverter: Inverter

    @property
    def resolution(self) -> int:
        """px"""
        return self.generator.config.resolution


@dataclass
class Outcome:
    """Figures by name, sheets by file name, the R2 of every factor by space, and sentences about the run."""

    figures: Figures = field(default_factory=dict)
    pictures: dict[str, Pixels] = field(default_factory=dict)
    factors: dict[str, dict[str, float]] = field(default_factory=dict)
    """Factor -> space -> R2 on unseen codes."""
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """One flat object of figures."""
        return as_json(self.figures)

    def as_text(self) -> str:
        """Notes and tables."""
        parts = ["\n".join(self.notes), table(self.figures, GOALS)]
        if self.factors:
            lines = [f"{'R2 of each factor by the lasso':<42} " + " ".join(f"{space:>8}" for space in SPACES)]
            lines += [f"{name:<42} " + " ".join(f"{row[space]:8.3f}" for space in SPACES) for name, row in self.factors.items()]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def write(self, folder: Path, overwrite: bool) -> None:
        """generator.txt, generator.json and the sheets into a folder that exists."""
        for name, pixels in self.pictures.items():
            save_picture(folder / name, pixels, DigitalSource.TRAINED, overwrite)
        write_text(folder / "generator.txt", self.as_text() + "\n")
        write_text(folder / "generator.json", self.as_json() + "\n")


#: What `Outcome.write` may write.
FILES: tuple[str, ...] = (
    "generator.txt", "generator.json", "samples.png", "portraits.png", "alike.png", "training.png", "walk.png", "inversions.png",
    "examples.png",
)  # fmt: skip


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raises UserError when a file of the report is there already and may not be replaced."""
    taken = [name for name in FILES if (folder / name).exists()]
    if taken and not overwrite:
        raise UserError(f"{folder / taken[0]}: exists already; choose another --outdir or add --overwrite.")


def evaluate_generator(
    tools: Tools, sizes: Sizes, training: Sequence[Path] = (), workers: int | None = None, progress: Progress | None = None
) -> Outcome:
    """Measure everything. training: archives that the generator was trained on. workers: processes that render portraits."""
    tell = progress or (lambda what, step, steps: None)
    outcome = Outcome()
    painted = paint(tools, sizes.samples, tell)
    portraits = look_at_portraits(tools, sizes.samples, PORTRAITS_SEED, workers, partial(tell, "portraits"))
    ruler = look_at_portraits(tools, sizes.samples, RULER_SEED, workers, partial(tell, "more portraits"))
    outcome.figures |= sample_figures(painted.features, portraits, ruler)
    outcome.figures |= copy_figures(tools, painted, portraits, training, outcome.pictures, tell)
    outcome.figures |= artefact_figures(tools, painted, portraits.pictures, sizes.artefacts)
    latent_figures(tools, painted, outcome, tell)
    first = torch.arange(_WALK_STOPS)
    with torch.no_grad():
        stops = tools.generator.map(painted.z[first])
    outcome.pictures["samples.png"] = sheets.overview(painted.show(tools.generator, torch.arange(min(64, sizes.samples))))
    outcome.pictures["portraits.png"] = sheets.overview(portraits.pictures)
    outcome.pictures["walk.png"] = sheets.overview(sheets.walk(tools.generator, stops))
    if sizes.inversions:
        inversion_part(tools, sizes.inversions, workers, outcome, tell)
    return outcome


# -- samples --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Painted:
    """N samples: z (N,Z), features (N,C), and what the reconstruction network reads in the pictures."""

    z: Tensor
    features: Tensor
    read: FaceParams

    @torch.no_grad()
    def show(self, generator: Generator, index: Tensor) -> Tensor:
        """The pictures (n,3,R,R) in [-1,1] of some samples, painted again: all of them would not fit into memory."""
        parts = [generator(part).clamp(-1, 1) for part in torch.split(self.z[index], _BATCH)]
        return torch.cat(parts)


@dataclass(frozen=True)
class Portraits:
    """N fresh portraits: features (N,C), those at JPEG quality 10, and the first pictures (n,3,R,R) in [-1,1]."""

    features: Tensor
    jpeg: Tensor
    pictures: Tensor


@torch.no_grad()
def paint(tools: Tools, count: int, tell: Progress) -> Painted:
    """Sample, and look at the samples. Their noise is drawn anew for each, as stylegan2-ada's metrics do: shared, it makes them alike."""
    z = torch.randn(count, tools.generator.config.z_dim, generator=torch.Generator().manual_seed(SAMPLES_SEED))
    features, read = [], []
    parts = torch.split(z, _BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NOISE_SEED)
        for step, part in enumerate(parts):
            images = tools.generator(part, noise="random").clamp(-1, 1)
            features.append(pooled_features(tools.features, images))
            read.append(tools.reader.predict(images))
            tell("samples", step + 1, len(parts))
    return Painted(z, torch.cat(features), FaceParams.concatenate(read))


@torch.no_grad()
def look_at_portraits(
    tools: Tools, count: int, seed: int, workers: int | None, tell: Callable[[int, int], None], keep: int = 256
) -> Portraits:
    """Render fresh portraits, some at a time, and look at them as they are and at JPEG quality 10."""
    features, jpeg, pictures = [], [], []
    for start in range(0, count, _CHUNK):
        portraits = unseen_set(min(_CHUNK, count - start), tools.resolution, seed, workers, start)
        for index in torch.split(torch.arange(len(portraits)), _BATCH):
            features.append(pooled_features(tools.features, portraits.batch(index)[0]))
            jpeg.append(pooled_features(tools.features, compressed(portraits.pictures[index])))
        if start < keep:
            pictures.append(portraits.batch(torch.arange(min(len(portraits), keep - start)))[0])
        tell(min(start + _CHUNK, count), count)
    return Portraits(torch.cat(features), torch.cat(jpeg), torch.cat(pictures))


def compressed(pictures: Tensor, quality: int = _JPEG_QUALITY) -> Tensor:
    """Pictures (B,3,R,R) uint8 RGB through JPEG -> (B,3,R,R) float in [-1,1]."""
    found = []
    for picture in pictures.permute(0, 2, 3, 1).numpy():
        _, blob = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(blob, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded a line above
        found.append(torch.from_numpy(np.ascontiguousarray(decoded[:, :, ::-1].transpose(2, 0, 1))))
    return torch.stack(found).float() / 127.5 - 1.0


def sample_figures(samples: Tensor, portraits: Portraits, ruler: Portraits) -> Figures:
    """Precision, recall and the Frechet distance of sample features (N,C), and the rulers."""
    real = portraits.features
    precision, recall = precision_recall(real, samples)
    best_precision, best_recall = precision_recall(real, ruler.features)
    return {
        "samples.precision": precision,
        "samples.recall": recall,
        "samples.precision_real_real": best_precision,
        "samples.recall_real_real": best_recall,
        "samples.frechet": frechet_distance(samples, real),
        "samples.frechet_real_real": frechet_distance(ruler.features, real),
        "samples.frechet_jpeg10": frechet_distance(portraits.jpeg, real),
    }


def copy_figures(
    tools: Tools, painted: Painted, portraits: Portraits, training: Sequence[Path], pictures: dict[str, Pixels], tell: Progress
) -> Figures:
    """Whether samples repeat one another or the training set, with the sheets of the nearest pairs."""
    samples = painted.features
    gaps, partner = nearest(samples, samples, same=True)
    figures = {"samples.repeats": nearer_share(gaps, nearest(portraits.features, portraits.features, same=True)[0])}
    once = (partner[partner] != torch.arange(len(samples))) | (partner > torch.arange(len(samples)))  # two that name each other: one row
    order = gaps.argsort()
    rows = order[once[order]][:_ROWS]
    show = partial(painted.show, tools.generator)
    pictures["alike.png"] = sheets.neighbour_sheet(show(rows), samples[rows], samples, show, rows, ("sample", "sample"))
    if not training:
        return figures
    known = load_portraits(training, tools.resolution)
    parts = torch.split(torch.arange(len(known)), _BATCH)
    found = []
    with torch.no_grad():
        for step, index in enumerate(parts):
            found.append(pooled_features(tools.features, known.batch(index)[0]))
            tell("training set", step + 1, len(parts))
    features = torch.cat(found)
    gaps = nearest(samples, features)[0]
    figures["samples.nearer_to_training"] = nearer_share(gaps, nearest(portraits.features, features)[0])
    rows = gaps.argsort()[:_ROWS]
    pictures["training.png"] = sheets.neighbour_sheet(
        show(rows), samples[rows], features, lambda index: known.batch(index)[0], None, ("sample", "training")
    )
    return figures


@torch.no_grad()
def artefact_figures(tools: Tools, painted: Painted, portraits: Tensor, count: int) -> Figures:
    """Droplets, dead noise and sticking texture."""
    count = min(count, len(portraits), len(painted.z))
    styles = tools.generator.affine(tools.generator.map(painted.z[:count]))
    figures: Figures = {}
    if tools.resolution > 8:
        peaks = torch.cat([peak_energies(tools.generator, part) for part in torch.split(styles, _BATCH)])
        figures |= {"samples.peak_energy": float(peaks.mean()), "samples.droplets": float((peaks > DROPLET).float().mean())}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SAMPLES_SEED)
        change = torch.cat([noise_change(tools.generator, part) for part in torch.split(styles, _BATCH)])
    still = torch.cat([tools.generator.synthesise(part, "none").clamp(-1, 1) for part in torch.split(styles, _BATCH)])
    return figures | {
        "samples.noise_change": float(change.mean()),
        "samples.sticking": sticking(painted.show(tools.generator, torch.arange(count))),
        "samples.sticking_noiseless": sticking(still),
        "samples.sticking_real": sticking(portraits[:count]),
    }


# -- latent spaces --------------------------------------------------------------------------------------------------


def latent_figures(tools: Tools, painted: Painted, outcome: Outcome, tell: Progress) -> None:
    """Path length and DCI; also the R2 of every factor."""
    count = min(len(painted.z), _MOST_CODES)
    outcome.figures["latent.ppl_w"] = path_length(tools, min(count, _MOST_PATHS), tell)
    factors = Factors.of(tools.units, painted.read[:count])
    for step, (space, found) in enumerate(space_dci(tools.generator, painted.z[:count], factors)):
        for name in ("disentanglement", "completeness", "informativeness"):
            outcome.figures[f"latent.dci_{space}_{name}"] = float(getattr(found, name))
        for name, value in zip(factors.names, found.r2.tolist(), strict=True):
            outcome.factors.setdefault(name, {})[space] = value
        tell("DCI", step + 1, len(SPACES))


@torch.no_grad()
def path_length(tools: Tools, count: int, tell: Progress) -> float:
    """Perceptual path length in W over `count` paths between unseen w."""
    random = torch.Generator().manual_seed(PATHS_SEED)
    generator, lengths = tools.generator, []
    starts = range(0, count, _BATCH)
    for step, start in enumerate(starts):
        batch = min(_BATCH, count - start)
        first, second = (generator.map(torch.randn(batch, generator.config.z_dim, generator=random)) for _ in range(2))
        t = torch.rand(batch, generator=random)
        lengths.append(path_lengths(first, second, t, lambda w: generator.synthesise(generator.affine(w)), tools.perceptual))
        tell("paths", step + 1, len(starts))
    return trimmed_mean(torch.cat(lengths))


@torch.no_grad()
def space_dci(generator: Generator, z: Tensor, factors: Factors) -> list[tuple[str, Dci]]:
    """DCI of z, w and s with respect to the same factors."""
    w = generator.map(z)
    return [(space, dci(codes, factors.values)) for space, codes in zip(SPACES, (z, w, generator.affine(w)), strict=True)]


# -- inversion ------------------------------------------------------------------------------------------------------


def inversion_part(tools: Tools, count: int, workers: int | None, outcome: Outcome, tell: Progress) -> None:
    """Inversions of unseen portraits and of the example pictures."""
    portraits = unseen_set(count, tools.resolution, INVERSIONS_SEED, workers)
    images, labels, _ = portraits.batch(torch.arange(len(portraits)))
    inverted = invert_all(tools.inverter, images, partial(tell, "inversions"))
    outcome.figures |= picture_figures(inverted, tools.perceptual, "inversion")
    outcome.figures |= judged_figures(inverted, FaceParams.unpack(labels), tools.judge, tools.units)
    outcome.pictures["inversions.png"] = sheets.inversion_sheet(inverted)
    crops = example_crops(tools.reader, tools.resolution)
    examples = invert_all(tools.inverter, torch.cat(list(crops.values())), partial(tell, "examples"))
    for index, caption in enumerate(crops):
        outcome.figures |= picture_figures(examples.only(index), tools.perceptual, f"examples.{caption}")
    outcome.pictures["examples.png"] = sheets.inversion_sheet(examples, list(crops))


# -- the networks in use --------------------------------------------------------------------------------------------


def evaluate_shipped(
    sizes: Sizes,
    network: Path | None = None,
    training: Sequence[Path] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Evaluate the human generator in use, or another. Raises UserError naming what is missing.

    An encoder or a rig that was made for another generator is left out with a note.
    """
    path = network if network is not None else assets.require("generator-human")
    owner = checkpoint.sha256(path) if path.is_file() else ""
    generator = load_generator(path).eval().requires_grad_(False)
    if generator.config.c_dim:
        raise UserError(f"{path}: this network has classes, which this evaluation cannot sample; give a network without.")
    encoder, rig = (_made_for(owner, name) for name in ("encoder", "manipulation"))
    perceptual = PerceptualDistance(SHOWN).requires_grad_(False)
    inverter = Inverter(
        generator, load_encoder(encoder) if encoder else None, load_rig(rig, owner) if rig else None, perceptual, sizes.effort
    )
    reader, judge = load_reconstruction(assets.require("reconstruction")), load_reconstruction(assets.require("judge"))
    model = FaceModel.load(assets.require("head"))
    for reading, what in ((reader, "reconstruction network"), (judge, "judge")):
        reading.space.check(model.space, what)
    tools = Tools(
        generator,
        reader,
        judge,
        Units.of(model),
        FeatureTaps(SHOWN, _LAST_TAP),
        perceptual,
        inverter,
    )
    outcome = evaluate_generator(tools, sizes, training, workers, progress)
    outcome.notes = _notes(tools, sizes, owner, training)
    return outcome


def _made_for(owner: str, name: str) -> Path | None:
    """The file in use, when it belongs to the generator with this SHA-256."""
    path = assets.find(name)
    return path if path is not None and checkpoint.load_header(path).get("generator") == owner else None


def _notes(tools: Tools, sizes: Sizes, owner: str, training: Sequence[Path]) -> list[str]:
    effort = sizes.effort
    notes = [
        f"Generator {owner[:12]}, {tools.resolution} px; {sizes.samples} samples and twice as many unseen portraits, {sizes.inversions} "
        f"inverted portraits ({effort.steps} steps, {effort.tuning_steps} of pivotal tuning). Protocol: docs/8-generator-evaluation.md.",
        "Features are EfficientNet-Lite0's: the Frechet distance is no FID; the goals of precision and recall come from other features.",
    ]
    if sizes.samples < 10_000:
        notes.append("With fewer than 10000 samples Frechet distances are too high and precision and recall differ: not for comparison.")
    if not training:
        notes.append("No --training archives were named: samples were not compared with the training set.")
    if sizes.inversions and tools.inverter.encoder is None:
        notes.append(f"No encoder belongs to this generator: no figures of {METHODS[0]}, and searches start from the mean w.")
    if sizes.inversions and tools.inverter.rig is None:
        notes.append("No rig belongs to this generator: edits of inverted portraits were not measured.")
    return notes
