"""One connection to TWS or IB Gateway: what is asked, what answers, and what comes by itself.

ib_async is the transport and the codec, nothing more. What it makes of messages (orders that errors cancel,
fills that nobody hears of, questions that share one answer) is left alone: messages are taken as the decoder
reads them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import define, field
from ib_async.client import Client

from alphaweave.core.errors import AlphaweaveError, BrokerUnavailable
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import Timer, within
from alphaweave_broker_ibkr.codes import Meaning, Subject, meaning_of
from alphaweave_broker_ibkr.pace import Pace, Unsent
from alphaweave_broker_ibkr.settings import Reach

__all__ = ["Gateway", "NoAnswer", "Refused", "answered"]

# Orders and questions share one space of numbers: an error bears one of them, and does not say of which.
_FIRST_QUESTION: Final = 1_000_000_000
# What a gateway whose API is read-only refuses, with an error that bears no number.
_OF_ORDERS: Final = ("openOrderEnd", "completedOrdersEnd")
_CLOSED: Final = "setEventsDone"
_ARRIVED: Final = "tcpDataArrived"
_SILENT: Final = logging.Logger("ib_async, silenced", level=logging.CRITICAL + 1)


class NoAnswer(Exception):
    """It was asked, and what came is no answer, or nothing came."""


class Refused(Exception):
    """The gateway answered a question with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@contextmanager
def answered() -> Iterator[None]:
    """A question that ends in anything but an answer is not answered: raises BrokerUnavailable."""
    try:
        yield
    except Refused as no:
        raise BrokerUnavailable(f"the gateway: {no}", code=str(no.code), text=no.text) from None
    except (NoAnswer, Unsent) as error:
        raise BrokerUnavailable(str(error)) from None
    except (KeyError, TypeError, ValueError) as error:
        raise BrokerUnavailable(f"the gateway's answer cannot be read: {error}") from None


@define(eq=False)
class _Question:
    """What is waited for: every message called ``rows``, until one called ``ends``."""

    rows: str
    ends: str
    answer: asyncio.Future[list[tuple[Any, ...]]]
    heard: list[tuple[Any, ...]] = field(factory=list)

    def take(self, name: str, told: tuple[Any, ...]) -> None:
        if name == self.rows:
            self.heard.append(told)
        if name == self.ends and not self.answer.done():
            self.answer.set_result(self.heard)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Ears:
    """What the decoder hands messages to, by their names."""

    # Executions may come without their zone: the gateway's own is meant.
    defaultTimezone = UTC  # noqa: N815 - the library's name

    def __init__(self, hear: Callable[..., None], zone: str) -> None:
        self._hear = hear
        self.ib = SimpleNamespace(TimezoneTWS=ZoneInfo(zone))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return partial(self._hear, name)


class _Complaints:
    """What the decoder logs its failures to, and would then go on."""

    def __init__(self, take: Callable[[BaseException | None], None]) -> None:
        self._take = take

    def exception(self, _: str) -> None:
        self._take(sys.exc_info()[1])


class Gateway:
    """One connection, used once.

    A question without a number of its own (open orders, positions, the time) is asked one at a time, and if
    it is not answered the connection ends: an answer that came later would be taken for the next one's.

    Attributes:
        client: ib_async's, to write messages with, within a `turn`.
        accounts: those of the login.
        next_order: the first number that the gateway has seen on no order.
        greeting: the clock on its wall when it was connected, as if it were in UTC, and the time, UTC; None
            where it does not say.
    """

    def __init__(
        self, reach: Reach, timer: Timer, pace: Pace, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._reach = reach
        self._timer = timer
        self._pace = pace
        self._beat = beat
        self._handlers: dict[str, list[Callable[..., None]]] = {}
        self._numbered: dict[int, _Question] = {}
        self._single: dict[str, _Question] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._refusals = 0
        self._number = _FIRST_QUESTION
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting when it ends.
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self.accounts: tuple[str, ...] = ()
        self.next_order = 1
        self.greeting: tuple[datetime, datetime] | None = None
        self.client: Any = Client(_Ears(self._hear, reach.timezone))  # type: ignore[no-untyped-call]
        self.client.conn.hasData += self._greet
        self.client.MaxRequests = 0
        self.client._logger = _SILENT
        decoder: Any = self.client.decoder
        decoder.logger = _Complaints(self._unreadable)

    async def open(self) -> None:
        """Connect, and wait for the accounts and the next number of an order.

        Raises:
            BrokerUnavailable: nobody is there, it does not answer, or the client id is in use (code 326).
        """
        reach = self._reach
        place = f"{reach.host}:{reach.port}"
        opening = asyncio.ensure_future(
            self.client.connectAsync(reach.host, reach.port, reach.client_id, reach.timeout)
        )
        try:
            await asyncio.wait({opening, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                self._ended.result()
                raise BrokerUnavailable(f"the gateway at {place} closed the connection")
            opening.result()
        except ConnectionRefusedError:
            raise BrokerUnavailable(
                f"nobody listens at {place}: start TWS or IB Gateway, log in, switch its socket clients on, "
                "and compare the port"
            ) from None
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise BrokerUnavailable(
                    f"{place} does not answer as a gateway within {reach.timeout:g} s: look there for a "
                    "question whether to accept the connection"
                ) from None
            raise BrokerUnavailable(f"{place}: {error.strerror or type(error).__name__}") from None
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        self.accounts = tuple(self.client.getAccounts())

    def _greet(self, data: bytes) -> None:
        """The first bytes: a length, the version, and a clock, which the library reads and forgets."""
        self.client.conn.hasData -= self._greet
        with suppress(ValueError, IndexError):
            shown = data[4:].split(b"\0")[1][:17].decode()
            at = datetime.strptime(shown, "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
            self.greeting = at, self._timer.clock.now()

    async def run(self) -> None:
        """Prove that the gateway is there, until the connection ends.

        Raises:
            BrokerUnavailable: it broke.
        """
        probing = asyncio.ensure_future(self._probe())
        try:
            await asyncio.wait({probing, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if probing.done():
                probing.result()
            self._ended.result()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    async def _probe(self) -> None:
        while True:
            await self._timer.sleep(self._reach.heartbeat)
            try:
                await self.time()
            except NoAnswer as error:
                raise BrokerUnavailable(str(error)) from None
            except Unsent:
                # There is no room among the messages, and answers to those prove as much.
                continue

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        self._end(None)
        self.client.disconnect()

    def fail(self, reason: str, code: str | None = None) -> None:
        """Give the connection up; what was written and has not left yet never does."""
        transport = self.client.conn.transport
        if transport is not None:
            transport.abort()
        self._end(BrokerUnavailable(reason, code=code))

    @property
    def is_open(self) -> bool:
        """Whether something can be written."""
        return not self._ended.done() and self.client.isReady()

    @property
    def is_written(self) -> bool:
        """Whether all that was written has left this process."""
        transport = self.client.conn.transport
        return transport is not None and transport.get_write_buffer_size() == 0

    # What is asked.

    def turn(
        self, use: Use, may_leave: Callable[[], None] = lambda: None, messages: int = 1
    ) -> AbstractAsyncContextManager[None]:
        """Within it so many messages may be written (`Pace.turn`); Unsent where the connection is gone."""

        def open_and_allowed() -> None:
            if not self.is_open:
                raise Unsent("the gateway is not connected")
            may_leave()

        return self._pace.turn(use, open_and_allowed, messages)

    async def ask(
        self, write: Callable[[int], None], *, rows: str, ends: str, use: Use = Use.QUERY
    ) -> list[tuple[Any, ...]]:
        """A question that bears a number: every message called ``rows`` that bears it too, without it.

        Args:
            write: writes the question, under the number that it is given.

        Raises:
            NoAnswer, Refused, Unsent: there is no answer.
        """
        self._number += 1
        number = self._number
        question = _Question(rows, ends, asyncio.get_running_loop().create_future())
        try:
            async with self.turn(use):
                self._numbered[number] = question
                write(number)
            return await self._answer(question, rows)
        finally:
            self._numbered.pop(number, None)

    async def ask_alone(
        self, write: Callable[[], None], *, rows: str, ends: str, use: Use = Use.QUERY
    ) -> list[tuple[Any, ...]]:
        """A question without a number, of which one is asked at a time.

        Raises:
            NoAnswer, Refused, Unsent: there is no answer.
        """
        async with self._turns.setdefault(ends, asyncio.Lock()):
            question = _Question(rows, ends, asyncio.get_running_loop().create_future())
            async with self.turn(use):
                self._single[ends] = question
                write()
            try:
                return await self._answer(question, rows)
            except NoAnswer as error:
                self.fail(str(error))
                raise
            except asyncio.CancelledError:
                # Its answer would be the next one's.
                self.fail(f"the question for {rows} was given up")
                raise
            finally:
                del self._single[ends]

    async def _answer(self, question: _Question, what: str) -> list[tuple[Any, ...]]:
        try:
            return await within(self._timer, question.answer, self._reach.timeout, what)
        except BrokerUnavailable as error:
            raise NoAnswer(f"{what}: {error}" if question.answer.done() else str(error)) from None

    async def time(self) -> datetime:
        """The gateway's clock, UTC, in whole seconds.

        Raises:
            NoAnswer, Unsent: it does not say.
        """
        told = await self.ask_alone(self.client.reqCurrentTime, rows="currentTime", ends="currentTime")
        return datetime.fromtimestamp(told[0][0], UTC)

    @staticmethod
    def is_question(number: int) -> bool:
        """Whether an error with that number is about a question, not about an order."""
        return number >= _FIRST_QUESTION

    # What comes.

    def hear(self, name: str, handler: Callable[..., None]) -> None:
        """Hand every message of that name to ``handler``: as ib_async's decoder names them (``openOrder``,
        ``error``), with what it reads from them."""
        self._handlers.setdefault(name, []).append(handler)

    def _hear(self, name: str, *told: Any) -> None:
        if name == _CLOSED:
            self._end(BrokerUnavailable("the gateway closed the connection"))
            return
        if name == _ARRIVED:
            self._beat()
            return
        if name == "nextValidId":
            self.next_order = max(self.next_order, told[0])
        if name == "error":
            self._error(*told)
        elif told and (question := self._numbered.get(told[0]) if isinstance(told[0], int) else None):
            question.take(name, told[1:])
        for question in tuple(self._single.values()):
            question.take(name, told)
        for handler in self._handlers.get(name, ()):
            handler(*told)

    def _error(self, number: int, code: int, text: str, _: str) -> None:
        question = self._numbered.get(number)
        if question is not None:
            if meaning_of(code, Subject.REQUEST) is not Meaning.INFORMATION:
                question.fail(Refused(code, text))
            return
        meaning = meaning_of(code, Subject.SESSION)
        if meaning is Meaning.CLIENT_ID_IN_USE:
            self.fail(
                f"client id {self._reach.client_id} is in use at the gateway: end what is connected with it, "
                "or give this run another client_id, for ever; its broker and its datafeed need one each",
                code=str(code),
            )
        elif meaning is Meaning.RATE_EXCEEDED:
            self._pace.slow_down()
        elif number == -1 and code == 321:
            self._refuse(Refused(code, text))

    def _refuse(self, refusal: Refused) -> None:
        """A question without a number is refused, and which one is not said."""
        if self._refusals:
            # It is of a question that was taken for refused with another's refusal.
            self._refusals -= 1
            return
        asked = [self._single[each] for each in _OF_ORDERS if each in self._single]
        if len(asked) < len(self._single):
            # Were it taken for the wrong one's, the answer would come as that to the next.
            self.fail(
                f"the gateway refuses a question, and does not say which: {refusal}", code=str(refusal.code)
            )
            return
        self._refusals = max(len(asked) - 1, 0)
        for each in asked:
            each.fail(refusal)

    def _unreadable(self, error: BaseException | None) -> None:
        # What it said stands in the broker's books: connecting anew makes the engine ask for it.
        said = str(error) if isinstance(error, AlphaweaveError | ValueError) else type(error).__name__
        self.fail(f"a message of the gateway's cannot be read: {said}", code="unreadable_message")

    def _end(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
        questions: Sequence[_Question] = (*self._numbered.values(), *self._single.values())
        for question in questions:
            question.fail(NoAnswer(f"the connection ended: {error or 'closed'}"))
        for handler in self._handlers.get("ended", ()):
            handler()
