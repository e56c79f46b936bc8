"""Fit a model's entropy tables: `python -m training.entropy --model NAME --data PATH... [--held-out PATH...]`.

Tokenizes the pictures, each as it is and once more mirrored and cut into other patches, counts codewords for the
static model, trains the context model and writes `entropy.safetensors` beside the weights. On one core of a CPU: 1,000
pictures of 300 × 300 pixels take two minutes to tokenize, 4,000 steps about four minutes. Files coded with the tables
that lay there before cannot be decoded afterwards.
"""

import argparse
import itertools
import math
from pathlib import Path

from workbench import hub
from workbench.cli import progress_bar
from workbench.coding.tables import make_entropy_model, save_tables
from workbench.fit.entropy.network import EntropySettings
from workbench.fit.entropy.tables import MODELS, fit_tables, tokens_of, with_mirrored
from workbench.images.sources import open_source
from workbench.models.grid_tokenizer import GridTokenizer


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, fit, write and say what came of it."""
    defaults = EntropySettings()
    parser = argparse.ArgumentParser(prog="python -m training.entropy", description=__doc__)
    parser.add_argument("--model", required=True, metavar="NAME", help="a bundled name or a model's folder")
    parser.add_argument("--data", nargs="+", required=True, metavar="PATH", help="pictures, folders or shards")
    parser.add_argument("--held-out", nargs="+", default=[], metavar="PATH", help="pictures to report code lengths on")
    parser.add_argument("--only", choices=MODELS, help="fit this one model; both by default")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth training picture")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--hidden", type=int, default=defaults.hidden)
    chosen = parser.parse_args(arguments)

    folder = hub.resolve(chosen.model)
    tokenizer = GridTokenizer.from_pretrained(chosen.model)
    images = itertools.islice((sample.image for sample in open_source(chosen.data)), 0, None, chosen.every)
    grids = list(tokens_of(tokenizer, with_mirrored(images)))
    pictures = (
        f"{len(grids):,} pictures of {', '.join(Path(path).name for path in chosen.data)}, mirrored ones among them"
    )
    print(f"{pictures}: {sum(grid.size for grid in grids):,} tokens")
    with progress_bar("Fitting") as progress:
        settings = EntropySettings(steps=chosen.steps, hidden=chosen.hidden)
        models = MODELS if chosen.only is None else (chosen.only,)
        tables = fit_tables(tokenizer, grids, models=models, pictures=pictures, settings=settings, progress=progress)
    path = save_tables(tables, Path(folder))
    print(f"wrote {path}: {path.stat().st_size:,} bytes")
    if not chosen.held_out:
        return
    held_out = list(tokens_of(tokenizer, (sample.image for sample in open_source(chosen.held_out))))
    tokens = sum(grid.size for grid in held_out)
    size, code = tokenizer.words, getattr(tokenizer.quantizer.stages[0], "code", None)
    for name in tables.names:
        model = make_entropy_model(name, size=size, code=code, tables=tables)
        bits = sum(model.bits(grid) for grid in held_out) / tokens
        print(f"held out, {name}: {bits:.3f} bits a token, {bits / math.log2(size):.3f} of fixed")


if __name__ == "__main__":
    main()
