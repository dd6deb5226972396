"""What the importers share: a foreign network as named tensors and settings, and the way from there to one of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.ops import FIR_TAPS, check_taps
from crossrig.gan.stylespace import CONSTANT_RESOLUTION
from crossrig.pickles.arrays import NumpyArray, StoredTensor
from crossrig.pickles.restricted import printable

LARGEST_RESOLUTION = 4096  # px
MOST_TENSORS = 10_000

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Foreign:
    """A network of others: its tensors by name, and the plain attributes of its modules by module path."""

    tensors: Mapping[str, torch.Tensor]
    settings: Mapping[str, Mapping[str, object]]

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there with this many axes; UserError otherwise."""
        if name not in self.tensors:
            raise UserError(f"its network has no tensor {name}, so it is no StyleGAN2 of this layout")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise UserError(f"its tensor {name} has the shape {shape}, which no StyleGAN2 has")
        return shape

    def count(self, pattern: str, first: int = 0) -> int:
        """How many tensors there are whose names have `first`, `first` + 1 ... in place of the {} of the pattern."""
        number = first
        while pattern.format(number) in self.tensors:
            number += 1
        return number - first

    def setting(self, modules: str, name: str, default: object) -> object:
        """The attribute that all modules whose path matches the pattern have in common; UserError if they differ."""
        found = [
            attributes[name] for path, attributes in self.settings.items() if re.fullmatch(modules, path) and name in attributes
        ]
        if not found:
            return default
        if any(value != found[0] for value in found):
            raise UserError(f"its layers differ in {name}, which is not supported")
        return found[0]

    def number(self, modules: str, name: str, default: float | None) -> float | None:
        """`setting` that must be a number, or None."""
        value = self.setting(modules, name, default)
        if value is not None and not (isinstance(value, int | float) and abs(value) < 1e9):
            raise UserError(f"its setting {name} is no number, or no sensible one")
        return value

    def require(self, modules: str, name: str, wanted: object) -> None:
        """UserError unless the modules have no such attribute, or this one."""
        value = self.setting(modules, name, wanted)
        if value != wanted:
            shown = printable(str(value)) if isinstance(value, str | int | float) else type(value).__name__
            raise UserError(f"its {name} is {shown}; only {wanted} is supported")


def load_arrays(values: Mapping[object, object]) -> dict[str, torch.Tensor]:
    """The entries that are arrays, loaded as float32 by name; UserError when one is damaged or not finite."""
    tensors: dict[str, torch.Tensor] = {}
    for name, value in values.items():
        if isinstance(name, str) and isinstance(value, StoredTensor | NumpyArray):
            tensor = value.load().float()
            if not torch.isfinite(tensor).all():
                raise UserError(f"its tensor {printable(name)} has values that are not finite numbers; the training had failed")
            tensors[name] = tensor
    return tensors


def block_resolutions(network: Foreign, pattern: str) -> tuple[int, ...]:
    """4, 8, 16 ... as far as the tensors that match the pattern, whose group is the resolution, go; UserError for gaps."""
    found = {int(match[1]) for name in network.tensors if (match := re.fullmatch(pattern, name))}
    count = len(found)
    expected = tuple(CONSTANT_RESOLUTION << level for level in range(count))
    if not count or found != set(expected) or expected[-1] > LARGEST_RESOLUTION:
        raise UserError(f"its blocks are those of {sorted(found)} px, and a StyleGAN2 has 4, 8, 16 ... px up to its image")
    return expected


def rename(network: Foreign, table: Mapping[str, str | Callable[[re.Match[str]], str]]) -> dict[str, torch.Tensor]:
    """Tensors under our names: the first pattern that fits a name gives the new one, an empty one drops the tensor.

    UserError names a tensor that no pattern fits: a network with more parts than ours would give other images.
    """
    if len(network.tensors) > MOST_TENSORS:
        raise UserError(f"it has more than {MOST_TENSORS} tensors, which no StyleGAN2 has")
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in network.tensors.items():
        for pattern, new in table.items():
            match = re.fullmatch(pattern, name)
            if match:
                target = new(match) if callable(new) else match.expand(new)
                if target:
                    renamed[target] = tensor
                break
        else:
            raise UserError(f"its network has a tensor {printable(name)}, which a StyleGAN2 of this layout does not have")
    return renamed


def filter_taps(network: Foreign, pattern: str) -> tuple[float, ...]:
    """The low-pass filter that all the filter tensors matching the pattern hold, up to a factor; UserError if they differ."""
    kernels = [kernel for name, kernel in network.tensors.items() if re.fullmatch(pattern, name)]
    lines = []
    for kernel in kernels:
        line = kernel if kernel.ndim == 1 else kernel.sum(dim=0) if kernel.ndim == 2 else torch.zeros(1)
        if not line.sum() > 0:
            raise UserError("its resampling filter is no low-pass filter")
        line = line / line.sum()
        if kernel.ndim == 2 and not torch.allclose(kernel / kernel.sum(), torch.outer(line, line), atol=1e-6):
            raise UserError("its resampling filter is not separable, which is not supported")
        lines.append(line)
    usual = torch.tensor(FIR_TAPS) / sum(FIR_TAPS)
    if all(line.shape == usual.shape and torch.allclose(line, usual, atol=1e-6) for line in lines):
        return FIR_TAPS
    if any(line.shape != lines[0].shape or not torch.allclose(line, lines[0], atol=1e-6) for line in lines):
        raise UserError("its layers differ in their resampling filters, which is not supported")
    try:
        return check_taps(((lines[0] + lines[0].flip(0)) / 2).tolist() if torch.allclose(lines[0], lines[0].flip(0)) else [])
    except ValueError:
        raise UserError("its resampling filter is not supported: it must be symmetric and have at most 16 taps") from None


@contextmanager
def sizes_named() -> Iterator[None]:
    """What a configuration of ours refuses, as UserError about the file."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UserError(f"its sizes make no StyleGAN2 ({printable(str(error))})") from None


def assemble(make: Callable[[], Module], state: Mapping[str, torch.Tensor]) -> Module:
    """The network that `make` describes with these tensors, in evaluation mode; UserError when they do not fit it.

    Axes of length one do not count: some layouts have a batch axis where ours has none.
    """
    try:
        with torch.device("meta"):  # sizes only: the tensors are ours already
            module = make()
        wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
        fitted = {
            name: tensor.reshape(wanted[name])
            if name in wanted and [size for size in tensor.shape if size > 1] == [size for size in wanted[name] if size > 1]
            else tensor
            for name, tensor in state.items()
        }
        module.load_state_dict(fitted, assign=True)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"its tensors do not make a StyleGAN2 ({printable(reason, 400)})") from None
    return module.eval()


def mean_w(generator: Generator, samples: int = 16_384) -> torch.Tensor:
    """(w_dim,) the mean of w over z from a fixed seed, and over the classes if there are some."""
    source = torch.Generator().manual_seed(0)
    config = generator.config
    total = torch.zeros(config.w_dim, dtype=torch.float64)
    batch = 1024
    with torch.no_grad():
        for _ in range(samples // batch):
            z = torch.randn(batch, config.z_dim, generator=source)
            c = torch.eye(config.c_dim)[torch.randint(config.c_dim, (batch,), generator=source)] if config.c_dim else None
            total += generator.map(z, c=c).double().sum(dim=0)
    return (total / (samples // batch * batch)).float()
