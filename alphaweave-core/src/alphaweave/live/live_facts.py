"""What the risk board is told of an input, besides orders and fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Final

from alphaweave.core.clock import to_ns
from alphaweave.core.market import Bar, BarCorrection
from alphaweave.core.money import Money
from alphaweave.live.actions import TimeQuery
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CorrectionInput,
    FeedLinkInput,
    Input,
    LateBarInput,
    OutcomeInput,
    OutcomeKind,
    SliceInput,
)
from alphaweave.live.kernel_live import Fact
from alphaweave.live.reports import BrokerAccountState, CashFlow, ConnectionLost
from alphaweave.live.risk_facts import (
    AccountSeen,
    BarSeen,
    CashMoved,
    ClocksCompared,
    LinkHeard,
    LinkLost,
    LinkRestored,
    RiskFact,
)
from alphaweave.live.slices import LateBar

__all__ = ["DATA", "ORDERS", "flow_facts", "input_facts", "link_facts"]

ORDERS: Final = "orders"
DATA: Final = "data"
# What says nothing of the broker.
_MUTE: Final = (OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT)


def link_facts(given: Input) -> tuple[RiskFact, ...]:
    """What an input says of the links; to be told before the time it came at."""
    match given:
        case BrokerInput(event=ConnectionLost()):
            return (LinkLost(ORDERS),)
        case BrokerInput():
            return (LinkHeard(ORDERS, given.at),)
        case OutcomeInput() if given.outcome.kind not in _MUTE:
            return (LinkHeard(ORDERS, given.at),)
        case AnswerInput() if given.error is None:
            return (LinkHeard(ORDERS, given.at),)
        case SliceInput() | LateBarInput():
            return (LinkHeard(DATA, given.at),)
        case FeedLinkInput():
            return (LinkRestored(DATA, given.at) if given.up else LinkLost(DATA),)
    return ()


def input_facts(given: Input, currency: str) -> tuple[RiskFact, ...]:
    """What it says of prices, and of the account as the broker sees it."""
    match given:
        case SliceInput():
            return tuple(_seen(bar) for bar in given.slice.bars if isfinite(bar.close))
        case LateBarInput(late=LateBar(bar=bar)) | CorrectionInput(correction=BarCorrection(bar=bar)):
            return (_seen(bar),) if isfinite(bar.close) else ()
        case AnswerInput(answer=BrokerAccountState() as account):
            power = account.buying_power if account.base_currency == currency else None
            return (AccountSeen(power, to_ns(account.balances_as_of or account.as_of)),)
        case AnswerInput(query=TimeQuery() as query, answer=datetime() as told):
            return (ClocksCompared(to_ns(told), query.asked_at, given.at),)
    return ()


def flow_facts(facts: Iterable[Fact], worth: Callable[[Money], Decimal | None]) -> tuple[RiskFact, ...]:
    """Money that came or went for no fill, of what was booked; ``worth`` has it in the run's currency."""
    flows = (fact.event for fact in facts if isinstance(fact.event, CashFlow))
    # What the run began with is not its profit either, but its first equity includes it already.
    moved = (worth(flow.amount) for flow in flows if flow.kind != "adopted")
    return tuple(CashMoved(amount) for amount in moved if amount is not None)


def _seen(bar: Bar) -> BarSeen:
    return BarSeen(bar.symbol, to_ns(bar.end), bar.close)
