"""Toons: the same person and pose, drawn flat, with large eyes and outlines."""

from __future__ import annotations

import numpy as np
import pytest

from crossrig.data import portraits
from crossrig.data.geometry import EYE
from crossrig.data.people import Person, sample_person
from crossrig.data.styles import render_toon, toon_backdrop, toon_head


@pytest.fixture(scope="module")
def someone() -> Person:
    return sample_person(2, 5)


def test_toons_are_reproducible_pictures(someone: Person) -> None:
    image = portraits.render_portrait(someone, 64, style="toon")
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, render_toon(someone, 64))


def test_toon_eyes_are_larger_and_the_rest_stays(someone: Person) -> None:
    head = portraits.head_surface(someone)
    toon = toon_head(head)
    ball = head.regions["eye_left"]

    def spread(points: np.ndarray) -> float:
        return float(np.linalg.norm(points[ball] - points[ball].mean(axis=0), axis=1).mean())

    assert spread(toon.vertices) > 1.3 * spread(head.vertices)
    for region in ("ears", "neck", "body"):
        part = head.regions[region]
        moved = np.linalg.norm(toon.vertices[part] - head.vertices[part], axis=1)
        assert np.median(moved) < 0.002, region


def test_toon_eyes_show_more(someone: Person) -> None:
    def eye_samples(head: portraits.HeadSurface) -> int:
        scene = portraits.assemble(someone, head, [])
        seen = portraits.look_at(scene, 256).triangle
        return int((scene.material[seen[seen >= 0]] == EYE).sum())

    head = portraits.head_surface(someone)
    assert eye_samples(toon_head(head)) > 1.4 * eye_samples(head)


def test_toons_are_flatter_than_photographs() -> None:
    """Fewer distinct colours: most neighbouring pixels are nearly equal."""

    def busy(image: np.ndarray) -> float:
        return float((np.abs(np.diff(image.astype(int), axis=1)).sum(axis=-1) > 4).mean())

    people = [sample_person(3, index) for index in range(4)]
    photo = np.mean([busy(portraits.render_portrait(who, 64)) for who in people])
    toon = np.mean([busy(render_toon(who, 64)) for who in people])
    assert toon < 0.75 * photo


def test_backdrops_are_pale(someone: Person) -> None:
    assert toon_backdrop(someone, 16).min() > 0.15
