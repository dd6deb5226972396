"""Deferred shading of portraits: numba kernels from visibility buffers to linear RGB.

Per vertex the shader reads ATTRIBUTES numbers (see the A_* offsets); what aux means depends on the material. Diffuse light is the label's
spherical harmonics; cast shadows only take away the key lamp's part of it. Hair: Kajiya and Kay, "Rendering Fur with Three
Dimensional Textures", 1989, section 3; skin highlights: Blinn-Phong with Schlick's Fresnel term, two lobes.
"""

from __future__ import annotations

from functools import cache
from math import acos, atan2, ceil, exp, floor, inf, sqrt
from typing import Final

import cv2
import numba
import numpy as np

from crossrig.data.fabric import cloth_colour
from crossrig.data.geometry import BEARD, BROW, CLOTH, EYE, GLASS, HAIR, LASHES, METAL, MOUTH_INSIDE, SKIN, TEETH, TONGUE, Floats
from crossrig.render.harmonics import irradiances_at
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

# Offsets in the look vector (what the person and the lamps say to every pixel).
L_MOTTLING: Final = 0
L_FRECKLES: Final = 1
L_BLEMISHES: Final = 2
L_MOLES: Final = 3
L_ROUGHNESS: Final = 4
L_SHEEN: Final = 5
L_FLUSH: Final = 6
L_WRINKLES: Final = 7
L_UNDER_EYE: Final = 8
L_LIPSTICK: Final = 9
L_LIP_COLOUR: Final = 10
L_GLOSS: Final = 13
L_SHADOW: Final = 14
L_SHADOW_COLOUR: Final = 15
L_BLUSH: Final = 18
L_IRIS_OUTER: Final = 19
L_IRIS_INNER: Final = 22
L_IRIS: Final = 25
L_PUPIL: Final = 26
L_FIBRES: Final = 27
L_REDNESS: Final = 28
L_IRIS_OFFSET: Final = 29
L_NOISE_U: Final = 30
L_NOISE_V: Final = 31
L_TILE: Final = 32  # metres that the noise tile covers
L_LINER: Final = 33
L_HALF_HEIGHT: Final = 34  # of the frame at z = 0, over the distance of the camera
L_DISTANCE: Final = 35
L_HAIR_SHINE: Final = 36
LOOK_SIZE: Final = 40

#: Pixels per side of the noise tile; a power of two, so that it wraps by masking.
TILE_PIXELS: Final = 256


#: Metres of depth within which neighbouring samples may be shaded as one.
MERGED_STEP: Final = 0.006

#: Places looked up around a point, for each pixel of a 2 x 2 block; averaging the block averages all of them.
TAPS: Final = 8


#: Samples per side of the tiles whose furthest depth `raster_cutouts` compares first.
DEPTH_TILE: Final = 8


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
    for f in range(faces.shape[0]):
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
        oa, ob, oc = attributes[a, A_AUX], attributes[b, A_AUX], attributes[c, A_AUX]
        if max(oa, ob, oc) <= 0.0:
            continue
        solid = min(oa, ob, oc) > 0.995
        lens = material[f] == GLASS
        ua, ub, uc = attributes[a, A_UV], attributes[b, A_UV], attributes[c, A_UV]
        va, vb, vc = attributes[a, A_UV + 1], attributes[b, A_UV + 1], attributes[c, A_UV + 1]
        c_col = -a_col - b_col
        wide = last_col - first_col > 3
        a_slope = -1.0 / a_col if a_col != 0.0 else 0.0
        b_slope = -1.0 / b_col if b_col != 0.0 else 0.0
        c_slope = -1.0 / c_col if c_col != 0.0 else 0.0
        for row in range(first_row, last_row + 1):
            a_left, b_left = a_start + row * a_row, b_start + row * b_row
            begin, end = first_col, last_col
            if wide:
                # Where the row enters and leaves the triangle, a little generously; the test below decides.
                low, high = narrow(float(first_col), float(last_col), a_left, a_col, a_slope)
                low, high = narrow(low, high, b_left, b_col, b_slope)
                low, high = narrow(low, high, 1.0 - a_left - b_left, c_col, c_slope)
                begin = max(int(min(low, float(width)) - 1e-3), first_col)
                end = min(int(max(high, -1.0) + 1e-3), last_col)
            for col in range(begin, end + 1):
                wa = a_left + col * a_col
                wb = b_left + col * b_col
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                z = zc + wa * za + wb * zb
                if z >= depth_out[row, col]:
                    continue
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
    steps = np.empty((4, TAPS, 2), np.int64)
    for pattern in range(4):
        for tap in range(TAPS):
            steps[pattern, tap, 0] = round(radius * taps[pattern, tap, 1])
            steps[pattern, tap, 1] = round(radius * taps[pattern, tap, 0])
    for row in range(height):
        for col in range(width):
            upper = min(depth[2 * row, 2 * col], depth[2 * row, 2 * col + 1])
            here = min(upper, depth[2 * row + 1, 2 * col], depth[2 * row + 1, 2 * col + 1])
            if here == inf:
                out[row, col] = 1.0
                continue
            blocked = 0.0
            pattern = (row & 1) * 2 + (col & 1)
            for tap in range(TAPS):
                r = row + steps[pattern, tap, 0]
                c = col + steps[pattern, tap, 1]
                if r < 0 or c < 0 or r >= height or c >= width:
                    continue
                ahead = here - depth[2 * r, 2 * c]
                if ahead > 0.0015:
                    blocked += min((ahead - 0.0015) / 0.008, 1.0) * max(1.0 - ahead / reach, 0.0)
            out[row, col] = 1.0 - 0.75 * min(blocked / (0.7 * TAPS), 1.0)


def shadow_bounds(shadow_map: Floats, spread: float) -> tuple[Floats, Floats]:
    """Nearest and furthest depth (size, size) that `lit_share` can meet around each texel when its taps spread that far."""
    side = 2 * ceil(spread) + 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.erode(shadow_map, window), np.float32), np.asarray(cv2.dilate(shadow_map, window), np.float32)


@numba.njit(cache=True, nogil=True)
def lit_share(  # type: ignore[no-untyped-def]
    shadow_map, nearest, furthest, x, y, z, right, up, towards, extent, spread, taps, pattern
):
    """Share of TAPS places around a point (metres) that the key lamp sees; `shadow_map` holds depths along the lamp's direction.

    `nearest`, `furthest`: its `shadow_bounds`. They tell at once that all places are lit, or none, which is so nearly everywhere.
    """
    size = shadow_map.shape[0]
    u = ((x * right[0] + y * right[1] + z * right[2]) / extent + 1.0) * 0.5 * size
    v = (1.0 - (x * up[0] + y * up[1] + z * up[2]) / extent) * 0.5 * size
    d = 1.0 - (x * towards[0] + y * towards[1] + z * towards[2])
    if u >= spread and v >= spread and u + spread < size and v + spread < size:
        if d - nearest[int(v), int(u)] <= 0.004:
            return 1.0
        if d - furthest[int(v), int(u)] >= 0.0101:
            return 0.0
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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True, inline="always")
def _one_surface(triangle, depth, material, row, col):  # type: ignore[no-untyped-def]
    """Whether the 2 x 2 samples at (row, col) see skin alone or cloth alone, without a step in depth."""
    a, b = triangle[row, col], triangle[row, col + 1]
    c, d = triangle[row + 1, col], triangle[row + 1, col + 1]
    if min(a, b, c, d) < 0:
        return False
    kind = material[a]
    if (kind != SKIN and kind != CLOTH) or material[b] != kind or material[c] != kind or material[d] != kind:
        return False
    za, zb, zc, zd = depth[row, col], depth[row, col + 1], depth[row + 1, col], depth[row + 1, col + 1]
    return max(za, zb, zc, zd) - min(za, zb, zc, zd) < MERGED_STEP


@numba.njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "afn"}, error_model="numpy")
def shade(  # type: ignore[no-untyped-def]
    triangle, bary, depth, faces, material, attributes, look, tile, light, key_light, lamp_directions, lamp_colours, shadow_map,
    shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps, openness, cloth_table, merge, out,
):
    """Linear RGB (H, W, 3) of every covered pixel into `out`; others are left alone.

    light, key_light (9, 3): coefficients of everything and of the key alone. lamp_directions, lamp_colours (n, 3). shadow_axes
    (3, 3): rows right, up, towards the key; shadow_nearest, shadow_furthest: see `shadow_bounds`; openness (H/2, W/2): see `crevices`.
    merge: shade 2 x 2 samples at once where they see one smooth surface (skin, cloth), as multisampling does; strands, eyes and edges
    are shaded sample by sample.
    """
    height, width = triangle.shape
    lamps = lamp_directions.shape[0]
    attribute = np.empty(ATTRIBUTES)
    albedo = np.empty(3, np.float32)
    shadow_tint = np.empty(3)
    first_u, first_v = 0.0, 0.0
    inside_frame = look[L_HALF_HEIGHT]
    footprint_at_one = 2.0 * inside_frame / height
    for place in range((height // 2) * (width // 2)):
        top, left = 2 * (place // (width // 2)), 2 * (place % (width // 2))
        merged = merge and _one_surface(triangle, depth, material, top, left)
        for sample in range(1 if merged else 4):
            row, col = top + (sample >> 1), left + (sample & 1)
            t = triangle[row, col]
            if t < 0:
                continue
            kind = material[t]
            strands = kind in (HAIR, BROW, BEARD, LASHES)
            for k in range(ATTRIBUTES):
                attribute[k] = 0.0
            used = ATTRIBUTES if kind == SKIN else (A_AUX + 3 if kind == EYE else A_AUX)
            # Two samples on the diagonal of a block stand for all four.
            for half in range(2 if merged else 1):
                tri, wa, wb, wc = t, bary[row, col, 0], bary[row, col, 1], bary[row, col, 2]
                share = np.float32(1.0)
                if merged:
                    share = np.float32(0.5)
                    tri = triangle[row + half, col + half]
                    wa, wb, wc = bary[row + half, col + half, 0], bary[row + half, col + half, 1], bary[row + half, col + half, 2]
                wa, wb, wc = wa * share, wb * share, wc * share
                fa, fb, fc = faces[tri, 0], faces[tri, 1], faces[tri, 2]
                for k in range(A_TANGENT):
                    attribute[k] += wa * attributes[fa, k] + wb * attributes[fb, k] + wc * attributes[fc, k]
                for k in range(A_TANGENT if strands else A_UV, used):
                    attribute[k] += wa * attributes[fa, k] + wb * attributes[fb, k] + wc * attributes[fc, k]
                if merged and half == 0:
                    first_u, first_v = 2.0 * attribute[A_UV], 2.0 * attribute[A_UV + 1]
            if merged and abs(attribute[A_UV] - first_u) > 0.05:  # two pieces of cloth meet here
                attribute[A_UV], attribute[A_UV + 1] = first_u, first_v
            z_view = depth[row, col]
            px, py = (2 * col + 1.0) / width - 1.0, 1.0 - (2 * row + 1.0) / height
            footprint = footprint_at_one * z_view
            if merged:
                z_view = 0.5 * (z_view + depth[row + 1, col + 1])
                px, py = (2 * col + 2.0) / width - 1.0, 1.0 - (2 * row + 2.0) / height
                footprint *= 2.0
            px *= z_view * inside_frame
            py *= z_view * inside_frame
            pz = look[L_DISTANCE] - z_view
            vx, vy, vz = -px, -py, look[L_DISTANCE] - pz
            norm = 1.0 / sqrt(vx * vx + vy * vy + vz * vz)
            vx *= norm
            vy *= norm
            vz *= norm
            nx, ny, nz = attribute[0], attribute[1], attribute[2]
            norm = 1.0 / max(sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
            nx *= norm
            ny *= norm
            nz *= norm
            facing = nx * vx + ny * vy + nz * vz
            if facing < 0.0 and kind >= HAIR:
                nx, ny, nz, facing = -nx, -ny, -nz, -facing
            facing = max(facing, 0.02)
            red, green, blue = attribute[A_COLOUR], attribute[A_COLOUR + 1], attribute[A_COLOUR + 2]
            ambient = attribute[A_OCCLUSION] * openness[row // 2, col // 2]
            lit = lit_share(shadow_map, shadow_nearest, shadow_furthest, px + nx * 0.003, py + ny * 0.003, pz + nz * 0.003, shadow_axes[0],
                            shadow_axes[1], shadow_axes[2], shadow_extent, shadow_spread, taps, sample)  # fmt: skip
            if merged and 0.0 < lit < 1.0:  # at the edge of a shadow look twice as often
                lit += lit_share(shadow_map, shadow_nearest, shadow_furthest, px + nx * 0.003, py + ny * 0.003, pz + nz * 0.003,
                                 shadow_axes[0], shadow_axes[1], shadow_axes[2], shadow_extent, shadow_spread, taps, 1)  # fmt: skip
                lit *= 0.5
            specular = 0.0
            power = 20.0
            sharp = 0.0
            through = 0.0  # how far red light travels under the surface
            rim = 0.0
            if kind == SKIN:
                through = 0.45
                u = attribute[A_UV] / look[L_TILE] + look[L_NOISE_U]
                v = attribute[A_UV + 1] / look[L_TILE] + look[L_NOISE_V]
                lips, cheeks, oil = attribute[A_AUX], attribute[A_AUX + 1], attribute[A_AUX + 2]
                lids, under, brow = attribute[A_AUX + 3], attribute[A_AUX + 4], attribute[A_AUX + 5]
                fine = tile_at(tile, u, v, 0)
                broad = tile_at(tile, u * 0.83 + 0.31, v * 0.83 + 0.17, 1)
                skin = 1.0 - lips
                mottle = look[L_MOTTLING] * (0.042 * fine + 0.035 * broad)
                red *= 1.0 + 0.7 * mottle
                green *= 1.0 + 1.25 * mottle
                blue *= 1.0 + 1.2 * mottle
                flush = skin * (0.16 * look[L_FLUSH] * cheeks * (1.0 + 0.4 * broad) + 0.4 * look[L_BLUSH] * cheeks)
                green *= 1.0 - flush
                blue *= 1.0 - 0.85 * flush
                if look[L_FRECKLES] > 0.01:
                    spots = tile_at(tile, u * 1.31 + 0.5, v * 1.31, 2)
                    freckle = skin * look[L_FRECKLES] * min(spots * 1.6, 1.0) * (0.12 + 0.88 * cheeks)
                    red *= 1.0 - 0.30 * freckle
                    green *= 1.0 - 0.48 * freckle
                    blue *= 1.0 - 0.58 * freckle
                if look[L_BLEMISHES] > 0.01:
                    marks = tile_at(tile, u * 0.47 + 0.11, v * 0.47 + 0.73, 2)
                    blemish = skin * look[L_BLEMISHES] * max(marks - 0.25, 0.0) * (0.4 + 0.6 * max(cheeks, oil))
                    green *= 1.0 - 0.45 * min(blemish, 1.0)
                    blue *= 1.0 - 0.42 * min(blemish, 1.0)
                dark = skin * 0.26 * look[L_UNDER_EYE] * under
                red *= 1.0 - dark
                green *= 1.0 - 1.15 * dark
                blue *= 1.0 - 0.85 * dark
                paint = look[L_LIPSTICK] * lips
                red += paint * (look[L_LIP_COLOUR] - red)
                green += paint * (look[L_LIP_COLOUR + 1] - green)
                blue += paint * (look[L_LIP_COLOUR + 2] - blue)
                paint = look[L_SHADOW] * lids * (0.85 + 0.15 * fine)
                red += paint * (look[L_SHADOW_COLOUR] - red)
                green += paint * (look[L_SHADOW_COLOUR + 1] - green)
                blue += paint * (look[L_SHADOW_COLOUR + 2] - blue)
                # Relief bends the normal along the two directions of the surface that the noise is laid out in.
                step = 0.5 / TILE_PIXELS
                height_here = tile_at(tile, u, v, 3)
                relief = look[L_ROUGHNESS] * (0.09 if merged else 0.13)  # a block averages pores finer than itself
                slope_u = (tile_at(tile, u + step, v, 3) - height_here) * relief
                slope_v = (tile_at(tile, u, v + step, 3) - height_here) * relief
                # Lines across the forehead deepen with age.
                if brow > 0.02:
                    line = np.sin(attribute[A_UV + 1] * 760.0 + 1.6 * broad) * (0.6 + 0.4 * fine)
                    slope_v += look[L_WRINKLES] * brow * 0.35 * line
                nx -= slope_u * nz
                nz += slope_u * nx
                ny -= slope_v
                norm = 1.0 / sqrt(nx * nx + ny * ny + nz * nz)
                nx *= norm
                ny *= norm
                nz *= norm
                specular = look[L_SHEEN] * (0.75 + 1.3 * oil) * skin * (1.0 + 0.25 * fine) + lips * (0.5 + 1.4 * look[L_GLOSS])
                power = 14.0 + 26.0 * lips
                sharp = 0.35 * oil * look[L_SHEEN] * skin + 0.8 * lips * look[L_GLOSS]
                rim = 0.35
            elif kind == EYE:
                sideways, upward, along = attribute[A_AUX], attribute[A_AUX + 1], attribute[A_AUX + 2]
                norm = 1.0 / max(sqrt(sideways * sideways + upward * upward + along * along), 1e-6)
                angle = acos(min(max(along * norm, -1.0), 1.0))
                around = atan2(upward, sideways)
                iris = look[L_IRIS]
                pupil = look[L_PUPIL]
                white = 0.56 - 0.12 * min(angle, 1.2)
                blood = look[L_REDNESS] * (0.10 + 0.25 * max(angle - iris, 0.0))
                blood *= 0.6 + 0.8 * value_noise(around * 5.0 + 31.0, angle * 22.0)
                red, green, blue = white, white * (0.955 - blood), white * (0.925 - 0.9 * blood)
                edge = min(max((iris - angle) / 0.05 + 0.5, 0.0), 1.0)
                if edge > 0.0:
                    radius = min(angle / iris, 1.0)
                    ray = 0.65 * value_noise(around * 9.0 + 57.0 * look[L_IRIS_OFFSET], radius * 2.0)
                    ray += 0.35 * value_noise(around * 21.0, radius * 3.0)
                    fibre = 1.0 + look[L_FIBRES] * 1.1 * (ray - 0.5)
                    inner = min(max(1.35 - 1.5 * radius, 0.0), 1.0)
                    ring = 1.0 - 0.72 * min(max((radius - 0.76) / 0.24, 0.0), 1.0) ** 1.5
                    # Light falls through the cornea onto the far side of the iris.
                    cup = 1.15 + 0.5 * (lamp_directions[0, 1] * -upward + lamp_directions[0, 0] * -sideways)
                    factor = fibre * ring * cup
                    ir = (look[L_IRIS_OUTER] * (1 - inner) + look[L_IRIS_INNER] * inner) * factor
                    ig = (look[L_IRIS_OUTER + 1] * (1 - inner) + look[L_IRIS_INNER + 1] * inner) * factor
                    ib = (look[L_IRIS_OUTER + 2] * (1 - inner) + look[L_IRIS_INNER + 2] * inner) * factor
                    hole = min(max((pupil - angle) / 0.035 + 0.5, 0.0), 1.0)
                    ir += hole * (0.004 - ir)
                    ig += hole * (0.004 - ig)
                    ib += hole * (0.005 - ib)
                    red += edge * (ir - red)
                    green += edge * (ig - green)
                    blue += edge * (ib - blue)
                # The lids shade the ball, the upper one most.
                lid = 0.92 - 0.5 * min(max((ny + 0.08) / 0.5, 0.0), 1.0)
                lid *= 1.0 - 0.35 * min(max((abs(sideways * norm) - 0.45) / 0.4, 0.0), 1.0)
                ambient *= lid
                lit = max(lit, 0.35) * lid
                specular = 0.0
                through = 0.2
            elif kind == TEETH:
                red, green, blue = red * 0.9, green * 0.87, blue * 0.8
                specular = 0.7
                power = 50.0
                through = 0.3
            elif kind in (TONGUE, MOUTH_INSIDE):
                specular = 0.6
                power = 40.0
                through = 0.4
            elif kind == CLOTH:
                albedo[0], albedo[1], albedo[2] = red, green, blue
                cloth_colour(attribute[A_UV], attribute[A_UV + 1], footprint, cloth_table, albedo)
                red, green, blue = albedo[0], albedo[1], albedo[2]
                rim = 0.25
            elif strands:
                u = attribute[A_UV]
                v = attribute[A_UV + 1]
                strand = 0.55 * value_noise(u * 7.0, v * 1.5) + 0.45 * value_noise(u * 19.0 + 5.0, v * 2.5)
                lock = hash01(floor(u), 77)
                tone = (0.62 + 0.62 * strand) * (0.88 + 0.24 * lock)
                red *= tone
                green *= tone
                blue *= tone
                through = 0.15
            elif kind == METAL:
                specular = 6.0
                power = 60.0
            elif kind == GLASS:
                specular = 3.0
                power = 120.0

            # Diffuse light: all of it where the key is seen, without the key's part where it is not.
            everything = irradiances_at(nx, ny, nz, light)
            keys = irradiances_at(nx, ny, nz, key_light)
            for channel in range(3):
                whole = everything[channel]
                key = keys[channel]
                shade_edge = lit
                if channel == 0:
                    shade_edge = lit + through * 0.5 * lit * (1.0 - lit) + 0.10 * through * (1.0 - lit)
                rest = max(whole - key, 0.0)
                # Occluded places are lit again by their own surface, which keeps creases warm.
                own = red if channel == 0 else (green if channel == 1 else blue)
                kept = ambient / max(1.0 - own * (1.0 - ambient), 0.05)
                value = rest * kept + max(whole - rest, 0.0) * shade_edge * (0.45 + 0.55 * kept)
                shadow_tint[channel] = own * value
            r_out, g_out, b_out = shadow_tint[0], shadow_tint[1], shadow_tint[2]

            if strands:
                tx, ty, tz = attribute[A_TANGENT], attribute[A_TANGENT + 1], attribute[A_TANGENT + 2]
                norm = sqrt(tx * tx + ty * ty + tz * tz)
                if norm > 1e-4 and kind == HAIR:
                    norm = 1.0 / norm
                    # Strands of one ribbon lean against each other a little, so the highlight breaks up.
                    lean = 0.35 * (value_noise(attribute[A_UV] * 11.0, attribute[A_UV + 1] * 3.0) - 0.5)
                    tx, ty, tz = tx * norm + lean * nx, ty * norm + lean * ny, tz * norm + lean * nz
                    for lamp in range(lamps):
                        lx, ly, lz = lamp_directions[lamp, 0], lamp_directions[lamp, 1], lamp_directions[lamp, 2]
                        hx, hy, hz = lx + vx, ly + vy, lz + vz
                        norm = 1.0 / max(sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
                        hx *= norm
                        hy *= norm
                        hz *= norm
                        fall = max(nx * lx + ny * ly + nz * lz + 0.25, 0.0) / 1.25
                        if fall <= 0.0:
                            continue
                        see = lit if lamp == 0 else ambient
                        along = tx * hx + ty * hy + tz * hz
                        across = sqrt(max(1.0 - along * along, 0.0))
                        # First reflection: colour of the lamp; second, shifted towards the root: colour of the hair.
                        shifted = along + 0.12
                        second = sqrt(max(1.0 - shifted * shifted, 0.0))
                        gloss = look[L_HAIR_SHINE] * fall * see
                        first = 0.075 * gloss * across**70
                        inner_gloss = 0.9 * gloss * second**22
                        r_out += lamp_colours[lamp, 0] * (first + inner_gloss * red)
                        g_out += lamp_colours[lamp, 1] * (first + inner_gloss * green)
                        b_out += lamp_colours[lamp, 2] * (first + inner_gloss * blue)
            elif kind == EYE:
                # The cornea mirrors the lamps as small bright windows, and the surround faintly.
                for lamp in range(lamps):
                    lx, ly, lz = lamp_directions[lamp, 0], lamp_directions[lamp, 1], lamp_directions[lamp, 2]
                    mirrored = 2.0 * (nx * vx + ny * vy + nz * vz)
                    rx, ry, rz = mirrored * nx - vx, mirrored * ny - vy, mirrored * nz - vz
                    close = rx * lx + ry * ly + rz * lz
                    window = min(max((close - 0.955) / 0.025, 0.0), 1.0)
                    glint = 1.1 * window * (0.35 + 0.65 * lit)
                    r_out += lamp_colours[lamp, 0] * glint
                    g_out += lamp_colours[lamp, 1] * glint
                    b_out += lamp_colours[lamp, 2] * glint
                base = 0.02 * ambient
                r_out += base * everything[0]
                g_out += base * everything[1]
                b_out += base * everything[2]
            elif specular > 0.0:
                for lamp in range(lamps):
                    lx, ly, lz = lamp_directions[lamp, 0], lamp_directions[lamp, 1], lamp_directions[lamp, 2]
                    slant = nx * lx + ny * ly + nz * lz
                    if slant <= 0.0:
                        continue
                    hx, hy, hz = lx + vx, ly + vy, lz + vz
                    norm = 1.0 / max(sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
                    half = max((nx * hx + ny * hy + nz * hz) * norm, 0.0)
                    open_ = max((vx * hx + vy * hy + vz * hz) * norm, 0.0)
                    fresnel = 0.028 + 0.972 * (1.0 - open_) ** 5
                    broad_lobe = half**power
                    narrow_lobe = broad_lobe * broad_lobe
                    narrow_lobe *= narrow_lobe  # to the power of 4 * power
                    lobe = (power + 8.0) / 8.0 * broad_lobe + sharp * (power * 4.0 + 8.0) / 8.0 * narrow_lobe * 0.5
                    amount = specular * fresnel * lobe * slant * (lit if lamp == 0 else ambient)
                    r_out += lamp_colours[lamp, 0] * amount
                    g_out += lamp_colours[lamp, 1] * amount
                    b_out += lamp_colours[lamp, 2] * amount
            if rim > 0.0:
                # Grazing sheen of the surround: fine down on skin, fibres on cloth.
                graze = rim * ambient * (1.0 - facing) ** 4 * 0.35
                r_out += graze * everything[0]
                g_out += graze * everything[1]
                b_out += graze * everything[2]
            for other in range(4 if merged else 1):
                out[row + (other >> 1), col + (other & 1), 0] = r_out
                out[row + (other >> 1), col + (other & 1), 1] = g_out
                out[row + (other >> 1), col + (other & 1), 2] = b_out


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
def develop_pixels(linear, noise, curve, vignette, saturation, contrast, strength, weights, out):  # type: ignore[no-untyped-def]
    """Linear RGB (h, w, 3) -> 8-bit sRGB: vignette, sRGB curve, saturation, contrast, noise of `strength`.

    `curve` (n,): sRGB encoding of evenly spaced linear values 0 .. 1; weights (3,): luminance.
    """
    height, width = linear.shape[0], linear.shape[1]
    last = curve.shape[0] - 1
    encoded = np.empty(3, np.float32)
    one, half, zero = np.float32(1.0), np.float32(0.5), np.float32(0.0)
    for row in range(height):
        y = np.float32((row + 0.5) / height * 2 - 1)
        for col in range(width):
            x = np.float32((col + 0.5) / width * 2 - 1)
            fall = one - vignette * (x * x + y * y)
            grey = zero
            for c in range(3):
                place = min(max(linear[row, col, c] * fall, zero), one) * np.float32(last)
                i = min(int(place), last - 1)
                encoded[c] = curve[i] + (place - np.float32(i)) * (curve[i + 1] - curve[i])
                grey += weights[c] * encoded[c]
            for c in range(3):
                value = grey + (encoded[c] - grey) * (one + saturation)
                value += contrast * (value - half) * (one - abs(value + value - one)) + strength * noise[row, col, c]
                out[row, col, c] = np.uint8(min(max(value, zero), one) * np.float32(255.0) + half)
