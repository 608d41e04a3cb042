"""What an adapter tells of an account, of the time, and at a gateway that is read-only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, Unsupported
from alphaweave.core.order import OrderRef, OrderRequest, Side
from alphaweave.live.adapters.base import Services
from alphaweave.live.findings import Diagnosing
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_ibkr.adapter import IbkrAdapter
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.settings import IbkrOptions

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 20.0
NAME = "awkit00-0000000000000000000001"


class Late(RunningClock):
    """Whenever it is looked at, most of a second has passed."""

    def now(self) -> datetime:
        return super().now().replace(microsecond=700_000)


def at_gateway(
    scenario: Callable[[IbkrAdapter, IbkrSandbox], Awaitable[None]],
    options: dict[str, Any] | None = None,
    **sandbox: Any,
) -> None:
    """Run a scenario with an adapter that has not connected yet."""

    async def whole() -> None:
        clock = Late()
        venue = IbkrSandbox(SandboxOptions(**sandbox), Services(clock=clock))
        await venue.start()
        services = Services(clock=clock, symbols=("KO",), account_id="DU1234567")
        adapter = IbkrAdapter(IbkrOptions(port=venue.port, retry=0.01, **(options or {})), services)
        try:
            await asyncio.wait_for(scenario(adapter, venue), _PATIENCE)
        finally:
            await adapter.disconnect()
            await venue.stop()

    asyncio.run(whole())


def test_account_is_told_of() -> None:
    """Permissions, the login, client ids and margin, with no order."""

    async def scenario(adapter: IbkrAdapter, venue: IbkrSandbox) -> None:
        assert isinstance(adapter, Diagnosing)
        await adapter.connect()
        found = await adapter.diagnose()
        subjects = ["permissions", "login", "client id", "time zone", "margin"]
        assert [one.subject for one in found] == subjects
        assert {one.verdict.value for one in found} == {"ok"}
        assert "DU7654321" in found[1].text

    at_gateway(scenario, other_accounts=("DU7654321",))


def test_time_is_not_behind_for_being_told_in_whole_seconds() -> None:
    """A run holds its orders back from half a second on."""

    async def scenario(adapter: IbkrAdapter, venue: IbkrSandbox) -> None:
        await adapter.connect()
        told = await adapter.get_time()
        assert abs((told - venue.clock.now()).total_seconds()) < 0.2

    at_gateway(scenario)


def test_read_only_gateway_is_refused_by_who_wants_to_trade() -> None:
    """At once, and it says where that is switched."""

    async def scenario(adapter: IbkrAdapter, venue: IbkrSandbox) -> None:
        with pytest.raises(AuthenticationFailed, match="switch Read-Only API off"):
            await adapter.connect()

    at_gateway(scenario, read_only=True)


def test_read_only_gateway_is_watched() -> None:
    """What it does not show is told as not known, and nothing is sent."""

    async def scenario(adapter: IbkrAdapter, venue: IbkrSandbox) -> None:
        await adapter.connect()
        account = await adapter.get_account_state()
        assert account.account_id == "DU1234567"
        assert await adapter.get_open_orders() == ()
        found = await adapter.diagnose()
        assert [one.subject for one in found if one.verdict.value == "warning"] == ["permissions"]
        wire = {"client": "1", "order": "7", "con_id": "8894"}
        with pytest.raises(BrokerUnavailable, match="read-only"):
            await adapter.get_order(OrderRef(NAME, "KO", None, wire))
        request = OrderRequest(symbol="KO", side=Side.BUY, quantity=Decimal(1))
        with pytest.raises(Unsupported, match="read_only"):
            adapter.prepare(request, [OrderRef(NAME, "KO")])
        assert venue.truth().orders == ()

    at_gateway(scenario, {"read_only": True}, read_only=True)
