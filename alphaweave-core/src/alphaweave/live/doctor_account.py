"""What a broker's clock, account, positions and open orders mean for the run that is to start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from alphaweave.core.clock import Clock
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import ZERO, plain
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.server_clock import ServerClock
from alphaweave.live.doctor_run import KnownBooks
from alphaweave.live.findings import Finding, Verdict
from alphaweave.live.live_wiring import LivePlan
from alphaweave.live.reports import BrokerAccountState, BrokerOrder

__all__ = ["account_findings", "clock_findings", "holding_findings", "order_findings"]

_SHOWN: Final = 5
_USUAL_SKEW_MS: Final = 500


def clock_findings(
    clock: Clock, samples: Sequence[tuple[datetime, datetime, datetime]], limit_ms: int | None
) -> Iterator[Finding]:
    """The broker's clock against this machine's.

    Args:
        samples: when it was asked, what it said, and when that came, UTC.
        limit_ms: the run's ``risk.clock_skew_ms``.
    """
    server = ServerClock(clock)
    for asked_at, said, answered_at in samples:
        server.learn(asked_at=asked_at, answered_at=max(asked_at, answered_at), said=said)
    assert server.error is not None
    offset, error = (round(each.total_seconds() * 1000) for each in (server.offset, server.error))
    limit = limit_ms or _USUAL_SKEW_MS
    way = "ahead of" if offset >= 0 else "behind"
    text = f"the broker's is {abs(offset)} ms {way} this machine's, give or take {error} ms"
    if abs(offset) <= limit:
        yield Finding("clock", Verdict.OK, text)
        return
    proved = abs(offset) - error > limit
    yield Finding(
        "clock",
        Verdict.FAILURE if proved else Verdict.WARNING,
        f"{text}; beyond {limit} ms no order is allowed",
        "set this machine's clock (chrony, systemd-timesyncd), or raise risk.clock_skew_ms"
        if proved
        else "the way to the broker is too slow to tell; ask again",
    )


def account_findings(plan: LivePlan, account: BrokerAccountState) -> Iterator[Finding]:
    """The account's id, currency and cash."""
    config, real = plan.config, account.account_id
    wanted = config.broker.account_id
    if wanted is not None and wanted != real:
        text = f"broker.account_id is {wanted}, and the broker has connected to {real}"
        yield Finding("account", Verdict.FAILURE, text, "correct the one, or the credentials of the other")
    elif plan.mode is RunMode.LIVE:
        text = f"{real} holds real money"
        yield Finding("account", Verdict.OK, text, f"the run has to be given --confirm-live {real}")
    currency = config.run.currency
    balance = account.balances.get(currency)
    if balance is None:
        text = f"{real} has {', '.join(account.balances) or 'nothing'}, and run.currency is {currency}"
        yield Finding("cash", Verdict.FAILURE, text, "make them equal")
        return
    text = f"{real} has {balance.total:,.2f} {currency}"
    if account.buying_power is not None:
        text += f", buying power {account.buying_power:,.2f} {account.base_currency}"
    power = balance.total if account.buying_power is None else account.buying_power
    if power <= 0:
        yield Finding("cash", Verdict.WARNING, text, "nothing can be bought: pay in, or close positions")
    elif not account.complete:
        text += "; the answer was not complete"
        yield Finding("cash", Verdict.WARNING, text, "ask again; a run does not start on such an answer")
    else:
        yield Finding("cash", Verdict.OK, text)


def holding_findings(
    plan: LivePlan,
    account: BrokerAccountState,
    instruments: Mapping[str, Instrument],
    books: KnownBooks | None,
) -> Iterator[Finding]:
    """Positions of the account against those of the run's journal; ``books`` is None before a first start."""
    held = {symbol: _held(account, symbol, rules) for symbol, rules in instruments.items()}
    elsewhere = [
        f"{plain(account.positions[one])} {one}" for one in account.foreign if account.positions.get(one)
    ]
    if books is None:
        found = [f"{plain(units)} {symbol}" for symbol, units in held.items() if units]
        if found or elsewhere:
            yield _first(plan, "positions", [*found, *elsewhere])
        else:
            yield Finding("positions", Verdict.OK, "there are none")
        return
    differing = 0
    for symbol, units in held.items():
        ours = books.positions.get(symbol, ZERO)
        theirs = units - books.ignored.get(symbol, ZERO)
        if ours == theirs:
            continue
        differing += 1
        text = f"{symbol}: the broker has {plain(theirs)}, the journal {plain(ours)}"
        if symbol in books.working:
            advice = "orders of this run were working: their fills are fetched at the start"
            yield Finding("positions", Verdict.WARNING, text, advice)
        else:
            advice = (
                "nothing of this run was working there: find out who traded, or the start halts the symbol"
            )
            yield Finding("positions", Verdict.FAILURE, text, advice)
    if elsewhere:
        text = f"in symbols that are not this run's: {_some(elsewhere)}"
        yield Finding("positions", Verdict.WARNING, text, "they are left alone, and use up buying power")
    if not differing:
        yield Finding("positions", Verdict.OK, "those of the run's symbols are the journal's")


def order_findings(plan: LivePlan, orders: Sequence[BrokerOrder], books: KnownBooks) -> Iterator[Finding]:
    """The account's working orders: this run's, another run's, somebody else's."""
    unknown = [one for one in orders if not books.knows(one.client_order_id or "")]
    names = [_order(one) for one in unknown]
    if not unknown:
        text = f"{len(orders)} of this run" if orders else "there are none"
        yield Finding("open orders", Verdict.OK, text)
    elif books.first_start:
        yield _first(plan, "open orders", names)
    else:
        traded = [one for one in unknown if one.ref.symbol in plan.config.symbols]
        advice = (
            "a fill of one in this run's symbols halts that symbol: cancel them, or keep the others out"
            if traded
            else "they are left alone, and hold buying power"
        )
        text = f"{len(names)} are not this run's: {_some(names)}"
        yield Finding("open orders", Verdict.WARNING, text, advice)


def _first(plan: LivePlan, subject: str, found: Sequence[str]) -> Finding:
    """What a first start does with what is there."""
    policy, text = plan.config.reconciliation.first_start, f"the account holds {_some(found)}"
    if policy is None and plan.mode is RunMode.LIVE:
        advice = "close it, or write reconciliation.first_start: adopt, or ignore; a first start is refused"
        return Finding(subject, Verdict.FAILURE, text, advice)
    what = "leaves it out of its books" if policy == "ignore" else "takes over what is in its symbols"
    return Finding(subject, Verdict.WARNING, text, f"a first start {what}; see reconciliation.first_start")


def _held(account: BrokerAccountState, symbol: str, rules: Instrument) -> Decimal:
    if rules.base is None:
        return account.positions.get(symbol, ZERO)
    balance = account.balances.get(rules.base)
    return ZERO if balance is None else balance.total


def _order(order: BrokerOrder) -> str:
    size = "" if order.quantity is None else f" {plain(order.quantity)}"
    whose = "" if order.foreign or not order.client_order_id else f" ({order.client_order_id})"
    return f"{order.side.value}{size} {order.ref.symbol}{whose}"


def _some(found: Sequence[str]) -> str:
    left = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
