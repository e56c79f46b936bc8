"""One process or many: who does which part of a batch, and how they agree.

Step i uses batch i whoever computes it: with W processes, process r takes the r-th of W equal slices, so the order of
samples does not depend on W, and W may change between runs. Networks are shared out in one of two ways: `ddp` keeps a
copy in each process and averages gradients; `fsdp` keeps a shard of each tensor in each process (FSDP2) and averages
gradients on the way. `torchrun` and `accelerate launch` describe the processes in the same environment variables.

What every process must decide alike (the learning rate under a budget in minutes, whether to stop, whether to save) is
the largest of what the processes propose, exchanged once a step as a few numbers over gloo.
"""

__all__ = ["World", "assign", "blocks_of", "joined", "share", "whole"]

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, nn

from workbench.errors import InputError, TrainingError

_PATIENCE = timedelta(hours=12)  # one process may tokenize pictures while the others wait


@dataclass(frozen=True)
class World:
    """A process among others.

    Attributes:
        device: Where this process computes.
        rank: Its number, from 0.
        size: Number of processes.
        patient: The group of all processes that :meth:`wait` waits in; None in a single one.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    size: int = 1
    patient: "torch.distributed.ProcessGroup | None" = field(default=None, compare=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def largest(self, values: Sequence[float]) -> list[float]:
        """The largest proposal of all processes for each value."""
        if self.size == 1:
            return list(values)
        proposals = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(proposals, torch.distributed.ReduceOp.MAX)
        return proposals.tolist()

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over all processes of each value."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(sums)
        return (sums / self.size).tolist()

    def wait(self) -> None:
        """Wait until every process is here, for hours where need be."""
        if self.size > 1:
            torch.distributed.all_reduce(torch.zeros(1), group=self.patient)


@contextmanager
def joined(device: str | None = None) -> Iterator[World]:
    """Join the processes that a launcher started; alone without one.

    Args:
        device: `cpu`, `cuda`, `mps` or `cuda:N`; None takes the best there is.

    Raises:
        TrainingError: if the launcher's environment is incomplete or the processes do not find each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device(device or _best_device())
    if chosen.type == "cuda" and chosen.index is None:
        chosen = torch.device("cuda", local if size > 1 else 0)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size == 1:
        yield World(chosen)
        return
    try:
        store, rank, size = next(torch.distributed.rendezvous("env://"))
        # torchrun keeps one store over restarts: without a prefix the addresses of dead processes are still in it.
        store = torch.distributed.PrefixStore(f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"{size} processes did not find each other: {error}; start them with torchrun") from error
    try:
        patient = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
        yield World(chosen, rank, size, patient)  # type: ignore[arg-type] # every process is a member of it
    finally:
        torch.distributed.destroy_process_group()


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network: whatever hangs under a part called `blocks`.

    They are the unit of gradient checkpointing and of sharding.
    """
    return [
        block
        for name, part in module.named_modules()
        if name.rpartition(".")[2] == "blocks"
        for block in part.children()
    ]


def share(modules: Mapping[str, nn.Module], sharded: Sequence[str], kind: str, world: World) -> dict[str, nn.Module]:
    """Return the networks to call in place of `modules`, so that gradients are averaged over all processes.

    Args:
        modules: Networks by name, already on the device.
        sharded: The names that `fsdp` shards; the others are copied in any case.
        kind: `ddp` or `fsdp`.
        world: The processes.

    Raises:
        InputError: if `fsdp` is asked for in a single process.
    """
    if world.size == 1:
        if kind == "fsdp":
            raise InputError("parallel=fsdp needs more than one process: start the run with torchrun")
        return dict(modules)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    result: dict[str, nn.Module] = {}
    for name, module in modules.items():
        trained = any(p.requires_grad for p in module.parameters())
        if kind == "fsdp" and name in sharded:
            mesh = init_device_mesh(world.device.type, (world.size,))
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload] # FSDP2 takes no other
            for block in blocks_of(module):
                fully_shard(block, mesh=mesh)
            fully_shard(module, mesh=mesh)  # in place
            result[name] = module
        elif trained:
            ids = [world.device.index] if world.device.type == "cuda" else None
            result[name] = DistributedDataParallel(module, device_ids=ids, broadcast_buffers=False)
        else:
            result[name] = module
    return result


def whole(tensor: Tensor) -> Tensor:
    """A tensor as one piece, gathered from its shards where it has them; every process must call this alike."""
    full = getattr(tensor, "full_tensor", None)
    return full() if full else tensor


@torch.no_grad()
def assign(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded.

    Raises:
        TrainingError: if the shapes differ.
    """
    if tuple(target.shape) != tuple(value.shape):
        raise TrainingError(f"expected a tensor of shape {tuple(target.shape)}, got {tuple(value.shape)}")
    mesh = getattr(target, "device_mesh", None)
    if mesh is None:
        target.copy_(value)
    else:
        from torch.distributed.tensor import distribute_tensor

        placements = target.placements  # type: ignore[attr-defined] # of a sharded tensor
        target.copy_(distribute_tensor(value.to(target.device), mesh, placements))
