"""The ledger's entries as JSON and back: Decimals as text, times as nanoseconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.money import Money, plain
from alphaweave.core.order import Side
from alphaweave.live.ledger_entries import Adjustment, Execution, Position, Signature
from alphaweave.live.ledger_folded import Folded
from alphaweave.live.reports import BrokerFill, FeeReport, PositionChange

__all__ = ["pack_books", "pack_item", "unpack_accounts", "unpack_books", "unpack_item"]

_Accounts = tuple[str, str, dict[str, Decimal], dict[str, str], dict[str, None], dict[str, None]]


def pack_books(executions: Mapping[str, Execution], positions: Mapping[str, Position]) -> dict[str, Any]:
    """Executions, each once with all its keys, and positions, which refer to them."""
    keys: dict[int, list[str]] = {}
    for key, execution in executions.items():
        keys.setdefault(id(execution), []).append(key)
    numbers = {identity: number for number, identity in enumerate(keys)}
    entries = [executions[own[0]] for own in keys.values()]
    return {
        "executions": [_pack_execution(entry, keys[id(entry)]) for entry in entries],
        "positions": {symbol: _pack_position(each, numbers) for symbol, each in positions.items()},
    }


def unpack_accounts(snapshot: Mapping[str, Any]) -> _Accounts:
    """Currency, account, balances, pricers, and the keys of flows and of changes, of a ledger's snapshot.

    Raises:
        StateCorrupt: it is none.
    """
    with _readable():
        currency, account = snapshot["currency"], snapshot["account"]
        balances = {asset: Decimal(amount) for asset, amount in snapshot["balances"].items()}
        if currency not in balances:
            raise ValueError(f"there is no balance in {currency}")
        flows, changes = dict.fromkeys(snapshot["flows"]), dict.fromkeys(snapshot["changes"])
        return currency, account, balances, dict(snapshot["pricers"]), flows, changes


def unpack_books(packed: Mapping[str, Any]) -> tuple[dict[str, Execution], dict[str, Position]]:
    """The reverse of `pack_books`.

    Raises:
        StateCorrupt: a part is damaged, or the figures contradict each other.
    """
    with _readable():
        executions: dict[str, Execution] = {}
        entries = []
        for each in packed["executions"]:
            keys, execution = _unpack_execution(each)
            entries.append(execution)
            executions.update(dict.fromkeys(keys, execution))
        positions = {
            symbol: _unpack_position(symbol, each, entries) for symbol, each in packed["positions"].items()
        }
        return executions, positions


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise StateCorrupt(f"the ledger's snapshot cannot be read: {error!r}") from error


def _pack_execution(execution: Execution, keys: Sequence[str]) -> list[Any]:
    """Its keys, the newest revision, whether that was a bust, the fill, and late fees."""
    fill, report = execution.fill, execution.report
    return [
        list(keys),
        execution.revision,
        execution.busted,
        None if fill is None else _pack_fill(fill),
        None if report is None else _pack_report(report),
    ]


def _unpack_execution(packed: Sequence[Any]) -> tuple[list[str], Execution]:
    """The reverse of `_pack_execution`; the execution is not booked yet."""
    keys, revision, busted, fill, report = packed
    execution = Execution(None if fill is None else _unpack_fill(fill), int(revision))
    execution.busted = bool(busted)
    execution.report = None if report is None else _unpack_report(report)
    return [str(key) for key in keys], execution


def _pack_position(position: Position, numbers: Mapping[int, int]) -> dict[str, Any]:
    """A position; ``numbers`` says where the executions of its history (by ``id``) stand in the snapshot.

    The quantity is the check of a restored history; average price and realised profit are for readers.
    """
    return {
        "asset": position.asset,
        "base": position.base,
        "multiplier": str(position.multiplier),
        "quantity": plain(position.quantity),
        "average_price": plain(position.average_price),
        "realised": plain(position.realised),
        "history": [
            numbers[id(item)] if isinstance(item, Execution) else _pack_change(item.change)
            for item in position.history
        ],
        "signatures": _pack_signatures(position.signatures),
        "folded": None if position.folded is None else _pack_folded(position.folded),
    }


def _unpack_position(symbol: str, packed: Mapping[str, Any], executions: Sequence[Execution]) -> Position:
    """The reverse of `_pack_position`.

    Raises:
        ValueError: the history does not end in the quantity that was written.
    """
    position = Position(symbol, packed["asset"], packed["base"], Decimal(packed["multiplier"]))
    for item in packed["history"]:
        if isinstance(item, int):
            execution = executions[item]
            if execution.fill is None:
                raise ValueError(f"{symbol}: execution {item} is in the history and has no fill")
            execution.work_out(execution.fill, position)
            execution.position = position
            position.history.append(execution)
        else:
            position.history.append(Adjustment(_unpack_change(symbol, item)))
    position.signatures = _unpack_signatures(packed["signatures"])
    folded = packed.get("folded")
    position.folded = None if folded is None else _unpack_folded(folded)
    position.rebuild()
    if position.quantity != Decimal(packed["quantity"]):
        raise ValueError(f"{symbol}: the history gives {position.quantity} units, not {packed['quantity']}")
    return position


def pack_item(
    item: Execution | Adjustment, keys: Sequence[str], signatures: Mapping[Signature, str]
) -> dict[str, Any]:
    """An item of a history by itself, with what it is found by."""
    if isinstance(item, Execution):
        return {"execution": _pack_execution(item, keys), "signatures": _pack_signatures(signatures)}
    return {"change": _pack_change(item.change)}


def unpack_item(
    packed: Mapping[str, Any], position: Position
) -> tuple[Execution | Adjustment, list[str], dict[Signature, str]]:
    """The reverse of `pack_item`; an execution is booked in ``position``, whose history is left as it is.

    Raises:
        ValueError: it has no fill; or whatever a damaged part makes go wrong.
    """
    if "change" in packed:
        return Adjustment(_unpack_change(position.symbol, packed["change"])), [], {}
    keys, execution = _unpack_execution(packed["execution"])
    if execution.fill is None:
        raise ValueError(f"{position.symbol}: an execution in the history has no fill")
    execution.work_out(execution.fill, position)
    execution.position = position
    return execution, keys, _unpack_signatures(packed["signatures"])


def _pack_signatures(signatures: Mapping[Signature, str]) -> list[list[str]]:
    return [
        [order, str(cumulative), str(size), str(price), key]
        for (order, cumulative, size, price), key in signatures.items()
    ]


def _unpack_signatures(packed: Sequence[Sequence[str]]) -> dict[Signature, str]:
    return {
        (order, Decimal(cumulative), Decimal(size), Decimal(price)): key
        for order, cumulative, size, price, key in packed
    }


def _pack_folded(folded: Folded) -> list[Any]:
    figures = (folded.quantity, folded.cost, folded.realised)
    return [folded.since, folded.until, folded.count, folded.at, *map(str, figures)]


def _unpack_folded(packed: Sequence[Any]) -> Folded:
    since, until, count, at, quantity, cost, realised = packed
    return Folded(
        since=int(since),
        until=int(until),
        count=int(count),
        at=int(at),
        quantity=Decimal(quantity),
        cost=Decimal(cost),
        realised=Decimal(realised),
    )


def _pack_fees(fees: tuple[Money, ...] | None) -> list[list[str]] | None:
    return None if fees is None else [[fee.asset, str(fee.amount)] for fee in fees]


def _unpack_fees(packed: Sequence[Sequence[str]] | None) -> tuple[Money, ...] | None:
    return None if packed is None else tuple(Money(asset, Decimal(amount)) for asset, amount in packed)


def _pack_fill(fill: BrokerFill) -> list[Any]:
    return [
        fill.account,
        fill.execution_key,
        fill.broker_order_id,
        fill.client_order_id,
        fill.symbol,
        fill.side.value,
        str(fill.size),
        str(fill.price),
        to_ns(fill.executed_at),
        to_ns(fill.received_at),
        fill.revision,
        None if fill.cumulative is None else str(fill.cumulative),
        _pack_fees(fill.fees),
        fill.foreign,
    ]


def _unpack_fill(packed: Sequence[Any]) -> BrokerFill:
    account, key, order, client, symbol, side, size, price, executed, received, revision, *rest = packed
    cumulative, fees, foreign = rest
    return BrokerFill(
        account=account,
        execution_key=key,
        broker_order_id=order,
        client_order_id=client,
        symbol=symbol,
        side=Side(side),
        size=Decimal(size),
        price=Decimal(price),
        executed_at=from_ns(executed),
        received_at=from_ns(received),
        revision=revision,
        cumulative=None if cumulative is None else Decimal(cumulative),
        fees=_unpack_fees(fees),
        foreign=foreign,
    )


def _pack_report(report: FeeReport) -> list[Any]:
    return [report.account, report.execution_key, _pack_fees(report.fees), to_ns(report.received_at)]


def _unpack_report(packed: Sequence[Any]) -> FeeReport:
    account, key, fees, received = packed
    return FeeReport(account, key, _unpack_fees(fees) or (), from_ns(received))


def _pack_change(change: PositionChange) -> list[Any]:
    told = None if change.position is None else str(change.position)
    return [
        change.account,
        change.key,
        str(change.quantity),
        to_ns(change.at),
        told,
        change.kind,
        change.text,
        change.foreign,
    ]


def _unpack_change(symbol: str, packed: Sequence[Any]) -> PositionChange:
    account, key, quantity, at, told, kind, text, foreign = packed
    position = None if told is None else Decimal(told)
    return PositionChange(account, key, symbol, Decimal(quantity), from_ns(at), position, kind, text, foreign)
