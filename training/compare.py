"""Train the matched comparison and measure it: `python -m training.compare --data PATH... --held-out NAME=PATH...`.

Finished trainings found in `--out` are not repeated. `results.json` there holds every measure of every contestant and
seed on every held-out set, and the paired differences of each contestant of several seeds from `bsq`; the models of the
first seeds lie in `models/compare-NAME`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from workbench import hub
from workbench.images.crops import load_pictures
from workbench.images.sources import open_source
from workbench.metrics.perceptual import FeatureDistance, load_squeezenet
from workbench.models.features import FeatureNetwork
from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction
from workbench.tasks.fit.compare import CONTESTANTS, CompareRecipe, contest, paired
from workbench.tasks.fit.run import override


def figures(evaluated) -> dict[str, float]:  # noqa: ANN001 - an Evaluated
    """The measures that are compared."""
    usage = evaluated.usage
    use = {"words": usage.words, "expected_words": usage.expected_words, "entropy_bits": usage.entropy_bits}
    return {
        **evaluated.means, **evaluated.distances, "bpp": evaluated.bpp, "bpp_ideal": evaluated.bpp_ideal,
        **use, "perplexity": usage.perplexity, "expected_perplexity": usage.expected_perplexity,
    }  # fmt: skip


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", required=True, metavar="PATH")
    parser.add_argument("--held-out", nargs="+", required=True, metavar="NAME=PATH")
    parser.add_argument("--squeezenet", type=Path, help="weights of SqueezeNet 1.1, for its distances")
    parser.add_argument("--only", nargs="+", choices=sorted(CONTESTANTS), help="contestants to train")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    arguments = parser.parse_args()

    recipe = override(CompareRecipe(), arguments.set)
    chosen = {name: CONTESTANTS[name] for name in arguments.only or CONTESTANTS}
    pictures = load_pictures(open_source(arguments.data), at_least=recipe.crops.side)
    weights = [image.shape[0] * image.shape[1] for image in pictures.images]
    with tqdm(total=100, unit="%", desc="compare") as bar:

        def show(fraction: float, message: str) -> None:
            bar.n = round(100 * fraction, 1)
            bar.set_postfix_str(message)

        models = contest(recipe, pictures, out=arguments.out, contestants=chosen, weights=weights, progress=show)

    leaf = FeatureNetwork.from_pretrained("leaf")
    perceptual, spaces = [FeatureDistance(leaf, "leaf")], {"leaf": leaf}
    if arguments.squeezenet:
        squeezenet = load_squeezenet(arguments.squeezenet)
        perceptual.append(FeatureDistance(squeezenet, "squeezenet"))
        spaces["SqueezeNet"] = squeezenet
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name, tokenizers in models.items():
        tokenizers[0].save_pretrained(arguments.out / "models" / f"compare-{name}")
        for held_out in arguments.held_out:
            label, _, path = held_out.partition("=")
            rows = [
                figures(evaluate_reconstruction(model, open_source(path), perceptual=perceptual, spaces=spaces))
                for model in tokenizers
            ]
            results.setdefault(label, {})[name] = rows
            print(label, name, f"{np.mean([row['psnr'] for row in rows]):.3f} dB")

    differences = {}
    for label, table in results.items():
        for name, rows in table.items():
            if name != "bsq" and len(rows) > 1 and len(rows) == len(table.get("bsq", ())):
                differences[f"{label}: {name} - bsq"] = {
                    key: vars(paired([row[key] for row in rows], [row[key] for row in table["bsq"]])) for key in rows[0]
                }
    report = {"results": results, "differences": differences}
    hub.write_text(arguments.out / "results.json", json.dumps(report, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
