"""What an account tells of itself: each finding both ways, and all of them at the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.adapters.base import Services
from alphaweave.live.findings import Diagnosing, Finding
from alphaweave.testing.clear_options import parse_clear_options
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action
from alphaweave_broker_alpaca.adapter import AlpacaAdapter
from alphaweave_broker_alpaca.findings import account_findings, budget_findings, hours_findings
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions
from alphaweave_broker_alpaca.settings import AlpacaOptions

WELL = {
    "status": "ACTIVE",
    "crypto_status": "ACTIVE",
    "crypto_tier": 2,
    "shorting_enabled": True,
    "trading_blocked": False,
    "transfers_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
}


def verdicts(found: Any) -> list[tuple[str, str]]:
    return [(one.subject, one.verdict.value) for one in found]


@pytest.mark.parametrize(
    ("changes", "subject", "verdict", "text"),
    [
        ({"trading_blocked": True}, "permissions", "failure", "trading_blocked"),
        ({"account_blocked": True}, "permissions", "failure", "account_blocked"),
        ({"trade_suspended_by_user": True}, "permissions", "failure", "trade_suspended_by_user"),
        ({"status": "ACCOUNT_UPDATED"}, "permissions", "failure", "status ACCOUNT_UPDATED"),
        ({"transfers_blocked": True}, "permissions", "warning", "transfers are blocked"),
        ({"shorting_enabled": False}, "short sales", "warning", "not allowed"),
        ({"crypto_status": "INACTIVE"}, "crypto", "failure", "status INACTIVE"),
        ({"crypto_tier": 0}, "crypto fees", "warning", "the highest is assumed, 0.25 %"),
        ({"pattern_day_trader": True, "daytrade_count": 4}, "day trades", "warning", "with 4 day trades"),
    ],
)
def test_what_an_account_may_not_do_is_found(
    changes: dict[str, Any], subject: str, verdict: str, text: str
) -> None:
    symbols = ("SPY", "BTC/USD")
    well = verdicts(account_findings(WELL, symbols))
    assert well == [("permissions", "ok"), ("short sales", "ok"), ("crypto", "ok"), ("crypto fees", "ok")]
    fees = list(account_findings(WELL, symbols))[-1]
    assert fees.text == "tier 2: 0.22 % of what an order brings, 0.12 % where it rested"
    found = [one for one in account_findings({**WELL, **changes}, symbols) if one.verdict.value != "ok"]
    assert verdicts(found) == [(subject, verdict)]
    assert text in found[0].text


def test_crypto_of_an_account_matters_to_whom_it_trades_only() -> None:
    assert "crypto" not in dict(verdicts(account_findings({**WELL, "crypto_status": "INACTIVE"}, ("SPY",))))


def test_fields_that_an_answer_lacks_are_not_missed() -> None:
    """Alpaca took its words on day trades out, and may take out others."""
    assert verdicts(account_findings({}, ("SPY",))) == [("permissions", "ok")]


def test_hours_are_those_of_the_markets_clock() -> None:
    """Crypto has none."""
    clock = {
        "is_open": True,
        "next_open": "2026-10-09T09:30:00-04:00",
        "next_close": "2026-10-08T16:00:00-04:00",
    }
    (opened,) = hours_findings(clock, ("SPY",))
    assert (opened.verdict.value, opened.text) == ("ok", "Alpaca: open until 2026-10-08 20:00 UTC")
    (closed,) = hours_findings({**clock, "is_open": False}, ("SPY",))
    assert (closed.verdict.value, closed.text) == ("warning", "Alpaca: closed until 2026-10-09 13:30 UTC")
    assert list(hours_findings(clock, ("BTC/USD",))) == []


@pytest.mark.parametrize(
    ("room", "verdict", "text"),
    [
        ((197, 200), "ok", "197 of 200 requests are left"),
        ((950, 1000), "ok", "950 of 1000"),
        ((40, 200), "warning", "40 of 200"),
        ((90, 100), "failure", "the option requests says 200"),
        (None, "warning", "told of no limit"),
    ],
)
def test_request_limit_is_what_the_answers_say(room: tuple[int, int] | None, verdict: str, text: str) -> None:
    (found,) = budget_findings(room, 200)
    assert found.verdict.value == verdict
    assert text in found.text


def diagnosed(**options: Any) -> tuple[Sequence[Finding], list[Action]]:
    """What the adapter tells of the sandbox's account, and what it asked for."""

    async def scenario() -> tuple[Sequence[Finding], list[Action]]:
        venue = AlpacaSandbox(SandboxOptions(**options), Services(clock=RunningClock()))
        await venue.start()
        parsed = parse_clear_options(AlpacaOptions, venue.options(), path="broker.options.alpaca")
        services = Services(
            clock=venue.clock, account_id=venue.account_id, symbols=tuple(venue.names), names=venue.names
        )
        adapter = AlpacaAdapter(parsed, services)
        reading = asyncio.create_task(_read(adapter))
        try:
            await adapter.connect()
            assert isinstance(adapter, Diagnosing)
            before = len(venue.requests)
            found = await adapter.diagnose()
            return found, [request.action for request in venue.requests[before:]]
        finally:
            await adapter.disconnect()
            await reading
            await venue.stop()

    return asyncio.run(scenario())


async def _read(adapter: AlpacaAdapter) -> None:
    async for _ in adapter.events():
        pass


def test_adapter_tells_of_the_sandboxs_account() -> None:
    """By two questions; the limit is what their answers say."""
    found, asked = diagnosed(always_open=True)
    subjects = dict(verdicts(found))
    assert subjects["permissions"] == subjects["market hours"] == subjects["rate budget"] == "ok"
    assert asked == [Action.QUERY, Action.OTHER]
    (budget,) = (one for one in found if one.subject == "rate budget")
    assert " of 200 requests are left" in budget.text


def test_limit_that_is_lower_than_the_options_say_is_a_failure() -> None:
    found, _ = diagnosed(always_open=True, quota=100)
    assert dict(verdicts(found))["rate budget"] == "failure"


def test_adapter_that_is_not_connected_has_no_answer() -> None:
    options = parse_clear_options(AlpacaOptions, {"key": "k" * 8, "secret": "s" * 8}, path="x")
    with pytest.raises(BrokerUnavailable, match="not connected"):
        asyncio.run(AlpacaAdapter(options, Services()).diagnose())
