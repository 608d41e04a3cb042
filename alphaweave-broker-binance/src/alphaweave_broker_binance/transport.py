"""Requests to Binance by its own client library, each sent at most once, and within a time limit.

The library as it comes waits for a second, loses what an answer of 409 or 5xx says, and never says whether a
byte had left. Not so here.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests
from attrs import frozen
from binance_common.utils import send_request
from urllib3.exceptions import MaxRetryError, NewConnectionError

from alphaweave.core.clock import Clock
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.server_clock import ServerClock
from alphaweave.live.adapters.timer import Timer
from alphaweave_broker_binance.gate import GatedAdapter, Ticket, Withdrawn, holding
from alphaweave_broker_binance.limits import Limits
from alphaweave_broker_binance.settings import Reach
from alphaweave_broker_binance.signing import Keys

__all__ = ["Call", "NoAnswer", "Refused", "Transport", "Unsent"]

_WORKERS: Final = 8
_OTHERS: Final = 4
_OFF_CLOCK: Final = "-1021"
_TOO_MANY_ORDERS: Final = "-1015"
# Binance takes no request from a second ahead.
_CLOCK_OFF: Final = timedelta(milliseconds=900)
_BACK_OFF: Final = 1.0
_BANNED: Final = 120.0


@frozen
class Call:
    """One request.

    Attributes:
        params: plain texts.
        weight: what Binance counts it as.
        orders: how many it places.
        signed: it is about the account, and only its keys may make it.
    """

    use: Use
    method: str
    path: str
    params: Mapping[str, str] = {}
    weight: int = 1
    orders: int = 0
    signed: bool = True


class Refused(Exception):
    """Binance answered, and the answer is no.

    Attributes:
        status: of HTTP.
        code: Binance's own; None where the answer has none, and so may not be Binance's.
        text: Binance's own words; empty where the answer is not Binance's.
        retry_after: seconds, where it said so.
    """

    def __init__(
        self, status: int, code: str | None = None, text: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"HTTP {status}: {text}" if text else f"HTTP {status}")
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after


class Unsent(Exception):
    """Not a byte of the request left.

    Attributes:
        retry_after: seconds after which there is room for it, where that was the reason.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoAnswer(Exception):
    """A byte may have left, and nothing usable came back."""


_heard = threading.local()


class Transport:
    """Signed and unsigned REST calls, within Binance's limits and by its clock."""

    def __init__(self, options: Reach, keys: Keys, timer: Timer) -> None:
        self._timer = timer
        self._clock: Clock = timer.clock
        self._timeout = options.timeout
        self._patience = options.patience
        self._keys = keys
        self._place = options.rest
        self._session = requests.Session()
        if options.rest.startswith("http:"):
            # Loopback: no proxy of the environment belongs in between.
            self._session.trust_env = False
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, GatedAdapter(options.timeout, _WORKERS + 2 * _OTHERS))
        self._session.hooks["response"] += [_note, _refuse_redirect]
        # One pool for each use: no cancel waits behind an order, and no order behind a question.
        workers = {use: _WORKERS if use is Use.ORDER else _OTHERS for use in Use}
        self._pools = {use: ThreadPoolExecutor(workers[use], f"binance-{use.name.lower()}") for use in Use}
        self._turns = {use: asyncio.Semaphore(workers[use]) for use in Use}
        self._limits = Limits()
        self._server_clock = ServerClock(self._clock)

    def now_ms(self) -> int:
        """The time to sign with: Binance's, in milliseconds."""
        return int(self._server_clock.now().timestamp() * 1000)

    async def call(self, call: Call) -> Any:
        """Make one request, once; where it was refused because the clock was off, with the right time again.

        That refusal comes before the engine, so that there is no order. It is none of the clock where the
        request was late: an order is not made again then.

        Raises:
            Refused, Unsent, NoAnswer: the other ways it can end. Cancelled, it is withdrawn.
        """
        before = self._server_clock.offset
        try:
            return await self._once(call)
        except Refused as no:
            if no.code != _OFF_CLOCK:
                raise
            if call.use is not Use.ORDER:
                await self.resynchronise()
            else:
                with suppress(Refused, Unsent, NoAnswer):
                    await self.resynchronise()
                if abs(self._server_clock.offset - before) < _CLOCK_OFF:
                    raise
        return await self._once(call)

    async def get_time(self) -> datetime:
        """Binance's time, UTC, and learn of it.

        Raises:
            Refused, Unsent, NoAnswer: as `call`.
            KeyError, TypeError, ValueError: it does not say.
        """
        asked_at = self._clock.now()
        said = await self._said_time()
        self.learn(asked_at, said)
        return said

    async def _said_time(self) -> datetime:
        told = await self._once(Call(Use.QUERY, "GET", "/api/v3/time", signed=False))
        return datetime.fromtimestamp(int(told["serverTime"]) / 1000, UTC)

    def learn(self, asked_at: datetime, said: datetime) -> None:
        """Take in what time Binance said it was, just now, to a question of that time."""
        # A clock that was set back in between makes the sample worthless, and the next one comes.
        with suppress(ValueError):
            self._server_clock.learn(asked_at=asked_at, answered_at=self._clock.now(), said=said)

    def spend(self, weight: int) -> float:
        """Take the weight of what is sent on another channel, or say how many seconds later to try again."""
        return self._limits.take(self._now(), Use.CANCEL, weight)

    def learn_limits(self, told: Sequence[Mapping[str, Any]]) -> None:
        """Take in what the rules of the exchange say of its limits."""
        self._limits.learn(told, self._now())

    def close(self) -> None:
        """Let nothing more out."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    async def resynchronise(self) -> None:
        """Forget what was thought of Binance's clock, and ask.

        Raises:
            Refused, Unsent, NoAnswer: as `call`.
        """
        asked_at = self._clock.now()
        try:
            said = await self._said_time()
        except (KeyError, TypeError, ValueError):
            raise NoAnswer("the clock is off, and Binance does not tell the time") from None
        # What was learned is of a clock that was set since: the shortest of those trips is worth nothing.
        self._server_clock = ServerClock(self._clock)
        self.learn(asked_at, said)

    async def _once(self, call: Call) -> Any:
        await self._take_turn(call)
        try:
            return await self._send(call)
        finally:
            self._turns[call.use].release()

    async def _send(self, call: Call) -> Any:
        ticket = Ticket()
        loop = asyncio.get_running_loop()
        heard: dict[str, Any] = {}
        running = loop.run_in_executor(self._pools[call.use], self._blocking, ticket, call, heard)
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        limit = asyncio.create_task(self._timer.sleep(self._timeout))
        try:
            await asyncio.wait({running, limit}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            if ticket.give_up():
                raise NoAnswer(f"no answer within {self._timeout:g} s")
            raise Unsent(f"not sent within {self._timeout:g} s")
        except Refused as no:
            self.heed(no)
            raise
        finally:
            ticket.give_up()
            limit.cancel()
            if "headers" in heard:
                self._limits.report(self._now(), heard["headers"])

    def heed(self, no: Refused) -> None:
        """Hold all that is to be sent for as long as a refusal says: it is of the whole address."""
        if no.status == 429:
            only = no.code == _TOO_MANY_ORDERS
            self._limits.bar(self._now(), no.retry_after or _BACK_OFF, orders_only=only)
        elif no.status == 418:
            self._limits.bar(self._now(), no.retry_after or _BANNED, orders_only=False)

    @property
    def used(self) -> tuple[int, int] | None:
        """The weight that the newest answer told, and of how much; None before one."""
        return self._limits.used

    def _now(self) -> int:
        return round(self._clock.monotonic() * 1_000_000_000)

    async def _take_turn(self, call: Call) -> None:
        began = self._clock.monotonic()
        turn, query = self._turns[call.use], call.use is Use.QUERY
        try:
            async with asyncio.timeout(self._timeout if query else self._patience):
                await turn.acquire()
        except TimeoutError:
            raise Unsent("its turn did not come: those before it wait for answers, or for room") from None
        try:
            waited = self._clock.monotonic() - began
            while (wait := self._limits.take(self._now(), call.use, call.weight, call.orders)) > 0:
                if query or waited + wait > self._patience:
                    raise Unsent("the request limits are spent", wait)
                await self._timer.sleep(wait)
                waited += wait
        except BaseException:
            turn.release()
            raise

    def _blocking(self, ticket: Ticket, call: Call, heard: dict[str, Any]) -> Any:
        params = dict(call.params)
        if call.signed:
            params = self._keys.stamped(params, self.now_ms())
        _heard.answer = None
        failure: Callable[[str], Exception]
        try:
            with holding(ticket):
                send_request(
                    self._session,
                    self._keys.configuration,
                    call.method,
                    call.path,
                    params,
                    is_signed=call.signed,
                    signer=self._keys.signer,
                )
        except Withdrawn as error:
            raise Unsent(str(error)) from None
        except Exception as error:
            # The library's words hold an address with a signature in it, and nothing that is worth repeating.
            unsent = not ticket.written or _never_connected(error)
            failure = Unsent if unsent else NoAnswer
            where = f"{self._place} cannot be reached" if unsent else "the connection broke"
            what = f"{where} ({_what(error)})"
        else:
            what, failure = "it cannot be read", NoAnswer
        answer, _heard.answer = _heard.answer, None
        if answer is None:
            raise failure(what) from None
        status, text, headers = answer
        heard["headers"] = headers
        return _read(status, text, headers)


def _note(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    """Keep what the library does not: the body of every answer, and its headers."""
    _heard.answer = (response.status_code, response.text, dict(response.headers))


def _refuse_redirect(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    # It would be followed to any host, with the key in a header.
    if 300 <= response.status_code < 400:
        response.close()
        raise requests.exceptions.TooManyRedirects(response=response)


def _read(status: int, text: str, headers: Mapping[str, str]) -> Any:
    if 300 <= status < 400:
        raise NoAnswer("it answers with a redirect, which is not followed")
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if status < 300:
        if body is None:
            raise NoAnswer("the answer is no JSON")
        return body
    if not isinstance(body, dict):
        body = {}
    code = body.get("code")
    raise Refused(status, None if code is None else str(code), str(body.get("msg", "")), _wait_told(headers))


def _wait_told(headers: Mapping[str, str]) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if text.isdigit() else None


def _what(error: Exception) -> str:
    cause = error.__cause__
    return type(cause if isinstance(cause, requests.RequestException) else error).__name__


def _never_connected(error: Exception) -> bool:
    request = error.__cause__
    cause = request.args[0] if request is not None and request.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
