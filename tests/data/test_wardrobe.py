"""Hair and clothes of packs on the shipped head: a strip of cloth that hangs on six of its vertices."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from crossrig.data.geometry import CLOTH, HAIR
from crossrig.data.packs import Pack, read_pack
from crossrig.data.people import head_model, sample_person
from crossrig.data.portraits import accessories, head_surface
from crossrig.data.synth import synthesise
from crossrig.data.wardrobe import Wardrobe
from crossrig.errors import UserError

OBJ = """v 0 2 0
v 1 2 0
v 0 1 0
v 1 1 0
v 0 0 0
v 1 0 0
vt 0 1
vt 1 1
vt 0 0.5
vt 1 0.5
vt 0 0
vt 1 0
f 1/1 2/2 4/4 3/3
f 3/3 4/4 6/6 5/5
"""


def strip(folder: Path, kind: str, lowest: float, highest: float) -> None:
    """An item that hangs on vertices between two heights of the mean head, metres."""
    head = head_model()
    height = head.mean[:, 1]
    there = np.flatnonzero((head.base_vertex >= 0) & (height > lowest) & (height < highest))
    chosen = there[np.argsort(-height[there])][np.linspace(0, len(there) - 1, 6).astype(int)]
    place = folder / kind / "strip"
    place.mkdir(parents=True)
    lines = "\n".join(str(head.base_vertex[index]) for index in chosen)
    (place / "strip.mhclo").write_text(f"basemesh hm08\nname strip\nobj_file strip.obj\nverts 0\n{lines}\n")
    (place / "strip.obj").write_text(OBJ)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    folder = tmp_path / "pack"
    strip(folder, "hair", 0.05, 0.14)
    strip(folder, "clothes", -0.32, -0.2)
    return read_pack(folder)


def test_a_share_of_nothing_needs_no_packs() -> None:
    assert Wardrobe.of([], 0.0) is None


def test_no_packs_and_impossible_shares_are_sentences(pack: Pack) -> None:
    with pytest.raises(UserError, match="crossrig assets add"):
        Wardrobe.of([], 0.5)
    with pytest.raises(UserError, match="from 0 to 1"):
        Wardrobe.of([pack], 1.5)


def test_items_take_the_place_of_what_our_makers_make_in_the_persons_own_colours(pack: Pack) -> None:
    person = sample_person(3, 1)
    head = head_surface(person)
    patches = accessories(person, head, 64, Wardrobe.of([pack], 1.0))
    hair, clothes = ([patch for patch in patches if patch.material == material] for material in (HAIR, CLOTH))
    assert [len(patch.faces) for patch in hair] == [4]
    assert [len(patch.faces) for patch in clothes] == [4]
    np.testing.assert_allclose(hair[0].colour, np.tile(person.hair.colour, (6, 1)), rtol=1e-6)
    np.testing.assert_allclose(clothes[0].colour, np.tile(person.clothes.colour, (6, 1)), rtol=1e-6)
    plain = accessories(person, head, 64)
    assert len(plain) >= len(patches)
    assert sum(len(patch.faces) for patch in plain) > sum(len(patch.faces) for patch in patches)


def test_a_hat_is_no_garment(tmp_path: Path) -> None:
    strip(tmp_path, "clothes", 0.05, 0.14)
    wardrobe = Wardrobe.of([read_pack(tmp_path)], 1.0)
    person = sample_person(3, 1)
    assert wardrobe is not None
    assert wardrobe.clothes_of(person, head_surface(person)) is None


def test_about_the_share_of_people_wears_items_and_always_the_same_ones(pack: Pack) -> None:
    wardrobe = Wardrobe.of([pack], 0.3)
    assert wardrobe is not None
    people = [sample_person(9, index) for index in range(60)]
    heads = [head_surface(person) for person in people]
    worn = [wardrobe.hair_of(person, head) is not None for person, head in zip(people, heads, strict=True)]
    assert 8 <= sum(worn) <= 30
    assert worn == [wardrobe.hair_of(person, head) is not None for person, head in zip(people, heads, strict=True)]


def test_portraits_do_not_depend_on_the_number_of_workers(tmp_path: Path, pack: Pack) -> None:
    contents = []
    for workers, share in ((1, 1.0), (2, 1.0), (1, 0.0)):
        folder = tmp_path / f"{workers}-{share}"
        wardrobe = Wardrobe.of([pack], share)
        path = synthesise(20, 32, 8, folder, workers=workers, progress=False, wardrobe=wardrobe)
        with zipfile.ZipFile(path) as archive:
            contents.append([archive.read(name) for name in archive.namelist()])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
    assert contents[0][-2:] == contents[2][-2:]  # labels and codes are the person's, whatever it wears
