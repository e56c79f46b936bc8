"""Options that several measurements share."""

__all__ = ["Download", "FeatureNames"]

from typing import Annotated

import typer

FeatureNames = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        metavar="leaf|PATH|inception[=PATH]",
        help="Feature network; again for more. PATH: SqueezeNet 1.1 as .safetensors. Default: leaf.",
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch Inception's published weights (92 MB) where they are not at hand.")
]
