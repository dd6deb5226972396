"""Several processes, on one machine or many, that train one network: each takes its rows of every batch.

All processes draw the same random numbers, those for the whole batch, and keep their own rows of it; then the gradients are averaged. So
what is learned is what one process would learn from the same batch, up to the order in which numbers are added::

    processes = Processes.join()                         # 1 of 1, unless `accelerate launch` or `torchrun` started several
    index = torch.randint(len(portraits), (batch,))      # alike everywhere
    images = portraits.batch(processes.share(index))[0]  # this process's
    ...
    loss.backward()
    processes.average(optimiser)
    optimiser.step()

Rows are dealt like cards: process r of n has the rows r, r + n, r + 2n ... So the first few rows of a batch, too, are shared as evenly as
can be, and the first half of every process's rows are, together, the first half of the batch.

With one process every method hands back what it was given and draws nothing, and `accelerate` is not even imported.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from crossrig.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")

#: Where launchers (torchrun and accelerate; three kinds of mpirun) say how many processes there are.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
#: A process that dies is noticed at once. This long the others wait for the first, which does some of the work alone.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """This process among those that train together: number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> Processes:
        """The group that a launcher describes in the environment, joined at the first call; without a launcher, one process.

        Tensors travel over the CPU (gloo), wherever they are. Raises UserError when several processes are asked for and `accelerate` is not
        installed, and when the launcher was misunderstood.
        """
        if torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        if max(int(os.environ.get(name) or 1) for name in _SIZES) < 2:
            if os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
                raise UserError(
                    "`accelerate launch --cpu` starts one process, however many are asked for: give --multi_gpu instead of --cpu, "
                    "which starts them with or without GPUs."
                )
            return cls()
        try:
            from accelerate import PartialState
        except ImportError:
            raise UserError("Several processes train together with accelerate; install it: `pip install 'crossrig[parallel]'`.") from None
        state = PartialState(cpu=True, backend="gloo", timeout=_PATIENCE)
        atexit.register(_leave)
        if torch.cuda.is_available():  # for recipes with `device`: "cuda" is another one in every process of a machine
            torch.cuda.set_device(state.local_process_index % torch.cuda.device_count())
        return cls(state.process_index, state.num_processes)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    # -- rows -------------------------------------------------------------------------------------------------------

    def check_batch(self, batch: int, parts: int = 1) -> None:
        """Raise UserError unless a batch, or a batch of `parts` equal parts, can be shared evenly."""
        if self.count > 1 and batch % (parts * self.count):
            raise UserError(
                f"A batch of {batch} cannot be shared evenly by {self.count} processes: give a --batch that is a multiple of "
                f"{parts * self.count}."
            )

    def rounded(self, batch: float) -> int:
        """The batch nearest to `batch` that can be shared evenly."""
        return self.count * max(1, round(batch / self.count))

    def share(self, batch: Tensor) -> Tensor:
        """This process's rows of a batch (B, ...) that all processes have alike. Raises UserError when it cannot be shared evenly."""
        self.check_batch(len(batch))
        return batch if self.count == 1 else batch[self.own]

    @property
    def own(self) -> slice:
        """This process's rows of a batch."""
        return slice(self.rank, None, self.count)

    def portion(self, rows: int) -> int:
        """How many of the first `rows` rows of a batch are this process's: its own first ones. They may be more than another's, or none."""
        return len(range(self.rank, rows, self.count))

    def of_few(self, rows: int, mean: Callable[[slice], Tensor]) -> Tensor:
        """A mean over the first `rows` rows of a batch; `mean(few)` takes that over some of this process's rows.

        Processes that have more of the rows count more, so that the average over the processes is right; one that has none says 0.
        """
        own = self.portion(rows)
        return mean(slice(0, own)) * (self.count * own / rows) if own else torch.zeros(())

    def gather(self, rows: Tensor) -> Tensor:
        """The whole batch of which every process has the rows of `share`; gradients flow back to the process that a row came from."""
        if self.count == 1:
            return rows
        return _Gather.apply(rows, self)  # type: ignore[no-any-return, no-untyped-call]

    def by_rows(self, function: Callable[P, T]) -> Callable[P, T]:
        """A function that draws random numbers for every row of a batch, called for this process's rows.

        Inside, all processes draw alike for the whole batch, and each keeps the numbers of its own rows. Draws without rows are the same
        for all.
        """
        if self.count == 1:
            return function

        def of_own_rows(*args: P.args, **kwargs: P.kwargs) -> T:
            with _OwnRows(self):
                return function(*args, **kwargs)

        return of_own_rows

    # -- the others -------------------------------------------------------------------------------------------------

    def average(self, optimiser: torch.optim.Optimizer) -> None:
        """Replace the gradients of everything that the optimiser trains by their means over the processes.

        Parameters without a gradient are left alone; they must be the same ones everywhere.
        """
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        if self.count == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients]).cpu()
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for gradient, part in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))

    def mean(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The means over the processes, which all have figures of the same names."""
        if self.count == 1:
            return dict(figures)
        values = torch.tensor(list(figures.values()), dtype=torch.float64)
        torch.distributed.all_reduce(values)
        return dict(zip(figures, (values / self.count).tolist(), strict=True))

    def align(self, *parts: object) -> None:
        """Give the modules among `parts` the first process's weights: hosts may have begun with slightly different ones."""
        if self.count == 1:
            return
        for module in parts:
            if isinstance(module, nn.Module):
                for tensor in module.state_dict().values():
                    sent = tensor.cpu().contiguous()
                    torch.distributed.broadcast(sent, 0)
                    tensor.copy_(sent)

    def of_first(self, make: Callable[[], T]) -> T:
        """What the first process makes (measures, decides, writes); the others wait for it and make nothing."""
        if self.count == 1:
            return make()
        made: list[Any] = [make() if self.first else None]
        torch.distributed.broadcast_object_list(made, 0)
        value: T = made[0]
        return value

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


def _leave() -> None:
    """Threads of the group that are left to the end of the process may abort it (two of twelve runs did)."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class _Gather(torch.autograd.Function):
    """Rows of all processes. Every process has its own loss; what they feel of a row all together goes back to where the row came from."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        whole = rows.new_zeros((len(rows) * processes.count, *rows.shape[1:]))
        whole[processes.own] = rows
        torch.distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        felt = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(felt)
        return felt[ctx.processes.own], None


class _OwnRows(TorchFunctionMode):
    """Draws of rows are made for the whole batch; the rows of this process are kept."""

    _DRAWS = (torch.rand, torch.randn, torch.randint)
    _REFUSED = (torch.randperm, torch.rand_like, torch.randn_like, torch.bernoulli, torch.normal, torch.multinomial)

    def __init__(self, processes: Processes) -> None:
        super().__init__()
        self.processes = processes

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self._REFUSED:
            raise NotImplementedError(f"{function.__name__} does not say which numbers belong to which row of a batch")
        if function is F.dropout:
            rows, *settings = args
            # 0 or 1 / (1 - p), for the whole batch
            kept = function(rows.new_ones((len(rows) * self.processes.count, *rows.shape[1:])), *settings, **kwargs)
            return rows * self.processes.share(kept)
        if function in self._DRAWS:
            *before, size = args if isinstance(args[-1], Sequence) else (args,)
            if len(size):
                drawn = function(*before, (size[0] * self.processes.count, *size[1:]), **kwargs)
                return self.processes.share(drawn)
        return function(*args, **kwargs)
