from __future__ import annotations

import pytest
import torch

from crossrig.face3d.params import FaceParams
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig


def test_an_ignorant_network_starts_at_the_mean_face(people: FaceParams) -> None:
    predictor = AttributePredictor(AttributePredictorConfig(20, (16, 8)))
    styles = torch.randn(64, 20) * 50 + 7
    predictor.set_populations(styles, people.pack())
    scale = people.pack().std(0).clamp(min=1e-4)
    off = (predictor(styles) - people.pack().mean(0)) / scale
    assert float(off.detach().abs().max()) < 0.5


def test_units_of_the_code_do_not_matter(people: FaceParams) -> None:
    torch.manual_seed(0)
    predictor = AttributePredictor(AttributePredictorConfig(20, (16, 8)))
    styles = torch.randn(64, 20)
    predictor.set_populations(styles, people.pack())
    before = predictor(styles)
    predictor.set_populations(styles * 300 - 4, people.pack())
    torch.testing.assert_close(predictor(styles * 300 - 4), before, rtol=1e-3, atol=1e-4)


def test_dropout_is_no_part_of_the_weights() -> None:
    config = AttributePredictorConfig(20, (16, 8))
    plain, dropping = AttributePredictor(config), AttributePredictor(config, dropout=0.5)
    plain.load_state_dict(dropping.state_dict())
    styles = torch.randn(3, 20)
    torch.testing.assert_close(plain(styles), dropping.eval()(styles))


@pytest.mark.parametrize("hidden", [(), (16,), (16, 12)])
def test_slopes_are_those_of_automatic_differentiation(people: FaceParams, hidden: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    predictor = AttributePredictor(AttributePredictorConfig(20, hidden)).eval()
    torch.nn.init.normal_(predictor.out.weight, std=0.3)
    predictor.set_populations(torch.randn(64, 20) * 3 + 1, people.pack())
    styles, rows, directions = torch.randn(2, 20), torch.randn(5, 213), torch.randn(4, 20)
    found = predictor.slopes(styles, rows, directions)
    for one, slopes in zip(styles, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda style: predictor(style[None])[0], one)  # (213, 20)
        torch.testing.assert_close(slopes, rows @ jacobian @ directions.T, rtol=1e-3, atol=1e-3)
