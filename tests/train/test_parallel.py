"""Several processes that train together: the same curves as one process, one writer, going on, and what is refused."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import assets, checkpoint
from crossrig.config import dump_toml
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.rig.weights import load_rig, save_attributes
from crossrig.train.budget import Budget
from crossrig.train.parallel import Processes
from crossrig.train.run import Run, read_log

SCRIPT = Path(__file__).with_name("together.py")


@pytest.fixture(scope="module")
def together() -> ModuleType:
    """The script of the processes as a module, for one process."""
    spec = importlib.util.spec_from_file_location("together", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["together"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_assets: Path, tiny_generator: Generator, tiny_model: FaceModel, people: FaceParams,
    blobs: PortraitSet,
) -> Path:  # fmt: skip
    """Everything that the recipes of `together.py` read."""
    path = tmp_path_factory.mktemp("together")
    shutil.copytree(tiny_assets, path / "assets")
    own = checkpoint.sha256(path / "assets" / "generator-human.safetensors")
    predictor = load_rig(tiny_assets / "manipulation.safetensors").predictor
    torch.nn.init.normal_(predictor.out.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    save_attributes(path / "assets" / "attributes.safetensors", predictor, {"generator": own})
    torch.save({"generator": tiny_generator, "model": tiny_model, "people": people, "blobs": blobs}, path / "material.pt")
    save_generator(path / "coded.safetensors", tiny_generator, {"code_size": 20})
    random = np.random.default_rng(0)
    codes = random.standard_normal((12, 20)).astype(np.float32)
    with zipfile.ZipFile(path / "people.zip", "w") as file:
        labels = [[f"{index}.png", random.standard_normal(213).tolist()] for index in range(12)]
        for (name, _), code in zip(labels, codes, strict=True):
            file.writestr(str(name), _png(np.clip(128 + 50 * code[:3], 0, 255), random, 64))
        file.writestr("dataset.json", json.dumps({"labels": labels}))
        blob = io.BytesIO()
        np.save(blob, codes)
        file.writestr("codes.npy", blob.getvalue())
    (path / "pictures").mkdir()
    for index in range(20):
        (path / "pictures" / f"{index:02d}.png").write_bytes(_png(np.array([220, 30, 30]), random, 32))
    return path


def _png(colour: np.ndarray, random: np.random.Generator, side: int) -> bytes:
    """A picture of one colour with a dark spot somewhere."""
    pixels = np.broadcast_to(colour.astype(np.uint8), (side, side, 3)).copy()
    x, y = random.integers(0, side - 8, 2)
    pixels[y : y + 8, x : x + 8] = 10
    blob = io.BytesIO()
    Image.fromarray(pixels).save(blob, "PNG")
    return blob.getvalue()


def launch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`accelerate launch` of two processes of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--num_processes", "2", "--num_machines", "1", "--main_process_port", str(port)]
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", *options]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path),
        assets.FOLDER_VARIABLE: str(folder / "assets"),
    }  # fmt: skip
    return subprocess.run(
        [*command, "--mixed_precision", "no", "--dynamo_backend", "no", *arguments], env=environment, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Settings:
    seed: int = 0


RECIPES = ("generator", "adapt", "encoder", "mapping", "reconstruction", "attributes", "manipulation", "stylerig")


@pytest.fixture(scope="module")
def trained(folder: Path, together: ModuleType) -> Path:
    """Every recipe, trained by one process and, in one launch, by two."""
    names = ["shared", "layers", *RECIPES]
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "due", together.log_every_step)
        patch.setenv(assets.FOLDER_VARIABLE, str(folder / "assets"))
        torch.set_num_threads(1)
        together.train_all(folder, names)
        torch.set_num_threads(threads)
    done = launch(folder, str(SCRIPT), str(folder), *names)
    assert done.returncode == 0, done.stderr
    return folder


def figures(outdir: Path) -> list[dict[str, float]]:
    """All logged figures, also where two lines are of one step."""
    lines = [json.loads(line) for line in (outdir / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines if "event" not in line]


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_have_the_loss_curve_of_one(trained: Path, recipe: str) -> None:
    one, two = figures(trained / f"{recipe}-1"), figures(trained / f"{recipe}-2")
    assert one
    assert len(one) == len(two)
    for alone, shared in zip(one, two, strict=True):
        assert shared == pytest.approx(alone, rel=2e-4, abs=2e-6)


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_leave_the_files_and_weights_of_one(trained: Path, recipe: str) -> None:
    one, two = trained / f"{recipe}-1", trained / f"{recipe}-2"
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    before, after = (checkpoint.load(max(run.glob("checkpoint-*.safetensors")))[0] for run in (one, two))
    assert before.keys() == after.keys()
    weights = [name for name in before if name != "seconds" and not name.startswith(("optimiser", "critic"))]
    apart = sum(float((before[name] - after[name]).square().sum()) for name in weights)
    assert apart < 1e-6 * sum(float(before[name].square().sum()) for name in weights)


def test_layers_are_chosen_by_the_first_process(trained: Path) -> None:
    one, two = (json.loads((trained / f"layers-{count}" / "layers.json").read_text()) for count in (1, 2))
    assert one == two


def test_what_is_shared(trained: Path) -> None:
    alone, *others = (json.loads((trained / f"shared-{name}.json").read_text()) for name in ("0-of-1", "0-of-2", "1-of-2"))
    torch.manual_seed(0)
    batch = torch.randn(6, 2).tolist()
    assert alone["share"] == alone["gather"] == batch
    assert [other["share"] for other in others] == [batch[0::2], batch[1::2]]
    for rank, other in enumerate(others):
        assert other["gather"] == batch
        assert other["gradient"] == pytest.approx(alone["gradient"], rel=1e-6)  # also of rows that only another process has
        assert other["untouched"]
        assert other["mean"] == {"rank": 0.5, "one": 1.0}
        assert other["aligned"] == 0.0  # the first one's weights
        assert other["first"] == "made by 0"
        assert other["dtype"] == "torch.bfloat16", rank
    assert alone["mean"] == {"rank": 0.0, "one": 1.0}


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_of_two_processes_goes_on_with_any_number(trained: Path, together: ModuleType, tmp_path: Path, count: int) -> None:
    shutil.copytree(trained / "adapt-2", outdir := tmp_path / f"adapt-{count}")
    for name in ("assets", "pictures", "material.pt"):
        (tmp_path / name).symlink_to(trained / name)
    max(outdir.glob("checkpoint-*.safetensors")).unlink()  # as if killed after the first
    (outdir / "generator-red.safetensors").unlink()
    if count == 1:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "due", together.log_every_step)
            patch.setenv(assets.FOLDER_VARIABLE, str(tmp_path / "assets"))
            together.train_all(tmp_path, ["adapt"])
    else:
        done = launch(tmp_path, str(SCRIPT), str(tmp_path), "adapt")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("resuming at step 12") == 1  # one of them speaks
    assert (outdir / "generator-red.safetensors").is_file()
    whole, again = ([line | {"seconds": 0.0} for line in read_log(run) if line["step"] > 12] for run in (trained / "adapt-2", outdir))
    assert len(whole) == 3
    for unbroken, resumed in zip(whole, again, strict=True):
        assert resumed == pytest.approx(unbroken, rel=2e-4, abs=2e-6)


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_written(folder: Path, together: ModuleType, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(dump_toml(replace(together.generator_settings(folder, tmp_path / "run"), batch=6)))
    done = launch(folder, "-m", "crossrig.cli", "train", "generator", "--config", str(settings))
    assert done.returncode != 0
    assert "crossrig: A batch of 6 cannot be shared evenly by 2 processes: give a --batch that is a multiple of 4." in done.stderr
    assert not (tmp_path / "run").exists()


def test_rows_are_dealt_out() -> None:
    batch = torch.arange(8)
    four = [Processes(rank, 4) for rank in range(4)]
    assert [processes.share(batch).tolist() for processes in four] == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert [processes.portion(6) for processes in four] == [2, 2, 1, 1]
    assert [processes.portion(1) for processes in four] == [1, 0, 0, 0]
    rows = torch.arange(6.0)
    for count in (6, 5, 1):  # rows of a mean
        means = [processes.of_few(count, lambda few, own=processes.own: rows[own][few].mean()) for processes in four]
        assert float(torch.stack(means).mean()) == pytest.approx(float(rows[:count].mean()))
    assert [four[0].rounded(batch) for batch in (64, 6, 1)] == [64, 8, 4]
    with pytest.raises(UserError, match="A batch of 6 cannot be shared evenly by 4 processes"):
        four[0].share(torch.zeros(6))


def test_one_process_shares_nothing() -> None:
    alone, batch = Processes.join(), torch.randn(3, 2)
    assert alone == Processes(0, 1)
    assert alone.share(batch) is batch
    assert alone.gather(batch) is batch
    assert alone.by_rows(torch.rand) is torch.rand
    assert alone.mean({"loss": 0.1}) == {"loss": 0.1}
    assert float(alone.of_few(3, lambda few: batch[few].sum())) == float(batch.sum())
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), 3.0)
    alone.average(torch.optim.SGD([weight], lr=1.0))
    assert weight.grad.tolist() == [3.0, 3.0]


def test_draws_of_rows_are_those_of_one_process() -> None:
    def draw(rows: torch.Tensor) -> torch.Tensor:
        count = len(rows)
        return torch.cat([
            torch.rand(count, 3), torch.randint(9, (count, 1)), torch.randn((count, 20)), torch.randint(2, 5, (count, 1)),
            torch.randn(rows.shape, dtype=torch.bfloat16), torch.nn.functional.dropout(rows, 0.5),
            torch.rand(count, 1, generator=torch.Generator().manual_seed(1)), torch.rand(()).expand(count, 1),
        ], dim=1)  # fmt: skip

    batch = torch.randn(6, 4)
    found = []
    for processes in (Processes(), Processes(0, 2), Processes(1, 2)):
        torch.manual_seed(5)
        found.append(processes.by_rows(draw)(processes.share(batch)))
        found.append(torch.rand(2))  # what is drawn afterwards
    assert torch.equal(found[2], found[0][0::2])
    assert torch.equal(found[4], found[0][1::2])
    assert torch.equal(found[3], found[1])
    assert torch.equal(found[5], found[1])


def test_draws_that_belong_to_no_row_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="randperm"):
        Processes(0, 2).by_rows(torch.randperm)(4)


def test_accelerate_is_asked_for_only_when_there_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)  # as if it were not installed
    assert Processes.join() == Processes(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"pip install 'crossrig\[parallel\]'"):
        Processes.join()


def test_a_launcher_that_starts_one_process_only_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # what `accelerate launch --cpu --num_processes 2` leaves in the environment
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(UserError, match="starts one process"):
        Processes.join()


def test_the_clock_of_the_first_process_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(1000, 2.0, 0, {}, Processes(1, 2))
    monkeypatch.setattr(Processes, "of_first", lambda self, make: 30.0)  # seconds there; here hardly any have passed
    budget.advance()
    assert budget.progress == 0.25


def test_a_folder_that_the_hosts_do_not_share_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Run.open(tmp_path, Settings())
    monkeypatch.setattr(Processes, "of_first", lambda self, make: 5)
    with pytest.raises(UserError, match="must share this folder"):
        run.latest()
