"""Tables for people and for pipes: plain columns here, boxes through rich where a verb wants them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["boxed_table", "console", "plain_table"]


def console(*, error: bool = False) -> Console:
    """Where to print. No colour and no progress where the output is not a terminal."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else 110
    return Console(file=stream, highlight=False, width=width, soft_wrap=not stream.isatty())


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded with blanks, three apart, nothing to the right of the last: as calicoctl prints."""
    widths = [max([len(heading), *(len(row[index]) for row in rows)]) for index, heading in enumerate(headings)]
    lines = [headings, *rows]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def boxed_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The table with borders of `calicoctl node status`."""
    table = Table(*headings, box=box.ASCII2)
    for row in rows:
        table.add_row(*row)
    return table
