from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossrig.quantise import decode, encode


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 5), columns=st.integers(1, 7), bits=st.integers(2, 8), size=st.floats(1e-6, 1e6))
def test_weights_come_back_within_half_a_step_and_small_things_exactly(seed: int, rows: int, columns: int, bits: int, size: float) -> None:
    random = torch.Generator().manual_seed(seed)
    wanted = {
        "a.weight": size * torch.randn(rows, columns, 3, generator=random),
        "a.bias": size * torch.randn(rows, generator=random),
        "strength": torch.tensor(size),
        "count": torch.tensor([[seed]]),
    }
    stored = encode(wanted, bits)
    assert stored["levels/a.weight"].dtype == torch.int8
    found = decode(stored)
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in ("a.bias", "strength", "count"))
    step = wanted["a.weight"].flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
    assert ((found["a.weight"] - wanted["a.weight"]).flatten(1).abs().amax(1) <= 0.501 * step).all()


def test_rows_of_nothing_stay_nothing() -> None:
    weight = torch.zeros(3, 4)
    weight[1] = 1.0
    torch.testing.assert_close(decode(encode({"w": weight}))["w"], weight)


def test_what_it_did_not_make_is_refused() -> None:
    stored = encode({"w": torch.randn(3, 4)})
    with pytest.raises(ValueError, match="no scale for every output channel of w"):
        decode({"levels/w": stored["levels/w"]})
    with pytest.raises(ValueError, match="no scale"):
        decode(stored | {"scale/w": torch.ones(4)})
    with pytest.raises(ValueError, match="none of levels/"):
        decode({"w": torch.zeros(2)})
    with pytest.raises(ValueError, match="bits are between"):
        encode({}, 1)
