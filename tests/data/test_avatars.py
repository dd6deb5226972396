"""Avatars: a designer's parts, chosen, coloured, bent and turned to a person."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from crossrig.data import avatars
from crossrig.data.avatars import parts, render_avatar
from crossrig.data.beard import beard_style
from crossrig.data.clothes import GARMENTS
from crossrig.data.hair import CUTS
from crossrig.data.lights import Lamp, Lighting
from crossrig.data.people import Person, sample_person
from crossrig.data.puppet import Face, anchors, landmarks
from crossrig.data.synth import make_example
from crossrig.face3d.blocks import EXPRESSION_UNITS

SIZE = 96


def changed(person: Person, **blocks: np.ndarray) -> Person:
    return replace(person, blocks=MappingProxyType({**person.blocks, **{name: value.astype(np.float32) for name, value in blocks.items()}}))


def making(person: Person, **units: float) -> Person:
    face = np.zeros(len(EXPRESSION_UNITS))
    for name, value in units.items():
        for side in ("Left", "Right") if f"{name}Left" in EXPRESSION_UNITS else ("",):
            face[EXPRESSION_UNITS.index(name + side)] = value
    return changed(person, expression=face)


@pytest.fixture(scope="module")
def someone() -> Person:
    """Bald, beardless, looking straight ahead, evenly lit from in front, in front of a pale wall."""
    person = sample_person(404, 3)
    zero = {name: np.zeros_like(person.blocks[name]) for name in ("shape", "expression", "rotation", "translation")}
    light = Lighting((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (Lamp(0.0, 0.0, (1.0, 1.0, 1.0), 0.5),))
    traits = replace(person.traits, skin=(0.45, 0.28, 0.2))
    wall, eyes = replace(person.backdrop, base=(0.1, 0.2, 0.3)), replace(person.eyes, inner=(0.02, 0.01, 0.01))
    hair = replace(CUTS["bald"], colour=(0.01, 0.01, 0.01))
    return changed(replace(person, lighting=light, hair=hair, beard=None, traits=traits, backdrop=wall, eyes=eyes), **zero)


def skin_of(image: np.ndarray) -> np.ndarray:
    """(H,W) where the picture has the colour of the forehead."""
    forehead = image[int(0.3 * len(image)), len(image) // 2].astype(int)
    return np.asarray(np.abs(image.astype(int) - forehead).sum(axis=2) < 12)


def middle(where: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(where)
    return float(columns.mean()), float(rows.mean())


def test_avatars_are_reproducible_examples_with_the_label_of_the_photograph() -> None:
    example, again, photo = make_example(5, 1, 64, "avatar"), make_example(5, 1, 64, "avatar"), make_example(5, 1, 64, "photo")
    assert example.png == again.png != photo.png
    np.testing.assert_array_equal(example.label, photo.label)


def test_every_cut_beard_and_garment_has_its_part(someone: Person) -> None:
    for hair in CUTS.values():
        front, behind = avatars._cut(replace(someone, hair=hair))
        assert front is None or f"hair.{front}" in parts()
        assert behind is None or f"rearHair.{behind}" in parts()
    assert {f"clothes.{avatars._GARMENTS[garment]}" for garment in GARMENTS} <= set(parts())


@pytest.mark.parametrize(
    ("kind", "part"),
    [("stubble", None), ("moustache", "moustacheTwirl"), ("goatee", "chinMoustache"), ("full", "fullBeard"), ("long", "longBeard")],
)
def test_beards(someone: Person, kind: str, part: str | None) -> None:
    assert avatars._beard(replace(someone, beard=beard_style(kind, np.zeros(8), (0.1, 0.1, 0.1)))) == part
    assert part is None or f"beard.{part}" in parts()


def test_long_and_short_hair_differ_where_hair_is(someone: Person) -> None:
    cuts = [replace(CUTS[cut], colour=(0.3, 0.0, 0.0)) for cut in ("bald", "crop", "long wavy")]
    bald, short, long = (render_avatar(replace(someone, hair=cut), SIZE) for cut in cuts)
    assert (short[:20] != bald[:20]).any()
    np.testing.assert_array_equal(short[-20:], bald[-20:])
    assert (long[-20:] != bald[-20:]).any()


def test_the_head_is_drawn_in_the_colour_of_the_skin(someone: Person) -> None:
    pale, dark = (
        render_avatar(replace(someone, traits=replace(someone.traits, skin=skin)), SIZE) for skin in ((0.6, 0.4, 0.3), (0.06, 0.03, 0.02))
    )
    assert pale[28, 48].astype(int).sum() > 2 * dark[28, 48].astype(int).sum()
    assert 0.1 < skin_of(pale).mean() < 0.6


def test_a_face_that_turns_left_or_right_moves_there(someone: Person) -> None:
    def eyes(yaw: float) -> float:
        image = render_avatar(changed(someone, rotation=np.array([0.0, yaw, 0.0])), SIZE)
        return middle(np.abs(image.astype(int) - [75, 36, 34]).sum(axis=2) < 20)[0]  # lashes

    assert eyes(0.4) - eyes(0.0) > 4
    assert eyes(0.0) - eyes(-0.4) > 4
    assert abs(eyes(0.0) - SIZE / 2) < 1.5


def test_a_raised_chin_and_a_tilted_head(someone: Person) -> None:
    def whites(pitch: float, roll: float) -> np.ndarray:
        image = render_avatar(changed(someone, rotation=np.array([pitch, 0.0, roll])), SIZE)
        return np.asarray((image > 225).all(axis=2))

    assert middle(whites(0.3, 0.0))[1] < middle(whites(0.0, 0.0))[1] - 2 < middle(whites(-0.3, 0.0))[1] - 4
    tilted = whites(0.0, 0.3)  # the own left, right in the picture, goes up
    left, right = tilted.copy(), tilted.copy()
    left[:, SIZE // 2 :] = right[:, : SIZE // 2] = False
    assert middle(right)[1] < middle(left)[1] - 3


def test_a_picture_that_comes_nearer_grows(someone: Person) -> None:
    near, far = (skin_of(render_avatar(changed(someone, translation=np.array([0, 0, z])), SIZE)).sum() for z in (0.15, -0.15))
    assert near > 1.2 * far


def test_a_mouth_opens_where_the_mouth_is(someone: Person) -> None:
    shut, ajar, agape = (render_avatar(making(someone, jawOpen=value), SIZE).astype(int) for value in (0.0, 0.4, 0.9))
    where = [np.abs(image - shut).sum(axis=2) > 90 for image in (ajar, agape)]
    assert 0 < where[0].sum() < where[1].sum()
    columns, rows = middle(where[1])
    assert abs(columns - SIZE / 2) < 2
    assert 0.55 * SIZE < rows < 0.75 * SIZE


def test_smile_and_frown_bend_the_mouth_opposite_ways(someone: Person) -> None:
    def lift(person: Person) -> float:
        return Face(person).lips().lift

    assert lift(making(someone, mouthSmile=0.6)) > 10
    assert lift(making(someone, mouthFrown=0.6)) < -4
    assert abs(lift(making(someone, jawOpen=0.6))) < 2


def test_lids_close_and_brows_rise(someone: Person) -> None:
    def whites(person: Person) -> int:
        return int((render_avatar(person, SIZE) > 225).all(axis=2).sum())

    assert whites(making(someone, eyeBlink=1.0)) == 0
    assert whites(making(someone, eyeWide=0.9)) > whites(someone) > 0
    half = making(someone)
    wink = half.blocks["expression"].copy()
    wink[EXPRESSION_UNITS.index("eyeBlinkLeft")] = 1.0
    assert 0.3 < whites(changed(half, expression=wink)) / whites(someone) < 0.7
    raised = Face(making(someone, browOuterUp=0.9, browInnerUp=0.9)).bend(anchors()[17:27])
    assert (raised[:, 1] < Face(someone).bend(anchors()[17:27])[:, 1] - 5).all()


def test_gaze_moves_the_irises(someone: Person) -> None:
    def dark(person: Person) -> float:
        image = render_avatar(person, SIZE)[36:56]
        return middle(image.astype(int).sum(axis=2) < 200)[0]

    look = making(someone)
    left = look.blocks["expression"].copy()
    left[[EXPRESSION_UNITS.index(name) for name in ("eyeLookOutLeft", "eyeLookInRight")]] = 0.9  # the own left
    assert dark(changed(look, expression=left)) > dark(someone) + 0.5


def test_a_wider_jaw_is_drawn_wider(someone: Person) -> None:
    model = landmarks()
    across = model.shape[:, 12, 0] - model.shape[:, 4, 0]  # (80,): how each component widens the jaw
    wide = 3.0 * across / np.linalg.norm(across)

    def width(shape: np.ndarray) -> int:
        image = render_avatar(changed(someone, shape=shape), SIZE)
        return int(skin_of(image)[int(0.66 * SIZE)].sum())

    assert width(wide) > width(-wide) + 3


def test_the_shade_lies_away_from_the_light(someone: Person) -> None:
    def shaded(azimuth: float) -> float:
        light = Lighting((0.3, 0.3, 0.3), (0.3, 0.3, 0.3), (Lamp(azimuth, 0.0, (2.0, 2.0, 2.0), 0.3),))
        image = render_avatar(replace(someone, lighting=light), SIZE).astype(int)
        flat = render_avatar(someone, SIZE).astype(int)
        return middle(flat.sum(axis=2) - image.sum(axis=2) > 40)[0]

    assert shaded(1.2) < SIZE / 2 < shaded(-1.2)  # a lamp on the own left, right in the picture, leaves the left in shade


def test_the_parts_say_whose_they_are() -> None:
    text = avatars._FILE.read_text(encoding="utf-8")
    assert "Johan Melin" in text
    assert "CC BY 4.0" in text
