"""Train the small feature network: `python -m training.features --set-of CLASSES PATH... --held-out PATH...`.

Each `--set-of` opens one labelled set: its class names, comma-separated and in label order, then folders or shards.
`--held-out` takes one shard or folder for each set, in the same order. The network lands in `--out`/model.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import override, to_mapping
from workbench.fit.features import FeatureRecipe, FeatureTask
from workbench.images.crops import CropSampler, Pictures, load_pictures
from workbench.images.sources import open_source


def joined(sets: list[list[str]], side: int | None) -> Pictures:
    """Pictures of several labelled sets, their classes one after the other."""
    images, labels, keys, names = [], [], [], []
    for classes, *paths in sets:
        own = classes.split(",")
        pictures = load_pictures(open_source(paths, class_names=own), square=side)
        images += pictures.images
        keys += pictures.keys
        labels.append(pictures.labels + len(names))
        names += own
    return Pictures(images, np.concatenate(labels), keys, names)


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set-of", nargs="+", action="append", required=True, metavar="CLASSES PATH")
    parser.add_argument("--held-out", nargs="+", required=True, metavar="PATH")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--out", type=Path, default=Path("runs/leaf"))
    arguments = parser.parse_args()

    recipe = override(FeatureRecipe(), arguments.set)
    train = joined(arguments.set_of, None)
    held_out = joined([[s[0], path] for s, path in zip(arguments.set_of, arguments.held_out, strict=True)], 128)
    task = FeatureTask(recipe, classes=list(train.class_names), held_out=held_out)
    batches = CropSampler(train.images, recipe.side, recipe.run.batch_size, recipe.run.seed, labels=train.labels)
    with tqdm(total=100, unit="%", desc=recipe.name) as bar:

        def show(fraction: float, message: str) -> None:
            bar.n = round(100 * fraction, 1)
            bar.set_postfix_str(message)

        outcome = fit(task, batches, recipe.run, out=arguments.out, config=to_mapping(recipe), progress=show)
    task.network.eval().save_pretrained(arguments.out / "model")
    print(f"{outcome.reason} after {outcome.step} steps: {dict(outcome.scores)}")
    raise SystemExit(outcome.exit_code)


if __name__ == "__main__":
    main()
