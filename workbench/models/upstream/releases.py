"""What was published: files, and the numbers of each network.

Source: the repository zhaoyue-zephyrus/InfinityCC at c2ef999 and the weights released beside it; the ViT's numbers are
those of zhaoyue-zephyrus/bsq-vit at 37d212d, whose Λ24-SQ weights are not published. How the generators are sampled
from is in :data:`workbench.models.sampling.CONTROL_PRESETS`.
"""

__all__ = ["RELEASES", "REPOSITORY", "Release", "release", "tokenizer_settings"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import ModelError, did_you_mean
from workbench.models.generator_presets import trunk_preset
from workbench.models.presets import body_preset
from workbench.models.upstream.keys import GENERATOR, TOKENIZER, VIT, Table

REPOSITORY = "zhaoyue-zephyrus/InfinityCC_L24SQ"
CODE = "leech-published"
SCALES = (1, 2, 4, 6, 8, 12, 16)


@dataclass(frozen=True)
class Release:
    """One published model.

    Attributes:
        name: What it is called after `upstream:`.
        kind: `multiscale` and `vit` are tokenizers.
        file: Path in the repository; None where no weights are published.
        places: Keys that lead to the weights in the file, the preferred first.
        table: How its keys are called here.
        trunk: Numbers of a generator's trunk.
        tokenizer: Name of a generator's tokenizer.
    """

    name: str
    kind: Literal["multiscale", "vit", "generator"]
    file: str | None
    places: tuple[tuple[str, ...], ...]
    table: Table = field(repr=False)
    trunk: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None


_VAE = (("vae",), ("trainer", "vae_local"), ())
_GPT = (("trainer", "gpt_fsdp"), ("trainer", "gpt_wo_ddp"), ("gpt_fsdp",), ())
_TRUNK = {"positions": "corners"}
_FOLDER = "generation/infinitycc_{}/ar-ckpt-giter{}-last.pth"

RELEASES: Mapping[str, Release] = {
    entry.name: entry
    for entry in (
        Release(
            name="infinity_l24_stage1_xl",
            kind="multiscale",
            file="tokenization/infinity_l24_stage1_xl/model_step_499999.ckpt",
            places=_VAE,
            table=TOKENIZER,
        ),
        Release(
            name="infinity_l24_stage1_xl_vf",
            kind="multiscale",
            file="tokenization/infinity_l24_stage1_xl_vf/model_step_499999.ckpt",
            places=_VAE,
            table=TOKENIZER,
        ),
        Release(
            name="recon_vit_l24sq",
            kind="vit",
            file=None,
            places=(("ema_state_dict",), ("state_dict",), ()),
            table=VIT,
        ),
        Release(
            name="infinitycc-12",
            kind="generator",
            file=_FOLDER.format("12layer_256x256_l24_xl_ep50_cce_zloss_improved_schedule_dion", "031K-ep49-iter326"),
            places=_GPT,
            table=GENERATOR,
            trunk=trunk_preset("layer12") | _TRUNK,
            tokenizer="infinity_l24_stage1_xl",
        ),
        Release(
            name="infinitycc-24",
            kind="generator",
            file=_FOLDER.format(
                "24layer_256x256_l24_xl_vf_ep350_cce_zloss_improved_schedule_dion_unsharedaln", "027K-ep349-iter78"
            ),
            places=_GPT,
            table=GENERATOR,
            trunk=trunk_preset("layer24") | _TRUNK,
            tokenizer="infinity_l24_stage1_xl_vf",
        ),
    )
}


def release(name: str) -> Release:
    """Return a release by name.

    Raises:
        ModelError: if there is none of that name.
    """
    if name not in RELEASES:
        raise ModelError(did_you_mean("published model", name, RELEASES))
    return RELEASES[name]


def tokenizer_settings(entry: Release) -> dict[str, Any]:
    """What a tokenizer of this release is built from, as its configuration says it."""
    if entry.kind == "vit":
        return {"body": body_preset("vit-base-8"), "quantizer": {"name": CODE}, "name": entry.name}
    quantizer = {
        "name": "multiscale", "base": CODE, "scales": list(SCALES), "gains": [1.0] * len(SCALES),
        "up": "bilinear", "read": "bilinear",
    }  # fmt: skip
    return {"body": body_preset("f16-base"), "quantizer": quantizer, "name": entry.name}
