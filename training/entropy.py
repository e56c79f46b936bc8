"""Fit a model's entropy tables: `python -m training.entropy --model NAME --data PATH... [--held-out PATH...]`.

Tokenizes the pictures, each as it is and once more mirrored and cut into other patches, counts codewords for the
static model, trains the context model and writes `entropy.safetensors` beside the weights, or into `--out`. On one core
of a CPU: 1,000 pictures of 300 × 300 pixels take two minutes to tokenize, 4,000 steps about four minutes. Files coded
with the tables that lay there before cannot be decoded afterwards. `--set steps=8000 hidden=256` changes the context
model.
"""

from training.arguments import parser, shared, start
from workbench.fit.entropy.launch import EntropyPlan
from workbench.fit.entropy.tables import MODELS


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and fit."""
    options = parser("entropy", __doc__)
    options.add_argument("--model", required=True, metavar="NAME", help="a bundled name or a model's folder")
    options.add_argument("--only", choices=MODELS, help="fit this one model; both by default")
    options.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth training picture")
    options.add_argument("--steps", type=int, metavar="N", help="the same as --set steps=N")
    options.add_argument("--hidden", type=int, metavar="N", help="the same as --set hidden=N")
    chosen = options.parse_args(arguments)
    chosen.set += [f"{key}={vars(chosen)[key]}" for key in ("steps", "hidden") if vars(chosen)[key] is not None]
    given = shared(chosen, options.prog, arguments)
    start(EntropyPlan(model=chosen.model, only=chosen.only, every=chosen.every, **given))


if __name__ == "__main__":
    main()
