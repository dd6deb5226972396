"""The one fixed pinhole camera of the project: head space (metres) to normalised device coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

NEAR = 0.01
"""Smallest usable depth in metres; nearer points keep their depth but are projected as if they lay here."""


@dataclass(frozen=True)
class Camera:
    """A camera on the z axis that looks towards -z.

    `distance`: metres from the origin of head space. `half_height`: metres from the centre to the edge of the square
    frame, in the plane z = 0. Raises ValueError unless both are positive.
    """

    distance: float = 1.6
    half_height: float = 0.125

    def __post_init__(self) -> None:
        if not (self.distance > 0 and self.half_height > 0):
            got = f"{self.distance} and {self.half_height}"
            raise ValueError(f"a camera needs a positive distance and half height, got {got}")

    @property
    def focal(self) -> float:
        """Focal length in units of half the frame."""
        return self.distance / self.half_height

    def project(self, points: Tensor) -> Tensor:
        """Points (..., 3) in metres -> (..., 3): x right and y up in [-1, 1] inside the frame, depth in metres."""
        import torch  # here, so that makers of portraits, who project arrays, start without it

        depth = self.distance - points[..., 2:]  # (..., 1)
        # Behind the camera the division means nothing; the clamp keeps it finite, the rasteriser drops the points.
        ndc = self.focal * points[..., :2] / depth.clamp(min=NEAR)
        return torch.cat((ndc, depth), dim=-1)

    def project_array(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """`project` for NumPy arrays; returns float32."""
        depth = self.distance - points[..., 2:]
        ndc = self.focal * points[..., :2] / np.maximum(depth, NEAR)
        return np.concatenate((ndc, depth), axis=-1).astype(np.float32)


def pixel_centres(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NDC x of every column (left to right) and y of every row (top to bottom) of a size x size picture."""
    step = (2 * np.arange(size) + 1) / size
    return step - 1, 1 - step
