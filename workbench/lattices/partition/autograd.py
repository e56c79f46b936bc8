"""The context of a differentiable function, with the attributes that torch's types leave out."""

__all__ = ["Context"]

from torch import Tensor
from torch.autograd.function import FunctionCtx


class Context(FunctionCtx):
    """What torch hands to both passes of a `torch.autograd.Function`; only a type, never made here.

    Attributes:
        needs_input_grad: For each input of the forward pass, whether its gradient is wanted.
        saved_tensors: What the forward pass saved for the backward one.
    """

    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Tensor, ...]
