"""Collar, age of data, clocks and connections: each at its boundary, and closed until it knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, OrderType, Side
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_market import ClockSkew, ConnectionSilence, PriceCollar, StaleData
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.risk_time import SECOND_NS

D = Decimal
MINUTE = 60 * SECOND_NS
HOUR = 60 * MINUTE
MS = 1_000_000


def at(day: int, hour: int = 0, minute: int = 0) -> int:
    return to_ns(datetime(2026, 1, day, hour, minute, tzinfo=UTC))


NOON = at(5, 12)


def proposal(side: Side = Side.BUY, symbol: str = "SPY", **terms: Any) -> Proposal:
    request = OrderRequest(symbol, side, quantity=D(1), **terms)
    instrument = Instrument(symbol=symbol, venue_symbol=symbol)
    return Proposal(symbol, instrument, side, D(1), request=request, price=D(100))


def code(rule: Any, judged: Proposal | None = None) -> str | None:
    denial = RiskChain([rule]).check(judged or proposal())
    return None if denial is None else denial.code


# Price collar.


@pytest.mark.parametrize(
    ("side", "limit", "passes"),
    [
        (Side.BUY, "105", True),
        (Side.BUY, "105.01", False),
        (Side.BUY, "1", True),
        (Side.SELL, "95", True),
        (Side.SELL, "94.99", False),
        (Side.SELL, "900", True),
    ],
)
def test_collar_holds_the_aggressive_side(side: Side, limit: str, passes: bool) -> None:
    """Five per cent from 100, sharp; what waits for the market is no fat finger."""
    collar = PriceCollar()
    collar.price("SPY", D(100))
    judged = proposal(side, type=OrderType.LIMIT, limit_price=D(limit))
    assert code(collar, judged) == (None if passes else "price_collar")


def test_collar_says_what_is_wrong() -> None:
    """With both prices."""
    collar = PriceCollar(D("0.02"))
    collar.price("SPY", D(100))
    judged = proposal(Side.SELL, type=OrderType.LIMIT, limit_price=D("97.5"))
    assert collar.check(judged) == "limit price 97.5 is more than 2 % below 100"


@pytest.mark.parametrize(("limit", "passes"), [("126", True), ("126.01", False)])
def test_limit_behind_a_stop_is_measured_from_the_stop(limit: str, passes: bool) -> None:
    """A buy stop at 120 becomes a limit there, not here."""
    collar = PriceCollar()
    collar.price("SPY", D(100))
    judged = proposal(type=OrderType.STOP_LIMIT, stop_price=D(120), limit_price=D(limit))
    assert code(collar, judged) == (None if passes else "price_collar")


@pytest.mark.parametrize("last", [None, D(0), D(-1), D("NaN"), D("Infinity")])
def test_collar_without_a_price_denies(last: Decimal | None) -> None:
    """Market orders too; a price that went away is no price."""
    collar = PriceCollar()
    assert code(collar) == "no_reference_price"
    collar.price("SPY", D(100))
    assert code(collar) is None
    assert code(collar, proposal(symbol="QQQ")) == "no_reference_price"
    collar.price("SPY", last)
    assert code(collar) == "no_reference_price"


@pytest.mark.parametrize("fraction", [D(0), D(1), D(5)])
def test_collar_is_a_fraction(fraction: Decimal) -> None:
    """Five per cent is 0.05, not 5."""
    with pytest.raises(ValueError, match="a fraction between 0 and 1"):
        PriceCollar(fraction)


# Stale data.


def test_bar_is_stale_after_one_and_a_half_intervals() -> None:
    """Ninety seconds after a minute's end, sharp; the next bar makes it fresh."""
    rule = StaleData(MINUTE)
    rule.advance(NOON)
    rule.bar("SPY", NOON)
    rule.advance(NOON + 90 * SECOND_NS)
    assert code(rule) is None
    rule.advance(NOON + 90 * SECOND_NS + 1)
    assert code(rule) == "stale_data"
    assert rule.complaint("SPY") == "the last bar ended 90 s ago"
    assert rule.stale(["SPY", "QQQ"]) == ("SPY", "QQQ")
    rule.bar("SPY", NOON + MINUTE)
    assert rule.stale(["SPY"]) == ()
    rule.bar("SPY", NOON)
    assert rule.stale(["SPY"]) == (), "an older bar takes nothing back"


def test_bars_that_become_too_old_are_told_once_and_when_they_come_again() -> None:
    """Nobody has to place an order to hear of it, and it is known when to look."""
    rule = StaleData(MINUTE)
    rule.advance(NOON)
    assert (rule.news(), rule.next_news()) == ((), None)
    rule.bar("SPY", NOON)
    rule.bar("QQQ", NOON - 30 * SECOND_NS)
    assert rule.news() == ()
    assert rule.next_news() == NOON + 60 * SECOND_NS + 1
    rule.advance(NOON + 60 * SECOND_NS)
    assert rule.news() == ()
    rule.advance(NOON + 60 * SECOND_NS + 1)
    text = "QQQ: the last bar ended 90 s ago; no order opens or adds"
    assert rule.news() == (("warning", "stale_data", text, "QQQ"),)
    assert rule.next_news() == NOON + 90 * SECOND_NS + 1
    rule.advance(NOON + 100 * SECOND_NS)
    assert [symbol for *_, symbol in rule.news()] == ["SPY"]
    assert (rule.news(), rule.next_news()) == ((), None)
    # One that comes late, and is too old itself, is nothing new.
    rule.bar("QQQ", NOON - 20 * SECOND_NS)
    assert rule.news() == ()
    rule.bar("QQQ", NOON + MINUTE)
    assert rule.news() == (("info", "fresh_data", "QQQ has a new bar again", "QQQ"),)
    assert rule.next_news() == NOON + MINUTE + 90 * SECOND_NS + 1


def test_bars_of_a_market_that_is_closed_become_old_when_it_has_opened() -> None:
    """A night is no silence."""
    opens = NOON + 3600 * SECOND_NS
    rule = StaleData(MINUTE, next_open=lambda _, at: max(at, opens))
    rule.advance(NOON)
    rule.bar("SPY", NOON)
    assert rule.news() == ()
    assert rule.next_news() == opens + 90 * SECOND_NS + 1


def test_symbol_without_a_bar_is_stale() -> None:
    """Each symbol answers for itself; without a time none is fresh."""
    rule = StaleData(MINUTE)
    assert code(rule) == "risk_rule_failed"
    rule.advance(NOON)
    rule.bar("SPY", NOON)
    rule.advance(NOON)
    assert code(rule) is None
    assert rule.check(proposal(symbol="QQQ")) == "there has been no bar yet"


def opens_at(*spans: tuple[int, int]) -> Callable[[str, int], int | None]:
    def next_open(symbol: str, at_ns: int) -> int | None:
        return next((max(start, at_ns) for start, end in spans if at_ns < end), None)

    return next_open


def test_closed_market_makes_nothing_stale() -> None:
    """The night does not count: a minute's bar is due after the open, a day's after the weekend."""
    sessions = opens_at((at(9, 14, 30), at(9, 21)), (at(12, 14, 30), at(12, 21)))
    minute = StaleData(MINUTE, next_open=sessions)
    minute.advance(at(9, 21))
    minute.bar("SPY", at(9, 21))
    minute.advance(at(12, 14, 30) + 90 * SECOND_NS)
    assert code(minute) is None
    minute.advance(at(12, 14, 30) + 90 * SECOND_NS + 1)
    assert code(minute) == "stale_data"
    day = StaleData(24 * HOUR, next_open=sessions)
    day.advance(at(10))
    day.bar("SPY", at(10))
    day.advance(at(13))
    assert code(day) is None
    day.advance(at(14, 2, 31))
    assert code(day) == "stale_data"


def test_gap_within_a_session_is_stale_at_once() -> None:
    """The open market is measured from the last bar, not from the next session."""
    rule = StaleData(MINUTE, next_open=opens_at((at(9, 14, 30), at(9, 21))))
    rule.advance(at(9, 15))
    rule.bar("SPY", at(9, 15))
    rule.advance(at(9, 15, 2))
    assert code(rule) == "stale_data"


def test_unknown_sessions_count_as_open() -> None:
    """What is not known is not closed; a calendar that raises denies."""
    rule = StaleData(MINUTE, next_open=lambda symbol, at_ns: None)
    rule.advance(NOON)
    rule.bar("SPY", NOON)
    rule.advance(NOON + 91 * SECOND_NS)
    assert code(rule) == "stale_data"

    def broken(symbol: str, at_ns: int) -> int | None:
        raise ValueError("the calendar ends here")

    rule = StaleData(MINUTE, next_open=broken)
    rule.advance(NOON)
    rule.bar("SPY", NOON)
    rule.advance(NOON)
    assert code(rule) == "risk_rule_failed"


@pytest.mark.parametrize(
    ("bid", "ask", "said"),
    [
        (99.0, 100.0, None),
        (100.0, 100.0, None),
        (100.5, 100.0, "the quote is crossed (100.5 above 100)"),
        (0.0, 100.0, "the quote has no two prices (0, 100)"),
        (99.0, 0.0, "the quote has no two prices (99, 0)"),
        (99.0, float("nan"), "the quote has no two prices (99, nan)"),
        (99.0, float("inf"), "the quote has no two prices (99, inf)"),
    ],
)
def test_quote_has_two_prices_the_right_way_round(bid: float, ask: float, said: str | None) -> None:
    """Locked is allowed, crossed is not."""
    rule = StaleData(None)
    rule.advance(NOON)
    rule.quote("SPY", NOON, bid, ask)
    assert rule.check(proposal()) == said


def test_quote_is_stale_after_five_seconds() -> None:
    """Sharp, by its own time; one that arrives late changes nothing."""
    rule = StaleData(None)
    rule.advance(NOON)
    assert rule.check(proposal()) == "there has been no quote yet"
    rule.quote("SPY", NOON, 99, 100)
    rule.quote("SPY", NOON - 1, 100, 99)
    rule.advance(NOON + 5 * SECOND_NS)
    assert code(rule) is None
    rule.advance(NOON + 5 * SECOND_NS + 1)
    assert rule.check(proposal()) == "the last quote is 5 s old"


def test_quotes_may_rest_while_the_market_is_closed() -> None:
    """They are judged again from the open on; bars beside them are judged as ever."""
    rule = StaleData(MINUTE, next_open=opens_at((at(9, 14, 30), at(9, 21)), (at(12, 14, 30), at(12, 21))))
    rule.advance(at(9, 20))
    rule.quote("SPY", at(9, 20), 99, 100)
    assert rule.check(proposal()) == "there has been no bar yet"
    rule.advance(at(9, 21))
    rule.bar("SPY", at(9, 21))
    rule.advance(at(12, 14, 29))
    assert code(rule) is None
    rule.advance(at(12, 14, 30))
    assert code(rule) == "stale_data"


def test_data_from_the_future_are_of_now() -> None:
    """A stamp that is hours ahead keeps nothing fresh, and hides nothing that comes after it."""
    rule = StaleData(MINUTE)
    rule.advance(NOON)
    rule.bar("SPY", NOON + HOUR)
    rule.quote("SPY", NOON + HOUR, 99, 100)
    rule.advance(NOON + 6 * SECOND_NS)
    assert rule.check(proposal()) == "the last quote is 6 s old"
    rule.quote("SPY", NOON + 6 * SECOND_NS, 99, 100)
    assert code(rule) is None
    rule.advance(NOON + 91 * SECOND_NS)
    rule.quote("SPY", NOON + 91 * SECOND_NS, 99, 100)
    assert rule.check(proposal()) == "the last bar ended 91 s ago"


@pytest.mark.parametrize("wrong", [{"intervals": D("0.9")}, {"quote_seconds": 0}])
def test_age_has_room_for_the_next_bar(wrong: dict[str, Any]) -> None:
    """Less than an interval would call every bar stale."""
    with pytest.raises(ValueError, match="at the least"):
        StaleData(MINUTE, **wrong)


# Clocks.


@pytest.mark.parametrize(
    ("skew", "passes"), [(500 * MS, True), (500 * MS + 1, False), (-500 * MS, True), (-500 * MS - 1, False)]
)
def test_clocks_may_differ_by_half_a_second(skew: int, passes: bool) -> None:
    """Either way, sharp; the broker answered in the middle of the round trip."""
    rule = ClockSkew()
    rule.compared(NOON + 100 * MS + skew, NOON, NOON + 200 * MS)
    assert rule.skew_ns == skew
    assert code(rule) == (None if passes else "clock_skew")


def test_clock_that_was_never_compared_denies() -> None:
    """And a comparison that took too long, or ran backwards, is none."""
    rule = ClockSkew()
    assert code(rule) == "clock_skew"
    rule.compared(NOON, NOON, NOON + 1000 * MS + 1)
    rule.compared(NOON, NOON, NOON - 1)
    assert code(rule) == "clock_skew"
    rule.compared(NOON + 500 * MS, NOON, NOON + 1000 * MS)
    assert code(rule) is None


# Connections.


def up() -> ConnectionSilence:
    rule = ConnectionSilence()
    rule.advance(NOON)
    for link in ("orders", "data"):
        rule.restored(link, NOON)
    return rule


def test_links_are_down_until_they_were_restored() -> None:
    """Nothing is taken for up; both have to be."""
    rule = ConnectionSilence()
    assert code(rule) == "risk_rule_failed"
    rule.advance(NOON)
    assert rule.check(proposal()) == "the link of orders is not up yet; the link of data is not up yet"
    rule.restored("orders", NOON)
    assert (rule.down(), code(rule)) == (("data",), "connection")
    rule.restored("data", NOON)
    assert (rule.down(), code(rule)) == ((), None)


def test_link_that_was_silent_stays_down_until_restored() -> None:
    """More than 15 seconds; a byte alone opens nothing."""
    rule = up()
    rule.heard("orders", NOON + SECOND_NS)
    rule.advance(NOON + 15 * SECOND_NS)
    assert code(rule) is None
    rule.advance(NOON + 15 * SECOND_NS + 1)
    assert rule.check(proposal()) == "the link of data was silent for 15 s"
    rule.heard("data", NOON + 15 * SECOND_NS + 1)
    rule.advance(NOON + 15 * SECOND_NS + 2)
    assert rule.down() == ("data",)
    rule.restored("data", NOON + 15 * SECOND_NS + 2)
    assert code(rule) is None


def test_link_that_was_heard_in_time_is_up() -> None:
    """What came in before the input is told before the time is; an older word takes nothing back."""
    rule = up()
    for link in ("orders", "data"):
        rule.heard(link, NOON + 60 * SECOND_NS)
        rule.heard(link, NOON + 30 * SECOND_NS)
    rule.advance(NOON + 75 * SECOND_NS)
    assert code(rule) is None


def test_lost_link_denies_at_once() -> None:
    """Without waiting for silence."""
    rule = up()
    rule.lost("orders")
    assert rule.check(proposal()) == "the link of orders is lost"


def test_unknown_link_is_refused() -> None:
    """A misspelling would never be heard of."""
    with pytest.raises(ValueError, match="no link 'date'; there are orders, data"):
        up().heard("date", NOON)
    with pytest.raises(ValueError, match="has a link"):
        ConnectionSilence([])
