"""Train the matched comparison and measure it: `python -m training.compare --data PATH... --held-out NAME=PATH...`.

Finished trainings found in `--out` are not repeated. `results.json` there holds every measure of every contestant and
seed on every held-out set, and the paired differences of every two contestants of the same seeds; the models of the
first seeds lie in `models/compare-NAME`. `cross_entropy_bpp` is the code length under a table fitted on tokens of
training pictures, of `--table-data` where that is given; `tables` tells how many. Others can be asked in:
`--contestant 'leech-rotation={"quantizer": {"name": "leech", "estimator": "rotation"}, "seeds": [0, 1, 2]}'`.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np

from training.arguments import parser, shared
from workbench import atomic
from workbench.cli import progress_bar
from workbench.errors import InputError, WorkbenchError
from workbench.fit.engine.settings import from_mapping
from workbench.fit.studies.quantizers import CONTESTANTS, Contestant, QuantizersPlan, paired, train_contestants
from workbench.images.sources import open_source
from workbench.tasks.evaluate.fitted_table import fit_table
from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction
from workbench.tasks.evaluate.spaces import load_space


def figures(evaluated) -> dict[str, float]:  # noqa: ANN001 - an Evaluated
    """The measures that are compared."""
    usage = evaluated.usage
    use = {"words": usage.words, "expected_words": usage.expected_words, "entropy_bits": usage.entropy_bits}
    rates = ("bpp", "cross_entropy_bpp", "empirical_entropy_bpp")
    return {
        **evaluated.means, **evaluated.distances, **{name: getattr(evaluated, name) for name in rates},
        **use, "perplexity": usage.perplexity, "expected_perplexity": usage.expected_perplexity,
    }  # fmt: skip


def asked_in(text: str) -> tuple[str, Contestant]:
    """A contestant as the command line gives it: `NAME=JSON`."""
    name, _, values = text.partition("=")
    try:
        return name, from_mapping(Contestant, json.loads(values), what="key of a contestant")
    except ValueError as error:
        raise InputError(
            f'expected NAME={{"quantizer": {{"name": …}}, "seeds": [0]}}, got {text!r}: {error}'
        ) from error


def main(arguments: list[str] | None = None) -> None:
    """Run the recipe and measure."""
    options = parser("compare", __doc__)
    options.add_argument("--table-data", nargs="+", metavar="PATH", help="pictures to fit tables on; --data by default")
    options.add_argument("--squeezenet", type=Path, help="weights of SqueezeNet 1.1, for its distances")
    options.add_argument("--only", nargs="*", choices=sorted(CONTESTANTS), help="contestants to train; all by default")
    options.add_argument("--contestant", nargs="+", default=[], metavar="NAME=JSON", help="others to train besides")
    chosen = options.parse_args(arguments)
    try:
        plan = QuantizersPlan(
            only=None if chosen.only is None else tuple(chosen.only),
            contestants=dict(map(asked_in, chosen.contestant)),
            **{**shared(chosen, options.prog, arguments), "held_out": ()},
        )
        _compare(plan, chosen)
    except WorkbenchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


def _compare(plan: QuantizersPlan, arguments: argparse.Namespace) -> None:
    chosen = plan.chosen()
    with progress_bar("Training") as progress:
        models = train_contestants(plan, progress=progress)

    spaces = [load_space("leaf")]
    if arguments.squeezenet:
        spaces.append(load_space(str(arguments.squeezenet)))
    perceptual = [space.perceptual for space in spaces if space.perceptual is not None]
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    counted: dict[str, list[str]] = {}
    for name, tokenizers in models.items():
        tables = [fit_table(model, open_source(arguments.table_data or plan.data)) for model in tokenizers]
        counted[name] = [str(table.counted) for table in tables]
        for held_out in arguments.held_out:
            label, _, path = held_out.partition("=")
            rows = [
                figures(
                    evaluate_reconstruction(model, open_source(path), perceptual=perceptual, spaces=spaces, table=table)
                )
                for model, table in zip(tokenizers, tables, strict=True)
            ]
            results.setdefault(label, {})[name] = rows
            print(label, name, f"{np.mean([row['psnr'] for row in rows]):.3f} dB")

    differences = {}
    for label, table in results.items():
        several = [name for name in table if len(chosen[name].seeds) > 1]
        for one, other in itertools.combinations(several, 2):
            if chosen[one].seeds == chosen[other].seeds:
                differences[f"{label}: {one} - {other}"] = {
                    key: vars(paired(*([row[key] for row in table[name]] for name in (one, other))))
                    for key in table[one][0]
                }
    report = {"results": results, "differences": differences, "tables": counted}
    atomic.write_text(plan.folder / "results.json", json.dumps(report, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
