"""Light on surfaces: from visibility buffers to linear RGB, batch by batch of samples of one kind.

Skin, strands, cloth and the rest wait in queues of their own until a batch is full; a batch lies in memory value by value, so that the
compiler can work on several samples at once. Diffuse light is the label's spherical harmonics; cast shadows only take away the key
lamp's part of it. Hair: Kajiya and Kay, "Rendering Fur with Three Dimensional Textures", 1989, section 3; skin highlights:
Blinn-Phong with Schlick's Fresnel term, two lobes.
"""

from __future__ import annotations

from math import acos, atan2, exp, floor, sqrt
from typing import Final

import numba
import numpy as np

from crossrig.data.fabric import cloth_colour
from crossrig.data.geometry import BEARD, BROW, CLOTH, EYE, GLASS, HAIR, LASHES, METAL, SKIN, TEETH
from crossrig.data.shader import (
    A_AUX,
    A_UV,
    ATTRIBUTES,
    TILE_PIXELS,
    hash01,
    lit_at,
    tile_at,
    value_noise,
)  # fmt: skip
from crossrig.data.teeth import LOWER_ENDS, UPPER_ENDS
from crossrig.render.harmonics import channel_bands, irradiance_at

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
L_RELIEF: Final = 37  # times the tile is enlarged for pores, so that no picture has pixels too large for them
LOOK_SIZE: Final = 40

#: Metres of depth within which neighbouring samples may be shaded as one.
MERGED_STEP: Final = 0.006

#: Triangles whose numbers differ by no more lie beside each other on one ribbon of hair.
_ONE_RIBBON: Final = 2

#: Samples that are shaded together: all their values stay in the first-level cache.
BATCH: Final = 64

# Where the rows of a batch begin: first the attributes of a vertex, interpolated, in their order (see `shader`), then what follows
# from them.
(
    NX, NY, NZ, RED, GREEN, BLUE, TX, TY, TZ, U, V, AMBIENT, LIPS, CHEEKS, OIL, LIDS, UNDER_EYE, FOREHEAD,
    KIND, PATTERN, PX, PY, PZ, FOOTPRINT, VX, VY, VZ, FACING, MAP_U, MAP_V, MAP_D, LIT, THROUGH, SPECULAR, POWER, SHARP, RIM,
    ALL_R, ALL_G, ALL_B, OUT_R, OUT_G, OUT_B, FINE, BROAD, SPOTS, MARKS, SLOPE_U, SLOPE_V, LOBE, AMOUNT, TONE,
    BLOCK_U, _, _, _, BLOCK_V, _, _, _, BLOCK_TONE, _, _, _, LEAN, END,
) = range(0, 66 * BATCH, BATCH)  # fmt: skip
SIDEWAYS, UPWARD, ALONG = LIPS, CHEEKS, OIL  # what eyes have in the place of masks
ARCH, HEIGHT, UPPER = LIPS, CHEEKS, OIL  # and teeth (`teeth.tooth_coordinates`)

_TEETH_OF_A_SIDE: Final = len(UPPER_ENDS)

# Queues, one for each way of shading. Ribbons: blocks of hair.
_SKIN, _STRANDS, _RIBBONS, _CLOTH, _REST = range(5)

#: Compiled into `shade`, which alone is kept on disk: one kernel loads faster than many. Without counting references to the arrays
#: they hand to each other for every sample, which took longer than the light; so they cannot make arrays, and `shade` owns them all.
_fast = numba.njit(  # type: ignore[call-overload]  # `_nrt` is not among the options that numba declares
    nogil=True, _nrt=False, fastmath={"nsz", "arcp", "contract", "afn"}, error_model="numpy"
)


@numba.njit(nogil=True)
def _queue_of(kind, merged):  # type: ignore[no-untyped-def]
    if kind == SKIN:
        return _SKIN
    if kind in (HAIR, BROW, BEARD, LASHES):
        return _RIBBONS if merged else _STRANDS
    return _CLOTH if kind == CLOTH else _REST


@_fast
def _one_surface(a, b, c, d, depth, material, row, col):  # type: ignore[no-untyped-def]
    """Whether the 2 x 2 samples at (row, col), which see triangles a to d, see skin, cloth or one ribbon alone, without a step in depth."""
    if min(a, b, c, d) < 0:
        return False
    kind = material[a]
    if kind == HAIR:
        if max(a, b, c, d) - min(a, b, c, d) > _ONE_RIBBON:
            return False
    elif kind != SKIN and kind != CLOTH:
        return False
    if material[b] != kind or material[c] != kind or material[d] != kind:
        return False
    za, zb, zc, zd = depth[row, col], depth[row, col + 1], depth[row + 1, col], depth[row + 1, col + 1]
    return max(za, zb, zc, zd) - min(za, zb, zc, zd) < MERGED_STEP


@numba.njit(nogil=True, inline="always")
def _pack(row, col, merged):  # type: ignore[no-untyped-def]
    """One number for a sample, or for the first of 2 x 2 that are shaded as one."""
    return (row << 32) | (col << 1) | merged


@numba.njit(nogil=True, inline="always")
def _unpack(place):  # type: ignore[no-untyped-def]
    return place >> 32, (place & 0xFFFFFFFF) >> 1, (place & 1) == 1


@numba.njit(nogil=True, inline="always")
def _interpolate(t, wa, wb, wc, faces, attributes, used, i, batch):  # type: ignore[no-untyped-def]
    """Attributes of triangle t at the weights wa, wb, wc into column i of a batch."""
    a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
    for k in range(A_AUX):  # a fixed number, so that the compiler lays the loop out flat
        batch[k * BATCH + i] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
    for k in range(A_AUX, used):
        batch[k * BATCH + i] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]


@_fast
def _interpolate_block(triangle, bary, row, col, faces, attributes, used, i, batch):  # type: ignore[no-untyped-def]
    """Two samples on the diagonal of a block, which stand for all four."""
    t, s = triangle[row, col], triangle[row + 1, col + 1]
    half = np.float32(0.5)
    wa, wb, wc = half * bary[row, col, 0], half * bary[row, col, 1], half * bary[row, col, 2]
    va, vb, vc = half * bary[row + 1, col + 1, 0], half * bary[row + 1, col + 1, 1], half * bary[row + 1, col + 1, 2]
    if s == t:
        _interpolate(t, wa + va, wb + vb, wc + vc, faces, attributes, used, i, batch)
        return
    a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
    d, e, f = faces[s, 0], faces[s, 1], faces[s, 2]
    for k in range(A_AUX):
        first = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
        batch[k * BATCH + i] = first + (va * attributes[d, k] + vb * attributes[e, k] + vc * attributes[f, k])
    for k in range(A_AUX, used):
        first = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
        batch[k * BATCH + i] = first + (va * attributes[d, k] + vb * attributes[e, k] + vc * attributes[f, k])
    u = wa * attributes[a, A_UV] + wb * attributes[b, A_UV] + wc * attributes[c, A_UV]
    if abs(2.0 * u - batch[U + i]) > 0.05:  # two pieces of cloth meet here
        batch[U + i] = 2.0 * u
        batch[V + i] = 2.0 * (wa * attributes[a, A_UV + 1] + wb * attributes[b, A_UV + 1] + wc * attributes[c, A_UV + 1])


@_fast
def _interpolate_ribbon(triangle, bary, row, col, faces, attributes, i, batch):  # type: ignore[no-untyped-def]
    """The same of hair, and where on the ribbon all four samples are: strands are finer than they."""
    _interpolate_block(triangle, bary, row, col, faces, attributes, A_AUX, i, batch)
    for sample in range(4):
        y, x = row + (sample >> 1), col + (sample & 1)
        t = triangle[y, x]
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        wa, wb, wc = bary[y, x, 0], bary[y, x, 1], bary[y, x, 2]
        at = sample * BATCH + i
        batch[BLOCK_U + at] = wa * attributes[a, A_UV] + wb * attributes[b, A_UV] + wc * attributes[c, A_UV]
        batch[BLOCK_V + at] = wa * attributes[a, A_UV + 1] + wb * attributes[b, A_UV + 1] + wc * attributes[c, A_UV + 1]
    # Highlights break as at one sample: those of a mean place would be too smooth.
    batch[U + i], batch[V + i] = batch[BLOCK_U + i], batch[BLOCK_V + i]


@_fast
def _gather(places, count, queue, triangle, bary, depth, faces, material, attributes, openness, look, batch):  # type: ignore[no-untyped-def]
    """Interpolate what the samples of a batch see, and find where it is (metres).

    places (BATCH,): see `_pack`.
    """
    height, width = triangle.shape
    used = A_AUX if queue in (_STRANDS, _RIBBONS, _CLOTH) else ATTRIBUTES
    inside_frame = look[L_HALF_HEIGHT]
    for i in range(count):
        row, col, merged = _unpack(places[i])
        if queue == _RIBBONS:
            _interpolate_ribbon(triangle, bary, row, col, faces, attributes, i, batch)
        elif merged:
            _interpolate_block(triangle, bary, row, col, faces, attributes, used, i, batch)
        else:
            wa, wb, wc = bary[row, col, 0], bary[row, col, 1], bary[row, col, 2]
            _interpolate(triangle[row, col], wa, wb, wc, faces, attributes, used, i, batch)
        batch[KIND + i] = material[triangle[row, col]]
        batch[PATTERN + i] = 2 * (row & 1) + (col & 1)
        z_view = depth[row, col]
        px, py = (2 * col + 1.0) / width - 1.0, 1.0 - (2 * row + 1.0) / height
        footprint = 2.0 * inside_frame / height * z_view
        if merged:
            z_view = 0.5 * (z_view + depth[row + 1, col + 1])
            px, py = (2 * col + 2.0) / width - 1.0, 1.0 - (2 * row + 2.0) / height
            footprint *= 2.0
        batch[PX + i] = px * z_view * inside_frame
        batch[PY + i] = py * z_view * inside_frame
        batch[PZ + i] = look[L_DISTANCE] - z_view
        batch[FOOTPRINT + i] = footprint
        batch[AMBIENT + i] = batch[AMBIENT + i] * openness[row // 2, col // 2]


@_fast
def _stand(count, distance, axes, extent, size, batch):  # type: ignore[no-untyped-def]
    """Unit normals (of ribbons: towards the viewer), directions to the viewer, and the places in the shadow map."""
    for i in range(count):
        px, py, pz = batch[PX + i], batch[PY + i], batch[PZ + i]
        vx, vy, vz = -px, -py, distance - pz
        norm = 1.0 / sqrt(vx * vx + vy * vy + vz * vz)
        vx, vy, vz = vx * norm, vy * norm, vz * norm
        nx, ny, nz = batch[NX + i], batch[NY + i], batch[NZ + i]
        norm = 1.0 / max(sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
        nx, ny, nz = nx * norm, ny * norm, nz * norm
        facing = nx * vx + ny * vy + nz * vz
        turn = -1.0 if facing < 0.0 and batch[KIND + i] >= HAIR else 1.0
        nx, ny, nz, facing = turn * nx, turn * ny, turn * nz, turn * facing
        batch[VX + i], batch[VY + i], batch[VZ + i] = vx, vy, vz
        batch[NX + i], batch[NY + i], batch[NZ + i] = nx, ny, nz
        batch[FACING + i] = max(facing, 0.02)
        px, py, pz = px + nx * 0.003, py + ny * 0.003, pz + nz * 0.003
        batch[MAP_U + i] = ((px * axes[0, 0] + py * axes[0, 1] + pz * axes[0, 2]) / extent + 1.0) * 0.5 * size
        batch[MAP_V + i] = (1.0 - (px * axes[1, 0] + py * axes[1, 1] + pz * axes[1, 2]) / extent) * 0.5 * size
        batch[MAP_D + i] = 1.0 - (px * axes[2, 0] + py * axes[2, 1] + pz * axes[2, 2])


@_fast
def _look_up_shadows(places, count, shadow_map, nearest, furthest, spread, taps, batch):  # type: ignore[no-untyped-def]
    """Share of the key lamp that reaches each sample."""
    for i in range(count):
        u, v, d = batch[MAP_U + i], batch[MAP_V + i], batch[MAP_D + i]
        lit = lit_at(shadow_map, nearest, furthest, u, v, d, spread, taps, int(batch[PATTERN + i]))
        if (places[i] & 1) == 1 and 0.0 < lit < 1.0:  # at the edge of a shadow look twice as often
            lit = 0.5 * (lit + lit_at(shadow_map, nearest, furthest, u, v, d, spread, taps, 1))
        batch[LIT + i] = lit


@_fast
def _paint_skin(places, count, look, tile, batch):  # type: ignore[no-untyped-def]
    """Pigment, make-up, pores and the strength of highlights of skin."""
    step = 0.5 / TILE_PIXELS
    freckled, blemished = look[L_FRECKLES] > 0.01, look[L_BLEMISHES] > 0.01
    for i in range(count):
        u = batch[U + i] / look[L_TILE] + look[L_NOISE_U]
        v = batch[V + i] / look[L_TILE] + look[L_NOISE_V]
        fine = tile_at(tile, u, v, 0)
        broad = tile_at(tile, u * 0.83 + 0.31, v * 0.83 + 0.17, 1)
        batch[FINE + i], batch[BROAD + i] = fine, broad
        batch[SPOTS + i] = tile_at(tile, u * 1.31 + 0.5, v * 1.31, 2) if freckled else 0.0
        batch[MARKS + i] = tile_at(tile, u * 0.47 + 0.11, v * 0.47 + 0.73, 2) if blemished else 0.0
        # Relief bends the normal along the two directions of the surface that the noise is laid out in.
        u, v = u / look[L_RELIEF], v / look[L_RELIEF]
        height_here = tile_at(tile, u, v, 3)
        relief = look[L_ROUGHNESS] * (0.09 if (places[i] & 1) == 1 else 0.13)  # a block averages pores finer than itself
        batch[SLOPE_U + i] = (tile_at(tile, u + step, v, 3) - height_here) * relief
        slope_v = (tile_at(tile, u, v + step, 3) - height_here) * relief
        # Lines across the forehead deepen with age.
        brow = batch[FOREHEAD + i]
        if brow > 0.02:
            line = np.sin(batch[V + i] * 760.0 + 1.6 * broad) * (0.6 + 0.4 * fine)
            slope_v += look[L_WRINKLES] * brow * 0.35 * line
        batch[SLOPE_V + i] = slope_v
    for i in range(count):
        red, green, blue = batch[RED + i], batch[GREEN + i], batch[BLUE + i]
        fine, broad = batch[FINE + i], batch[BROAD + i]
        lips, cheeks, oil = batch[LIPS + i], batch[CHEEKS + i], batch[OIL + i]
        lids, under = batch[LIDS + i], batch[UNDER_EYE + i]
        skin = 1.0 - lips
        mottle = look[L_MOTTLING] * (0.042 * fine + 0.035 * broad)
        red *= 1.0 + 0.7 * mottle
        green *= 1.0 + 1.25 * mottle
        blue *= 1.0 + 1.2 * mottle
        flush = skin * (0.16 * look[L_FLUSH] * cheeks * (1.0 + 0.4 * broad) + 0.4 * look[L_BLUSH] * cheeks)
        green *= 1.0 - flush
        blue *= 1.0 - 0.85 * flush
        freckle = skin * look[L_FRECKLES] * min(batch[SPOTS + i] * 1.6, 1.0) * (0.12 + 0.88 * cheeks)
        red *= 1.0 - 0.30 * freckle
        green *= 1.0 - 0.48 * freckle
        blue *= 1.0 - 0.58 * freckle
        blemish = min(skin * look[L_BLEMISHES] * max(batch[MARKS + i] - 0.25, 0.0) * (0.4 + 0.6 * max(cheeks, oil)), 1.0)
        green *= 1.0 - 0.45 * blemish
        blue *= 1.0 - 0.42 * blemish
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
        batch[RED + i], batch[GREEN + i], batch[BLUE + i] = red, green, blue
    for i in range(count):
        nx, ny, nz = batch[NX + i], batch[NY + i], batch[NZ + i]
        nx -= batch[SLOPE_U + i] * nz
        nz += batch[SLOPE_U + i] * nx
        ny -= batch[SLOPE_V + i]
        norm = 1.0 / sqrt(nx * nx + ny * ny + nz * nz)
        batch[NX + i], batch[NY + i], batch[NZ + i] = nx * norm, ny * norm, nz * norm
        lips, oil = batch[LIPS + i], batch[OIL + i]
        skin = 1.0 - lips
        sheen = look[L_SHEEN] * (0.75 + 1.3 * oil) * skin * (1.0 + 0.25 * batch[FINE + i])
        batch[SPECULAR + i] = sheen + lips * (0.5 + 1.4 * look[L_GLOSS])
        batch[POWER + i] = 14.0 + 26.0 * lips
        batch[SHARP + i] = 0.35 * oil * look[L_SHEEN] * skin + 0.8 * lips * look[L_GLOSS]
        batch[THROUGH + i] = 0.45
        batch[RIM + i] = 0.35


@_fast
def _tones(across, along, count, out):  # type: ignore[no-untyped-def]
    """Brightness of strands at the first `count` places of two rows, and of the locks that their ribbons are.

    A function of rows, not of the batch: so the compiler sees that it may work on several places at once.
    """
    for i in range(count):
        u, v = across[i], along[i]
        strand = 0.55 * value_noise(u * 7.0, v * 1.5) + 0.45 * value_noise(u * 19.0 + 5.0, v * 2.5)
        out[i] = (0.62 + 0.62 * strand) * (0.88 + 0.24 * hash01(floor(u), 77))


@_fast
def _paint_strands(count, blocks, batch):  # type: ignore[no-untyped-def]
    """Strands and locks within a ribbon; of `blocks` the mean of the four samples."""
    if blocks:
        for start in range(0, 4 * BATCH, BATCH):
            _tones(batch[BLOCK_U + start :], batch[BLOCK_V + start :], count, batch[BLOCK_TONE + start :])
        for i in range(count):
            first, second = BLOCK_TONE + i, BLOCK_TONE + 2 * BATCH + i
            batch[TONE + i] = 0.25 * (batch[first] + batch[first + BATCH] + batch[second] + batch[second + BATCH])
    else:
        _tones(batch[U:], batch[V:], count, batch[TONE:])
    for i in range(count):
        tone = batch[TONE + i]
        batch[RED + i] *= tone
        batch[GREEN + i] *= tone
        batch[BLUE + i] *= tone
        batch[THROUGH + i] = 0.15


@_fast
def _leans(across, along, count, out):  # type: ignore[no-untyped-def]
    """How far strands lean out of their ribbons; see `_tones`."""
    for i in range(count):
        out[i] = 0.35 * (value_noise(across[i] * 11.0, along[i] * 3.0) - 0.5)


@_fast
def _paint_cloth(count, cloth_table, batch):  # type: ignore[no-untyped-def]
    colour = batch[END : END + 3]
    for i in range(count):
        colour[0], colour[1], colour[2] = batch[RED + i], batch[GREEN + i], batch[BLUE + i]
        cloth_colour(batch[U + i], batch[V + i], batch[FOOTPRINT + i], cloth_table, colour)
        batch[RED + i], batch[GREEN + i], batch[BLUE + i] = colour[0], colour[1], colour[2]
        batch[THROUGH + i] = 0.0
        batch[RIM + i] = 0.25


@_fast
def _paint_eye(i, look, key, batch):  # type: ignore[no-untyped-def]
    """White, iris and pupil of one sample of an eye; `key` (3,): direction of the key lamp."""
    sideways, upward, along = batch[LIPS + i], batch[CHEEKS + i], batch[OIL + i]
    norm = 1.0 / max(sqrt(sideways * sideways + upward * upward + along * along), 1e-6)
    angle = acos(min(max(along * norm, -1.0), 1.0))
    around = atan2(upward, sideways)
    iris = look[L_IRIS]
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
        cup = 1.15 + 0.5 * (key[1] * -upward + key[0] * -sideways)
        factor = fibre * ring * cup
        hole = min(max((look[L_PUPIL] - angle) / 0.035 + 0.5, 0.0), 1.0)
        ir = (look[L_IRIS_OUTER] * (1 - inner) + look[L_IRIS_INNER] * inner) * factor
        ig = (look[L_IRIS_OUTER + 1] * (1 - inner) + look[L_IRIS_INNER + 1] * inner) * factor
        ib = (look[L_IRIS_OUTER + 2] * (1 - inner) + look[L_IRIS_INNER + 2] * inner) * factor
        ir += hole * (0.004 - ir)
        ig += hole * (0.004 - ig)
        ib += hole * (0.005 - ib)
        red += edge * (ir - red)
        green += edge * (ig - green)
        blue += edge * (ib - blue)
    batch[RED + i], batch[GREEN + i], batch[BLUE + i] = red, green, blue
    # The lids shade the ball, the upper one most.
    lid = 0.92 - 0.5 * min(max((batch[NY + i] + 0.08) / 0.5, 0.0), 1.0)
    lid *= 1.0 - 0.35 * min(max((abs(sideways * norm) - 0.45) / 0.4, 0.0), 1.0)
    batch[AMBIENT + i] *= lid
    batch[LIT + i] = max(batch[LIT + i], 0.35) * lid


@_fast
def _paint_tooth(i, batch):  # type: ignore[no-untyped-def]
    """Enamel and gum of one sample: teeth bulge, have rounded corners and dark gaps, and the gum reaches lowest between them."""
    along, height = abs(batch[ARCH + i]), batch[HEIGHT + i]
    upper = batch[UPPER + i] > 0.5
    begins, ends, tooth = 0.0, 1.0, 0
    for k in range(_TEETH_OF_A_SIDE):
        end = UPPER_ENDS[k] if upper else LOWER_ENDS[k]
        if along >= end:
            begins, tooth = end, k + 1
        else:
            ends = end
            break
    ends = min(ends, begins + 0.010)  # behind the last tooth, of which nothing is seen
    place = min((along - begins) / (ends - begins), 1.0)
    bulge = 1.0 - (2.0 * place - 1.0) ** 2  # 0 between two teeth, 1 in the middle of one
    gap = min(along - begins, max(ends - along, 0.0))  # metres
    corner = min(max(1.0 - height / 0.14, 0.0), 1.0)
    reach = 0.0004 + 0.0011 * corner * corner
    shade = (0.80 + 0.20 * bulge) * (1.0 - (0.45 + 0.4 * corner) * exp(-((gap / reach) ** 2)))
    yellow = 0.10 if tooth == 2 else (0.03 + 0.02 * hash01(tooth, 91.0 if upper else 92.0))
    red, green, blue = 0.97 * shade, (0.95 - 0.4 * yellow) * shade, (0.90 - yellow) * shade
    gum = min(max((height - (0.46 + 0.13 * bulge)) / 0.06 + 0.5, 0.0), 1.0)
    batch[RED + i] *= red + gum * (0.62 - red)
    batch[GREEN + i] *= green + gum * (0.27 - green)
    batch[BLUE + i] *= blue + gum * (0.26 - blue)


@_fast
def _paint_rest(count, look, key, batch):  # type: ignore[no-untyped-def]
    """Eyes, teeth, the inside of the mouth, metal and glass."""
    for i in range(count):
        kind = int(batch[KIND + i])
        specular, power, through = 0.0, 20.0, 0.0
        if kind == EYE:
            _paint_eye(i, look, key, batch)
            through = 0.2
        elif kind == TEETH:
            _paint_tooth(i, batch)
            specular, power, through = 0.7, 50.0, 0.3
        elif kind == METAL:
            specular, power = 6.0, 60.0
        elif kind == GLASS:
            specular, power = 3.0, 120.0
        else:  # tongue and inside of the mouth
            specular, power, through = 0.6, 40.0, 0.4
        batch[SPECULAR + i], batch[POWER + i], batch[SHARP + i], batch[THROUGH + i] = specular, power, 0.0, through


@_fast
def _diffuse(count, light, key_light, batch):  # type: ignore[no-untyped-def]
    """Diffuse light: all of it where the key is seen, without the key's part where it is not."""
    for channel in range(3):
        everything, keys = channel_bands(light, channel), channel_bands(key_light, channel)
        reddening = 1.0 if channel == 0 else 0.0
        row = channel * BATCH
        for i in range(count):
            nx, ny, nz = batch[NX + i], batch[NY + i], batch[NZ + i]
            whole, key = irradiance_at(nx, ny, nz, everything), irradiance_at(nx, ny, nz, keys)
            lit, ambient, own = batch[LIT + i], batch[AMBIENT + i], batch[RED + row + i]
            through = reddening * batch[THROUGH + i]
            shade_edge = lit + through * (0.5 * lit + 0.10) * (1.0 - lit)
            rest = max(whole - key, 0.0)
            # Occluded places are lit again by their own surface, which keeps creases warm.
            kept = ambient / max(1.0 - own * (1.0 - ambient), 0.05)
            batch[ALL_R + row + i] = whole
            batch[OUT_R + row + i] = own * (rest * kept + max(whole - rest, 0.0) * shade_edge * (0.45 + 0.55 * kept))


@_fast
def _shine_strands(count, shine, directions, colours, batch):  # type: ignore[no-untyped-def]
    """Highlights of hair."""
    # Strands of one ribbon lean against each other a little, so the highlight breaks up.
    _leans(batch[U:], batch[V:], count, batch[LEAN:])
    for i in range(count):
        tx, ty, tz = batch[TX + i], batch[TY + i], batch[TZ + i]
        norm = 1.0 / max(sqrt(tx * tx + ty * ty + tz * tz), 1e-4)
        lean = batch[LEAN + i]
        batch[TX + i] = tx * norm + lean * batch[NX + i]
        batch[TY + i] = ty * norm + lean * batch[NY + i]
        batch[TZ + i] = tz * norm + lean * batch[NZ + i]
        batch[SPECULAR + i] = shine if batch[KIND + i] == HAIR and norm < 1e4 else 0.0
    for lamp in range(directions.shape[0]):
        lx, ly, lz = directions[lamp, 0], directions[lamp, 1], directions[lamp, 2]
        see = LIT if lamp == 0 else AMBIENT
        for i in range(count):
            hx, hy, hz = lx + batch[VX + i], ly + batch[VY + i], lz + batch[VZ + i]
            norm = 1.0 / max(sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
            fall = max(batch[NX + i] * lx + batch[NY + i] * ly + batch[NZ + i] * lz + 0.25, 0.0) / 1.25
            along = (batch[TX + i] * hx + batch[TY + i] * hy + batch[TZ + i] * hz) * norm
            across = sqrt(max(1.0 - along * along, 0.0))
            # First reflection: colour of the lamp; second, shifted towards the root: colour of the hair.
            shifted = along + 0.12
            second = sqrt(max(1.0 - shifted * shifted, 0.0))
            gloss = batch[SPECULAR + i] * fall * batch[see + i]
            first = 0.075 * gloss * across**70
            inner = 0.9 * gloss * second**22
            batch[OUT_R + i] += colours[lamp, 0] * (first + inner * batch[RED + i])
            batch[OUT_G + i] += colours[lamp, 1] * (first + inner * batch[GREEN + i])
            batch[OUT_B + i] += colours[lamp, 2] * (first + inner * batch[BLUE + i])


@_fast
def _shine(count, directions, colours, batch):  # type: ignore[no-untyped-def]
    """Highlights of everything that has SPECULAR, POWER and SHARP."""
    for lamp in range(directions.shape[0]):
        lx, ly, lz = directions[lamp, 0], directions[lamp, 1], directions[lamp, 2]
        see = LIT if lamp == 0 else AMBIENT
        for i in range(count):
            nx, ny, nz, vx, vy, vz = batch[NX + i], batch[NY + i], batch[NZ + i], batch[VX + i], batch[VY + i], batch[VZ + i]
            slant = max(nx * lx + ny * ly + nz * lz, 0.0)
            hx, hy, hz = lx + vx, ly + vy, lz + vz
            norm = 1.0 / max(sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
            batch[LOBE + i] = max((nx * hx + ny * hy + nz * hz) * norm, 0.0)
            open_ = max((vx * hx + vy * hy + vz * hz) * norm, 0.0)
            fresnel = 0.028 + 0.972 * (1.0 - open_) ** 5
            batch[AMOUNT + i] = batch[SPECULAR + i] * fresnel * slant * batch[see + i]
        for i in range(count):
            # Bare skin, which most samples are, needs no general power.
            batch[LOBE + i] = batch[LOBE + i] ** 14 if batch[POWER + i] == 14.0 else batch[LOBE + i] ** batch[POWER + i]
        for i in range(count):
            power, broad_lobe = batch[POWER + i], batch[LOBE + i]
            narrow_lobe = broad_lobe * broad_lobe
            narrow_lobe *= narrow_lobe  # to the power of 4 * power
            lobe = (power + 8.0) / 8.0 * broad_lobe + batch[SHARP + i] * (power * 4.0 + 8.0) / 8.0 * narrow_lobe * 0.5
            amount = batch[AMOUNT + i] * lobe
            batch[OUT_R + i] += colours[lamp, 0] * amount
            batch[OUT_G + i] += colours[lamp, 1] * amount
            batch[OUT_B + i] += colours[lamp, 2] * amount


@_fast
def _shine_eyes(count, directions, colours, batch):  # type: ignore[no-untyped-def]
    """The cornea mirrors the lamps as small bright windows, and the surround faintly."""
    for i in range(count):
        if batch[KIND + i] != EYE:
            continue
        nx, ny, nz = batch[NX + i], batch[NY + i], batch[NZ + i]
        vx, vy, vz = batch[VX + i], batch[VY + i], batch[VZ + i]
        base = 0.02 * batch[AMBIENT + i]
        for channel in range(3):
            batch[OUT_R + channel * BATCH + i] += base * batch[ALL_R + channel * BATCH + i]
        mirrored = 2.0 * (nx * vx + ny * vy + nz * vz)
        rx, ry, rz = mirrored * nx - vx, mirrored * ny - vy, mirrored * nz - vz
        for lamp in range(directions.shape[0]):
            close = rx * directions[lamp, 0] + ry * directions[lamp, 1] + rz * directions[lamp, 2]
            window = min(max((close - 0.955) / 0.025, 0.0), 1.0)
            glint = 1.1 * window * (0.35 + 0.65 * batch[LIT + i])
            for channel in range(3):
                batch[OUT_R + channel * BATCH + i] += colours[lamp, channel] * glint


@_fast
def _shine_rim(count, batch):  # type: ignore[no-untyped-def]
    """Grazing sheen of the surround: fine down on skin, fibres on cloth."""
    for channel in range(3):
        for i in range(count):
            graze = batch[RIM + i] * batch[AMBIENT + i] * (1.0 - batch[FACING + i]) ** 4 * 0.35
            batch[OUT_R + channel * BATCH + i] += graze * batch[ALL_R + channel * BATCH + i]


@_fast
def _write(places, count, batch, out):  # type: ignore[no-untyped-def]
    for i in range(count):
        row, col, merged = _unpack(places[i])
        for other in range(4 if merged else 1):
            for channel in range(3):
                out[row + (other >> 1), col + (other & 1), channel] = batch[OUT_R + channel * BATCH + i]


@_fast
def _shade_batch(  # type: ignore[no-untyped-def]
    places, count, queue, triangle, bary, depth, faces, material, attributes, look, tile, light, key_light, lamp_directions, lamp_colours,
    shadow_map, shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps, openness, cloth_table, batch, out,
):  # fmt: skip
    """Shade `count` samples of one queue."""
    _gather(places, count, queue, triangle, bary, depth, faces, material, attributes, openness, look, batch)
    _stand(count, look[L_DISTANCE], shadow_axes, shadow_extent, shadow_map.shape[0], batch)
    _look_up_shadows(places, count, shadow_map, shadow_nearest, shadow_furthest, shadow_spread, taps, batch)
    if queue == _SKIN:
        _paint_skin(places, count, look, tile, batch)
    elif queue in (_STRANDS, _RIBBONS):
        _paint_strands(count, queue == _RIBBONS, batch)
    elif queue == _CLOTH:
        _paint_cloth(count, cloth_table, batch)
    else:
        _paint_rest(count, look, lamp_directions[0], batch)
    _diffuse(count, light, key_light, batch)
    if queue in (_STRANDS, _RIBBONS):
        _shine_strands(count, look[L_HAIR_SHINE], lamp_directions, lamp_colours, batch)
    elif queue != _CLOTH:
        _shine(count, lamp_directions, lamp_colours, batch)
    if queue == _REST:
        _shine_eyes(count, lamp_directions, lamp_colours, batch)
    elif queue in (_SKIN, _CLOTH):
        _shine_rim(count, batch)
    _write(places, count, batch, out)


@_fast
def _shade_all(  # type: ignore[no-untyped-def]
    triangle, bary, depth, faces, material, attributes, look, tile, light, key_light, lamp_directions, lamp_colours, shadow_map,
    shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps, openness, cloth_table, merge, out, batch, waiting,
    counts,
):  # fmt: skip
    """`shade` with its workspace.

    batch (END + 3,): the rows, and room for one colour; waiting (5, BATCH): places of every queue, counts (5,): their numbers, 0 at first.
    """
    height, width = triangle.shape
    for top in range(0, height, 2):
        for left in range(0, width, 2):
            a, b = triangle[top, left], triangle[top, left + 1]
            c, d = triangle[top + 1, left], triangle[top + 1, left + 1]
            if max(a, b, c, d) < 0:
                continue
            merged = merge and _one_surface(a, b, c, d, depth, material, top, left)
            for sample in range(1 if merged else 4):
                row, col = top + (sample >> 1), left + (sample & 1)
                if triangle[row, col] < 0:
                    continue
                queue = _queue_of(material[triangle[row, col]], merged)
                waiting[queue, counts[queue]] = _pack(row, col, 1 if merged else 0)
                counts[queue] += 1
                if counts[queue] == BATCH:
                    _shade_batch(
                        waiting[queue], counts[queue], queue, triangle, bary, depth, faces, material, attributes, look, tile, light,
                        key_light, lamp_directions, lamp_colours, shadow_map, shadow_nearest, shadow_furthest, shadow_axes, shadow_extent,
                        shadow_spread, taps, openness, cloth_table, batch, out,
                    )  # fmt: skip
                    counts[queue] = 0
    for queue in range(5):
        _shade_batch(
            waiting[queue], counts[queue], queue, triangle, bary, depth, faces, material, attributes, look, tile, light, key_light,
            lamp_directions, lamp_colours, shadow_map, shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps,
            openness, cloth_table, batch, out,
        )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def shade(  # type: ignore[no-untyped-def]
    triangle, bary, depth, faces, material, attributes, look, tile, light, key_light, lamp_directions, lamp_colours, shadow_map,
    shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps, openness, cloth_table, merge, out,
):
    """Linear RGB (H, W, 3) of every covered pixel into `out`; others are left alone.

    light, key_light (9, 3): coefficients of everything and of the key alone. lamp_directions, lamp_colours (n, 3). shadow_axes
    (3, 3): rows right, up, towards the key; shadow_nearest, shadow_furthest: see `shadow_bounds`; openness (H/2, W/2): see `crevices`.
    merge: shade 2 x 2 samples at once where they see one smooth surface (skin, cloth, a ribbon of hair), as multisampling does; other
    strands, eyes and edges are shaded sample by sample.
    """
    _shade_all(
        triangle, bary, depth, faces, material, attributes, look, tile, light, key_light, lamp_directions, lamp_colours, shadow_map,
        shadow_nearest, shadow_furthest, shadow_axes, shadow_extent, shadow_spread, taps, openness, cloth_table, merge, out,
        np.empty(END + 3), np.empty((5, BATCH), np.int64), np.zeros(5, np.int64),
    )  # fmt: skip
