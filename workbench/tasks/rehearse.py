"""Rehearsals: kernels are compiled before a clock starts, so that the seconds of a task are those of its own work.

A kernel is compiled, or loaded from disk, for the types of the arguments of its first call. So each function here makes
the calls that a task is about to make, on one point or one token, which takes milliseconds once all is compiled.
"""

__all__ = ["rehearse_coder", "rehearse_first_use", "rehearse_sampling", "rehearse_search"]

import numpy as np
import torch
from torch import nn

from workbench.coding.entropy import EntropyModel
from workbench.lattices.code import Code
from workbench.lattices.partition.best import best_codewords
from workbench.lattices.search.nearest import nearest
from workbench.lattices.search.ranking import nearest_k
from workbench.models.load import tokenizers
from workbench.tasks.compress.codec import load_codec


def rehearse_search(model: nn.Module, *, ranked: bool = False) -> None:
    """Search the nearest codeword in every code of a model, and the k nearest where `ranked` says so."""
    parameter = next(model.parameters(), torch.empty(0))
    for code in _codes(model):
        point = torch.zeros(1, code.dimension, device=parameter.device)
        nearest(point, code)
        if ranked:
            nearest_k(point, code, 1)


def rehearse_coder(model: EntropyModel, depth: int, *, candidates: bool = False) -> None:
    """Write and read a file of one token (of `depth` stages), and count the bits of others where `candidates` says."""
    token = np.zeros((depth, 1, 1), np.int64)
    model.decode(model.encode(token), token.shape)
    model.bits(token)
    if candidates:
        place, candidate = np.zeros((1, 2), np.int64), np.zeros((1, 1, depth), np.int64)
        model.token_bits(token, place, candidate)
        model.grid_bits(token, place, candidate)


def rehearse_sampling(model: nn.Module) -> None:
    """List the best codewords, as a head over the digits of a Leech code does when it draws among the likeliest."""
    for code in _codes(model):
        if code.name in ("leech", "leech-published"):
            best_codewords(torch.zeros(1, 24, 9), 1, code)


def rehearse_first_use() -> None:
    """Whatever the app and the command line do with the default model: search, rank, write a file and read it."""
    if not tokenizers():
        return
    codec = load_codec()
    rehearse_search(codec.tokenizer, ranked=True)
    for name in codec.entropies:
        rehearse_coder(codec.entropy_model(name), codec.depth, candidates=True)
    rehearse_sampling(codec.tokenizer)


def _codes(model: nn.Module) -> list[Code]:
    found = (getattr(module, "code", None) for module in model.modules())
    return list(dict.fromkeys(code for code in found if isinstance(code, Code)))
