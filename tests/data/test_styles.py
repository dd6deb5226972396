"""Toons: the same person and pose, drawn flat, with large eyes and outlines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossrig.data import portraits
from crossrig.data.geometry import EYE, HAIR
from crossrig.data.lights import Lamp, Lighting, drawn_light, facing_luminance, warmth_colour
from crossrig.data.people import Person, sample_person
from crossrig.data.style_names import Style
from crossrig.data.styles import combed, render_toon, toon_backdrop, toon_head
from crossrig.data.synth import draw


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


@pytest.mark.parametrize("style", ["toon", "avatar"])
def test_drawings_show_how_strong_and_how_warm_the_light_is(someone: Person, style: Style) -> None:
    def mean(strength: float, warmth: float) -> np.ndarray:
        colour = tuple(strength * channel for channel in warmth_colour(warmth))
        light = Lighting(colour, colour, (Lamp(0.0, 0.2, colour, 0.5),))
        image = draw(replace(someone, lighting=light), 64, style).astype(float)
        return image[20:44, 20:44].mean(axis=(0, 1))

    assert mean(0.3, 0.0).mean() < 0.85 * mean(0.7, 0.0).mean()
    cold, warm = mean(0.5, -0.8), mean(0.5, 0.8)
    assert warm[0] / warm[2] > 1.2 * cold[0] / cold[2]


def test_drawn_lights_differ_less_than_real_ones() -> None:
    lights = [Lighting((level, level, level), (level, level, level), ()) for level in (0.6, 1.8)]
    real = facing_luminance(lights[1], np.ones(3)) / facing_luminance(lights[0], np.ones(3))
    drawn = drawn_light(lights[1]) / drawn_light(lights[0])
    assert np.all(drawn > 1.3)
    assert np.all(drawn < 0.8 * real)


def test_backdrops_are_pale(someone: Person) -> None:
    assert toon_backdrop(someone, 16).min() > 0.15


def test_hair_is_one_mass_with_a_smooth_outline() -> None:
    """Combing moves the outline a little, and makes it much shorter."""
    curly = max((sample_person(3, index) for index in range(12)), key=lambda who: outline_length(hair_of(who, combed_too=False)))
    before, after = (hair_of(curly, combed_too) for combed_too in (False, True))
    assert outline_length(after) < 0.6 * outline_length(before)
    assert after.sum() == pytest.approx(before.sum(), rel=0.15)


def test_what_hair_leaves_free_is_what_is_behind_it() -> None:
    who = next(who for who in (sample_person(3, index) for index in range(12)) if outline_length(hair_of(who, False)) > 600)
    scene = portraits.assemble(who, toon_head(portraits.head_surface(who)), portraits.accessories(who, portraits.head_surface(who), 64))
    visible = portraits.look_at(scene, 128)
    smooth = combed(scene, visible)
    freed = (kinds(scene, visible) == HAIR) & (kinds(scene, smooth) != HAIR)
    assert freed.any()
    assert (smooth.depth[freed] >= visible.depth[freed]).all()
    untouched = (kinds(scene, visible) != HAIR) & (kinds(scene, smooth) != HAIR)
    assert np.array_equal(smooth.triangle[untouched], visible.triangle[untouched])


def kinds(scene: portraits.Scene, visible: portraits.Visible) -> np.ndarray:
    """Material of every sample, 255 for the backdrop."""
    return np.where(visible.triangle >= 0, scene.material[visible.triangle], 255)


def hair_of(who: Person, combed_too: bool) -> np.ndarray:
    head = toon_head(portraits.head_surface(who))
    scene = portraits.assemble(who, head, portraits.accessories(who, head, 64))
    visible = portraits.look_at(scene, 128)
    return kinds(scene, combed(scene, visible) if combed_too else visible) == HAIR


def outline_length(mask: np.ndarray) -> int:
    return int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())
