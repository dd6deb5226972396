"""Train a child of the human generator from people drawn in another style: latent-consistent fine-tuning with pairs.

The loop is that of `train.generator`; the parent's latent space is held still (`domains.finetune`). The pictures show people drawn by
`crossrig synth --style`; which w must paint them says their code, or what the parent's encoder finds in photographs of the same people
(`shown`). Pictures of a domain that nobody can draw to order are for `train.adapt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrig.config import setting
from crossrig.errors import UserError
from crossrig.train import generator


@dataclass(frozen=True)
class ChildTraining(generator.GeneratorTraining):
    """`GeneratorTraining` with a child's defaults: short, without discriminator, from the parent given by `init`."""

    kimg: float = setting(14.0, "length of the run; the learning rate falls along it")
    supervised_kimg: float = setting(14.0, "images before the discriminator joins")
    hold_latent: bool = setting(True, "hold mapping and affine layers still, so that parent and child share their codes")


def train(config: ChildTraining) -> Path:
    """Train or resume the child; returns its averaged generator. Raises UserError without a parent in `config.init`."""
    if config.init is None:
        raise UserError("A child needs its parent: give the human generator with --init.")
    return generator.train(config)
