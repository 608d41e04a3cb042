"""What goes wrong at a gateway of Interactive Brokers beyond what does at any venue, and its nights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from attrs import field, frozen

from alphaweave.core.order import OrderStatus
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.venue import Action, Fault, Power, TruthOrder
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.faults import Commissions
from alphaweave_broker_ibkr.sandbox.troubles import Troubles
from venue_day.faults import Bench, Kind, Mark, kinds_at
from venue_day.stages import DayVenue

__all__ = ["gateway_kinds", "sleep_through"]

_NEW_YORK = ZoneInfo("America/New_York")
# An upper bound only, in real seconds.
_PATIENCE = 20.0
_TOLD, _WIRE = "what is told", "the wire"
_REMARKS = (
    (10349, "Order TIF was set to DAY based on order preset."),
    (2109, "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored."),
    (399, "Order Message: Warning: Your order will not be placed at the exchange until the open."),
    (404, "Order held while securities are located."),
)
_REFUSALS = (
    (110, "The price does not conform to the minimum price variation for this contract."),
    (203, "The security is not available or allowed for this account."),
    (321, "Error validating request.-'bN' : cause - The API interface is currently in Read-Only mode."),
    (460, "No trading permissions."),
)
_NOTICES = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2107, "HMDS data farm connection is inactive but should be available upon demand.ushmds"),
    (2108, "Market data farm connection is inactive but should be available upon demand.usfarm"),
    (2119, "Market data farm is connecting:usfarm"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)


def _gateway(bench: Bench) -> IbkrSandbox:
    assert isinstance(bench.venue, IbkrSandbox)
    return bench.venue


def _troubles(bench: Bench) -> Troubles:
    return _gateway(bench).troubles


def _open_orders(bench: Bench) -> list[TruthOrder]:
    open_ = {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}
    return [one for one in bench.venue.truth().orders if one.status in open_]


def _asked_for(bench: Bench, since: int, what: str) -> bool:
    return any(one.what == what for one in bench.venue.requests[since:])


@frozen
class _OrdersHeld(Kind):
    """A kind that holds events back, at a venue that tells prices with them: these go on."""

    kind: Kind = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        _troubles(bench).hold_orders()

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return self.kind.has_struck(bench, since)

    async def end(self, bench: Bench) -> None:
        await self.kind.end(bench)


@frozen
class _Servers(Kind):
    """The gateway has lost Interactive Brokers' servers; the connection to it stays."""

    data_lost: bool = field(default=False, kw_only=True)
    dropped: bool = field(default=False, kw_only=True)

    async def begin(self, bench: Bench) -> None:
        await _troubles(bench).lose_servers()
        if self.dropped:
            await bench.venue.drop()

    async def end(self, bench: Bench) -> None:
        await _troubles(bench).find_servers(data_lost=self.data_lost)


@frozen
class _Farms(Kind):
    """Farms of market data and history come and go, and bars are not kept up to date any more."""

    async def begin(self, bench: Bench) -> None:
        for broken in (True, False, True, False):
            await _troubles(bench).break_farms(broken)


@frozen
class _IdInUse(Kind):
    """The connections end, and the gateway takes them for alive."""

    async def begin(self, bench: Bench) -> None:
        venue = _gateway(bench)
        ids = [options["client_id"] for options in (venue.options(), venue.feed_options())]
        before = len(venue.requests)
        for client_id in ids:
            await venue.troubles.take_client_id(client_id, True)
        await venue.drop()
        await _until(lambda: _asked_for(bench, before, "startApi"), "an attempt to connect")
        for client_id in ids:
            await venue.troubles.take_client_id(client_id, False)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.lost(bench)


@frozen
class _History(Kind):
    """The connections end, and the first question for bars afterwards meets a fault."""

    fault: Fault = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        await bench.venue.arm(Action.HISTORY, self.fault)
        await bench.venue.drop()

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.lost(bench) and since.asked(bench, Action.HISTORY)


@frozen
class _SilentExecutions(Kind):
    """The connections end, and whoever asks for everybody's executions afterwards is not answered."""

    async def begin(self, bench: Bench) -> None:
        _gateway(bench).quirks.silent_executions = True
        await bench.venue.drop()

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.lost(bench) and _asked_for(bench, since.requests, "reqExecutions")

    async def end(self, bench: Bench) -> None:
        _gateway(bench).quirks.silent_executions = False


@frozen
class _Quirk(Kind):
    """What is executed in a minute is told of as some gateways do."""

    quirk: str = field(kw_only=True)
    value: object = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        setattr(_gateway(bench).quirks, self.quirk, self.value)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.executed(bench)

    async def end(self, bench: Bench) -> None:
        quirks = _gateway(bench).quirks
        setattr(quirks, self.quirk, getattr(type(quirks)(), self.quirk))
        _troubles(bench).report_commissions()


@frozen
class _Restated(Kind):
    """An execution is corrected."""

    async def begin(self, bench: Bench) -> None:
        pass

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.executed(bench)

    async def end(self, bench: Bench) -> None:
        for last in bench.venue.truth().executions[-1:]:
            more = last.price.scaleb(-3).quantize(last.price)
            await bench.venue.correct(last.id, last.size, last.price + more)


@frozen
class _Remarks(Kind):
    """The gateway has something to say about an order, which changes nothing."""

    async def begin(self, bench: Bench) -> None:
        pass

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.executed(bench)

    async def end(self, bench: Bench) -> None:
        for order in bench.venue.truth().orders[-2:]:
            for code, text in _REMARKS:
                _troubles(bench).complain(order.client_order_id or "", code, text)


@frozen
class _Notices(Kind):
    """The gateway has something to say about itself, which changes nothing."""

    async def begin(self, bench: Bench) -> None:
        for code, text in _NOTICES:
            _troubles(bench).notice(code, text)


@frozen
class _Idle(Kind):
    """An order that rests is Inactive for a moment, and works again."""

    async def begin(self, bench: Bench) -> None:
        pass

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return bool(_open_orders(bench))

    async def end(self, bench: Bench) -> None:
        for order in _open_orders(bench)[-1:]:
            for idle in (True, False):
                _troubles(bench).idle(order.client_order_id or "", idle)


@frozen
class _Refused(Kind):
    """The next order is refused, for a reason of Interactive Brokers' own."""

    code: int = field(kw_only=True)
    text: str = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        _troubles(bench).refuse_next(Action.SUBMIT, self.code, self.text)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.asked(bench, Action.SUBMIT)


@frozen
class _Halt(Kind):
    """Nothing trades: orders are taken, and wait."""

    async def begin(self, bench: Bench) -> None:
        for symbol in bench.venue.names.values():
            _troubles(bench).halt(symbol, True)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.asked(bench, Action.SUBMIT)

    async def end(self, bench: Bench) -> None:
        for symbol in bench.venue.names.values():
            _troubles(bench).halt(symbol, False)


def _own() -> Sequence[Kind]:
    none: frozenset[Power] = frozenset()
    history = (Fault.LOSE_REQUEST, Fault.ERROR_BEFORE, Fault.GARBLE)
    quirks = (
        ("executions before their orders", "executions_first", True),
        ("fills without a status", "no_status", True),
        ("every status three times", "repeats", 3),
        ("late commissions", "commissions", Commissions.LATE),
        ("times without a zone", "bare_times", True),
    )
    return (
        _Servers("servers lost, data kept", none, _WIRE, blind=True),
        _Servers("servers lost, data lost", none, _WIRE, blind=True, data_lost=True),
        _Servers("servers lost, and the connection", none, _WIRE, blind=True, dropped=True),
        _Farms("data farms that come and go", none, _WIRE),
        _IdInUse("a client id in use", none, _WIRE),
        _SilentExecutions("executions asked for in vain", none, _WIRE),
        *(_History(f"a question for bars: {fault.value}", none, _WIRE, fault=fault) for fault in history),
        *(_Quirk(name, none, _TOLD, quirk=quirk, value=value) for name, quirk, value in quirks),
        _Restated("an execution restated", none, _TOLD),
        _Remarks("remarks about orders", none, _TOLD),
        _Notices("notices of the gateway", none, "notices"),
        _Idle("an inactive order", none, "rests"),
        *(
            _Refused(f"an order: refused with {code}", none, "orders", code=code, text=text)
            for code, text in _REFUSALS
        ),
        _Halt("a halt", none, "halts"),
    )


def gateway_kinds(venue: DayVenue, *, resting: bool = True) -> tuple[Kind, ...]:
    """As `kinds_at`, and what happens at a gateway alone."""
    common = kinds_at(venue, resting=resting)
    if not isinstance(venue, IbkrSandbox):
        return common
    held = (
        _OrdersHeld(kind.name, kind.needs, kind.lane, kind=kind) if kind.name.startswith("events ") else kind
        for kind in common
    )
    return (*held, *_own())


async def sleep_through(bench: Bench, clock: RunningClock, is_up: Callable[[], Awaitable[None]]) -> None:
    """Live through a night of a gateway: it restarts before midnight, forgets its executions at midnight, and
    loses its servers for a moment after it. The run has to notice each, and to come back each time.

    Args:
        is_up: waits until the run trades, and knows of all that was executed.
    """
    venue = _gateway(bench)
    local = clock.now().astimezone(_NEW_YORK)

    async def pass_until(hour: int, minute: int, second: int, days: int = 0) -> None:
        at = local.replace(hour=hour, minute=minute, second=second, microsecond=0) + timedelta(days=days)
        clock.advance(max(0.0, at.timestamp() - clock.now().timestamp()))

    await is_up()
    losses = bench.losses
    await pass_until(23, 45, 1)
    await _until(partial(_is_lost, bench, losses), "the loss of a gateway that restarts")
    await pass_until(23, 47, 0)
    await _until(partial(_is_back, bench), "the return to a gateway that restarted")
    await is_up()
    await pass_until(0, 0, 30, days=1)
    for data_lost in (False, True):
        losses = bench.losses
        await venue.troubles.lose_servers()
        await _until(partial(_is_lost, bench, losses), "the loss of the servers at night")
        await venue.troubles.find_servers(data_lost=data_lost)
        await _until(partial(_is_back, bench), "the return of the servers at night")
        await is_up()


def _is_back(bench: Bench) -> bool:
    return bench.restored >= bench.losses


def _is_lost(bench: Bench, losses: int) -> bool:
    return bench.losses > losses


async def _until(holds: Callable[[], bool], what: str) -> None:
    last = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > last:
            raise TimeoutError(f"{what} did not come")
        await asyncio.sleep(0.005)
