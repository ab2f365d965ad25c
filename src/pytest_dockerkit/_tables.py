"""Tables that a command prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_table(head: Sequence[str], rows: Sequence[str | Sequence[str]]) -> None:
    """Print a table.

    Args:
        head: the titles of the columns; of a column with nothing in it, it is not shown.
        rows: the lines: cells, or a text that goes over all of them.
    """
    table = [head, *(row for row in rows if not isinstance(row, str))]
    used = [any(row[number] for row in table[1:]) for number in range(len(head))]
    widths = [max(len(row[number]) for row in table) for number in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        shown = [f"{cell:{width}}" for cell, width, show in zip(cells, widths, used, strict=True) if show]
        return "  ".join(shown).rstrip()

    if len(table) > 1:
        print(line(head))
    for row in rows:
        print(row if isinstance(row, str) else line(row))


def show_age(seconds: float) -> str:
    """Write a length of time as a person says it, such as `5 min`: from two of a unit on, that unit."""
    for unit, length_s in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
