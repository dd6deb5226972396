"""Rasteriser speed: our fast kernel beside its readable reference and a painter's algorithm in OpenCV (no z-buffer).

Usage: python benchmarks/rasterise.py [--repeats 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from shared.timing import best

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera
from crossrig.render.face import render_face
from crossrig.render.zbuffer import raster_kernel, raster_reference

Points = NDArray[np.float32]
Faces = NDArray[np.int32]


def draw(kernel: Callable[..., None], points: Points, faces: Faces, size: int) -> NDArray[np.int32]:
    depth = np.full((size, size), np.inf, np.float32)
    triangle = np.full((size, size), -1, np.int32)
    kernel(points, faces, depth, triangle, np.empty((0, 0, 3), np.float32))
    return triangle


def paint(points: Points, faces: Faces, size: int) -> NDArray[np.int32]:
    """Triangles sorted by depth and filled far to near by OpenCV: no per-pixel depth, so wrong where they cross."""
    picture = np.full((size, size), -1, np.int32)
    corners = np.round(((points[:, :2] * [1, -1] + 1) * (size / 2) - 0.5) * 16).astype(np.int32)
    for number in np.argsort(-points[faces, 2].mean(axis=1)):
        cv2.fillConvexPoly(picture, corners[faces[number]], int(number), shift=4)
    return picture


def strands(count: int) -> tuple[Points, Faces]:
    """Hair-like load: thin ribbons (pairs of triangles) across the frame."""
    rng = np.random.default_rng(0)
    root = rng.uniform(-0.8, 0.8, (count // 2, 1, 2))
    along = rng.normal(size=(count // 2, 1, 2)) * 0.04
    across = along[..., ::-1] * [1, -1] * 0.1
    quad = np.concatenate((root, root + across, root + along, root + along + across), axis=1)
    depth = rng.uniform(1.4, 1.7, (count // 2, 4, 1))
    points = np.concatenate((quad, depth), axis=2).reshape(-1, 3).astype(np.float32)
    first = 4 * np.arange(count // 2)[:, None]
    faces = np.concatenate((first + np.array([0, 1, 2]), first + np.array([2, 1, 3]))).astype(np.int32)
    return points, faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    model = FaceModel.load()
    head = Camera().project(model.mean)[:, :3].numpy().astype(np.float32)
    loads = {"head": (head, model.faces.numpy().astype(np.int32)), "30k hair": strands(30_000)}

    print(f"{'load':10}{'triangles':>10}{'size':>6}{'fast ms':>10}{'Mtri/s':>9}{'OpenCV painter':>16}{'ratio':>8}")
    for name, (points, faces) in loads.items():
        for size in (128, 256, 512):
            fast = best(lambda p=points, f=faces, s=size: draw(raster_kernel, p, f, s), repeats)
            peer = best(lambda p=points, f=faces, s=size: paint(p, f, s), 1)
            print(
                f"{name:10}{len(faces):>10}{size:>6}{fast * 1e3:>10.2f}{len(faces) / fast / 1e6:>9.1f}"
                f"{peer * 1e3:>13.1f} ms{peer / fast:>7.0f}x"
            )

    points, faces = loads["head"]
    few = faces[:: max(1, len(faces) // 1000)]
    fast = best(lambda: draw(raster_kernel, points, few, 128), repeats)
    readable = best(lambda: draw(raster_reference, points, few, 128), 1)
    same = np.array_equal(draw(raster_kernel, points, few, 128), draw(raster_reference, points, few, 128))
    print(
        f"\nreference, {len(few)} triangles at 128 px: {readable * 1e3:.0f} ms against {fast * 1e3:.2f} ms, "
        f"{readable / fast:.0f}x; same triangles: {same}"
    )

    print(f"\n{'render_face, one thread':26}{'size':>6}{'heads/s':>10}")
    params = FaceParams.neutral(8)

    def forward(size: int) -> None:
        with torch.no_grad():
            render_face(model, params, size)

    def backward(size: int) -> None:
        shape = params.shape.clone().requires_grad_()
        render_face(model, params.replace(shape=shape), size).image.sum().backward()

    for name, call in (("forward", forward), ("forward and backward", backward)):
        for size in (64, 128, 256):
            print(f"{name:26}{size:>6}{8 / best(lambda c=call, s=size: c(s), repeats):>10.1f}")


if __name__ == "__main__":
    main()
