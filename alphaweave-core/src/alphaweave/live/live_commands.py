"""Operators' commands to a live run: looked for, held to at once, answered in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from alphaweave.core.errors import ControlError
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Command, Latch, Verb
from alphaweave.live.sending_line import SendingLine

__all__ = ["CommandPost", "Revocable", "Surroundings"]

_T = TypeVar("_T")

_HOLDING: Final = frozenset({Verb.HALT, Verb.FLATTEN, Verb.STOP})
_CANCELLING: Final = frozenset({Verb.HALT, Verb.FLATTEN})


class Revocable(Protocol):
    """Something that is due."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Surroundings:
    """The event loop that a post works in, and the threads that wait for the disk."""

    async def blocking(self, work: Callable[[], _T]) -> _T:
        """Do what may wait for the disk, and hold nobody up."""
        return await asyncio.to_thread(work)

    def later(self, seconds: float, act: Callable[[], None]) -> Revocable:
        """Do something after a while, unless it is called off."""
        return asyncio.get_running_loop().call_later(seconds, act)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None] | None:
        """Begin something; None where it is done already."""
        return asyncio.ensure_future(work)


class CommandPost:
    """Takes commands out of the store and hands them to the core, on the loop's thread.

    A command that stops trading holds the sender back from the moment it is found, whatever the strategy is
    doing; once the core has dealt with it, the core's gate takes over. A halt that the core does not come to
    in time has what works cancelled without it.
    """

    def __init__(
        self,
        store: ControlStore,
        *,
        sender: SendingLine,
        put: Callable[[Command, Callable[[], None]], None],
        now: Callable[[], int],
        alert: Callable[[str, str, str], None],
        answer_within: float,
        latched: Callable[[], Mapping[str, Latch] | None] = lambda: None,
        cancel: Callable[[str], None] = lambda scope: None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Set up.

        Args:
            put: hands a command to the core, and calls back when the core has dealt with it.
            now: nanoseconds since the epoch, UTC.
            alert: is told what is wrong with the store: severity, code and text.
            answer_within: seconds after which a command is answered although the core has not come to it.
            cancel: has what works in a scope cancelled without the core, where that is busy: it cancels again
                what is left when it is back.
            latched: what the run has latched, by scope, as a mapping that is another when it changes; None
                while that is not known. The store shows it, for whoever asks while the run is down.
            surroundings: where it works; without any, the running event loop.
        """
        self._store = store
        self._sender = sender
        self._put = put
        self._now = now
        self._alert = alert
        self._answer_within = answer_within
        self._latched = latched
        self._cancel = cancel
        self._surroundings = surroundings or Surroundings()
        self._mirrored: Mapping[str, Latch] | None = None
        self._undecided = 0
        self._holds = 0
        self._blind = False
        self._answers: set[asyncio.Future[None]] = set()
        self._resumes = False
        # What could not be written yet, by the number of its command.
        self._owed: dict[int, dict[str, Any]] = {}

    async def look(self, *, first: bool = False) -> None:
        """Take what is new; at the ``first`` time also what a run took that died before it answered.

        Until that was possible nothing but cancels leaves: there may be a halt that nobody has heard.
        """
        at = self._now()
        if first:
            self._resumes = True
            self._hold("operators' commands have not been read yet")
        commands: tuple[Command, ...] = ()
        try:
            commands = await self._surroundings.blocking(lambda: self._store.take(at))
            if self._resumes:
                taken = {command.id for command in commands}
                unanswered = await self._surroundings.blocking(self._store.unanswered)
                # The core knows whether it had decided these.
                commands = (*(one for one in unanswered if one.id not in taken), *commands)
            await self._settle()
            if not commands:
                await self._mirror()
        except ControlError as error:
            self._failed(error)
        else:
            if self._blind:
                self._blind = False
                self._alert("info", "control_restored", "operators' commands can be read again")
        # Also where it failed halfway: what was taken out of the store is in nobody's hands but these.
        for command in commands:
            self._take(command)
        if self._resumes and not self._blind:
            self._resumes = False
            self._let_go()

    def reply(self, number: int, document: dict[str, Any]) -> None:
        """Answer a command; the first answer that says what became of it stands."""
        task = self._surroundings.start(self._answer(number, document))
        if task is not None:
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def close(self) -> None:
        """Return when all answers are written, and what is latched is shown, as far as the store takes it."""
        if self._answers:
            await asyncio.gather(*self._answers, return_exceptions=True)
        with suppress(ControlError):
            await self._settle()
            await self._mirror()

    async def _mirror(self) -> None:
        latched = self._latched()
        # What an operator has said and the core has not dealt with has the last word.
        if latched is None or latched is self._mirrored or self._undecided:
            return
        at = self._now()
        if await self._surroundings.blocking(lambda: self._store.mirror(latched, at)):
            self._mirrored = latched

    def _take(self, command: Command) -> None:
        holding = command.verb in _HOLDING
        if holding:
            self._hold(f"{command.operator} said {command.verb}")
        late = self._surroundings.later(self._answer_within, lambda: self._answer_late(command))

        self._undecided += 1
        # It may have latched in the store what the core then does otherwise.
        self._mirrored = None

        def dealt_with() -> None:
            late.cancel()
            self._undecided -= 1
            if holding:
                self._let_go()

        self._put(command, dealt_with)

    def _hold(self, why: str) -> None:
        self._holds += 1
        self._sender.hold(why)

    def _let_go(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._sender.release()

    def _answer_late(self, command: Command) -> None:
        sender = self._sender
        if command.verb in _CANCELLING:
            self._cancel(command.scope)
        gate = "held" if sender.held is not None else "open" if sender.gate.open else "shut"
        text = "the strategy is busy; the rest is done when it is back"
        self.reply(command.id, {"taken": True, "decided": False, "gate": gate, "note": text})

    async def _answer(self, number: int, document: dict[str, Any]) -> None:
        self._owed[number] = document
        try:
            await self._settle()
        except ControlError as error:
            self._failed(error)

    async def _settle(self) -> None:
        """Write the answers that are owed; what cannot be written is owed on."""
        for number, document in tuple(self._owed.items()):
            at = self._now()
            await self._surroundings.blocking(partial(self._store.answer, number, document, at))
            if self._owed.get(number) is document:
                del self._owed[number]

    def _failed(self, error: ControlError) -> None:
        # It is looked at ten times a second, and will say the same each time.
        if not self._blind:
            self._blind = True
            self._alert("error", "control_failed", str(error))
