"""Kernels around the light of portraits (which is in `surfaces`): posing, visibility of ribbons, shadows, crevices, noise, developing.

Per vertex the shader reads ATTRIBUTES numbers (see the A_* offsets); what aux means depends on the material.
"""

from __future__ import annotations

from functools import cache
from math import ceil, exp, floor, inf
from typing import Final

import cv2
import numba
import numpy as np

from crossrig.data.geometry import GLASS, HAIR, Floats
from crossrig.render.zbuffer import narrow

# Offsets in the vertex attributes.
A_NORMAL: Final = 0
A_COLOUR: Final = 3
A_TANGENT: Final = 6
A_UV: Final = 9
A_OCCLUSION: Final = 11
A_AUX: Final = 12  # skin: lips, cheeks, oil, lids, under eye, forehead; eyes: direction in the eye's
# own frame; others: opacity first
ATTRIBUTES: Final = 18

#: Pixels per side of the noise tile; a power of two, so that it wraps by masking.
TILE_PIXELS: Final = 256


#: Pixels per side of the noise of the sensor; a power of two likewise.
NOISE_PIXELS: Final = 512

#: Places looked up around a point, for each pixel of a 2 x 2 block; averaging the block averages all of them.
TAPS: Final = 8


#: Samples per side of the tiles whose furthest depth `raster_cutouts` compares first.
DEPTH_TILE: Final = 8

#: Layers that `near_first` sorts triangles into.
DEPTH_LAYERS: Final = 64


@cache
def disc_taps() -> Floats:
    """(4, TAPS, 2) places in the unit disc: one spiral, turned differently for each pixel of a 2 x 2 block."""
    tap = np.arange(TAPS)
    radius = np.sqrt((tap + np.array([[0.2], [0.6], [0.8], [0.4]])) / TAPS)
    angle = tap * 2.3999632 + np.arange(4)[:, None] * (2 * np.pi / 4)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def hash01(i, j):  # type: ignore[no-untyped-def]
    """Pseudo-random number in [0, 1) of an integer lattice point."""
    h = np.uint32(np.int64(i) * 374761393 + np.int64(j) * 668265263)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    return np.float64(np.uint32(h ^ (h >> np.uint32(16)))) / 4294967296.0


@numba.njit(cache=True, nogil=True)
def value_noise(x, y):  # type: ignore[no-untyped-def]
    """Smooth value noise in [0, 1), cells of one unit."""
    i = floor(x)
    j = floor(y)
    fx = x - i
    fy = y - j
    fx = fx * fx * (3.0 - 2.0 * fx)
    fy = fy * fy * (3.0 - 2.0 * fy)
    low = hash01(i, j) * (1.0 - fx) + hash01(i + 1, j) * fx
    high = hash01(i, j + 1) * (1.0 - fx) + hash01(i + 1, j + 1) * fx
    return low * (1.0 - fy) + high * fy


@numba.njit(cache=True, nogil=True, inline="always")
def strand_hides(u, v, opacity):  # type: ignore[no-untyped-def]
    """Whether a ribbon of this opacity is seen at texture place (u, v): strands that thin out together.

    The opacity is compared with 0.65 smooth noise + 0.35 fine grain; the noise is worked out only where the grain leaves it open.
    """
    rest = opacity - 0.35 * hash01(floor(u * 23.0), floor(v * 9.0))
    if rest <= 0.0:
        return False
    if rest >= 0.65:
        return True
    return rest > 0.65 * value_noise(u * 9.0, v * 2.5 + 17.0)


@numba.njit(cache=True, nogil=True)
def furthest_depths(depth):  # type: ignore[no-untyped-def]
    """Furthest depth (ceil(H / DEPTH_TILE), ceil(W / DEPTH_TILE)) in every tile of a z-buffer (H, W)."""
    height, width = depth.shape
    out = np.zeros((-(-height // DEPTH_TILE), -(-width // DEPTH_TILE)), np.float32)
    for row in range(height):
        for col in range(width):
            out[row // DEPTH_TILE, col // DEPTH_TILE] = max(out[row // DEPTH_TILE, col // DEPTH_TILE], depth[row, col])
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def near_first(projected, faces):  # type: ignore[no-untyped-def]
    """Numbers of the faces (F, 3), roughly from the nearest to the furthest: what is hidden then meets what hides it.

    By layers, DEPTH_LAYERS in all, and within a layer as given.
    """
    count = faces.shape[0]
    layer = np.empty(count, np.int64)
    low, high = inf, -inf
    for f in range(count):
        nearest = min(projected[faces[f, 0], 2], projected[faces[f, 1], 2], projected[faces[f, 2], 2])
        low, high = min(low, nearest), max(high, nearest)
    scale = DEPTH_LAYERS / max(high - low, 1e-6)
    starts = np.zeros(DEPTH_LAYERS + 1, np.int64)
    for f in range(count):
        nearest = min(projected[faces[f, 0], 2], projected[faces[f, 1], 2], projected[faces[f, 2], 2])
        layer[f] = min(max(int((nearest - low) * scale), 0), DEPTH_LAYERS - 1)
        starts[layer[f] + 1] += 1
    starts = np.cumsum(starts)
    order = np.empty(count, np.int64)
    for f in range(count):
        order[starts[layer[f]]] = f
        starts[layer[f]] += 1
    return order


@numba.njit(cache=True, nogil=True, inline="always")
def _covered(furthest, first_row, last_row, first_col, last_col, nearest):  # type: ignore[no-untyped-def]
    """Whether everything in these samples' tiles stands in front of `nearest`."""
    for row in range(first_row // DEPTH_TILE, last_row // DEPTH_TILE + 1):
        for col in range(first_col // DEPTH_TILE, last_col // DEPTH_TILE + 1):
            if nearest <= furthest[row, col]:
                return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def raster_cutouts(  # type: ignore[no-untyped-def]
    projected, faces, material, attributes, depth_out, triangle_out, bary_out, triangle_offset
):
    """Like `render.rasterise.raster_kernel`, but pixels whose opacity fails against noise let through what is behind.

    The noise runs along strands; lenses are dithered. Ribbons are small, so depth and weights are affine in the picture.
    """
    height, width = depth_out.shape
    # What is drawn here only comes nearer, so tiles stay true (if not sharp) bounds. A tenth of a micrometre is for rounding.
    furthest = furthest_depths(depth_out) + np.float32(1e-7)
    for f in near_first(projected, faces):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax = (projected[a, 0] + 1.0) * 0.5 * width - 0.5
        bx = (projected[b, 0] + 1.0) * 0.5 * width - 0.5
        cx = (projected[c, 0] + 1.0) * 0.5 * width - 0.5
        first_col = max(int(np.ceil(min(ax, bx, cx))), 0)
        last_col = min(int(np.floor(max(ax, bx, cx))), width - 1)
        if first_col > last_col:
            continue
        ay = (1.0 - projected[a, 1]) * 0.5 * height - 0.5
        by = (1.0 - projected[b, 1]) * 0.5 * height - 0.5
        cy = (1.0 - projected[c, 1]) * 0.5 * height - 0.5
        first_row = max(int(np.ceil(min(ay, by, cy))), 0)
        last_row = min(int(np.floor(max(ay, by, cy))), height - 1)
        if first_row > last_row:
            continue
        nearest = min(projected[a, 2], projected[b, 2], projected[c, 2])
        if _covered(furthest, first_row, last_row, first_col, last_col, nearest):
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not abs(area) > 1e-9:
            continue
        inverse = 1.0 / area
        # Weights of a and b as planes over the picture; that of c is the rest.
        a_col, a_row = (by - cy) * inverse, (cx - bx) * inverse
        b_col, b_row = (cy - ay) * inverse, (ax - cx) * inverse
        a_start, b_start = -(cx * a_col + cy * a_row), -(cx * b_col + cy * b_row)
        zc = projected[c, 2]
        za, zb = projected[a, 2] - zc, projected[b, 2] - zc
        z_col = a_col * za + b_col * zb
        oa, ob, oc = attributes[a, A_AUX], attributes[b, A_AUX], attributes[c, A_AUX]
        if max(oa, ob, oc) <= 0.0:
            continue
        solid = min(oa, ob, oc) > 0.995
        lens = material[f] == GLASS
        ua, ub, uc = attributes[a, A_UV], attributes[b, A_UV], attributes[c, A_UV]
        va, vb, vc = attributes[a, A_UV + 1], attributes[b, A_UV + 1], attributes[c, A_UV + 1]
        c_col = -a_col - b_col
        a_slope = -1.0 / a_col if a_col != 0.0 else 0.0
        b_slope = -1.0 / b_col if b_col != 0.0 else 0.0
        c_slope = -1.0 / c_col if c_col != 0.0 else 0.0
        for row in range(first_row, last_row + 1):
            # Where the row enters and leaves the triangle.
            a_left, b_left = a_start + row * a_row, b_start + row * b_row
            low, high = narrow(float(first_col), float(last_col), a_left, a_col, a_slope)
            low, high = narrow(low, high, b_left, b_col, b_slope)
            low, high = narrow(low, high, 1.0 - a_left - b_left, c_col, c_slope)
            if not low <= high:
                continue
            z_left = zc + a_left * za + b_left * zb
            for col in range(int(np.ceil(low)), int(np.floor(high)) + 1):
                z = z_left + col * z_col
                if z >= depth_out[row, col]:
                    continue
                wa = a_left + col * a_col
                wb = b_left + col * b_col
                wc = 1.0 - wa - wb
                if not solid:
                    opacity = wa * oa + wb * ob + wc * oc
                    if lens:
                        if opacity <= hash01(row, col):
                            continue
                    elif not strand_hides(wa * ua + wb * ub + wc * uc, wa * va + wb * vb + wc * vc, opacity):
                        continue
                depth_out[row, col] = z
                triangle_out[row, col] = f + triangle_offset
                bary_out[row, col, 0] = wa
                bary_out[row, col, 1] = wb
                bary_out[row, col, 2] = wc


@numba.njit(cache=True, nogil=True, error_model="numpy")
def raster_shadow(vertices, faces, material, axes, extent, out):  # type: ignore[no-untyped-def]
    """Depth map along a lamp, `1 - metres towards it`, into `out` (size, size) that starts at inf.

    vertices (V, 3) world metres; axes (3, 3): rows right, up, towards the lamp; `extent`: metres from the centre to the edge. Parallel
    light, float32, and of the head only what faces the lamp: made for a soft look-up, not for a picture.
    """
    size = out.shape[0]
    count = vertices.shape[0]
    seen = np.empty((count, 3), np.float32)
    scale, centre = np.float32(0.5 * size / extent), np.float32(0.5 * size - 0.5)
    for v in range(count):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        seen[v, 0] = centre + scale * (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2])
        seen[v, 1] = centre - scale * (x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2])
        seen[v, 2] = np.float32(1.0) - (x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2])
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, bx, cx = seen[a, 0], seen[b, 0], seen[c, 0]
        first_col = max(int(np.ceil(min(ax, bx, cx))), 0)
        last_col = min(int(np.floor(max(ax, bx, cx))), size - 1)
        if first_col > last_col:
            continue
        ay, by, cy = seen[a, 1], seen[b, 1], seen[c, 1]
        first_row = max(int(np.ceil(min(ay, by, cy))), 0)
        last_row = min(int(np.floor(max(ay, by, cy))), size - 1)
        if first_row > last_row:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not abs(area) > np.float32(1e-7) or (area > 0.0 and material[f] < HAIR):
            continue
        inverse = np.float32(1.0) / area
        a_col, a_row = (by - cy) * inverse, (cx - bx) * inverse
        b_col, b_row = (cy - ay) * inverse, (ax - cx) * inverse
        zc = seen[c, 2]
        za, zb = seen[a, 2] - zc, seen[b, 2] - zc
        for row in range(first_row, last_row + 1):
            down = np.float32(row) - cy
            for col in range(first_col, last_col + 1):
                along = np.float32(col) - cx
                wa = along * a_col + down * a_row
                wb = along * b_col + down * b_row
                if wa < 0.0 or wb < 0.0 or wa + wb > 1.0:
                    continue
                z = zc + wa * za + wb * zb
                if z < out[row, col]:
                    out[row, col] = z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def crevices(depth, radius, reach, taps, out):  # type: ignore[no-untyped-def]
    """Ambient light kept in [0, 1] at half resolution, from depths (2h, 2w): what stands in front nearby takes light away.

    A depth-buffer occlusion estimate; `radius` in half-resolution pixels, `reach` in metres; `taps` see `disc_taps`.
    """
    height, width = out.shape
    far, one, zero = np.float32(1e3), np.float32(1.0), np.float32(0.0)
    least, less, share = np.float32(0.0015), np.float32(1.0 / reach), np.float32(0.7 * TAPS)
    margin = ceil(radius) + 1
    # Of even and of odd columns apart, because neighbours look at other places; far away around the picture.
    half = (width + 1) // 2
    nearest = np.full((height, 2, half), far, np.float32)  # of the four samples
    corner = np.full((2, height + 2 * margin, half + 2 * margin), far, np.float32)
    for row in range(height):
        for col in range(width):
            upper = min(depth[2 * row, 2 * col], depth[2 * row, 2 * col + 1])
            nearest[row, col & 1, col >> 1] = min(upper, depth[2 * row + 1, 2 * col], depth[2 * row + 1, 2 * col + 1], far)
            corner[col & 1, row + margin, (col >> 1) + margin] = min(depth[2 * row, 2 * col], far)
    blocked = np.empty(half, np.float32)
    for row in range(height):
        for parity in range(2):
            here = nearest[row, parity]
            blocked[:] = zero
            for tap in range(TAPS):
                pattern = (row & 1) * 2 + parity
                aside = parity + round(radius * taps[pattern, tap, 0])
                there = corner[aside & 1, row + margin + round(radius * taps[pattern, tap, 1]), margin + (aside >> 1) :]
                for i in range(half):
                    ahead = here[i] - there[i]
                    blocked[i] += min(max((ahead - least) * np.float32(125.0), zero), one) * max(one - ahead * less, zero)
            for i in range((width + 1 - parity) // 2):
                kept = one - np.float32(0.75) * min(blocked[i] / share, one)
                out[row, 2 * i + parity] = one if here[i] == far else kept


def shadow_bounds(shadow_map: Floats, spread: float) -> tuple[Floats, Floats]:
    """Nearest and furthest depth (size, size) that `lit_share` can meet around each texel when its taps spread that far."""
    side = 2 * ceil(spread) + 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.erode(shadow_map, window), np.float32), np.asarray(cv2.dilate(shadow_map, window), np.float32)


@numba.njit(cache=True, nogil=True)
def lit_share(  # type: ignore[no-untyped-def]
    shadow_map, nearest, furthest, x, y, z, right, up, towards, extent, spread, taps, pattern
):
    """Share of TAPS places around a point (metres) that the key lamp sees; see `lit_at`."""
    size = shadow_map.shape[0]
    u = ((x * right[0] + y * right[1] + z * right[2]) / extent + 1.0) * 0.5 * size
    v = (1.0 - (x * up[0] + y * up[1] + z * up[2]) / extent) * 0.5 * size
    d = 1.0 - (x * towards[0] + y * towards[1] + z * towards[2])
    return lit_at(shadow_map, nearest, furthest, u, v, d, spread, taps, pattern)


@numba.njit(nogil=True, forceinline=True)
def lit_at(shadow_map, nearest, furthest, u, v, d, spread, taps, pattern):  # type: ignore[no-untyped-def]
    """Share of TAPS places around (u, v) of the shadow map that the key lamp sees at depth d; the map holds depths along its direction.

    `nearest`, `furthest`: its `shadow_bounds`. They tell at once that all places are lit, or none, which is so nearly everywhere.
    """
    size = shadow_map.shape[0]
    if u >= spread and v >= spread and u + spread < size and v + spread < size:
        if d - nearest[int(v), int(u)] <= 0.004:
            return 1.0
        if d - furthest[int(v), int(u)] >= 0.0101:
            return 0.0
        share = np.float32(0.0)
        u32, v32, spread32, end = np.float32(u), np.float32(v), np.float32(spread), np.float32(d - 0.010)
        for tap in range(TAPS):  # all inside the map: without branches, and unsigned, so that no place counts from the end
            across = np.uint32(np.int32(u32 + spread32 * taps[pattern, tap, 0]))
            down = np.uint32(np.int32(v32 + spread32 * taps[pattern, tap, 1]))
            share += min(max((shadow_map[down, across] - end) * np.float32(1.0 / 0.006), np.float32(0.0)), np.float32(1.0))
        return np.float64(share) / TAPS
    seen = 0.0
    for tap in range(TAPS):
        c = int(u + spread * taps[pattern, tap, 0])
        r = int(v + spread * taps[pattern, tap, 1])
        if r < 0 or c < 0 or r >= size or c >= size:
            seen += 1.0
            continue
        gap = d - shadow_map[r, c]
        seen += min(max(1.0 - (gap - 0.004) / 0.006, 0.0), 1.0)
    return seen / TAPS


@numba.njit(cache=True, nogil=True, forceinline=True)
def tile_at(tile, u, v, channel):  # type: ignore[no-untyped-def]
    """Bilinear look-up with wrapping; u, v in tiles."""
    x = u * TILE_PIXELS
    y = v * TILE_PIXELS
    i = floor(x)
    j = floor(y)
    fx = x - i
    fy = y - j
    i &= TILE_PIXELS - 1
    j &= TILE_PIXELS - 1
    i1 = (i + 1) & (TILE_PIXELS - 1)
    j1 = (j + 1) & (TILE_PIXELS - 1)
    low = tile[j, i, channel] * (1.0 - fx) + tile[j, i1, channel] * fx
    high = tile[j1, i, channel] * (1.0 - fx) + tile[j1, i1, channel] * fx
    return low * (1.0 - fy) + high * fy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def resolve(image, covered, backdrop, factor, out):  # type: ignore[no-untyped-def]
    """Average factor x factor samples of linear RGB over the backdrop (both linear) into `out` (h, w, 3).

    A soft shoulder keeps bright places from burning before they are averaged.
    """
    height, width = out.shape[0], out.shape[1]
    share = 1.0 / (factor * factor)
    for row in range(height):
        for col in range(width):
            r = 0.0
            g = 0.0
            b = 0.0
            bare = 0
            for i in range(factor):
                for j in range(factor):
                    y = row * factor + i
                    x = col * factor + j
                    if covered[y, x] < 0:
                        bare += 1
                    else:
                        r += shoulder(image[y, x, 0])
                        g += shoulder(image[y, x, 1])
                        b += shoulder(image[y, x, 2])
            out[row, col, 0] = (r + bare * backdrop[row, col, 0]) * share
            out[row, col, 1] = (g + bare * backdrop[row, col, 1]) * share
            out[row, col, 2] = (b + bare * backdrop[row, col, 2]) * share


@numba.njit(cache=True, nogil=True)
def shoulder(x):  # type: ignore[no-untyped-def]
    """Identity up to 0.7, then bending towards 1."""
    if x <= 0.7:
        return max(x, 0.0)
    return 0.7 + 0.3 * (1.0 - exp(-(x - 0.7) / 0.3))


@numba.njit(cache=True, nogil=True)
def pose_patch(  # type: ignore[no-untyped-def]
    table, translation, neutral, weight, tangent, colour, uv, opacity, vertices, attributes
):
    """Turn one patch into the world and write its vertex attributes (all but normals and what the head alone has).

    table (n, 3, 3): rotations for weights 0 .. 1, evenly spaced; between them matrices are interpolated. neutral, tangent, colour (N, 3),
    uv (N, 2), weight, opacity (N,); filled: vertices (N, 3), attributes (N, ATTRIBUTES).
    """
    for v in range(neutral.shape[0]):
        turn_vertex(table, weight[v], neutral[v], vertices[v])
        turn_vertex(table, weight[v], tangent[v], attributes[v, A_TANGENT : A_TANGENT + 3])
        for axis in range(3):
            vertices[v, axis] += translation[axis]
            attributes[v, A_COLOUR + axis] = colour[v, axis]
        attributes[v, A_UV] = uv[v, 0]
        attributes[v, A_UV + 1] = uv[v, 1]
        attributes[v, A_OCCLUSION] = 1.0
        attributes[v, A_AUX] = opacity[v]
        for other in range(A_AUX + 1, ATTRIBUTES):
            attributes[v, other] = 0.0


@numba.njit(cache=True, nogil=True)
def pose_head(table, translation, neutral, weight, vertices):  # type: ignore[no-untyped-def]
    """Turn vertices (N, 3) into the world; see `pose_patch`."""
    for v in range(neutral.shape[0]):
        turn_vertex(table, weight[v], neutral[v], vertices[v])
        for axis in range(3):
            vertices[v, axis] += translation[axis]


@numba.njit(cache=True, nogil=True, inline="always")
def turn_vertex(table, weight, vector, out):  # type: ignore[no-untyped-def]
    """`out` (3,) = rotation for `weight` times `vector` (3,)."""
    last = table.shape[0] - 1
    place = min(max(weight, np.float32(0.0)), np.float32(1.0)) * np.float32(last)
    i = min(int(place), last - 1)
    f = place - np.float32(i)
    for row in range(3):
        low = table[i, row, 0] * vector[0] + table[i, row, 1] * vector[1] + table[i, row, 2] * vector[2]
        high = table[i + 1, row, 0] * vector[0] + table[i + 1, row, 1] * vector[1] + table[i + 1, row, 2] * vector[2]
        out[row] = low + f * (high - low)


@numba.njit(cache=True, nogil=True)
def project_points(points, distance, focal, out):  # type: ignore[no-untyped-def]
    """`Camera.project` for points (V, 3) float32 in front of the camera into `out` (V, 3)."""
    for v in range(points.shape[0]):
        depth = np.float32(distance) - points[v, 2]
        scale = np.float32(focal) / max(depth, np.float32(1e-3))
        out[v, 0] = scale * points[v, 0]
        out[v, 1] = scale * points[v, 1]
        out[v, 2] = depth


@numba.njit(cache=True, nogil=True)
def develop_pixels(  # type: ignore[no-untyped-def]
    linear, noise, first_row, first_col, curve, vignette, saturation, contrast, strength, weights, out
):
    """Linear RGB (h, w, 3) -> 8-bit sRGB: vignette, sRGB curve, saturation, contrast, noise of `strength`.

    noise (NOISE_PIXELS, NOISE_PIXELS, 3), read from first_row, first_col on, wrapping around.
    `curve` (n,): sRGB encoding of evenly spaced linear values 0 .. 1; weights (3,): luminance.
    """
    height, width = linear.shape[0], linear.shape[1]
    last = curve.shape[0] - 1
    one, half, zero, top = np.float32(1.0), np.float32(0.5), np.float32(0.0), np.float32(last)
    encoded = np.empty((3, width), np.float32)
    for row in range(height):
        y = np.float32((row + 0.5) / height * 2 - 1)
        noise_row = (first_row + row) & (NOISE_PIXELS - 1)
        for col in range(width):
            x = np.float32((col + 0.5) / width * 2 - 1)
            fall = one - vignette * (x * x + y * y)
            for c in range(3):
                place = min(max(linear[row, col, c] * fall, zero), one) * top
                i = min(int(place), last - 1)
                encoded[c, col] = curve[i] + (place - np.float32(i)) * (curve[i + 1] - curve[i])
        for col in range(width):
            noise_col = (first_col + col) & (NOISE_PIXELS - 1)
            grey = weights[0] * encoded[0, col] + weights[1] * encoded[1, col] + weights[2] * encoded[2, col]
            for c in range(3):
                value = grey + (encoded[c, col] - grey) * (one + saturation)
                value += contrast * (value - half) * (one - abs(value + value - one)) + strength * noise[noise_row, noise_col, c]
                out[row, col, c] = np.uint8(min(max(value, zero), one) * np.float32(255.0) + half)
