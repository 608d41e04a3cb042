"""Both adapters have the contract's signatures, and refuse in its words."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import OrderRejected
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, RejectReason, Side, TimeInForce
from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.broker import Broker
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock import MockBrokerAdapter, MockOptions, PaperBrokerAdapter
from alphaweave_broker_mock.adapter import SimulatedBroker

CONTRACT = {
    name: value
    for protocol in (Broker, BrokerAdapter)
    for name, value in vars(protocol).items()
    if not name.startswith("_") and not isinstance(value, property)
}


def plain(method: Any) -> Any:
    """The function behind a method, a class method too."""
    return getattr(method, "__func__", method)


@pytest.mark.parametrize("adapter", [MockBrokerAdapter, PaperBrokerAdapter], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", CONTRACT)
def test_adapter_has_the_signature_of_the_contract(adapter: type[SimulatedBroker], name: str) -> None:
    """Parameters, defaults, annotations and whether one must await: a call that fits one fits all."""
    promised, kept = plain(CONTRACT[name]), plain(getattr(adapter, name))
    assert inspect.signature(kept) == inspect.signature(promised)
    assert inspect.iscoroutinefunction(kept) == inspect.iscoroutinefunction(promised)


def test_contract_is_all_there() -> None:
    """What the test above walks over is the whole of both protocols."""
    assert {"prepare", "get_time", "from_config", "connect"} <= set(CONTRACT)
    assert len(CONTRACT) == 16


@pytest.mark.parametrize("adapter", [MockBrokerAdapter, PaperBrokerAdapter], ids=lambda kind: kind.__name__)
def test_adapter_is_one_to_a_type_checker(adapter: type[SimulatedBroker]) -> None:
    """The assignment is what mypy checks; the declaration is that of the plugin record."""
    one: BrokerAdapter = adapter()
    assert one.capabilities is SIM_CAPABILITIES


def market(**terms: Any) -> OrderRequest:
    """Ten units of SPY, bought at the market, unless said otherwise."""
    return OrderRequest("SPY", terms.pop("side", Side.BUY), **{"quantity": Decimal(10), **terms})


LIMIT = {"type": OrderType.LIMIT, "limit_price": Decimal(120)}
STOP = {"type": OrderType.STOP, "stop_price": Decimal(120)}


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (market(quantity=Decimal(10**6)), "insufficient_funds", RejectReason.INSUFFICIENT_FUNDS),
        (market(side=Side.SELL), "short_not_allowed", RejectReason.NOT_SHORTABLE),
        (OrderRequest("XYZ", Side.BUY, Decimal(1)), "unknown_symbol", RejectReason.UNKNOWN_SYMBOL),
        (OrderRequest("QQQ", Side.BUY, Decimal(1)), "no_market_price", RejectReason.MARKET_CLOSED),
        (market(**LIMIT, post_only=True), "post_only_would_cross", RejectReason.WOULD_CROSS),
        (market(**STOP, tif=TimeInForce.IOC), "unsupported_tif", RejectReason.UNSUPPORTED),
        (market(**STOP, post_only=True), "unsupported_order", RejectReason.UNSUPPORTED),
        (market(tif=TimeInForce.AT_CLOSE), "unsupported_interval", RejectReason.UNSUPPORTED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusal_is_told_in_the_words_of_the_contract(
    request_: OrderRequest, code: str, reason: RejectReason
) -> None:
    """The venue's own code is kept beside the reason that is the same for every broker."""
    start = datetime(2024, 3, 4, 14, tzinfo=UTC)
    broker = MockBrokerAdapter(
        MockOptions(check_funds=True, allow_short=False), Services(symbols=("SPY", "QQQ"), interval="1h")
    )

    async def session() -> OrderRejected:
        await broker.connect()
        broker.on_market(
            [Bar("SPY", "1h", start, start + timedelta(hours=1), 100.0, 101.0, 99.0, 100.0, 1000.0)]
        )
        with pytest.raises(OrderRejected) as refusal:
            await broker.submit_order(OrderRef("a", request_.symbol), request_)
        return refusal.value

    refused = asyncio.run(session())
    assert (refused.code, refused.reason) == (code, reason)
    assert refused.text
    assert refused.retry_after is None
