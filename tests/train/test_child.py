from __future__ import annotations

from pathlib import Path

import pytest

from crossrig.errors import UserError
from crossrig.train.child import ChildTraining, train


def test_child_holds_the_latent_space_by_default() -> None:
    assert ChildTraining(outdir=Path("x")).hold_latent


def test_child_without_a_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--init"):
        train(ChildTraining(outdir=tmp_path / "child"))
