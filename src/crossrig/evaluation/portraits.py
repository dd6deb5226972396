"""Unseen portraits as codes: what a person's own picture is like to an editor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import torch
from torch import Tensor

from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.data.synth import synthesise
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder
from crossrig.inversion.optimise import invert

#: Steps of the search in W+, as `crossrig edit` takes (`session.Effort`).
STEPS = 25


def unseen_set(count: int, resolution: int, seed: int, workers: int | None = None, first: int = 0) -> PortraitSet:
    """Portraits first .. first+count-1 of a reserved stream, with their labels, at R px, rendered at 128 px or more as those of training
    are."""
    with tempfile.TemporaryDirectory() as folder:
        path = synthesise(count, max(128, resolution), seed, folder, workers=workers, first=first, progress=False)
        return load_portraits([path], resolution)


def unseen_portraits(count: int, resolution: int, seed: int, workers: int | None = None) -> Tensor:
    """(count,3,R,R) in [-1,1]: the pictures of `unseen_set`."""
    portraits = unseen_set(count, resolution, seed, workers)
    return portraits.batch(torch.arange(len(portraits)))[0]


def inverted_styles(
    images: Tensor,
    generator: Generator,
    encoder: Encoder | None,
    perceptual: PerceptualDistance,
    steps: int = STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(N,3,R,R) -> (N,S): the W+ inversions that `crossrig edit` starts from. The generator is not tuned to each picture: edits are judged
    between the inversion and what becomes of it."""
    found = []
    for index in range(len(images)):
        image = images.narrow(0, index, 1).contiguous()
        found.append(invert(image, generator, encoder, steps=steps, perceptual=perceptual).s)
        if progress is not None:
            progress(index + 1, len(images))
    return torch.cat(found)
