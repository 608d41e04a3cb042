"""What a broker answers to the core's questions, and what its errors say."""

from __future__ import annotations

import asyncio
from typing import Any

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.order import OrderRef
from alphaweave.live.actions import FORGOTTEN, Forgotten, OpenOrdersQuery, OrderQuery
from alphaweave.live.broker_queries import asked

LOOKUP = OrderQuery(OrderRef("aw-1", "SPY"), 1)


class Failing:
    """A broker that has no answer."""

    def __init__(self, code: str | None) -> None:
        self.code = code

    async def get_order(self, ref: OrderRef) -> None:
        raise BrokerUnavailable("it was too long ago", code=self.code)

    async def get_open_orders(self, symbols: Any = None) -> None:
        raise BrokerUnavailable("it was too long ago", code=self.code)


def answer_of(code: str | None, query: Any = LOOKUP) -> Any:
    broker: Any = Failing(code)
    return asyncio.run(asked(broker, query, 1.0))


def test_lookup_beyond_the_memory_of_the_broker_is_an_answer() -> None:
    """It says that the order works no more, and that nobody will ever know the rest."""
    assert answer_of(FORGOTTEN) == (Forgotten(), None)


def test_other_failures_of_a_lookup_are_no_answer() -> None:
    """Nothing is known by them, whatever they say."""
    assert answer_of(None) == (None, "it was too long ago")
    assert answer_of("503") == (None, "it was too long ago")


def test_no_other_question_can_be_beyond_the_memory() -> None:
    """What works now is not of the past."""
    assert answer_of(FORGOTTEN, OpenOrdersQuery(1, ())) == (None, "it was too long ago")
