"""Z-buffers: which triangle of a mesh each pixel sees, by a compiled kernel and by its readable twin.

Visibility is decided on a fixed-point grid (1/4096 pixel), as graphics hardware does: integer edge functions are exact,
so triangles that share an edge neither overlap nor leave holes, and the fast kernel agrees with the readable one bit
for bit. The differentiable side is `render.rasterise`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from crossrig.render.camera import NEAR

SUBPIXEL_BITS = 12
SUBPIXEL = 1 << SUBPIXEL_BITS
GUARD = float(1 << 29)
"""Largest coordinate (in subpixels) whose edge functions fit 64 bits: 131072 pixels from the corner."""


@njit(cache=True, nogil=True, inline="always")
def narrow(low, high, weight, step, slope):  # type: ignore[no-untyped-def]
    """The part of the columns low .. high of a row on which `weight + column * step` is not negative, in floating point.

    The weight is that of column 0 and slope = -1 / step (anything finite where step is 0). Done for the three edges of a
    triangle, this is where a row of the picture enters and leaves it, up to rounding. `raster_kernel` only skips by
    it and decides exactly, so that triangles neither overlap nor leave holes; ribbons of hair, which may do both, are drawn by it.
    """
    cross = weight * slope
    if step > 0:
        low = max(low, cross)
    elif step < 0:
        high = min(high, cross)
    elif weight < 0:
        high = -math.inf
    return low, high


@njit(cache=True, nogil=True, error_model="numpy")
def raster_kernel(  # type: ignore[no-untyped-def]
    projected, faces, depth_out, triangle_out, bary_out, triangle_offset=0, cull_back=False
):
    """Draw the triangles of one mesh into z-buffers, in place. Compiled; releases the GIL.

    projected (V, 3) float32: NDC x, y and depth in metres (`Camera.project`). faces (F, 3) int32, not checked: indices
    must be in range. depth_out (H, W) float32 starts at inf, triangle_out (H, W) int32 at -1; bary_out (H, W, 3)
    float32 takes perspective-correct weights, or (0, 0, 3) to skip them. Repeated calls with the same buffers add
    meshes; `triangle_offset` is added to the triangle numbers written. `cull_back` skips triangles that turn their back
    (clockwise in the picture). Of equal depths the first drawn stays. Top-left fill rule. Not drawn: triangles with a
    vertex nearer than NEAR, further than GUARD off the picture, or not finite (there is no clipping: our camera stands
    well away from the head).
    """
    height, width = depth_out.shape
    count = projected.shape[0]
    with_bary = bary_out.shape[0] > 0
    fixed_x = np.empty(count, np.int64)
    fixed_y = np.empty(count, np.int64)
    inverse_depth = np.empty(count, np.float64)
    for v in range(count):
        x = (np.float64(projected[v, 0]) + 1.0) * (0.5 * SUBPIXEL * width)
        y = (1.0 - np.float64(projected[v, 1])) * (0.5 * SUBPIXEL * height)
        z = np.float64(projected[v, 2])
        # Written so that NaN fails every comparison.
        if abs(x) < GUARD and abs(y) < GUARD and z > NEAR and z < math.inf:
            fixed_x[v] = np.int64(math.floor(x + 0.5))
            fixed_y[v] = np.int64(math.floor(y + 0.5))
            inverse_depth[v] = 1.0 / z
        else:
            fixed_x[v] = 0
            fixed_y[v] = 0
            inverse_depth[v] = 0.0
    half = SUBPIXEL // 2
    for f in range(faces.shape[0]):
        i0 = faces[f, 0]
        i1 = faces[f, 1]
        i2 = faces[f, 2]
        if inverse_depth[i0] == 0.0 or inverse_depth[i1] == 0.0 or inverse_depth[i2] == 0.0:
            continue
        x0 = fixed_x[i0]
        y0 = fixed_y[i0]
        x1 = fixed_x[i1]
        y1 = fixed_y[i1]
        x2 = fixed_x[i2]
        y2 = fixed_y[i2]
        # First and last pixel centre inside the bounding box (shifts round towards minus infinity).
        first_col = max((min(x0, x1, x2) + half - 1) >> SUBPIXEL_BITS, 0)
        last_col = min((max(x0, x1, x2) - half) >> SUBPIXEL_BITS, width - 1)
        if first_col > last_col:
            continue
        first_row = max((min(y0, y1, y2) + half - 1) >> SUBPIXEL_BITS, 0)
        last_row = min((max(y0, y1, y2) - half) >> SUBPIXEL_BITS, height - 1)
        if first_row > last_row:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        second = 1
        third = 2
        if area < 0:  # counter-clockwise in the picture (rows grow downwards): a front face
            i1, i2 = i2, i1
            x1, x2 = x2, x1
            y1, y2 = y2, y1
            area = -area
            second = 2
            third = 1
        elif cull_back:
            continue
        # Edge k lies opposite vertex k; its function is >= 0 inside and grows by step_x per column.
        centre_x = (first_col << SUBPIXEL_BITS) + half
        centre_y = (first_row << SUBPIXEL_BITS) + half
        row0 = (x2 - x1) * (centre_y - y1) - (y2 - y1) * (centre_x - x1)
        row1 = (x0 - x2) * (centre_y - y2) - (y0 - y2) * (centre_x - x2)
        row2 = (x1 - x0) * (centre_y - y0) - (y1 - y0) * (centre_x - x0)
        step_x0 = (y1 - y2) << SUBPIXEL_BITS
        step_x1 = (y2 - y0) << SUBPIXEL_BITS
        step_x2 = (y0 - y1) << SUBPIXEL_BITS
        step_y0 = (x2 - x1) << SUBPIXEL_BITS
        step_y1 = (x0 - x2) << SUBPIXEL_BITS
        step_y2 = (x1 - x0) << SUBPIXEL_BITS
        # A pixel centre exactly on an edge belongs to the triangle only on its left and top edges.
        bias0 = 0 if y2 < y1 or (y2 == y1 and x2 > x1) else -1
        bias1 = 0 if y0 < y2 or (y0 == y2 and x0 > x2) else -1
        bias2 = 0 if y1 < y0 or (y1 == y0 and x1 > x0) else -1
        # Affine weight k is edge k / area; divided by depth it is linear in the picture.
        scale0 = inverse_depth[i0] / area
        scale1 = inverse_depth[i1] / area
        scale2 = inverse_depth[i2] / area
        wide = last_col - first_col > 5
        slope0 = -1.0 / step_x0 if step_x0 != 0 else 0.0
        slope1 = -1.0 / step_x1 if step_x1 != 0 else 0.0
        slope2 = -1.0 / step_x2 if step_x2 != 0 else 0.0
        columns = last_col - first_col
        for row in range(first_row, last_row + 1):
            begin = np.int64(0)
            end = columns
            if wide:
                # Estimated span of the row, one pixel generous on each side; the exact test below decides. The estimate
                # is clamped in floating point first, so the conversion to an integer cannot overflow.
                low, high = narrow(0.0, np.float64(columns), row0, step_x0, slope0)
                low, high = narrow(low, high, row1, step_x1, slope1)
                low, high = narrow(low, high, row2, step_x2, slope2)
                begin = max(np.int64(min(low, np.float64(columns))) - 1, np.int64(0))
                end = min(np.int64(max(high, -2.0)) + 1, columns)
            edge0 = row0 + begin * step_x0
            edge1 = row1 + begin * step_x1
            edge2 = row2 + begin * step_x2
            for col in range(first_col + begin, first_col + end + 1):
                if ((edge0 + bias0) | (edge1 + bias1) | (edge2 + bias2)) >= 0:
                    weight0 = edge0 * scale0
                    weight1 = edge1 * scale1
                    weight2 = edge2 * scale2
                    z = 1.0 / (weight0 + weight1 + weight2)
                    depth = np.float32(z)
                    if depth < depth_out[row, col]:
                        depth_out[row, col] = depth
                        triangle_out[row, col] = f + triangle_offset
                        if with_bary:
                            bary_out[row, col, 0] = weight0 * z
                            bary_out[row, col, second] = weight1 * z
                            bary_out[row, col, third] = weight2 * z
                edge0 += step_x0
                edge1 += step_x1
                edge2 += step_x2
            row0 += step_y0
            row1 += step_y1
            row2 += step_y2


def raster_reference(
    projected: NDArray[np.float32],
    faces: NDArray[np.int32],
    depth_out: NDArray[np.float32],
    triangle_out: NDArray[np.int32],
    bary_out: NDArray[np.float32],
    triangle_offset: int = 0,
    cull_back: bool = False,
) -> None:
    """The readable twin of `raster_kernel`: same signature, same result; every triangle is tested on every pixel."""
    height, width = depth_out.shape
    scale = np.array([0.5 * SUBPIXEL * width, 0.5 * SUBPIXEL * height])
    with np.errstate(invalid="ignore", over="ignore"):
        screen = (projected[:, :2].astype(np.float64) * [1, -1] + 1) * scale  # (V, 2) subpixels, y downwards
        depth = projected[:, 2].astype(np.float64)  # (V,)
        drawable = (np.abs(screen) < GUARD).all(axis=1) & (depth > NEAR) & (depth < np.inf)
    fixed = np.floor(np.where(drawable[:, None], screen, 0) + 0.5).astype(np.int64)
    pixel_x = np.arange(width, dtype=np.int64)[None, :] * SUBPIXEL + SUBPIXEL // 2
    pixel_y = np.arange(height, dtype=np.int64)[:, None] * SUBPIXEL + SUBPIXEL // 2

    for number, face in enumerate(faces):
        if not drawable[face].all():
            continue
        (ax, ay), (bx, by), (cx, cy) = fixed[face]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0 or (cull_back and area > 0):
            continue
        # Walk the corners clockwise in the picture, so that the inside lies to the right of every edge.
        order = [0, 1, 2] if area > 0 else [0, 2, 1]
        corners, corner_depth = fixed[face[order]], depth[face[order]]
        inside = np.ones((height, width), dtype=bool)
        weights = []  # perspective weights before normalisation: affine weight / depth, per corner
        for k in range(3):
            (sx, sy), (ex, ey) = corners[(k + 1) % 3], corners[(k + 2) % 3]
            edge = (ex - sx) * (pixel_y - sy) - (ey - sy) * (pixel_x - sx)  # (H, W), exact
            left = ey < sy
            top = ey == sy and ex > sx
            inside &= edge >= 0 if left or top else edge > 0
            weights.append(edge * (1.0 / corner_depth[k] / abs(area)))
        with np.errstate(divide="ignore"):
            z = 1.0 / (weights[0] + weights[1] + weights[2])
        with np.errstate(over="ignore"):
            visible = inside & (z.astype(np.float32) < depth_out)
        depth_out[visible] = z[visible]
        triangle_out[visible] = number + triangle_offset
        if bary_out.shape[0] > 0:
            for weight, corner in zip(weights, order, strict=True):
                bary_out[visible, corner] = (weight * z)[visible]
