"""The training engine: one loop for every task, exact across interruptions.

The engine knows budgets, schedules, checkpoints, logs and processes. It knows nothing of images, tokens or losses:
those are a :class:`Task`, which it hands one batch a step. Batch i, the random numbers of step i and everything that
step i changes are functions of the checkpoint and of i, so a run that was killed and resumed a hundred times has the
loss curve of one that never was (bit for bit on a CPU with one process).

    runs/NAME/   run.json   log.jsonl   lock   previews/step_00001000.png   checkpoints/step_00001000/
"""

__all__ = ["Outcome", "Task", "fit"]

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench import atomic
from workbench.errors import ImageError, InputError, TrainingError
from workbench.fit.engine.batches import Batch, Batches, on_device, slices
from workbench.fit.engine.distributed import World
from workbench.fit.engine.ema import Average
from workbench.fit.engine.guard import Guard
from workbench.fit.engine.journal import Journal
from workbench.fit.engine.lock import locked
from workbench.fit.engine.manager import Keeper
from workbench.fit.engine.meter import Meter
from workbench.fit.engine.schedule import rate_factor
from workbench.fit.engine.settings import Run
from workbench.fit.engine.state import State
from workbench.fit.engine.step import Step
from workbench.images.files import write_png
from workbench.progress import Progress, no_progress


class Task(Protocol):
    """What is trained; plain attributes will do for the properties."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The networks by name; all their weights and persistent buffers go into checkpoints."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """Names of those whose running average is kept, used to evaluate, and given out."""
        ...

    @property
    def sharded(self) -> tuple[str, ...]:
        """Names of those large enough to be sharded by `parallel=fsdp`."""
        ...

    @property
    def best(self) -> tuple[str, Literal["max", "min"]] | None:
        """Which score of :meth:`evaluate` picks the best checkpoint, and whether more or less of it is better."""
        ...

    @property
    def unit(self) -> str:
        """What a sample is called, in the plural."""
        ...

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Make the optimisers, with their peak learning rates."""
        ...

    def step(self, batch: Batch, engine: Step) -> Mapping[str, Tensor]:
        """Train on one batch through `engine.update`; return scalars for the log, one of them `loss`."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Scores of the networks as they are now."""
        ...

    def preview(self) -> np.ndarray | None:
        """A picture of what the networks do now, uint8 (H, W, 3)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: Steps done in all.
        seconds: Running time in all, interruptions not counted.
        reason: `done`; `stopped` by the caller; or the name of a signal.
        scores: The last evaluation.
        skipped: Bad batches.
        checkpoint: The last checkpoint.
    """

    step: int
    seconds: float
    reason: str
    checkpoint: Path
    scores: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 128 plus the number of the signal that ended the run."""
        return 0 if self.reason in ("done", "stopped") else 128 + signal.Signals[self.reason]


def fit(
    task: Task,
    batches: Batches,
    run: Run,
    *,
    out: Path,
    world: World | None = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train until the budget is spent, going on from the newest whole checkpoint in `out` if there is one.

    On return, for whatever reason, everything is saved and the averaged networks hold their averaged weights.

    Args:
        task: What is trained; its networks are moved to the device.
        batches: Where batches come from, beginning at the step that the run goes on from.
        run: The settings.
        out: The run's folder, used by one run at a time.
        world: The processes; None for this one alone, on the CPU.
        config: The whole configuration, kept beside the weights to say how they were made.
        progress: Told the share of the budget spent and a line of text, a few times a second.
        stop: Asked before every step; True saves and ends the run.

    Raises:
        InputError: if the batch does not divide among processes and parts.
        TrainingError: if the folder is in use, no checkpoint is whole, the disk is full, or too many batches were bad.
    """
    world, config = world or World(), dict(config or {})
    if run.batch_size % (world.size * run.accumulate):
        raise InputError(
            f"batch_size={run.batch_size} does not divide among {world.size} processes × {run.accumulate} parts"
        )
    with ExitStack() as stack:
        # 1) Sole owner of the folder, of the signals and of a random stream of its own.
        if world.first:
            stack.enter_context(locked(out))
        signals = stack.enter_context(_signals())
        stack.enter_context(torch.random.fork_rng([world.device] if world.device.type == "cuda" else []))

        # 2) Networks, optimisers and averages, as new or as they were when last saved.
        for module in task.modules.values():
            module.to(world.device).train()
        guard = Guard(run.spike)
        step = Step(run, world, guard)
        step.prepare(task)
        averaged = {name: task.modules[name] for name in task.averaged}
        average = None if run.average_decay is None else Average(averaged, run.average_decay)
        state = State(task.modules, step, average, guard)
        keeper = Keeper(out, run, world, config)
        keeper.resume(state)
        record = _Record(out, run, world, state, resumed_from=keeper.saved, config=config)
        stack.callback(record.close)
        meter = Meter(run.batch_size, task.unit, progress)
        stream = batches.stream(state.index, part=world.rank, parts=world.size)
        began, before, first = time.monotonic(), state.seconds, True

        while True:
            # 3) Once in a while: save, or stop.
            state.seconds = before + time.monotonic() - began
            spent = state.index / run.steps if run.steps else state.seconds / (60 * (run.minutes or 1))
            spent, due, killed, stopped = world.largest(
                [spent * world.first, keeper.due * world.first, signals[0] if signals else 0, stop()]
            )
            if due or (run.save_every and state.index and state.index % run.save_every == 0):
                keeper.save(state)
            if spent >= 1 or killed or stopped:
                break

            # 4) One step.
            factor = rate_factor(run, step=state.index, fraction=spent)
            step.begin(state.index, spent, factor)
            batch = on_device(next(stream), world.device)
            for number, part in enumerate(slices(batch, run.accumulate), start=1):
                with step.part(last=number == run.accumulate):
                    for name, value in task.step(part, step).items():
                        step.record(name, value)
            state.index += 1
            if first:  # it compiled kernels and filled caches, which no budget in minutes should pay for
                began, first = time.monotonic(), False
            if average:
                average.update(state.index)

            # 5) Look, log, and stop a run that is ill.
            if guard.strikes > run.max_strikes:
                guard.strikes = 0.0  # whoever resumes after a change gets a fresh count
                keeper.save(state)
                raise TrainingError(
                    f"stopped at step {state.index}: {guard.skipped} batches gave gradients that were not finite or "
                    f"over {run.spike} times the usual. The last good weights are in {keeper.saved}; lower the "
                    "learning rate, lengthen the warm-up, or look at the data"
                )
            meter.step(state.index, spent, guard.skipped)
            if state.index % run.log_every == 0:
                means = step.means()
                meter.loss = means.get("loss")
                speed = {"seconds": round(state.seconds, 1), f"{task.unit}_per_second": meter.lap(state.index)}
                record.line({**means, "rate": factor, "skipped": guard.skipped, **speed})
            if run.evaluate_every and state.index % run.evaluate_every == 0:
                if _evaluate(task, state, record) and run.keep_best:
                    keeper.save(state)

        # 6) What a finished run gives out.
        reason = signal.Signals(int(killed)).name if killed else "done" if spent >= 1 else "stopped"
        if reason == "done" and state.scored != state.index:
            _evaluate(task, state, record)
        saved = keeper.save(state)
        if average:
            average.apply()
        return Outcome(state.index, state.seconds, reason, saved, state.scores, guard.skipped)


def _evaluate(task: Task, state: State, record: "_Record") -> bool:
    """Score the averaged weights and take a picture; returns whether the score is the best so far."""
    with state.average.swapped() if state.average else nullcontext(), torch.no_grad():
        for module in task.modules.values():
            module.eval()
        state.scored = state.index
        state.scores = {name: float(value) for name, value in task.evaluate().items()}
        picture = task.preview()
        for module in task.modules.values():
            module.train()
    if state.scores:
        record.line({"evaluation": state.scores})
    record.picture(picture)
    if task.best is None or task.best[0] not in state.scores:
        return False
    value, sign = state.scores[task.best[0]], 1 if task.best[1] == "max" else -1
    if state.best is not None and not sign * value > sign * state.best["value"]:
        return False
    state.best = {"step": state.index, "value": value}
    return True


class _Record:
    """Log, pictures and configuration in the run's folder, written by the first process alone."""

    def __init__(
        self, out: Path, run: Run, world: World, state: State, *, resumed_from: Path | None, config: Mapping[str, Any]
    ) -> None:
        self.out, self.state = out, state
        self.journal: Journal | None = None
        if world.first:
            with self._writing():
                atomic.write_text(out / "run.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
                self.journal = Journal(out, step=state.index, tensorboard=run.tensorboard)
            self.line({"event": f"resumed from {resumed_from.name}" if resumed_from else "started"})

    def close(self) -> None:
        if self.journal:
            self.journal.close()

    def line(self, values: Mapping[str, Any]) -> None:
        if self.journal:
            with self._writing():
                self.journal.line(self.state.index, values)

    def picture(self, picture: np.ndarray | None) -> None:
        if self.journal and picture is not None:
            with self._writing():
                write_png(picture, self.out / "previews" / f"step_{self.state.index:08d}.png", force=True)
                self.journal.picture(self.state.index, picture)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImageError) as error:
            raise TrainingError(
                f"stopped at step {self.state.index}: cannot write into {self.out} ({error}). Make room; "
                "the run goes on from its newest checkpoint"
            ) from error


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them; a second one has its usual effect."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may handle signals
        return

    def catch(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        caught.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
