"""Keep mouths shut: identity targets may part the lips or push them through the teeth; this linear repair undoes both.

MakeHuman's local targets move upper and lower lip separately and leave teeth and tongue mostly where they are. A
neutral face should have touching lips with the teeth behind them. So the base head's lips, which are a little apart,
are closed, and every identity delta is corrected: vertices on both sides of the line where the lips meet go to the
middle of their displacements; teeth and tongue follow that line as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Reach of the correction away from and along the line where the lips meet, metres.
REACH_ACROSS, REACH_ALONG = 0.0060, 0.0035
#: How far below the surface the teeth lie further back than MakeHuman's, metres.
TEETH_BACK = 0.0025
#: How far the lining behind lips and chin is moved back, so that it never shows through a thin lower lip, metres.
LINING_BACK = 0.0030
PASSES = 6


@dataclass(frozen=True)
class MouthRepair:
    """upper, lower (P,) vertices that touch in pairs; rows (R,) corrected vertices with weights (R, P), sign included;
    inner: teeth, tongue."""

    upper: Integers
    lower: Integers
    rows: Integers
    weights: Floats
    inner: Integers

    def close(self, points: Floats) -> Floats:
        """Bring the two sides of the line together: of positions (V, 3), or of displacements."""
        closed = points.copy()
        for _ in range(PASSES):  # neighbouring pairs share vertices, so that one pass leaves a rest
            closed[self.rows] += self.weights @ (closed[self.upper] - closed[self.lower])
        return closed

    def deepen(self, points: Floats, lining: Flags) -> Floats:
        """Move teeth, tongue and the lining (V,) of the mouth back, the latter the more the further it is from the
        line of the lips."""
        deeper = points.copy()
        deeper[self.inner, 2] -= TEETH_BACK
        rows = np.flatnonzero(lining)
        line = points[np.concatenate([self.upper, self.lower])]
        distance = np.linalg.norm(points[rows][:, None] - line[None], axis=2).min(axis=1)
        deeper[rows, 2] -= LINING_BACK * np.clip((distance - 0.004) / 0.006, 0, 1)
        return deeper

    def __call__(self, delta: Floats) -> Floats:
        """Correct an identity delta (V, 3)."""
        corrected = self.close(delta)
        line = np.concatenate([corrected[self.upper], corrected[self.lower]])
        corrected[self.inner] = line.mean(axis=0)
        return corrected


def make_mouth_repair(mean: Floats, lips: Flags, near_mouth: Flags, moved: Floats, inner: Flags) -> MouthRepair:
    """Find the touching pairs.

    mean (V, 3) any head with touching lips; lips (V,) the red of the lips; near_mouth (V,) skin and lining that may be
    corrected; moved (V,) how far jawOpen moves a vertex, which tells lower from upper lip; inner (V,) teeth and tongue.
    """
    is_lower = moved > 0.5 * moved[lips].max()
    lower_lip, upper_lip = np.flatnonzero(lips & is_lower), np.flatnonzero(lips & ~is_lower)
    distance = np.linalg.norm(mean[lower_lip][:, None] - mean[upper_lip][None], axis=2)
    best = distance.argmin(axis=1)
    touching = distance.min(axis=1) < 0.0022
    lower, upper = lower_lip[touching], upper_lip[best[touching]]
    if len(lower) < 5:
        raise ValueError("the lips of the mean head do not touch")
    line = (mean[lower] + mean[upper]) / 2  # (P, 3)
    rows = np.flatnonzero(near_mouth)
    offset = np.linalg.norm(mean[rows][:, None] - line[None], axis=2)  # (R, P)
    along = np.exp(-0.5 * (offset / REACH_ALONG) ** 2) + 1e-12
    along /= along.sum(axis=1, keepdims=True)
    falloff = np.exp(-0.5 * (np.maximum(offset.min(axis=1) - 0.001, 0) / REACH_ACROSS) ** 2)
    sign = np.where(is_lower[rows], 0.5, -0.5)
    return MouthRepair(upper, lower, rows, along * (falloff * sign)[:, None], np.flatnonzero(inner))
