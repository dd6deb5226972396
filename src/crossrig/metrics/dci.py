"""Disentanglement, completeness and informativeness of a code (Eastwood & Williams 2018, *A framework for the quantitative evaluation of
disentangled representations*, section 2).

A regressor for each factor, with a non-negative importance R_ij of code dimension i for factor j, gives

    disentanglement   sum_i rho_i (1 - H_K(R_i. / sum_k R_ik))    rho_i = sum_j R_ij / sum R;  1: every dimension serves one factor
    completeness      mean_j (1 - H_D(R_.j / sum_i R_ij))         1: every factor is held by one dimension
    informativeness   mean_j of the share of variance explained on codes the regressor has not seen;  1: the code tells the factor exactly

with H_n the entropy to base n, K factors and D dimensions.

What we fixed, because figures are only comparable when it is the same:

* regressor: the lasso, one of the two of the paper: linear regression with an L1 penalty on standardised dimensions and factors;
  importance = |coefficient|. Its limits: what depends on the code in a bent way counts as not informative, and where dimensions nearly
  repeat one another (style codes of unmixed people are a linear function of w, so S has more dimensions than freedom) the penalty
  picks few of them;
* the penalty of each factor: of a fixed ladder the one that predicts best on a fifth of the training codes, then fitted to all of them;
* informativeness is R2, with 0 for regressors worse than the mean. The paper reports an error, the StyleSpace paper (Wu et al. 2021) the
  accuracy of classifiers of attributes that are there or not: their figures are on other scales;
* completeness is a plain mean over factors; a factor whose regressor keeps no dimension has completeness 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from numba import njit
from torch import Tensor

from crossrig.errors import UserError

#: Penalties tried, as shares of the least one that leaves no coefficient.
LADDER: tuple[float, ...] = (0.5, 0.3, 0.2, 0.12, 0.08, 0.05, 0.03, 0.02, 0.012, 0.008, 0.005, 0.003)
_HELD = 5  # every fifth code chooses the penalty
_SWEEPS = 400
_TOLERANCE = 1e-4  # largest change of a coefficient, in standard deviations, at which the descent stops


@dataclass(frozen=True)
class Dci:
    """disentanglement, completeness, informativeness: 0 to 1. r2: (K,) of each factor, may be negative. importance: (D, K)."""

    disentanglement: float
    completeness: float
    informativeness: float
    r2: Tensor
    importance: Tensor


def _entropy(shares: Tensor, dim: int) -> Tensor:
    """Entropy along `dim` to the base of its length, of numbers that add up to 1 along it."""
    entropy: Tensor = torch.special.entr(shares).sum(dim)
    return entropy / math.log(max(shares.shape[dim], 2))


def disentanglement(importance: Tensor) -> float:
    """(D, K) importances, 0 or more -> 0 to 1. Dimensions that serve nothing weigh nothing."""
    weight = importance.double().sum(1)
    if float(weight.sum()) <= 0:
        return 0.0
    used = importance.double()[weight > 0]
    return float(((1.0 - _entropy(used / used.sum(1, keepdim=True), 1)) * weight[weight > 0]).sum() / weight.sum())


def completeness(importance: Tensor) -> float:
    """(D, K) importances, 0 or more -> 0 to 1."""
    total = importance.double().sum(0)
    shares = importance.double() / total.clamp(min=1e-300)
    return float(((1.0 - _entropy(shares, 0)) * (total > 0)).mean())


@njit(cache=True, nogil=True)
def _descend(gram, cross, penalty, found, sweeps, tolerance):  # type: ignore[no-untyped-def]
    """One regression of `lasso`: gram (D, D), cross (D,), penalty; changes found (D,)."""
    size = len(found)
    residual = cross - gram @ found  # minus the gradient
    for sweep in range(sweeps):
        # Most coefficients stay at 0: after a sweep over all, sweep over the others until they settle.
        everything = sweep % 10 == 0
        largest = 0.0
        for i in range(size):
            if not everything and found[i] == 0.0:
                continue
            diagonal = max(gram[i, i], 1e-12)
            wish = residual[i] + diagonal * found[i]
            value = max(abs(wish) - penalty, 0.0) / diagonal
            step = (value if wish > 0 else -value) - found[i]
            if step != 0.0:
                found[i] += step
                for j in range(size):
                    residual[j] -= gram[i, j] * step
                largest = max(largest, abs(step))
        if everything and largest < tolerance:
            break


def lasso(gram: Tensor, cross: Tensor, penalty: Tensor, start: Tensor | None = None) -> Tensor:
    """Coefficients B (D, K) that minimise 1/2 tr(B' G B) - tr(C' B) + sum_j penalty_j |B_.j|_1, by cyclic coordinate descent.

    gram G (D, D), cross C (D, K): second moments of standardised dimensions with themselves and with the factors, float64; penalty (K,).
    start: coefficients to begin with. Friedman et al. 2010, *Regularization paths for generalized linear models via coordinate descent*,
    section 2.2 (covariance updates).
    """
    found = (torch.zeros_like(cross) if start is None else start).T.contiguous().clone()  # (K, D)
    table, targets = gram.contiguous().numpy(), cross.T.contiguous().numpy()
    for j in range(len(found)):
        _descend(table, targets[j], float(penalty[j]), found[j].numpy(), _SWEEPS, _TOLERANCE)
    return found.T


def _moments(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Mean and scale of the codes and of the factors, G and C of the standardised ones."""
    means = [values.mean(0) for values in (codes, factors)]
    scales = [values.std(0, correction=0) for values in (codes, factors)]
    # What never varies tells nothing and is told by nothing: it becomes 0, not noise divided by nothing.
    parts = [torch.where(s > 1e-9, (v - m) / s.clamp(min=1e-9), 0.0) for v, m, s in zip((codes, factors), means, scales, strict=True)]
    count = len(codes)
    return means[0], scales[0], means[1], scales[1], parts[0].T @ parts[0] / count, parts[0].T @ parts[1] / count


def _predict(codes: Tensor, coefficients: Tensor, moments: tuple[Tensor, ...]) -> Tensor:
    code_mean, code_scale, factor_mean, factor_scale = moments[:4]
    standard = torch.where(code_scale > 1e-9, (codes - code_mean) / code_scale.clamp(min=1e-9), 0.0)
    return factor_mean + factor_scale * (standard @ coefficients)


def _r2(found: Tensor, truth: Tensor) -> Tensor:
    total = (truth - truth.mean(0)).square().sum(0).clamp(min=1e-12)
    return 1.0 - (found - truth).square().sum(0) / total


def fit(codes: Tensor, factors: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Lasso coefficients (D, K) of standardised factors (N, K) on standardised codes (N, D), the penalty chosen inside, and the moments."""
    held = torch.arange(len(codes)) % _HELD == 0
    moments = _moments(codes[~held], factors[~held])
    most = moments[5].abs().amax(0)  # (K,): from here on every coefficient is 0
    best, chosen = torch.full_like(most, -torch.inf), torch.ones_like(most)
    coefficients: Tensor | None = None
    worse = torch.zeros(len(most), dtype=torch.long)
    for share in LADDER:
        coefficients = lasso(moments[4], moments[5], most * share, coefficients)
        reached = _r2(_predict(codes[held], coefficients, moments), factors[held])
        chosen = torch.where(reached > best, share, chosen)
        worse = torch.where(reached > best, 0, worse + 1)
        best = torch.maximum(best, reached)
        if bool((worse >= 2).all()):
            break
    moments = _moments(codes, factors)
    return lasso(moments[4], moments[5], moments[5].abs().amax(0) * chosen, coefficients), moments


def dci(codes: Tensor, factors: Tensor, test: float = 0.2) -> Dci:
    """Codes (N, D) and factors (N, K) -> the three figures. The last `test` of the codes are kept for informativeness.

    Raises UserError for fewer than 20 codes or fewer than 2 factors.
    """
    if len(codes) < 20 or len(factors) != len(codes) or factors.shape[1] < 2:
        raise UserError(f"DCI needs 20 or more codes and 2 or more factors of each, not {tuple(codes.shape)} and {tuple(factors.shape)}.")
    codes, factors = codes.double(), factors.double()
    cut = len(codes) - max(2, round(test * len(codes)))
    coefficients, moments = fit(codes[:cut], factors[:cut])
    r2 = _r2(_predict(codes[cut:], coefficients, moments), factors[cut:])
    importance = coefficients.abs()
    return Dci(disentanglement(importance), completeness(importance), float(r2.clamp(min=0).mean()), r2, importance)
