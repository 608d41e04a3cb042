"""A simulated account outlives the program that traded in it."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import StateCorrupt, StateSchemaTooNew
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.live.reports import FillQuery
from alphaweave_broker_mock import PaperBrokerAdapter
from alphaweave_broker_mock.account_file import AccountFile

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def broker(path: Path | None) -> PaperBrokerAdapter:
    services = Services(clock=ManualClock(START), symbols=("A",), capital="1000", account_path=path)
    return PaperBrokerAdapter(None, services)


def bar(day: int, price: float) -> Bar:
    begin = START + day * DAY
    return Bar("A", "1d", begin, begin + DAY, price, price, price, price, 1e6)


def order(limit: str | None = None) -> OrderRequest:
    if limit is None:
        return OrderRequest("A", Side.BUY, Decimal(2), type=OrderType.MARKET, tif=TimeInForce.DAY)
    return OrderRequest(
        "A", Side.BUY, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=Decimal(limit)
    )


def test_account_goes_on_where_it_was(tmp_path: Path) -> None:
    """Its positions, cash, executions and resting orders; the first bar after it is matched as the next."""
    path = tmp_path / "folder" / "run.account"

    async def before() -> object:
        first = broker(path)
        await first.connect()
        first.on_market([bar(0, 10.0)])
        await first.submit_order(OrderRef("aw-1", "A"), order())
        first.on_market([bar(1, 11.0)])
        await first.submit_order(OrderRef("aw-2", "A"), order("9"))
        return await first.get_account_state()

    async def after() -> None:
        second = broker(path)
        await second.connect()
        state = await second.get_account_state()
        assert (state.positions, state.balances) == (known.positions, known.balances)  # type: ignore[attr-defined]
        assert state.positions == {"A": Decimal(2)}
        assert [each.client_order_id for each in await second.get_open_orders()] == ["aw-2"]
        # A program that was killed shows again what it had not yet taken in itself.
        second.on_market([bar(1, 8.0)])
        assert [each.client_order_id for each in await second.get_open_orders()] == ["aw-2"]
        second.on_market([bar(2, 8.0)])
        assert await second.get_open_orders() == []
        report = await second.get_fills(FillQuery(START))
        assert [fill.client_order_id for fill in report.fills] == ["aw-1", "aw-2"]
        assert len({fill.execution_key for fill in report.fills}) == 2

    known = asyncio.run(before())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["run.account"]
    asyncio.run(after())


def test_account_that_is_not_kept_begins_anew(tmp_path: Path) -> None:
    async def trade() -> Decimal | None:
        one = broker(None)
        await one.connect()
        one.on_market([bar(0, 10.0)])
        await one.submit_order(OrderRef("aw-1", "A"), order())
        one.on_market([bar(1, 11.0)])
        return (await one.get_account_state()).positions.get("A")

    assert asyncio.run(trade()) == asyncio.run(trade()) == Decimal(2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", StateCorrupt),
        ("[]", StateCorrupt),
        ('{"alphaweave_account": 1, "bars": {}}', StateCorrupt),
        ('{"alphaweave_account": 2}', StateSchemaTooNew),
    ],
)
def test_account_that_cannot_be_read_is_not_taken_for_a_new_one(
    tmp_path: Path, text: str, error: type[Exception]
) -> None:
    path = tmp_path / "run.account"
    path.write_text(text)
    with pytest.raises(error, match=r"run\.account"):
        asyncio.run(broker(path).connect())


def test_account_that_cannot_be_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it stays, whole."""
    path = tmp_path / "run.account"
    venue = broker(None)._venue
    AccountFile(path).save(venue, {}, 1)
    before = path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        AccountFile(path).save(venue, {}, 2)
    assert [one.name for one in tmp_path.iterdir()] == ["run.account"]
    assert path.read_text() == before
