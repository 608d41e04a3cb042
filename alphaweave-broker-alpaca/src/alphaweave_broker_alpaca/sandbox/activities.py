"""What happened in the account, as ``GET /v2/account/activities`` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.money import plain
from alphaweave_broker_alpaca.sandbox.fees import Charge
from alphaweave_broker_alpaca.sandbox.hours import NEW_YORK
from alphaweave_broker_alpaca.sandbox.orders import Execution, stamp
from alphaweave_broker_alpaca.sandbox.refusals import malformed

__all__ = ["Activities", "read_time"]

_KINDS = {"deposit": "CSD", "withdrawal": "CSW", "dividend": "DIV", "interest": "INT", "fee": "FEE"}
_LARGEST_PAGE = 100


@frozen
class _Entry:
    at: datetime
    body: Mapping[str, Any]


def read_time(text: str) -> datetime:
    """A date or an instant of a query, as UTC.

    Raises:
        Refused: it is neither.
    """
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise malformed(f"invalid timestamp {text}") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class Activities:
    """The list, oldest first."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def fill(self, execution: Execution) -> None:
        """An execution, under an id that the stream does not know."""
        order = execution.order
        self._add(
            execution.at,
            {
                "activity_type": "FILL",
                "id": _id(execution.at),
                "order_id": order.id,
                "order_status": execution.status,
                "symbol": order.asset.symbol,
                "side": order.side if order.buy or execution.position >= 0 else "sell_short",
                "qty": plain(execution.qty),
                "price": plain(execution.price),
                "cum_qty": plain(execution.cumulative),
                "leaves_qty": plain(execution.remaining),
                "type": "fill" if execution.status == "filled" else "partial_fill",
                "transaction_time": stamp(execution.at),
            },
        )

    def cash(self, at: int, kind: str, amount: Decimal) -> None:
        """Money that moved for another reason; signed."""
        self._other(at, _KINDS.get(kind, "JNLC"), {"net_amount": plain(amount), "description": kind})

    def units(self, at: int, symbol: str, qty: Decimal) -> None:
        """A position that changed without an execution."""
        self._other(at, "JNLS", {"net_amount": "0", "symbol": symbol, "qty": plain(qty), "price": "0"})

    def charge(self, at: int, charge: Charge) -> None:
        """The fee of a trade in crypto: of which, it does not say."""
        made: dict[str, Any] = {
            "created_at": stamp(at),
            "currency": "USD",
            "description": "Coin Pair Transaction Fee (USD)",
            "net_amount": plain(-charge.cash),
        }
        if charge.coins:
            made |= {
                "description": "Coin Pair Transaction Fee (Non USD)",
                "net_amount": "0",
                "symbol": charge.symbol.replace("/", ""),
                "qty": plain(-charge.coins),
                "price": plain(charge.price),
            }
        day = from_ns(at).astimezone(NEW_YORK)
        self._other(at, "CFEE", {"id": f"{day:%Y%m%d}000000000::{uuid4()}", **made})

    def page(self, query: Mapping[str, str], kinds: frozenset[str]) -> list[Mapping[str, Any]]:
        """One page: newest first unless ``direction`` says otherwise, after the id in ``page_token``.

        Args:
            query: of the request.
            kinds: activity types wanted; empty for all.
        """
        found = [one for one in self._entries if not kinds or one.body["activity_type"] in kinds]
        if "date" in query:
            day = read_time(query["date"]).date()
            found = [one for one in found if one.at.astimezone(NEW_YORK).date() == day]
        if "after" in query:
            after = read_time(query["after"])
            found = [one for one in found if one.at > after]
        if "until" in query:
            until = read_time(query["until"])
            found = [one for one in found if one.at < until]
        if query.get("direction", "desc") == "desc":
            found.reverse()
        token = query.get("page_token")
        if token:
            ids = [one.body["id"] for one in found]
            found = found[ids.index(token) + 1 :] if token in ids else []
        size = query.get("page_size", str(_LARGEST_PAGE))
        if not size.isdigit() or not 0 < int(size) <= _LARGEST_PAGE:
            raise malformed("page_size must be between 1 and 100")
        return [one.body for one in found[: int(size)]]

    def _other(self, at: int, kind: str, more: Mapping[str, Any]) -> None:
        date = from_ns(at).astimezone(NEW_YORK).date().isoformat()
        body = {"activity_type": kind, "id": _id(at), "date": date, "status": "executed", **more}
        self._add(at, body)

    def _add(self, at: int, body: Mapping[str, Any]) -> None:
        # Nanoseconds are cut off by a datetime: what happened after an instant must not seem to be at it.
        self._entries.append(_Entry(from_ns(at) + timedelta(microseconds=1 if at % 1000 else 0), body))


def _id(at: int) -> str:
    local = from_ns(at).astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{uuid4()}"
