"""Networks: tokenizer, generator, heads, discriminator, and their weights."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.models.generator import Generator as Generator
    from workbench.models.grid_tokenizer import GridTokenizer as GridTokenizer
    from workbench.models.load import Pair as Pair, load_generator as load_generator, load_tokenizer as load_tokenizer
    from workbench.models.pyramid_tokenizer import PyramidTokenizer as PyramidTokenizer
    from workbench.models.sampling import Controls as Controls
    from workbench.models.tokenizer import Tokenizer as Tokenizer

lazy.show(
    globals(),
    {
        "Controls": "workbench.models.sampling",
        "Generator": "workbench.models.generator",
        "GridTokenizer": "workbench.models.grid_tokenizer",
        "Pair": "workbench.models.load",
        "PyramidTokenizer": "workbench.models.pyramid_tokenizer",
        "Tokenizer": "workbench.models.tokenizer",
        "load_generator": "workbench.models.load",
        "load_tokenizer": "workbench.models.load",
    },
)
