"""Train the toon child of the human generator: latent-consistent fine-tuning on toon-rendered people.

The loop is that of `train.generator`; the parent's latent space is held still (`domains.finetune`), and the pictures show
people drawn by `crossrig synth --style toon`, whose codes say which w must paint them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrig.config import setting
from crossrig.errors import UserError
from crossrig.train import generator


@dataclass(frozen=True)
class ToonTraining(generator.GeneratorTraining):
    """`GeneratorTraining` with a child's defaults: short, from the parent given by `init`."""

    kimg: float = setting(40.0, "length of the run; the learning rate falls along it")
    supervised_kimg: float = setting(25.0, "images before the discriminator joins")
    hold_latent: bool = setting(True, "hold mapping and affine layers still, so that parent and child share their codes")


def train(config: ToonTraining) -> Path:
    """Train or resume the child; returns its averaged generator. Raises UserError without a parent in `config.init`."""
    if config.init is None:
        raise UserError("A toon generator needs its parent: give the human generator with --init.")
    return generator.train(config)
