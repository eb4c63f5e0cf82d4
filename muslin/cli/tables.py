"""Tables for people and for pipes: plain columns, boxes as calicoctl draws them, and rich where reasons must wrap."""

from __future__ import annotations

import itertools
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from muslin.cli.printing import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["boxed_table", "console", "plain_table", "print_wrapped", "wrapped_table"]

_WIDTH_OF_A_PIPE = 110


def console(*, error: bool = False, markup: bool = True) -> Console:
    """Where to print what wraps. No colour and no control codes where the output is not a terminal.

    `markup` turns `[bold]` into style: leave it off for text that somebody else wrote.
    """
    from rich.console import Console  # noqa: PLC0415 - tables of `get` do without it

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _WIDTH_OF_A_PIPE
    return Console(file=stream, highlight=False, markup=markup, emoji=False, width=width, soft_wrap=not stream.isatty())


def print_wrapped(shown: RenderableType) -> None:
    """Print what wraps to the terminal's width; in a pipe without blanks at the ends of lines."""
    out = console(markup=False)
    if sys.stdout.isatty():
        out.print(shown)
        return
    with out.capture() as capture:
        out.print(shown)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded with blanks, three apart, nothing to the right of the last: as calicoctl prints."""
    lines = [[printable(cell) for cell in line] for line in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def wrapped_table(headings: Sequence[str], rows: Sequence[Sequence[str]], widest: int) -> str:
    """Columns two apart whose cells wrap at words: the last as wide as the terminal leaves, none before over `widest`.

    Without rich, which takes longer to load than such a table to make.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    lengths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    widths = [min(length, widest) for length in lengths[:-1]]
    whole = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    widths.append(max(widest, whole - sum(width + 2 for width in widths)))
    lines = []
    for row in (headings, *cells):
        cut = (textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True))
        wrapped = [parts or [""] for parts in cut]
        for parts in itertools.zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def boxed_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table of `calicoctl node status`: headings in the middle, cells to the left, lines above, between, below."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    rule = "+".join(["", *("-" * (width + 2) for width in widths), ""])
    middle = [heading.rjust((width + len(heading)) // 2) for heading, width in zip(headings, widths, strict=True)]
    lines = [_boxed(line, widths) for line in (middle, *cells)]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def _boxed(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
