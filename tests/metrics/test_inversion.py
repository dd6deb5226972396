from __future__ import annotations

import pytest
import torch

from crossrig.metrics.inversion import l2


def test_it_is_the_mean_square_in_the_range_of_a_picture() -> None:
    wanted = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    assert l2(wanted, wanted).tolist() == [0.0, 0.0]
    assert l2(torch.full_like(wanted, 0.5), wanted).tolist() == pytest.approx([0.25, 0.25])
    assert l2(torch.full_like(wanted, 9.0), wanted).tolist() == pytest.approx([1.0, 0.0])  # what is over the top is white
