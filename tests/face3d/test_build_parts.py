"""The pieces that build the head model: eyeballs, the mouth repair, people, skin and occlusion, each on small made-up
meshes."""

from __future__ import annotations

import numpy as np
import pytest

from crossrig.face3d import parts
from crossrig.face3d.eyes import LOOK_ANGLES, SCALE, fit_sphere, look_delta, make_eyeball
from crossrig.face3d.mouth import make_mouth_repair
from crossrig.face3d.occlusion import ambient_occlusion, sphere_directions
from crossrig.face3d.people import ORIGINS, Slider, Targets, heads, sample_people
from crossrig.face3d.people import _macro_names as macro_names
from crossrig.face3d.skin import SKIN_TONES, srgb_decode, srgb_encode, tone


def sphere(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    return np.array(centre) + radius * sphere_directions(72)


def test_sphere_is_fitted_exactly() -> None:
    centre, radius = fit_sphere(sphere((0.1, -0.2, 0.3), 0.015))
    assert centre == pytest.approx([0.1, -0.2, 0.3])
    assert radius == pytest.approx(0.015)


def test_new_eyeball_follows_any_affine_motion_of_the_old_one() -> None:
    old = sphere((0.03, 0.02, 0.07), 0.015)
    ball = make_eyeball(old)
    new = ball.mixing @ old
    assert np.allclose(new, [0.03, 0.02, 0.07] + 0.015 * SCALE * ball.direction, atol=1e-9)
    affine = np.random.default_rng(0).normal(size=(3, 3))
    assert np.allclose(ball.mixing @ (old @ affine + 0.5), new @ affine + 0.5, atol=1e-9)


def test_eyeball_triangles_face_outwards() -> None:
    ball = make_eyeball(sphere((0, 0, 0), 0.015))
    a, b, c = (ball.direction[ball.faces[:, k]] for k in range(3))
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), a + b + c) > 0).all()


@pytest.mark.parametrize("way", LOOK_ANGLES)
@pytest.mark.parametrize("side", ["Left", "Right"])
def test_looking_rotates_the_axis_by_the_stated_angle(way: str, side: str) -> None:
    centre, axis = np.array([0.03, 0.02, 0.07]), np.array([[0.0, 0.0, 0.012]])
    turned = axis + look_delta(centre + axis, centre, f"eyeLook{way}{side}")
    assert np.linalg.norm(turned) == pytest.approx(0.012)
    assert np.degrees(np.arccos(turned[0, 2] / 0.012)) == pytest.approx(LOOK_ANGLES[way])
    outwards = 1 if side == "Left" else -1
    expected = {"Up": (1, 1), "Down": (1, -1), "In": (0, -outwards), "Out": (0, outwards)}[way]
    assert turned[0, expected[0]] * expected[1] > 0


def test_mouth_repair_shuts_parted_lips_and_takes_the_teeth_along() -> None:
    x = np.linspace(-0.02, 0.02, 9)
    upper = np.column_stack([x, np.full(9, 0.0005), np.full(9, 0.1)])
    mean = np.concatenate([upper, upper * [1, -1, 1], [[0, 0, 0.09]]])
    count = len(mean)
    moved = np.concatenate([np.zeros(9), np.full(9, 0.02), [0.02]])
    lips = np.arange(count) < 18
    repair = make_mouth_repair(mean, lips, lips, moved, np.arange(count) == 18)
    assert len(repair.lower) == 9
    closed = repair.close(mean)
    assert np.abs(closed[repair.upper] - closed[repair.lower]).max() < 1e-4
    delta = np.zeros_like(mean)
    delta[:9] = [0, 0.004, 0.002]  # raise the upper lip alone
    repaired = repair(delta)
    assert np.abs(repaired[repair.upper] - repaired[repair.lower]).max() < 4e-4
    assert repaired[18] == pytest.approx([0, 0.002, 0.001], abs=3e-4)


def test_lips_that_do_not_touch_are_reported() -> None:
    mean = np.column_stack([np.linspace(0, 1, 20), np.arange(20.0), np.zeros(20)])
    everywhere = np.ones(20, dtype=bool)
    with pytest.raises(ValueError, match="do not touch"):
        make_mouth_repair(mean, everywhere, everywhere, np.arange(20.0), ~everywhere)


def fake_targets() -> Targets:
    names = [name for name in macro_names() if not name.startswith("universal")] + ["nose-hump-incr", "nose-hump-decr"]
    names += [name for name in macro_names() if name.startswith("universal")]
    deltas = np.zeros((len(names), 2, 3))
    plus, minus = names.index("nose-hump-incr"), names.index("nose-hump-decr")
    deltas[plus, 0, 2], deltas[minus, 0, 2] = 1.0, -1.0
    return Targets(tuple(names), deltas, (Slider("nose-hump:incr", (plus,), (minus,), 0.2),))


def test_sampled_people_are_mixtures_and_sliders_stay_moderate() -> None:
    targets = fake_targets()
    people = sample_people(targets, 500, np.random.default_rng(0))
    origin = [i for i, name in enumerate(targets.names) if name.split("-")[0] in ORIGINS]
    build = [i for i, name in enumerate(targets.names) if name.startswith("universal")]
    assert np.allclose(people.weights[:, origin].sum(1), 1)
    assert np.allclose(people.weights[:, build].sum(1), 1)
    assert people.weights.min() >= -1e-9
    bump = heads(np.zeros((2, 3)), targets, people)[:, 0, 2]
    assert np.abs(bump).max() < 2.2 * 0.2 * 1.6
    assert 0.1 < bump.std() < 0.3
    assert (people.traits["age"] >= 0).all()
    assert sum(people.traits[name] for name in ORIGINS) == pytest.approx(np.ones(500))


def test_the_same_seed_gives_the_same_people() -> None:
    first, second = (sample_people(fake_targets(), 20, np.random.default_rng(3)).weights for _ in range(2))
    assert np.array_equal(first, second)


def test_skin_tones_darken_evenly_and_stay_skin() -> None:
    assert (np.diff(SKIN_TONES.sum(1)) < 0).all()
    assert (SKIN_TONES[:, 0] > SKIN_TONES[:, 1]).all()
    assert (SKIN_TONES[:, 1] > SKIN_TONES[:, 2]).all()
    middle = tone(SKIN_TONES, np.array([0.0, 0.0625, 1.0]))
    assert middle[1] == pytest.approx((SKIN_TONES[0] + SKIN_TONES[1]) / 2)


def test_srgb_round_trip() -> None:
    values = np.linspace(0, 1, 50)
    assert srgb_encode(srgb_decode(values)) == pytest.approx(values, abs=1e-6)


def test_a_floor_sees_the_whole_sky_and_a_covered_floor_does_not() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 9), [0.0], np.linspace(-1, 1, 9)), -1).reshape(-1, 3)
    index = np.arange(81).reshape(9, 9)
    corners = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    normal = np.cross(grid[faces[0, 1]] - grid[faces[0, 0]], grid[faces[0, 2]] - grid[faces[0, 0]])
    faces = faces if normal[1] > 0 else faces[:, ::-1]
    kind = np.full(len(faces), parts.SKIN, dtype=np.uint8)
    assert ambient_occlusion(grid, faces, kind) == pytest.approx(np.ones(81), abs=0.005)
    roof = np.concatenate([grid, grid + np.array([0, 0.3, 0])])
    both = np.concatenate([faces, faces[:, ::-1] + 81])
    assert ambient_occlusion(roof, both, np.full(len(both), parts.SKIN, dtype=np.uint8))[40] < 0.3
    lashes = np.concatenate([kind, np.full(len(faces), parts.LASHES, dtype=np.uint8)])
    assert ambient_occlusion(roof, both, lashes)[40] == pytest.approx(1.0, abs=0.005)
