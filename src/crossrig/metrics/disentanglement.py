"""The disentanglement score of DiscoFaceGAN (Deng et al. 2020, arXiv 2004.11660, section 4), as we run it.

The idea of the paper: of a set of pictures in which a single factor i was varied, a network estimates all factors; the estimate of i
should vary much and every other one little. With var_j the variance of the estimate of factor j inside such sets, divided by its
variance over the data,

    DS_i = product over j != i of  var_i / var_j

What we fixed, because scores are only comparable when it is the same:

* factors: the five attributes of CDDFM3D (the paper has four: identity, expression, pose and light), so the product has four terms;
* estimates: the judge network, which no editor was trained with; the variance of an attribute is the mean squared distance to the set's
  mean in `rig.units` (metres of face vertices, colours, irradiance, degrees of rotation), not the variance of coefficients;
* a set: one unseen code edited towards `targets` other people's value of the attribute, the unedited picture not included;
* var_j: averaged over sets, then divided by the variance of the judge's reading over unedited unseen codes (the paper: over real data);
* the figure of a method is the geometric mean of its five DS_i, so that no attribute outshines the others.

1 means that a commanded attribute varies no more, relative to its natural variety, than the others do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.bootstrap import Resampling, Statistic
from crossrig.rig.units import MEASURED_BLOCK, Units

_LEAST = 1e-9


def set_variances(units: Units, spread: Mapping[str, float], sets: FaceParams, targets: int) -> dict[str, Tensor]:
    """Readings of K sets one after another (K * targets faces) -> attribute -> (K,): variance inside each set, in squared spreads."""
    found = {}
    for name in ATTRIBUTES:
        block = MEASURED_BLOCK[name]
        values: Tensor = getattr(sets, block)
        grouped = values.reshape(-1, targets, values.shape[1])
        centred = (grouped - grouped.mean(1, keepdim=True)).flatten(0, 1)
        found[name] = units.squared(block, centred).reshape(-1, targets).mean(1) / spread[block] ** 2
    return found


def score(variances: Mapping[str, Tensor], varied: str, resampling: Resampling) -> Statistic:
    """DS of one factor from `set_variances`, resampled over sets."""
    logarithms = {name: _logarithm(resampling.mean(values)) for name, values in variances.items()}
    own, others = logarithms[varied], [logarithms[name] for name in logarithms if name != varied]
    value = len(others) * own.value - sum(other.value for other in others)
    drawn = len(others) * own.drawn - torch.stack([other.drawn for other in others]).sum(0)
    return Statistic(math.exp(value), drawn.exp())


def overall(scores: Mapping[str, Statistic]) -> Statistic:
    """Geometric mean over the factors."""
    logarithms = [_logarithm(statistic) for statistic in scores.values()]
    value = sum(statistic.value for statistic in logarithms) / len(logarithms)
    return Statistic(math.exp(value), torch.stack([statistic.drawn for statistic in logarithms]).mean(0).exp())


def _logarithm(statistic: Statistic) -> Statistic:
    return Statistic(math.log(max(statistic.value, _LEAST)), statistic.drawn.clamp(min=_LEAST).log())
