"""A broker on the simulated venue, behind a network that loses, delays, doubles and reorders what passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from random import Random

from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import CancelRejected, OutcomeUnknown, ReplaceRejected
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.data.series import Series
from alphaweave.live.actions import (
    AccountQuery,
    FillsQuery,
    InstrumentsQuery,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    SendCancel,
    SendGroup,
    SendReplace,
    SendSubmit,
    TimeQuery,
)
from alphaweave.live.inputs import Answer, OutcomeKind, SendOutcome
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerOrder,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    FillReport,
    OrderAck,
    OrderUpdate,
)
from alphaweave.sim.costs import FeeModel
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from simulation.clock import MILLISECOND, SECOND, Agenda
from simulation.script import APART, TIMEOUT, Fate, FaultKind, Script
from simulation.truth import Truth

__all__ = ["ACCOUNT", "CASH", "ScriptedBroker"]

ACCOUNT = "SIM1"
CASH = Decimal(100_000)
# What the venue calls orders that the run has nothing to do with.
_HAND = "hand-"
_Send = SendSubmit | SendGroup | SendCancel | SendReplace
_Outcome = Callable[[SendOutcome], None]
_Answered = Callable[[Answer, str | None], None]
# A process that is there so many seconds after it was told something has it, though it stood still.
_TO_BE_HAD = 15
_REPLACES = {FaultKind.RATE_LIMITED, FaultKind.REJECTED}


class ScriptedBroker:
    """One broker, its network, and the adapter of one process at a time.

    Attributes:
        truth: what really happened.
        struck: how often each fault did.
        on_the_way: orders and replacements that may still arrive, by their intent. A cancel is in none: a
            process that cannot write a decision down has no number for it, and the next one, which cannot
            either, asks for it under the same name. It takes nothing but what is left of an order.
    """

    def __init__(self, script: Script, agenda: Agenda, instruments: dict[str, Instrument]) -> None:
        self.script = script
        self.agenda = agenda
        self.instruments = instruments
        self.board = {symbol: Series(symbol, "10s") for symbol in instruments}
        settings = VenueSettings(
            fill_at="last" if script.fills_at_once else "next_open",
            check_funds=False,
            random_partials=0.3,
            volume_share=Decimal("0.05"),
            fees=FeeModel(taker_rate=Decimal("0.0005")),
        )
        self.venue = SimVenue(
            instruments=instruments,
            board=self.board,
            settings=settings,
            cash=CASH,
            currency="USD",
            account=ACCOUNT,
            seed=script.seed,
        )
        self.truth = Truth(CASH)
        self.struck: Counter[FaultKind] = Counter()
        self.on_the_way: dict[str, _Send] = {}
        self._random = Random(f"broker {script.seed}")
        self._deliver: Callable[[BrokerEvent], None] | None = None
        self._cut = 0  # outages that are on: nothing passes
        self._known = False  # the adapter knows of it
        self._unpaid = 0
        self._numbers = 0
        self._names: dict[str, str] = {}  # the venue's order name -> the one it was sent under
        self._newest: dict[str, str] = {}
        if script.skew:
            apart = abs(script.skew) >= APART
            self.struck[FaultKind.CLOCKS_APART if apart else FaultKind.CLOCK_SKEW] += 1
        for begins, until, silent in script.outages:
            agenda.at(begins, partial(self._lose, until, silent))

    # The adapter's side.

    def attach(self, deliver: Callable[[BrokerEvent], None] | None) -> None:
        """A process takes the events from now on, or none does; what happens meanwhile is told to nobody."""
        self._deliver = deliver
        if deliver is None:
            self.truth.asked.clear()
        self._known = bool(self._cut) and deliver is not None
        if self._known:
            self._hand(deliver, ConnectionLost(self._here(), "not reachable"))

    def send(self, action: _Send, done: _Outcome) -> None:
        """Carry one request over; ``done`` hears what came of it, unless its process is gone by then."""
        if isinstance(action, SendCancel):
            self.truth.asked[action.intent] += 1
        fate = self.script.send(self.agenda.now)
        if self._known or fate.kind is FaultKind.NOT_SENT:
            if not self._known:
                self.struck[FaultKind.NOT_SENT] += 1
            self._answer(fate.back, done, SendOutcome(OutcomeKind.NOT_SENT, text="not connected"))
            return
        if fate.kind is not None:
            self.struck[fate.kind] += 1
        if fate.kind in _REPLACES:
            self._answer(fate.back, done, self._refused(action, fate.kind))
            return
        unknown = SendOutcome(OutcomeKind.UNKNOWN, text="no answer in time")
        settled: list[SendOutcome] = []

        def settle(outcome: SendOutcome) -> None:
            if not settled:
                settled.append(outcome)
                done(outcome)

        self.agenda.after(TIMEOUT, lambda: settle(unknown))
        if fate.kind is FaultKind.LOST_REQUEST:
            return
        if not isinstance(action, SendCancel):
            self.on_the_way[action.intent] = action
        self.agenda.after(fate.there, lambda: self._arrive(action, fate, settle))

    def ask(self, query: Query, done: _Answered) -> None:
        """Answer a query, or fail to."""
        fate = self.script.query(self.agenda.now)
        if self._known:
            self.agenda.after(fate.there, lambda: done(None, "not connected"))
            return
        if fate.kind is not None:
            self.struck[fate.kind] += 1
        if fate.kind is FaultKind.QUERY_FAILED:
            self.agenda.after(fate.there + fate.back, lambda: done(None, "502 bad gateway"))
        elif fate.kind is FaultKind.QUERY_RATE_LIMITED:
            self.agenda.after(fate.there, lambda: done(None, "429 too many requests"))
        else:
            self.agenda.after(fate.there, lambda: self._look(query, fate, done))

    # The market's and the world's side.

    def on_bar(self, number: int) -> None:
        """Bar ``number`` of each symbol has ended."""
        start = self.script.ends[number] - 10 * SECOND
        for symbol, series in self.board.items():
            series.append(start, self.script.ends[number], *self.script.bars[symbol][number])
            series.cursor.count = number + 1
        self.venue.on_slice(self.agenda.now)
        self._publish()

    def happen(self, kind: FaultKind) -> None:
        """Something that no order of the run asked for."""
        if kind is FaultKind.LATE_FEE:
            self._unpaid += 1
        elif kind is FaultKind.CASH_FLOW:
            self._flow()
        elif kind is FaultKind.FOREIGN_TRADE:
            self._trade_by_hand()
        elif kind is FaultKind.FOREIGN_ORDER:
            self._order_by_hand()
        else:
            self._mend(kind)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order version as it is now."""
        found = self.venue.order(self._newest.get(client_order_id, client_order_id))
        return None if found is None else self._renamed(found)

    def open_orders(self) -> list[BrokerOrder]:
        """What works of the run's."""
        return [
            self._renamed(order) for order in self.venue.open_orders() if not _by_hand(order.client_order_id)
        ]

    # Requests at the venue.

    def _arrive(self, action: _Send, fate: Fate, settle: _Outcome) -> None:
        if not isinstance(action, SendCancel):
            del self.on_the_way[action.intent]
        if self._cut:
            return
        outcome = self._carried_out(action)
        self._publish()
        if fate.kind is FaultKind.LOST_ACK:
            return
        if fate.kind is FaultKind.SERVER_ERROR:
            outcome = SendOutcome(OutcomeKind.UNKNOWN, code="500", text="internal error")
        self.agenda.after(fate.back, lambda: None if self._cut else settle(outcome))

    def _carried_out(self, action: _Send) -> SendOutcome:
        now = self.agenda.now
        try:
            if isinstance(action, SendCancel):
                name = action.ref.client_order_id
                self.venue.cancel(self._newest.get(name, name), now)
                return SendOutcome(OutcomeKind.CANCEL_TAKEN)
            if isinstance(action, SendReplace):
                name = action.ref.client_order_id
                new = self._admitted(action.new_ref)
                self.venue.replace(self._newest.get(name, name), new, action.change, now)
                return self._taken((new,))
            if isinstance(action, SendGroup):
                refs = tuple(self._admitted(ref) for ref in action.refs)
                self.venue.submit_group(refs, action.group, now)
                return self._taken(refs)
            ref = self._admitted(action.ref)
            self.venue.submit(ref, action.request, now)
            return self._taken((ref,))
        except OutcomeUnknown as error:
            return SendOutcome(OutcomeKind.UNKNOWN, code=error.code, text=str(error))
        except CancelRejected as error:
            kind = OutcomeKind.CANCEL_REJECTED
            return SendOutcome(kind, order_state=error.order_state.value, code=error.code, text=str(error))
        except ReplaceRejected as error:
            kind = OutcomeKind.REPLACE_REJECTED
            return SendOutcome(kind, order_state=error.order_state.value, code=error.code, text=str(error))

    def _admitted(self, ref: OrderRef) -> OrderRef:
        """The name an order gets at the venue: another where that of an ended one may be used again."""
        name = ref.client_order_id
        known = self.venue.order(self._newest.get(name, name))
        if known is None or self.script.unique_ids or not known.status.terminal:
            return ref
        self._numbers += 1
        again = f"{name}#{self._numbers}"
        self._names[again] = name
        self._newest[name] = again
        return evolve(ref, client_order_id=again)

    def _taken(self, refs: tuple[OrderRef, ...]) -> SendOutcome:
        for event in self.venue.events:
            if isinstance(event, OrderUpdate) and event.status is OrderStatus.REJECTED:
                names = {ref.client_order_id for ref in refs}
                refused = [e for e in self.venue.events if _names(e) in names]
                if len(refused) == len(self.venue.events):
                    self.venue.take()
                    return SendOutcome(OutcomeKind.REJECTED, code=event.reason, text=event.text)
        acks = []
        for ref in refs:
            found = self.venue.order(ref.client_order_id)
            assert found is not None
            name = self._names.get(ref.client_order_id, ref.client_order_id)
            self.truth.accepted[name] += 1
            acks.append(OrderAck(self._renamed(found).ref, self._here()))
        return SendOutcome(OutcomeKind.ACKED, tuple(acks))

    def _refused(self, action: _Send, kind: FaultKind) -> SendOutcome:
        code = "rate_limited" if kind is FaultKind.RATE_LIMITED else "other"
        if isinstance(action, SendCancel):
            return SendOutcome(OutcomeKind.CANCEL_REJECTED, order_state="alive", code=code, text="refused")
        if isinstance(action, SendReplace):
            return SendOutcome(OutcomeKind.REPLACE_REJECTED, order_state="alive", code=code, text="refused")
        return SendOutcome(OutcomeKind.REJECTED, code=code, text="refused")

    def _answer(self, delay: int, done: _Outcome, outcome: SendOutcome) -> None:
        self.agenda.after(delay, lambda: done(outcome))

    # Events.

    def _publish(self) -> None:
        for event in self.venue.take():
            if isinstance(event, BrokerFill):
                self._executed(self._told(event))
            else:
                told = evolve(event, ref=self._own(event.ref))
                if not self.script.counts:
                    told = evolve(told, cumulative=None, average_price=None)
                self._emit(told)

    def _told(self, fill: BrokerFill) -> BrokerFill:
        name = fill.client_order_id or ""
        skewed = from_ns(self.agenda.now + self.script.skew)
        return evolve(
            fill,
            client_order_id=None if _by_hand(name) else self._names.get(name, name),
            executed_at=skewed,
            received_at=self._here(),
            foreign=_by_hand(name),
        )

    def _executed(self, fill: BrokerFill) -> None:
        self.truth.executed(fill, self.agenda.now)
        if self._unpaid and fill.fees:
            self._unpaid -= 1
            self.struck[FaultKind.LATE_FEE] += 1
            self._emit(evolve(fill, fees=None))
            report = FeeReport(ACCOUNT, fill.execution_key, fill.fees, self._here())
            self.agenda.after(self._random.randrange(SECOND, 9 * SECOND), lambda: self._hand_soon(report))
        else:
            self._emit(fill)

    def _emit(self, event: BrokerEvent) -> None:
        fate = self.script.event(self.agenda.now)
        if self._deliver is None or self._cut:
            return
        kind = fate.kind
        if kind is FaultKind.SECOND_KEY:
            if not isinstance(event, BrokerFill) or event.foreign or event.revision:
                kind = None
            else:
                alias = f"stream:{event.execution_key}"
                self.truth.aliases[alias] = event.execution_key
                event = evolve(event, execution_key=alias)
        if kind is not None:
            self.struck[kind] += 1
        if kind is FaultKind.LOST_EVENT:
            return
        deliver = self._deliver
        self.agenda.after(fate.there, lambda: self._hand(deliver, event))
        if kind is FaultKind.DUPLICATE_EVENT:
            self.agenda.after(fate.there + fate.back, lambda: self._hand(deliver, event))

    def _hand_soon(self, event: BrokerEvent) -> None:
        """What is told once and cannot be asked for: the adapter repeats it until somebody has it."""
        deliver = self._deliver
        if deliver is None or self._cut:
            self.agenda.after(SECOND, lambda: self._hand_soon(event))
            return

        def had(looks: int) -> None:
            if self._deliver != deliver:
                self._hand_soon(event)
            elif looks:
                self.agenda.after(SECOND, lambda: had(looks - 1))

        self._hand(deliver, event)
        had(_TO_BE_HAD)

    def _hand(self, deliver: Callable[[BrokerEvent], None] | None, event: BrokerEvent) -> None:
        if deliver is not None and self._deliver == deliver:
            deliver(event)

    # Outages.

    def _lose(self, until: int, silent: int) -> None:
        self._cut += 1
        self.struck[FaultKind.MUTE if silent else FaultKind.OUTAGE] += 1
        self.agenda.after(silent, self._notice)
        self.agenda.at(until, self._mend_link)

    def _notice(self) -> None:
        if self._cut and not self._known and self._deliver is not None:
            self._known = True
            self._hand(self._deliver, ConnectionLost(self._here(), "no answer"))

    def _mend_link(self) -> None:
        self._cut -= 1
        if self._cut:
            return
        if self._deliver is not None and not self._known:
            # Silence that ended by itself lost events all the same: an adapter that cannot tell says so.
            self._hand(self._deliver, ConnectionLost(self._here(), "was silent"))
        self._known = False
        self._hand(self._deliver, ConnectionRestored(self._here()))

    # Queries.

    def _look(self, query: Query, fate: Fate, done: _Answered) -> None:
        if self._cut:
            self.agenda.after(TIMEOUT, lambda: done(None, "no answer in time"))
            return
        answer = self._looked_up(query)
        self.agenda.after(fate.back, lambda: done(None, "no answer") if self._cut else done(answer, None))

    def _looked_up(self, query: Query) -> Answer:
        if isinstance(query, OrderQuery):
            return self.order(query.ref.client_order_id)
        if isinstance(query, OpenOrdersQuery):
            return tuple(self._renamed(order) for order in self.venue.open_orders())
        if isinstance(query, FillsQuery):
            return self._fills(query)
        if isinstance(query, TimeQuery):
            return from_ns(self.agenda.now + self.script.skew)
        if isinstance(query, InstrumentsQuery):
            return {s: self.instruments[s] for s in query.symbols if s in self.instruments}
        assert isinstance(query, AccountQuery)
        complete = True
        if self.agenda.now < self.script.calm_from and self._random.random() < self.script.queries / 3:
            self.struck[FaultKind.SNAPSHOT_INCOMPLETE] += 1
            complete = False
        cash = self.truth.cash()
        return BrokerAccountState(
            account_id=ACCOUNT,
            as_of=from_ns(self.agenda.now + min(self.script.skew, 0)),
            base_currency="USD",
            balances={"USD": Balance(cash, cash)},
            positions=self.truth.positions(),
            complete=complete,
        )

    def _fills(self, query: FillsQuery) -> FillReport:
        asked = query.query
        begins = int(asked.cursor or 0)
        found = [item for at, item in self.truth.listed[begins:] if begins or from_ns(at) >= asked.since]
        symbols = asked.symbols or tuple(self.instruments)
        return FillReport(
            fills=tuple(f for f in found if isinstance(f, BrokerFill) and f.symbol in symbols),
            complete_from=dict.fromkeys(symbols, asked.since),
            cursor=None,
            flows=tuple(item for item in found if isinstance(item, CashFlow)),
        )

    def _renamed(self, order: BrokerOrder) -> BrokerOrder:
        name, replaced_by = self._own_name(order.ref), order.replaced_by
        return evolve(
            order,
            ref=evolve(order.ref, client_order_id=name, wire={}, decided_at=None),
            client_order_id=name or None,
            foreign=not name,
            replaced_by=None if replaced_by is None else self._names.get(replaced_by, replaced_by),
            as_of=self._here(),
        )

    def _own(self, ref: OrderRef) -> OrderRef:
        """The name that an order was sent under; somebody else's bears none."""
        return evolve(ref, client_order_id=self._own_name(ref))

    def _own_name(self, ref: OrderRef) -> str:
        name = ref.client_order_id
        return "" if _by_hand(name) else self._names.get(name, name)

    # What no order asked for.

    def _flow(self) -> None:
        self._numbers += 1
        amount = Money("USD", Decimal(self._random.randrange(-500, 500) or 1))
        kind = "dividend" if amount.amount > 0 else "fee"
        flow = CashFlow(ACCOUNT, f"flow:{self._numbers}", kind, amount, self._here())
        self.truth.flow(flow, self.agenda.now)
        self.struck[FaultKind.CASH_FLOW] += 1
        self._emit(flow)
        self.agenda.after(500 * MILLISECOND, lambda: self._emit(flow))

    def _trade_by_hand(self) -> None:
        symbol = self._random.choice(sorted(self.instruments))
        self._numbers += 1
        self.struck[FaultKind.FOREIGN_TRADE] += 1
        now = from_ns(self.agenda.now + self.script.skew)
        fill = BrokerFill(
            account=ACCOUNT,
            execution_key=f"manual:{self._numbers}",
            broker_order_id=f"manual-{self._numbers}",
            client_order_id=None,
            symbol=symbol,
            side=Side.BUY if self._random.random() < 0.5 else Side.SELL,
            size=Decimal(self._random.randrange(1, 5)),
            price=Decimal(repr(self.board[symbol].close[-1])),
            executed_at=now,
            received_at=self._here(),
            cumulative=None,
            fees=(),
            foreign=True,
        )
        self.truth.executed(fill, self.agenda.now)
        self._emit(fill)

    def _order_by_hand(self) -> None:
        symbol = self._random.choice(sorted(self.instruments))
        self._numbers += 1
        self.struck[FaultKind.FOREIGN_ORDER] += 1
        side, near = self._random.choice(((Side.BUY, Decimal("0.998")), (Side.SELL, Decimal("1.002"))))
        price = round(Decimal(repr(self.board[symbol].close[-1])) * near, 2)
        size = Decimal(self._random.randrange(1, 5))
        request = OrderRequest(symbol, side, size, None, OrderType.LIMIT, TimeInForce.GTC, limit_price=price)
        self.venue.submit(OrderRef(f"{_HAND}{self._numbers}", symbol), request, self.agenda.now)
        self._publish()

    def _mend(self, kind: FaultKind) -> None:
        """Restate, or take back, an execution of an order that is over."""
        told = set(self.truth.aliases.values())
        candidates = []
        for key, fill in self.truth.executions.items():
            order = None if fill.client_order_id is None else self.order(fill.client_order_id)
            if key not in told and order is not None and order.status.terminal:
                candidates.append(fill)
        if not candidates:
            return
        self.struck[kind] += 1
        fill = self._random.choice(candidates)
        key = fill.execution_key
        if kind is FaultKind.BUST:
            revision, restated = self.truth.bust(key), None
        else:
            restated = self.truth.restate(key, fill.price + Decimal("0.05"), self.agenda.now)
            revision = restated.revision
        self._hand_soon(FillCorrection(ACCOUNT, key, revision, restated, self._here()))

    def _here(self) -> datetime:
        return from_ns(self.agenda.now)


def _by_hand(name: str | None) -> bool:
    return (name or "").startswith(_HAND)


def _names(event: BrokerFill | OrderUpdate) -> str | None:
    return event.client_order_id if isinstance(event, BrokerFill) else event.ref.client_order_id
