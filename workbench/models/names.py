"""What names and kinds stand for: a directory, a class.

A name is bundled, a directory, in the cache or on the hub (:func:`workbench.hub.resolve`), or `upstream:NAME`, which is
converted first where that has not been done. Converting builds models, and kinds of tokenizers are models: the base
classes that ask here lie below both, so these modules are imported when a name first leads to them.
"""

__all__ = ["TOKENIZERS", "directory_of", "load_kind"]

from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from workbench import hub

UPSTREAM = "upstream:"
TOKENIZERS = MappingProxyType(  # kind in a configuration → the module that defines it
    {
        "tokenizer": "workbench.models.grid_tokenizer",
        "multiscale-tokenizer": "workbench.models.pyramid_tokenizer",
    }
)
_SOURCES = MappingProxyType({UPSTREAM: "workbench.models.upstream"})


def directory_of(name: str | Path, kind: str) -> Path:
    """Return the directory, with `config.json` and `model.safetensors`, that a name stands for.

    Args:
        name: A bundled name, a directory, a name in the cache, `owner/name` on the hub, or `upstream:NAME`.
        kind: What it is to be, `tokenizer` or `generator`.

    Raises:
        ModelError: if there is none, or it cannot be had.
    """
    for prefix, module in _SOURCES.items():
        if str(name).startswith(prefix):
            return import_module(module).directory(str(name), kind)
    return hub.resolve(str(name), kind=kind)


def load_kind(kind: object) -> None:
    """Import the module that defines a kind of tokenizer, where it is one of ours."""
    if isinstance(kind, str) and kind in TOKENIZERS:
        import_module(TOKENIZERS[kind])
