from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.face3d.params import (
    ATTRIBUTES,
    BLOCKS,
    EXPRESSION_UNITS,
    PACKED_SIZE,
    UNIFORM_LIGHT,
    FaceParams,
    attribute_size,
    packed_slice,
)


def random_params(batch: int, seed: int = 0) -> FaceParams:
    generator = torch.Generator().manual_seed(seed)
    return FaceParams(**{name: torch.randn(batch, size, generator=generator) for name, size in BLOCKS.items()})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), st.integers(0, 2**31))
def test_packing_and_unpacking_are_exact_inverses(batch: int, seed: int) -> None:
    vector = torch.randn(batch, PACKED_SIZE, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(FaceParams.unpack(vector).pack(), vector)


def test_blocks_lie_in_the_packed_vector_in_the_declared_order() -> None:
    params = random_params(2)
    packed = params.pack()
    start = 0
    for name, size in BLOCKS.items():
        assert torch.equal(packed[:, start : start + size], getattr(params, name))
        start += size
    assert start == PACKED_SIZE == 213


@pytest.mark.parametrize("name", [*BLOCKS, *ATTRIBUTES])
def test_packed_slices_select_what_they_name(name: str) -> None:
    params = random_params(3)
    expected = params.attribute(name) if name in ATTRIBUTES else getattr(params, name)
    assert torch.equal(params.pack()[:, packed_slice(name)], expected)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_replaced_and_nothing_else(name: str) -> None:
    params, other = random_params(2, 1), random_params(2, 2)
    mixed = params.with_attribute(name, other.attribute(name))
    for attribute in ATTRIBUTES:
        source = other if attribute == name else params
        assert torch.equal(mixed.attribute(attribute), source.attribute(attribute))
    assert mixed.attribute(name).shape == (2, attribute_size(name)) == (2, params.attribute_size(name))


def test_neutral_face_looks_ahead_in_uniform_white_light() -> None:
    params = FaceParams.neutral(3)
    assert len(params) == 3
    assert params.illumination.reshape(3, 9, 3)[:, 0].tolist() == [[pytest.approx(UNIFORM_LIGHT)] * 3] * 3
    assert params.illumination.reshape(3, 9, 3)[:, 1:].abs().max() == 0
    for name in BLOCKS:
        if name != "illumination":
            assert getattr(params, name).abs().max() == 0


def test_indexing_keeps_the_batch_dimension() -> None:
    params = random_params(4)
    assert torch.equal(params[1].pack(), params.pack()[1:2])
    assert torch.equal(params[-1].pack(), params.pack()[3:])
    assert torch.equal(params[1:3].pack(), params.pack()[1:3])
    chosen = torch.tensor([True, False, True, False])
    assert torch.equal(params[chosen].pack(), params.pack()[chosen])
    assert len(list(params)) == 4
    with pytest.raises(IndexError):
        params[4]


def test_concatenation_undoes_indexing() -> None:
    params = random_params(3)
    assert torch.equal(FaceParams.concatenate([params[0], params[1:]]).pack(), params.pack())


def test_unit_names_are_the_52_of_arkit_in_alphabetical_order() -> None:
    assert len(set(EXPRESSION_UNITS)) == BLOCKS["expression"] == 52
    assert list(EXPRESSION_UNITS) == sorted(EXPRESSION_UNITS)


def test_wrong_shapes_are_refused_with_the_block_named() -> None:
    params = random_params(2)
    with pytest.raises(UserError, match="'albedo'"):
        params.replace(albedo=torch.zeros(2, 47))
    with pytest.raises(UserError, match="same B"):
        params.replace(rotation=torch.zeros(3, 3))
    with pytest.raises(UserError, match="213"):
        FaceParams.unpack(torch.zeros(2, 212))
    with pytest.raises(UserError, match="no block"):
        params.replace(colour=torch.zeros(2, 3))
    with pytest.raises(UserError, match="no attribute 'mood'"):
        params.attribute("mood")
    with pytest.raises(UserError, match="'pose'"):
        params.with_attribute("pose", torch.zeros(2, 5))


def test_dtype_and_gradient_travel_through_packing() -> None:
    vector = torch.randn(2, PACKED_SIZE, dtype=torch.float64, requires_grad=True)
    params = FaceParams.unpack(vector)
    params.to(dtype=torch.float32).pack().sum().backward()
    assert vector.grad is not None
    assert torch.equal(vector.grad, torch.ones_like(vector))
    assert not params.detach().shape.requires_grad
