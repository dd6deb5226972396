"""Charts: parts of the skin addressed by two smooth coordinates, so that brow and beard hairs follow every expression.

A chart looks at the mean head from a point inside it. Each node of its grid (azimuth, elevation) remembers the triangle that its ray
meets; on a person's head the node is the same place of the same triangle, so hairs move with the jaw, the lips and the brows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from crossrig.data.geometry import Floats, HeadSurface, Ints


@dataclass(frozen=True, eq=False)
class Chart:
    """A grid of skin places. Azimuth 0 looks forward, positive to the person's own left; elevation is positive upwards."""

    centre: Floats  # (3,)
    azimuth: Floats  # (A,) radians, evenly spaced
    elevation: Floats  # (E,) radians, evenly spaced
    corners: Ints  # (A,E,3) vertex numbers of the triangle met
    weights: Floats  # (A,E,3) barycentric weights; all zero where the ray meets nothing

    def coordinates(self, points: Floats) -> Floats:
        """Places (N,3) on the mean head -> (N,2) azimuth, elevation."""
        offset = points - self.centre
        flat = np.hypot(offset[:, 0], offset[:, 2])
        out: Floats = np.stack([np.arctan2(offset[:, 0], offset[:, 2]), np.arctan2(offset[:, 1], flat)], axis=1).astype(np.float32)
        return out

    def spread(self, values: Floats) -> Floats:
        """Vertex values (V,C) -> node values (A,E,C)."""
        out = np.empty((*self.corners.shape[:2], values.shape[1]), dtype=np.float32)
        _spread(self.corners, self.weights, values, out)
        return out

    def place(self, head: HeadSurface) -> Floats:
        """(A,E,7): position, normal and rotation weight of every node on a person's head."""
        table = np.empty((*self.corners.shape[:2], 7), dtype=np.float32)
        table[..., 0:3] = self.spread(head.vertices)
        table[..., 3:6] = self.spread(head.normals)
        table[..., 6:7] = self.spread(head.rotation_weight[:, None])
        return table

    def look_up(self, nodes: Floats, at: Floats) -> Floats:
        """Bilinear values (N,C) of node values (A,E,C) at coordinates (N,2); beyond the edge, the edge's values."""
        out = np.empty((len(at), nodes.shape[2]), dtype=np.float32)
        start = np.array([self.azimuth[0], self.elevation[0]], dtype=np.float32)
        step = np.array([self.azimuth[1] - self.azimuth[0], self.elevation[1] - self.elevation[0]], dtype=np.float32)
        _bilinear(nodes, np.ascontiguousarray(at, dtype=np.float32), start, step, out)
        return out


def make_chart(vertices: Floats, faces: Ints, centre: Floats, azimuth: Floats, elevation: Floats) -> Chart:
    """Chart of the outermost surface seen from `centre`. vertices (V,3), faces (F,3): the skin of the mean head."""
    corners = np.zeros((len(azimuth), len(elevation), 3), dtype=np.int32)
    weights = np.zeros((len(azimuth), len(elevation), 3), dtype=np.float32)
    middle, across, up = (array.astype(np.float64) for array in (centre, azimuth, elevation))
    _cast(vertices.astype(np.float64), faces, middle, across, up, corners, weights)
    return Chart(centre.astype(np.float32), azimuth.astype(np.float32), elevation.astype(np.float32), corners, weights)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cast(  # type: ignore[no-untyped-def]
    vertices, faces, centre, azimuth, elevation, corners, weights
):
    """Möller and Trumbore (1997), triangle by triangle, keeping the furthest hit; only rays near a triangle are tried on it."""
    best = np.zeros((len(azimuth), len(elevation)))
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        left, right, low, high = _sight(vertices[a] - centre, vertices[b] - centre, vertices[c] - centre)
        e1x, e1y, e1z = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        e2x, e2y, e2z = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        tx, ty, tz = centre[0] - vertices[a, 0], centre[1] - vertices[a, 1], centre[2] - vertices[a, 2]
        for i in range(len(azimuth)):
            # The range may reach over the back of the head, where angles start again.
            if not (left <= azimuth[i] <= right or left <= azimuth[i] + 2 * np.pi <= right or left <= azimuth[i] - 2 * np.pi <= right):
                continue
            for j in range(np.searchsorted(elevation, low), np.searchsorted(elevation, high)):
                flat = np.cos(elevation[j])
                dx, dy, dz = flat * np.sin(azimuth[i]), np.sin(elevation[j]), flat * np.cos(azimuth[i])
                px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
                determinant = e1x * px + e1y * py + e1z * pz
                if abs(determinant) < 1e-14:
                    continue
                u = (tx * px + ty * py + tz * pz) / determinant
                if u < 0.0 or u > 1.0:
                    continue
                qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
                v = (dx * qx + dy * qy + dz * qz) / determinant
                if v < 0.0 or u + v > 1.0:
                    continue
                reach = (e2x * qx + e2y * qy + e2z * qz) / determinant
                if reach > best[i, j]:
                    best[i, j] = reach
                    corners[i, j, 0], corners[i, j, 1], corners[i, j, 2] = a, b, c
                    weights[i, j, 0], weights[i, j, 1], weights[i, j, 2] = 1.0 - u - v, u, v


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sight(a, b, c):  # type: ignore[no-untyped-def]
    """Ranges of azimuth and elevation (low azimuth, high azimuth, low and high elevation) that hold a triangle seen from the origin.

    They bound the cone around its middle direction that holds its corners, and so all of it.
    """
    a, b, c = a / np.sqrt((a * a).sum()), b / np.sqrt((b * b).sum()), c / np.sqrt((c * c).sum())
    middle = a + b + c
    middle /= np.sqrt((middle * middle).sum())
    least = min((middle * a).sum(), (middle * b).sum(), (middle * c).sum())
    if not least > 0.1:  # a huge triangle, or one through the origin
        return -np.pi, np.pi, -np.pi, np.pi
    radius = np.arccos(min(least, 1.0)) + 1e-6
    height = np.arcsin(min(max(middle[1], -1.0), 1.0))
    wide = np.sin(radius) / np.cos(height)
    if abs(height) + radius >= 0.5 * np.pi or not wide < 1.0:  # over a pole
        return -np.pi, np.pi, height - radius, height + radius
    turn = np.arctan2(middle[0], middle[2])
    return turn - np.arcsin(wide) - 1e-6, turn + np.arcsin(wide) + 1e-6, height - radius, height + radius


@numba.njit(cache=True, nogil=True, fastmath=True)
def _spread(corners, weights, values, out):  # type: ignore[no-untyped-def]
    for i in range(corners.shape[0]):
        for j in range(corners.shape[1]):
            for c in range(values.shape[1]):
                out[i, j, c] = (
                    weights[i, j, 0] * values[corners[i, j, 0], c]
                    + weights[i, j, 1] * values[corners[i, j, 1], c]
                    + weights[i, j, 2] * values[corners[i, j, 2], c]
                )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _bilinear(nodes, at, start, step, out):  # type: ignore[no-untyped-def]
    rows, columns = nodes.shape[0], nodes.shape[1]
    for n in range(at.shape[0]):
        x = min(max((at[n, 0] - start[0]) / step[0], 0.0), rows - 1.001)
        y = min(max((at[n, 1] - start[1]) / step[1], 0.0), columns - 1.001)
        i, j = int(x), int(y)
        fx, fy = x - i, y - j
        for c in range(nodes.shape[2]):
            low = nodes[i, j, c] * (1 - fy) + nodes[i, j + 1, c] * fy
            high = nodes[i + 1, j, c] * (1 - fy) + nodes[i + 1, j + 1, c] * fy
            out[n, c] = low * (1 - fx) + high * fx
