"""From a real vector to an index and back, with a gradient."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.quantizers.composite import (
        ProductQuantizer as ProductQuantizer,
        ResidualQuantizer as ResidualQuantizer,
    )
    from workbench.quantizers.foreign import ForeignQuantizer as ForeignQuantizer
    from workbench.quantizers.lattice import LatticeQuantizer as LatticeQuantizer
    from workbench.quantizers.multiscale import MultiScaleResidualQuantizer as MultiScaleResidualQuantizer
    from workbench.quantizers.quantizer import Quantizer as Quantizer, QuantizeResult as QuantizeResult
    from workbench.quantizers.registry import (
        make_quantizer as make_quantizer,
        quantizer_names as quantizer_names,
        register_quantizer as register_quantizer,
    )
    from workbench.quantizers.vq import VectorQuantizer as VectorQuantizer

lazy.show(
    globals(),
    {
        "ForeignQuantizer": "workbench.quantizers.foreign",
        "LatticeQuantizer": "workbench.quantizers.lattice",
        "MultiScaleResidualQuantizer": "workbench.quantizers.multiscale",
        "ProductQuantizer": "workbench.quantizers.composite",
        "QuantizeResult": "workbench.quantizers.quantizer",
        "Quantizer": "workbench.quantizers.quantizer",
        "ResidualQuantizer": "workbench.quantizers.composite",
        "VectorQuantizer": "workbench.quantizers.vq",
        "make_quantizer": "workbench.quantizers.registry",
        "quantizer_names": "workbench.quantizers.registry",
        "register_quantizer": "workbench.quantizers.registry",
    },
)
