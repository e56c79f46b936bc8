"""Train a generator: `python -m training.generator --recipe NAME --tokenizer NAME --data PATH... [--set key=value]...`.

Tokens are made once and kept in the run's folder. Run it again to go on where it stopped; `torchrun --nproc-per-node N
-m training.generator ...` runs it on N devices. `--dry-run` needs no data, and takes the recipe of a tokenizer for one.
"""

from training.arguments import parser, shared, start
from workbench.fit.generator.launch import GeneratorPlan


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and train."""
    options = parser("generator", __doc__)
    options.add_argument("--recipe", default="generator-smoke", metavar="NAME", help="of fit.generator.recipes")
    options.add_argument("--tokenizer", required=True, metavar="MODEL", help="a multi-scale tokenizer")
    options.add_argument("--init-from", metavar="MODEL", help="begin from the weights of a generator")
    options.add_argument("--device", help="cpu, cuda or mps; the best there is by default")
    options.add_argument("--dry-run", action="store_true", help="take a few steps and say what the run would cost")
    chosen = options.parse_args(arguments)
    given = shared(chosen, options.prog, arguments)
    plan = GeneratorPlan(recipe=chosen.recipe, tokenizer=chosen.tokenizer, init_from=chosen.init_from, **given)
    start(plan, device=chosen.device, dry_run=chosen.dry_run)


if __name__ == "__main__":
    main()
