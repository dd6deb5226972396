"""Statues: the same person, pose and light in one material."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from crossrig import assets
from crossrig.data import portraits
from crossrig.data.geometry import EYE, SKIN, TEETH
from crossrig.data.people import Person, sample_person
from crossrig.data.shader import A_AUX, A_COLOUR
from crossrig.data.statues import carved, material_of, render_statue
from crossrig.rig.weights import load_reconstruction


@pytest.fixture(scope="module")
def someone() -> Person:
    return sample_person(404, 3)


def test_statues_are_reproducible_pictures(someone: Person) -> None:
    image = portraits.render_portrait(someone, 64, style="statue")
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, render_statue(someone, 64))


def test_the_face_has_one_hue(someone: Person) -> None:
    """What is left of colour is that of the light: lips, brows and irises are stone like the cheeks."""

    def hues(image: np.ndarray) -> float:
        lab = cv2.cvtColor(image[40:110, 40:110], cv2.COLOR_RGB2LAB).astype(float)
        return float(np.hypot(*lab[..., 1:].std(axis=(0, 1))))

    assert hues(render_statue(someone, 128)) < 0.6 * hues(portraits.render_portrait(someone, 128))


def test_the_material_follows_the_skin() -> None:
    light, dark = material_of(0.0), material_of(1.0)
    assert min(light[0]) > 4 * max(dark[0])
    assert dark[1] > light[1]  # bronze shines
    between = [np.mean(material_of(darkness)[0]) for darkness in np.linspace(0, 1, 20)]
    assert (np.diff(between) <= 0).all()


def test_nothing_of_skin_or_eyes_is_left_but_drilled_pupils(someone: Person) -> None:
    scene = portraits.assemble(someone, portraits.head_surface(someone), [])
    colour = (0.5, 0.4, 0.3)
    statue = carved(scene, colour)
    assert set(np.unique(statue.material)) == {SKIN}
    assert not statue.attributes[np.unique(scene.faces), A_AUX:].any()
    eyes = np.unique(scene.faces[scene.material == EYE])
    brightness = statue.attributes[eyes, A_COLOUR] / colour[0]
    along = scene.attributes[eyes, A_AUX + 2] / np.linalg.norm(scene.attributes[eyes, A_AUX : A_AUX + 3], axis=1)
    assert brightness[along > 0.99].max() < 0.5  # the pupil looks where the eye looks
    assert (brightness[along < 0.6] == 1.0).all()
    teeth = np.unique(scene.faces[scene.material == TEETH])
    assert np.allclose(statue.attributes[teeth, A_COLOUR : A_COLOUR + 3], colour)
    assert scene.attributes[:, A_AUX:].any()  # the scene that was given is left alone


def test_pose_is_that_of_the_label() -> None:
    """As the shipped reconstruction network, which has seen photographs and toons, reads it."""
    people = [sample_person(404, index) for index in range(8)]
    images = torch.from_numpy(np.stack([render_statue(who, 96) for who in people])).permute(0, 3, 1, 2).float() / 127.5 - 1
    network = load_reconstruction(assets.require("reconstruction"))
    read = network.predict(images).rotation[:, 1]
    wanted = torch.cat([who.params().rotation[:, 1] for who in people])
    assert torch.rad2deg((read - wanted).abs()).median() < 5.0
