"""Λ24-SQ workbench: images through the 196,560 words of the Leech lattice.

Five nouns: a *code* is a finite set of points, a *quantizer* sends a vector to an index and back, a *tokenizer*
sends an image to indices and back, a *generator* is a probability over token grids, a *codec* sends indices to bytes.
Public names load on first use, so that `import workbench` costs nothing.
"""

from importlib import import_module

from workbench.moved import install

install()

__version__ = "0.1.0"

_HOMES = {
    "Code": "workbench.lattices.code",
    "Quantizer": "workbench.quantizers.quantizer",
    "Tokenizer": "workbench.models.tokenizer",
    "WorkbenchError": "workbench.errors",
    "make_code": "workbench.lattices.codes.registry",
    "make_quantizer": "workbench.quantizers.registry",
    "nearest": "workbench.lattices.search.nearest",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
