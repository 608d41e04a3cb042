"""From a config to the parts of a paper or live run: limits, reconciliation, calendars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import fields

from alphaweave.core.clock import ManualClock, to_ns
from alphaweave.core.errors import ConfigError
from alphaweave.core.instrument import Instrument
from alphaweave.data.series import Series
from alphaweave.live.adapter_services import adapter_services
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config import LiveConfig, parse_live_config, redacted
from alphaweave.live.config_live import calendars, maintenance, reconcile_settings, risk_board
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import SymbolBook
from alphaweave.live.reconcile_books import ReconcileSettings
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_facts import BarSeen
from alphaweave.live.sessions import next_open

D = Decimal
SECOND = 1_000_000_000
HOURS = {"timezone": "America/New_York", "mon": ["09:30-16:00"], "closed": ["2026-03-09"]}


def config(instrument: Mapping[str, Any] | None = None, **sections: Any) -> LiveConfig:
    return parse_live_config(
        {
            "instruments": [{"symbol": "SPY", **(instrument or {})}],
            "datafeed": {"name": "f", "interval": "1m", **sections.pop("datafeed", {})},
            "broker": {"name": "b"},
            "strategy": {"class": "m:S"},
            **sections,
        }
    )


def board(given: LiveConfig) -> RiskBoard:
    instrument = Instrument(symbol="SPY", venue_symbol="SPY")
    return risk_board(
        given,
        {"SPY": SymbolBook(instrument, Series("SPY", "1m"))},
        Ledger(currency="USD", cash=D(1000)),
        Capabilities(order_types=frozenset()),
    )


def test_reconciliation_is_set_from_config_and_adapter() -> None:
    """Every key arrives, and how final a not-found is comes from the adapter."""
    section = {
        "first_start": "ignore",
        "foreign": "adopt",
        "intervals": {"in_flight": 1, "open_orders": 3, "positions": 7},
    }
    capabilities = Capabilities(order_types=frozenset(), not_found_is_final_after=33)
    instruments = [{"symbol": "SPY", "size_step": "0.1"}]
    given = config(reconciliation=section, run={"currency": "EUR"}, instruments=instruments)
    assert reconcile_settings(given, RunMode.LIVE, capabilities, "A1") == ReconcileSettings(
        live=True,
        account="A1",
        currency="EUR",
        first_start="ignore",
        foreign="adopt",
        not_found_is_final_after=33,
        in_flight=1,
        open_orders=3,
        positions=7,
        clock=60,
        rules=14400,
        written={"SPY": {"size_step": D("0.1")}},
    )
    plain = reconcile_settings(config(), RunMode.PAPER, Capabilities(order_types=frozenset()), "")
    assert plain == ReconcileSettings(clock=60, rules=14400, written={"SPY": {}})


@pytest.mark.parametrize("written", ["24/7", HOURS, {**HOURS, "special": {"2026-03-16": ["10:00-11:00"]}}])
def test_calendar_is_a_name_or_a_table(written: Any) -> None:
    """A table of hours is read as it is written, and a report shows it so."""
    given = config({"calendar": written})
    (calendar,) = calendars(given).values()
    monday = to_ns(datetime(2026, 3, 9, tzinfo=UTC))
    opens = next_open(calendar, monday)
    if written == "24/7":
        assert opens == monday
    else:
        hour, minute = (14, 0) if "special" in written else (13, 30)
        assert opens == to_ns(datetime(2026, 3, 16, hour, minute, tzinfo=UTC))
    assert redacted(given)["instruments"][0]["calendar"] == written
    # What the venue is told is a name, or nothing.
    assert given.instruments[0].rules().get("calendar") == (written if written == "24/7" else None)
    assert calendars(config()) == {}


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"mon": ["09:30-16:00"]}, "needs a timezone"),
        ({**HOURS, "mond": []}, "mond: a calendar has"),
        ({**HOURS, "tue": "9-5"}, "tue is a list"),
        (7, "a calendar is a name, such as XNYS or 24/7, or a table of hours, not 7"),
        ("", "a calendar is a name"),
    ],
)
def test_table_that_cannot_be_read_is_refused_with_its_path(written: Any, complaint: str) -> None:
    """When the config is parsed, not when the market opens."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        config({"calendar": written})
    assert [problem.path for problem in caught.value.problems] == ["instruments[0].calendar"]


def test_unknown_exchange_is_refused_when_it_is_needed() -> None:
    """With the path of the key that names it."""
    given = config({"calendar": "XNOWHERE"})
    with pytest.raises(ConfigError) as caught:
        calendars(given)
    assert [problem.path for problem in caught.value.problems] == ["instruments[0].calendar"]


def test_board_is_set_from_the_config() -> None:
    """Limits, the day's time zone, the capital and the calendars are the config's."""
    given = config(
        {"calendar": HOURS},
        risk={"daily_loss": {"reduce": 0.1}, "max_leverage": 2},
        run={"capital": 500},
        datafeed={"timezone": "Asia/Tokyo"},
    )
    made = board(given)
    assert {"max_leverage", "clock_skew"} <= {rule.code for rule in made.rules}
    now = to_ns(datetime(2026, 3, 6, 21, tzinfo=UTC))
    made.advance(now)
    made.heard(BarSeen("SPY", now, 100.0))
    assert made.mark() == ()
    # The market is closed from Friday on, and Monday is a holiday: the bar stays fresh.
    made.advance(now + 5 * 24 * 3600 * SECOND)
    assert made.data.stale(("SPY",)) == ()
    made.losses.update(D(951))
    assert made.latched() == ()
    # A tenth of the capital, not of the equity, on one day in Tokyo.
    made.losses.update(D(899))
    (transition,) = made.latched()
    assert transition.cause is not None
    assert transition.cause.code == "daily_loss"


def test_trades_age_as_quotes_do() -> None:
    """Where each bar is a trade there is no interval to be late by."""
    made = board(config(datafeed={"interval": "tick"}))
    made.advance(SECOND)
    assert made.data.stale(("SPY",)) == ("SPY",)
    made.heard(BarSeen("SPY", SECOND, 100.0))
    made.advance(6 * SECOND)
    assert made.data.stale(("SPY",)) == ()
    made.advance(6 * SECOND + 1)
    assert made.data.stale(("SPY",)) == ("SPY",)


def test_every_key_of_reconciliation_is_used() -> None:
    """A key that is written and does nothing would be a lie."""
    own = {"clock", "quiet", "overlap", "retry", "in_flight_after"}
    of_the_run = {"live", "account", "currency", "not_found_is_final_after", "rules", "written"}
    known = {each.name for each in fields(ReconcileSettings)} - own - of_the_run
    assert known == {"first_start", "foreign", "in_flight", "open_orders", "positions"}


def test_maintenance_is_a_table_of_hours() -> None:
    """Anything else is a problem of its key; and adapters of the broker's name learn of it."""
    table = {"timezone": "America/New_York", "sun": ["23:45-00:45"]}
    wanted = config(broker={"name": "paper", "maintenance": table})
    assert maintenance(wanted) is not None
    clock = ManualClock(datetime(2024, 1, 8, 5, 15, tzinfo=UTC))
    broker, other = (adapter_services(wanted, RunMode.PAPER, clock, name) for name in ("paper", "other"))
    assert (broker.resting(), other.resting()) == (1800.0, 0.0)
    clock.advance(1800)
    assert broker.resting() == 0.0
    for wrong in ("24/7", {"sun": ["23:45-00:45"]}, {**table, "sun": ["late"]}):
        with pytest.raises(ConfigError) as caught:
            config(broker={"name": "paper", "maintenance": wrong})
        assert [problem.path for problem in caught.value.problems] == ["broker.maintenance"]
