"""Linear bases of shape and colour: principal components of sampled people, and named directions in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Basis:
    """x = mean + coefficients @ components, with coefficients of unit variance over the samples.

    mean (D,); components (K, D), standard deviations folded in, largest first; scores (N, K): the samples' own
    coefficients; explained: share of the (weighted) variance that the K components hold.
    """

    mean: Floats
    components: Floats
    scores: Floats
    explained: float


def principal_components(samples: Floats, count: int, weight: Floats | None = None) -> Basis:
    """Principal components of `samples` (N, D) by the eigenvectors of the N x N Gram matrix (N is smaller than D here).

    `weight` (D,) says how much each coordinate counts when components are chosen; coordinates of weight 0 still follow
    the components by least squares. Signs are fixed so that the result does not depend on the linear-algebra library.
    """
    number = len(samples)
    if not 0 < count < number:
        raise ValueError(f"cannot take {count} components from {number} samples")
    mean = samples.mean(axis=0)
    centred = samples - mean
    weighted = centred if weight is None else centred * weight
    values, vectors = np.linalg.eigh(weighted @ weighted.T / number)
    order = np.argsort(values)[::-1][:count]
    scores = vectors[:, order] * np.sqrt(number)
    components = scores.T @ centred / number
    sign = np.sign(components[np.arange(count), np.abs(components).argmax(axis=1)])
    explained = float(values[order].sum() / max(values.sum(), 1e-30))
    return Basis(mean, components * sign[:, None], scores * sign, explained)


def direction(scores: Floats, values: Floats, fixed: tuple[Floats, ...] = ()) -> Floats:
    """Shortest step in coefficient space that raises a property by one standard deviation of the population.

    `scores` (N, K) are whitened coefficients, `values` (N,) the property measured on the same people. With the
    property's standardised regression weights w the step is w / |w|^2. The properties `fixed` (N,) do not change along
    the step, even if they go with this one in the population.
    """
    weights = _weights(scores, values)
    step = weights.copy()
    if fixed:
        held, _ = np.linalg.qr(np.stack([_weights(scores, item) for item in fixed], axis=1))
        step -= held @ (held.T @ step)
    return np.asarray(step / (weights @ step), dtype=np.float64)


def _weights(scores: Floats, values: Floats) -> Floats:
    spread = values.std()
    if spread <= 0:
        raise ValueError("a property that never varies has no direction")
    weights, *_ = np.linalg.lstsq(scores, (values - values.mean()) / spread, rcond=None)
    return np.asarray(weights, dtype=np.float64)
