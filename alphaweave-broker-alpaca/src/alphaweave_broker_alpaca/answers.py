"""What an answer of Alpaca's is worth: to a question, and to an order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, TimeInForce
from alphaweave_broker_alpaca.mapping import is_repeated_id
from alphaweave_broker_alpaca.transport import NoAnswer, Refused, Unsent

__all__ = ["NO_SUCH_ORDER", "answered", "is_final", "mapping_in", "mappings_in", "refuse_unsendable"]

NO_SUCH_ORDER: Final = "40410000"
"""Alpaca's code of an order that it does not have."""


@contextmanager
def answered() -> Iterator[None]:
    """A question that ends in anything but an answer is not answered."""
    try:
        yield
    except Refused as no:
        code = no.code or str(no.status)
        raise BrokerUnavailable(
            f"Alpaca: {no}", code=code, text=no.text, retry_after=no.retry_after
        ) from None
    except Unsent as error:
        raise BrokerUnavailable(f"Alpaca: {error}", retry_after=error.retry_after) from None
    except NoAnswer as error:
        raise BrokerUnavailable(f"Alpaca: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BrokerUnavailable(f"Alpaca's answer cannot be read: {error}") from None


def refuse_unsendable(request: OrderRequest, venue_symbol: str, rules: Instrument | None) -> None:
    """What an order in a stock cannot be, unlike one in crypto, whose names have a slash.

    Args:
        rules: of its asset, where they are known.

    Raises:
        Unsupported: a fraction that is not for the day, or an amount of money of a stock that is sold whole.
    """
    part = request.quantity is not None and request.quantity % 1 != 0
    what = ""
    if part and "/" not in venue_symbol and request.tif is not TimeInForce.DAY:
        what = f"a fraction of {request.symbol} is for the day only, not {request.tif.value}"
    elif request.quote_quantity is not None and rules is not None and not rules.fractional:
        what = f"{request.symbol} is not traded in fractions, and so not for an amount of money"
    if what:
        raise Unsupported(what, code="unsupported", text=what)


def is_final(no: Refused) -> bool:
    """Whether an order that was refused so does not exist. A page that is not Alpaca's own has no code."""
    if no.status in {401, 429}:
        return True
    return no.status in {400, 403, 404, 422} and no.code is not None and not is_repeated_id(no.text)


def mapping_in(answer: Any) -> Mapping[str, Any]:
    """An answer that has to be one object; raises ValueError for another."""
    if not isinstance(answer, dict):
        raise ValueError("it is no object")
    return answer


def mappings_in(answer: Any) -> Sequence[Mapping[str, Any]]:
    """An answer that has to be a list of objects; raises ValueError for another."""
    if not isinstance(answer, list):
        raise ValueError("it is no list")
    return [mapping_in(one) for one in answer]
