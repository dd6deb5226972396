"""What pictures in the wild suffer, for training networks that read faces; labels follow where the change is geometry or light.

Exact with its label: zoom and shift of the frame (translation and rotation corrected through the camera), exposure and white balance
(illumination scaled). Label-free: blur, lost resolution, noise, JPEG blocks, covered patches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.face3d.params import SH_BANDS, FaceParams
from crossrig.render.camera import Camera
from crossrig.render.shading import srgb_decode, srgb_encode


@dataclass(frozen=True)
class Degradation:
    """Strengths; each label-free damage hits `share` of the pictures."""

    zoom: float = 0.06
    shift: float = 0.07
    exposure: float = 0.12
    white_balance: float = 0.04
    share: float = 0.3
    noise: float = 0.06
    covered: float = 0.4


def reframe_labels(params: FaceParams, zoom: Tensor, shift: Tensor, camera: Camera) -> FaceParams:
    """Labels of pictures enlarged by `zoom` (B,) about their centre and then moved by `shift` (B,2), NDC: ndc' = zoom ndc + shift.

    The head moves to where its origin projects to the new place, at 1 / zoom of its depth; and because the camera then sees it along
    another line, it turns with that line, so that what is seen of it stays the same.
    """
    old = params.translation
    depth = (camera.distance - old[:, 2]) / zoom  # (B,)
    ndc = camera.project(old)[:, :2] * zoom[:, None] + shift
    place = ndc * depth[:, None] / camera.focal
    translation = torch.cat([place, (camera.distance - depth)[:, None]], dim=1)
    old_depth = camera.distance - old[:, 2]
    around_y = -(torch.atan(place[:, 0] / depth) - torch.atan(old[:, 0] / old_depth))
    around_x = torch.atan(place[:, 1] / depth) - torch.atan(old[:, 1] / old_depth)
    # A small turn of the world composed with Rz(roll) Ry(yaw) Rx(-pitch), to first order in the turn (it is below a
    # degree).
    pitch, yaw, roll = params.rotation.unbind(1)
    turned_y = around_y * roll.cos() - around_x * roll.sin()
    turned_x = around_x * roll.cos() + around_y * roll.sin()
    yaw_cos = yaw.cos().clamp(min=0.2)
    rotation = torch.stack([pitch - turned_x / yaw_cos, yaw + turned_y, roll + turned_x * yaw.sin() / yaw_cos], dim=1)
    return params.replace(translation=translation, rotation=rotation)


def reframe(images: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    """Pictures (B,3,H,W) enlarged by `zoom` (B,) and moved by `shift` (B,2) (right, up); edges repeat outwards."""
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1.0 / zoom
    theta[:, 0, 2] = -shift[:, 0] / zoom
    theta[:, 1, 2] = shift[:, 1] / zoom  # rows run downwards
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def relight(images: Tensor, gain: Tensor) -> Tensor:
    """Multiply linear light by `gain` (B,3), per channel."""
    linear = srgb_decode((images * 0.5 + 0.5).clamp(0, 1)) * gain[:, :, None, None]
    return srgb_encode(linear.clamp(0, 1)) * 2.0 - 1.0


def relight_labels(params: FaceParams, gain: Tensor) -> FaceParams:
    """Illumination of pictures whose linear light was multiplied by `gain` (B,3)."""
    light = params.illumination.reshape(-1, SH_BANDS, 3) * gain[:, None]
    return params.replace(illumination=light.reshape(params.illumination.shape))


def _blur(images: Tensor, sigma: float) -> Tensor:
    radius = max(1, math.ceil(2.5 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma).square())
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    images = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    images = F.conv2d(images, kernel[:, :, None, :], groups=images.shape[1])
    return F.conv2d(images, kernel[:, :, :, None], groups=images.shape[1])


def _cosines() -> Tensor:
    """(8,8) orthonormal discrete cosine transform."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) * 0.5
    basis[0] /= math.sqrt(2.0)
    return basis


def jpeg_like(images: Tensor, step: float) -> Tensor:
    """Quantise the 8x8 cosine coefficients of (B,3,H,W), H and W multiples of 8, by `step` growing with frequency, as JPEG does."""
    basis = _cosines()
    count, channels, height, width = images.shape
    blocks = images.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)  # (B,3,h,w,8,8)
    quantum = step * (1.0 + torch.arange(8.0)[:, None] + torch.arange(8.0)[None])
    coefficients = torch.round(basis @ blocks @ basis.T / quantum) * quantum
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(images.shape)


def _uniform(low: float, high: float, random: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=random))


def damage(images: Tensor, strength: Degradation, random: torch.Generator) -> Tensor:
    """Label-free damage to pictures (B,3,H,W) in [-1,1]: each kind hits its own random share of the batch, at one random strength."""
    images = images.contiguous().clone()
    count, _, height, width = images.shape

    def hit(share: float) -> Tensor:
        return torch.nonzero(torch.rand(count, generator=random) < share)[:, 0]

    if len(chosen := hit(strength.share)):
        images[chosen] = _blur(images[chosen], _uniform(0.4, 1.6, random))
    if len(chosen := hit(strength.share)):
        size = int(_uniform(0.4, 0.9, random) * height)
        small = F.interpolate(images[chosen], (size, size), mode="bilinear", antialias=True, align_corners=False)
        images[chosen] = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    if len(chosen := hit(strength.share)) and height % 8 == 0 and width % 8 == 0:
        images[chosen] = jpeg_like(images[chosen], _uniform(0.01, 0.06, random))
    if len(chosen := hit(strength.share)):
        # Saturation is what painters, cameras and generators change most freely.
        grey = images[chosen].mean(1, keepdim=True)
        images[chosen] = grey + (images[chosen] - grey) * _uniform(0.75, 1.2, random)
    if len(chosen := hit(strength.share)):
        images[chosen] = images[chosen] + torch.randn(images[chosen].shape, generator=random) * _uniform(0.0, strength.noise, random)
    for index in hit(strength.covered).tolist():
        extent = [int(_uniform(0.1, 0.4, random) * side) for side in (height, width)]
        top, left = (int(_uniform(0, side - part, random)) for side, part in zip((height, width), extent, strict=True))
        donor = int(torch.randint(count, (), generator=random))
        from_top, from_left = (int(_uniform(0, side - part, random)) for side, part in zip((height, width), extent, strict=True))
        patch = images[donor, :, from_top : from_top + extent[0], from_left : from_left + extent[1]].clone()
        images[index, :, top : top + extent[0], left : left + extent[1]] = patch
    return images.clamp(-1, 1)


def degrade(images: Tensor, params: FaceParams, strength: Degradation, random: torch.Generator) -> tuple[Tensor, FaceParams]:
    """Pictures (B,3,H,W) in [-1,1] and their labels -> damaged pictures and the labels that are true of them."""
    count = len(images)
    zoom = torch.exp(strength.zoom * torch.randn(count, generator=random).clamp(-2.5, 2.5))
    shift = strength.shift * torch.randn(count, 2, generator=random).clamp(-2.5, 2.5)
    gain = torch.exp(
        strength.exposure * torch.randn(count, 1, generator=random) + strength.white_balance * torch.randn(count, 3, generator=random)
    )
    params = relight_labels(reframe_labels(params, zoom, shift, Camera()), gain)
    return damage(relight(reframe(images, zoom, shift), gain), strength, random), params
