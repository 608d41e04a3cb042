"""The thread on which the core of a live run works: one input after another, while the event loop goes on.

The loop hands over and hears back; the two share nothing else. A strategy that thinks for half a minute keeps
this thread busy and no connection waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import localcontext
from queue import SimpleQueue
from threading import Thread
from typing import Final, Protocol, TypeVar

from alphaweave.core.money import CONTEXT
from alphaweave.live.actions import Action
from alphaweave.live.control_records import Latch
from alphaweave.live.inputs import Input
from alphaweave.live.journal_records import Recovered

__all__ = ["Core", "KernelThread"]

_T = TypeVar("_T")


class Core(Protocol):
    """What is driven (`alphaweave.live.live_core.LiveCore`). All of its methods are called on one thread."""

    @property
    def reconciled(self) -> bool:
        """The books agree with the broker's, as far as anybody knows."""
        ...

    @property
    def latches(self) -> Mapping[str, Latch] | None:
        """What is latched, by scope: another mapping when it changes; None before the start."""
        ...

    def start(self, recovered: Recovered | None, at: int) -> Sequence[Action]: ...
    def handle(self, given: Input) -> Sequence[Action]: ...
    def next_wakeup(self) -> int | None: ...
    def stop(self, reason: str, at: int) -> Sequence[Action]: ...


_Job = Callable[[], Callable[[], None]]
"""Done on the thread; what it returns is called on the loop."""


class KernelThread:
    """Runs jobs in the order in which they were handed over. All methods are called on the loop's thread.

    After a job of the core has raised, or what came of it could not be carried out, none is done any more:
    the core may be in the middle of something.

    Attributes:
        failure: what was raised; None while nothing was.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, failed: Callable[[BaseException], None]) -> None:
        """``failed`` is called on the loop, once, with what the core raised."""
        self.failure: BaseException | None = None
        self._loop = loop
        self._failed = failed
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._waiting = 0
        # When it last came on, in the loop's time.
        self._moved = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken = False
        # A strategy that never comes back must not keep the process alive.
        self._thread: Final = Thread(target=self._work, name="kernel", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether all that was handed over is done, and heard of."""
        return self._waiting == 0

    @property
    def busy(self) -> float:
        """Seconds since it last came on although there is something to do; 0 while there is nothing."""
        return self._loop.time() - self._moved if self._waiting else 0.0

    async def settled(self) -> None:
        """Return when it is idle."""
        await self._idle.wait()

    def put(
        self,
        core: Core,
        step: Callable[[], Sequence[Action]],
        deliver: Callable[[Sequence[Action], int | None], None],
    ) -> None:
        """Have the core do a step; ``deliver`` hears of its actions, and of the core's next wake-up."""

        def job() -> Callable[[], None]:
            actions = step()
            wakeup = core.next_wakeup()
            return lambda: deliver(actions, wakeup)

        self._hand_over(job, fatal=True)

    async def call(self, function: Callable[[], _T]) -> _T:
        """What a function answers on this thread, after all that was handed over before it.

        What it raises is raised here, and breaks nothing.
        """
        answer: asyncio.Future[_T] = self._loop.create_future()

        def job() -> Callable[[], None]:
            try:
                made = function()
            except BaseException as error:
                caught = error
                return lambda: None if answer.done() else answer.set_exception(_carried(caught))
            return lambda: None if answer.done() else answer.set_result(made)

        self._hand_over(job, fatal=False)
        return await answer

    async def end(self, seconds: float) -> bool:
        """Let it finish what was handed over, for so long; whether it did. It takes nothing after that."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    def _hand_over(self, job: _Job, *, fatal: bool) -> None:
        self._moved = self._moved if self._waiting else self._loop.time()
        self._waiting += 1
        self._idle.clear()

        def guarded() -> Callable[[], None]:
            if fatal and self._broken:
                return lambda: None
            try:
                return job()
            except BaseException as error:  # whatever it is, the run must hear of it
                self._broken = True
                caught = error
                return lambda: self._fail(caught)

        self._jobs.put(guarded)

    def _fail(self, error: BaseException) -> None:
        if self.failure is not None:
            return
        self.failure = error
        self._failed(error)

    def _work(self) -> None:
        # Decimals of a run never depend on what else the process does; a context is a thread's own.
        with localcontext(CONTEXT):
            while (job := self._jobs.get()) is not None:
                heard = job()
                # The loop is gone where the run was broken off; then nobody has to hear of it.
                if self._loop.is_closed():
                    return
                self._loop.call_soon_threadsafe(self._hear, heard)

    def _hear(self, heard: Callable[[], None]) -> None:
        self._moved = self._loop.time()
        try:
            heard()
        except BaseException as error:
            # What came of a step was carried out in part: the rest of it would be missed for ever.
            self._broken = True
            self._fail(error)
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                self._idle.set()


def _carried(error: BaseException) -> BaseException:
    """An exception as a future can carry it."""
    if isinstance(error, StopIteration):
        return RuntimeError(f"StopIteration: {error}")
    return error
