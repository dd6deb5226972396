"""Kinds of surface: what each triangle of the head is made of (`FaceModel.face_part`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SKIN = 0
EYE = 1
TEETH = 2
TONGUE = 3
LASHES = 4
MOUTH_INSIDE = 5

#: Name of every part, by number.
PART_NAMES: Mapping[int, str] = MappingProxyType(
    {SKIN: "skin", EYE: "eye", TEETH: "teeth", TONGUE: "tongue", LASHES: "lashes", MOUTH_INSIDE: "mouth_inside"}
)
