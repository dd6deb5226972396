"""The same people drawn as toons: large eyes, flat colours, up to four tones of light, dark outlines, pale backdrops.

Pose, expression, light, hair and clothes are those of the photograph; only proportions and drawing differ, so that a child
generator can keep the latent space of its parent.
"""

from __future__ import annotations

from dataclasses import replace
from math import acos, exp, sqrt
from typing import TYPE_CHECKING, Final

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import BEARD, BROW, EYE, HAIR, LASHES, MOUTH_INSIDE, SKIN, TEETH, TONGUE, Floats, HeadSurface
from crossrig.data.lights import LUMINANCE, drawn_light
from crossrig.data.people import Person
from crossrig.data.portraits import SHADOW_EXTENT, Scene, Visible, accessories, assemble, encode, head_surface, key_shadow, look_at
from crossrig.data.shader import A_AUX, A_COLOUR, A_NORMAL, A_TANGENT, disc_taps, lit_share, resolve, shadow_bounds
from crossrig.render.camera import Camera
from crossrig.render.harmonics import irradiances_at

if TYPE_CHECKING:
    from crossrig.data.wardrobe import Wardrobe

_EYE_GROWTH: Final = 1.85
_SHADOW_SPREAD: Final = 1.2
_COMB: Final = 0.010  # of the picture: standard deviation with which the outline of hair is smoothed
_INK: Final = (0.030, 0.016, 0.014)


def toon_head(head: HeadSurface) -> HeadSurface:
    """Larger eyes, smaller nose and mouth, a narrower chin; vertices keep their meaning."""
    template, points = head.template, head.vertices.astype(np.float64)
    out = points.copy()
    eyes = np.asarray(template.regions["eyes"])
    for side in (1.0, -1.0):
        ball = eyes[template.mean[eyes, 0] * side > 0]
        centre = points[ball].mean(axis=0)
        offset = points - centre
        distance = np.linalg.norm(offset * np.array([1.0, 1.0, 0.8]), axis=1)
        # The ball grows nearly as a whole, lids with it, and the face around gives way.
        share = np.exp(-((distance / 0.026) ** 2))
        out += offset * (np.array([0.85, 1.1, 0.55]) * (_EYE_GROWTH - 1.0)) * share[:, None]
    for name, amount, radius in (("nose", -0.22, 0.030), ("lips", -0.10, 0.035)):
        centre = points[template.regions[name]].mean(axis=0)
        offset = points - centre
        share = np.exp(-((offset / radius) ** 2).sum(axis=1))
        out += offset * np.array([1.0, 0.6, 0.9 if name == "nose" else 0.3]) * amount * share[:, None]
    chin = points[template.regions["chin"]].mean(axis=0)
    lower = np.exp(-(((points - chin) / np.array([0.09, 0.045, 0.08])) ** 2).sum(axis=1)) * head.rotation_weight
    out[:, 0] -= points[:, 0] * 0.14 * lower
    return HeadSurface.of(template, out.astype(np.float32))


@numba.njit(cache=True, nogil=True, inline="always")
def _band(x, edge, softness):  # type: ignore[no-untyped-def]
    """Step from 0 to 1 at `edge`."""
    t = min(max((x - edge) / softness + 0.5, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw(  # type: ignore[no-untyped-def]
    triangle, bary, depth, faces, material, attributes, skin, lips, iris, light, tint, level, key, shadow_map, shadow_nearest,
    shadow_furthest, shadow_axes, extent, taps, half_height, distance, ink, out,
):
    """Flat bands of light into `out` (H, W, 3): shade of each sample against `level`, the light of a facing white surface."""
    height, width = triangle.shape
    value = np.empty(18)
    for row in range(height):
        for col in range(width):
            t = triangle[row, col]
            if t < 0:
                continue
            kind = material[t]
            wa, wb, wc = bary[row, col, 0], bary[row, col, 1], bary[row, col, 2]
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            for k in range(18):
                value[k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
            z_view = depth[row, col]
            px = ((2 * col + 1.0) / width - 1.0) * z_view * half_height
            py = (1.0 - (2 * row + 1.0) / height) * z_view * half_height
            pz = distance - z_view
            norm = 1.0 / sqrt(px * px + py * py + (distance - pz) ** 2)
            vx, vy, vz = -px * norm, -py * norm, (distance - pz) * norm
            nx, ny, nz = value[A_NORMAL], value[A_NORMAL + 1], value[A_NORMAL + 2]
            norm = 1.0 / max(sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
            nx, ny, nz = nx * norm, ny * norm, nz * norm
            if kind >= HAIR and nx * vx + ny * vy + nz * vz < 0.0:
                nx, ny, nz = -nx, -ny, -nz
            lit = lit_share(shadow_map, shadow_nearest, shadow_furthest, px + nx * 0.004, py + ny * 0.004, pz + nz * 0.004, shadow_axes[0],
                            shadow_axes[1], shadow_axes[2], extent, _SHADOW_SPREAD, taps, (row & 1) * 2 + (col & 1))  # fmt: skip
            brightness = 0.0
            everything, keys = irradiances_at(nx, ny, nz, light), irradiances_at(nx, ny, nz, key)
            for channel in range(3):
                share = 0.2126 if channel == 0 else (0.7152 if channel == 1 else 0.0722)
                brightness += share * max(everything[channel] - (1.0 - lit) * 0.85 * keys[channel], 0.0)
            x = brightness / level
            # Three steps from the darkest side to where light is strongest.
            shade = 0.36 + 0.20 * _band(x, 0.30, 0.10) + 0.24 * _band(x, 0.62, 0.10) + 0.22 * _band(x, 1.00, 0.12)
            red, green, blue = value[A_COLOUR], value[A_COLOUR + 1], value[A_COLOUR + 2]
            if kind == SKIN:
                mouth = _band(value[A_AUX], 0.5, 0.25)
                blush = 0.35 * _band(value[A_AUX + 1], 0.62, 0.5) * (1.0 - mouth)
                red = skin[0] + mouth * (lips[0] - skin[0])
                green = (skin[1] + mouth * (lips[1] - skin[1])) * (1.0 - 0.55 * blush)
                blue = (skin[2] + mouth * (lips[2] - skin[2])) * (1.0 - 0.4 * blush)
            elif kind == EYE:
                sideways, upward, along = value[A_AUX], value[A_AUX + 1], value[A_AUX + 2]
                norm = 1.0 / max(sqrt(sideways * sideways + upward * upward + along * along), 1e-6)
                angle = acos(min(max(along * norm, -1.0), 1.0))
                shade = 1.0
                red, green, blue = 0.90, 0.90, 0.92
                if angle < 0.60:
                    up = upward * norm / 0.58
                    glow = 1.0 - 0.55 * _band(up, -0.1, 1.2)
                    red, green, blue = iris[0] * glow * 1.7, iris[1] * glow * 1.7, iris[2] * glow * 1.7
                    if angle < 0.27 or angle > 0.53:
                        red, green, blue = red * 0.12, green * 0.12, blue * 0.14
                    glint = (sideways * norm - 0.20 * np.sign(shadow_axes[2, 0] + 1e-6)) ** 2 + (upward * norm - 0.22) ** 2
                    if glint < 0.017:
                        red, green, blue = 1.0, 1.0, 1.0
                    glint = (sideways * norm + 0.18 * np.sign(shadow_axes[2, 0] + 1e-6)) ** 2 + (upward * norm + 0.2) ** 2
                    if glint < 0.005:
                        red, green, blue = 0.75, 0.8, 0.85
                if ny > 0.16:
                    red, green, blue = red * 0.72, green * 0.72, blue * 0.78
            elif kind == TEETH:
                red, green, blue, shade = 0.9, 0.9, 0.88, 1.0
            elif kind in (TONGUE, MOUTH_INSIDE):
                deep = 1.0 if kind == TONGUE else 0.45
                red, green, blue, shade = 0.45 * deep, 0.10 * deep, 0.11 * deep, 1.0
            elif kind in (LASHES, BROW):
                red, green, blue = ink[0] + 0.4 * red, ink[1] + 0.4 * green, ink[2] + 0.4 * blue
                shade = 1.0
            elif kind in (HAIR, BEARD):
                red, green, blue = red * 1.25 + 0.008, green * 1.25 + 0.006, blue * 1.25 + 0.006
                tx, ty, tz = value[A_TANGENT], value[A_TANGENT + 1], value[A_TANGENT + 2]
                norm = 1.0 / max(sqrt(tx * tx + ty * ty + tz * tz), 1e-6)
                # A bold band where strands would mirror a light above the viewer.
                hx, hy, hz = vx + 0.25 * shadow_axes[2, 0], vy + 0.75, vz + 0.25
                length = 1.0 / sqrt(hx * hx + hy * hy + hz * hz)
                across = (tx * hx + ty * hy + tz * hz) * norm * length
                gloss = exp(-((across / 0.16) ** 2)) * max(ny, 0.0)
                shine = 0.9 * _band(gloss, 0.42, 0.08) if kind == HAIR else 0.0
                red += shine * (0.55 * red + 0.05)
                green += shine * (0.55 * green + 0.05)
                blue += shine * (0.55 * blue + 0.05)
            # Shade is drawn cooler than light.
            cool = 1.0 - shade
            out[row, col, 0] = red * shade * (1.0 - 0.10 * cool) * tint[0]
            out[row, col, 1] = green * shade * (1.0 - 0.12 * cool) * tint[1]
            out[row, col, 2] = blue * shade * (1.0 + 0.22 * cool) * tint[2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _outline(triangle, depth, material, faces, attributes, bary, width_samples, ink, out):  # type: ignore[no-untyped-def]
    """Ink where what is seen changes: silhouettes, materials, jumps in depth and sharp bends of the skin."""
    height, width = triangle.shape
    reach = width_samples
    for row in range(height):
        for col in range(width):
            t = triangle[row, col]
            if t < 0:
                continue
            kind = material[t]
            if kind in (LASHES, BROW):
                continue
            here = depth[row, col]
            edge = 0.0
            for step in range(4):
                r = row + (reach if step == 0 else (-reach if step == 1 else 0))
                c = col + (reach if step == 2 else (-reach if step == 3 else 0))
                if r < 0 or c < 0 or r >= height or c >= width:
                    continue
                other = triangle[r, c]
                if other < 0:
                    edge = 1.0
                    continue
                next_kind = material[other]
                jump = depth[r, c] - here
                threshold = 0.035 if kind == HAIR and next_kind == HAIR else 0.009
                if jump > threshold:
                    edge = 1.0
                elif kind != next_kind and jump > 0.0 and kind != TEETH and next_kind not in (LASHES, BROW, BEARD, TEETH):
                    edge = max(edge, 0.85)
            if edge > 0.0:
                for c in range(3):
                    out[row, col, c] += edge * (ink[c] + 0.10 * out[row, col, c] - out[row, col, c])


def combed(scene: Scene, visible: Visible) -> Visible:
    """What is seen when hair is one mass with a smooth outline: single strands are gone, and gaps between them are hair."""
    hair = (visible.triangle >= 0) & (scene.material[visible.triangle] == HAIR)
    if not hair.any():
        return visible
    samples = len(hair)
    mass = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), _COMB * samples) > 0.5
    others = np.flatnonzero(scene.material != HAIR)
    opaque = int((others < scene.opaque).sum())
    bald = look_at(replace(scene, faces=scene.faces[others], material=scene.material[others], opaque=opaque), samples)
    behind = np.where(bald.triangle >= 0, others[bald.triangle], -1).astype(np.int32)
    # Every sample of the mass sees the nearest hair, all others what is behind hair.
    _, label = cv2.distanceTransformWithLabels((~hair).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.zeros(int(label.max()) + 1, np.int64)
    nearest[label[hair]] = np.flatnonzero(hair)
    source = nearest[label]
    triangle = np.where(mass, visible.triangle.reshape(-1)[source], np.where(hair, behind, visible.triangle))
    depth = np.where(mass, visible.depth.reshape(-1)[source], np.where(hair, bald.depth, visible.depth))
    bary = np.where(mass[..., None], visible.bary.reshape(-1, 3)[source], np.where(hair[..., None], bald.bary, visible.bary))
    return Visible(triangle, bary, depth)


def toon_backdrop(person: Person, size: int) -> Floats:
    """One pale colour with a soft gradient, linear RGB (size, size, 3)."""
    base = np.array(person.backdrop.base)
    base = base / max(float(base @ LUMINANCE), 0.02)
    pale = 0.62 * (0.55 + 0.45 * np.clip(base, 0.2, 2.0))
    fall = np.linspace(1.12, 0.86, size, dtype=np.float32)[:, None, None]
    return np.asarray(np.broadcast_to(fall * pale.astype(np.float32), (size, size, 3)), dtype=np.float32).copy()


def render_toon(person: Person, size: int, supersample: int = 2, wardrobe: Wardrobe | None = None) -> NDArray[np.uint8]:
    """The person as a toon: (size, size, 3) uint8 sRGB, same pose, expression and light as the photograph."""
    head = toon_head(head_surface(person))
    scene = assemble(person, head, accessories(person, head, size, wardrobe))
    cut = np.isin(scene.material, (HAIR, BEARD))
    strands = np.unique(scene.faces[cut])
    # Thick hair is solid, thin stubble is left out.
    scene.attributes[strands, A_AUX] = np.where(scene.attributes[strands, A_AUX] > 0.25, 1.0, 0.0)
    # Hair is painted in nearly one tone; strands survive in outline and highlight.
    tones = scene.attributes[strands, A_COLOUR : A_COLOUR + 3]
    if len(strands):
        scene.attributes[strands, A_COLOUR : A_COLOUR + 3] = tones.mean(axis=0) + 0.12 * (tones - tones.mean(axis=0))
    samples = size * supersample
    visible = combed(scene, look_at(scene, samples))
    linear = _ink_and_paint(person, scene, visible)
    out = np.empty((size, size, 3), np.float32)
    resolve(linear, visible.triangle, toon_backdrop(person, size), supersample, out)
    return np.asarray(np.clip(encode(out), 0, 1) * 255 + 0.5, dtype=np.uint8)


def _ink_and_paint(person: Person, scene: Scene, visible: Visible) -> Floats:
    samples = len(visible.depth)
    light = person.lighting.coefficients()
    level = max(float(np.maximum(light[0] * 0.282095 + light[2] * 0.4, 0.0) @ LUMINANCE), 1e-3)
    skin = np.array(person.traits.skin)
    skin = np.clip(skin * (1.25 + 0.25 * person.traits.darkness) + 0.03, 0, 0.9)
    lips = skin * np.array([0.86, 0.52, 0.52])
    lips = lips + 0.7 * person.skin.lipstick * (np.array(person.skin.lip_colour) - lips)
    shadow_map, axes = key_shadow(scene, person.lighting.lamps[0].direction)
    bounds = shadow_bounds(shadow_map, _SHADOW_SPREAD)
    linear = np.zeros((samples, samples, 3), np.float32)
    ink = np.array(_INK)
    camera, key = Camera(), person.lighting.lamps[0].coefficients().astype(np.float32)
    _draw(
        visible.triangle, visible.bary, visible.depth, scene.faces, scene.material, scene.attributes, skin, lips,
        np.array(person.eyes.inner), light.astype(np.float32), drawn_light(person.lighting), level, key, shadow_map, *bounds, axes,
        SHADOW_EXTENT, disc_taps(), camera.half_height / camera.distance, camera.distance, ink, linear,
    )  # fmt: skip
    width = max(round(samples / 128), 1)
    _outline(visible.triangle, visible.depth, scene.material, scene.faces, scene.attributes, visible.bary, width, ink, linear)
    return linear
