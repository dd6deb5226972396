"""Filters that turn a rendering into a painting or a drawing."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from crossrig.data import synth
from crossrig.data.filters import FILTERS, filtered


def _scene() -> np.ndarray:
    """(64, 64, 3): a skin-coloured disc with two eyes before a blue backdrop, a little noisy."""
    image = np.full((64, 64, 3), (60, 90, 150), np.uint8)
    cv2.circle(image, (32, 32), 22, (200, 150, 120), -1)
    for x in (24, 40):
        cv2.circle(image, (x, 28), 3, (20, 20, 20), -1)
    noise = np.random.default_rng(0).integers(-12, 13, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("style", sorted(FILTERS))
@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_gives_the_same_picture_and_another_another(style: str, seed: int) -> None:
    image = _scene()
    before = image.copy()
    made = filtered(image, style, seed, 32)
    assert made.shape == (32, 32, 3)
    assert made.dtype == np.uint8
    assert np.array_equal(image, before)
    assert np.array_equal(made, filtered(image, style, seed, 32))
    assert not np.array_equal(made, filtered(image, style, seed + 10, 32))


def test_another_process_gives_the_same_picture() -> None:
    code = (
        "import numpy as np, zlib; from crossrig.data.filters import FILTERS, filtered; "
        "image = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8); "
        "print([zlib.crc32(filtered(image, style, 3, 32).tobytes()) for style in sorted(FILTERS)])"
    )
    first, second = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == second


def test_a_painting_is_flatter_and_keeps_its_colours_in_their_places() -> None:
    image = _scene()
    for seed in range(4):
        painted = filtered(image, "painting", seed, 64).astype(int)
        patch = np.s_[40:48, 26:38]  # skin, away from the edges
        assert painted[patch].std(axis=(0, 1)).max() < 0.7 * image[patch].std(axis=(0, 1)).max()
        assert painted[patch].mean(axis=(0, 1)).argmax() == 0  # red as before
        assert painted[2:8, 2:8].mean(axis=(0, 1)).argmax() == 2  # and the backdrop blue


def test_a_sketch_is_grey_on_paper_with_dark_lines_at_the_edges() -> None:
    drawn = filtered(_scene(), "sketch", 1, 64).astype(int)
    assert (drawn[..., 0] >= drawn[..., 2]).all()  # white to cream, never blue
    assert drawn[26:31, 22:27].mean() < drawn[40:48, 26:38].mean()


def test_a_sketch_shows_skin_and_light() -> None:
    def cheek(image: np.ndarray) -> float:
        return float(filtered(image, "sketch", 2, 64)[36:50, 24:40].mean())

    scene, skin = _scene(), np.s_[10:54, 10:54]
    darker, turned = scene.copy(), scene.copy()
    darker[skin] = (scene[skin] * 0.5).astype(np.uint8)
    assert cheek(darker) < cheek(scene) - 25
    turned[:, :32] = (scene[:, :32] * 0.6).astype(np.uint8)  # light from the right
    left, right = (filtered(turned, "sketch", 2, 64)[36:50, columns].mean() for columns in (np.s_[16:28], np.s_[36:48]))
    assert left < right - 20


@pytest.mark.parametrize("style", sorted(FILTERS))
def test_synth_filters_a_rendering_of_twice_the_size(style: synth.Style, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def render(someone: object, size: int, supersample: int = 2, style: str = "photo", wardrobe: object = None) -> np.ndarray:
        asked.append((size, style))
        return np.asarray(cv2.resize(_scene(), (size, size), interpolation=cv2.INTER_LINEAR))

    monkeypatch.setattr(synth, "render_portrait", render)
    example = synth.make_example(0, 3, 32, style)
    picture = cv2.imdecode(np.frombuffer(example.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (32, 32, 3)
    assert asked == [(64, "photo")]
    plain = synth.make_example(0, 3, 32, "photo")
    assert np.array_equal(example.label, plain.label)  # the same person, and the same labels
    assert example.png != plain.png
