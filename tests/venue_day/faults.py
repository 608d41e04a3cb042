"""What goes wrong in a day: each kind knows how it begins, whether it has struck, and how it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum

from attrs import Factory, define, field, frozen

from alphaweave.core.money import Money
from alphaweave.testing.venue import Action, Fault, Power
from venue_day.flows import Flows, Line
from venue_day.stages import DayVenue

__all__ = ["HELD", "Bench", "End", "Kind", "Mark", "kinds_at"]

HELD = "what is told"
"""The lane of those that hold events back."""
_SKEW = 0.2


class End(Enum):
    """How an order of the symbol that is filled by hand comes to its end, when a fault has its way."""

    CANCELLED = "cancelled by the venue"
    PART = "cancelled by the venue after a part"
    LATE = "filled after its cancel"
    EXPIRED = "expired"


@define
class Bench:
    """What a fault has in its hands.

    Attributes:
        end: what the next order that is filled by hand comes to; None is its fill.
        line: the connection of the run.
        flows: the money that was taken.
    """

    venue: DayVenue
    end: End | None = None
    line: Line = field(factory=Line)
    flows: Flows = field(init=False, default=Factory(lambda self: Flows(self.line), takes_self=True))

    @property
    def losses(self) -> int:
        return self.line.losses

    @property
    def restored(self) -> int:
        return self.line.restored

    def mark(self) -> Mark:
        return Mark(len(self.venue.requests), len(self.venue.truth().executions), self.losses)


@frozen
class Mark:
    """How many requests, executions and losses there were when a fault began."""

    requests: int
    executions: int
    losses: int

    def asked(self, bench: Bench, action: Action) -> bool:
        """Whether a request of that action came since."""
        return any(one.action is action for one in bench.venue.requests[self.requests :])

    def executed(self, bench: Bench) -> bool:
        return len(bench.venue.truth().executions) > self.executions

    def lost(self, bench: Bench) -> bool:
        """Whether a connection was lost since, or was down when it began."""
        return bench.losses > self.losses or bench.losses > bench.restored


@frozen
class Kind(ABC):
    """One kind of fault.

    Attributes:
        needs: what a sandbox must be able to do for it.
        lane: of the faults of one lane only one is at work at a time.
        blind: the run hears of no slice before it has noticed.
    """

    name: str
    needs: frozenset[Power]
    lane: str
    blind: bool = field(default=False, kw_only=True)

    @abstractmethod
    async def begin(self, bench: Bench) -> None:
        """Before the market goes through a minute."""

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        """After that minute; a fault that has not stays until it has."""
        return True

    async def end(self, bench: Bench) -> None:  # noqa: B027 - most have nothing to undo
        """Once it has struck."""


@frozen
class _Asked(Kind):
    """The next request of an action meets a fault."""

    action: Action = field(kw_only=True)
    fault: Fault = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        await bench.venue.arm(self.action, self.fault, retry_after=0.05)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.asked(bench, self.action)

    async def end(self, bench: Bench) -> None:
        if self.fault is Fault.HOLD:
            await bench.venue.release_answers()


@frozen
class _Told(Kind):
    """What the venue tells of a minute comes otherwise, or not at all."""

    times: int = field(default=1, kw_only=True)
    backwards: bool = field(default=False, kw_only=True)
    lose: bool = field(default=False, kw_only=True)

    async def begin(self, bench: Bench) -> None:
        await bench.venue.hold_events()

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.executed(bench)

    async def end(self, bench: Bench) -> None:
        if self.lose:
            # Nobody listens while the connection is gone.
            bench.line.cut()
            await bench.venue.drop()
        await bench.venue.release_events(times=self.times, backwards=self.backwards)


@frozen
class _Line(Kind):
    """Something happens to all connections."""

    async def begin(self, bench: Bench) -> None:
        bench.line.cut()
        match self.name:
            case "a dropped connection":
                await bench.venue.drop()
            case "a restart":
                await bench.venue.restart()
            case "a venue that takes no connection":
                await bench.venue.refuse(True)
            case _:
                await bench.venue.mute(True)

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return since.lost(bench)

    async def end(self, bench: Bench) -> None:
        if self.name == "a venue that takes no connection":
            await bench.venue.refuse(False)
        elif self.name == "a mute venue":
            await bench.venue.mute(False)
            # Who knocked meanwhile would wait out its own time limit.
            await bench.venue.drop()


@frozen
class _Ended(Kind):
    """An order that rests comes to an end that nobody asked for."""

    how: End = field(kw_only=True)

    async def begin(self, bench: Bench) -> None:
        bench.end = self.how

    def has_struck(self, bench: Bench, since: Mark) -> bool:
        return bench.end is None


@frozen
class _Fee(Kind):
    async def begin(self, bench: Bench) -> None:
        await bench.venue.cash_flow(Money(bench.venue.currency, bench.flows.take()), "fee")


@frozen
class _Skew(Kind):
    async def begin(self, bench: Bench) -> None:
        await bench.venue.skew(_SKEW)

    async def end(self, bench: Bench) -> None:
        await bench.venue.skew(0.0)


def _power(fault: Fault) -> frozenset[Power]:
    return frozenset({Power(fault.value)})


def _all() -> Sequence[Kind]:
    queries = (Fault.THROTTLE, Fault.LOSE_REQUEST, Fault.HANG_UP, Fault.ERROR_BEFORE, Fault.GARBLE)
    held = frozenset({Power.HOLD_EVENTS})
    filled = frozenset({Power.FILL})
    wire, told, ends = "the wire", HELD, "ends"
    return (
        *(
            _Asked(f"an order: {fault.value}", _power(fault), "orders", action=Action.SUBMIT, fault=fault)
            for fault in Fault
        ),
        *(
            _Asked(f"a question: {fault.value}", _power(fault), "questions", action=Action.QUERY, fault=fault)
            for fault in queries
        ),
        _Told("events twice", held | {Power.DUPLICATE}, told, times=2),
        _Told("events backwards", held | {Power.REORDER}, told, backwards=True),
        _Told("events late", held, told),
        _Told("events lost", held | {Power.DROP}, told, lose=True),
        _Line("a dropped connection", frozenset({Power.DROP}), wire),
        _Line("a restart", frozenset({Power.RESTART}), wire),
        _Line("a venue that takes no connection", frozenset({Power.REFUSE}), wire, blind=True),
        _Line("a mute venue", frozenset({Power.MUTE, Power.DROP}), wire, blind=True),
        *(
            _Ended(f"an order {how.value}", filled | {Power.CANCEL}, ends, how=how)
            for how in (End.CANCELLED, End.PART, End.LATE)
        ),
        _Ended("an order expired", filled | {Power.EXPIRE}, ends, how=End.EXPIRED),
        _Fee("a fee that no fill tells", frozenset({Power.CASH_FLOW}), "cash"),
        _Skew("another clock", frozenset({Power.SKEW}), "time"),
    )


def kinds_at(venue: DayVenue, *, resting: bool = True) -> tuple[Kind, ...]:
    """Every kind that the sandbox has the powers for; ``resting``: there are orders to end."""
    able = tuple(kind for kind in _all() if kind.needs <= venue.powers)
    return tuple(kind for kind in able if resting or not isinstance(kind, _Ended))
