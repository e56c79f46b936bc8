"""Mathematics only: codes, their search, their geometry, exact sums over them."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.lattices.code import Code as Code
    from workbench.lattices.codes.registry import code_names as code_names, make_code as make_code
    from workbench.lattices.search.nearest import nearest as nearest
    from workbench.lattices.search.ranking import nearest_k as nearest_k

lazy.show(
    globals(),
    {
        "Code": "workbench.lattices.code",
        "code_names": "workbench.lattices.codes.registry",
        "make_code": "workbench.lattices.codes.registry",
        "nearest": "workbench.lattices.search.nearest",
        "nearest_k": "workbench.lattices.search.ranking",
    },
)
