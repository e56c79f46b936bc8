"""What a run would cost here: ten small steps of it, timed, and nothing written.

Activation memory is what the backward pass keeps: every tensor that autograd saves is counted once, by its storage,
weights left out, for one sample and for more. These numbers are the same on every device; what the allocator really
holds is larger.

A step is measured on a part of a batch that fits into memory and takes seconds. A whole step is as many such parts as
make up the batch, and one update by the optimisers, whose time is taken apart. Where not even one sample fits beside
weights, gradients and optimiser, nothing is measured, and the cost says how much is missing.
"""

__all__ = ["Cost", "imagine", "measure", "state_bytes"]

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench.fit.engine.batches import Batches, on_device
from workbench.fit.engine.distributed import World
from workbench.fit.engine.guard import Guard
from workbench.fit.engine.loop import Task
from workbench.fit.engine.settings import Run
from workbench.fit.engine.step import Step
from workbench.models.memory import free_memory

_TIMED = 10
_SECONDS = 5.0  # that a measured step may take, roughly
_SHARE = 0.7  # of the free memory that activations may take
_WEIGHT, _GRADIENT, _MOMENTS, _AVERAGE = (
    4,
    4,
    8,
    4,
)  # bytes a number; Dion's momentum and basis take no more than Adam's


@dataclass(frozen=True)
class Cost:
    """The cost of a run on this machine; what was not measured is None.

    Attributes:
        parameters: Trained numbers, by network.
        state_bytes: Weights, gradients, optimiser states and averages of this process.
        activation_bytes: Kept for the backward pass for each sample.
        fixed_bytes: Kept besides, however many samples there are.
        part: Samples that go through the networks of a process together, as the recipe has it.
        measured_part: The same in the measured steps.
        free_bytes: Memory that was free before; None where the system does not tell.
        seconds_per_step: Of a whole batch, reading included.
        reading_seconds_per_step: Of these, waiting for data.
        samples_per_second: Over all processes.
        tokens_per_second: The same in tokens.
        steps: Steps of the budget; for a budget in minutes, those that fit into it.
        days: Projected.
        device: Where it was measured.
    """

    parameters: dict[str, int]
    state_bytes: int
    activation_bytes: int | None
    part: int
    free_bytes: int | None
    device: str
    fixed_bytes: int = 0
    steps: int | None = None
    measured_part: int | None = None
    seconds_per_step: float | None = None
    reading_seconds_per_step: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    days: float | None = None

    def lines(self, unit: str) -> list[str]:
        """The cost in words, a fact a line."""
        parts = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in self.parameters.items())
        lines = [
            f"parameters          {sum(self.parameters.values()) / 1e6:.2f} M ({parts})",
            f"state memory        {_amount(self.state_bytes)} for weights, gradients, optimiser and averages",
        ]
        if self.activation_bytes is not None:
            whole = _amount(self.fixed_bytes + self.part * self.activation_bytes)
            lines.append(
                f"activation memory   {_amount(self.activation_bytes)} a sample, {whole} for a part of {self.part}"
            )
        free = "unknown" if self.free_bytes is None else _amount(self.free_bytes)
        lines.append(f"free memory         {free} on {self.device}")
        if (
            self.seconds_per_step is None
            or self.reading_seconds_per_step is None
            or self.samples_per_second is None
            or self.tokens_per_second is None
            or self.days is None
        ):
            return [*lines, "not measured        it does not fit: share it over more devices with run.parallel=fsdp"]
        return [
            *lines,
            f"speed               {self.samples_per_second:.3g} {unit}/s, {self.tokens_per_second:,.0f} tokens/s",
            f"a step              {1e3 * self.seconds_per_step:,.1f} ms, of which "
            f"{1e3 * self.reading_seconds_per_step:,.1f} ms waiting for data",
            f"projected           {self.steps:,} steps in {self.days:,.2f} days",
            f"measured            {_TIMED} steps in parts of {self.measured_part} {unit}, the recipe's are {self.part}",
        ]


def measure(
    task: Task, batches: Batches, run: Run, *, tokens_per_sample: float, world: World, device_name: str
) -> Cost:
    """Take a few steps and say what the whole run would cost.

    Args:
        task: What is trained; its weights change.
        batches: Where batches come from.
        run: The settings.
        tokens_per_sample: Tokens of one sample.
        world: The processes.
        device_name: What to call the machine.
    """
    share = run.batch_size // world.size
    parameters = {
        name: sum(p.numel() for p in module.parameters() if p.requires_grad) for name, module in task.modules.items()
    }
    cost = Cost(
        parameters=parameters,
        state_bytes=state_bytes(sum(parameters.values()), run, world),
        activation_bytes=None,
        part=share // run.accumulate,
        free_bytes=free_memory(world.device),
        device=device_name,
        steps=run.steps,
    )
    if cost.free_bytes is not None and cost.state_bytes - _WEIGHT * sum(parameters.values()) > cost.free_bytes:
        return cost
    for module in task.modules.values():
        module.to(world.device).train()
    step = Step(replace(run, batch_size=world.size, accumulate=1), world, Guard(None))
    with torch.random.fork_rng([world.device] if world.device.type == "cuda" else []):
        step.prepare(task)
        updates = _Updates(step.optimizers.values(), world)
        each, fixed = _each_and_fixed(
            lambda samples: _kept(
                lambda: _steps(task, batches, step, count=1, parts=share // samples), task.modules.values()
            ),
            more=next((n for n in range(2, share + 1) if share % n == 0), 1),
        )
        alone, _ = _steps(task, batches, step, count=1, parts=share)
        free = free_memory(world.device)
        room = share if free is None else int((_SHARE * free - fixed) / max(1, each))
        size = int(-world.largest([-min(cost.part, room, _SECONDS / alone)])[0])
        size = max(n for n in range(1, max(1, size) + 1) if share % n == 0)
        parts = share // size
        _steps(task, batches, step, count=1, parts=parts)
        updates.seconds = 0.0
        seconds, reading = _steps(task, batches, step, count=_TIMED, parts=parts)
    update = updates.seconds / _TIMED
    seconds = parts * (seconds - update) + update
    rate = run.batch_size / seconds
    steps = run.steps or round(60 * (run.minutes or 0) / seconds)
    return replace(
        cost,
        activation_bytes=each,
        fixed_bytes=fixed,
        measured_part=size,
        seconds_per_step=seconds,
        reading_seconds_per_step=parts * reading,
        samples_per_second=rate,
        tokens_per_second=rate * tokens_per_sample,
        steps=steps,
        days=steps * seconds / 86400,
    )


def imagine(module: nn.Module, compute: Callable[[nn.Module, int], object]) -> tuple[int, int]:
    """Bytes that the backward pass keeps for each sample, and besides, found without computing.

    Args:
        module: A network on the meta device; it stays without content.
        compute: Uses it as training does, on so many samples.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        module.to_empty(device="cpu").train()
        return _each_and_fixed(lambda samples: _kept(lambda: compute(module, samples), [module]), more=2)


def state_bytes(parameters: int, run: Run, world: World) -> int:
    """Bytes of weights, gradients, optimiser states and averages in one process."""
    each = _WEIGHT + _GRADIENT + _MOMENTS + (_AVERAGE if run.average_decay is not None else 0)
    return parameters * each // (world.size if run.parallel == "fsdp" else 1)


class _Updates:
    """A stopwatch that runs while optimisers do."""

    def __init__(self, optimizers: Iterable[Optimizer], world: World) -> None:
        self.seconds, self._began, self._world = 0.0, 0.0, world
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(self._begin)
            optimizer.register_step_post_hook(self._end)

    def _begin(self, *_: object) -> None:
        _finish(self._world)
        self._began = time.perf_counter()

    def _end(self, *_: object) -> None:
        _finish(self._world)
        self.seconds += time.perf_counter() - self._began


def _steps(task: Task, batches: Batches, step: Step, *, count: int, parts: int) -> tuple[float, float]:
    """Take steps on the first of `parts` slices of this process's share; seconds a step, and of these for reading."""
    world = step.world
    stream = batches.stream(0, part=world.rank * parts, parts=world.size * parts)
    reading, began = 0.0, time.perf_counter()
    for index in range(count):
        step.begin(index, 1.0, 1e-3)  # the end of the budget: every loss that is let in later counts
        before = time.perf_counter()
        batch = on_device(next(stream), world.device)
        reading += time.perf_counter() - before
        with step.part(last=True):
            task.step(batch, step)
    _finish(world)
    return (time.perf_counter() - began) / count, reading / count


def _each_and_fixed(kept: Callable[[int], int], *, more: int) -> tuple[int, int]:
    """What is kept for each sample, and besides, from what is kept for one and for `more`."""
    one = kept(1)
    each = (kept(more) - one) // (more - 1) if more > 1 else one
    return each, one - each


def _kept(compute: Callable[[], object], modules: Iterable[nn.Module]) -> int:
    """Bytes that autograd keeps of a computation."""
    saved: dict[int, int] = {}
    weights = {p.untyped_storage()._cdata for module in modules for p in module.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage.nbytes()
        return tensor.detach()  # the tensor itself would keep its own graph alive

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        compute()
    return sum(saved.values())


def _finish(world: World) -> None:
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)


def _amount(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
