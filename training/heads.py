"""Compare the heads of the generator on one trunk: `python -m training.heads --data PATH... --held-out PATH...`.

Finished trainings found in `--out` are not repeated. `results.json` there holds the curve of every head, its bits a
token at the steps that the slowest head reached, and its bits at the end of everybody's time.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from workbench import atomic
from workbench.errors import InputError, WorkbenchError
from workbench.fit.engine.settings import override
from workbench.fit.generator.tokens import Tokens, tokenize_pictures
from workbench.fit.studies.heads import HEADS, STUDY, compare_heads
from workbench.models.pyramid_tokenizer import PyramidTokenizer


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", required=True, metavar="PATH")
    parser.add_argument("--held-out", nargs="+", required=True, metavar="PATH")
    parser.add_argument("--tokenizer", default="flowers-64-tokenizer", metavar="MODEL")
    parser.add_argument("--only", nargs="*", choices=HEADS, help="heads to train; all by default")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--out", type=Path, default=Path("runs/heads"))
    arguments = parser.parse_args()
    try:
        _study(arguments)
    except WorkbenchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


def _study(arguments: argparse.Namespace) -> None:
    recipe = override(STUDY, arguments.set)
    tokenizer = PyramidTokenizer.from_pretrained(arguments.tokenizer)
    out = arguments.out
    tokens = tokenize_pictures(
        arguments.data, tokenizer, out / "tokens.safetensors", classes=recipe.classes, views=recipe.views
    )
    held_out = tokenize_pictures(arguments.held_out, tokenizer, out / "held_out.safetensors", classes=recipe.classes)
    step = max(1, len(held_out.labels) // recipe.held_out_limit)  # the pictures stand by class: some of each
    held_out = Tokens(held_out.indices[::step], held_out.labels[::step])
    with tqdm(total=100, unit="%", desc="heads") as bar:

        def show(fraction: float, message: str) -> None:
            bar.n = round(100 * fraction, 1)
            bar.set_postfix_str(message)

        curves = compare_heads(
            recipe,
            heads={name: HEADS[name] for name in arguments.only or HEADS},
            tokenizer=tokenizer,
            tokens=tokens,
            held_out=held_out,
            out=out,
            progress=show,
        )
    steps = min(curve.scores[-1].step for curve in curves)
    seconds = min(curve.scores[-1].seconds for curve in curves)
    rows = {}
    for curve in curves:
        last = curve.scores[-1]
        row = {"bits_at_equal_steps": curve.at_step(steps), "bits_at_equal_time": curve.at_seconds(seconds)}
        rows[curve.name] = row | {"seconds_a_step": last.seconds / last.step, **asdict(curve)}
        print(f"{curve.name:24s} {row['bits_at_equal_steps']:7.2f} {row['bits_at_equal_time']:7.2f} bits a token")
    report = {"steps": steps, "seconds": seconds, "heads": rows}
    atomic.write_text(out / "results.json", json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
