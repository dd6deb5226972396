"""Hair and clothes of registered MakeHuman packs on synthetic people: optional, the project ships its own makers.

Which item a person wears follows from the person alone, so portraits stay the same whatever the number of worker processes; with other
packs registered they are other portraits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from crossrig.data.geometry import HeadSurface, HeadTemplate, Patch
from crossrig.data.packs import Pack, PackClothes, PackHair, PackItem
from crossrig.data.people import Person, head_model
from crossrig.errors import UserError

_PURPOSE: Final = 40  # of the person's random stream: no maker uses it


@dataclass(frozen=True)
class Wardrobe:
    """`share` in [0, 1]: how many people wear hair, and independently clothes, of these items instead of those of our makers."""

    hair: tuple[PackItem, ...]
    clothes: tuple[PackItem, ...]
    share: float

    @classmethod
    def of(cls, packs: Sequence[Pack], share: float) -> Wardrobe | None:
        """None for a share of 0. Raises UserError for a share out of range, and when no pack is registered."""
        if not 0.0 <= share <= 1.0:
            raise UserError(f"The share of people who wear items of packs must be from 0 to 1, not {share:g}.")
        if share == 0.0:
            return None
        hair, clothes = (tuple(item for pack in packs for item in pack.of_kind(kind)) for kind in ("hair", "clothes"))
        if not hair and not clothes:
            raise UserError("No pack with hair or clothes is registered: register one with `crossrig assets add FOLDER`.")
        return cls(hair, clothes, share)

    def hair_of(self, person: Person, head: HeadSurface) -> list[Patch] | None:
        """Patches of the hair the person takes from a pack, in the person's own hair colour; None: hair of our makers."""
        item = self._choose(person, self.hair, 0)
        return None if item is None else _hair(item, _Key(head.template)).on(head, person.hair.colour)

    def clothes_of(self, person: Person, head: HeadSurface) -> list[Patch] | None:
        """The same for clothes, in the person's own colour. Hats are left in the wardrobe: hair would grow through them."""
        item = self._choose(person, self.clothes, 1)
        clothes = None if item is None else _clothes(item, _Key(head.template))
        return clothes.on(head, person.clothes.colour) if clothes is not None and clothes.covers_shoulders else None

    def _choose(self, person: Person, items: tuple[PackItem, ...], number: int) -> PackItem | None:
        random = person.rng(_PURPOSE + number)
        worn = random.random() < self.share
        return items[int(random.integers(len(items)))] if items and worn else None


@dataclass(frozen=True)
class _Key:
    """A template as a key of the caches: there is one a process."""

    template: HeadTemplate

    def __hash__(self) -> int:
        return id(self.template)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.template is self.template


@lru_cache(maxsize=64)
def _hair(item: PackItem, key: _Key) -> PackHair:
    return PackHair(item, key.template, head_model().base_vertex)


@lru_cache(maxsize=64)
def _clothes(item: PackItem, key: _Key) -> PackClothes:
    return PackClothes(item, key.template, head_model().base_vertex)
