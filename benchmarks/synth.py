"""Portraits per second on this machine, and where the time of one portrait goes: python benchmarks/synth.py [--count 256].

No off-the-shelf maker of labelled portraits comes as a Python package that runs on a CPU. Where pyrender is installed, it draws the same
people from the same triangles, posed and coloured per vertex: one lamp, no backdrop, shadows, strands, skin, grain, PNG or labels.

synth.renderer_ms             its CPU time for one person, at one sample a pixel (ours takes four)
synth.speedup_over_renderer   that by ours for a whole example, from the code to the PNG

It draws without a screen by OSMesa, for which the PyOpenGL that pyrender asks for is too old:

    apt-get install libosmesa6
    pip install pyrender && pip install "PyOpenGL>=3.1.7"
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from crossrig.data import portraits
from crossrig.data.backdrops import paint_backdrop
from crossrig.data.people import person, sample_code
from crossrig.data.shader import A_COLOUR, A_NORMAL
from crossrig.data.synth import label_numbers, make_example, synthesise
from crossrig.render.camera import Camera

T = TypeVar("T")


def portraits_per_second(count: int, size: int, workers: int, seed: int = 1) -> float:
    """Sustained rate: the start of the worker processes is timed apart, with a short run, and taken off."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        synthesise(workers * 16, size, seed, Path(folder), workers=workers, progress=False, first=10**6)
        middle = time.perf_counter()
        synthesise(workers * 16 + count, size, seed, Path(folder), workers=workers, progress=False)
        return count / (time.perf_counter() - middle - (middle - start))


def stage_milliseconds(count: int, size: int, seed: int = 1) -> dict[str, float]:
    """Mean CPU time of each stage of a portrait, one process; the last row is everything that `make_example` and its label cost."""
    spent: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        start = time.process_time_ns()
        result = work()
        spent[stage] = spent.get(stage, 0.0) + (time.process_time_ns() - start) / 1e6 / count
        return result

    for index in range(4):
        make_example(seed + 1, index, size, "photo")  # compiles and fills the tables
    for index in range(count):
        who = timed("person", lambda index=index: person(*sample_code(seed, index)))
        head = timed("head", lambda who=who: portraits.head_surface(who))
        patches = timed("hair, clothes, brows ...", lambda who=who, head=head: portraits.accessories(who, head, size))
        scene = timed("assemble", lambda who=who, head=head, patches=patches: portraits.assemble(who, head, patches))
        seen = timed("rasterise", lambda scene=scene: portraits.look_at(scene, 2 * size))
        timed("shadows and shading", lambda who=who, scene=scene, seen=seen: portraits.shade_scene(who, scene, seen, merge=True))
        timed("backdrop", lambda who=who: paint_backdrop(who.backdrop, size, who.rng(7)))
        timed("develop", lambda who=who: portraits.develop(who, np.full((size, size, 3), 0.2, np.float32)))
        example = timed("all, with PNG", lambda index=index: make_example(seed, index, size, "photo"))
        timed("label as text", lambda example=example: label_numbers(example.label))
    return spent


def pyrender_milliseconds(count: int, size: int, seed: int = 1) -> float | None:
    """CPU milliseconds for pyrender to draw one of the first `count` people, or None where it is not installed."""
    if importlib.util.find_spec("pyrender") is None or importlib.util.find_spec("trimesh") is None:
        return None
    os.environ.setdefault("PYOPENGL_PLATFORM", "osmesa")  # read when pyrender is imported
    import pyrender

    camera = Camera()
    stage = pyrender.Scene()
    stage.add(pyrender.DirectionalLight(intensity=3.0))
    pose = np.eye(4)
    pose[2, 3] = camera.distance
    stage.add(pyrender.PerspectiveCamera(yfov=2 * np.arctan(camera.half_height / camera.distance)), pose=pose)
    spent = 0
    renderer = pyrender.OffscreenRenderer(size, size)
    try:
        for index in range(-2, count):  # the first ones compile shaders
            who = person(*sample_code(seed, max(index, 0)))
            head = portraits.head_surface(who)
            scene = portraits.assemble(who, head, portraits.accessories(who, head, size))
            start = time.process_time_ns()
            triangles = pyrender.Primitive(
                positions=scene.vertices, normals=scene.attributes[:, A_NORMAL : A_NORMAL + 3],
                color_0=scene.attributes[:, A_COLOUR : A_COLOUR + 3], indices=scene.faces,
                material=pyrender.MetallicRoughnessMaterial(metallicFactor=0.0, doubleSided=True),
            )  # fmt: skip
            node = stage.add(pyrender.Mesh([triangles]))
            image, _ = renderer.render(stage)
            stage.remove_node(node)
            if index >= 0:
                spent += time.process_time_ns() - start
            if not (image != image[0, 0]).any():
                raise RuntimeError("pyrender has drawn nothing")
    finally:
        renderer.delete()
    return spent / 1e6 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    print(f"{'stage':>26} {'ms a portrait':>14}   ({options.size} px, one process, CPU time)")
    stages = stage_milliseconds(min(options.count, 40), options.size)
    for stage, spent in stages.items():
        print(f"{stage:>26} {spent:14.2f}", flush=True)
    peer = pyrender_milliseconds(min(options.count, 40), options.size)
    if peer is None:
        print("\nsynth.speedup_over_renderer   pyrender is not installed")
    else:
        print(f"\n{'synth.renderer_ms':29} {peer:.4g}\n{'synth.speedup_over_renderer':29} {peer / stages['all, with PNG']:.4g}", flush=True)
    print(f"\n{'pixels':>6} {'workers':>8} {'portraits/s':>12}")
    for workers in sorted({1, cores}):
        print(f"{options.size:6d} {workers:8d} {portraits_per_second(options.count, options.size, workers):12.1f}", flush=True)


if __name__ == "__main__":
    main()
