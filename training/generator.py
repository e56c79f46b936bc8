"""Train a generator: `python -m training.generator --recipe NAME --tokenizer NAME --data PATH... [--set key=value]...`.

Tokens are made once and kept in the run's folder. Run it again to go on where it stopped; `torchrun --nproc-per-node N
-m training.generator ...` runs it on N devices. `--dry-run` needs no data, and takes the recipe of a tokenizer for one.
"""

import argparse
import logging
import shlex
import sys
import time

from workbench.errors import InputError, WorkbenchError

_EVERY = 30.0  # seconds between lines


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(prog="python -m training.generator", description=__doc__)
    parser.add_argument("--recipe", default="generator-smoke", metavar="NAME", help="of generator_recipes")
    parser.add_argument("--tokenizer", required=True, metavar="MODEL", help="a multi-scale tokenizer")
    parser.add_argument("--data", nargs="+", action="extend", default=[], metavar="PATH", help="folders or shards")
    parser.add_argument("--held-out", nargs="+", action="extend", default=[], metavar="PATH", help="to evaluate on")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--init-from", metavar="MODEL", help="begin from the weights of a generator")
    parser.add_argument("--out", metavar="DIR", help="the run's folder, runs/NAME by default")
    parser.add_argument("--device", help="cpu, cuda or mps; the best there is by default")
    parser.add_argument("--dry-run", action="store_true", help="take a few steps and say what the run would cost")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    from workbench.fit.engine.distributed import joined
    from workbench.fit.generator.estimate import estimate_generator
    from workbench.fit.generator.launch import GeneratorPlan, launch_generator

    plan = GeneratorPlan(
        recipe=chosen.recipe,
        tokenizer=chosen.tokenizer,
        data=tuple(chosen.data),
        held_out=tuple(chosen.held_out),
        set=tuple(chosen.set),
        init_from=chosen.init_from,
        out=chosen.out,
        command=shlex.join(["python", "-m", "training.generator", *(arguments or sys.argv[1:])]),
    )
    said = -_EVERY

    def show(fraction: float, message: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _EVERY:
            said = time.monotonic()
            print(f"{100 * fraction:5.1f} %  {message}", file=sys.stderr)

    try:
        with joined(chosen.device) as world:
            if chosen.dry_run:
                cost = estimate_generator(plan, world=world)
                if world.first:
                    print("\n".join(cost.lines("images")))
                return
            outcome, model = launch_generator(plan, world=world, progress=show)
            if world.first:
                print(f"{outcome.reason} after {outcome.step} steps: {dict(outcome.scores)}\n{model}")
    except WorkbenchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    sys.exit(outcome.exit_code)


if __name__ == "__main__":
    main()
