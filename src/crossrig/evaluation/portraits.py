"""Unseen portraits as codes: what a person's own picture is like to an editor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.data.style_names import Style
from crossrig.data.synth import synthesise
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder, w_samples
from crossrig.inversion.optimise import Inversion, invert
from crossrig.inversion.pie import RigView, embed
from crossrig.rig.editors import FeedForward
from crossrig.rig.losses import BlockLosses
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.units import Units

#: Steps of the search in W+, as `crossrig edit` takes (`session.Effort`).
STEPS = 25


def unseen_set(
    count: int, resolution: int, seed: int, workers: int | None = None, first: int = 0, style: Style = "photo"
) -> PortraitSet:
    """Portraits first .. first+count-1 of a reserved stream, with their labels, at R px, rendered at 128 px or more as those of training
    are."""
    with tempfile.TemporaryDirectory() as folder:
        path = synthesise(count, max(128, resolution), seed, folder, workers=workers, style=style, first=first, progress=False)
        return load_portraits([path], resolution)


def unseen_portraits(count: int, resolution: int, seed: int, workers: int | None = None) -> Tensor:
    """(count,3,R,R) in [-1,1]: the pictures of `unseen_set`."""
    portraits = unseen_set(count, resolution, seed, workers)
    return portraits.batch(torch.arange(len(portraits)))[0]


#: A way of inverting: picture (1,3,R,R) -> its inversion.
Way = Callable[[Tensor], Inversion]


def optimised(generator: Generator, encoder: Encoder | None, perceptual: PerceptualDistance, steps: int = STEPS) -> Way:
    """The W+ inversions that `crossrig edit` starts from."""
    return partial(invert, generator=generator, encoder=encoder, steps=steps, perceptual=perceptual)


def embedded(
    generator: Generator,
    encoder: Encoder | None,
    perceptual: PerceptualDistance,
    rig: Rig,
    reader: Reconstruction,
    units: Units,
    steps: int = STEPS,
) -> Way:
    """PIE under the edits of M alone (`inversion.pie`): as many steps in W, and as many again in W+."""
    people = generator.affine(w_samples(generator, 1024))
    view = RigView(rig.predict, FeedForward(rig), BlockLosses(units, rig.predict(people)), people)

    def way(image: Tensor) -> Inversion:
        seen = reader.predict(image)
        return embed(image, seen, view, generator, encoder, w_steps=steps, steps=steps, perceptual=perceptual)

    return way


def inverted_styles(images: Tensor, way: Way, progress: Callable[[int, int], None] | None = None) -> Tensor:
    """(N,3,R,R) -> (N,S). The generator is not tuned to each picture: edits are judged between the inversion and what becomes of it."""
    found = []
    for index in range(len(images)):
        found.append(way(images.narrow(0, index, 1).contiguous()).s)
        if progress is not None:
            progress(index + 1, len(images))
    return torch.cat(found)
