"""How what a live run is told enters its books: one way, for what happens now and for a restart.

Nothing here looks at the risk board, the reconciler or the journal, so that a journal's inputs give the same
books again without them. What they have to know is left for the core to take.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import OrderState
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import ZERO, Money
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.live.control_records import Verb
from alphaweave.live.effects import CancelOrder
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
    CorrectionInput,
    FeedLinkInput,
    GapInput,
    Input,
    LateBarInput,
    OutcomeInput,
    OutcomeKind,
    SliceInput,
)
from alphaweave.live.journal_records import IntentState
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.live_differences import told
from alphaweave.live.live_intents import Intents, Tracked
from alphaweave.live.orders import Order
from alphaweave.live.reconcile_findings import (
    Adopt,
    Finding,
    ForeignFill,
    FoundFill,
    FoundFlow,
    FoundOrder,
    Revived,
    RulesChanged,
    Settled,
    Settlement,
)
from alphaweave.live.reports import (
    BrokerFill,
    BrokerNotice,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    OrderUpdate,
    PositionChange,
)
from alphaweave.live.rule_changes import changes, take_rules
from alphaweave.live.succession import called
from alphaweave.live.trading_state import Escalation, KillStep

__all__ = ["Intake"]

_NO_ANSWER: Final = (OrderStatus.UNKNOWN, OrderStatus.PENDING, OrderStatus.DENIED)


class Intake:
    """The way in.

    Attributes:
        held: fills that may be of an order whose names are not known yet; they wait for these.
        wanted: what has to be latched by what came in.
        refusals: how many orders the broker refused.
        adopts: fills of nobody's orders halt nothing.
        opened: what the account held is taken over. Nothing foreign from before halts: it is in what will be.
        quiet: a connection that is lost is no alarm: the broker is in maintenance.
        booked_then: in a restart, of an input at which something was sent, the executions that it booked: its
            orders are not in the books yet while it is entered, and a fill may have waited for their names.
    """

    def __init__(self, kernel: LiveKernel, intents: Intents, *, adopts: bool) -> None:
        self.held: list[BrokerFill] = []
        self.wanted: list[Escalation] = []
        self.refusals = 0
        self.adopts = adopts
        self.opened = False
        self.quiet = False
        self.booked_then: Collection[tuple[str | None, int]] | None = None
        self._kernel = kernel
        self._intents = intents

    def enter(self, given: Input, findings: Sequence[Finding] = ()) -> None:
        """Enter an input in the books, and tell the strategy.

        Args:
            findings: what a reconciliation makes of an answer.

        Raises:
            StrategyError: a callback failed. What was reported is in the books.
            InvariantViolation: what is reported contradicts the books.
        """
        kernel = self._kernel
        match given:
            case SliceInput():
                kernel.on_slice(given.slice)
            case LateBarInput():
                kernel.on_late_bar(given.late.bar)
            case CorrectionInput():
                kernel.on_bar_correction(given.correction.bar)
            case GapInput():
                kernel.on_gap(given.gap)
            case FeedLinkInput():
                code = "feed_restored" if given.up else "feed_lost"
                severity = "info" if given.up or self.quiet else "warning"
                kernel.alert(severity, code, given.reason or code.replace("_", " "))
            case BrokerInput():
                self._event(given)
            case OutcomeInput():
                self._outcome(given)
            case AnswerInput():
                kernel.each(partial(self._finding, finding, given.at) for finding in findings)
            case CommandInput() if given.command.verb is Verb.STOP:
                kernel.stop()
            case _:
                pass
        self._release()

    def doubt(self, doubtful: Sequence[Tracked], at: int) -> None:
        """Nobody knows what became of these, nor of what was to be cancelled for its next version."""
        orders = ((self._kernel.orders.get(tracked.client_id), tracked) for tracked in doubtful)
        refs = [order.ref for order in self._kernel.retiring.values() if order.retiring]
        refs += [_ref_of(order, tracked) for order, tracked in orders if order is not None]
        names = {ref.client_order_id: ref for ref in refs}
        updates = (OrderUpdate(ref, OrderStatus.UNKNOWN, from_ns(at)) for ref in names.values())
        self._kernel.each(partial(self._update, update) for update in updates)

    # The broker's events.

    def _event(self, given: BrokerInput) -> None:
        kernel = self._kernel
        match given.event:
            case BrokerFill() as fill:
                self._fill(fill)
            case OrderUpdate() as update:
                self._update(update)
            case FillCorrection() as correction:
                self._correction(correction)
            case FeeReport() as report:
                kernel.on_fees(report)
            case CashFlow() as flow:
                kernel.on_cash_flow(flow)
            case PositionChange() as change:
                kernel.on_position_change(change)
            case ConnectionLost() as lost:
                kernel.alert("info" if self.quiet else "error", "connection_lost", lost.reason)
            case ConnectionRestored() as restored:
                kernel.alert("info", "connection_restored", restored.detail or "the broker is back")
            case BrokerNotice() as notice:
                kernel.alert(notice.severity, notice.code, notice.text, notice.symbol)

    def _fill(self, fill: BrokerFill, *, foreign: bool | None = None) -> None:
        kernel = self._kernel
        order = kernel.order_of(fill.client_order_id)
        if order is None:
            order = kernel.bound_to(fill.symbol, fill.broker_order_id)
            if order is not None:
                fill = evolve(fill, client_order_id=called(order, fill.broker_order_id))
        ours = order is not None or (fill.client_order_id or "").startswith(kernel.ids.prefix)
        if not ours and self._waits(fill):
            if all(_name(each) != _name(fill) for each in self.held):
                self.held.append(fill)
            return
        booked = kernel.booked
        if order is not None and fill.client_order_id is not None:
            self._intents.acked(fill.client_order_id, fill.broker_order_id)
        kernel.on_fill(fill)
        if not ours and kernel.booked != booked:
            halts = not self.adopts if foreign is None else foreign
            if halts and self.opened and fill.symbol in kernel.books:
                what = f"{fill.side.value} {fill.size} {fill.symbol} at {fill.price}"
                self._halt("foreign_fill", f"{what} is of no order of this run", fill.symbol)

    def _correction(self, correction: FillCorrection) -> None:
        fill, known = correction.fill, self._kernel.ledger.execution(correction.execution_key)
        if fill is not None and (known is None or (known.fill is None and not known.busted)):
            # It overtook its fill, or that one waits to be known whose it is: so may this.
            self.held = [each for each in self.held if each.execution_key != fill.execution_key]
            self._fill(fill)
            return
        if fill is not None and self._kernel.order_of(fill.client_order_id) is None:
            order = self._kernel.bound_to(fill.symbol, fill.broker_order_id)
            if order is not None:
                fill = evolve(fill, client_order_id=called(order, fill.broker_order_id))
                correction = evolve(correction, fill=fill)
        self._kernel.on_correction(correction)

    def _update(self, update: OrderUpdate) -> None:
        kernel = self._kernel
        client_id = update.ref.client_order_id
        order = kernel.order_of(client_id)
        if order is None and update.ref.broker_order_id is not None:
            order = self._kernel.bound_to(update.ref.symbol, update.ref.broker_order_id)
            if order is not None:
                client_id = called(order, update.ref.broker_order_id) or order.ref.client_order_id
                update = evolve(update, ref=evolve(update.ref, client_order_id=client_id))
        if order is None and kernel.in_flight(update.ref.symbol):
            return  # It may be of an order whose names are not known yet; a look at all orders will tell.
        status = update.status
        tracked = self._intents.versions.get(client_id)
        if status is OrderStatus.REJECTED and tracked is not None:
            self.refusals += 1
            if order is not None and client_id != order.ref.client_order_id:
                tracked.refused = IntentState.REJECTED
        elif tracked is not None and status not in _NO_ANSWER:
            self._intents.acked(client_id, update.ref.broker_order_id)
        kernel.on_update(update)

    # What became of a send.

    def _outcome(self, given: OutcomeInput) -> None:
        client_id = self._intents.cancelled_by(given.intent)
        if client_id is not None:
            self._cancel_outcome(given, client_id)
            return
        versions = enumerate(self._intents.of(given.intent))
        self._kernel.each(partial(self._version_outcome, given, number, one) for number, one in versions)

    def _version_outcome(self, given: OutcomeInput, number: int, tracked: Tracked) -> None:
        outcome, kind, at = given.outcome, given.outcome.kind, given.at
        order = self._kernel.orders.get(tracked.client_id)
        tracked.quiet_since = at if tracked.quiet_since is None else tracked.quiet_since
        if order is None:
            return
        ref = _ref_of(order, tracked)
        replaces = ref is order.change_ref
        if kind is OutcomeKind.ACKED:
            named = outcome.acks[number].ref.broker_order_id if number < len(outcome.acks) else None
            ref = evolve(ref, broker_order_id=named)
            self._update(OrderUpdate(ref, OrderStatus.ACCEPTED, from_ns(at)))
        elif kind is OutcomeKind.UNKNOWN:
            self._intents.doubted(tracked, at)
            if not tracked.taken:
                text = f"nobody knows whether order {tracked.client_id} arrived: {outcome.text}"
                self._kernel.alert("error", "outcome_unknown", f"{order.symbol}: {text}", order.symbol)
                self._update(OrderUpdate(ref, OrderStatus.UNKNOWN, from_ns(at)))
        elif kind is OutcomeKind.NOT_SENT:
            self._not_sent(order, tracked, outcome.text)
        elif replaces:
            self.refusals += 1
            tracked.refused = IntentState.REJECTED
            self._kernel.on_replace_rejected(ref, outcome.text)
            if outcome.order_state == OrderState.UNKNOWN.value:
                self._kernel.on_update(OrderUpdate(order.ref, OrderStatus.UNKNOWN, from_ns(at)))
        else:
            self._update(
                OrderUpdate(ref, OrderStatus.REJECTED, from_ns(at), reason=outcome.code, text=outcome.text)
            )

    def _not_sent(self, order: Order, tracked: Tracked, text: str) -> None:
        if order.change_ref is not None and tracked.client_id == order.change_ref.client_order_id:
            tracked.refused = IntentState.WITHDRAWN
            self._kernel.on_replace_rejected(order.change_ref, text)
            return
        # Of an order whose version before was cancelled for it, something was there.
        cancelled = self._intents.cancelling(tracked.client_id) or order.succession is not None
        status = OrderStatus.CANCELLED if cancelled else OrderStatus.DENIED
        tracked.refused = IntentState.WITHDRAWN
        at = from_ns(self._kernel.at)
        self._kernel.on_update(OrderUpdate(order.ref, status, at, ZERO, reason="not_sent", text=text))

    def _cancel_outcome(self, given: OutcomeInput, client_id: str) -> None:
        outcome, kernel = given.outcome, self._kernel
        states = {
            OutcomeKind.CANCEL_TAKEN: IntentState.DONE,
            OutcomeKind.NOT_SENT: IntentState.WITHDRAWN,
            OutcomeKind.UNKNOWN: IntentState.UNKNOWN,
        }
        self._intents.cancel_ended(given.intent, states.get(outcome.kind, IntentState.REJECTED))
        order = kernel.orders.get(client_id)
        if order is None or outcome.kind in {OutcomeKind.CANCEL_TAKEN, OutcomeKind.NOT_SENT}:
            return
        refused = outcome.kind is OutcomeKind.CANCEL_REJECTED
        if refused and outcome.order_state == OrderState.ALIVE.value:
            kernel.on_cancel_rejected(order.ref, outcome.text)
            if order.retiring and order.change_ref is not None and client_id == order.ref.client_order_id:
                kernel.on_replace_rejected(order.change_ref, outcome.text)
            return
        if order.retiring and client_id == order.ref.client_order_id:
            # Whether it was cancelled decides whether its next version may be placed: that is looked up.
            self._update(OrderUpdate(order.ref, OrderStatus.UNKNOWN, from_ns(given.at)))
        if refused:
            # It may be over, and how is not known: that has to be looked up.
            kernel.alert("warning", "cancel_rejected", f"{order.symbol}: {outcome.text}", order.symbol)

    # What a reconciliation found.

    def _finding(self, finding: Finding, at: int) -> None:
        kernel = self._kernel
        match finding:
            case Adopt():
                self._adopt(finding)
            case Settled():
                self._settled(finding, at)
            case FoundFill():
                self._fill(finding.fill)
            case ForeignFill():
                self._fill(finding.fill, foreign=finding.halt)
            case FoundFlow():
                kernel.on_cash_flow(finding.flow)
            case FoundOrder():
                self._update(finding.update)
                self._works_on(finding.update)
            case Revived():
                self._revived(finding)
            case RulesChanged():
                self._rules(finding.instrument)
            case _:
                told(finding, kernel, self._halt)

    def _rules(self, rules: Instrument) -> None:
        # A restart has asked for newer ones before it goes through this.
        if self._kernel.muted:
            return
        book = self._kernel.books[rules.symbol]
        text = f"{rules.symbol}: {changes(book.instrument, rules)}"
        if take_rules(book, rules):
            self._kernel.alert("warning", "rules_changed", text, rules.symbol)
        else:
            self._halt("rules_contradicted", text, rules.symbol)

    def _works_on(self, found: OrderUpdate) -> None:
        """A cancel that was asked for so that an order could be replaced never arrived, or had no effect."""
        name = found.ref.client_order_id
        order = self._kernel.orders.get(name)
        if order is None or not order.retiring or order.change_ref is None or found.status.terminal:
            return
        works = found.status not in _NO_ANSWER and name == order.ref.client_order_id
        if works and not self._intents.cancelling(name):
            text = "the order works on: its cancel never arrived, or had no effect"
            self._kernel.on_replace_rejected(order.change_ref, text)

    def _settled(self, finding: Settled, at: int) -> None:
        order = self._kernel.orders.get(finding.client_order_id)
        tracked = self._intents.versions.get(finding.client_order_id)
        if order is None or tracked is None:
            return
        ref = _ref_of(order, tracked)
        if finding.outcome is Settlement.NEVER_ARRIVED:
            tracked.refused = IntentState.REJECTED
            status, reason = OrderStatus.REJECTED, "never_arrived"
        else:
            status, reason = OrderStatus.CANCELLED, finding.outcome.value
            text = f"{finding.symbol}: {finding.said}"
            self._halt(f"order_{reason}", text, finding.symbol)
        filled = order.own_filled
        text = "the broker has no such order"
        self._kernel.on_update(OrderUpdate(ref, status, from_ns(at), filled, reason=reason, text=text))

    def _revived(self, finding: Revived) -> None:
        ref = finding.order.ref
        order = self._kernel.order_of(ref.client_order_id)
        if order is not None:
            ref = evolve(ref, wire=order.ref.wire, decided_at=order.ref.decided_at)
        self._intents.revived.add(ref.client_order_id)
        self._kernel.effects.append(CancelOrder(ref))
        text = f"{ref.symbol}: order {ref.client_order_id} is over in the books and works at the broker"
        self._halt("order_revived", text, ref.symbol)

    def _adopt(self, finding: Adopt) -> None:
        self.opened = True
        kernel = self._kernel
        account = kernel.ledger.account
        for symbol, units in finding.positions.items():
            change = units - _units(kernel, symbol)
            if change:
                key = f"adopt:{symbol}"
                kernel.on_position_change(
                    PositionChange(account, key, symbol, change, finding.as_of, kind="adopted")
                )
        for asset, total in finding.balances.items():
            change = total - kernel.ledger.balances.get(asset, ZERO)
            if change:
                amount = Money(asset, change)
                kernel.on_cash_flow(CashFlow(account, f"adopt:{asset}", "adopted", amount, finding.as_of))

    # Within.

    def _waits(self, fill: BrokerFill) -> bool:
        """Whether that fill may be of an order whose names are not known yet."""
        if self.booked_then is not None:
            return _name(fill) not in self.booked_then
        return self._kernel.in_flight(fill.symbol)

    def _halt(self, code: str, text: str, symbol: str) -> None:
        self.wanted.append(Escalation(KillStep.CANCEL_ALL, code, text, symbol))

    def _release(self) -> None:
        """Book what waited, where the names of all orders are known by now."""
        waiting, self.held = self.held, []
        self._kernel.each(partial(self._fill, fill) for fill in waiting)


def _ref_of(order: Order, tracked: Tracked) -> OrderRef:
    change = order.change_ref
    return change if change is not None and change.client_order_id == tracked.client_id else order.ref


def _name(fill: BrokerFill) -> tuple[str, int]:
    return fill.execution_key, fill.revision


def _units(kernel: LiveKernel, symbol: str) -> Decimal:
    position = kernel.ledger.positions.get(symbol)
    return ZERO if position is None else position.quantity
