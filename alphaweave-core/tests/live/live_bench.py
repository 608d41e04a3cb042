"""A live core on a bench: a small broker with a truth of its own, a journal in a file, and restarts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderStatus, Side
from alphaweave.data.series import Series
from alphaweave.live.actions import (
    AccountQuery,
    Action,
    Ask,
    FillsQuery,
    Finish,
    Forgotten,
    Gate,
    InstrumentsQuery,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    Reply,
    SendCancel,
    SendGroup,
    SendReplace,
    SendSubmit,
    Tell,
)
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control_records import Command, Verb
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
    Input,
    OutcomeInput,
    OutcomeKind,
    SendOutcome,
    SliceInput,
    TimerInput,
)
from alphaweave.live.journal import Journal, RunIdentity
from alphaweave.live.kernel import KernelSettings
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.ledger import Ledger
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.orders import SymbolBook
from alphaweave.live.reconcile import Reconciler, ReconcileSettings
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerFill,
    BrokerOrder,
    FillReport,
    OrderAck,
    OrderUpdate,
)
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.slices import Slice
from alphaweave.monitoring.monitor import Alert
from alphaweave.strategy.strategy import Strategy

T0 = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = 60_000_000_000
SECOND = 1_000_000_000
RUN = RunIdentity(run_id="r", broker="b", account="DU1", strategy="m:S", mode="live", config_digest="c")


class Broker:
    """What is true at the broker: orders, executions, cash."""

    def __init__(self, cash: str) -> None:
        self.forgotten: set[str] = set()
        self.orders: dict[str, BrokerOrder] = {}
        self.fills: list[BrokerFill] = []
        self.cash = Decimal(cash)
        self.positions: dict[str, Decimal] = {}
        self.balances: dict[str, Decimal] = {}
        self.rules: dict[str, Instrument] = {}
        self.arrived: list[str] = []

    def take(self, ref: Any, request: Any, at: datetime) -> OrderAck:
        name = ref.client_order_id
        self.arrived.append(name)
        bound = type(ref)(name, ref.symbol, f"B{len(self.arrived)}", ref.wire, ref.decided_at)
        self.orders[name] = BrokerOrder(
            bound, name, OrderStatus.ACCEPTED, request.side, request.quantity, Decimal(0), at, request
        )
        return OrderAck(bound, at)

    def fill(self, name: str, size: str, price: str, at: datetime) -> BrokerFill:
        """Execute a part of an order."""
        order = self.orders[name]
        filled = order.filled + Decimal(size)
        assert order.quantity is not None
        status = OrderStatus.FILLED if filled >= order.quantity else OrderStatus.PARTIALLY_FILLED
        self.orders[name] = BrokerOrder(
            order.ref, name, status, order.side, order.quantity, filled, at, order.request
        )
        return self.execute(
            name, order.ref.symbol, order.side, size, price, at, order.ref.broker_order_id or ""
        )

    def execute(
        self, name: str | None, symbol: str, side: Side, size: str, price: str, at: datetime, order: str
    ) -> BrokerFill:
        """An execution, of whoever's order."""
        fill = BrokerFill(
            "DU1",
            f"x{len(self.fills)}",
            order,
            name,
            symbol,
            side,
            Decimal(size),
            Decimal(price),
            at,
            at,
            fees=(),
        )
        self.fills.append(fill)
        self.cash -= fill.size * fill.price * side.sign
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + fill.size * side.sign
        return fill

    def end(self, name: str, status: OrderStatus, at: datetime) -> OrderUpdate:
        """End an order."""
        order = self.orders[name]
        self.orders[name] = BrokerOrder(
            order.ref, name, status, order.side, order.quantity, order.filled, at, order.request
        )
        return OrderUpdate(order.ref, status, at, order.filled)

    def answer(self, query: Query, at: datetime) -> Any:
        """The answer to a query."""
        match query:
            case OrderQuery():
                if query.ref.client_order_id in self.forgotten:
                    return Forgotten()
                return self.orders.get(query.ref.client_order_id)
            case OpenOrdersQuery():
                return tuple(order for order in self.orders.values() if not order.status.terminal)
            case FillsQuery():
                since = query.query.since
                fills = tuple(fill for fill in self.fills if fill.executed_at >= since)
                return FillReport(fills, dict.fromkeys(("SPY", "QQQ", *self.rules), since))
            case InstrumentsQuery():
                return dict(self.rules)
            case AccountQuery():
                held = {symbol: units for symbol, units in self.positions.items() if units}
                balances = {"USD": self.cash, **self.balances}
                told = {asset: Balance(total) for asset, total in balances.items()}
                return BrokerAccountState("DU1", at, "USD", told, held)
        raise AssertionError(query)


class Quiet(Strategy):
    """Does what the test says, once for each slice."""

    def __init__(self, bench: LiveBench) -> None:
        self.bench = bench
        self.heard: list[Any] = []
        self.seen = 0

    def next(self, i: int) -> None:
        self.seen += 1
        script, self.bench.script = self.bench.script, None
        if script is not None:
            self.bench.result = script(self)

    def on_fill(self, fill: Any) -> None:
        self.heard.append(fill)
        if self.bench.on_fill is not None:
            self.bench.on_fill(self, fill)

    def on_order(self, event: Any) -> None:
        self.heard.append(event)

    def get_state(self) -> Mapping[str, Any]:
        return {"seen": self.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


class LiveBench:
    """Drives one core. ``sent`` are the sends not carried out yet."""

    def __init__(
        self,
        folder: Path,
        capabilities: Capabilities,
        *,
        cash: str = "10000",
        symbols: tuple[str, ...] = ("SPY",),
        make: Callable[[LiveBench], Strategy] = Quiet,
        settings: LiveSettings | None = None,
        risk: RiskSettings | None = None,
        reconcile: Mapping[str, Any] | None = None,
        rules: Mapping[str, Instrument] | None = None,
    ) -> None:
        self.path = folder / "run.db"
        self.now = to_ns(T0)
        self.broker = Broker(cash)
        self.script: Callable[[Any], Any] | None = None
        self.on_fill: Callable[[Any, Any], Any] | None = None
        self.result: Any = None
        self.sent: list[Any] = []
        self.told: list[Any] = []
        self.replies: list[Reply] = []
        self.asked: list[Query] = []
        self.finish: Finish | None = None
        self.gates: list[Gate] = []
        self.settings = settings or LiveSettings()
        self._capabilities = capabilities
        self._make = make
        self._symbols = symbols
        self._rules = rules
        self._cash = cash
        self._risk = risk or RiskSettings()
        self._reconcile = dict(reconcile or {})
        self._commands = 0
        self.start()

    def start(self) -> None:
        """A process begins."""
        self.journal = Journal.open(self.path, run=RUN, clock_ns=lambda: self.now)
        rules = self._rules or {name: Instrument(symbol=name, venue_symbol=name) for name in self._symbols}
        self.broker.rules = self.broker.rules or dict(rules)
        books = {name: SymbolBook(rules[name], Series(name, "1m")) for name in self._symbols}
        ledger = Ledger(currency="USD", cash=Decimal(self._cash), account="DU1")
        self.strategy: Any = self._make(self)
        self.board = RiskBoard(
            self._risk, books=books, ledger=ledger, capabilities=self._capabilities, interval_ns=MINUTE
        )
        self.kernel = LiveKernel(
            strategy=self.strategy,
            settings=KernelSettings(run_id="r", strategy="m:S", account="DU1", interval="1m"),
            books=books,
            ledger=ledger,
            chain=self.board,
            capabilities=self._capabilities,
        )
        view = LiveBooks(self.kernel)
        wanted = {"account": "DU1", "not_found_is_final_after": 10.0, **self._reconcile}
        self.reconciler = Reconciler(ReconcileSettings(**wanted), view)
        self.core = LiveCore(
            self.kernel,
            journal=self.journal,
            risk=self.board,
            reconciler=self.reconciler,
            books=view,
            settings=self.settings,
        )
        recovered = self.journal.recover()
        self.take(self.core.start(recovered if recovered.seq else None, self.now))

    def crash(self) -> None:
        """The process is gone, and what it had not handed to the broker with it; another one begins."""
        self.journal.close()
        self.sent.clear()
        self.asked.clear()
        self.now += SECOND
        self.start()

    def give(self, given: Input) -> None:
        """One input."""
        self.take(self.core.handle(given))

    def take(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Gate():
                    self.gates.append(action)
                case Tell():
                    self.told += [*action.notes, *action.bars]
                case Ask():
                    self.asked.append(action.query)
                case Reply():
                    self.replies.append(action)
                case Finish():
                    self.finish = action
                case _:
                    self.sent.append(action)

    def answer(self) -> None:
        """The broker answers what it was asked, and what is asked then."""
        while self.asked:
            query = self.asked.pop(0)
            self.give(AnswerInput(self.now, query, self.broker.answer(query, from_ns(self.now))))

    def settle(self, seconds: int = 1) -> None:
        """Time passes, and the broker answers."""
        self.answer()
        for _ in range(seconds):
            self.now += SECOND
            due = self.core.next_wakeup()
            if due is not None and due <= self.now:
                self.give(TimerInput(self.now))
            self.answer()

    def bar(self, close: float = 100.0, script: Callable[[Any], Any] | None = None) -> Any:
        """The next minute's slice, in which the strategy does what ``script`` says."""
        self.script = script
        end = self.now - self.now % MINUTE + MINUTE
        while self.now + 5 * SECOND < end:
            self.settle(5)
        self.now = end + SECOND
        start, until = from_ns(end - MINUTE), from_ns(end)
        bars = tuple(Bar(name, "1m", start, until, close, close, close, close, 1.0) for name in self._symbols)
        self.give(SliceInput(self.now, Slice(end, bars)))
        return self.result

    def at_once(self, script: Callable[[Any], Any]) -> Any:
        """A slice a second later, in which the strategy does what ``script`` says."""
        self.script = script
        self.now += SECOND
        self.give(SliceInput(self.now, Slice(self.now, ())))
        return self.result

    def event(self, event: Any) -> None:
        self.give(BrokerInput(self.now, event))

    def command(self, verb: Verb, *, reason: str = "because", scope: str = "") -> Reply:
        self._commands += 1
        command = Command(self._commands, verb, scope, "eva", reason, self.now, self.now, None, None)
        self.give(CommandInput(self.now, command))
        return self.replies[-1]

    def deliver(self, *, lost: str | None = None) -> list[Any]:
        """Carry out what was sent; ``lost``: its ``request`` or its ``answer`` gets lost."""
        sent, self.sent = self.sent, []
        for action in sent:
            at = from_ns(self.now)
            kind = OutcomeKind.UNKNOWN if lost else OutcomeKind.ACKED
            acks: tuple[OrderAck, ...] = ()
            match action:
                case SendSubmit() if lost != "request":
                    acks = (self.broker.take(action.ref, action.request, at),)
                case SendGroup() if lost != "request":
                    pairs = zip(action.refs, action.group.legs, strict=True)
                    acks = tuple(self.broker.take(ref, leg, at) for ref, leg in pairs)
                case SendReplace() if lost != "request":
                    old = self.broker.orders[action.ref.client_order_id]
                    assert old.request is not None
                    acks = (self.broker.take(action.new_ref, old.request, at),)
                    self.broker.end(action.ref.client_order_id, OrderStatus.CANCELLED, at)
                case SendCancel():
                    kind = kind if lost else OutcomeKind.CANCEL_TAKEN
            self.give(OutcomeInput(self.now, action.intent, SendOutcome(kind, () if lost else acks)))
        return sent

    def alerts(self) -> list[str]:
        return [note.code for note in self.told if isinstance(note, Alert)]
