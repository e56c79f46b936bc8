"""From the names of the published state dictionaries to ours: every key is mapped, none is missing, none left over.

Each table holds patterns and replacements that are applied in order. What a table does not know stays as it is, and
then fails the comparison with the names that the network expects, under its published name.
Three kinds of entries are checked and dropped, because they are known without the file: the codebook, which is compared
row by row with ours; its alias; and the key bias of attention, which is zero. Where our numbers are defined otherwise,
:func:`adapted` says how.
"""

__all__ = ["GENERATOR", "TOKENIZER", "VIT", "adapted", "check_codebook", "map_weights", "our_names"]

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.errors import ModelError
from workbench.lattices.code import Code

Table = Sequence[tuple[str, str]]

TOKENIZER: Table = (
    (r"^(encoder|decoder)\.(?:down|up)\.(\d+)\.block\.(\d+)\.", r"\1.levels.\2.blocks.\3."),
    (r"^(encoder|decoder)\.(?:down|up)\.(\d+)\.(?:down|up)sample\.conv\.(?:conv\.)?", r"\1.levels.\2.change."),
    (r"\.mid\.block_1\.", r".middle.0."),
    (r"\.mid\.block_2\.", r".middle.1."),
    (r"\.nin_shortcut\.(?:conv\.)?", r".shortcut."),
    (r"\.(conv1|conv2|conv_in|conv_out)\.conv\.", r".\1."),
    (r"\.(norm1|norm2|norm_out)\.norm\.", r".\1."),
)

GENERATOR: Table = (
    (r"^pos_start$", r"start"),
    (r"^class_emb\.", r"class_vectors."),
    (r"^lvl_embed\.", r"levels."),
    (r"^word_embed\.", r"embed."),
    (r"^shared_ada_lin\.1\.", r"trunk.shared."),
    (r"^head_nm\.ada_lin\.1\.", r"trunk.final."),
    (r"^blocks\.", r"trunk.blocks."),
    (r"\.ada_gss$", r".offset"),
    (r"\.ada_lin\.1\.", r".modulation."),
    (r"\.attn\.mat_qkv\.", r".qkv."),
    (r"\.attn\.proj\.", r".proj."),
    (r"\.attn\.scale_mul_1H11$", r".sharpness"),
    (r"\.attn\.([qv]_bias)$", r".\1"),
    (r"\.ffn\.(fc[12])\.", r".\1."),
)

VIT: Table = (
    (r"^encoder\.conv1\.", r"encoder.embed."),
    (r"^quant_embed\.", r"encoder.head."),
    (r"^post_quant_embed\.", r"decoder.embed."),
    (r"^decoder\.ffn\.0\.", r"decoder.head.0."),
    (r"^decoder\.conv_out\.", r"decoder.head.2."),
    (r"^(encoder|decoder)\.positional_embedding$", r"\1.trunk.positions"),
    (r"^(encoder|decoder)\.ln_pre\.", r"\1.trunk.norm_in."),
    (r"^(encoder|decoder)\.ln_post\.", r"\1.trunk.norm_out."),
    (r"^(encoder|decoder)\.transformer\.resblocks\.", r"\1.trunk.blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_(weight|bias)$", r".qkv.\1"),
    (r"\.attn\.out_proj\.", r".out."),
    (r"\.mlp\.c_fc\.", r".mlp.0."),
    (r"\.mlp\.c_proj\.", r".mlp.2."),
)

_CODEBOOKS = {
    "quantizer.lfq.embedding.weight",
    "quantize.lfq.embedding.weight",
    "quantize.embedding.weight",
}
_NO_BIAS = ".attn.zero_k_bias"
_CHUNKED = re.compile(r"^block_chunks\.(\d+)\.module\.(\d+)\.")


def map_weights(
    state: Mapping[str, Tensor], table: Table, expected: Mapping[str, Tensor], code: Code, path: Path
) -> dict[str, Tensor]:
    """Return the weights under our names and in our shapes.

    Args:
        state: Weights under the published names.
        table: How names are changed.
        expected: Our names with tensors of the right shapes (they may be on the meta device).
        code: The codebook that the model was trained with; the one in the file, if any, must be the same.
        path: The file, for messages.

    Raises:
        ModelError: if a key is missing, left over or there twice, a shape does not fit, a number is not finite, or the
            codebook is another one.
    """
    found: dict[str, Tensor] = {}
    for key, name in our_names(state, table).items():
        value = state[key]
        if name is None:
            _check_known(key, value, code, path)
        elif name in found:
            raise ModelError(f"{path}: {key!r} is there twice under different names, as {name!r} here")
        elif name not in expected:
            raise ModelError(f"{path}: {key!r} (here {name!r}) belongs to no part of this network")
        else:
            found[name] = _fitted(adapted(key, value, len(expected[name])), expected[name], f"{path}: {key!r}")
    missing = sorted(expected.keys() - found.keys())
    if missing:
        raise ModelError(f"{path} lacks {len(missing)} tensors, among them what is here {', '.join(missing[:3])}")
    return found


def adapted(key: str, value: Tensor, length: int) -> Tensor:
    """The numbers of a published tensor as our networks define them.

    Our gates are 1 + γ, theirs are γ: a third of the modulation's biases is lowered by 1. A table of modulations stands
    in one row. Levels come with rows for scales that the model does not have, and which no training has reached.

    Args:
        key: Its published name.
        value: It.
        length: How many rows ours has.
    """
    if key == "lvl_embed.weight":
        return value[:length]
    if key.startswith("block") and key.endswith((".ada_gss", ".ada_lin.1.bias")):
        value = value.detach().reshape(-1).clone()
        value[: len(value) // 3] -= 1
    return value


def our_names(published: Iterable[str], table: Table) -> dict[str, str | None]:
    """Return our name for each published one; None for what is known without the file."""
    published = list(published)
    places = [match for match in map(_CHUNKED.match, published) if match]
    chunk = 1 + max((int(match[2]) for match in places), default=0)  # blocks are numbered chunk by chunk
    names: dict[str, str | None] = {}
    for key in published:
        name = _CHUNKED.sub(lambda m: f"blocks.{chunk * int(m[1]) + int(m[2])}.", key)
        for pattern, replacement in table:
            name = re.sub(pattern, replacement, name)
        names[key] = None if key in _CODEBOOKS or key.endswith(_NO_BIAS) else name
    return names


def check_codebook(table: Tensor, code: Code, what: str) -> None:
    """Compare the codebook in a file with ours, row by row.

    Raises:
        ModelError: if the shape or a row differs, naming the first such row.
    """
    if tuple(table.shape) != (code.size, code.dimension):
        raise ModelError(
            f"{what} has shape {tuple(table.shape)}, codebook {code.name!r} is {code.size}×{code.dimension}"
        )
    # Their integers, whatever the last bit of their floats: an order or a code that differs is off by 1 or more.
    scaled = table.detach().float() * code.scale
    wrong = ((scaled - torch.tensor(code.integers)).abs() > 0.02).any(dim=1) | ~scaled.isfinite().all(dim=1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ModelError(
            f"{what} is not codebook {code.name!r}: {int(wrong.sum())} rows differ, the first is row {row}; "
            "its indices would mean other words"
        )


def _check_known(key: str, value: Tensor, code: Code, path: Path) -> None:
    if key in _CODEBOOKS:
        check_codebook(value, code, f"{path}: {key}")
    elif bool(value.any()):
        raise ModelError(f"{path}: {key!r} must be zero, the network has no key bias")


def _fitted(value: Tensor, expected: Tensor, what: str) -> Tensor:
    """The tensor in our shape, which may differ from theirs by sides of 1 only."""
    if [n for n in value.shape if n != 1] != [n for n in expected.shape if n != 1]:
        raise ModelError(f"{what} has shape {tuple(value.shape)}, expected {tuple(expected.shape)} up to sides of 1")
    if not value.is_floating_point():
        raise ModelError(f"{what} is {value.dtype}, expected floats")
    if not bool(value.isfinite().all()):
        raise ModelError(f"{what} holds {int((~value.isfinite()).sum())} numbers that are not finite")
    return value.detach().reshape(expected.shape)
