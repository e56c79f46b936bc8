"""One picture as a .leech file and, at the same size, as the files that people use; and their curves through it.

`at equal size` means: for every other codec the largest file that is no larger than ours. Where it has none so small,
its smallest is shown, and says so.
"""

__all__ = [
    "COLOURS",
    "CURVE_SETTINGS",
    "AtSize",
    "PictureCurve",
    "compare_at_size",
    "curve_plot",
    "our_curve",
    "picture_curves",
]

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from workbench.metrics.distortion import psnr
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec
from workbench.tasks.compress.picture import TRADE, Compressed, compress_image, decompress_image
from workbench.tasks.evaluate.baselines import Baseline, baselines, encode_to_size
from workbench.tasks.evaluate.rate_distortion import OURS
from workbench.tasks.plots.figures import ACCENT, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


COLOURS = MappingProxyType(
    {"JPEG": "#d98e1c", "JPEG 2000": "#9aa0b5", "WebP": "#2a9d8f", "AVIF": "#c0567f", "JPEG XL": "#8a63c9"}
)
CURVE_SETTINGS = 4  # points of a curve through one picture: enough to see it, quick enough to wait for


@dataclass(frozen=True)
class AtSize:
    """What one codec makes of a picture.

    Attributes:
        name: The codec.
        bytes: Size of the file.
        bits_per_pixel: All of its bits over pixels.
        psnr: In dB; infinite where nothing is lost.
        fits: Whether the file is no larger than ours.
        image: The picture that comes back, uint8, shape (H, W, 3).
    """

    name: str
    bytes: int
    bits_per_pixel: float
    psnr: float
    fits: bool
    image: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PictureCurve:
    """A codec's rate and quality on one picture.

    Attributes:
        name: The codec.
        bits_per_pixel: Growing.
        psnr: In dB, one for each rate.
    """

    name: str
    bits_per_pixel: Sequence[float]
    psnr: Sequence[float]


def compare_at_size(
    image: np.ndarray,
    codec: Codec,
    *,
    entropy: str | None = None,
    effort: int = 0,
    trade: float = TRADE,
    others: Sequence[Baseline] | None = None,
    ours: Compressed | None = None,
    progress: Progress = no_progress,
) -> tuple[Compressed, list[AtSize]]:
    """Compress a picture, and compress it with other codecs to the same size.

    Args:
        image: uint8, shape (H, W, 3).
        codec: Ours.
        entropy: Its entropy model; None for the best.
        effort: Of its search for codewords, from 0 to 9.
        trade: λ of that search.
        others: What to compare with; None for all that there are.
        ours: Our file of the picture, where it is made already.
        progress: Told the fraction done and the codec at hand.

    Returns:
        Our file, and what every codec makes of the picture, ours first.

    Raises:
        InputError: if the picture or the entropy model is not accepted.
    """
    others = baselines() if others is None else others
    progress(0.0, OURS)
    if ours is None:
        ours = compress_image(image, codec, entropy=entropy, effort=effort, trade=trade)
    back = decompress_image(ours.data, codec=codec).image
    shown = [_at_size(OURS, image, ours.data, back, fits=True)]
    for number, other in enumerate(others):
        progress((number + 1) / (len(others) + 1), other.name)
        data, fits = encode_to_size(other, image, len(ours.data))
        shown.append(_at_size(other.name, image, data, other.decode(data), fits=fits))
    progress(1.0, "done")
    return ours, shown


def our_curve(
    image: np.ndarray,
    codecs: Sequence[Codec],
    *,
    entropy: str | None = None,
    effort: int = 0,
    trade: float = TRADE,
) -> PictureCurve:
    """Our own curve on one picture, through one point a codec, in their order.

    Args:
        image: uint8, shape (H, W, 3).
        codecs: One a rate.
        entropy: The entropy model; the best of a codec that has none of that name, or where it is None.
        effort: Of the search for codewords, from 0 to 9.
        trade: λ of that search.
    """
    rates, qualities = [], []
    for codec in codecs:
        known = entropy if entropy in codec.entropies else None
        data = compress_image(image, codec, entropy=known, effort=effort, trade=trade).data
        rates.append(8 * len(data) / (image.shape[0] * image.shape[1]))
        qualities.append(psnr(image, decompress_image(data, codec=codec).image))
    return PictureCurve(OURS, rates, qualities)


def picture_curves(image: np.ndarray, *, others: Sequence[Baseline] | None = None) -> list[PictureCurve]:
    """Curves of the other codecs on one picture, through their first few settings.

    Args:
        image: uint8, shape (H, W, 3).
        others: Which codecs; None for all that there are.
    """
    curves = []
    for other in baselines() if others is None else others:
        files = [other.encode(image, setting) for setting in other.sweep[:CURVE_SETTINGS]]
        rates = [8 * len(data) / (image.shape[0] * image.shape[1]) for data in files]
        curves.append(PictureCurve(other.name, rates, [psnr(image, other.decode(data)) for data in files]))
    return curves


def curve_plot(ours: PictureCurve, others: Sequence[PictureCurve], *, chosen: int = 0) -> "Figure":
    """PSNR against bits per pixel on one picture, the chosen one of our points as the largest star."""
    from plotly import graph_objects as go

    figure = go.Figure()
    point = "%{y:.2f} dB at %{x:.3f} bits per pixel"
    for curve in others:
        figure.add_scatter(
            x=list(curve.bits_per_pixel),
            y=list(curve.psnr),
            name=curve.name,
            mode="lines+markers",
            line={"color": COLOURS.get(curve.name), "width": 1.5},
            hovertemplate=point,
        )
    sizes = [18 if number == chosen else 10 for number in range(len(ours.psnr))]
    figure.add_scatter(
        x=list(ours.bits_per_pixel),
        y=list(ours.psnr),
        name=ours.name,
        mode="lines+markers",
        marker={"symbol": "star", "size": sizes, "color": ACCENT, "opacity": 1, "line": {"width": 0}},
        line={"color": ACCENT, "width": 2.5},
        hovertemplate=point,
    )
    dress(figure, title="Rate and distortion on this picture", x="bits per pixel", y="PSNR (dB)")
    return figure.update_xaxes(type="log", tickvals=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])


def _at_size(name: str, image: np.ndarray, data: bytes, back: np.ndarray, *, fits: bool) -> AtSize:
    pixels = image.shape[0] * image.shape[1]
    return AtSize(name, len(data), 8 * len(data) / pixels, psnr(image, back), fits, back)
