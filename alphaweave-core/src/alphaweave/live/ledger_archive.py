"""Executions of long ago: out of the ledger's memory, in an archive, and back when word of one still comes.

What a position came to by them stays with it, so that its books are the same with and without. Only the
beginning of a position's history goes, and it comes back as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.money import CONTEXT
from alphaweave.live.ledger_codec import pack_item, unpack_item
from alphaweave.live.ledger_entries import Adjustment, Execution, Position, Signature
from alphaweave.live.ledger_folded import Folded
from alphaweave.live.reports import BrokerFill

__all__ = ["Archive", "ArchivedItem", "LedgerArchive"]

_Found = tuple[Execution | Adjustment, list[str], dict[Signature, str]]


@frozen(kw_only=True)
class ArchivedItem:
    """An execution, or another change of a position, as the archive has it.

    Attributes:
        seq: the decision after which it was put there.
        names: its keys and signatures; what comes later is found to be the same by any of them.
    """

    symbol: str
    seq: int
    names: tuple[str, ...]
    document: Mapping[str, Any]


class Archive(Protocol):
    """Where they are; `alphaweave.live.journal_archive.JournalArchive` is one."""

    def find(self, names: Sequence[str]) -> Sequence[ArchivedItem]:
        """Each item that has one of these names, also where it was put there anew later."""
        ...

    def load(self, symbol: str, since: int, until: int) -> Sequence[ArchivedItem]:
        """A symbol's, put there after decisions ``since`` to ``until``, in the order of its history."""
        ...


class _Books(Protocol):
    """What it needs of `alphaweave.live.ledger.Ledger`."""

    executions: dict[str, Execution]
    positions: dict[str, Position]


class LedgerArchive:
    """Takes a ledger's executions out, and brings them back."""

    def __init__(self, books: _Books, archive: Archive) -> None:
        self._books = books
        self._archive = archive

    def fold(self, before: int, seq: int) -> list[ArchivedItem]:
        """Take out what was executed before an instant (ns), after decision ``seq``; it is to be archived."""
        keys: dict[int, list[str]] = {}
        items: list[ArchivedItem] = []
        executions = self._books.executions
        for position in self._books.positions.values():
            history = position.history
            count = next((n for n, item in enumerate(history) if item.at >= before), len(history))
            if not count:
                continue
            if not keys:
                for key, execution in executions.items():
                    keys.setdefault(id(execution), []).append(key)
            signatures = _by_key(position.signatures)
            for item in history[:count]:
                own = keys.get(id(item), [])
                signed = [signature for key in own for signature in signatures.get(key, ())]
                names = (*map(_key_name, own), *map(_signature_name, signed))
                if isinstance(item, Adjustment):
                    names = (f"change:{item.change.key}",)
                items.append(
                    ArchivedItem(
                        symbol=position.symbol,
                        seq=seq,
                        names=names,
                        document=pack_item(item, own, {each: position.signatures[each] for each in signed}),
                    )
                )
                for signature in signed:
                    del position.signatures[signature]
                for key in own:
                    del executions[key]
            _fold(position, count, seq)
        return items

    def recall(self, fill: BrokerFill) -> None:
        """Bring back what a fill may be the same as, or comes before."""
        position = self._books.positions.get(fill.symbol)
        if position is not None:
            self.recall_before(position, fill.executed_at)
        names = [_key_name(fill.execution_key)]
        if fill.cumulative is not None:
            names.append(_signature_name((fill.broker_order_id, fill.cumulative, fill.size, fill.price)))
        self._recall(names)

    def recall_before(self, position: Position, at: datetime) -> None:
        """Bring a position's history back where something is to be entered that comes before its end."""
        if position.folded is not None and to_ns(at) < position.folded.at:
            self.unfold(position)

    def recall_key(self, key: str) -> None:
        """Bring back what an execution key may be of."""
        self._recall([_key_name(key)])

    def peek(self, key: str) -> Execution | None:
        """An archived execution, to look at; it stays where it is."""
        for found in self._found([_key_name(key)]):
            item, _, _ = unpack_item(found.document, self._books.positions[found.symbol])
            if isinstance(item, Execution):
                return item
        return None

    def archived(self, position: Position) -> list[_Found]:
        """What a position's history began with: each item with its keys and signatures, as if it were here.

        Raises:
            StateCorrupt: the archive does not give what was put there.
        """
        folded = position.folded
        if folded is None:
            return []
        try:
            return [
                unpack_item(each.document, position)
                for each in self._archive.load(position.symbol, folded.since, folded.until)
            ]
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise StateCorrupt(
                f"an archived execution of {position.symbol} cannot be read: {error!r}"
            ) from error

    def unfold(self, position: Position) -> None:
        """Bring back all that a position's history began with.

        Raises:
            StateCorrupt: as `archived`; or it comes to something else than it did.
        """
        folded = position.folded
        if folded is None:
            return
        found = self.archived(position)
        executions = {key: item for item, keys, _ in found for key in keys if isinstance(item, Execution)}
        for _, _, signatures in found:
            position.signatures.update(signatures)
        held = position.quantity
        position.history[:0] = [item for item, _, _ in found]
        position.folded = None
        position.rebuild()
        if position.quantity != held or len(found) != folded.count:
            raise StateCorrupt(
                f"{position.symbol}: with its {len(found)} archived executions of {folded.count} the books "
                f"come to {position.quantity} units, not {held}; restore the journal from a copy"
            )
        self._books.executions.update(executions)

    def _recall(self, names: Sequence[str]) -> None:
        for item in self._found(names):
            self.unfold(self._books.positions[item.symbol])

    def _found(self, names: Sequence[str]) -> Sequence[ArchivedItem]:
        folded = {symbol: position.folded for symbol, position in self._books.positions.items()}
        if not any(folded.values()):
            return ()
        # What was brought back since it was put there is not there any more.
        return [
            item
            for item in self._archive.find(names)
            for part in (folded.get(item.symbol),)
            if part is not None and part.has(item.seq)
        ]


def _fold(position: Position, count: int, seq: int) -> None:
    """Let the first ``count`` items of a history go, and keep what they came to."""
    before, items = position.folded, position.history[:count]
    standing = (position.quantity, position.cost, position.realised, position.history)
    position.history = items
    position.rebuild()
    position.folded = Folded(
        since=seq if before is None else before.since,
        until=seq,
        count=count + (0 if before is None else before.count),
        at=items[-1].at,
        quantity=position.quantity,
        cost=position.cost,
        realised=position.realised,
    )
    position.quantity, position.cost, position.realised, history = standing
    position.history = history[count:]
    position.units = float(position.quantity)


def _by_key(signatures: Mapping[Signature, str]) -> dict[str, list[Signature]]:
    found: dict[str, list[Signature]] = {}
    for signature, key in signatures.items():
        found.setdefault(key, []).append(signature)
    return found


def _key_name(key: str) -> str:
    return f"key:{key}"


def _signature_name(signature: Signature) -> str:
    order, *figures = signature
    # Equal figures may be written with more or fewer zeros.
    return ":".join(("signature", order, *(f"{CONTEXT.normalize(figure):f}" for figure in figures)))
