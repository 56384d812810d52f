# MIT licence
"""The card: where each notebook is, and what to do next. All that shows it gets its lines here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ec2_prices import Price, Prices
from .ec2_status import added
from .ec2_text import table

HEAD = ["name", "machine", "USD/hour", "open"]
MARKETS = {"on-demand": "on demand", "spot": "spot"}


@dataclass
class Line:
    """A line of the card. notebook: of which it ends with the address, so that a token may follow."""

    text: str
    color: str = ""
    notebook: str = ""


def address(notebook: dict[str, Any]) -> str:
    """Of its page, which is the classic notebook's list of files unless another is named."""
    return f"http://127.0.0.1:{notebook['port']}/{notebook.get('page') or 'tree'}"


def price_of(notebook: dict[str, Any], prices: Prices | None) -> Price | None:
    """USD per hour: as it is known to the caller, else the table's price on demand. None for a machine outside EC2."""
    if notebook["usd_hour"] is not None:
        return Price(notebook["usd_hour"], MARKETS.get(notebook["market"], "known"))
    if not (notebook["instance_type"] and prices):
        return None
    listed = prices.listed([notebook["instance_type"]])[notebook["instance_type"]]
    if listed.usd is None:
        return listed
    kind = "spot costs less than on demand" if notebook["market"] == "spot" else "on demand"
    return Price(listed.usd, f"{kind}, {listed.source}")


def cell(notebook: dict[str, Any], price: Price | None) -> str:
    """The price in a table."""
    if price is None:
        return ""
    less = notebook["market"] == "spot" and notebook["usd_hour"] is None
    return "unknown" if price.usd is None else f"{'< ' if less else ''}{price.usd:.4g}"


def price_line(notebooks: list[dict[str, Any]], prices: list[Price | None]) -> str:
    """What all of them cost together; nothing where none of them is in EC2."""
    known = [price for price in prices if price]
    total = added(*[price.usd for price in known])
    if not known or total is None:
        return "unknown" if known else ""
    one = len(known) == 1
    about = "; ".join(dict.fromkeys(price.source for price in known))
    less = any(cell(notebook, price).startswith("<") for notebook, price in zip(notebooks, prices, strict=True))
    amount = f"{'less than ' if less else ''}{total:.4g} USD per hour"
    return f"{amount} while {'it runs' if one else f'all {len(known)} run'} ({about})"


def lines(notebooks: list[dict[str, Any]], hints: dict[str, str], prices: Prices | None = None) -> list[Line]:
    """The card of these notebooks, one entry each as the module of that name takes them."""
    costs = [price_of(one, prices) for one in notebooks]
    rows = []
    for one, price in zip(notebooks, costs, strict=True):
        where = f"not ready: {' '.join(one['trouble'].split())}" if one["trouble"] else address(one)
        rows.append([one["name"], one["about"], cell(one, price), where])
    # What is empty for all of them, or told below for the only one, is no column.
    kept = [column for column in range(4) if any(row[column] for row in rows) and not (column == 2 and len(rows) == 1)]
    body = [[row[column] for column in kept] for row in [HEAD, *rows]] if rows else []
    shown = table(body, [kept.index(2)] if 2 in kept else [])
    card = [Line(""), Line(shown[0])] if shown else []
    for one, text in zip(notebooks, shown[1:], strict=True):
        card.append(Line(text, "red") if one["trouble"] else Line(text, "green", one["name"]))
    commands = [[one["name"], one["command"]] for one in notebooks if one["command"]]
    if commands:
        card += [Line(""), Line("  Each of these opens the way to it, for as long as it runs:")]
        card += [Line(text) for text in table(commands)]
    ends = {"price": price_line(notebooks, costs), **hints}
    return [*card, Line(""), *(Line(f"  {head:<12} {text}") for head, text in ends.items() if text)]
