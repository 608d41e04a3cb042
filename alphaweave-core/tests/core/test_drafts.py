"""Records made by way of a draft."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field, frozen
from attrs.exceptions import FrozenInstanceError
from attrs.validators import instance_of

from alphaweave.core.clock import EPOCH
from alphaweave.core.drafts import drafted
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus
from alphaweave.live.reports import BrokerFill, OrderUpdate


@pytest.mark.parametrize(
    ("record", "given"),
    [
        (Money, ("USD", Decimal(2))),
        (OrderRef, ("a", "A")),
        (OrderRef, ("a", "A", "1", {"symbol": "X"}, EPOCH)),
        (OrderUpdate, (OrderRef("a", "A"), OrderStatus.FILLED, EPOCH)),
    ],
)
def test_drafted_record_is_the_record(record: Any, given: tuple[object, ...]) -> None:
    """It is equal to one made the usual way, of its very class, and no more to be changed than it."""
    made, usual = drafted(record)(*given), record(*given)
    assert type(made) is record
    assert made == usual
    assert repr(made) == repr(usual)
    with pytest.raises(FrozenInstanceError):
        made.symbol = "B"
    with pytest.raises(FrozenInstanceError):
        del made.symbol
    assert not hasattr(made, "__dict__")


def test_drafted_record_is_hashed_copied_and_pickled_like_any_other() -> None:
    make = drafted(Money)
    made = make(asset="USD", amount=Decimal(2))
    assert hash(made) == hash(Money("USD", Decimal(2)))
    assert copy.copy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - its own


def test_drafted_record_needs_what_the_record_needs() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'amount'"):
        drafted(Money)("USD")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="execution_key"):
        drafted(BrokerFill)("sim")  # type: ignore[call-arg]


def test_record_that_computes_is_not_drafted() -> None:
    """What its ``__init__`` checks or makes is never left out in silence."""

    @frozen
    class Checked:
        size: int = field(validator=instance_of(int))

    @frozen
    class Converted:
        size: int = field(converter=int)

    @frozen
    class Computed:
        size: int = field(init=False, default=1)

    @define(frozen=True, kw_only=True)
    class Named:
        size: int

    for record in (Checked, Converted, Computed, Named, OrderRequest):
        with pytest.raises(TypeError, match=f"{record.__name__} does more than set its fields"):
            drafted(record)
