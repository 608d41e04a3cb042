"""What the run's journal and the venue disagree about."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

from alphaweave.live.journal_reader import JournalReader
from alphaweave.testing.venue import Truth

__all__ = ["differences"]


def differences(reader: JournalReader, truth: Truth) -> list[str]:
    """Executions and their fees, in the journal and at the venue."""
    ours: Counter[tuple[str | None, Decimal, Decimal]] = Counter()
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in (*reader.executions(), *(entry for _, entry in reader.entries("fee"))):
        if entry.kind == "execution":
            data = entry.data
            ours[data["client_order_id"], Decimal(data["size"]), Decimal(data["price"])] += 1
        for fee in entry.data["fees"] or ():
            paid[fee["asset"]] += Decimal(fee["amount"])
    theirs = Counter((one.client_order_id, one.size, one.price) for one in truth.executions)
    charged: defaultdict[str, Decimal] = defaultdict(Decimal)
    for money in (fee for one in truth.executions for fee in one.fees):
        charged[money.asset] += money.amount
    found = [f"booked and never executed: {one}" for one in ours - theirs]
    found += [f"executed and never booked: {one}" for one in theirs - ours]
    if paid != charged:
        found.append(f"fees are {dict(paid)}, at the venue {dict(charged)}")
    return found
