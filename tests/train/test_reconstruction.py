from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.gan.precision import Precision
from crossrig.rig.reconstruction import ReconstructionConfig
from crossrig.rig.units import Units
from crossrig.rig.weights import load_reconstruction
from crossrig.train.reconstruction import ReconstructionTraining, figures, schedule, train
from crossrig.train.run import read_log

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=16, hidden=32)


def settings(outdir: Path, steps: int, precision: Precision = "float32") -> ReconstructionTraining:
    return ReconstructionTraining(
        outdir=outdir, network=TINY, kimg=steps * 16 / 1000, batch=16, lr=3e-3, held_out=16, augment=0.0, precision=precision
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_where_the_blob_looks(precision: Precision, tmp_path: Path, blobs: PortraitSet, tiny_model: FaceModel) -> None:
    path = train(settings(tmp_path / "run", 120, precision), blobs, tiny_model)
    seen = PortraitSet(blobs.pictures[:48], blobs.labels[:48], blobs.codes[:48])
    found = figures(load_reconstruction(path), Units.of(tiny_model), seen)
    assert found["pose_r2"] > 0.5
    assert path.name == "reconstruction.safetensors"
    assert "pose_r2" in read_log(tmp_path / "run")[-1]


def test_an_interrupted_run_ends_like_an_unbroken_one(tmp_path: Path, blobs: PortraitSet, tiny_model: FaceModel) -> None:
    class Killed(Exception):
        pass

    config = replace(settings(tmp_path / "broken", 6), augment=1.0)
    whole = load_reconstruction(train(replace(config, outdir=tmp_path / "whole"), blobs, tiny_model))

    import crossrig.train.reconstruction as recipe
    from crossrig.train.run import Run

    class Fragile(Run):
        def due(self, seconds: float, what: str = "checkpoint") -> bool:
            return True

        def save(self, step: int, tensors):  # type: ignore[no-untyped-def]
            path = super().save(step, tensors)
            if step == 3:
                raise Killed
            return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "Run", Fragile)
        with pytest.raises(Killed):
            train(config, blobs, tiny_model)
    resumed = load_reconstruction(train(config, blobs, tiny_model))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_features_in_bfloat16_learn_the_same(tmp_path: Path, blobs: PortraitSet, tiny_model: FaceModel) -> None:
    found = {}
    for precision in ("float32", "bfloat16"):
        config = replace(settings(tmp_path / precision, 50, precision), lr=1e-5)  # type: ignore[arg-type]
        path = train(config, blobs, tiny_model)
        assert load_reconstruction(path).out.weight.dtype == torch.float32
        found[precision] = read_log(tmp_path / precision)[-1]["yaw_error_deg"]
    assert found["bfloat16"] != found["float32"]
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=2e-3)


def test_the_judge_is_another_network(tmp_path: Path) -> None:
    assert ReconstructionTraining(outdir=tmp_path, role="judge").architecture().network == "resnet"
    assert ReconstructionTraining(outdir=tmp_path).architecture().network == "lite0"
    assert ReconstructionTraining(outdir=tmp_path, role="judge", network=TINY).architecture() == TINY


def test_too_few_portraits_are_refused(tmp_path: Path, blobs: PortraitSet, tiny_model: FaceModel) -> None:
    with pytest.raises(UserError, match="cannot spare"):
        train(replace(settings(tmp_path, 1), held_out=64), blobs, tiny_model)


def test_the_learning_rate_rises_and_falls() -> None:
    values = [schedule(step / 100) for step in range(101)]
    assert values.index(max(values)) == 3
    assert values[0] < 0.1
    assert values[-1] == pytest.approx(0.01)
    assert all(after <= before for before, after in pairwise(values[3:]))


def test_a_network_may_go_on_with_another_shift_and_no_other_architecture(
    tmp_path: Path, blobs: PortraitSet, tiny_model: FaceModel
) -> None:
    first = train(settings(tmp_path / "first", 1), blobs, tiny_model)
    config = replace(settings(tmp_path / "second", 1), init=first, network=replace(TINY, shift=2))
    assert load_reconstruction(train(config, blobs, tiny_model)).config.shift == 2
    wider = replace(settings(tmp_path / "third", 1), init=first, network=replace(TINY, width=16))
    with pytest.raises(UserError, match="start from another"):
        train(wider, blobs, tiny_model)
