"""What the orders of a live run were filled at, beside what a simulated venue gives them on the same bars."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, localcontext
from typing import Any, Final

from attrs import define, frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import CancelRejected, DataError, ReplaceRejected
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import GroupKind, OrderGroup, OrderRef, Side
from alphaweave.data.series import Series
from alphaweave.live.input_codec import from_document
from alphaweave.live.inputs import SliceInput
from alphaweave.live.journal_records import Decision, Intent, IntentKind, JournalRow
from alphaweave.live.order_codec import change_from_state, request_from_state
from alphaweave.live.reports import BrokerFill
from alphaweave.live.slices import Slice
from alphaweave.sim.venue import SimVenue

__all__ = ["OrderSlippage", "Slippage", "SlippageTotals"]

_BPS: Final = Decimal(10_000)


@frozen(kw_only=True)
class OrderSlippage:
    """One order of the run. Prices are averages over its fills; None where it has none.

    Attributes:
        order_id: the client order id of its first version.
        decided_at: the time of the decision's slice or event, epoch nanoseconds UTC.
        filled, price: what the broker did; paper_filled, paper_price: what the simulated venue did.
        bps: how much worse the broker's price was, in hundredths of a percent of the simulated one; less than
            zero: it was better.
        cost: what that came to on the broker's quantity, in the settle currency.
    """

    order_id: str
    symbol: str
    side: Side
    decided_at: int
    filled: Decimal
    price: Decimal | None
    paper_filled: Decimal
    paper_price: Decimal | None
    bps: Decimal | None
    cost: Decimal | None


@frozen(kw_only=True)
class SlippageTotals:
    """Over all orders.

    Attributes:
        filled: orders that the broker filled, or part of them; paper_filled: that the simulated venue did.
        compared: that both did.
        notional: of these, at simulated prices and the broker's quantities; cost: what they slipped, above
            zero for the worse, in the run's currency; bps: the one in the other, None without any.
    """

    orders: int
    filled: int
    paper_filled: int
    compared: int
    notional: Decimal
    cost: Decimal
    bps: Decimal | None


@define
class _Fills:
    size: Decimal = ZERO
    value: Decimal = ZERO

    def add(self, size: Decimal, price: Decimal) -> None:
        self.size += size
        self.value += size * price

    @property
    def price(self) -> Decimal | None:
        return self.value / self.size if self.size else None


@define
class _Execution:
    revision: int
    client_order_id: str | None
    size: Decimal
    price: Decimal


class Slippage:
    """Collects it, row by row.

    The venue is shown every slice before what was decided on it, and is told every order, change and cancel
    at the time of its decision; what the broker made of them it does not hear.
    """

    def __init__(self, venue: SimVenue, instruments: Mapping[str, Instrument]) -> None:
        """``venue`` is fresh and trades these instruments."""
        self._venue = venue
        self._instruments = instruments
        self._board: dict[str, Series] = {}
        venue.board = self._board
        self._orders: dict[str, tuple[str, Side, int]] = {}
        self._order_of: dict[str, str] = {}
        self._executions: dict[str, _Execution] = {}
        self._paper: dict[str, _Fills] = {}
        self._legs: list[Intent] = []
        # What was decided since the last slice. A slice that was over by then, and still on its way to the
        # run, comes before it here.
        self._later: list[tuple[int, tuple[Intent, ...]]] = []

    def see(self, row: JournalRow) -> None:
        """The next decision of the journal."""
        with localcontext(CONTEXT):
            decision = row.decision
            if decision.input_kind == SliceInput.kind:
                given: SliceInput = from_document(decision.payload)
                self._show(given.slice)
            self._note_executions(decision)
            if decision.intents:
                self._later.append((decision.at_ns, decision.intents))

    def end(self) -> None:
        """The journal has no more."""
        with localcontext(CONTEXT):
            self._tell(len(self._later))

    def orders(self) -> tuple[OrderSlippage, ...]:
        """Every order, in the order they were decided."""
        with localcontext(CONTEXT):
            real: dict[str, _Fills] = {}
            for execution in self._executions.values():
                order_id = self._order_of.get(execution.client_order_id or "")
                if order_id is not None:
                    real.setdefault(order_id, _Fills()).add(execution.size, execution.price)
            return tuple(self._compared(order_id, real.get(order_id, _Fills())) for order_id in self._orders)

    def totals(self) -> SlippageTotals:
        """The sums."""
        orders = self.orders()
        with localcontext(CONTEXT):
            both = [order for order in orders if order.bps is not None]
            notional = cost = ZERO
            for order in both:
                assert order.paper_price is not None
                assert order.cost is not None
                notional += self._instruments[order.symbol].notional(order.filled, order.paper_price)
                cost += order.cost
            return SlippageTotals(
                orders=len(orders),
                filled=sum(1 for order in orders if order.filled),
                paper_filled=sum(1 for order in orders if order.paper_filled),
                compared=len(both),
                notional=notional,
                cost=cost,
                bps=cost / notional * _BPS if notional else None,
            )

    # The venue.

    def _tell(self, count: int) -> None:
        for _, intents in self._later[:count]:
            for intent in intents:
                self._submit(intent)
        del self._later[:count]
        self._take()

    def _show(self, one: Slice) -> None:
        self._tell(sum(1 for at, _ in self._later if at < one.end))
        for bar in one.bars:
            series = self._board.get(bar.symbol)
            if series is None:
                series = self._board[bar.symbol] = Series(bar.symbol, bar.interval)
            # What a run passes over, the venue does not see either.
            with suppress(DataError):
                series.append(to_ns(bar.start), one.end, bar.open, bar.high, bar.low, bar.close, bar.volume)
            series.cursor.count = len(series)
        self._venue.on_slice(one.end)
        self._take()

    def _submit(self, intent: Intent) -> None:
        venue, document, at = self._venue, intent.request, intent.decided_at
        client_id = intent.client_order_id
        self._order_of[client_id] = intent.order_id
        if intent.kind is IntentKind.CANCEL:
            # What is over by now here may have been open there.
            with suppress(CancelRejected):
                venue.cancel(client_id, at)
            return
        if intent.kind is IntentKind.REPLACE:
            with suppress(ReplaceRejected):
                change = change_from_state(document["change"])
                venue.replace(document["replaces"], _ref(intent, document["symbol"]), change, at)
            return
        request = request_from_state(document["request"])
        self._orders.setdefault(intent.order_id, (request.symbol, request.side, at))
        if intent.kind is IntentKind.SUBMIT:
            venue.submit(_ref(intent, request.symbol), request, at)
            return
        self._legs.append(intent)
        if len(self._legs) == len(document["group"]["legs"]):
            legs, self._legs = self._legs, []
            requests = [request_from_state(leg.request["request"]) for leg in legs]
            *entry, take_profit, stop_loss = requests
            group = OrderGroup(
                GroupKind(document["group"]["kind"]), take_profit, stop_loss, entry[0] if entry else None
            )
            venue.submit_group([_ref(leg, request.symbol) for leg in legs], group, at)

    def _take(self) -> None:
        for event in self._venue.take():
            if isinstance(event, BrokerFill) and event.client_order_id is not None:
                order_id = self._order_of[event.client_order_id]
                self._paper.setdefault(order_id, _Fills()).add(event.size, event.price)

    # The broker.

    def _note_executions(self, decision: Decision) -> None:
        for entry in decision.entries:
            data: Mapping[str, Any] | None = entry.data
            if entry.kind not in {"execution", "correction", "booked_again"} or data is None:
                continue
            if "execution_key" not in data:
                continue
            key, revision = data["execution_key"], data["revision"]
            known = self._executions.get(key)
            if known is not None and known.revision > revision:
                continue
            fill = data.get("fill", data)
            if fill is None:
                self._executions.pop(key, None)
                continue
            name = fill["client_order_id"]
            if name is None and known is not None:
                name = known.client_order_id
            self._executions[key] = _Execution(revision, name, Decimal(fill["size"]), Decimal(fill["price"]))

    def _compared(self, order_id: str, real: _Fills) -> OrderSlippage:
        symbol, side, decided_at = self._orders[order_id]
        paper = self._paper.get(order_id, _Fills())
        price, paper_price = real.price, paper.price
        bps = cost = None
        if price is not None and paper_price is not None:
            worse = (price - paper_price) * side.sign
            cost = self._instruments[symbol].notional(real.size, worse)
            bps = worse / abs(paper_price) * _BPS if paper_price else None
        return OrderSlippage(
            order_id=order_id,
            symbol=symbol,
            side=side,
            decided_at=decided_at,
            filled=real.size,
            price=price,
            paper_filled=paper.size,
            paper_price=paper_price,
            bps=bps,
            cost=cost,
        )


def _ref(intent: Intent, symbol: str) -> OrderRef:
    return OrderRef(intent.client_order_id, symbol, decided_at=from_ns(intent.decided_at))
