"""Tables for a notebook (HTML, everything escaped) and for a terminal (plain)."""

from collections.abc import Sequence
from html import escape


def table(head: Sequence[str], lines: Sequence[Sequence[str]], muted: Sequence[bool] = ()) -> str:
    """Write an HTML table; a muted line is greyed (a value lost in its noise)."""
    top = "".join(f'<th scope="col" style="text-align:left">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f"<tr{_grey(muted, index)}>{''.join(_cell(cell) for cell in line)}</tr>"
        for index, line in enumerate(lines)
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def table_text(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write the same table with aligned columns."""
    everything = [head, *lines]
    widths = [max(len(line[place]) for line in everything) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in everything
    )


def _cell(text: str) -> str:
    return f'<td style="text-align:left">{escape(text)}</td>'


def _grey(muted: Sequence[bool], index: int) -> str:
    # #6b6b6b on white keeps a contrast of 5.3, above the 4.5 that WCAG 2.2 asks for text
    return ' style="color:#6b6b6b"' if index < len(muted) and muted[index] else ""
