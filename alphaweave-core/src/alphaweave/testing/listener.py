"""Listening: to an adapter's stream, to its calls while patience lasts, and to what it says beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from alphaweave.core.errors import BrokerError
from alphaweave.live.broker import BrokerAccountState, BrokerOrder, FillReport, OrderAck
from alphaweave.live.datafeed import History
from alphaweave.testing.ear import Ear
from alphaweave.testing.sandbox import Sandbox

__all__ = ["Listener"]

T = TypeVar("T")
EventT = TypeVar("EventT")
E = TypeVar("E", bound=BaseException)
_BUSY = 0.005
# What a call answers, by its name; a sequence may be a list or a tuple.
_ANSWERS: Mapping[str, tuple[type, ...]] = {
    "connect": (type(None),),
    "disconnect": (type(None),),
    "submit_order": (OrderAck,),
    "submit_group": (Sequence,),
    "replace_order": (OrderAck,),
    "cancel_order": (type(None),),
    "cancel_all": (type(None),),
    "get_order": (BrokerOrder, type(None)),
    "get_open_orders": (Sequence,),
    "get_fills": (FillReport,),
    "get_account_state": (BrokerAccountState,),
    "get_instruments": (Mapping,),
    "get_time": (datetime,),
    "history": (History,),
    "sessions": (Sequence,),
    "subscribe": (type(None),),
}


class Listener(Generic[EventT]):
    """Hears what adapters say.

    Attributes:
        venue: whose patience it has.
        events: what the streams of all adapters said, oldest first.
        ear: what was logged meanwhile.
    """

    def __init__(self, venue: Sandbox) -> None:
        self.venue: Any = venue
        self.events: list[EventT] = []
        self.ear = Ear()
        self._heard = asyncio.Condition()
        self._readers: list[asyncio.Task[None]] = []

    def read(self, stream: AsyncIterator[EventT]) -> asyncio.Task[None]:
        """Read a stream from now on; the task ends when it does."""

        async def hear() -> None:
            async for event in stream:
                self.events.append(event)
                async with self._heard:
                    self._heard.notify_all()

        reader = asyncio.ensure_future(hear())
        self._readers.append(reader)
        return reader

    async def stop_listening(self) -> None:
        """Read no stream any more."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def within(self, call: Awaitable[T], what: str) -> T:
        """What a call answers, which has to come while patience lasts."""
        task = asyncio.ensure_future(call)
        done, _ = await asyncio.wait({task}, timeout=self.venue.patience)
        if not done:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise AssertionError(f"{what} did not end within {self.venue.patience:g} s")
        answer = task.result()
        expected = _ANSWERS.get(what.partition("(")[0])
        if expected is not None and not isinstance(answer, expected):
            names = " or ".join("None" if one is type(None) else one.__name__ for one in expected)
            raise AssertionError(f"{what} answered {answer!r:.200}, which is no {names}")
        return answer

    async def refused(self, kind: type[E] | tuple[type[E], ...], call: Awaitable[Any], what: str) -> E:
        """The error that a call has to end in."""
        names = kind.__name__ if isinstance(kind, type) else " or ".join(one.__name__ for one in kind)
        try:
            answer = await self.within(call, what)
        except kind as error:
            return error
        except BrokerError as error:
            raise AssertionError(f"{what} raised {type(error).__name__} ({error}), not {names}") from error
        raise AssertionError(f"{what} answered {answer!r}; it should have raised {names}")

    async def event(self, fits: Callable[[EventT], bool], what: str, *, after: int = 0) -> EventT:
        """The first event that fits, from the ``after``-th on; it may still have to come."""

        def found() -> EventT | None:
            return next((event for event in self.events[after:] if fits(event)), None)

        async def wait() -> EventT:
            async with self._heard:
                await self._heard.wait_for(lambda: found() is not None)
            event = found()
            assert event is not None
            return event

        try:
            return await asyncio.wait_for(wait(), self.venue.patience)
        except TimeoutError:
            heard = ", ".join(map(_summary, self.events[after:])) or "nothing"
            raise AssertionError(
                f"{what} was not told within {self.venue.patience:g} s; heard: {heard}"
            ) from None

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return when something that no event tells has come about."""
        deadline = asyncio.get_running_loop().time() + self.venue.patience
        while not holds():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{what} did not come about within {self.venue.patience:g} s")
            await asyncio.sleep(_BUSY)

    def all_of(self, kind: type[T], *, after: int = 0) -> list[T]:
        """The events of one kind."""
        return [event for event in self.events[after:] if isinstance(event, kind)]


def _summary(event: object) -> str:
    """An event's kind, and why it came where it says so."""
    words = (getattr(event, name, "") for name in ("reason", "text", "detail", "status"))
    why = next((str(getattr(one, "value", one)) for one in words if one), "")
    return f"{type(event).__name__} ({why})" if why else type(event).__name__
