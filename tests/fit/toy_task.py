"""A task of a few hundred weights, with dropout and its own noise, and batches made from their number alone.

`main` is a training program over it; tests run it in processes of their own, to be killed.
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.fit.engine.distributed import joined
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run, override
from workbench.fit.engine.step import seed_of


class ToyTask:
    averaged = ("net",)
    sharded = ("net",)
    best = ("error", "min")
    unit = "rows"

    def __init__(self, *, seed=0, dropout=0.2, noise=0.01, lr=1e-2, bad=(), delay=0.0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            blocks = nn.Sequential(nn.Sequential(nn.Linear(16, 16), nn.Tanh()), nn.Sequential(nn.Linear(16, 16)))
            self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 16))
            self.net.add_module("blocks", blocks)
            self.net.add_module("head", nn.Linear(16, 1))
        self.modules = {"net": self.net}
        self.lr, self.noise, self.bad, self.delay = lr, noise, set(bad), delay

    def optimizers(self):
        return {"net": torch.optim.AdamW(self.net.parameters(), lr=self.lr)}

    def step(self, batch, engine):
        if self.delay:
            time.sleep(self.delay)
        x, y = batch
        x = x + self.noise * torch.randn(x.shape, generator=engine.generator)
        loss = (engine.network("net")(x) - y).square().mean()
        if engine.index in self.bad:
            loss = loss * float("nan")
        engine.update("net", loss)
        return {"loss": loss}

    def evaluate(self):
        x, y = rows(10**6, 64)
        return {"error": (self.net(x) - y).square().mean()}

    def preview(self):
        return np.zeros((4, 4, 3), np.uint8)


def rows(number, size):
    x = torch.randn(size, 4, generator=torch.Generator().manual_seed(seed_of("rows", number)))
    return x, x.prod(1, keepdim=True)


class ToyBatches:
    def __init__(self, size=16):
        self.size = size

    def stream(self, start, *, part=0, parts=1):
        number = start
        while True:
            yield tuple(t.tensor_split(parts)[part] for t in rows(number, self.size))
            number += 1


class _Deadly:
    """Batches that kill the process before a step, the first time."""

    def __init__(self, batches, step, mark):
        self.batches, self.step, self.mark = batches, step, mark

    def stream(self, start, **parts):
        for number, batch in enumerate(self.batches.stream(start, **parts), start=start):
            if number == self.step and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), 9)
            yield batch


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--die-at", type=int, default=None, help="rank 1 kills itself once, before this step")
    parser.add_argument("--largest-file", type=int, default=None, help="bytes, as if the disk were full beyond")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    torch.set_num_threads(1)
    if options.largest_file:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (options.largest_file, options.largest_file))
    run = override(Run(steps=60, batch_size=16, log_every=5, evaluate_every=20, warmup_steps=5), options.set)
    task = ToyTask(delay=options.delay, dropout=options.dropout, noise=options.noise)
    batches = ToyBatches(run.batch_size)
    try:
        with joined("cpu") as world:
            if options.die_at is not None and world.rank == 1:
                batches = _Deadly(batches, options.die_at, options.out / "died")
            outcome = fit(task, batches, run, out=options.out, world=world, config={"toy": True})
            sys.stdout.write(f"{outcome.reason} {outcome.step}\n")
            sys.stdout.flush()
            sys.exit(outcome.exit_code)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
