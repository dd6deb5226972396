"""Linear directions in W and in S, after InterFaceGAN (Shen et al. 2020, arXiv 2005.09635), for continuous parameters.

InterFaceGAN moves codes along the normal of a hyperplane that separates a yes from a no, orthogonalised against what should stay
(section 3.3, conditional manipulation). Parameters are numbers, and there are many: a ridge regression of the code on *all* parameters at
once gives, for each, the direction in which codes differ when only this one does. An edit adds direction times command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.baselines.ridge import ridge

_ONE_W = 1e-3  # largest distance, relative to the code's own from the mean, at which a code still comes from one w


@dataclass(frozen=True)
class LinearEditor:
    """s' = s + dP @ directions."""

    directions: Mapping[str, Tensor]
    """Attribute -> (n, S)."""

    def __call__(self, styles: Tensor, attribute: str, command: Tensor) -> Tensor:
        return styles + command @ self.directions[attribute].to(styles)


def _by_attribute(coefficients: Tensor) -> dict[str, Tensor]:
    """(213, S) -> attribute -> (n, S)."""
    columns = FaceParams.unpack(coefficients.T.contiguous())  # the "batch" are the S entries of a code
    return {name: columns.attribute(name).T.contiguous() for name in ATTRIBUTES}


def linear_s(styles: Tensor, labels: Tensor) -> LinearEditor:
    """Directions in S from codes (N,S) and what was seen in their pictures, labels (N,213)."""
    return LinearEditor(_by_attribute(ridge(labels, styles)))


@torch.no_grad()
def linear_w(generator: Generator, styles: Tensor, labels: Tensor) -> LinearEditor:
    """Directions in W, from the same examples: each w is found back from its s, which is an affine function of it.

    Examples that mix several people over the layers have no w and are left out. Raises UserError when too few others remain.
    """
    affine = affine_matrix(generator)
    w, error = w_of(generator, styles)
    single = error < _ONE_W
    if int(single.sum()) < 20:
        few = int(single.sum())
        raise UserError(f"Directions in W need codes of unmixed people, and of {len(styles)} codes only {few} are; label unmixed ones.")
    return LinearEditor(_by_attribute(ridge(labels[single], w[single]) @ affine))


def affine_matrix(generator: Generator) -> Tensor:
    """(W,S): what a change of w, the same in all layers, adds to s."""
    basis = torch.eye(generator.config.w_dim)
    return generator.affine(basis) - generator.affine(torch.zeros_like(basis))


def w_of(generator: Generator, styles: Tensor) -> tuple[Tensor, Tensor]:
    """s (N,S) -> the w (N,W) whose style code comes nearest, and (N,) how far off that is relative to the code's distance from the mean."""
    offset = generator.affine(torch.zeros(1, generator.config.w_dim))
    w = ((styles - offset).double() @ torch.linalg.pinv(affine_matrix(generator).double())).float()
    error = (generator.affine(w) - styles).norm(dim=1) / (styles - styles.mean(0)).norm(dim=1).clamp(min=1e-9)
    return w, error
