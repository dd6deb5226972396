from __future__ import annotations

import pytest
import torch

from crossrig.gan import precision
from crossrig.gan.precision import feature_dtype


@pytest.mark.parametrize(("bfloat16", "expected"), [(0.5, torch.bfloat16), (0.9, torch.float32), (10.0, torch.float32)])
def test_the_faster_format_is_taken_where_it_gains(
    monkeypatch: pytest.MonkeyPatch, bfloat16: float, expected: torch.dtype
) -> None:
    timings: list[torch.dtype] = []
    monkeypatch.setattr(precision, "_seconds", lambda dtype: timings.append(dtype) or (1.0 if dtype == torch.float32 else bfloat16))
    precision._gain.cache_clear()
    try:
        assert feature_dtype("auto") == feature_dtype("auto") == expected
        assert timings == [torch.float32, torch.bfloat16] * precision._ROUNDS  # in turns, and for the first answer alone
    finally:
        precision._gain.cache_clear()  # what was measured here is not true of this machine


def test_other_work_on_the_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = iter([40.0, 2.0, 1.0, 1.0, 2.0, 0.5, 1.0, 9.0])  # float32 and bfloat16 in turns; 40, 2 and 9 were disturbed
    monkeypatch.setattr(precision, "_seconds", lambda dtype: next(slow))
    precision._gain.cache_clear()
    try:
        assert precision._gain() == 2.0
    finally:
        precision._gain.cache_clear()


def test_a_format_that_was_named_is_taken_without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda dtype: pytest.fail("measured"))
    assert feature_dtype("float32") == torch.float32
    assert feature_dtype("bfloat16") == torch.bfloat16


def test_a_timing_is_a_time_wherever_it_is_taken() -> None:
    assert 0.0 < precision._seconds(torch.float32) < 1.0
    with torch.no_grad():
        assert precision._seconds(torch.float32) > 0.0
    with torch.inference_mode():
        assert precision._seconds(torch.float32) > 0.0
