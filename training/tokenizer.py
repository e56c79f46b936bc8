"""Train a tokenizer: `python -m training.tokenizer --recipe NAME --data PATH... [--set key=value]...`.

Run it again to go on where it stopped; `torchrun --nproc-per-node N -m training.tokenizer ...` runs it on N devices.
"""

import argparse
import shlex
import sys

from workbench.cli.fit import train


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(prog="python -m training.tokenizer", description=__doc__)
    parser.add_argument("--recipe", default="smoke", metavar="NAME", help="a recipe of workbench.fit.tokenizer.recipes")
    parser.add_argument("--data", nargs="+", action="extend", required=True, metavar="PATH", help="folders or shards")
    parser.add_argument("--held-out", nargs="+", action="extend", default=[], metavar="PATH", help="to evaluate on")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--init-from", metavar="MODEL", help="begin from the weights of a model")
    parser.add_argument("--out", metavar="DIR", help="the run's folder, runs/NAME by default")
    parser.add_argument("--device", help="cpu, cuda or mps; the best there is by default")
    parser.add_argument("--dry-run", action="store_true", help="take a few steps and say what the run would cost")
    chosen = parser.parse_args(arguments)
    from workbench.fit.plan import Plan

    plan = Plan(
        task="tokenizer",
        recipe=chosen.recipe,
        data=tuple(chosen.data),
        held_out=tuple(chosen.held_out),
        set=tuple(chosen.set),
        init_from=chosen.init_from,
        out=chosen.out,
        command=shlex.join(["python", "-m", "training.tokenizer", *(arguments or sys.argv[1:])]),
    )
    sys.exit(train(plan, device=chosen.device, dry_run=chosen.dry_run))


if __name__ == "__main__":
    main()
