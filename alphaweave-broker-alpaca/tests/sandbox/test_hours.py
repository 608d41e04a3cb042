"""Time at the sandbox: New York's hours, and what they do to orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave_broker_alpaca.sandbox.hours import Hours

TUESDAY = datetime(2031, 3, 4, 15, 30, tzinfo=UTC)
HOUR = 3600


def limit(**changes: Any) -> dict[str, Any]:
    """The body of a limit order that rests."""
    return {
        "symbol": "KO",
        "qty": "1",
        "side": "buy",
        "type": "limit",
        "limit_price": "50",
        "time_in_force": "day",
        **changes,
    }


async def status(site: Any, sent: Any) -> str:
    """Where an order stands."""
    return str((await site.call(site.trading().get_order_by_id, sent["id"]))["status"])


@pytest.mark.parametrize(
    ("hours", "is_open", "is_extended"),
    [
        (-7, False, False),
        (-5, False, True),
        (0, True, True),
        (6, False, True),
        (10, False, False),
        (96, False, False),
    ],
)
def test_sessions_are_new_york_s(hours: int, is_open: bool, is_extended: bool) -> None:
    """Half past nine to four, and four to eight around it, on weekdays."""
    when = TUESDAY + timedelta(hours=hours)
    calendar = Hours((), always_open=False)
    assert (calendar.is_open(when), calendar.is_extended(when)) == (is_open, is_extended)


def test_market_that_never_closes_says_so_in_its_calendar() -> None:
    """Else a run would wait for an opening that was never closed before."""
    saturday = datetime(2031, 3, 8, 5, 0, tzinfo=UTC)
    always = Hours((), always_open=True)
    assert always.is_open(saturday)
    (row,) = always.calendar(saturday.date(), saturday.date())
    assert (row["open"], row["close"]) == ("00:00", "23:59")


def test_clock_and_calendar_skip_holidays_and_summer_time() -> None:
    """The next opening is that of the next day that trades, in the offset of that day."""
    friday = datetime(2031, 3, 7, 22, 0, tzinfo=UTC)
    told = Hours(("2031-03-10",), always_open=False).clock(friday)
    assert told["next_open"] == "2031-03-11T09:30:00-04:00"
    rows = Hours(("2031-03-10",), always_open=False).calendar(
        friday.date(), friday.date() + timedelta(days=4)
    )
    assert [(row["date"], row["settlement_date"]) for row in rows] == [
        ("2031-03-07", "2031-03-11"),
        ("2031-03-11", "2031-03-12"),
    ]
    assert (rows[0]["open"], rows[0]["session_close"]) == ("09:30", "2000")


def test_day_order_expires_at_the_close(at_sandbox: Callable[..., None]) -> None:
    """It says when, and is told as expired; one that is good till cancelled stays."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.listen()
        day = await site.call(client.post, "/orders", limit())
        rest = await site.call(client.post, "/orders", limit(time_in_force="gtc"))
        assert (day["expires_at"], rest["expires_at"]) == ("2031-03-04T21:00:00Z", "2031-06-02T20:00:00Z")
        site.venue.clock.advance(6 * HOUR)
        await site.until(lambda: any(one["data"]["event"] == "expired" for one in site.heard))
        assert [await status(site, one) for one in (day, rest)] == ["expired", "new"]

    at_sandbox(scenario)


def test_order_outside_the_session_waits_for_it(at_sandbox: Callable[..., None]) -> None:
    """It is accepted, is executed by no price before the opening, and then by the first."""

    async def scenario(site: Any) -> None:
        site.venue.clock.advance(7 * HOUR)
        client = site.trading()
        sent = await site.call(client.post, "/orders", limit())
        late = await site.call(client.post, "/orders", limit(extended_hours=True))
        assert (sent["status"], sent["expires_at"]) == ("accepted", "2031-03-05T21:00:00Z")
        assert (late["status"], late["expires_at"]) == ("pending_new", "2031-03-05T01:00:00Z")
        await site.venue.set_price("PART", Decimal(49))
        assert [await status(site, one) for one in (sent, late)] == ["accepted", "filled"]
        site.venue.clock.advance(16 * HOUR)
        assert await status(site, sent) == "new"
        await site.venue.set_price("PART", Decimal(48))
        assert await status(site, sent) == "filled"
        assert [one.price for one in site.venue.truth().executions] == [49, 48]

    at_sandbox(scenario)


def test_auctions_happen_at_their_hour(at_sandbox: Callable[..., None]) -> None:
    """An order for the close is executed at the close and not before; one for the opening at the opening."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(50))
        body = {"symbol": "KO", "qty": "1", "side": "buy", "type": "market"}
        close = await site.call(client.post, "/orders", {**body, "time_in_force": "cls"})
        await site.venue.set_price("PART", Decimal(51))
        assert await status(site, close) == "accepted"
        site.venue.clock.advance(6 * HOUR)
        assert await status(site, close) == "filled"
        site.venue.clock.advance(3 * HOUR)
        opening = await site.call(client.post, "/orders", {**body, "time_in_force": "opg"})
        missed = {**body, "type": "limit", "limit_price": "40", "time_in_force": "opg"}
        missed = await site.call(client.post, "/orders", missed)
        site.venue.clock.advance(14 * HOUR)
        await site.venue.set_price("PART", Decimal(52))
        assert [await status(site, one) for one in (opening, missed)] == ["filled", "canceled"]
        assert [one.price for one in site.venue.truth().executions] == [51, 52]

    at_sandbox(scenario)


def test_fill_or_kill_rests_never(at_sandbox: Callable[..., None]) -> None:
    """What cannot be executed at once is cancelled at once."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(51))
        for tif in ("ioc", "fok"):
            sent = await site.call(client.post, "/orders", limit(time_in_force=tif))
            assert await status(site, sent) == "canceled"
            sent = await site.call(client.post, "/orders", limit(time_in_force=tif, limit_price="52"))
            assert await status(site, sent) == "filled"

    at_sandbox(scenario)


def test_time_can_pass_faster(at_sandbox: Callable[..., None]) -> None:
    """With a speed, the venue's time leaves the clock behind."""

    async def scenario(site: Any) -> None:
        site.venue.clock.advance(1)
        told = await site.call(site.trading(raw=False).get_clock)
        assert timedelta(seconds=3600) <= told.timestamp - TUESDAY < timedelta(seconds=36000)
        await site.venue.skew(-3600 * 24)
        told = await site.call(site.trading(raw=False).get_clock)
        assert told.timestamp < TUESDAY

    at_sandbox(scenario, speed=3600.0)
