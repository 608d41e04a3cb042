"""One connection, kept up: connected anew after a close, after silence, and when asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen
from attrs.validators import gt

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.failures import as_broker_error, told_of
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.reports import BrokerNotice, ConnectionLost, ConnectionRestored

__all__ = ["Link", "LinkReport", "Supervisor", "SupervisorLimits"]

LinkReport = ConnectionLost | ConnectionRestored | BrokerNotice


class Link(Protocol):
    """One connection, used once. After it ended a fresh one is made."""

    async def run(self) -> None:
        """Read until the connection ends: return when the other side closed it, raise when it broke."""
        ...

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        ...


LinkT = TypeVar("LinkT", bound=Link)


@frozen(kw_only=True)
class SupervisorLimits:
    """How long to wait for what, in seconds.

    Attributes:
        silence: without a word from the other side (a message, a ping) the connection counts as lost;
            None leaves it to the connection itself.
        opening: for a connection to be made.
        closing: for one to be closed. It is abandoned then.
    """

    silence: float | None = field(default=30.0)
    opening: float = field(default=15.0, validator=gt(0))
    closing: float = field(default=5.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        if self.silence is not None and not self.silence > 0:
            raise ValueError(f"silence is a number of seconds above 0, or None, not {self.silence}")


class Supervisor(Generic[LinkT]):
    """Keeps one connection up, and says when it is not.

    ``connect`` makes a fresh link. While it reads, ``ready`` is awaited: it subscribes, fetches what was
    missed, and returns when the far side has answered. Only then, and when the link was heard, is the
    connection up: `ConnectionRestored`, but for the first. `ConnectionLost` comes the moment it ends,
    is silent, or is given up, before anything is closed or waited for.

    Keys that are refused on the way are a notice, once, and are tried on at growing intervals.

    Attributes:
        heard_at: the reading of the timer's monotonic clock when something last came.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[LinkT]],
        ready: Callable[[LinkT], Awaitable[None]],
        report: Callable[[LinkReport], None],
        timer: Timer,
        backoff: Backoff,
        limits: SupervisorLimits | None = None,
        name: str = "connection",
        resting: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """``resting``: for how many seconds from now on there is no use in trying (`Services.resting`)."""
        self._connect = connect
        self._ready = ready
        self._report = report
        self._timer = timer
        self._backoff = backoff
        self._limits = limits or SupervisorLimits()
        self._name = name
        self._resting = resting
        self._task: asyncio.Task[None] | None = None
        self._renewal = asyncio.Event()
        self._renewal_reason = ""
        self._heard = asyncio.Event()
        self.heard_at = 0.0
        self._up_since: float | None = None
        self._started = False
        self._refused = False

    @property
    def is_up(self) -> bool:
        """Whether events flow."""
        return self._up_since is not None

    async def start(self) -> None:
        """Connect for the first time, and return when the connection is up.

        Raises:
            AuthenticationFailed, BrokerUnavailable: what connecting raised; nothing is tried again.
            RuntimeError: it was started before.
        """
        if self._task is not None:
            raise RuntimeError(f"the {self._name} is supervised already")
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._supervise(first), name=f"{self._name} supervisor")
        try:
            await first
        except BaseException:
            await self.stop()
            raise

    def beat(self) -> None:
        """Something came from the other side."""
        self.heard_at = self._timer.clock.monotonic()
        self._heard.set()

    def renew(self, reason: str) -> None:
        """Give the connection up, and make a fresh one: the venue announced its end, or it cannot be
        trusted. Nothing happens while none is open."""
        self._renewal_reason = reason
        self._renewal.set()

    async def stop(self) -> None:
        """Close the connection for good. Idempotent."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        while True:
            at_least = None
            try:
                reason = await self._one_connection(first)
            except Exception as error:
                reason = told_of(error)
                if not self._started:
                    if not first.done():
                        first.set_exception(as_broker_error(error, self._name))
                    return
                self._tell_of(error)
                at_least = getattr(error, "retry_after", None)
            if not self._started:
                if not first.done():
                    first.set_exception(BrokerUnavailable(f"{self._name}: {reason}"))
                return
            await self._timer.sleep(max(self._backoff.next_wait(at_least), self._resting()))

    async def _one_connection(self, first: asyncio.Future[None]) -> str:
        """Live through one connection. Returns why it ended; raises if it never was up."""
        self._renewal.clear()
        self._heard.clear()
        link = await self._open()
        self.heard_at = self._timer.clock.monotonic()
        reading = asyncio.create_task(link.run())
        preparing = asyncio.create_task(self._prepare(link))
        silent = asyncio.create_task(self._silence())
        renewed = asyncio.create_task(self._renewal.wait())
        tasks: set[asyncio.Task[Any]] = {reading, preparing, silent, renewed}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if preparing in done and not done & {reading, silent, renewed}:
                preparing.result()
                self._come_up(first)
                done, _ = await asyncio.wait(tasks - {preparing}, return_when=asyncio.FIRST_COMPLETED)
            reason = self._why(reading, silent, renewed)
            if self._up_since is None:
                raise BrokerUnavailable(f"{self._name}: {reason}")
            return reason
        finally:
            # Said first of all: what follows takes time.
            if self._up_since is not None and not self._is_stopping():
                self._go_down(self._why(reading, silent, renewed))
            self._up_since = None
            winding_up = asyncio.ensure_future(self._wind_up(tasks, link))
            try:
                await asyncio.shield(winding_up)
            except asyncio.CancelledError:
                # Stopped while the connection was being closed: nobody else would close it.
                await winding_up
                raise

    async def _wind_up(self, tasks: set[asyncio.Task[Any]], link: LinkT) -> None:
        for task in tasks:
            task.cancel()
        await self._abandon(asyncio.gather(*tasks, return_exceptions=True))
        await self._abandon(link.close())

    async def _open(self) -> LinkT:
        opening = asyncio.ensure_future(self._connect())
        try:
            return await within(self._timer, opening, self._limits.opening, self._name)
        except asyncio.CancelledError:
            # Stopped at the very moment the connection was made: nobody else would close it.
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await self._abandon(opening.result().close())
            raise

    def _is_stopping(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def _come_up(self, first: asyncio.Future[None]) -> None:
        self._up_since = self._timer.clock.monotonic()
        self._refused = False
        if self._started:
            self._report(ConnectionRestored(self._timer.clock.now(), self._name))
        self._started = True
        if not first.done():
            first.set_result(None)

    def _go_down(self, reason: str) -> None:
        if self._up_since is not None:
            self._backoff.lived(self._timer.clock.monotonic() - self._up_since)
        self._report(ConnectionLost(self._timer.clock.now(), f"{self._name}: {reason}"))

    def _why(
        self, reading: asyncio.Task[None], silent: asyncio.Task[None], renewed: asyncio.Task[Any]
    ) -> str:
        if renewed.done():
            return self._renewal_reason
        if reading.done() and not reading.cancelled():
            error = reading.exception()
            return "closed by the other side" if error is None else told_of(error)
        if silent.done():
            return f"silent for {self._limits.silence:g} s"
        return "stopped"

    async def _prepare(self, link: LinkT) -> None:
        await self._ready(link)
        await self._heard.wait()

    async def _silence(self) -> None:
        """Return when nothing was heard for too long."""
        limit = self._limits.silence
        if limit is None:
            await asyncio.Event().wait()
            return
        while (left := self.heard_at + limit - self._timer.clock.monotonic()) > 0:
            await self._timer.sleep(left)

    def _tell_of(self, error: Exception) -> None:
        """Report an attempt that failed; keys that are refused only once."""
        refused = isinstance(error, AuthenticationFailed)
        if refused and self._refused:
            return
        self._refused = refused
        severity, code = ("error", "authentication_failed") if refused else ("warning", "reconnect_failed")
        self._report(BrokerNotice(self._timer.clock.now(), severity, code, f"{self._name}: {told_of(error)}"))

    async def _abandon(self, waiting: Awaitable[object]) -> None:
        """Wait for an end, but for no longer than its limit, and whatever it raises."""
        try:
            await within(self._timer, waiting, self._limits.closing, self._name)
        except Exception as error:
            # The connection is gone either way; a bug in how it is closed should not stay hidden.
            self._report(
                BrokerNotice(
                    self._timer.clock.now(), "info", "close_failed", f"{self._name}: {told_of(error)}"
                )
            )
