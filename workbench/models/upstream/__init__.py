"""The authors' published models under their own weights: `upstream:NAME`, or `upstream:NAME@FILE` for a file at hand.

Their checkpoint files are read once, checked and converted; afterwards a model is a directory in the cache like any
other. Nothing of theirs is run or imported.
"""

__all__ = ["PREFIX", "load_generator", "load_tokenizer"]

from workbench.models.upstream.convert import PREFIX
from workbench.models.upstream.load import load_generator, load_tokenizer
