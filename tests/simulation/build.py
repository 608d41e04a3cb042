"""A live core, put together as a process has it, and how its inside is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.data.series import Series
from alphaweave.live.journal_records import Recovered
from alphaweave.live.kernel import KernelSettings
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.kernel_live_state import capture_live
from alphaweave.live.ledger import Execution, Ledger
from alphaweave.live.ledger_archive import LedgerArchive
from alphaweave.live.ledger_folded import Folded
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_ports import JournalWriter
from alphaweave.live.live_recovery import Recovery
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.reconcile import Reconciler, ReconcileSettings
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_losses import LossLevels
from alphaweave.live.risk_settings import (
    DailyLimits,
    DuplicateLimits,
    ExecutionLimits,
    RateLimits,
    RejectLimits,
    SymbolLimits,
)
from alphaweave.live.trading_state import TradingState, TradingStates
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from simulation.broker import ACCOUNT, CASH
from simulation.clock import SECOND
from simulation.invariants import Limits, LocalBooks, LocalOrder, Row
from simulation.script import SYMBOLS
from simulation.strategy import Busy

__all__ = ["FINAL_AFTER", "LIMITS", "OLDEST", "Live", "build"]

LIMITS = Limits(position=Decimal(150), order_value=Decimal(5_000))
FINAL_AFTER = 10.0
OLDEST = 5 * SECOND
# A day has no more than minutes, and corrections come late in it.
_ARCHIVE_AFTER = 20.0
_BOUNDS = evolve(SIM_CAPABILITIES, not_found_is_final_after=FINAL_AFTER)
_BOUNDS_NOTHING = evolve(_BOUNDS, replace=frozenset())
_RISK = RiskSettings(
    max_order_notional=LIMITS.order_value,
    symbols={symbol: SymbolLimits(max_position_quantity=LIMITS.position) for symbol in SYMBOLS},
    drawdown=LossLevels(warn=Decimal("0.5"), flatten=Decimal("0.9")),
    # Rates are tested elsewhere; a block by them would end the day.
    order_rate=RateLimits(per_second=1_000, per_minute=10_000),
    daily_counts=DailyLimits(orders=100_000, fills=100_000),
    duplicates=DuplicateLimits(count=1_000, seconds=1),
    rejects=RejectLimits(rejects=10_000, seconds=1),
    repeated_executions=ExecutionLimits(fills=100_000, round_trips=100_000, seconds=1),
    silence_seconds=10_000,
)


class Live:
    """A core, and a look inside it that changes nothing."""

    def __init__(self, core: LiveCore, kernel: LiveKernel, states: RiskBoard) -> None:
        self.core = core
        self._kernel = kernel
        self._board = states
        self._kept: dict[str, tuple[Folded, list[tuple[str, Execution]]]] = {}

    @property
    def states(self) -> TradingStates:
        return self._board.states

    def orders(self) -> Iterator[Order]:
        """Every order that the kernel remembers, each once."""
        seen: set[int] = set()
        for order in (*self._kernel.orders.values(), *self._kernel.ended.values()):
            if id(order) not in seen:
                seen.add(id(order))
                yield order

    def open_orders(self) -> Iterator[Order]:
        """Those that are not over."""
        return (order for order in self.orders() if not order.status.terminal)

    def order(self, client_order_id: str) -> Order | None:
        """The order with a version of that name."""
        return self._kernel.order_of(client_order_id)

    def last(self, symbol: str) -> float:
        """The last close, as the kernel knows it."""
        return self._kernel.books[symbol].last() or 0.0

    def bars(self) -> dict[str, list[Row]]:
        """Every bar in the books, by symbol, in the order of its series."""
        return {
            symbol: [
                Row(
                    series.end[n],
                    (series.open[n], series.high[n], series.low[n], series.close[n], series.volume[n]),
                )
                for series in (book.series,)
                for n in range(len(series))
            ]
            for symbol, book in self._kernel.books.items()
        }

    def gaps(self) -> list[tuple[str, int, int]]:
        """What the strategy was told it will never have, as it remembers."""
        strategy = self._kernel.strategy
        assert isinstance(strategy, Busy)
        return [(symbol, start, end) for symbol, start, end, filled in strategy.gaps if not filled]

    def _archived(self) -> Iterator[tuple[str, Execution]]:
        """Executions that the books are made of and do not hold, each under its first key."""
        ledger = self._kernel.ledger
        for symbol, position in ledger.positions.items():
            if position.folded is not None and ledger.archive is not None:
                known = self._kept.get(symbol)
                if known is None or known[0] != position.folded:
                    found = ledger.archive.archived(position)
                    items = [(keys[0], item) for item, keys, _ in found if isinstance(item, Execution)]
                    known = self._kept[symbol] = (position.folded, items)
                yield from known[1]

    def books(self) -> LocalBooks:
        """What the run believes."""
        kernel = self._kernel
        names: dict[int, list[str]] = {}
        for register in (kernel.orders, kernel.ended):
            for name, order in register.items():
                names.setdefault(id(order), []).append(name)
        ledger = kernel.ledger
        executions = {}
        entered: set[int] = set()
        for key, execution in (*self._archived(), *ledger.executions.items()):
            if execution.fill is not None and not execution.busted and id(execution) not in entered:
                entered.add(id(execution))
                told = execution.booked
                executions[key] = told if told.fees == execution.fees else evolve(told, fees=execution.fees)
        return LocalBooks(
            executions=executions,
            positions={symbol: position.quantity for symbol, position in ledger.positions.items()},
            cash=ledger.balances["USD"],
            flows=frozenset(ledger._flows),
            orders=[
                LocalOrder(
                    tuple(names[id(order)]),
                    order.symbol,
                    order.side,
                    order.status,
                    order.filled,
                    order.quantity,
                )
                for order in self.orders()
            ],
            open_buy={symbol: book.open_buy for symbol, book in kernel.books.items()},
            open_sell={symbol: book.open_sell for symbol, book in kernel.books.items()},
        )

    def halted(self) -> Mapping[str, str]:
        """What is not ACTIVE, and why."""
        states = self.states
        scopes: dict[str, str | None] = {"": None, **{symbol: symbol for symbol in self._kernel.books}}
        return {
            name: "; ".join(f"{cause.code}: {cause.reason}" for cause in states.causes(scope))
            or "by the account"
            for name, scope in scopes.items()
            if states.state(scope) is not TradingState.ACTIVE
        }

    def recover(self, recovered: Recovered) -> None:
        """Take up what a journal has, and go no further: nothing is in doubt yet, and nobody is asked."""
        self._kernel.start()
        if recovered.archive is not None:
            self._kernel.ledger.archive = LedgerArchive(self._kernel.ledger, recovered.archive)
        Recovery(self.core.books, self.core.intake).run(recovered)
        if recovered.risk_state is not None:
            self._board.restore(recovered.risk_state)

    def state(self) -> str:
        """All that a journal has to give back, as one text."""
        captured: dict[str, Any] = capture_live(self._kernel, 50)
        for order in (*captured["orders"], *captured["ended"]):
            # Of orders decided on by several executions in one answer the journal has the time of the last.
            past = (order["succession"] or {}).get("past", ())
            for name in (order, order["ref"], order["change_ref"] or {}, *past):
                name.pop("decided_at", None)
        return json.dumps({"kernel": captured, "risk": self._board.snapshot()}, sort_keys=True, default=str)


def build(
    instruments: Mapping[str, Instrument],
    journal: JournalWriter,
    *,
    seed: int,
    hasty: bool = False,
    bounds: bool = True,
    raises_at: int = -1,
    foreign: Literal["halt", "adopt"] = "adopt",
) -> Live:
    """A core that knows nothing yet."""
    strategy = Busy()
    capabilities = _BOUNDS if bounds else _BOUNDS_NOTHING
    strategy.seed, strategy.hasty, strategy.raises_at = seed, hasty, raises_at
    strategy.bounds = bounds
    books = {
        symbol: SymbolBook(instrument, Series(symbol, "10s")) for symbol, instrument in instruments.items()
    }
    ledger = Ledger(currency="USD", cash=CASH, account=ACCOUNT)
    board = RiskBoard(
        _RISK,
        books=books,
        ledger=ledger,
        capabilities=capabilities,
        interval_ns=10 * SECOND,
        compares_clocks=True,
    )
    kernel = LiveKernel(
        strategy=strategy,
        settings=KernelSettings(run_id="day", strategy="Busy", account=ACCOUNT, interval="10s", warmup=2),
        books=books,
        ledger=ledger,
        chain=board,
        capabilities=capabilities,
    )
    view = LiveBooks(kernel)
    reconciler = Reconciler(
        ReconcileSettings(
            live=True,
            account=ACCOUNT,
            first_start="adopt",
            foreign=foreign,
            clock=30.0,
            not_found_is_final_after=FINAL_AFTER,
        ),
        view,
    )
    core = LiveCore(
        kernel,
        journal=journal,
        risk=board,
        reconciler=reconciler,
        settings=LiveSettings(
            adopt_foreign=foreign == "adopt",
            snapshot_every=50,
            archive_after=_ARCHIVE_AFTER,
            history=50,
            max_decision_age=OLDEST / SECOND,
        ),
        books=view,
    )
    return Live(core, kernel, board)
