"""The codec: entropy models with integer frequencies, and the file format; knows no networks."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.coding.container import Container as Container, pack as pack, unpack as unpack
    from workbench.coding.context import Context as Context
    from workbench.coding.entropy import EntropyModel as EntropyModel
    from workbench.coding.fixed import Fixed as Fixed
    from workbench.coding.static import Static as Static, fit_static as fit_static
    from workbench.coding.tables import (
        Tables as Tables,
        load_tables as load_tables,
        make_entropy_model as make_entropy_model,
        save_tables as save_tables,
    )

lazy.show(
    globals(),
    {
        "Container": "workbench.coding.container",
        "Context": "workbench.coding.context",
        "EntropyModel": "workbench.coding.entropy",
        "Fixed": "workbench.coding.fixed",
        "Static": "workbench.coding.static",
        "Tables": "workbench.coding.tables",
        "fit_static": "workbench.coding.static",
        "load_tables": "workbench.coding.tables",
        "make_entropy_model": "workbench.coding.tables",
        "pack": "workbench.coding.container",
        "save_tables": "workbench.coding.tables",
        "unpack": "workbench.coding.container",
    },
)
