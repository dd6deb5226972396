from __future__ import annotations

import numpy as np
import pytest

from crossrig.data.fabric import PIECE_STRIDE, WEAVES, Pattern, cloth_colour, pattern_table

BASE = (0.2, 0.1, 0.05)


def paint(pattern: Pattern, footprint: float = 0.0005, size: int = 64, step: float = 0.001) -> np.ndarray:
    """A swatch (size, size, 3) of cloth."""
    table = pattern_table([pattern])
    out = np.empty((size, size, 3), np.float32)
    for row in range(size):
        for column in range(size):
            colour = np.array(BASE, np.float32)
            cloth_colour(0.5 * PIECE_STRIDE + (column - size / 2) * step, row * step, footprint, table, colour)
            out[row, column] = colour
    return out


def test_plain_cloth_without_grain_keeps_its_colour() -> None:
    np.testing.assert_allclose(paint(Pattern("plain", grain=0.0), size=8), np.broadcast_to(BASE, (8, 8, 3)), rtol=1e-6)


def test_stripes_run_across_and_alternate_between_both_colours() -> None:
    swatch = paint(Pattern("stripes", scale=0.016, contrast=1.0, balance=0.5, grain=0.0, colour=(0.8, 0.8, 0.8)))
    assert np.ptp(swatch, axis=1).max() < 1e-6  # the same along a row
    on = swatch[:, 0, 0] > 0.5
    assert 0.4 < on.mean() < 0.6
    assert (np.diff(on.astype(int)) != 0).sum() == 8  # four repeats of 16 mm in 64 mm


def test_angle_turns_stripes_upright() -> None:
    swatch = paint(Pattern("stripes", scale=0.016, contrast=1.0, angle=np.pi / 2, grain=0.0, colour=(0.8, 0.8, 0.8)))
    assert np.ptp(swatch, axis=0).max() < 1e-3 < np.ptp(swatch[0, :, 0])


@pytest.mark.parametrize("weave", WEAVES)
def test_colours_stay_reflectances_and_patterns_show(weave: str) -> None:
    swatch = paint(Pattern(weave, contrast=0.9, colour=(0.8, 0.7, 0.6)))
    assert np.isfinite(swatch).all()
    assert swatch.min() >= 0.0
    assert swatch.max() <= 1.0
    if weave != "plain":
        assert swatch.std(axis=(0, 1)).max() > 0.01


@pytest.mark.parametrize("weave", ["stripes", "gingham", "rib", "plaid"])
def test_patterns_finer_than_a_pixel_fade_to_their_mean(weave: str) -> None:
    pattern = Pattern(weave, scale=0.008, contrast=0.9, grain=0.0, colour=(0.8, 0.8, 0.8))
    near, far = paint(pattern), paint(pattern, footprint=0.02)
    assert far.std(axis=(0, 1)).max() < 0.1 * near.std(axis=(0, 1)).max()
    if weave != "rib":
        np.testing.assert_allclose(far.mean(axis=(0, 1)), near.mean(axis=(0, 1)), rtol=0.15)


def test_each_piece_has_its_own_pattern() -> None:
    table = pattern_table([Pattern(grain=0.0), Pattern("stripes", 1.0, 1.0, 1.0, grain=0.0, colour=(0.9, 0.9, 0.9))])
    first, second = np.array(BASE, np.float32), np.array(BASE, np.float32)
    cloth_colour(0.5 * PIECE_STRIDE, 0.0, 0.001, table, first)
    cloth_colour(1.5 * PIECE_STRIDE, 0.5, 0.001, table, second)
    np.testing.assert_allclose(first, BASE, rtol=1e-6)
    np.testing.assert_allclose(second, 0.9, rtol=1e-5)


def test_unknown_weave_is_an_error() -> None:
    with pytest.raises(ValueError, match="tartan"):
        Pattern("tartan")
