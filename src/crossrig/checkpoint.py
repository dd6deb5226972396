"""Checkpoints on disk: safetensors with one JSON header, written atomically, read without executing anything.

A file holds named tensors and, under the single metadata key ``crossrig``, a JSON object that says what they are
(``kind``, ``config``, data, licence ...). Pickles are neither written nor read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from crossrig.errors import UserError
from crossrig.files import replacing

if TYPE_CHECKING:  # reading arrays, and saying what a file is, must not cost the start of torch
    import torch

HEADER_KEY = "crossrig"
_QUANTISED = "quantised"  # in the header: to how many bits


def save(path: str | Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], bits: int | None = None) -> None:
    """Writes `tensors` and the JSON-serialisable `header` to `path`, replacing it in one step (see `files.replacing`).

    Tensors are stored contiguously, on the CPU, with their own dtype, or with `bits` as weights of so many (`quantise.py`).
    Raises TypeError for a header JSON cannot hold.
    """
    from safetensors.torch import save_file

    from crossrig import quantise

    if bits is not None:
        tensors, header = quantise.encode(tensors, bits), {**header, _QUANTISED: bits}
    text = json.dumps(dict(header), sort_keys=True, allow_nan=False)
    # clone: safetensors refuses tensors that share storage, which views of one buffer do
    plain = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={HEADER_KEY: text})


def load(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads a checkpoint: (tensors on the CPU, header). Raises UserError when `path` is not one of ours."""
    from crossrig import quantise

    tensors, header = _read(Path(path), "pt")
    if header.pop(_QUANTISED, None) is not None:
        try:
            tensors = quantise.decode(tensors)
        except ValueError as error:
            raise UserError(f"{path} is not a readable checkpoint ({error}); download or train it again") from None
    return tensors, header


def load_arrays(path: str | Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """`load` without torch: (NumPy arrays, header). The file must hold no type that NumPy lacks, such as bfloat16."""
    return _read(Path(path), "np")


def _read(path: Path, framework: str) -> tuple[dict[str, Any], dict[str, Any]]:
    _require_file(path)
    try:
        with safe_open(str(path), framework=framework, device="cpu") as file:
            header = _parse_header(path, file.metadata())
            names: list[str] = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, header
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable checkpoint ({error}); download or train it again") from None


def load_header(path: str | Path) -> dict[str, Any]:
    """Reads only the header of a checkpoint (cheap for a large file); errors as in `load`."""
    path = Path(path)
    _require_file(path)
    try:
        with safe_open(str(path), framework="np", device="cpu") as file:
            return _parse_header(path, file.metadata())
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable checkpoint ({error}); download or train it again") from None


def sha256(path: str | Path) -> str:
    """SHA-256 of the whole file, 64 hexadecimal digits."""
    path = Path(path)
    _require_file(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a checkpoint; give the .safetensors file inside it")
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}; check the path, or run `crossrig doctor`")


def _parse_header(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    text = (metadata or {}).get(HEADER_KEY)
    if text is None:
        raise UserError(f"{path} holds tensors but no '{HEADER_KEY}' header: it was not written by crossrig")
    try:
        header = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"the header of {path} is not JSON ({error}); download or train it again") from None
    if not isinstance(header, dict):
        raise UserError(f"the header of {path} is not a JSON object; download or train it again")
    return header
