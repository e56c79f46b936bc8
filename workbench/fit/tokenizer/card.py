"""The card of a trained model: what it is, what it was made from, how, and how well it does."""

__all__ = ["tokenizer_card"]

from collections.abc import Sequence

from workbench.fit.engine.loop import Outcome
from workbench.fit.engine.settings import flat, to_mapping
from workbench.fit.tokenizer.recipe import TokenizerRecipe
from workbench.models.tokenizer import Tokenizer


def tokenizer_card(
    tokenizer: Tokenizer,
    recipe: TokenizerRecipe,
    outcome: Outcome,
    *,
    data: Sequence[str],
    held_out: Sequence[str],
    init_from: str | None,
    command: str,
    machine: str,
) -> str:
    """The text of `README.md`.

    Args:
        tokenizer: The model.
        recipe: How it was trained.
        outcome: How the run ended.
        data: What it was trained on.
        held_out: What it was evaluated on.
        init_from: What it began from.
        command: The command that trained it.
        machine: The hardware, in words.
    """
    parameters = sum(p.numel() for p in tokenizer.parameters())
    scores = [f"| {name} | {value:.4g} |" for name, value in outcome.scores.items()] or ["| none | no held-out data |"]
    settings = [f"{key} = {value}" for key, value in flat(to_mapping(recipe)).items()]
    where = ", ".join(_names(held_out)) or "nothing held out"
    return "\n".join(
        [
            f"# {tokenizer.name}",
            "",
            f"An image tokenizer: {_rate(tokenizer)} bits per pixel; {parameters / 1e6:.2f} M parameters. "
            f"Codebook `{tokenizer.quantizer.name}`, fingerprint `{tokenizer.fingerprint[:16]}…`.",
            "",
            "## Training",
            "",
            f"- data: {', '.join(_names(data))}",
            f"- recipe: `{recipe.name}`, seed {recipe.run.seed}, begun from {init_from or 'random weights'}",
            f"- command: `{command or 'not recorded'}`",
            f"- hardware: {machine}; {outcome.seconds / 3600:.2f} hours",
            f"- {outcome.step:,} steps of {recipe.run.batch_size} images "
            f"({outcome.step * recipe.run.batch_size:,} in all), {outcome.skipped} bad batches",
            "",
            "## Scores",
            "",
            f"On {where}, at full size, through `Tokenizer.reconstruct` (clamped, rounded to uint8); `psnr` is the "
            "mean over pictures in dB, `words` and `entropy_bits` tell how the codebook is used there.",
            "",
            "| score | value |",
            "| --- | --- |",
            *scores,
            "",
            "## Limits",
            "",
            "Trained on the pictures named above and no others: fine texture, text, faces and drawings suffer first. "
            "The terms of the training pictures apply to the weights.",
            "",
            "## Settings",
            "",
            "```",
            *settings,
            "```",
            "",
        ]
    )


def _rate(tokenizer: Tokenizer) -> str:
    """What a picture costs, in words and bits per pixel."""
    about = tokenizer.describe()
    return f"{about.tokens}{'; ' if tokenizer.scales else ', '}{about.bits_per_pixel:.3f}"


def _names(paths: Sequence[str]) -> list[str]:
    """Last parts of paths: where they lay is nobody's business."""
    return [path.rstrip("/").rpartition("/")[2] or path for path in paths]
