from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossrig.data.backdrops import LAYOUT, SCENES, Backdrop, paint_backdrop


def layout(seed: int) -> tuple[float, ...]:
    return tuple(float(value) for value in np.random.default_rng(seed).standard_normal(LAYOUT))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("size", [32, 127])
def test_pictures_are_linear_rgb(scene: str, size: int) -> None:
    picture = paint_backdrop(Backdrop(scene, layout=layout(1)), size, np.random.default_rng(0))
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert 0.0 <= picture.min() < picture.max() <= 1.0


@pytest.mark.parametrize("scene", SCENES)
def test_random_numbers_only_add_texture(scene: str) -> None:
    backdrop = Backdrop(scene, layout=layout(2), texture=1.0)
    one, two = (paint_backdrop(backdrop, 64, np.random.default_rng(seed)) for seed in (0, 1))
    other = paint_backdrop(replace(backdrop, layout=layout(3)), 64, np.random.default_rng(0))
    assert 0.0 < np.abs(one - two).mean() < 0.02
    assert np.abs(one - other).mean() > 1.5 * np.abs(one - two).mean()


@pytest.mark.parametrize("scene", SCENES)
def test_numbers_move_the_picture_smoothly(scene: str) -> None:
    start = np.array(layout(4))
    pictures = [
        paint_backdrop(Backdrop(scene, layout=tuple(start + step), texture=0.0, contrast=1.0), 48, np.random.default_rng(0))
        for step in (0.0, 0.01)
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.01


def test_defocus_softens() -> None:
    sharp, soft = (
        paint_backdrop(Backdrop("room", layout=layout(5), contrast=1.0, texture=0.0, defocus=value), 96, np.random.default_rng(0))
        for value in (0.1, 1.0)
    )
    assert np.abs(np.diff(soft, axis=1)).max() < 0.7 * np.abs(np.diff(sharp, axis=1)).max()


def test_light_comes_from_its_side() -> None:
    picture = paint_backdrop(Backdrop("studio", light=1.0, side=1.0, texture=0.0), 64, np.random.default_rng(0))
    assert picture[:, 48:].mean() > 1.2 * picture[:, :16].mean()


def test_bad_descriptions_are_errors() -> None:
    with pytest.raises(ValueError, match="beach"):
        Backdrop("beach")
    with pytest.raises(ValueError, match="layout"):
        Backdrop("room", layout=(0.0,))
