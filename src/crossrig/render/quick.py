"""The picture of `render_face` on grey, quickly and without gradients: for pictures that must come while a hand moves.

Everything that is done for each vertex, triangle or pixel is a compiled loop that leaves Python to other threads. It gives what
`render_face` gives up to rounding, and is tested against it.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from crossrig.face3d.model import FaceModel
from crossrig.face3d.normals import vertex_normals
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES
from crossrig.render.camera import Camera
from crossrig.render.face import PORTRAIT_CAMERA, open_sky_of
from crossrig.render.harmonics import SH_COUNT, channel_bands, irradiance_at
from crossrig.render.shading import srgb_encode
from crossrig.render.zbuffer import raster_kernel

_GREY = 127.5
_TABLE = 4096  # entries between which the sRGB curve is a line


class QuickFace:
    """Draws one face model."""

    def __init__(self, model: FaceModel, camera: Camera = PORTRAIT_CAMERA) -> None:
        self._model = model
        self._camera = camera
        self._faces = model.faces.to(torch.int32).cpu().numpy()  # (F,3)
        self._drawn = self._faces[model.face_part.cpu().numpy() != LASHES]
        self._open_sky = open_sky_of(model).to(torch.float32).cpu().numpy()  # (V,)
        self._bytes = _encoded(_TABLE)

    @torch.no_grad()
    def draw(self, params: FaceParams, size: int, supersample: int = 1) -> NDArray[np.uint8]:
        """The face of ``params``, of batch 1, in front of mid-grey: (size, size, 3).

        Raises ValueError for another batch, and for a size or supersample below 1.
        """
        if len(params) != 1 or size < 1 or supersample < 1:
            raise ValueError(f"one face, and a size and supersample of at least 1, not {len(params)} at {size} and {supersample}")
        world = self._model.vertices(params)[0].cpu().numpy()
        albedo = self._model.albedo(params)[0].cpu().numpy()
        side = size * supersample
        depth = np.full((side, side), np.inf, np.float32)
        triangle = np.full((side, side), -1, np.int32)
        weights = np.empty((side, side, 3), np.float32)
        raster_kernel(self._camera.project_array(world), self._drawn, depth, triangle, weights)
        surface = np.concatenate((vertex_normals(world, self._faces), albedo, self._open_sky[:, None]), axis=1)  # (V,7)
        bands = params.illumination[0].reshape(SH_COUNT, 3).cpu().numpy()
        out = np.empty((size, size, 3), np.uint8)
        _shade(triangle, weights, self._drawn, surface, bands, self._bytes, supersample, out)
        return out


def _encoded(entries: int) -> NDArray[np.float32]:
    """0 to 255 for linear light: index light * (entries - 1), and one entry more so that there is always a next."""
    return (255 * srgb_encode(torch.linspace(0, 1, entries, dtype=torch.float64))).float().numpy()[[*range(entries), -1]]


@njit(cache=True, nogil=True, error_model="numpy")
def _shade(triangle, weights, faces, surface, bands, table, factor, out):  # type: ignore[no-untyped-def]
    """Colours of pixels, each the mean of factor x factor points; `face.shade` says what a point's colour is."""
    red, green, blue = channel_bands(bands, 0), channel_bands(bands, 1), channel_bands(bands, 2)
    steps = len(table) - 2
    value = np.empty(7, np.float32)
    total = np.empty(3, np.float32)
    for row in range(len(out)):
        for column in range(len(out)):
            total[:] = 0.0
            for y in range(row * factor, (row + 1) * factor):
                for x in range(column * factor, (column + 1) * factor):
                    if triangle[y, x] < 0:
                        total += np.float32(_GREY)
                        continue
                    value[:] = 0.0
                    for corner in range(3):
                        weight, vertex = weights[y, x, corner], faces[triangle[y, x], corner]
                        for n in range(7):
                            value[n] += weight * surface[vertex, n]
                    length = max(np.sqrt(value[0] ** 2 + value[1] ** 2 + value[2] ** 2), np.float32(1e-6))
                    nx, ny, nz, sky = value[0] / length, value[1] / length, value[2] / length, value[6]
                    light = irradiance_at(nx, ny, nz, red), irradiance_at(nx, ny, nz, green), irradiance_at(nx, ny, nz, blue)
                    for n in range(3):
                        albedo = value[3 + n] * sky / max(1 - value[3 + n] * (1 - sky), 1e-3)
                        place = min(albedo * light[n], 1.0) * steps
                        step = int(place)
                        total[n] += table[step] + (place - step) * (table[step + 1] - table[step])
            for n in range(3):
                out[row, column, n] = int(total[n] / (factor * factor) + 0.5)
