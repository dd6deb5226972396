"""The same person in another domain: one style code, two generators (CDDFM3D, section 3.4).

    picture in domain A --inversion in G_A--> s --G_B--> picture in domain B

holds because G_B was fine-tuned with the latent space held still. Both generators are taken as they were trained: one that pivotal tuning
bent to a picture has put part of that picture into its weights, and s without those weights would be somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from crossrig.domains.blend import blend, check_fit, shares_by_resolution
from crossrig.gan.generator import Generator


@torch.no_grad()
def translate(s: Tensor, source: Generator, target: Generator, steps: Mapping[int, float] | None = None) -> Tensor:
    """Style codes (B, S) found in the domain of `source` -> pictures (B, 3, R, R) in that of `target`, about [-1, 1], not clipped.

    `steps`: take only these shares of `target`, from some resolutions on (see `blend.shares_by_resolution`), and the rest of `source`: with
    `{16: 1.0}` heads keep the build that they have in the source domain. Raises UserError when the generators do not fit.
    """
    check_fit(source, target)
    if steps is not None:
        target = blend(source, target, shares_by_resolution(source.style_space, steps))
    return target.synthesise(s)
