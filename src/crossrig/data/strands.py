"""Strands as ribbons: growing them over a head, curling and clumping them, and turning them into triangles.

All kernels work on the mean head (`scalp.Scalp`), in metres, on float32 arrays, and release the GIL.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import Floats, Ints
from crossrig.data.scalp import DISTANCE_CELL

#: Distance in u between one ribbon and the next; the position across a ribbon is u modulo this, in [0, 1].
RIBBON_STRIDE: Final = 4.0

# Columns of the per-strand table that `grow` reads.
LENGTH, HEIGHT, LIFT, HOLD, GRAVITY, LOWEST, FRINGE = range(7)
STRAND_COLUMNS: Final = 7

# Entries of the per-style vector that `grow` reads.
(
    GATHER_X, GATHER_Y, GATHER_Z, GATHER_RADIUS, FACE_TOP, FACE_HALF_WIDTH, FRINGE_SLOPE, FRINGE_BOW, EAR_COVER, EAR_HEIGHT, HEIGHT_RAMP,
    FACE_OPENING, ADHESION,
) = range(13)  # fmt: skip
STYLE_ENTRIES: Final = 13


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _field(grid, origin, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear look-up of the five channels of the distance grid."""
    nx, ny, nz = grid.shape[0], grid.shape[1], grid.shape[2]
    gx = min(max((x - origin[0]) / DISTANCE_CELL, 0.0), nx - 1.001)
    gy = min(max((y - origin[1]) / DISTANCE_CELL, 0.0), ny - 1.001)
    gz = min(max((z - origin[2]) / DISTANCE_CELL, 0.0), nz - 1.001)
    i, j, k = int(gx), int(gy), int(gz)
    fx, fy, fz = gx - i, gy - j, gz - k
    for c in range(5):
        low = (grid[i, j, k, c] * (1 - fz) + grid[i, j, k + 1, c] * fz) * (1 - fy)
        low += (grid[i, j + 1, k, c] * (1 - fz) + grid[i, j + 1, k + 1, c] * fz) * fy
        high = (grid[i + 1, j, k, c] * (1 - fz) + grid[i + 1, j, k + 1, c] * fz) * (1 - fy)
        high += (grid[i + 1, j + 1, k, c] * (1 - fz) + grid[i + 1, j + 1, k + 1, c] * fz) * fy
        out[c] = low * (1 - fx) + high * fx


@numba.njit(cache=True, nogil=True, fastmath=True)
def grow(  # type: ignore[no-untyped-def]
    roots, normals, comb, table, style, grid, origin, steps, along, points, outward, turning, length
):
    """Grow one strand from every root.

    roots, normals, comb (n,3): start, scalp normal and combing direction. table (n,STRAND_COLUMNS), style
    (STYLE_ENTRIES,): see the names above. grid, origin: distance grid. steps: integration steps of the longest strand.
    along (K,): where the knots lie on a strand, 0 root .. 1 tip. Filled: points (n,K,3), outward (n,K,3) unit, turning (n,K) rotation
    weight, length (n,) metres after cutting.
    """
    count, knots = points.shape[0], points.shape[1]
    longest = 1e-4
    for i in range(count):
        longest = max(longest, table[i, LENGTH])
    step = longest / steps
    # Share of the direction that a step gives up for the wanted one, so that bends do not depend on the step.
    slow, quick = 1.0 - np.exp(-step / 0.018), 1.0 - np.exp(-step / 0.012)
    # Exponentials of the length grown so far lose the same share at every step.
    less_rise, less_ramp = np.exp(-step / 0.02), np.exp(-step / style[HEIGHT_RAMP])
    path = np.empty((steps + 2, 3), dtype=np.float32)
    field = np.empty(5, dtype=np.float32)
    for i in range(count):
        wanted = table[i, LENGTH]
        px, py, pz = roots[i, 0], roots[i, 1], roots[i, 2]
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        cx, cy, cz = comb[i, 0], comb[i, 1], comb[i, 2]
        lift, hold, gravity = table[i, LIFT], table[i, HOLD], table[i, GRAVITY]
        px -= 0.001 * nx
        py -= 0.001 * ny
        pz -= 0.001 * nz
        path[0, 0], path[0, 1], path[0, 2] = px, py, pz
        rise = cx * nx + cy * ny + cz * nz
        dx, dy, dz = cx - rise * nx, cy - rise * ny, cz - rise * nz
        size = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
        rise = 0.15 + 1.6 * lift
        dx, dy, dz = dx / size + rise * nx, dy / size + rise * ny, dz / size + rise * nz
        size = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
        dx, dy, dz = dx / size, dy / size, dz / size
        grown = 0.0
        last = 0
        held, rising, flat = 1.0, 1.0, less_ramp  # exp(-grown / hold), exp(-grown / 0.02), exp(-(grown + step) / HEIGHT_RAMP)
        less_held = np.exp(-step / hold)
        side = 1.0 if roots[i, 0] + 0.3 * cx * 0.05 > 0 else -1.0
        cut = wanted
        _field(grid, origin, px, py, pz, field)
        while last < steps and grown < wanted:
            gx, gy, gz = field[1], field[2], field[3]
            near = 1.0 - min(max((field[0] - 0.012) / 0.03, 0.0), 1.0)
            release = held
            tx, ty, tz = cx, cy, cz
            if style[GATHER_RADIUS] > 0.0:
                ax, ay, az = style[GATHER_X] - px, style[GATHER_Y] - py, style[GATHER_Z] - pz
                gap = np.sqrt(ax * ax + ay * ay + az * az) + 1e-6
                if gap < style[GATHER_RADIUS] or (gap < 2.5 * style[GATHER_RADIUS] and ax * dx + ay * dy + az * dz < 0.0):
                    cut = grown
                    break
                blend = min(grown / 0.03, 1.0) * 0.9 + 0.1
                tx = tx * (1 - blend) + blend * ax / gap
                ty = ty * (1 - blend) + blend * ay / gap
                tz = tz * (1 - blend) + blend * az / gap
                release = 1.0
            tx, ty, tz = tx * release, ty * release, tz * release
            pull = slow
            if style[GATHER_RADIUS] > 0.0:  # held by a band: drawn straight to it
                pull = quick
            else:
                ty -= gravity * (1.0 - 0.6 * release)
            # Near the head hair slides along it, and what stands off sinks back.
            out = tx * gx + ty * gy + tz * gz
            tx, ty, tz = tx - near * out * gx, ty - near * out * gy, tz - near * out * gz
            # ... but hangs freely past the neck.
            above_neck = min(max((py - style[EAR_HEIGHT] + 0.03) / 0.04, 0.0), 1.0)
            sink = style[ADHESION] * above_neck * min(max((field[0] - table[i, HEIGHT] - 0.004) / 0.02, 0.0), 1.0)
            tx, ty, tz = tx - sink * gx, ty - sink * gy, tz - sink * gz
            # On the shoulders hair slides to the front or to the back, not outwards.
            low = near * min(max((style[EAR_HEIGHT] - 0.07 - py) / 0.03, 0.0), 1.0)
            tz += low * (0.9 if roots[i, 2] > 0.0 else -0.6)
            tx -= low * 0.9 * tx
            # Falling hair parts before the face.
            ahead = min(max((pz - 0.035) / 0.02, 0.0), 1.0) * min(max((style[FACE_TOP] + 0.050 - py) / 0.03, 0.0), 1.0)
            ahead *= min(max((0.085 - abs(px)) / 0.02, 0.0), 1.0) * style[FACE_OPENING]
            tx += side * ahead * 2.2
            tz -= ahead * 0.8
            dx, dy, dz = dx * (1 - pull) + pull * tx, dy * (1 - pull) + pull * ty, dz * (1 - pull) + pull * tz
            rise = lift * rising * 60.0 * step
            dx, dy, dz = dx + rise * nx, dy + rise * ny, dz + rise * nz
            size = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
            dx, dy, dz = dx / size, dy / size, dz / size
            qx, qy, qz = px + dx * step, py + dy * step, pz + dz * step
            _field(grid, origin, qx, qy, qz, field)
            least = table[i, HEIGHT] * (1.0 - flat) + 0.0015
            if style[EAR_COVER] > 0.0:
                ey = qy - style[EAR_HEIGHT]
                least += style[EAR_COVER] * np.exp(-(ey * ey + qz * qz) / 0.0009) * min(abs(qx) / 0.06, 1.0)
            if field[0] < least:
                deep = least - field[0]
                field[0] = least
                qx, qy, qz = qx + deep * field[1], qy + deep * field[2], qz + deep * field[3]
                # Hair that presses on the head turns along it.
                into = dx * field[1] + dy * field[2] + dz * field[3]
                if into < 0.0:
                    dx, dy, dz = dx - into * field[1], dy - into * field[2], dz - into * field[3]
            px, py, pz = qx, qy, qz
            grown += step
            held, rising, flat = held * less_held, rising * less_rise, flat * less_ramp
            last += 1
            path[last, 0], path[last, 1], path[last, 2] = px, py, pz
            if py < table[i, LOWEST]:
                cut = grown
                break
            # The fringe is cut along a line above the eyes; hair beside the face may hang.
            if pz > 0.045 and abs(px) < style[FACE_HALF_WIDTH]:
                line = table[i, FRINGE] + style[FRINGE_SLOPE] * px + style[FRINGE_BOW] * px * px
                if py < max(line, style[FACE_TOP] - 0.004):
                    cut = grown - step
                    break
        cut = min(cut, min(grown, wanted))
        if last == 0 or cut <= 0.0:
            cut = 0.0
        length[i] = cut
        for k in range(knots):
            place = min(cut * along[k] / step, last - 1e-3) if last > 0 else 0.0
            j = int(place)
            f = place - j
            for axis in range(3):
                points[i, k, axis] = path[j, axis] * (1 - f) + path[min(j + 1, last), axis] * f
            _field(grid, origin, points[i, k, 0], points[i, k, 1], points[i, k, 2], field)
            for axis in range(3):
                outward[i, k, axis] = field[1 + axis]
            turning[i, k] = field[4]


@numba.njit(cache=True, nogil=True, fastmath=True)
def clump(points, along, clump_of, amount, power):  # type: ignore[no-untyped-def]
    """Pull strands towards the strand that leads their clump, growing from root to tip. In place; leaders stay."""
    count, knots = points.shape[0], points.shape[1]
    for i in range(count):
        lead = clump_of[i]
        if lead == i:
            continue
        # Strands that end elsewhere altogether are not pulled across the head.
        gap = 0.0
        for axis in range(3):
            gap += (points[i, knots - 1, axis] - points[lead, knots - 1, axis]) ** 2
        fade = 1.0 / (1.0 + gap / 0.0012)
        for k in range(1, knots):
            weight = amount * fade * along[k] ** power
            for axis in range(3):
                points[i, k, axis] += weight * (points[lead, k, axis] - points[i, k, axis])


@numba.njit(cache=True, nogil=True, fastmath=True)
def curl(points, outward, along, length, phase, amplitude, wavelength, depth, onset, taper):  # type: ignore[no-untyped-def]
    """Wind strands into waves and curls, in place.

    phase, amplitude, wavelength (n,); depth: 0 flat waves .. 1 round curls; onset: metres from the root before curls have
    their full width; taper: how much narrower curls get towards the tip.
    """
    count, knots = points.shape[0], points.shape[1]
    for i in range(count):
        spacing = length[i] / (knots - 1)
        pitch = max(wavelength[i], 5.5 * spacing)  # fewer knots to a turn would show as corners
        for k in range(knots - 1, -1, -1):
            a = max(k - 1, 0)
            b = min(k + 1, knots - 1)
            tx = points[i, b, 0] - points[i, a, 0]
            ty = points[i, b, 1] - points[i, a, 1]
            tz = points[i, b, 2] - points[i, a, 2]
            ox, oy, oz = outward[i, k, 0], outward[i, k, 1], outward[i, k, 2]
            wx, wy, wz = ty * oz - tz * oy, tz * ox - tx * oz, tx * oy - ty * ox
            size = np.sqrt(wx * wx + wy * wy + wz * wz) + 1e-9
            s = length[i] * along[k]
            turn = phase[i] + 2 * np.pi * s / pitch
            r = amplitude[i] * (1 - np.exp(-s / onset)) * (1 - taper * along[k])
            across = r * np.sin(turn) / size
            out = depth * r * (1 + np.cos(turn))
            points[i, k, 0] += across * wx + out * ox
            points[i, k, 1] += across * wy + out * oy
            points[i, k, 2] += across * wz + out * oz


@numba.njit(cache=True, nogil=True, fastmath=True)
def clear_face(points, line, half_width, ahead, kept):  # type: ignore[no-untyped-def]
    """Shorten strands whose knots hang before the eyes: below `line`, less than `half_width` from the middle, in front of z `ahead`.

    In place; a shortened strand keeps its number of knots, spread over what is left. Curls and clumps may have moved hair there.
    kept (n,): filled with the share of each strand that is left.
    """
    count, knots = points.shape[0], points.shape[1]
    old = np.empty((knots, 3), dtype=np.float32)
    for i in range(count):
        free = knots
        for k in range(1, knots):
            if points[i, k, 2] > ahead and abs(points[i, k, 0]) < half_width and points[i, k, 1] < line:
                free = k
                break
        kept[i] = 1.0 if free == knots else (free - 1.0) / (knots - 1)
        if free == knots:
            continue
        old[:] = points[i]
        for k in range(knots):
            place = (free - 1.0) * k / (knots - 1)
            j = min(int(place), knots - 2)
            f = place - j
            for axis in range(3):
                points[i, k, axis] = old[j, axis] * (1 - f) + old[j + 1, axis] * f


@numba.njit(cache=True, nogil=True, fastmath=True)
def ribbons(  # type: ignore[no-untyped-def]
    points, outward, along, turning, width, twist, profile, vertices, tangent, turning_out, faces, uv
):
    """Strands (n,K,3) -> ribbons of two vertices a knot, lying along the head (their normal is `outward`, turned by twist).

    width, twist (n,) metres and radians; along (K,) place of the knots, 0 root .. 1 tip; profile (K,) relative width. Filled:
    vertices, tangent (n*K*2,3), turning_out
    (n*K*2,), faces (n*(K-1)*2,3), uv (n*K*2,2).
    """
    count, knots = points.shape[0], points.shape[1]
    for i in range(count):
        ct, st = np.cos(twist[i]), np.sin(twist[i])
        for k in range(knots):
            a = max(k - 1, 0)
            b = min(k + 1, knots - 1)
            tx = points[i, b, 0] - points[i, a, 0]
            ty = points[i, b, 1] - points[i, a, 1]
            tz = points[i, b, 2] - points[i, a, 2]
            size = np.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9
            tx, ty, tz = tx / size, ty / size, tz / size
            ox, oy, oz = outward[i, k, 0], outward[i, k, 1], outward[i, k, 2]
            wx, wy, wz = ty * oz - tz * oy, tz * ox - tx * oz, tx * oy - ty * ox
            size = np.sqrt(wx * wx + wy * wy + wz * wz) + 1e-9
            wx, wy, wz = wx / size, wy / size, wz / size
            bx, by, bz = wy * tz - wz * ty, wz * tx - wx * tz, wx * ty - wy * tx
            half = 0.5 * width[i] * profile[k]
            vx, vy, vz = (wx * ct + bx * st) * half, (wy * ct + by * st) * half, (wz * ct + bz * st) * half
            at = (i * knots + k) * 2
            for side in range(2):
                sign = 1.0 - 2.0 * side
                vertices[at + side, 0] = points[i, k, 0] - sign * vx
                vertices[at + side, 1] = points[i, k, 1] - sign * vy
                vertices[at + side, 2] = points[i, k, 2] - sign * vz
                tangent[at + side, 0] = tx
                tangent[at + side, 1] = ty
                tangent[at + side, 2] = tz
                turning_out[at + side] = turning[i, k]
                uv[at + side, 0] = RIBBON_STRIDE * i + side
                uv[at + side, 1] = along[k]
            if k + 1 < knots:
                face = (i * (knots - 1) + k) * 2
                faces[face, 0], faces[face, 1], faces[face, 2] = at, at + 1, at + 2
                faces[face + 1, 0], faces[face + 1, 1], faces[face + 1, 2] = at + 1, at + 3, at + 2


def ribbon_mesh(
    points: Floats, outward: Floats, along: Floats, turning: Floats, width: Floats, twist: Floats, profile: Floats
) -> tuple[Floats, Floats, Floats, Ints, Floats]:
    """`ribbons` with its arrays: vertices, tangent, rotation weight, faces, uv."""
    count, knots = points.shape[:2]
    vertices = np.empty((count * knots * 2, 3), dtype=np.float32)
    tangent = np.empty_like(vertices)
    turning_out = np.empty(count * knots * 2, dtype=np.float32)
    faces = np.empty((count * (knots - 1) * 2, 3), dtype=np.int32)
    uv = np.empty((count * knots * 2, 2), dtype=np.float32)
    ribbons(points, outward, along, turning, width, twist, profile, vertices, tangent, turning_out, faces, uv)
    return vertices, tangent, turning_out, faces, uv


def smooth_random(rng: np.random.Generator, points: Floats, scale: float, channels: int) -> Floats:
    """Random values (N, channels), about unit variance, that vary smoothly over space with the given length in metres."""
    waves = 6
    direction = rng.standard_normal((3, waves, channels)) / scale
    phase = rng.uniform(0, 2 * np.pi, (waves, channels))
    argument = np.einsum("ni,iwc->nwc", points.astype(np.float64), direction) + phase
    out: NDArray[np.float32] = (np.sin(argument).sum(1) * np.sqrt(2.0 / waves)).astype(np.float32)
    return out
