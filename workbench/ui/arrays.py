"""The 4 × 6 array of the Golay code as HTML: cells of numbers, coloured by what they are."""

__all__ = ["array_html", "word_html"]

import html
from collections.abc import Mapping, Sequence

from workbench.tasks.explore.golay import arrangement

_MINUS = "\N{MINUS SIGN}"


def array_html(text: Mapping[int, str], kinds: Mapping[int, str], *, caption: str) -> str:
    """Lay out 24 cells.

    Args:
        text: What stands in the cell of each position.
        kinds: Class of the cell of each position; see the style sheet.
        caption: What the array is, for people who do not see it.
    """
    rows = []
    for line in arrangement().tolist():
        cells = (
            f'<td class="{html.escape(kinds.get(p, ""))}" title="position {p}">{html.escape(text.get(p, ""))}</td>'
            for p in line
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="golay" aria-label="{html.escape(caption)}"><tbody>{"".join(rows)}</tbody></table>'


def word_html(word: Sequence[int], *, caption: str) -> str:
    """The 24 integers of a codeword in the array, coloured by sign and size."""
    text = {p: (f"{_MINUS}{-v}" if v < 0 else str(v)) for p, v in enumerate(word)}
    kinds = {p: f"{'minus' if v < 0 else 'plus'} size{abs(v)}" if v else "none" for p, v in enumerate(word)}
    return array_html(text, kinds, caption=caption)
