"""The authors' published models under their own weights: `upstream:NAME`, or `upstream:NAME@FILE` for a file at hand.

Their checkpoint files are read once, checked and converted; afterwards a model is a directory in the cache like any
other, which the lists of the app and of `workbench models` show. Nothing of theirs is run or imported.

    workbench reconstruct --model upstream:infinity_l24_stage1_xl@model_step_499999.ckpt photo.jpg
"""

__all__ = ["directory"]

from workbench.models.upstream.convert import directory
