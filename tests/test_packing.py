"""Dataclasses on their way to disk and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.errors import UserError
from crossrig.packing import pack, unpack


@dataclass(frozen=True)
class Inner:
    image: NDArray[np.uint8]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    code: Tensor
    inner: Inner
    domain: Literal["human", "toon"]
    side: int
    sharp: bool
    distance: float
    network: object


SOME = Outer(torch.arange(3.0), Inner(np.arange(4, dtype=np.uint8), (0.5, 0.25)), "toon", 7, True, 2.0, object())


def packed() -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, facts = pack(SOME, leave_out=("network",))
    return tensors, json.loads(json.dumps(facts))


def test_what_is_packed_comes_back() -> None:
    tensors, facts = packed()
    assert set(tensors) == {"code", "inner.image"}
    back = unpack(Outer, tensors, facts, {"network": SOME.network})
    assert torch.equal(back.code, SOME.code)
    assert np.array_equal(back.inner.image, SOME.inner.image)
    assert back.inner.losses == SOME.inner.losses
    assert replace(back, code=SOME.code, inner=SOME.inner) == SOME


def test_a_field_that_cannot_be_packed_is_named() -> None:
    with pytest.raises(TypeError, match=r"Outer\.network is a object"):
        pack(SOME)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"side": "7"}, "side is no int"),
        ({"side": True}, "side is no int"),
        ({"sharp": 1}, "sharp is no bool"),
        ({"domain": 3}, "domain is no str"),
        ({"inner": 3}, "lacks inner"),
        ({"inner": {"losses": ["a"]}}, r"inner\.losses is no float"),
    ],
)
def test_damaged_facts_are_refused(change: dict[str, Any], sentence: str) -> None:
    tensors, facts = packed()
    with pytest.raises(UserError, match=sentence):
        unpack(Outer, tensors, facts | change, {"network": None})


def test_missing_arrays_are_refused() -> None:
    tensors, facts = packed()
    del tensors["inner.image"]
    with pytest.raises(UserError, match=r"lacks the array inner\.image"):
        unpack(Outer, tensors, facts, {"network": None})
