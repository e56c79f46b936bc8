"""Λ24-SQ workbench: images through the 196,560 words of the Leech lattice.

Five nouns: a *code* is a finite set of points, a *quantizer* sends a vector to an index and back, a *tokenizer*
sends an image to indices and back, a *generator* is a probability over token grids, a *codec* sends indices to bytes.
Public names load on first use, so that `import workbench` costs nothing.
"""

from typing import TYPE_CHECKING

from workbench import lazy
from workbench.moved import install

if TYPE_CHECKING:
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.lattices.code import Code as Code
    from workbench.lattices.codes.registry import make_code as make_code
    from workbench.lattices.search.nearest import nearest as nearest
    from workbench.models.generator import Generator as Generator
    from workbench.models.tokenizer import Tokenizer as Tokenizer
    from workbench.quantizers.quantizer import Quantizer as Quantizer
    from workbench.quantizers.registry import make_quantizer as make_quantizer
    from workbench.tasks.compress.codec import Codec as Codec
    from workbench.tasks.verbs import (
        decode as decode,
        encode as encode,
        generate as generate,
        reconstruct as reconstruct,
    )

install()

__version__ = "0.1.0"
__all__ = ["__version__"]

lazy.show(
    globals(),
    {
        "Code": "workbench.lattices.code",
        "Codec": "workbench.tasks.compress.codec",
        "Generator": "workbench.models.generator",
        "Quantizer": "workbench.quantizers.quantizer",
        "Tokenizer": "workbench.models.tokenizer",
        "WorkbenchError": "workbench.errors",
        "decode": "workbench.tasks.verbs",
        "encode": "workbench.tasks.verbs",
        "generate": "workbench.tasks.verbs",
        "make_code": "workbench.lattices.codes.registry",
        "make_quantizer": "workbench.quantizers.registry",
        "nearest": "workbench.lattices.search.nearest",
        "reconstruct": "workbench.tasks.verbs",
    },
)
