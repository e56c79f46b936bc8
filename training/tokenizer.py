"""Train a tokenizer: `python -m training.tokenizer --recipe NAME --data PATH... [--set key=value]...`.

Run it again to go on where it stopped; `torchrun --nproc-per-node N -m training.tokenizer ...` runs it on N devices.
"""

from training.arguments import parser, shared, start
from workbench.fit.tokenizer.launch import TokenizerPlan


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and train."""
    options = parser("tokenizer", __doc__)
    options.add_argument("--recipe", default="smoke", metavar="NAME", help="of fit.tokenizer.recipes")
    options.add_argument("--init-from", metavar="MODEL", help="begin from the weights of a model")
    options.add_argument("--device", help="cpu, cuda or mps; the best there is by default")
    options.add_argument("--dry-run", action="store_true", help="take a few steps and say what the run would cost")
    chosen = options.parse_args(arguments)
    given = shared(chosen, options.prog, arguments)
    plan = TokenizerPlan(recipe=chosen.recipe, init_from=chosen.init_from, **given)
    start(plan, device=chosen.device, dry_run=chosen.dry_run)


if __name__ == "__main__":
    main()
