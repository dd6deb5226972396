"""What edits are looked at with, and what is seen. None of it took part in training an editor, the command reader excepted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.features import FeatureTaps, resize
from crossrig.gan.generator import Generator
from crossrig.metrics.frechet import pooled_features
from crossrig.metrics.identity import FaceDescriptor
from crossrig.metrics.outside import face_mask
from crossrig.metrics.points import PointFinder
from crossrig.rig.losses import PointLoss
from crossrig.rig.reading import see, together
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units

#: Pictures are kept and compared at this side at most, px.
SHOWN = 128
#: Faces that are described for the figures of identity, the first of each set.
DESCRIBED = 128
_LAST_TAP = (15,)


@dataclass(frozen=True)
class Instruments:
    """generator: whose codes are edited. reader: the reconstruction network, in whose terms commands are given. judge: looks at the
    outcome. descriptor, finder: dlib's, None where they are not installed. features: EfficientNet-Lite0. dtype: of the features of
    the generator while it paints codes (`Generator.synthesise`)."""

    generator: Generator
    reader: Reconstruction
    judge: Reconstruction
    model: FaceModel
    units: Units
    landmarks: PointLoss
    features: FeatureTaps
    descriptor: FaceDescriptor | None
    finder: PointFinder | None
    dtype: torch.dtype | None = None

    @classmethod
    def of(
        cls,
        generator: Generator,
        reader: Reconstruction,
        judge: Reconstruction,
        model: FaceModel,
        features: FeatureTaps | None = None,
        descriptor: FaceDescriptor | None = None,
        finder: PointFinder | None = None,
        dtype: torch.dtype | None = None,
    ) -> Instruments:
        """The instruments that go with a generator, two readers of pictures and a face model; UserError when they read another one."""
        for network, what in ((reader, "reconstruction network"), (judge, "judge")):
            network.space.check(model.space, what)
        taps = FeatureTaps(SHOWN, _LAST_TAP) if features is None else features
        return cls(generator, reader, judge, model, Units.of(model), PointLoss.landmarks(model), taps, descriptor, finder, dtype)

    def judged(self, styles: Tensor) -> FaceParams:
        """What the judge sees in the pictures of codes (N,S)."""
        return see(self.judge, self.generator, styles, self.dtype)


@dataclass(frozen=True)
class Seen:
    """What the instruments see in the pictures of N codes."""

    params: FaceParams
    """By the judge."""
    pictures: Tensor
    """(N,3,R,R) in [-1,1], R at most SHOWN."""
    features: Tensor
    """(N,C)"""
    descriptors: Tensor | None
    """(min(N, DESCRIBED), 128)"""
    points: Tensor | None = None
    """(N,68,2), NDC; not a number where no face was found."""


def look(instruments: Instruments, styles: Tensor, identity: bool = True, points: bool = True) -> Seen:
    """Paint codes (N,S) and look at them. What costs the most can be left out: identity, the face descriptors, and points, dlib's.

    Only the first DESCRIBED faces are described: dlib's network takes three times as long as the judge.
    """
    parts = torch.split(styles, together(instruments.generator.config.resolution))
    painted = (instruments.generator.synthesise(part, dtype=instruments.dtype).clamp(-1, 1) for part in parts)
    return look_at(instruments, painted, identity, points)


@torch.no_grad()
def look_at(instruments: Instruments, batches: Iterable[Tensor], identity: bool = True, points: bool = True) -> Seen:
    """Look at pictures that come in batches (B,3,R,R), in [-1,1]."""
    params, pictures, features = [], [], []
    descriptors: list[Tensor] = []
    found: list[Tensor] = []
    for images in batches:
        params.append(instruments.judge.predict(images))
        pictures.append(resize(images, SHOWN) if images.shape[-1] > SHOWN else images)
        features.append(pooled_features(instruments.features, images))
        few = images[: max(0, DESCRIBED - sum(len(part) for part in descriptors))]
        if identity and instruments.descriptor is not None and len(few):
            descriptors.append(instruments.descriptor.describe(few))
        if points and instruments.finder is not None:
            found.append(instruments.finder.find(images))
    asked = (torch.cat(answers) if answers else None for answers in (descriptors, found))
    return Seen(FaceParams.concatenate(params), torch.cat(pictures), torch.cat(features), *asked)


def faces(instruments: Instruments, seen: Seen) -> Tensor:
    """(N,1,R,R): 1 where there is a face in the pictures seen."""
    size = seen.pictures.shape[-1]
    parts = torch.split(torch.arange(len(seen.pictures)), 32)
    return torch.cat([face_mask(instruments.model, seen.params[index], size) for index in parts])


@dataclass(frozen=True)
class Subjects:
    """Codes to be edited, and what is known about them before."""

    styles: Tensor
    """(N,S); (N,0) of people who are pictures only."""
    own: FaceParams
    """By the reader: commands are differences of these."""
    before: Seen
    face: Tensor
    """(N,1,R,R): 1 where there is a face before."""
    spread: dict[str, float]
    """Block -> spread of the judge's readings over these codes."""

    @classmethod
    def of(cls, instruments: Instruments, styles: Tensor) -> Subjects:
        """Look at codes (N,S), N >= 8, before anything is done to them."""
        before = look(instruments, styles)
        own = see(instruments.reader, instruments.generator, styles, instruments.dtype)
        return cls(styles, own, before, faces(instruments, before), instruments.units.spread(before.params))

    @classmethod
    def of_pictures(cls, instruments: Instruments, images: Tensor) -> Subjects:
        """Look at pictures (N,3,R,R), N >= 8, that no generator made."""
        before = look_at(instruments, torch.split(images, 32))
        own, spread = instruments.reader.predict(images), instruments.units.spread(before.params)
        return cls(torch.empty(len(images), 0), own, before, faces(instruments, before), spread)

    def __len__(self) -> int:
        return len(self.styles)

    def command(self, attribute: str) -> Tensor:
        """(N,n): the attribute of the next code minus its own. Targets are drawn from the population; the commands add up to nothing."""
        values = self.own.attribute(attribute)
        return values.roll(-1, 0) - values
