"""What a task holds in its hands during one step: networks to call, a way to update them, and the step's randomness.

A task says what its losses are; how a loss becomes a change of weights is decided here, once, for every task:
backward, average over processes, clip, judge, step. A gradient that the guard refuses changes nothing.
"""

__all__ = ["Step", "compute_twice", "seed_of"]

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from workbench.fit.engine.distributed import World, blocks_of, share, whole
from workbench.fit.engine.guard import Guard
from workbench.fit.engine.settings import Run


class Trained(Protocol):
    """The part of a task that is shared out over processes."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The networks by name."""
        ...

    @property
    def sharded(self) -> tuple[str, ...]:
        """Names of those that may be sharded."""
        ...

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Make the optimisers, with their peak learning rates."""
        ...


@dataclass
class Step:
    """The engine as a task sees it.

    Attributes:
        run: The settings.
        world: The processes; `world.device` is where to compute.
        guard: Judge of bad batches.
        index: Number of the step, from 0.
        fraction: Share of the budget spent, in [0, 1].
        generator: Random numbers of this step and process, on the CPU.
        optimizers: Those of the task.
    """

    run: Run
    world: World
    guard: Guard
    index: int = 0
    fraction: float = 0.0
    generator: torch.Generator = field(default_factory=torch.Generator)
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    _callable: dict[str, Callable[..., Any]] = field(default_factory=dict)
    _shared: dict[str, nn.Module] = field(default_factory=dict)
    _base_rates: dict[str, list[float]] = field(default_factory=dict)
    _sums: dict[str, Tensor] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _last: bool = True

    # ---- for tasks

    def network(self, name: str) -> Callable[..., Any]:
        """The network to call where gradients for it are wanted: shared over processes, compiled, in the precision."""
        return self._callable[name]

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The precision that networks are to compute in."""
        low = self.run.precision == "bfloat16"
        with torch.autocast(self.world.device.type, dtype=torch.bfloat16, enabled=low):
            yield

    def update(self, name: str, loss: Tensor) -> bool:
        """Change the weights of optimiser `name` so as to lower a loss.

        Args:
            name: One of the task's optimisers; those named `name-…` step with it.
            loss: A scalar, the mean over the samples at hand.

        Returns:
            Whether the weights changed: not while a batch is being accumulated, nor when the gradient is bad.
        """
        (loss / self.run.accumulate).backward()
        if not self._last:
            return False
        family = [each for key, each in self.optimizers.items() if key == name or key.startswith(f"{name}-")]
        groups = [group for optimizer in family for group in optimizer.param_groups]
        parameters = [p for group in groups for p in group["params"] if p.grad is not None]
        limit = math.inf if self.run.clip_norm is None else self.run.clip_norm
        norm = float(whole(torch.nn.utils.get_total_norm([p.grad for p in parameters])))
        good = self.guard.admits(name, norm)
        if good:
            if norm > limit:
                for parameter in parameters:
                    parameter.grad.mul_(limit / norm)
            for optimizer in family:
                optimizer.step()
            self.record(f"{name}_gradient", torch.tensor(norm))
        for parameter in parameters:
            parameter.grad = None
        return good

    def record(self, name: str, value: Tensor) -> None:
        """Take a scalar into the means of the next log line."""
        value = value.detach().float()
        self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._counts[name] = self._counts.get(name, 0) + 1

    # ---- for the engine

    def prepare(self, task: Trained) -> None:
        """Share the networks out, then make the optimisers, which must see the shared tensors."""
        if self.run.gradient_checkpointing:
            for module in task.modules.values():
                compute_twice(module)
        self._shared = share(task.modules, task.sharded, self.run.parallel, self.world)
        self.optimizers = task.optimizers()
        self._base_rates = {
            name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in self.optimizers.items()
        }
        for name, module in self._shared.items():
            function = torch.compile(module) if self.run.compile else module
            self._callable[name] = partial(self._call, function)

    def begin(self, index: int, fraction: float, factor: float) -> None:
        """Set the step's number, learning rates and randomness."""
        self.index, self.fraction = index, fraction
        moment = (self.run.seed, index, self.world.rank)
        self.generator.manual_seed(seed_of("task", *moment))
        torch.manual_seed(seed_of("torch", *moment))  # the engine has forked the global stream; dropout knows no other
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._base_rates[name], strict=True):
                group["lr"] = rate * factor

    @contextmanager
    def part(self, *, last: bool) -> Iterator[None]:
        """One of the parts a batch is accumulated from; processes exchange gradients in the last one only."""
        self._last = last
        with ExitStack() as stack:
            for module in self._shared.values():
                if hasattr(module, "set_requires_gradient_sync"):
                    module.set_requires_gradient_sync(last)  # type: ignore[operator]
                elif hasattr(module, "no_sync") and not last:
                    stack.enter_context(module.no_sync())  # type: ignore[operator]
            yield

    def means(self) -> dict[str, float]:
        """The means of what was recorded since the last call, over all processes."""
        names = sorted(self._sums)
        means = self.world.mean([float(self._sums[name]) / self._counts[name] for name in names])
        self._sums, self._counts = {}, {}
        return dict(zip(names, means, strict=True))

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any network
        with self.arithmetic():
            return function(*args, **kwargs)

    # ---- what a checkpoint keeps

    def running(self) -> dict[str, Any]:
        """Sums since the last log line."""
        return {name: [float(total), self._counts[name]] for name, total in self._sums.items()}

    def restore_running(self, running: Mapping[str, Any]) -> None:
        """Go on from the sums of a checkpoint."""
        self._sums = {name: torch.tensor(total, device=self.world.device) for name, (total, _) in running.items()}
        self._counts = {name: count for name, (_, count) in running.items()}


def compute_twice(module: nn.Module) -> None:
    """Let the blocks of a network keep their inputs only, and compute the rest again in the backward pass."""
    for block in blocks_of(module):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on every part, the same in every process and version."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
