"""Tables for a terminal."""

from __future__ import annotations

import pytest

from plugins.module_utils.ec2_text import money, table, width


@pytest.mark.parametrize(
    ("text", "columns"), [("reader", 6), ("读者", 4), ("読み手a", 7), ("リーダー", 8), ("e\u0301", 1), ("", 0)]
)
def test_wide_characters_take_two_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = table([["name", "state"], ["读者", "running"], ["bob", "stopped"]])
    assert [
        width(line[: line.index(word)]) for line, word in zip(lines, ["state", "running", "stopped"], strict=True)
    ] == [
        8,
        8,
        8,
    ]


def test_numbers_end_below_each_other() -> None:
    assert table([["USD"], ["0.5"], ["32.77"]], right=[0], indent="") == ["  USD", "  0.5", "32.77"]


def test_no_rows_are_no_lines() -> None:
    assert table([]) == []


@pytest.mark.parametrize(("usd", "shown"), [(None, "unknown"), (0.0, "0.00"), (0.0132, "0.013"), (3.2, "3.20")])
def test_amounts(usd: float | None, shown: str) -> None:
    assert money(usd) == shown
