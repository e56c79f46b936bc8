"""Compare quantizers on a picture: matched tokenizers side by side, or codes alone under one encoder and decoder.

The matched tokenizers (`compare-*`) share body, data order, steps and loss; each decoder knows its own code. Swapping
the code alone keeps one encoder and one decoder: the latents are sent to the nearest codeword of another code, which
the decoder was never trained for. The first compares methods, the second shows what a code itself does to a vector.
"""

__all__ = ["CODES", "Comparison", "compare_codes", "compare_models", "matched_models", "winners"]

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import InputError, ModelError
from workbench.metrics.distortion import measure
from workbench.models.load import load_tokenizer, perceptual_distance, tokenizers
from workbench.models.tokenizer import Tokenizer, as_images
from workbench.progress import Progress, no_progress
from workbench.quantizers.registry import make_quantizer, quantizer_names
from workbench.tasks.reconstruct import reconstruct_image

# Measures of quality, and whether more of one is better. Seconds are left out, since they vary from run to run, and
# bits too: a smaller code costs less and is not better for it.
_BETTER: Mapping[str, Callable[[Iterable[float]], float]] = {
    "psnr": max, "ssim": max, "ms_ssim": max, "leaf": min,
}  # fmt: skip
_NONE = "none"  # the latents as they are, without a code

# Codes of 24 dimensions that can be put under a model of that dimension.
CODES: Mapping[str, Mapping[str, object]] = {
    "leech": {"name": "leech"},
    "leech-published": {"name": "leech-published"},
    "leech2": {"name": "leech2"},
    "leech3": {"name": "leech3"},
    "leech4": {"name": "leech4"},
    "leech-shell3": {"name": "leech-shell3"},
    "bsq": {"name": "bsq", "dimension": 24},
    "e8": {"name": "product", "parts": ["e8", "e8", "e8"]},
    "random": {"name": "random", "size": 4096, "dimension": 24},
}


@dataclass(frozen=True)
class Comparison:
    """One contestant's answer.

    Attributes:
        name: The tokenizer, or the code.
        quantizer: The quantizer's name.
        image: What came back, uint8, shape (H, W, 3).
        figures: `psnr`, `ssim`, `ms_ssim` and others by name, `tokens`, `bits`, `bpp`, `words` (distinct ones),
            `seconds`; None where a measure says nothing.
    """

    name: str
    quantizer: str
    image: np.ndarray = field(repr=False)
    figures: Mapping[str, float | int | None]

    def row(self) -> dict[str, object]:
        """Name, quantizer and figures, flat."""
        return {"name": self.name, "quantizer": self.quantizer, **self.figures}


def matched_models() -> list[str]:
    """Names of the matched tokenizers at hand, `compare-leech` first.

    Raises:
        ModelError: if there is none.
    """
    names = [entry.name for entry in tokenizers() if entry.name.startswith("compare-")]
    if not names:
        raise ModelError("no matched tokenizers are at hand: train them with python -m training.compare")
    return sorted(names, key=lambda name: (name != "compare-leech", name))


def compare_models(
    image: np.ndarray,
    names: Sequence[str],
    *,
    progress: Progress = no_progress,
) -> list[Comparison]:
    """Send one picture through several tokenizers.

    Args:
        image: uint8, shape (H, W, 3).
        names: Tokenizers.
        progress: Told the fraction done.

    Raises:
        ModelError: if one cannot be loaded.
    """
    answers = []
    for number, name in enumerate(names):
        progress(number / len(names), name)
        tokenizer = load_tokenizer(name)
        tokenizer.reconstruct(image[:64, :64])  # so that no seconds below are those of what is set up once
        result = reconstruct_image(image, tokenizer)
        figures: dict[str, float | int | None] = {
            **result.measures, "tokens": result.tokens, "bits": result.bits, "bpp": result.bits_per_pixel,
            "words": len(np.unique(result.indices)), "seconds": result.seconds,
        }  # fmt: skip
        answers.append(Comparison(name, tokenizer.quantizer.name, result.image, figures))
    progress(1.0, "done")
    return answers


@torch.inference_mode()
def compare_codes(image: np.ndarray, tokenizer: Tokenizer, codes: Sequence[str] = tuple(CODES)) -> list[Comparison]:
    """Put other codes under one tokenizer's encoder and decoder; first of all none, the latents as they are.

    Only the first listed of them may be the code that the decoder was trained for.

    Args:
        image: uint8, shape (H, W, 3).
        tokenizer: A model of a convolutional body and 24 dimensions.
        codes: Names of `CODES`, or of quantizers of 24 dimensions.

    Raises:
        InputError: if the model is of another kind, or a code is unknown.
    """
    if tokenizer.window is not None or tokenizer.scales or tokenizer.quantizer.dimension != 24:
        raise InputError(
            f"codes of 24 dimensions go under a convolutional model of 24 dimensions; {tokenizer.name!r} has "
            f"{tokenizer.quantizer.dimension}" + ("" if tokenizer.window is None else " and a window")
        )
    if unknown := set(codes) - {*CODES, *quantizer_names()}:
        raise InputError(f"unknown codes {sorted(unknown)}; known: {', '.join(CODES)}")
    height, width = image.shape[:2]
    sides = (-(-height // tokenizer.factor) * tokenizer.factor, -(-width // tokenizer.factor) * tokenizer.factor)
    padded = F.pad(as_images(image).float() / 255, (0, sides[1] - width, 0, sides[0] - height), mode="replicate")
    latents = tokenizer.encode(padded)
    points = F.normalize(latents, dim=1) * tokenizer.quantizer.scale
    distance = perceptual_distance()

    def answer(
        name: str, quantizer: str, codes: Tensor, words: int | None, bits: float | None, start: float
    ) -> Comparison:
        pixels = tokenizer.decode(codes)[0, :, :height, :width].clamp(0, 1)
        made = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        seconds = time.perf_counter() - start
        tokens = latents.shape[-2] * latents.shape[-1]
        measures, _ = measure(image, made, others={distance.name: distance.between})
        figures = {
            **measures, "tokens": tokens, "bits": None if bits is None else bits * tokens,
            "bpp": None if bits is None else bits * tokens / (height * width), "words": words, "seconds": seconds,
        }  # fmt: skip
        return Comparison(name, quantizer, made, figures)

    answers = [answer(_NONE, _NONE, points, None, None, time.perf_counter())]
    for name in codes:
        quantizer = make_quantizer(**CODES.get(name, {"name": name})).eval()  # type: ignore[arg-type]
        quantizer(latents[..., :8, :8], channel_first=True)  # so that no seconds below are those of what is set up once
        start = time.perf_counter()
        result = quantizer(latents, channel_first=True)
        unit = F.normalize(result.quantized, dim=1) * tokenizer.quantizer.scale
        indices = result.indices.reshape(latents.shape[-2] * latents.shape[-1], -1)
        words = len(torch.unique(indices, dim=0))
        answers.append(answer(name, quantizer.name, unit, words, quantizer.bits_per_index, start))
    return answers


def winners(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Name of the best contestant in each measure of quality that several can be ranked by; no code cannot be best."""
    best = {}
    for key, choose in _BETTER.items():
        known = {c.name: c.figures[key] for c in comparisons if c.name != _NONE and c.figures.get(key) is not None}
        if len(known) > 1:
            top = choose(known.values())  # type: ignore[arg-type]
            best[key] = next(name for name, value in known.items() if value == top)
    return best
