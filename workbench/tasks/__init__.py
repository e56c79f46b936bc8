"""The verbs: reconstruct, generate, compress, evaluate, explore, fit, bench."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.tasks.compare import compare_codes as compare_codes, compare_models as compare_models
    from workbench.tasks.compress.codec import Codec as Codec, load_codec as load_codec
    from workbench.tasks.compress.picture import compress_image as compress_image, decompress_image as decompress_image
    from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction as evaluate_reconstruction
    from workbench.tasks.reconstruct import reconstruct_image as reconstruct_image

lazy.show(
    globals(),
    {
        "Codec": "workbench.tasks.compress.codec",
        "compare_codes": "workbench.tasks.compare",
        "compare_models": "workbench.tasks.compare",
        "compress_image": "workbench.tasks.compress.picture",
        "decompress_image": "workbench.tasks.compress.picture",
        "evaluate_reconstruction": "workbench.tasks.evaluate.reconstruction",
        "load_codec": "workbench.tasks.compress.codec",
        "reconstruct_image": "workbench.tasks.reconstruct",
    },
)
