"""What the doctor finds: each finding both ways, at a broker and a feed that misbehave in one way each."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from doctor_bench import NOW, Acme, Feed, examined, holding, of, runner
from test_live_account import state_home
from test_live_runs import SYMBOLS

from alphaweave.core.clock import SystemClock
from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, RunRefused, Unsupported
from alphaweave.core.order import OrderRef, OrderStatus, Side
from alphaweave.live.broker import Balance, BrokerNotice, BrokerOrder, ConnectionLost
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.doctor import Doctor
from alphaweave.live.findings import Finding, Verdict
from alphaweave.live.run_lock import RunLock, account_lock_path

__all__ = ["state_home"]

CANARY = "c4n4ryco7f3a"


def broker(**facts: Any) -> type[Acme]:
    """A broker with these facts."""
    return type("Odd", (Acme,), facts)


def feed(**facts: Any) -> type[Feed]:
    """A feed with these facts."""
    return type("OddFeed", (Feed,), facts)


def order(symbol: str, client_id: str | None = None) -> BrokerOrder:
    """An order that works at the broker."""
    return BrokerOrder(
        OrderRef(client_id or "theirs", symbol, "b1"),
        client_id,
        OrderStatus.ACCEPTED,
        Side.BUY,
        Decimal(2),
        Decimal(0),
        NOW,
        foreign=client_id is None,
    )


def test_account_that_is_well_has_no_failure(tmp_path: Path) -> None:
    """Nothing is made on the disk, and the broker was only asked."""
    found = examined(tmp_path)
    assert {one.subject for one in found if one.verdict is not Verdict.OK} == {"permissions"}
    assert {"clock", "cash", "symbols", "positions", "open orders"} <= {one.subject for one in found}
    assert {"subscription", "history", "market hours", "latest data"} <= {one.subject for one in found}
    assert list(tmp_path.iterdir()) == []
    (made,) = Acme.made
    assert made.ordered() == 0
    assert made.calls.count("disconnect") == 1


@pytest.mark.parametrize(
    ("skew", "verdict"), [(0.3, "ok"), (-0.3, "ok"), (2.0, "failure"), (-2.0, "failure")]
)
def test_clock_that_is_off_by_more_than_the_limit_is_a_failure(
    tmp_path: Path, skew: float, verdict: str
) -> None:
    found = examined(tmp_path, broker(skew=timedelta(seconds=skew)))
    ((told, text),) = of(found, "clock")
    assert told == verdict
    assert f"{abs(round(skew * 1000))} ms {'ahead of' if skew > 0 else 'behind'}" in text


@pytest.mark.parametrize(
    ("facts", "subject", "verdict", "text"),
    [
        ({"changes": {"account_id": "U2"}}, "account", "failure", "the broker has connected to U2"),
        ({"changes": {"balances": {"EUR": Balance(Decimal(5))}}}, "cash", "failure", "has EUR, and run.curr"),
        ({"changes": {"buying_power": Decimal(0)}}, "cash", "warning", "buying power 0.00"),
        ({"changes": {"complete": False}}, "cash", "warning", "not complete"),
        ({"rules": {"IBM": None}}, "symbols", "failure", "IBM: the broker does not know it"),
        ({"rules": {"IBM": {"tradable": False}}}, "symbols", "failure", "IBM: it cannot be traded now"),
        ({"rules": {"IBM": {"settle": "EUR"}}}, "symbols", "failure", "IBM: it settles in EUR"),
        ({"rules": {"GOOG": {"fractional": False}}}, "symbols", "failure", "GOOG: instruments says fract"),
        ({"rules": {"GOOG": {"shortable": False}}}, "symbols", "failure", "GOOG: instruments says short"),
        (
            {"rules": {"GOOG": {"size_step": Decimal(1)}}},
            "symbols",
            "failure",
            "GOOG: instruments has size_s",
        ),
        ({"changes": holding(IBM=3)}, "positions", "warning", "the account holds 3 IBM"),
        ({"changes": holding(TSLA=-3)}, "positions", "warning", "the account holds -3 TSLA"),
        ({"working": (order("IBM"),)}, "open orders", "warning", "the account holds buy 2 IBM"),
        ({"working": (order("IBM", "awother-1"),)}, "open orders", "warning", "buy 2 IBM (awother-1)"),
        (
            {"notices": (BrokerNotice(NOW, "warning", "upkeep", "down at nine"),)},
            "broker",
            "warning",
            "it says: down at nine (upkeep)",
        ),
        ({"notices": (ConnectionLost(NOW, "orders"),)}, "broker", "failure", "connection was lost: orders"),
        ({"raises": {"connect": BrokerUnavailable("no route")}}, "broker", "failure", "no route"),
        ({"raises": {"get_time": ZeroDivisionError("odd")}}, "clock", "failure", "raised ZeroDivisionError"),
        ({"raises": {"get_open_orders": SystemExit(3)}}, "open orders", "failure", "raised SystemExit"),
        (
            {"raises": {"connect": AuthenticationFailed("of paper", details={"host": "live"})}},
            "credentials",
            "failure",
            "of paper (host live)",
        ),
    ],
)
def test_broker_that_is_not_well_is_found_out(
    tmp_path: Path, facts: Mapping[str, Any], subject: str, verdict: str, text: str
) -> None:
    """And what is well at the other test is not found here for another reason."""
    goog = {"symbol": "GOOG", "fractional": True, "shortable": True, "size_step": 0.5}
    sections: dict[str, Any] = {
        "instruments": [*(one for one in SYMBOLS if one != "GOOG"), goog],
        "broker": {"name": "acme", "account_id": "sim", "options": {"acme": {"cash": 10_000}}},
    }
    well = examined(tmp_path, **sections)
    assert [one for one in well if one.verdict is Verdict.FAILURE] == []
    assert [said for _, said in of(well, subject) if text in said] == []
    found = examined(tmp_path, broker(**facts), **sections)
    assert [told for told, said in of(found, subject) if text in said] == [verdict]
    assert {one.subject for one in found if one.verdict is Verdict.FAILURE} <= {subject}


@pytest.mark.parametrize(
    ("facts", "subject", "verdict", "text"),
    [
        ({"raises": {"connect": BrokerUnavailable("no route")}}, "datafeed", "failure", "no route"),
        ({"raises": {"subscribe": Unsupported("not in your plan")}}, "subscription", "failure", "your plan"),
        ({"said": ()}, "subscription", "warning", "nothing was heard of AAPL"),
        ({"said": (ConnectionLost(NOW, "gone"),)}, "datafeed", "failure", "the connection was lost: gone"),
        (
            {"said": (FeedGap("IBM", "1d", NOW, NOW, filled=False, reason="late"),)},
            "datafeed",
            "warning",
            "IBM: bars are missing: late",
        ),
        (
            {"said": (BrokerNotice(NOW, "error", "plan", "no entitlement"),)},
            "datafeed",
            "failure",
            "it says: no entitlement (plan)",
        ),
        ({"raises": {"history": BrokerUnavailable("too much")}}, "history", "failure", "IBM: too much"),
        ({"hours": None}, "market hours", "warning", "AAPL, GOOG, IBM, MSFT: not known"),
        (
            {"hours": (timedelta(hours=14), timedelta(hours=20))},
            "market hours",
            "warning",
            "closed until 2012-12-20 14:00 UTC",
        ),
        (
            {"capabilities": evolve(Feed.capabilities, delayed=True)},
            "latest data",
            "warning",
            "delivers late",
        ),
        ({"capabilities": evolve(Feed.capabilities, historical=False)}, "history", "warning", "has none"),
    ],
)
def test_feed_that_is_not_well_is_found_out(
    tmp_path: Path, facts: Mapping[str, Any], subject: str, verdict: str, text: str
) -> None:
    found = examined(tmp_path, prices=feed(**facts), patience=0.2)
    assert verdict in {told for told, said in of(found, subject) if text in said}
    # The broker's part is looked at all the same.
    assert ("ok", "there are none") in of(found, "open orders")


def test_warm_up_that_history_does_not_cover_is_a_warning(tmp_path: Path) -> None:
    found = examined(tmp_path, run={"id": "doc", "mode": "paper", "warmup": 40})
    assert ("warning", "IBM: 12 of the 40 bars of the warm-up") in of(found, "history")


def test_bars_that_are_old_while_the_market_was_open_are_a_warning(tmp_path: Path) -> None:
    """Time that it was closed does not count."""

    def late(now: Any, hours: tuple[timedelta, timedelta]) -> list[tuple[str, str]]:
        parts = runner(tmp_path, prices=feed(hours=hours), now=now)
        return of(Doctor(parts.plan(parts.load_strategy()), patience=1.0).examine(), "latest data")

    always, never = (timedelta(0), timedelta(days=9)), (timedelta(days=4), timedelta(days=9))
    ((told, text), *_) = late(NOW + timedelta(days=3), always)
    assert (told, text.endswith("4320 open minutes ago")) == ("warning", True)
    assert [told for told, _ in late(NOW + timedelta(days=3), never)] == ["ok"]


def test_calendar_of_the_config_says_when_the_market_is_open(tmp_path: Path) -> None:
    """It is what the run goes by, whatever the feed says."""
    instruments = [{"symbol": "IBM", "calendar": "24/7"}, *(one for one in SYMBOLS if one != "IBM")]
    found = examined(tmp_path, instruments=instruments)
    assert ("ok", "IBM: open around the clock") in of(found, "market hours")


@pytest.mark.parametrize(
    "name", ["connect", "get_time", "get_account_state", "get_open_orders", "disconnect"]
)
def test_broker_that_hangs_is_a_failure_and_does_not_hang_the_doctor(tmp_path: Path, name: str) -> None:
    """The rest is looked at all the same."""
    began = SystemClock().monotonic()
    found = examined(tmp_path, broker(hangs=name), patience=0.1)
    assert SystemClock().monotonic() - began < 10
    said = [one.text for one in found if one.verdict is Verdict.FAILURE]
    assert said == (
        [] if name == "disconnect" else [f"broker 'acme' has not come back from {name} within 0.1 s"]
    )
    assert ("ok", "the 3 bars of the warm-up are there") in of(found, "history")


@pytest.mark.parametrize("name", ["connect", "subscribe", "history", "sessions"])
def test_feed_that_hangs_is_a_failure_and_does_not_hang_the_doctor(tmp_path: Path, name: str) -> None:
    found = examined(tmp_path, prices=feed(hangs=name), patience=0.1)
    said = {one.text.partition(": ")[2] or one.text for one in found if one.verdict is Verdict.FAILURE}
    assert said == {f"datafeed 'replay' has not come back from {name} within 0.1 s"}


def test_adapter_tells_what_only_it_knows(tmp_path: Path) -> None:
    """What it answers otherwise than as findings is its failure."""

    async def diagnose(self: Acme) -> Sequence[Finding]:
        return [Finding("permissions", Verdict.FAILURE, "trading is blocked", "write to the broker")]

    async def odd(self: Acme) -> Any:
        return ["well"]

    found = examined(tmp_path, broker(diagnose=diagnose))
    assert of(found, "permissions") == [("failure", "trading is blocked")]
    ((verdict, text),) = of(examined(tmp_path, broker(diagnose=odd)), "adapter")
    assert verdict == "failure"
    assert "returned an object of type str from diagnose, which is no Finding" in text


def test_secret_is_in_nothing_that_is_found(tmp_path: Path) -> None:
    """Neither in what an adapter raises, nor in what it tells of itself or of its connection."""

    async def diagnose(self: Acme) -> Sequence[Finding]:
        return [Finding("keys", "ok", f"the key is {CANARY}", f"hide {CANARY}")]

    loud = broker(
        raises={"get_time": BrokerUnavailable(f"GET https://x/?key={CANARY}")},
        notices=(BrokerNotice(NOW, "warning", "w", f"key {CANARY} is old"),),
        diagnose=diagnose,
    )
    odd = feed(raises={"history": ValueError(f"no {CANARY}")})
    parts = runner(tmp_path, loud, odd)
    parts.scrubber.add(CANARY)
    found = Doctor(parts.plan(parts.load_strategy()), patience=1.0).examine()
    assert CANARY not in repr(found)
    assert repr(found).count("[redacted]") >= 5


@pytest.mark.parametrize(
    ("policy", "verdict"), [(None, "failure"), ("adopt", "warning"), ("ignore", "warning")]
)
def test_first_start_with_real_money_is_told_what_it_would_be_refused_for(
    tmp_path: Path, policy: str | None, verdict: str
) -> None:
    """Which account it is, and how to say so, is told too; nothing had to be confirmed for that."""

    async def connect(self: Acme) -> None:
        self._connected = True

    found = examined(
        tmp_path,
        broker(connect=connect, changes=holding(IBM=3), working=(order("IBM"),)),
        run={"id": "doc", "mode": "live", "warmup": 3},
        broker={"name": "acme", "account_id": "sim", "options": {"acme": {"cash": 10_000}}},
        reconciliation={"first_start": policy},
    )
    assert of(found, "account") == [("ok", "sim holds real money")]
    assert "the run has to be given --confirm-live sim" in {one.advice for one in found}
    assert [told for told, _ in of(found, "positions")] == [verdict]
    assert [told for told, _ in of(found, "open orders")] == [verdict]


def test_account_that_another_run_trades_is_a_failure(tmp_path: Path) -> None:
    """Nothing is locked for that, nor after it."""
    path = account_lock_path("acme", "sim")
    path.parent.mkdir(parents=True)
    lock = RunLock.acquire(path, what="the account")
    found = examined(tmp_path)
    lock.release()
    assert [verdict for verdict, text in of(found, "account") if "another run trades" in text] == ["failure"]
    assert of(examined(tmp_path), "account") == []
    RunLock.acquire(path, what="the account").release()


def test_port_that_somebody_has_is_a_failure(tmp_path: Path) -> None:
    """It is free again when nobody has it, and the doctor keeps it for itself no longer than it looks."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        watcher = type("Serving", (), {"port": port})
        assert ports(tmp_path, watcher()) == ["failure"]
    assert ports(tmp_path, watcher()) == ["ok"]
    assert ports(tmp_path, type("Any", (), {"port": 0})()) == []


def ports(folder: Path, monitor: Any) -> list[str]:
    parts = runner(folder)
    plan = parts.plan(parts.load_strategy())
    found = Doctor(evolve(plan, monitors={"serving-0": monitor})).examine()
    return [verdict for verdict, _ in of(found, "monitor port")]


def test_run_that_would_be_refused_is_not_connected(tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="record_inputs is false"):
        examined(tmp_path, persistence={"journal": str(tmp_path / "doc.db"), "record_inputs": False})
    assert Acme.made == []
