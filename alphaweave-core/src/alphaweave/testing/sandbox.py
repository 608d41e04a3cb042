"""What every sandbox offers the kit, whether it stands for a broker, for a datafeed or for both.

A sandbox is a server on the loopback interface that speaks a venue's own protocol, so that the real adapter,
with its real client library, talks to it. The kit drives it through the methods below, on the event loop that
the adapter runs on; a sandbox that has threads of its own joins them inside these methods. A method returns
when the sandbox has done it, not when the adapter has noticed.

A sandbox that cannot do a thing leaves the power out of ``powers``; the kit then reports every requirement
that needs it as UNPROVEN, and never calls the method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Self

from attrs import frozen

from alphaweave.core.clock import Clock
from alphaweave.core.errors import Unsupported
from alphaweave.core.instrument import Instrument

__all__ = ["Action", "Fault", "Power", "Sandbox", "WireRequest", "powerless"]


class Action(Enum):
    """What a request asks for, whatever its form on the wire.

    QUERY is every question about orders, executions, account or instruments; HISTORY is one for past bars;
    OTHER is the rest (a login, a subscription, a ping, a question for the time).
    """

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"
    QUERY = "query"
    HISTORY = "history"
    OTHER = "other"


class Fault(Enum):
    """What becomes of the next request of an `Action`.

    REJECT: refused, with an answer that means a final no. DUPLICATE_ID: refused because the client order id
    was used before. THROTTLE: refused by the rate limit (HTTP 429 with Retry-After, or what the venue has).
    LOSE_REQUEST: neither done nor answered. LOSE_ANSWER: done and never answered. HANG_UP: done, and the
    connection it came on ends without an answer. ERROR_BEFORE: not done, answered with the venue's internal
    error (HTTP 5xx). ERROR_AFTER: done, answered likewise. GARBLE: done, answered with what no client
    understands. HOLD: done, and the answer waits for `Sandbox.release_answers`.
    """

    REJECT = "reject"
    DUPLICATE_ID = "duplicate_id"
    THROTTLE = "throttle"
    LOSE_REQUEST = "lose_request"
    LOSE_ANSWER = "lose_answer"
    HANG_UP = "hang_up"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    GARBLE = "garble"
    HOLD = "hold"


class Power(Enum):
    """What a sandbox can do for the kit. Each `Fault` is a power of the same name; the others name methods.

    FRESH: `Sandbox.fresh`. WRONG_KEYS: `Sandbox.wrong_options`. DROP, REFUSE, MUTE, RESTART, SKEW: the
    methods of these names.
    HOLD_EVENTS: `hold_events` and `release_events`; DUPLICATE and REORDER: their arguments ``times`` and
    ``backwards``. LOSE_EVENTS: ``times`` of 0, at a venue that numbers its events, or tells in another way
    that one is missing. FILL, CANCEL, EXPIRE, BUST, CORRECT, LATE_FEE, CASH_FLOW, MOVE_POSITION,
    FOREIGN_ORDER, FOREIGN_TRADE, HALT: methods of `alphaweave.testing.venue.VenueControl`. HISTORY, FORMING,
    CORRECT_BAR, TRADES, QUOTES: methods of `alphaweave.testing.feed_venue.FeedControl`.
    """

    REJECT = "reject"
    DUPLICATE_ID = "duplicate_id"
    THROTTLE = "throttle"
    LOSE_REQUEST = "lose_request"
    LOSE_ANSWER = "lose_answer"
    HANG_UP = "hang_up"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    GARBLE = "garble"
    HOLD = "hold"
    FRESH = "fresh"
    WRONG_KEYS = "wrong_keys"
    DROP = "drop"
    REFUSE = "refuse"
    MUTE = "mute"
    RESTART = "restart"
    SKEW = "skew"
    HOLD_EVENTS = "hold_events"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    LOSE_EVENTS = "lose_events"
    FILL = "fill"
    CANCEL = "cancel"
    EXPIRE = "expire"
    BUST = "bust"
    CORRECT = "correct"
    LATE_FEE = "late_fee"
    CASH_FLOW = "cash_flow"
    MOVE_POSITION = "move_position"
    FOREIGN_ORDER = "foreign_order"
    FOREIGN_TRADE = "foreign_trade"
    HALT = "halt"
    HISTORY = "history"
    FORMING = "forming"
    CORRECT_BAR = "correct_bar"
    TRADES = "trades"
    QUOTES = "quotes"


@frozen
class WireRequest:
    """One request that reached the sandbox, also one that a fault then swallowed.

    Attributes:
        number: 1, 2, … in order of arrival.
        at: the sandbox's clock (UTC) when it arrived.
        action: what it asks for.
        what: in short, for people (``POST /v2/orders``).
        raw: its bytes as they came, head and body; what the kit searches for exponents and floats.
        client_order_ids: those it names, in its order; of a replacement the new version's last; empty where
            it names none.
        connection: which connection it came on, numbered from 1.
    """

    number: int
    at: datetime
    action: Action
    what: str
    raw: bytes
    client_order_ids: tuple[str, ...] = ()
    connection: int = 0


def powerless(what: str) -> Unsupported:
    """What a method raises whose power is missing."""
    return Unsupported(f"this sandbox cannot {what}: its `powers` must not say it can", code="no_such_power")


class Sandbox(ABC):
    """A venue under control.

    Attributes:
        name: what the report calls it (``acme sandbox``).
        clock: the time that sandbox and adapter share; the kit hands it to the adapter. An
            `alphaweave.testing.clock.RunningClock` unless nothing real is waited for.
        powers: what it can do beyond the methods that are abstract.
        names: config symbol -> venue symbol, of at least two symbols. The two should differ, so that a
            symbol which is not mapped shows.
        instruments: config symbol -> its true rules.
        secrets: every key, token and password in `options`, verbatim: what no log may contain.
        listens: there is something to connect to; False for a venue that lives in the adapter's process.
        patience: real seconds within which whatever is to come has come. The options should make the
            adapter's own timeouts, silence limits and first waits before a reconnect much shorter.
    """

    name: str
    clock: Clock
    powers: frozenset[Power]
    names: Mapping[str, str]
    instruments: Mapping[str, Instrument]
    secrets: Sequence[str] = ()
    listens: bool = True
    patience: float = 5.0

    @abstractmethod
    async def start(self) -> None:
        """Listen on loopback. The kit starts a sandbox once, inside the event loop of the test."""

    @abstractmethod
    async def stop(self) -> None:
        """Close everything; idempotent. No task, thread or socket of the sandbox is left."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The options block that points an adapter here, keys and short timeouts included; as it would stand
        in a config, secrets in clear. It is valid once the sandbox has started."""

    @property
    @abstractmethod
    def requests(self) -> Sequence[WireRequest]:
        """Everything that came in since the start, oldest first."""

    def attach(self, adapter: object) -> None:  # noqa: B027 - most venues are servers and have nothing to do
        """Told of every adapter the kit makes, before it connects: for a venue that lives in the adapter's
        process and has no wire."""

    def fresh(self) -> Self:
        """Another sandbox like this one, as new and not started (FRESH): for cases that live many lives."""
        raise powerless("be made anew")

    def wrong_options(self) -> dict[str, Any]:
        """`options` with keys that the venue refuses (WRONG_KEYS)."""
        raise powerless("refuse keys")

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        """Let the fault befall the next ``times`` requests of that action.

        Args:
            action: SUBMIT is also the submission of a group.
            fault: one whose power is declared, or `Unsupported` is raised.
            times: how many requests; 0 lets whatever was armed for the action be forgotten.
            retry_after: seconds, for THROTTLE.
        """
        raise powerless(f"answer with {fault.value}")

    async def release_answers(self) -> None:
        """Send the answers that `Fault.HOLD` held back, oldest first."""
        raise powerless("hold answers")

    async def hold_events(self) -> None:
        """Hold back what the event stream would say from now on (HOLD_EVENTS)."""
        raise powerless("hold events")

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        """Send what was held back, and hold nothing any more.

        Args:
            times: how often each is sent (DUPLICATE); 0 loses them, each with the number that it had
                (LOSE_EVENTS).
            backwards: in reverse (REORDER).
        """
        raise powerless("hold events")

    async def drop(self) -> None:
        """End every connection abruptly; new ones are taken (DROP)."""
        raise powerless("drop connections")

    async def refuse(self, refused: bool) -> None:
        """While True: end every connection and take no new one (REFUSE)."""
        raise powerless("refuse connections")

    async def mute(self, muted: bool) -> None:
        """While True: keep every connection and say nothing on it, neither events nor heartbeats nor
        answers; what is asked meanwhile is lost (MUTE)."""
        raise powerless("go mute")

    async def restart(self) -> None:
        """End and begin again, on the same port, with everything the venue knows (RESTART)."""
        raise powerless("restart")

    async def skew(self, seconds: float) -> None:
        """Let the venue's own clock go ahead of ``clock`` by so much from now on (SKEW)."""
        raise powerless("skew its clock")
