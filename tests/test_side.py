from __future__ import annotations

import threading

import pytest
import torch

from crossrig.side import alone, beside


def test_a_thread_computes_alone_and_gets_its_cores_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with alone():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ValueError, match="wrong"), alone():
            raise ValueError("wrong")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_work_beside_runs_in_order_in_another_thread_with_one_core_and_no_gradients() -> None:
    told: list[int] = []
    weight = torch.ones(2, requires_grad=True)

    def work(number: int, *, factor: float) -> tuple[torch.Tensor, int, int]:
        told.append(number)
        return weight * factor, threading.get_ident(), torch.get_num_threads()

    found = [beside(work, number, factor=2.0) for number in range(3)]
    results = [future.result() for future in found]
    assert told == [0, 1, 2]
    assert len({thread for _, thread, _ in results}) == 1
    assert results[0][1] != threading.get_ident()
    assert {threads for _, _, threads in results} == {1}
    assert not results[0][0].requires_grad


def test_what_goes_wrong_beside_is_raised_where_it_is_asked_for() -> None:
    def work() -> None:
        raise ValueError("beside")

    future = beside(work)
    with pytest.raises(ValueError, match="beside"):
        future.result()
