"""The kill ladder climbed: what the trading state demands is done here, again and again until it is so.

It looks at what is demanded, not at what changed, so that a restart goes on where the process before ended.
"""

from __future__ import annotations

from typing import Final

from alphaweave.core.order import Side
from alphaweave.live.effects import CancelOrder, SubmitGroup, SubmitOrder
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.live_intents import Intents
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.rounding import Refused
from alphaweave.live.trading_state import Cancel

__all__ = ["Ladder"]

# A cancel that had no effect is asked for again after so long.
_AGAIN_NS: Final = 5_000_000_000


class Ladder:
    """Cancels what has to go and closes what has to be closed, without asking strategy code."""

    def __init__(self, kernel: LiveKernel, intents: Intents, board: RiskBoard, tries: int) -> None:
        self._kernel = kernel
        self._intents = intents
        self._board = board
        self._tries = tries
        self._asked: dict[str, int] = {}
        self._tried: dict[str, int] = {}

    @property
    def stops(self) -> bool:
        """Whether the run has to end."""
        return self._board.states.actions().stop

    def climb(self, at: int, *, may_send: bool) -> None:
        """Do what is demanded now; ``may_send`` says whether orders that close positions can be sent."""
        for symbol, book in self._kernel.books.items():
            demanded = self._board.states.actions(symbol)
            if demanded.cancel is not Cancel.NONE:
                self._cancel(book, at, everything=demanded.cancel is Cancel.ALL)
            if demanded.flatten and may_send:
                self._flatten(book)
            elif not demanded.flatten:
                self._tried.pop(symbol, None)
        if self._asked:
            orders = self._kernel.orders
            self._asked = {name: when for name, when in self._asked.items() if name in orders}

    def next_due(self) -> int | None:
        """When to climb again although nothing comes in."""
        return min(self._asked.values()) + _AGAIN_NS if self._asked else None

    def _cancel(self, book: SymbolBook, at: int, *, everything: bool) -> None:
        fresh = self._fresh()
        for order in tuple(book.orders.values()):
            if order.id in self._kernel.own or not (everything or _adds(order, book)):
                continue
            if order.id in fresh:
                # Decided on by this very input: it need not leave at all.
                if not order.status.terminal:
                    self._kernel.withdraw(order, "trading_halted")
                continue
            refs = (order.ref,) if order.change_ref is None else (order.ref, order.change_ref)
            for ref in refs:
                name = ref.client_order_id
                if self._intents.cancelling(name) or at < self._asked.get(name, at - _AGAIN_NS) + _AGAIN_NS:
                    continue
                self._asked[name] = at
                self._kernel.effects.append(CancelOrder(ref))

    def _fresh(self) -> set[str]:
        """The orders that have not left the kernel."""
        ids: set[str] = set()
        for effect in self._kernel.effects:
            if isinstance(effect, SubmitOrder):
                ids.add(effect.ref.client_order_id)
            elif isinstance(effect, SubmitGroup):
                ids.update(ref.client_order_id for ref in effect.refs)
        return ids

    def _flatten(self, book: SymbolBook) -> None:
        if book.orders or not book.quantity:
            # Whatever may still fill would be closed twice.
            return
        tried = self._tried.get(book.symbol, 0)
        if tried >= self._tries:
            if tried == self._tries:
                self._tried[book.symbol] = tried + 1
                text = f"{book.symbol}: {book.quantity} units could not be closed; close them by hand"
                self._kernel.alert("error", "flatten_failed", text, book.symbol)
            return
        self._tried[book.symbol] = tried + 1
        try:
            self._kernel.place_exit(book)
        except Refused as refusal:
            self._kernel.alert("error", "flatten_refused", f"{book.symbol}: {refusal.text}", book.symbol)


def _adds(order: Order, book: SymbolBook) -> bool:
    """Whether it could add exposure."""
    if order.side is Side.BUY:
        return book.quantity >= 0 or order.remaining() > -book.quantity
    return book.quantity <= 0 or order.remaining() > book.quantity
