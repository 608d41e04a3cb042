"""What the run's journal and the venue disagree about."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from alphaweave.live.journal_reader import JournalReader
from alphaweave.testing.venue import Truth

__all__ = ["differences"]


def differences(reader: JournalReader, truth: Truth) -> list[str]:
    """Executions and their fees, in the journal and at the venue, each as it was told of last."""
    booked: dict[str, Any] = {}
    fees: dict[str, Any] = {}
    for _, entry in reader.entries("execution", "correction", "booked_again", "fees"):
        data, key = entry.data, entry.data["execution_key"]
        # A correction has the execution within it; of one that was taken back it has none.
        terms = data.get("fill", data)
        if entry.kind != "fees":
            booked[key] = terms
        if terms is not None and terms["fees"] is not None:
            fees[key] = terms["fees"]
    ours = Counter(
        (one["client_order_id"], Decimal(one["size"]), Decimal(one["price"]))
        for one in booked.values()
        if one is not None
    )
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fee in (fee for listed in fees.values() for fee in listed):
        paid[fee["asset"]] += Decimal(fee["amount"])
    theirs = Counter((one.client_order_id, one.size, one.price) for one in truth.executions if one.size)
    charged: defaultdict[str, Decimal] = defaultdict(Decimal)
    for money in (fee for one in truth.executions for fee in one.fees):
        charged[money.asset] += money.amount
    found = [f"booked and never executed: {one}" for one in ours - theirs]
    found += [f"executed and never booked: {one}" for one in theirs - ours]
    if paid != charged:
        found.append(f"fees are {dict(paid)}, at the venue {dict(charged)}")
    return found
