"""The look: paper and ink, one ultramarine accent and one of amber, in light and in dark.

Headings stand in the reader's own book face, text in IBM Plex Sans and figures in IBM Plex Mono, whose regular and bold
cuts Gradio ships whole, so nothing is fetched. The mark is an octad: 24 points on three rings, eight of them filled.
"""

__all__ = ["HEAD", "css", "header", "intro", "theme"]

import html
import math
from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

_ULTRAMARINE = colors.Color(
    name="ultramarine",
    c50="#eef0ff", c100="#e0e3ff", c200="#c5cbfe", c300="#a4adfb", c400="#7f8bf2", c500="#5463e0",
    c600="#2f3fc4", c700="#2733a3", c800="#222c83", c900="#1f2866", c950="#141a45",
)  # fmt: skip
_AMBER = colors.Color(
    name="amber",
    c50="#fff8eb", c100="#feebc8", c200="#fcd88f", c300="#f8c163", c400="#f0b252", c500="#d98e1c",
    c600="#b86a00", c700="#8f5000", c800="#6f3e00", c900="#523000", c950="#301b00",
)  # fmt: skip
_INK = colors.Color(
    name="ink",
    c50="#faf8f4", c100="#f2efe8", c200="#dedacf", c300="#c2bfb8", c400="#9ea2b8", c500="#747992",
    c600="#5a5e75", c700="#3a3f58", c800="#2c3046", c900="#191c2b", c950="#11131f",
)  # fmt: skip

# Gradio gives its pictures no alternative text; each takes the label of the block it stands in, an example the name
# of its file. The footer is out of reach of the style sheet, which Gradio keeps within the page's own parts.
HEAD = """
<meta name="description" content="Spherical Leech Quantization: tokenize pictures with the Leech lattice.">
<style>
  /* on a phone Gradio leaves out what stands before the dot */
  @media (max-width: 640px) { footer .divider { display: none !important; } }
</style>
<script>
  function nameThePictures() {
    for (const picture of document.querySelectorAll(".block img")) {
      if (!["", "image"].includes(picture.getAttribute("alt") ?? "")) continue;
      const label = picture.closest(".block")?.querySelector("label, [data-testid='block-label']");
      const file = picture.closest(".gallery-item") && picture.src.split("/").pop().replace(/\\.\\w+$/, "");
      const text = file ? "example: " + decodeURIComponent(file) : label?.textContent.trim();
      if (text) picture.alt = text;
    }
  }
  new MutationObserver(nameThePictures).observe(document.documentElement, {childList: true, subtree: true});
</script>
"""


def css() -> str:
    """The style sheet of every tab."""
    return "\n".join(Path(__file__).with_name(f"{name}.css").read_text(encoding="utf-8") for name in ("look", "viewer"))


def theme() -> gr.themes.Base:
    """The Gradio theme: sizes, fonts and the colours of Gradio's own components."""
    base = gr.themes.Base(
        primary_hue=_ULTRAMARINE,
        secondary_hue=_AMBER,
        neutral_hue=_INK,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_sm,
        font=(fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(fonts.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "Consolas", "monospace"),
    )
    return base.set(
        body_background_fill="var(--paper)",
        body_background_fill_dark="var(--paper)",
        body_text_color="var(--ink)",
        body_text_color_dark="var(--ink)",
        body_text_color_subdued="var(--faint)",
        body_text_color_subdued_dark="var(--faint)",
        background_fill_primary="var(--sheet)",
        background_fill_primary_dark="var(--sheet)",
        background_fill_secondary="var(--paper)",
        background_fill_secondary_dark="var(--paper)",
        block_background_fill="var(--sheet)",
        block_background_fill_dark="var(--sheet)",
        block_border_width="1px",
        block_border_color="var(--line)",
        block_border_color_dark="var(--line)",
        border_color_primary="var(--line)",
        border_color_primary_dark="var(--line)",
        block_shadow="none",
        block_label_background_fill="var(--sheet)",
        block_label_background_fill_dark="var(--sheet)",
        block_label_text_color="var(--faint)",
        block_label_text_color_dark="var(--faint)",
        block_label_border_color="var(--line)",
        block_label_border_color_dark="var(--line)",
        block_title_text_color="var(--ink)",
        block_title_text_color_dark="var(--ink)",
        block_title_text_weight="600",
        input_background_fill="var(--sheet)",
        input_background_fill_dark="var(--paper)",
        input_border_color="var(--line)",
        input_border_color_dark="var(--line)",
        input_border_width="1px",
        input_border_width_dark="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_large_text_weight="600",
        button_secondary_background_fill="var(--sheet)",
        button_secondary_background_fill_dark="var(--sheet)",
        button_secondary_border_color="var(--line)",
        button_secondary_border_color_dark="var(--line)",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        link_text_color="var(--accent)",
        link_text_color_dark="var(--accent)",
    )


def _mark() -> str:
    """The mark as SVG: rings of 8 points, the octad on the middle one."""
    dots = []
    for ring, (radius, size) in enumerate(((7.0, 1.5), (13.5, 2.3), (20.0, 1.7))):
        for spoke in range(8):
            angle = math.tau * (spoke + ring / 2) / 8
            x, y = 24 + radius * math.sin(angle), 24 - radius * math.cos(angle)
            dots.append(f'<circle class="ring{ring}" cx="{x:.2f}" cy="{y:.2f}" r="{size}"/>')
    return f'<svg class="mark" viewBox="0 0 48 48" role="img" aria-label="Λ24">{"".join(dots)}</svg>'


def header() -> gr.HTML:
    """The head of the page: the mark, the name and one sentence."""
    return gr.HTML(
        f'<header class="masthead">{_mark()}<div><h1>Λ<sub>24</sub>-SQ workbench</h1>'
        "<p>Pictures in 196,560 codewords: the shortest vectors of the Leech lattice as a codebook.</p></div></header>",
        elem_classes="plain",
    )


def intro(title: str, text: str) -> gr.HTML:
    """The head of a tab: what it is for, in a sentence."""
    return gr.HTML(
        f'<div class="intro"><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p></div>', elem_classes="plain"
    )
