"""What must hold: pure checks of what the run believes, and did, against what is so.

Safety holds after every event, convergence once everything has had its time. Each check gives what is
wrong as texts, and knows nothing of how the run works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from decimal import Decimal
from itertools import pairwise

from attrs import field, frozen

from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderStatus, Side
from alphaweave.live.reports import BrokerFill
from simulation.truth import Truth

__all__ = [
    "Limits",
    "LocalBooks",
    "LocalOrder",
    "Need",
    "Row",
    "Sent",
    "Violation",
    "at_most_one_order",
    "bars_in_order",
    "bars_to_the_last_word",
    "cash_equal",
    "ends_active",
    "executions_equal",
    "exposure_counted",
    "foreign_halts",
    "no_doubt",
    "nothing_invented",
    "orders_come_out",
    "positions_equal",
    "same_decisions",
    "same_state",
    "sending_allowed",
    "within_limits",
]


@frozen
class Violation:
    """An invariant that does not hold.

    Attributes:
        invariant: its number (I1 to I9), or ``progress``.
        at: virtual nanoseconds.
    """

    invariant: str
    text: str
    at: int


@frozen
class LocalOrder:
    """An order as the run knows it; ``names`` are the client ids of all its versions."""

    names: tuple[str, ...]
    symbol: str
    side: Side
    status: OrderStatus
    filled: Decimal
    quantity: Decimal | None


@frozen(kw_only=True)
class LocalBooks:
    """What the run believes.

    Attributes:
        executions: by key, those that are booked and not taken back; two keys of one execution count once.
        positions, cash: as its ledger says; fees of a fill are those that are booked; ``flows``: keys of the
            cash flows that are booked.
        orders: open ones and those that it still remembers.
        open_buy, open_sell: units that it counts as what open orders could still trade, by symbol.
    """

    executions: Mapping[str, BrokerFill]
    positions: Mapping[str, Decimal]
    cash: Decimal
    flows: frozenset[str] = frozenset()
    orders: Sequence[LocalOrder] = ()
    open_buy: Mapping[str, Decimal] = field(factory=dict)
    open_sell: Mapping[str, Decimal] = field(factory=dict)


@frozen
class Row:
    """A bar in a series: open, high, low, close, volume; ``end`` in nanoseconds."""

    end: int
    values: tuple[float, float, float, float, float]


@frozen
class Need:
    """Units that the broker could still trade for this run, whatever the run knows of it, by symbol."""

    buy: Mapping[str, Decimal]
    sell: Mapping[str, Decimal]


@frozen
class Limits:
    """What was promised of every order: units held on one side at worst, and the value of one order."""

    position: Decimal
    order_value: Decimal


@frozen(kw_only=True)
class Sent:
    """A submit or replacement that the run handed out.

    Attributes:
        worst: units held on its side if all that is open, in flight and UNKNOWN, and this, filled.
        reduces: it could only bring the position nearer to zero.
        value: at the last price, in quote currency; None for a replacement.
        journaled: its intent could be read from the journal's file when it was handed out.
        halted: trading in its symbol was halted before the input that it was decided on.
        doubted: an order in its symbol was UNKNOWN before that input, and is.
        ended: the run had ended, its journal was broken, or its strategy had failed.
        apart: the broker's clock is too far from this machine's.
        times: how often an intent of this name was handed out.
        exit: an order of the engine's own that closes a position.
    """

    name: str
    symbol: str
    worst: Decimal
    reduces: bool
    value: Decimal | None
    journaled: bool
    halted: bool
    doubted: bool
    ended: bool
    times: int
    apart: bool = False
    exit: bool = False


def at_most_one_order(truth: Truth) -> Iterator[str]:
    """I1: an intent becomes at most one order at the broker, and one process asks for each cancel once, or
    could not tell whose outcome it is told."""
    for name, count in truth.accepted.items():
        if count > 1:
            yield f"the broker has {count} orders of {name}"
    for name, count in truth.asked.items():
        if count > 1:
            yield f"{name} was asked for {count} times by one process"


def nothing_invented(truth: Truth, local: LocalBooks) -> Iterator[tuple[str, str]]:
    """Parts of I2, I3 and I4 that hold at any moment: what is booked was executed, once, and sums up to
    position and cash; what an order says it filled is what was booked of it."""
    seen: set[str] = set()
    for key, fill in local.executions.items():
        own = truth.aliases.get(key, key)
        if own not in truth.revisions:
            yield "I2", f"execution {key} is booked, and the broker knows none of that key"
        elif own in seen:
            yield "I2", f"execution {own} is booked twice"
        elif fill.revision > truth.revisions[own]:
            yield "I2", f"execution {own} is booked as revision {fill.revision}"
        seen.add(own)
    for symbol, units in local.positions.items():
        total = _units(fill for fill in local.executions.values() if fill.symbol == symbol)
        if units != total:
            yield "I3", f"{symbol}: the position is {units}, what is booked sums up to {total}"
    cash = truth.opening + sum((truth.flows[key].amount.amount for key in local.flows), ZERO)
    for fill in local.executions.values():
        cash -= fill.side.sign * fill.size * fill.price + sum((fee.amount for fee in fill.fees or ()), ZERO)
    if cash != local.cash:
        yield "I4", f"cash is {local.cash}, what is booked sums up to {cash}"
    for order in local.orders:
        booked = sum((f.size for f in local.executions.values() if f.client_order_id in order.names), ZERO)
        if order.filled != booked:
            yield "I2", f"order {order.names[0]} counts {order.filled} as filled, {booked} are booked"


def executions_equal(truth: Truth, local: LocalBooks) -> Iterator[str]:
    """I2: the executions booked are the broker's, on the same terms."""
    booked = {truth.aliases.get(key, key): fill for key, fill in local.executions.items()}
    for key, fill in truth.executions.items():
        known = booked.pop(key, None)
        if known is None:
            yield f"execution {key} ({fill.side.value} {fill.size} {fill.symbol}) is not booked"
        elif (known.side, known.size, known.price) != (fill.side, fill.size, fill.price):
            yield f"execution {key} is booked as {known.size} at {known.price}, it is {fill.price}"
    for key in booked:
        yield f"execution {key} is booked, and the broker has it no more"


def positions_equal(truth: Truth, local: LocalBooks) -> Iterator[str]:
    """I3: positions are the sum of fills, and the broker's."""
    for symbol in sorted({*local.positions, *truth.positions()}):
        ours, theirs = local.positions.get(symbol, ZERO), truth.position(symbol)
        if ours != theirs:
            yield f"{symbol}: {ours} units in the books, {theirs} at the broker"


def cash_equal(truth: Truth, local: LocalBooks) -> Iterator[str]:
    """I4: cash is opening, legs, fees and flows, and the broker's."""
    if local.cash != truth.cash():
        yield f"{local.cash} in the books, {truth.cash()} at the broker"


def no_doubt(local: LocalBooks) -> Iterator[str]:
    """I5: at rest no outcome is unknown."""
    for order in local.orders:
        if order.status in {OrderStatus.UNKNOWN, OrderStatus.PENDING}:
            yield f"order {order.names[0]} in {order.symbol} is still {order.status.value}"


def exposure_counted(local: LocalBooks, need: Need) -> Iterator[str]:
    """I6, first half: whatever may still trade is counted."""
    for side, needed, counted in (
        ("buy", need.buy, local.open_buy),
        ("sell", need.sell, local.open_sell),
    ):
        for symbol, units in needed.items():
            if counted.get(symbol, ZERO) < units:
                yield (
                    f"{symbol}: the broker may still {side} {units} units for this run, which counts "
                    f"{counted.get(symbol, ZERO)}"
                )


def within_limits(sent: Sent, limits: Limits) -> Iterator[str]:
    """I6, second half: nothing is sent that could take the worst case over a limit."""
    if sent.exit or sent.reduces:
        return
    if sent.doubted:
        yield f"{sent.name} adds exposure in {sent.symbol}, where the outcome of an order is unknown"
    if sent.apart:
        yield f"{sent.name} adds exposure in {sent.symbol}, though the broker's clock is not this machine's"
    if sent.worst > limits.position:
        yield f"{sent.name} could take {sent.symbol} to {sent.worst} units, above {limits.position}"
    if sent.value is not None and sent.value > limits.order_value:
        yield f"{sent.name} is worth {sent.value}, above {limits.order_value}"


def sending_allowed(sent: Sent) -> Iterator[tuple[str, str]]:
    """I1 and I7: sent once, journaled before, and neither halted nor over."""
    if sent.times > 1:
        yield "I1", f"{sent.name} was handed out {sent.times} times"
    if not sent.journaled:
        yield "I7", f"{sent.name} was handed out and is not in the journal"
    if sent.halted and not sent.exit:
        yield "I7", f"{sent.name} was handed out while trading in {sent.symbol} was halted"
    if sent.ended:
        yield "I7", f"{sent.name} was handed out after the run, its journal or its strategy had ended"


def bars_in_order(
    bars: Mapping[str, Sequence[Row]], said: Mapping[tuple[str, int], Sequence[tuple[float, ...]]]
) -> Iterator[str]:
    """Data, at any moment: each bar is in its series once, in order, and as the feed said it at some time."""
    for symbol, rows in bars.items():
        for row, following in pairwise(rows):
            if row.end >= following.end:
                yield f"{symbol}: the bar ending {following.end} comes after the one ending {row.end}"
        for row in rows:
            if row.values not in said.get((symbol, row.end), ()):
                yield f"{symbol}: the feed said no bar ending {row.end} of {row.values}"


def bars_to_the_last_word(
    bars: Mapping[str, Sequence[Row]],
    told: Mapping[tuple[str, int], tuple[float, ...]],
    ends: Sequence[int],
    gaps: Sequence[tuple[str, int, int]],
) -> Iterator[str]:
    """Data, at the end: what was restated stands as it was restated, and what is missing was told to be.

    Args:
        told: what the feed said last of each bar, to the process that is there at the end.
        ends: of all bars there were.
        gaps: symbol, start and end of each that the strategy was told of.
    """
    first = min((rows[0].end for rows in bars.values() if rows), default=0)
    for symbol, rows in bars.items():
        known = {row.end: row.values for row in rows}
        for end in ends:
            if end not in known and end > first:
                if not any(name == symbol and start < end <= until for name, start, until in gaps):
                    yield f"{symbol}: the bar ending {end} is missing, and the strategy does not know"
            elif (symbol, end) in told and known.get(end, told[symbol, end]) != told[symbol, end]:
                word = told[symbol, end]
                yield f"{symbol}: the bar ending {end} is {known[end]}, and was restated as {word}"


def same_state(before: str, after: str) -> Iterator[str]:
    """I8: the journal alone gives the state that was lost."""
    if before != after:
        place = next((n for n, (x, y) in enumerate(zip(before, after, strict=False)) if x != y), -1)
        if place < 0:
            place = min(len(before), len(after))
        lo = max(place - 120, 0)
        end = place + 60
        yield f"state differs: …{before[lo:end]}… before, …{after[lo:end]}… from the journal"


def same_decisions(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    """I9: the same inputs give the same decisions, in any process."""
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            yield f"decision {number} was {one}, and is {other} on the same inputs"
            return
    if len(first) != len(second):
        yield f"{len(first)} decisions were made, and {len(second)} on the same inputs"


def foreign_halts(local: LocalBooks, known: Set[str], halted: Set[str]) -> Iterator[str]:
    """I7: once a fill of somebody else is booked, its symbol is not traded; ``known`` were booked before."""
    for key, fill in local.executions.items():
        if fill.foreign and key not in known and fill.symbol not in halted:
            yield f"{fill.symbol} is traded on after {fill.size} units of somebody else's ({key})"


def ends_active(halted: Mapping[str, str], *, named: bool) -> Iterator[str]:
    """Progress: a run whose script names no halt ends trading; ``halted`` is why it does not, by scope."""
    if not named:
        for scope, why in halted.items():
            yield f"{scope or 'the account'} ends halted: {why}"


def orders_come_out(local: LocalBooks, truth_ends: Mapping[str, OrderStatus]) -> tuple[int, int]:
    """Progress: on how many orders' outcomes the run and the broker agree, of how many."""
    good = total = 0
    for order in local.orders:
        end = next((truth_ends[name] for name in reversed(order.names) if name in truth_ends), None)
        total += 1
        if end is None:
            good += order.status in {OrderStatus.REJECTED, OrderStatus.CANCELLED}
        else:
            good += order.status is end
    return good, total


def _units(fills: Iterable[BrokerFill]) -> Decimal:
    return sum((fill.side.sign * fill.size for fill in fills), ZERO)
