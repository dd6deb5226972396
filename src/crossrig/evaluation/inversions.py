"""Pictures as codes: how near each way of inverting comes, what it costs, and whether the result still obeys."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from crossrig.data.align import crop, refine, to_tensor
from crossrig.data.detect import choose_face, detect_faces
from crossrig.demo import subjects
from crossrig.evaluate import Figures, yaw
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.gan.precision import feature_dtype
from crossrig.inversion.encoder import Encoder
from crossrig.inversion.optimise import invert
from crossrig.inversion.pivotal import tune
from crossrig.metrics.angles import ANGLES, correlation
from crossrig.metrics.inversion import l2
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import MEASURED_BLOCK, Units
from crossrig.session import Effort

#: Ways of inverting, from fast to close. Each starts from the one before, and its seconds count theirs.
ENCODER, OPTIMISE, PIVOTAL = "encoder", "optimise", "pivotal"
METHODS: tuple[str, ...] = (ENCODER, OPTIMISE, PIVOTAL)
#: The portrait itself: what the judge misses before anything was inverted.
PORTRAIT = "portrait"
#: Reach of the yaw targets, degrees.
YAW_REACH = 40.0
#: Reserved for the yaw targets.
TARGETS_SEED = 770_000_061


@dataclass(frozen=True)
class Inverter:
    """What inverts and edits. encoder None: searches start from the mean w. rig None: nothing is edited."""

    generator: Generator
    encoder: Encoder | None
    rig: Rig | None
    perceptual: PerceptualDistance
    effort: Effort


@dataclass
class Inverted:
    """N pictures inverted. made: method -> (N,3,R,R) pictures in [-1,1]; seconds: method -> of each picture, with what it starts from."""

    images: Tensor
    made: dict[str, Tensor] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    commanded: list[float] = field(default_factory=list)
    """Change of yaw asked for, degrees; empty where there is no rig."""
    edited: dict[str, Tensor] = field(default_factory=dict)
    """OPTIMISE and PIVOTAL -> pictures after that command."""

    def only(self, index: int) -> Inverted:
        """One of the pictures."""
        one = slice(index, index + 1)
        made, edited = ({name: images[one] for name, images in of.items()} for of in (self.made, self.edited))
        seconds = {name: values[one] for name, values in self.seconds.items()}
        return Inverted(self.images[one], made, seconds, self.commanded[one], edited)


def invert_all(inverter: Inverter, images: Tensor, progress: Callable[[int, int], None] | None = None) -> Inverted:
    """Invert pictures (N,3,R,R) in [-1,1] one by one in every way, and turn each head to a random yaw."""
    targets = YAW_REACH * (2 * torch.rand(len(images), generator=torch.Generator().manual_seed(TARGETS_SEED)) - 1)
    result = Inverted(images)
    made: dict[str, list[Tensor]] = {}
    edited: dict[str, list[Tensor]] = {}
    for index in range(len(images)):
        image = images.narrow(0, index, 1).contiguous()
        pictures, seconds, s, tuned = _invert_one(inverter, image)
        for method, picture in pictures.items():
            made.setdefault(method, []).append(picture)
            result.seconds.setdefault(method, []).append(seconds[method])
        if inverter.rig is not None:
            turned, asked = _turn(inverter.rig, s, float(targets[index]), inverter.effort.passes)
            result.commanded.append(asked)
            with torch.no_grad():
                for method, generator in ((OPTIMISE, inverter.generator), (PIVOTAL, tuned)):
                    edited.setdefault(method, []).append(generator.synthesise(turned).clamp(-1, 1))
        if progress is not None:
            progress(index + 1, len(images))
    result.made = {method: torch.cat(parts) for method, parts in made.items()}
    result.edited = {method: torch.cat(parts) for method, parts in edited.items()}
    return result


def _invert_one(inverter: Inverter, image: Tensor) -> tuple[dict[str, Tensor], dict[str, float], Tensor, Generator]:
    """Pictures and seconds by method, the pivot (1,S) and the tuned generator."""
    made: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    generator, effort = inverter.generator, inverter.effort
    if inverter.encoder is not None:
        began = time.perf_counter()
        with torch.no_grad():
            made[ENCODER] = generator.synthesise(generator.affine(inverter.encoder(image)))
        seconds[ENCODER] = time.perf_counter() - began
    began = time.perf_counter()
    dtype = feature_dtype("auto")  # as an edit does it
    inversion = invert(image, generator, inverter.encoder, steps=effort.steps, perceptual=inverter.perceptual, dtype=dtype)
    seconds[OPTIMISE] = time.perf_counter() - began
    tuned = tune(generator, inversion.s, image, steps=effort.tuning_steps, perceptual=inverter.perceptual, dtype=dtype)
    seconds[PIVOTAL] = time.perf_counter() - began
    with torch.no_grad():
        made |= {OPTIMISE: inversion.image, PIVOTAL: tuned.synthesise(inversion.s)}
    return {method: picture.clamp(-1, 1) for method, picture in made.items()}, seconds, inversion.s, tuned


@torch.no_grad()
def _turn(rig: Rig, s: Tensor, target: float, passes: int) -> tuple[Tensor, float]:
    """The code (1,S) turned to a yaw in degrees, and the change that was asked for."""
    own = rig.predict(s)
    rotation = own.rotation.clone()
    rotation[:, ANGLES.index("yaw")] = torch.deg2rad(torch.tensor(target))
    goal = own.replace(rotation=rotation)
    asked = float(yaw(goal) - yaw(own))
    return rig.move(s, {"pose": goal.attribute("pose") - own.attribute("pose")}, passes), asked


@torch.no_grad()
def picture_figures(inverted: Inverted, perceptual: PerceptualDistance, prefix: str) -> Figures:
    """`{prefix}.{method}_l2`, `_perceptual` (means) and `_seconds` (median)."""
    figures: Figures = {}
    for method, made in inverted.made.items():
        gaps = [perceptual(*pair) for pair in zip(torch.split(made, 16), torch.split(inverted.images, 16), strict=True)]
        figures[f"{prefix}.{method}_l2"] = float(l2(made, inverted.images).mean())
        figures[f"{prefix}.{method}_perceptual"] = float(torch.cat(gaps).mean())
        figures[f"{prefix}.{method}_seconds"] = float(torch.tensor(inverted.seconds[method]).median())
    return figures


def judged_figures(inverted: Inverted, truth: FaceParams, judge: Reconstruction, units: Units) -> Figures:
    """`inversion.{method}_judged_{attribute}`: root mean squared distance of what the judge reads to the label, in spreads of the labels;
    and how yaw followed."""
    spread = units.spread(truth)
    figures: Figures = {}
    for method, made in {PORTRAIT: inverted.images, **inverted.made}.items():
        read = judge.predict(made)
        for attribute in ATTRIBUTES:
            distance = units.distance(attribute, read, truth) / spread[MEASURED_BLOCK[attribute]]
            figures[f"inversion.{method}_judged_{attribute}"] = float(distance.square().mean().sqrt())
    for method, edited in inverted.edited.items():
        change = yaw(judge.predict(edited)) - yaw(judge.predict(inverted.made[method]))
        figures[f"inversion.{method}_yaw_correlation"] = correlation(torch.tensor(inverted.commanded), change)
    return figures


def example_crops(reader: Reconstruction, resolution: int) -> dict[str, Tensor]:
    """The real pictures that come with the package, cut out as `crossrig edit` cuts them: caption -> (1,3,R,R) in [-1,1]."""
    found = {}
    for subject in subjects():
        pixels = subject.picture.pixels
        face, _ = choose_face(detect_faces(pixels), subject.picture)
        framing = refine(pixels, face.framing, reader.predict, resolution)
        found[subject.caption] = to_tensor(crop(pixels, framing, resolution).image)
    return found
