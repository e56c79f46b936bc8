"""Decoded words on a page: bars that can be picked, and a lens that shows the word under the pointer."""

__all__ = ["FOLLOW_POINTER", "PICK_WORD", "lens_html", "words_html"]

import base64
import io

import numpy as np
from PIL import Image

from workbench.tasks.explore.words import sheet

_COLUMNS = 100
_ZOOM = 14

# A click or Enter on a bar says which word it stands for.
PICK_WORD = """
element.addEventListener("click", (event) => {
  const bar = event.target.closest("[data-word]");
  if (!bar) return;
  for (const other of element.querySelectorAll("[data-word]")) other.setAttribute("aria-pressed", other === bar);
  trigger("select", {word: Number(bar.dataset.word)});
});
"""

# The map is drawn anew with every answer, so the pointer is followed from the page, and a map is told once.
FOLLOW_POINTER = """
document.addEventListener("mouseover", (event) => {
  const plot = event.target.closest?.("#codebook-map .js-plotly-plot");
  if (!plot || plot.followed) return;
  plot.followed = true;
  plot.on("plotly_hover", (hover) => {
    const [place, word, count] = hover.points[0].customdata;
    const lens = element.querySelector(".lens");
    if (!lens) return;
    const {columns, side} = lens.dataset;
    lens.style.backgroundPosition = `-${(place % columns) * side}px -${Math.floor(place / columns) * side}px`;
    element.querySelector(".lens-name").textContent = `word ${word.toLocaleString()}, ${count.toLocaleString()} tokens`;
  });
});
"""


def words_html(words: np.ndarray, counts: np.ndarray, tokens: int, patches: np.ndarray) -> str:
    """Bars of the most frequent words, each with the patch that it decodes to."""
    most = max(int(counts.max()), 1)
    bars = []
    for word, count, patch in zip(words.tolist(), counts.tolist(), patches, strict=True):
        bars.append(
            f'<button type="button" class="word-bar" data-word="{word}" aria-pressed="false">'
            f'<img src="{_address(patch)}" alt="word {word} decoded" width="32" height="32">'
            f'<span class="word-name">{word:,}</span>'
            f'<span class="word-track"><span class="word-fill" style="width:{100 * count / most:.1f}%"></span></span>'
            f'<span class="word-share">{count / tokens:.2%}</span></button>'
        )
    return f'<div class="word-bars">{"".join(bars)}</div>'


def lens_html(patches: np.ndarray) -> str:
    """A lens over a sheet of patches; the page moves it to the word under the pointer."""
    factor = patches.shape[1]
    side = factor * _ZOOM
    return (
        f'<div class="lens" data-columns="{_COLUMNS}" data-side="{side}" role="img" aria-label="the word pointed at" '
        f'style="width:{side}px;height:{side}px;background-image:url({_address(sheet(patches, _COLUMNS))});'
        f'background-size:{_COLUMNS * side}px auto"></div><p class="lens-name">point at a word on the map</p>'
    )


def _address(picture: np.ndarray) -> str:
    """A small picture as a PNG in a data address."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
