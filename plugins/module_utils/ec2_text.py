# MIT licence
"""Tables and amounts for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """How many columns of a terminal a text takes: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) or unicodedata.category(char) == "Cf" else 1 + (wide(char)) for char in text
    )


def wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("W", "F")


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """Lines with the columns below each other, two spaces apart. right: the columns that are numbers."""
    if not rows:
        return []
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]

    def cell(text: str, column: int) -> str:
        space = " " * (widths[column] - width(text))
        return space + text if column in right else text + space

    return [(indent + "  ".join(cell(text, column) for column, text in enumerate(row))).rstrip() for row in rows]


def money(usd: float | None) -> str:
    """An amount to show: two digits after the point, more where it is small."""
    if usd is None:
        return "unknown"
    return f"{usd:.2f}" if usd >= 1 or usd == 0 else f"{usd:.3f}"
