"""The options, and what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import ClientIdUniqueness
from alphaweave_broker_ibkr.settings import IBKR_CAPABILITIES, IbkrOptions


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": " "}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"client_id": 0}, "client_id"),
        ({"client_id": 2**31}, "client_id"),
        ({"timezone": "EST5PDT"}, "IANA name"),
        ({"timezone": "../zone"}, "IANA name"),
        ({"timeout": 0}, "timeout"),
        ({"patience": -1}, "patience"),
        ({"heartbeat": 0}, "heartbeat"),
        ({"retry": 0}, "retry"),
        ({"rate": 51}, "rate"),
        ({"rate": 9}, "rate"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    """Client id 0 is the one that takes over what people place by hand."""
    with pytest.raises(ValueError, match=said):
        IbkrOptions(**changes)


def test_ids_are_no_proof_of_an_order() -> None:
    """The gateway takes any orderRef any number of times."""
    rules = IBKR_CAPABILITIES.client_ids
    assert rules.unique is ClientIdUniqueness.NOT_ENFORCED
    assert rules.max_length == 40


def test_auctions_take_market_and_limit_orders() -> None:
    """A stop in an auction is no order type there."""
    auctions = {TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE}
    pairs = {pair for pair in IBKR_CAPABILITIES.order_types if pair[1] in auctions}
    assert pairs == {(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in auctions}


def test_stop_triggers_in_regular_hours_only() -> None:
    """Outside them prices are of few trades; limit orders alone work there."""
    assert {kind for kind, _ in IBKR_CAPABILITIES.extended_hours} == {OrderType.LIMIT}
