"""``alphaweave replay --diff``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import click
from attrs import asdict

from alphaweave.cli.exits import FAILED
from alphaweave.core.clock import from_ns
from alphaweave.core.money import plain
from alphaweave.live.comparison import Comparison, compare_with_journal
from alphaweave.live.config import load_live_config
from alphaweave.live.inputs import SliceInput
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.slippage import OrderSlippage
from alphaweave.live.tape_decisions import Difference, in_words

__all__ = ["compare_run"]

_DIGITS: Final = {"price": Decimal("0.000001"), "bps": Decimal("0.01"), "cost": Decimal("0.01")}


def compare_run(path: Path, journal: Path, overrides: Sequence[str], *, as_json: bool) -> int:
    """Print where a config decides otherwise than a recorded run did, and what that run's orders slipped; 1
    if there is a difference.

    Raises:
        AlphaweaveError: the journal and the config do not go together, or one of them cannot be used.
    """
    reader = JournalReader(journal)
    found = compare_with_journal(load_live_config(path, overrides=overrides), reader)
    if as_json:
        click.echo(json.dumps(_document(found), indent=2, allow_nan=False))
    else:
        for change in found.changes:
            click.echo(f"warning: {change}", err=True)
        _print(found)
    return FAILED if found.difference is not None else 0


def _document(found: Comparison) -> dict[str, Any]:
    difference = found.difference
    return {
        "decisions": found.decisions,
        "recorded": found.recorded,
        "starts": found.starts,
        "changes": list(found.changes),
        "difference": None
        if difference is None
        else {**asdict(difference), "at": from_ns(difference.at_ns).isoformat()},
        "slippage": {
            "venue": found.venue,
            "totals": _json(asdict(found.totals)),
            "orders": [
                {**_json(asdict(order)), "decided_at": from_ns(order.decided_at).isoformat()}
                for order in found.orders
            ],
        },
    }


def _json(record: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: getattr(value, "value", value) for name, value in record.items()}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in named.items()}


def _print(found: Comparison) -> None:
    difference = found.difference
    starts = "" if found.starts == 1 else f", {found.starts} starts"
    if difference is None:
        click.echo(f"no difference in {found.decisions:,} decisions{starts}")
    else:
        _show(difference, found)
    totals = found.totals
    click.echo(
        f"slippage against {found.venue}: {totals.orders:,} orders, {totals.filled:,} filled, "
        f"{totals.paper_filled:,} of them there, {totals.compared:,} by both"
    )
    for order in found.orders:
        click.echo(f"  {_line(order)}")
    if totals.bps is not None:
        click.echo(
            f"  together {_number(totals.bps, 'bps')} bps, {_number(totals.cost, 'cost')} "
            f"of {_number(totals.notional, 'cost')}"
        )


def _show(difference: Difference, found: Comparison) -> None:
    key = difference.input_key
    if difference.input_kind == SliceInput.kind:
        key = f"that ended {from_ns(int(key)).isoformat()}"
    what = f"{difference.input_kind} {key}".rstrip()
    click.echo(
        f"decision {difference.seq:,} of {found.recorded:,} differs: {what}, decided at "
        f"{from_ns(difference.at_ns).isoformat()}"
    )
    for then, now in zip_longest(difference.then, difference.now):
        mark = " " if then == now else "*"
        click.echo(f"{mark} then  {'nothing' if then is None else in_words(then)}")
        click.echo(f"{mark} now   {'nothing' if now is None else in_words(now)}")


def _line(order: OrderSlippage) -> str:
    at = from_ns(order.decided_at).isoformat()
    words = f"{at} {order.side.value} {order.symbol}"
    if order.price is None and order.paper_price is None:
        return f"{words}: filled by neither ({order.order_id})"
    real = (
        "not filled" if order.price is None else f"{plain(order.filled)} at {_number(order.price, 'price')}"
    )
    paper = (
        "not filled"
        if order.paper_price is None
        else f"{plain(order.paper_filled)} at {_number(order.paper_price, 'price')}"
    )
    slipped = ""
    if order.bps is not None and order.cost is not None:
        slipped = f", {_number(order.bps, 'bps')} bps, {_number(order.cost, 'cost')}"
    return f"{words}: {real}, there {paper}{slipped} ({order.order_id})"


def _number(value: Decimal, kind: str) -> str:
    return plain(value.quantize(_DIGITS[kind]))
