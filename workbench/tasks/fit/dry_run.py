"""What a run would cost here: a few steps of it, timed, and nothing written.

Activation memory is what the backward pass of one step keeps: every tensor that autograd saves is counted once, by its
storage, weights left out. That number is the same on every device; what the allocator really holds is larger.
"""

__all__ = ["Cost", "measure"]

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.tasks.fit.batches import Batches, on_device, slices
from workbench.tasks.fit.engine import Task
from workbench.tasks.fit.guard import Guard
from workbench.tasks.fit.run import Run
from workbench.tasks.fit.step import Step
from workbench.tasks.fit.world import World

_WARM_UP, _TIMED = 2, 10


@dataclass(frozen=True)
class Cost:
    """The cost of a run on this machine.

    Attributes:
        parameters: Trained numbers, by network.
        activation_bytes: Kept for the backward pass of one step of this process.
        seconds_per_step: Mean over the timed steps, reading included.
        reading_seconds_per_step: Of these, waiting for data.
        samples_per_second: Over all processes.
        tokens_per_second: The same in tokens.
        steps: Steps of the budget; for a budget in minutes, those that fit into it.
        days: Projected.
        device: Where it was measured.
    """

    parameters: dict[str, int]
    activation_bytes: int
    seconds_per_step: float
    reading_seconds_per_step: float
    samples_per_second: float
    tokens_per_second: float
    steps: int
    days: float
    device: str

    def lines(self, unit: str) -> list[str]:
        """The cost in words, a fact a line."""
        parts = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in self.parameters.items())
        return [
            f"parameters          {sum(self.parameters.values()) / 1e6:.2f} M ({parts})",
            f"activation memory   {self.activation_bytes / 2**20:.1f} MiB a step",
            f"speed               {self.samples_per_second:.1f} {unit}/s, {self.tokens_per_second:,.0f} tokens/s",
            f"a step              {1e3 * self.seconds_per_step:.1f} ms, of which "
            f"{1e3 * self.reading_seconds_per_step:.1f} ms waiting for data",
            f"projected           {self.steps:,} steps in {self.days:.2f} days",
            f"measured on         {self.device}, {_TIMED} steps",
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
    for module in task.modules.values():
        module.to(world.device).train()
    step = Step(run, world, Guard(None))
    with torch.random.fork_rng([world.device] if world.device.type == "cuda" else []):
        step.prepare(task)
        parameters = {
            name: sum(p.numel() for p in module.parameters() if p.requires_grad)
            for name, module in task.modules.items()
        }
        stream = batches.stream(0, part=world.rank, parts=world.size)
        reading, kept, began = 0.0, 0, 0.0
        for index in range(_WARM_UP + _TIMED):
            if index == _WARM_UP:
                _finish(world)
                began, reading = time.perf_counter(), 0.0
            step.begin(index, 1.0, 1e-3)  # the end of the budget: every loss that is let in later counts
            before = time.perf_counter()
            batch = on_device(next(stream), world.device)
            reading += time.perf_counter() - before
            kept = max(kept, _one(task, batch, step, count=index == 0))
        _finish(world)
        seconds = (time.perf_counter() - began) / _TIMED
    steps = run.steps or round(60 * (run.minutes or 0) / seconds)
    rate = run.batch_size / seconds
    return Cost(
        parameters=parameters,
        activation_bytes=kept,
        seconds_per_step=seconds,
        reading_seconds_per_step=reading / _TIMED,
        samples_per_second=rate,
        tokens_per_second=rate * tokens_per_sample,
        steps=steps,
        days=steps * seconds / 86400,
        device=device_name,
    )


def _one(task: Task, batch: object, step: Step, *, count: bool) -> int:
    """Take one step; returns the bytes autograd kept if they are to be counted, which takes time."""
    largest = 0
    for number, part in enumerate(slices(batch, step.run.accumulate), start=1):
        with step.part(last=number == step.run.accumulate):
            if count:
                saved: dict[int, int] = {}
                weights = {p.untyped_storage().data_ptr() for m in task.modules.values() for p in m.parameters()}
                with torch.autograd.graph.saved_tensors_hooks(_counter(saved, weights), lambda tensor: tensor):
                    task.step(part, step)
                largest = max(largest, sum(saved.values()))
            else:
                task.step(part, step)
    return largest


def _counter(saved: dict[int, int], weights: set[int]) -> Callable[[Tensor], Tensor]:
    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would keep its own graph alive

    return pack


def _finish(world: World) -> None:
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)
