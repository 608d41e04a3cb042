"""Rules about how often, each at its boundary, over a restart, and without a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, OrderType, Side, Trail
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_rates import (
    DailyCounts,
    DuplicateOrder,
    OrderRate,
    Rate,
    RejectRate,
    RepeatedExecution,
    TokenBucket,
)
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.risk_time import SECOND_NS, Window, local_day
from alphaweave.live.trading_state import Escalation, KillStep

D = Decimal
START = to_ns(datetime(2026, 1, 5, 12, tzinfo=UTC))
MS = 1_000_000


class Rule(Protocol):
    code: str
    applies_to_reductions: bool

    def check(self, proposal: Proposal) -> Any: ...


def proposal(
    size: int = 1, symbol: str = "SPY", *, side: Side = Side.BUY, reduces: bool = False, **terms: Any
) -> Proposal:
    quantity = D(size)
    given: dict[str, Any] = {"quantity": quantity, **terms}
    request = OrderRequest(symbol, side, **given)
    instrument = Instrument(symbol=symbol, venue_symbol=symbol)
    return Proposal(symbol, instrument, side, quantity, request=request, price=D(100), reduces=reduces)


def told(rule: Any, at_ns: int = START) -> Any:
    rule.advance(at_ns)
    return rule


def again(rule: Any, fresh: Any, at_ns: int) -> Any:
    """The rule after a restart."""
    fresh.restore(json.loads(json.dumps(rule.snapshot())))
    return told(fresh, at_ns)


@pytest.mark.parametrize(
    "rule",
    [OrderRate(), DailyCounts(), DuplicateOrder(), RepeatedExecution(fills=3, seconds=60), RejectRate()],
)
def test_rule_without_a_time_denies(rule: Rule) -> None:
    """A rule nobody told the time raises, and the chain fails closed."""
    denial = RiskChain([rule]).check(proposal())
    assert denial is not None
    assert denial.code == "risk_rule_failed"


@pytest.mark.parametrize(
    ("rule", "saved"),
    [
        (OrderRate(), {}),
        (OrderRate(), {"buckets": [[1]], "breaches": []}),
        (DailyCounts(), {"day": "x", "orders": 0, "fills": {}}),
        (DailyCounts(), {"day": 1, "orders": 0, "fills": []}),
        (DuplicateOrder(), [[["SPY"], [1]]]),
        (RepeatedExecution(fills=3, seconds=60), {"fills": [1]}),
        (RejectRate(), 5),
    ],
)
def test_unreadable_state_is_refused(rule: Any, saved: Any) -> None:
    """Nothing starts from a count that is a guess."""
    with pytest.raises(StateCorrupt, match=f"risk rule {rule.code} cannot be read"):
        rule.restore(saved)


def test_bucket_refills_evenly_and_exactly() -> None:
    """Three in seven seconds: a token is back after a third of the time, not a nanosecond before."""
    bucket = TokenBucket(Rate(3, 7))
    for _ in range(3):
        assert bucket.has(START)
        bucket.take(START)
    third = -(-7 * SECOND_NS // 3)
    assert not bucket.has(START + third - 1)
    assert bucket.has(START + third)
    assert not bucket.has(START - 100 * SECOND_NS), "a clock that goes back refills nothing"
    for _ in range(3):
        bucket.take(START + 1000 * SECOND_NS)
    assert not bucket.has(START + 1000 * SECOND_NS), "it never holds more than it did at first"


@pytest.mark.parametrize(("count", "seconds"), [(0, 1), (1, 0)])
def test_rate_is_at_least_one(count: int, seconds: int) -> None:
    """Nothing a second is a halt, not a rate."""
    with pytest.raises(ValueError, match="at least one in a second"):
        Rate(count, seconds)


def test_order_rate_holds_back_the_sixth_in_a_second() -> None:
    """Five at once pass, the next 200 ms later; reductions are held back too."""
    rule = told(OrderRate())
    chain = RiskChain([rule])
    for _ in range(5):
        assert chain.check(proposal()) is None
        rule.sent(proposal())
    denial = chain.check(proposal(reduces=True))
    assert denial is not None
    assert (denial.code, denial.text) == ("order_rate", "more than 5 in 1 s orders and changes")
    rule.advance(START + 200 * MS - 1)
    assert chain.check(proposal()) is not None
    rule.advance(START + 200 * MS)
    assert chain.check(proposal()) is None


def test_order_rate_counts_only_what_was_sent() -> None:
    """Looking takes no token: another rule may still deny."""
    rule = told(OrderRate([Rate(1, 1)]))
    assert [rule.check(proposal()) for _ in range(3)] == [None, None, None]


def test_order_rate_has_a_minute_too() -> None:
    """Two hundred at five a second are all that a minute has at once."""
    rule = told(OrderRate([Rate(1000, 1), Rate(200, 60)]))
    for _ in range(200):
        assert rule.check(proposal()) is None
        rule.sent(proposal())
    assert rule.check(proposal()) == "more than 200 in 60 s orders and changes"


def test_third_breach_of_the_rate_blocks_what_is_new() -> None:
    """Denials at one time are one breach; three within the hour are told once as such."""
    rule = told(OrderRate([Rate(1, 10_000)]))
    rule.sent(proposal())
    for second in (0, 1):
        rule.advance(START + second * SECOND_NS)
        rule.check(proposal())
        rule.check(proposal())
        assert rule.escalations() == ()
    rule = again(rule, OrderRate([Rate(1, 10_000)]), START + 2 * SECOND_NS)
    rule.check(proposal())
    (wanted,) = rule.escalations()
    assert (wanted.step, wanted.code, wanted.symbol) == (KillStep.BLOCK_NEW, "order_rate", None)
    assert rule.escalations() == ()


def test_breaches_are_forgotten_after_an_hour() -> None:
    """Three a day are no storm."""
    rule = told(OrderRate([Rate(1, 10_000)]))
    rule.sent(proposal())
    for second in (0, 1, 3600):
        rule.advance(START + second * SECOND_NS)
        assert rule.check(proposal()) is not None
    assert rule.escalations() == ()


def test_order_rate_survives_a_restart() -> None:
    """A crash is no way to new tokens; other rates start full."""
    rule = told(OrderRate([Rate(1, 10)]))
    rule.sent(proposal())
    back = again(rule, OrderRate([Rate(1, 10)]), START + 10 * SECOND_NS - 1)
    assert back.check(proposal()) is not None
    back.advance(START + 10 * SECOND_NS)
    assert back.check(proposal()) is None
    assert again(rule, OrderRate(), START).check(proposal()) is None


def test_daily_counts_end_with_the_local_day() -> None:
    """Two orders a day in New York: the third waits for midnight there, not for midnight UTC."""
    rule = told(DailyCounts(orders=2, fills=None, timezone="America/New_York"))
    rule.sent(proposal())
    assert rule.check(proposal()) is None
    assert rule.escalations() == ()
    rule.sent(proposal())
    (wanted,) = rule.escalations()
    assert (wanted.step, wanted.code, wanted.symbol) == (KillStep.BLOCK_NEW, "daily_count", None)
    midnight = to_ns(datetime(2026, 1, 6, 5, tzinfo=UTC))
    rule = again(rule, DailyCounts(orders=2, fills=None, timezone="America/New_York"), midnight - 1)
    assert rule.check(proposal()) == "2 orders today are all there may be"
    rule.advance(midnight)
    assert rule.check(proposal()) is None


def test_daily_fills_are_counted_by_symbol() -> None:
    """The symbol that filled too often is blocked, and no other."""
    rule = told(DailyCounts(orders=None, fills=2))
    for _ in range(2):
        assert rule.check(proposal()) is None
        rule.filled("SPY")
    assert rule.escalations() == (Escalation(KillStep.BLOCK_NEW, "daily_count", "2 fills today", "SPY"),)
    rule = again(rule, DailyCounts(orders=None, fills=2), START)
    assert rule.check(proposal()) == "2 fills of SPY today are all there may be"
    assert rule.check(proposal(symbol="QQQ")) is None


LIMIT: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D(100)}


def test_third_same_order_within_ten_seconds_is_denied() -> None:
    """At ten seconds sharp the first one is out."""
    rule = told(DuplicateOrder())
    for second in (0, 5):
        rule.advance(START + second * SECOND_NS)
        assert rule.check(proposal(**LIMIT)) is None
        rule.sent(proposal(**LIMIT))
    rule = again(rule, DuplicateOrder(), START + 10 * SECOND_NS - 1)
    assert rule.check(proposal(**LIMIT)) == "the same order was placed 2 times within 10 s"
    rule.advance(START + 10 * SECOND_NS)
    assert rule.check(proposal(**LIMIT)) is None


@pytest.mark.parametrize(
    "other",
    [
        proposal(2, **LIMIT),
        proposal(symbol="QQQ", **LIMIT),
        proposal(side=Side.SELL, **LIMIT),
        proposal(**{**LIMIT, "limit_price": D("100.01")}),
        proposal(),
        proposal(type=OrderType.STOP_LIMIT, limit_price=D(100), stop_price=D(99)),
        proposal(type=OrderType.TRAILING_STOP, trail=Trail(amount=D(1))),
        proposal(quantity=None, quote_quantity=D(1)),
    ],
)
def test_order_that_differs_is_no_duplicate(other: Proposal) -> None:
    """In symbol, side, size, type or price; 1.50 and 1.5 do not differ."""
    rule = told(DuplicateOrder(count=2))
    rule.sent(proposal(**LIMIT))
    assert rule.check(other) is None
    assert rule.check(proposal(**{**LIMIT, "limit_price": D("100.00")})) is not None


def test_duplicates_are_forgotten() -> None:
    """Many different orders leave nothing behind once they are old."""
    rule = told(DuplicateOrder())
    for size in range(1, 150):
        rule.sent(proposal(size))
    assert len(rule.snapshot()) == 149
    rule.advance(START + 10 * SECOND_NS)
    assert rule.snapshot() == []


def test_duplicate_needs_a_second_time() -> None:
    """A count of one would deny every order."""
    with pytest.raises(ValueError, match="second time"):
        DuplicateOrder(count=1)


def test_repeated_executions_halt_until_a_human_looked() -> None:
    """The third fill within a minute; it is asked for once, and counting starts anew after a look."""
    rule = told(RepeatedExecution(fills=3, seconds=60))
    for _ in range(2):
        rule.filled(D(0), D(1))
    assert rule.check(proposal()) is None
    rule = again(rule, RepeatedExecution(fills=3, seconds=60), START + 59 * SECOND_NS)
    rule.filled(D(1), D(2))
    rule.filled(D(2), D(3))
    (wanted,) = rule.escalations()
    assert (wanted.step, wanted.reason) == (KillStep.CANCEL_ALL, "3 fills within 60 s")
    assert rule.check(proposal()) == "4 fills within 60 s"
    rule.seen()
    assert rule.check(proposal()) is None


def test_round_trips_are_positions_that_end() -> None:
    """Flat, or turned around; what only opens, grows or shrinks is none."""
    rule = told(RepeatedExecution(round_trips=2, seconds=60))
    for before, after in [(0, 2), (2, 3), (3, 1), (0, -1)]:
        rule.filled(D(before), D(after))
    assert rule.escalations() == ()
    rule.filled(D(1), D(0))
    assert rule.escalations() == ()
    rule.filled(D(1), D(-1))
    assert [wanted.reason for wanted in rule.escalations()] == ["2 round trips within 60 s"]


def test_fills_that_are_old_do_not_count() -> None:
    """A minute sharp is out."""
    rule = told(RepeatedExecution(fills=2, seconds=60))
    rule.filled(D(0), D(1))
    rule.advance(START + 60 * SECOND_NS)
    rule.filled(D(1), D(2))
    assert rule.escalations() == ()


def test_execution_without_bounds_is_not_judged() -> None:
    """There is no default: a bound that is not written is off."""
    rule = told(RepeatedExecution(seconds=60))
    for _ in range(100):
        rule.filled(D(1), D(0))
    assert (rule.check(proposal()), rule.escalations()) == (None, ())


def test_fifth_rejection_within_a_minute_blocks_what_is_new() -> None:
    """Told once; a minute later the rule itself holds nothing back, and what was latched stays."""
    rule = told(RejectRate())
    for _ in range(4):
        rule.rejected()
    assert (rule.check(proposal()), rule.escalations()) == (None, ())
    rule = again(rule, RejectRate(), START + 60 * SECOND_NS - 1)
    rule.rejected()
    rule.rejected()
    assert [wanted.step for wanted in rule.escalations()] == [KillStep.BLOCK_NEW]
    assert rule.check(proposal()) == "6 rejections within 60 s"
    rule.advance(START + 60 * SECOND_NS)
    assert rule.check(proposal()) is None


def test_reductions_pass_all_but_the_rate() -> None:
    """What gets out of a position is held back by the rate alone."""
    assert OrderRate.applies_to_reductions
    for rule in (DailyCounts, DuplicateOrder, RepeatedExecution, RejectRate):
        assert not rule.applies_to_reductions


def test_time_never_goes_back() -> None:
    """An input that is late is judged at the latest time known."""
    rule = told(RejectRate())
    rule.advance(START - SECOND_NS)
    assert rule.now_ns == START


def test_window_forgets_at_its_end() -> None:
    """Half open: exactly as old as the window is out."""
    window = Window(1)
    window.add(START)
    assert window.count(START + SECOND_NS - 1) == 1
    assert window.count(START + SECOND_NS) == 0
    assert window.last() is None


def test_local_day_is_a_calendar_date() -> None:
    """Also on the day the clocks change."""
    from alphaweave.data.zones import Zone

    berlin = Zone("Europe/Berlin")
    midnight = to_ns(datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert local_day(berlin, midnight) == local_day(berlin, midnight - 1) + 1
    assert local_day(berlin, midnight + 23 * 3600 * SECOND_NS - 1) == local_day(berlin, midnight)
    assert local_day(berlin, midnight + 23 * 3600 * SECOND_NS) == local_day(berlin, midnight) + 1
