"""The kill ladder climbed: what the trading state demands is done here, again and again until it is so.

It looks at what is demanded, not at what changed, so that a restart goes on where the process before ended.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from alphaweave.core.money import ZERO
from alphaweave.core.order import Side
from alphaweave.live.actions import Gate
from alphaweave.live.control_records import Latch
from alphaweave.live.effects import CancelOrder, SubmitGroup, SubmitOrder
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.live_intents import Intents
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.rounding import Refused
from alphaweave.live.trading_state import ACTIONS, Cancel, KillStep, TradingState, TradingStates

__all__ = ["Ladder", "gate_of", "latches_of"]

# What had no effect is asked for again after so long.
_AGAIN_NS: Final = 5_000_000_000
_RUNGS: Final = tuple(KillStep)


class Ladder:
    """Cancels what has to go and closes what has to be closed, without asking strategy code."""

    def __init__(self, kernel: LiveKernel, intents: Intents, board: RiskBoard, tries: int) -> None:
        self._kernel = kernel
        self._intents = intents
        self._board = board
        self._tries = tries
        # When to ask again for what was asked for, by client order id and by symbol.
        self._cancels: dict[str, int] = {}
        self._exits: dict[str, int] = {}
        # How often closing it had no effect, and what there was to close then.
        self._tried: dict[str, tuple[int, Decimal]] = {}

    @property
    def stops(self) -> bool:
        """Whether the run has to end."""
        return self._board.states.actions().stop

    def climb(self, at: int, *, may_send: bool) -> None:
        """Do what is demanded now; ``may_send`` says whether orders that close positions can be sent."""
        before, self._cancels = self._cancels, {}
        for symbol, book in self._kernel.books.items():
            demanded = self._board.states.actions(symbol)
            if demanded.cancel is not Cancel.NONE:
                self._cancel(book, at, before, everything=demanded.cancel is Cancel.ALL)
            if demanded.flatten and book.quantity:
                if at >= self._exits.get(symbol, at) or self._progresses(book):
                    # Over: what it waits for from here on wakes it by coming in.
                    self._exits.pop(symbol, None)
                    # Whatever may still fill would be closed twice.
                    if may_send and not book.orders:
                        self._flatten(book, at)
            else:
                self._exits.pop(symbol, None)
                self._tried.pop(symbol, None)

    def next_due(self) -> int | None:
        """When to climb again although nothing comes in."""
        return min((*self._cancels.values(), *self._exits.values()), default=None)

    def due(self, at: int) -> bool:
        """Whether that time has come."""
        due = self.next_due()
        return due is not None and due <= at

    def _cancel(self, book: SymbolBook, at: int, before: dict[str, int], *, everything: bool) -> None:
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
            if order.retiring:
                refs = (order.ref,)
                if order.succession is not None and not order.succession.revoked:
                    self._kernel.revoke(order)
            for ref in refs:
                name = ref.client_order_id
                due = before.get(name, at)
                if at < due:
                    self._cancels[name] = due
                    continue
                self._cancels[name] = at + _AGAIN_NS
                if not self._intents.cancelling(name):
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

    def _progresses(self, book: SymbolBook) -> bool:
        """Whether less is held than when it was last tried: of a large position each order closes a part."""
        before = self._tried.get(book.symbol)
        return before is not None and abs(book.quantity) < before[1]

    def _flatten(self, book: SymbolBook, at: int) -> None:
        tries, _ = (0, ZERO) if self._progresses(book) else self._tried.get(book.symbol, (0, ZERO))
        tries += 1
        self._tried[book.symbol] = (tries, abs(book.quantity))
        if tries > self._tries:
            self._exits.pop(book.symbol, None)
            if tries == self._tries + 1:
                text = f"{book.symbol}: {book.quantity} units could not be closed; close them by hand"
                self._kernel.alert("error", "flatten_failed", text, book.symbol)
            return
        self._exits[book.symbol] = at + _AGAIN_NS
        try:
            self._kernel.place_exit(book, self._board.exits)
        except Refused as refusal:
            self._kernel.alert("error", "flatten_refused", f"{book.symbol}: {refusal.text}", book.symbol)
        except Exception as error:
            # The adapter's `prepare` must not raise that, and the rest of the ladder has to be climbed.
            text = f"{book.symbol}: the adapter raised {type(error).__name__}: {error}"
            self._kernel.alert("error", "flatten_refused", text, book.symbol)


def gate_of(states: TradingStates, refusal: Refused | None) -> Gate:
    """What the sender may let pass; ``refusal`` is why nothing may leave whatever the trading state."""
    shut = frozenset(name for name in states.symbols() if states.state(name) is TradingState.HALTED)
    if refusal is not None:
        return Gate(False, shut, refusal.text)
    if states.state() is TradingState.HALTED:
        return Gate(False, shut, "trading is halted", exits=True)
    return Gate(True, shut, exits=True)


def latches_of(states: TradingStates) -> dict[str, Latch]:
    """What is latched, by scope, as operators are shown it: of several causes the one that demands most."""
    latches = {}
    for scope in (None, *states.symbols()):
        if causes := states.causes(scope):
            worst = max(causes, key=lambda cause: _RUNGS.index(cause.step))
            reason = f"{worst.code}: {worst.reason}"
            state = ACTIONS[worst.step].state.value.upper()
            latches[scope or ""] = Latch(state, worst.who, reason, worst.at_ns)
    return latches


def _adds(order: Order, book: SymbolBook) -> bool:
    """Whether it could add exposure."""
    if order.side is Side.BUY:
        return book.quantity >= 0 or order.remaining() > -book.quantity
    return book.quantity <= 0 or order.remaining() > book.quantity
