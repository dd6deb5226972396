"""Data sets of synthetic people: stylegan2-ada ZIPs with exact labels and the person codes.

A portrait depends on (seed, index) alone, so the archive is bit-identical whatever the number of workers.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import multiprocessing
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from crossrig.data.avatars import render_avatar
from crossrig.data.filters import filtered
from crossrig.data.people import CODE_SIZE, Person, in_light_of, person, sample_code
from crossrig.data.portraits import render_portrait
from crossrig.data.style_names import STYLES, Style
from crossrig.errors import UserError
from crossrig.face3d.blocks import BLOCKS
from crossrig.memory import keep_freed_memory

if TYPE_CHECKING:
    from crossrig.data.wardrobe import Wardrobe

_CHUNK: Final = 4  # portraits a worker is given at a time: few, so that all finish together
_RELIT_STREAM: Final = 1  # decides who stands in somebody else's light; nothing else of a portrait changes with the share
_WORTH_A_WORKER: Final = 16  # portraits; for fewer, no further process is started
# PNG of photographs: grain leaves next to nothing that repeats, so that looking for it only costs time. No level is named: that would
# give up the quick filter.
_GRAINY: Final = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY)
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, eq=False)
class Example:
    """One portrait of a data set."""

    png: bytes
    label: NDArray[np.float32]  # (213,) packed FaceParams
    code: NDArray[np.float32]  # (CODE_SIZE,)


def draw(someone: Person, size: int, style: Style, wardrobe: Wardrobe | None = None) -> NDArray[np.uint8]:
    """The person's portrait in a style, (size, size, 3) uint8 sRGB."""
    # Larger pictures have finer pixels already; fewer samples each keep the cost in bounds.
    finer = 2 if size <= 256 else 1
    if style == "painting" or style == "sketch":
        portrait = render_portrait(someone, finer * size, supersample=1, wardrobe=wardrobe)
        return filtered(portrait, style, someone.detail_seed, size)
    if style == "avatar":
        return render_avatar(someone, size, supersample=2 * finer)
    return render_portrait(someone, size, supersample=finer, style=style, wardrobe=wardrobe)


def make_example(seed: int, index: int, size: int, style: Style, wardrobe: Wardrobe | None = None, relit: float = 0.0) -> Example:
    """Portrait `index` of stream `seed`, size x size pixels. `relit`: the probability that the light is the next person's."""
    code, detail_seed = sample_code(seed, index)
    someone = person(code, detail_seed)
    if relit and np.random.default_rng([seed, index, _RELIT_STREAM]).random() < relit:
        someone = in_light_of(someone, person(*sample_code(seed, index + 1)))
    image = draw(someone, size, style, wardrobe)
    done, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _GRAINY if style == "photo" else ())
    if not done:
        raise RuntimeError(f"portrait {index} could not be encoded as PNG")
    return Example(png.tobytes(), np.concatenate([someone.blocks[name] for name in BLOCKS]), code)


def _prepare_worker() -> None:
    """Set up a process that does nothing but make portraits, and ends with nothing to tidy up."""
    keep_freed_memory()
    # Nothing that lives this far dies before the process, and a portrait leaves next to no cycles behind.
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    atexit.register(os._exit, 0)  # taking the interpreter apart takes longer than ten portraits


def _make_chunk(indices: range, seed: int, size: int, style: Style, wardrobe: Wardrobe | None, relit: float) -> list[Example]:
    return [make_example(seed, index, size, style, wardrobe, relit) for index in indices]


@contextmanager
def _single_threads() -> Iterator[None]:
    """New processes inherit one thread each: the work is already split into processes."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _chunks(
    count: int, first: int, seed: int, size: int, style: Style, workers: int, wardrobe: Wardrobe | None, relit: float
) -> Iterator[list[Example]]:
    """Chunks of examples in order."""
    ranges = [range(start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)]
    make = partial(_make_chunk, seed=seed, size=size, style=style, wardrobe=wardrobe, relit=relit)
    # Fresh processes, even a single one: matrix products round differently with the number of BLAS threads, which is one
    # in every worker whatever the parent uses; and forked ones can hang when the parent has used OpenMP threads.
    fresh = multiprocessing.get_context("spawn")
    with _single_threads(), ProcessPoolExecutor(workers, mp_context=fresh, initializer=_prepare_worker) as pool:
        waiting: list[Future[list[Example]]] = []
        try:
            for indices in ranges:
                waiting.append(pool.submit(make, indices))
                if len(waiting) > 3 * workers:  # what is finished waits in memory only a little
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "The portraits are not finished: a process that renders was killed, as happens when memory runs out. "
                "Give the command again, with fewer --workers or other programs closed."
            ) from None


def label_numbers(label: NDArray[np.float32]) -> list[float]:
    """The shortest decimal numbers that read back as exactly these float32 values."""
    return [float(str(value)) for value in label]


def archive_name(count: int, size: int, seed: int, style: Style, first: int = 0, relit: float = 0.0) -> str:
    """File name of the archive that `synthesise` writes."""
    light = f"-relit{100 * relit:.0f}" if relit else ""
    start = f"-from{first}" if first else ""
    return f"{'people' if style == 'photo' else style}-{size}-seed{seed}{light}{start}-{count}.zip"


def synthesise(
    count: int, size: int, seed: int, outdir: Path | str, workers: int | None = None, style: Style = "photo", first: int = 0,
    progress: bool = True, wardrobe: Wardrobe | None = None, relit: float = 0.0,
) -> Path:  # fmt: skip
    """Write `count` labelled portraits (numbers first .. first+count-1 of stream `seed`) as a ZIP in `outdir`; returns its path.

    The ZIP holds uncompressed entries: PNGs `00000/img00000000.png` ..., `dataset.json` ({"labels": [[name, 213 numbers], ...]}, as
    stylegan2-ada reads them) and `codes.npy` (count, CODE_SIZE) float32. `wardrobe`: registered packs that some
    people take hair and clothes from. `relit`: share, in hundredths, of the people who stand in the light of the next one, as no light
    meter would set it; the label says so, the code does not. `workers`: processes (default: all cores); they are started afresh, so a
    script that calls this needs the usual `if __name__ == "__main__"`.
    Raises UserError for sizes or counts out of range, an unknown style, or when the archive exists already.
    """
    if count < 1:
        raise UserError(f"Cannot make {count} portraits: give a count of at least 1.")
    if not 16 <= size <= 1024 or size % 2:
        raise UserError(f"Cannot make portraits of {size} pixels: give an even size from 16 to 1024.")
    if seed < 0 or first < 0:
        raise UserError("The seed and the first portrait's number must not be negative.")
    if style not in STYLES:
        raise UserError(f"There is no style '{style}': choose one of {', '.join(STYLES)}.")
    if workers is not None and workers < 1:
        raise UserError(f"Cannot work with {workers} processes: give at least 1.")
    if not 0.0 <= relit <= 1.0:
        raise UserError(f"The share of people in somebody else's light must be from 0 to 1, not {relit:g}.")
    relit = round(relit, 2)
    workers = min(workers or os.cpu_count() or 1, -(-count // _WORTH_A_WORKER))
    path = Path(outdir) / archive_name(count, size, seed, style, first, relit)
    return write_archive(path, count, _chunks(count, first, seed, size, style, workers, wardrobe, relit), progress)


def write_archive(path: Path, count: int, chunks: Iterable[Sequence[Example]], progress: bool = True) -> Path:
    """Write `count` examples, given in order, as the archive `path` (see `synthesise`): whole or not at all. Returns `path`.

    Raises UserError when it exists already or its folder cannot be made.
    """
    folder = path.parent
    if path.exists():
        raise UserError(f"{path} exists already: remove it or choose another folder with --outdir.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {folder} ({error.strerror}): choose another with --outdir.") from None
    from tqdm import tqdm  # the workers, which import this module, start without it

    labels: list[list[object]] = []
    codes = np.empty((count, CODE_SIZE), np.float32)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".synth-", suffix=".zip")
    try:
        with (
            os.fdopen(handle, "wb") as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive,
            tqdm(total=count, desc="portraits", unit="portrait", disable=not progress) as bar,
        ):
            for chunk in chunks:
                for example in chunk:
                    position = len(labels)
                    name = f"{position // 1000:05d}/img{position:08d}.png"
                    archive.writestr(_entry(name), example.png)
                    labels.append([name, label_numbers(example.label)])
                    codes[position] = example.code
                bar.update(len(chunk))
            archive.writestr(_entry("dataset.json"), json.dumps({"labels": labels}))
            buffer = io.BytesIO()
            np.save(buffer, codes, allow_pickle=False)
            archive.writestr(_entry("codes.npy"), buffer.getvalue())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _entry(name: str) -> zipfile.ZipInfo:
    """ZIP entry with a fixed date, so that the same portraits make the same bytes."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    return info
