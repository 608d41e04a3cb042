"""What an answer of Binance's is worth to a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from alphaweave.core.errors import BrokerUnavailable
from alphaweave_broker_binance.transport import NoAnswer, Refused, Unsent

__all__ = ["answered", "mapping_in", "mappings_in"]


@contextmanager
def answered() -> Iterator[None]:
    """A question that ends in anything but an answer is not answered."""
    try:
        yield
    except Refused as no:
        code = no.code or str(no.status)
        raise BrokerUnavailable(
            f"Binance: {no}", code=code, text=no.text, retry_after=no.retry_after
        ) from None
    except Unsent as error:
        raise BrokerUnavailable(f"Binance: {error}", retry_after=error.retry_after) from None
    except NoAnswer as error:
        raise BrokerUnavailable(f"Binance: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BrokerUnavailable(f"Binance's answer cannot be read: {error}") from None


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
