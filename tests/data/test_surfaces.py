"""Light on surfaces: samples are shaded alike whatever they are shaded together with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossrig.data import portraits, surfaces
from crossrig.data.people import sample_person
from crossrig.data.shader import A_AUX, A_COLOUR, A_NORMAL, A_OCCLUSION, A_TANGENT, A_UV


def test_rows_of_a_batch_follow_the_attributes() -> None:
    starts = {
        A_NORMAL: surfaces.NX, A_COLOUR: surfaces.RED, A_TANGENT: surfaces.TX, A_UV: surfaces.U, A_OCCLUSION: surfaces.AMBIENT,
        A_AUX: surfaces.LIPS,
    }  # fmt: skip
    assert starts == {offset: offset * surfaces.BATCH for offset in starts}


def test_places_are_packed_and_unpacked() -> None:
    for place in ((0, 0, 0), (1022, 1023, 1), (5, 2046, 0)):
        row, col, merged = surfaces._unpack.py_func(surfaces._pack.py_func(*place))
        assert (row, col, int(merged)) == place


def test_light_does_not_depend_on_the_rest_of_the_batch() -> None:
    who = sample_person(2, 5)
    head = portraits.head_surface(who)
    scene = portraits.assemble(who, head, portraits.accessories(who, head, 64))
    whole = portraits.look_at(scene, 64)
    columns = np.arange(64)
    part = replace(whole, triangle=np.where(columns % 3 == 0, whole.triangle, -1).astype(np.int32))
    seen = part.triangle >= 0
    assert seen.any()
    first, second = portraits.shade_scene(who, scene, whole), portraits.shade_scene(who, scene, part)
    assert np.allclose(first[seen], second[seen], rtol=1e-5, atol=1e-6)
    assert not second[~seen].any()
