"""Compare the heads of the generator on one trunk: `python -m training.heads --data PATH... --held-out PATH...`.

Finished trainings found in `--out` are not repeated. `results.json` there holds the curve of every head, its bits a
token at the steps that the slowest head reached, and its bits at the end of everybody's time.
"""

from training.arguments import parser, shared, start
from workbench.fit.studies.heads import HEADS, HeadsPlan


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and run the study."""
    options = parser("heads", __doc__)
    options.add_argument("--tokenizer", default="flowers-64-tokenizer", metavar="MODEL")
    options.add_argument("--only", nargs="*", default=[], choices=HEADS, help="heads to train; all by default")
    chosen = options.parse_args(arguments)
    given = shared(chosen, options.prog, arguments)
    start(HeadsPlan(tokenizer=chosen.tokenizer, only=tuple(chosen.only), **given))


if __name__ == "__main__":
    main()
