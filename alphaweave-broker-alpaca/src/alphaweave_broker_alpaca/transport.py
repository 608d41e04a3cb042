"""Requests to Alpaca by its own client library, each sent at most once, and within a time limit.

The library as it comes has no time limit, and sends an order again after a 429 or a 504. Not so here.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from alphaweave.core.clock import Clock, to_ns
from alphaweave.live.adapters.rate_budget import RateBudget, RateLimit, Use, objection
from alphaweave.live.adapters.timer import Timer
from alphaweave_broker_alpaca.settings import AlpacaOptions

__all__ = ["NoAnswer", "Refused", "Transport", "Unsent"]

_LIMIT: Final = "requests"
_WORKERS: Final = 8


class Refused(Exception):
    """Alpaca answered, and the answer is no.

    Attributes:
        status: of HTTP.
        code: Alpaca's own; None where the answer has none.
        text: Alpaca's own words; empty where the answer is not Alpaca's.
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


class _Ticket:
    """Leave to write one request. It is given up from another thread, and from then on no byte leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = False
        self._written = False

    @property
    def written(self) -> bool:
        return self._written

    def write(self) -> None:
        with self._lock:
            if self._given_up:
                raise Unsent("withdrawn before it was sent")
            self._written = True

    def give_up(self) -> bool:
        """Whether a byte may have left."""
        with self._lock:
            self._given_up = True
            return self._written


_current = threading.local()


class _Gate:
    """A connection that asks for leave before each write, after it is connected."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        ticket: _Ticket | None = getattr(_current, "ticket", None)
        if ticket is not None:
            ticket.write()
        super().send(data)  # type: ignore[misc]


class _GatedHTTP(_Gate, HTTPConnection):
    pass


class _GatedHTTPS(_Gate, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _GatedHTTP


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _GatedHTTPS


class _TimedAdapter(HTTPAdapter):
    """Gives every request a time limit, and lets none out whose ticket was given up."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        super().__init__(max_retries=0, pool_maxsize=_WORKERS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SafePool}

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = (self._timeout, self._timeout)
        return super().send(request, *args, **kwargs)


class Transport:
    """REST calls to one of Alpaca's addresses, within its request limit: by default to where orders go.

    Attributes:
        room: requests that the newest answer said were left in its window, and of how many; None before that.
    """

    def __init__(
        self,
        options: AlpacaOptions,
        timer: Timer,
        address: str | None = None,
        *,
        closed: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``closed`` is asked for each order, after it waited: why none may leave."""
        self._closed = closed
        base = address or options.trading
        self._timer = timer
        self._clock: Clock = timer.clock
        self._timeout = options.timeout
        self._patience = options.patience
        kept = options.requests // 10
        self._budget = RateBudget(
            [
                RateLimit(
                    name=_LIMIT,
                    weight=options.requests,
                    seconds=options.requests_window,
                    kept_for_cancels=kept,
                    kept_for_orders=3 * kept,
                )
            ]
        )
        self._weight = options.requests
        self._window = options.requests_window
        self._client = TradingClient(
            options.key.reveal(),
            options.secret.reveal(),
            paper=options.paper,
            raw_data=True,
            url_override=base,
        )
        self._client._retry = 0
        session = self._client._session
        if base.startswith("http:"):
            # Loopback: no proxy of the environment belongs in between.
            session.trust_env = False
        session.mount("https://", _TimedAdapter(options.timeout))
        session.mount("http://", _TimedAdapter(options.timeout))
        session.hooks["response"] += [_refuse_redirect, self._note_headers]
        # One pool for each use: no cancel waits behind an order, and no order behind a question.
        workers = {use: _WORKERS if use is Use.ORDER else 4 for use in Use}
        self._pools = {use: ThreadPoolExecutor(workers[use], f"alpaca-{use.name.lower()}") for use in Use}
        self._turns = {use: asyncio.Semaphore(workers[use]) for use in Use}
        self._headers: tuple[int, float | None] | None = None
        self.room: tuple[int, int] | None = None

    async def call(
        self,
        use: Use,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        version: str = "v2",
    ) -> Any:
        """Make one request, once. ``version`` is what comes before the path.

        Raises:
            Refused, Unsent, NoAnswer: the other ways it can end. Cancelled, it is withdrawn.
        """
        self._object(use)
        await self._take_turn(use)
        try:
            # It may have waited long: the stream may be gone, the run be halted, the decision be too old.
            self._object(use)
            return await self._send(use, method, path, data, version)
        finally:
            self._turns[use].release()

    async def _send(
        self, use: Use, method: str, path: str, data: Mapping[str, Any] | None, version: str
    ) -> Any:
        ticket = _Ticket()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pools[use], self._blocking, ticket, method, path, data, version)
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
            if no.status == 429:
                self._budget.bar(self._now(), no.retry_after or 1.0, cancels=False)
            raise
        finally:
            ticket.give_up()
            limit.cancel()
            self._count()

    def _object(self, use: Use) -> None:
        why = (self._closed() or objection()) if use is Use.ORDER else None
        if why is not None:
            raise Unsent(why)

    def close(self) -> None:
        """Let nothing more out."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._client._session.close()

    def _now(self) -> int:
        return round(self._clock.monotonic() * 1_000_000_000)

    async def _take_turn(self, use: Use) -> None:
        # What is counted now and sent later would fall into another window of Alpaca's.
        began = self._clock.monotonic()
        turn = self._turns[use]
        try:
            async with asyncio.timeout(self._timeout if use is Use.QUERY else self._patience):
                await turn.acquire()
        except TimeoutError:
            raise Unsent("its turn did not come: those before it wait for answers, or for room") from None
        try:
            await self._make_room(use, self._clock.monotonic() - began)
        except BaseException:
            turn.release()
            raise

    async def _make_room(self, use: Use, waited: float) -> None:
        while (wait := self._budget.take(self._now(), use)) > 0:
            if use is Use.QUERY or waited + wait > self._patience:
                raise Unsent("the request limit of the account is spent", wait)
            await self._timer.sleep(wait)
            waited += wait

    def _blocking(
        self, ticket: _Ticket, method: str, path: str, data: Mapping[str, Any] | None, version: str
    ) -> Any:
        _current.ticket = ticket
        try:
            return self._client._request(method, path, None if data is None else dict(data), None, version)
        except APIError as error:
            noted = self._headers
            raise _refusal(error, self._until(noted[1] if noted else None)) from None
        except requests.exceptions.RequestException as error:
            # Its words hold an address, and nothing that is worth repeating.
            unsent = not ticket.written or _never_connected(error)
            what = f"{'it cannot be reached' if unsent else 'the connection broke'} ({type(error).__name__})"
            if isinstance(error, requests.exceptions.TooManyRedirects):
                what = "it answers with a redirect, which is not followed"
            if unsent:
                raise Unsent(what) from None
            raise NoAnswer(what) from None
        except ValueError:
            raise NoAnswer("the answer is no JSON") from None
        finally:
            _current.ticket = None

    def _note_headers(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        remaining = _number(response.headers.get("X-RateLimit-Remaining"))
        if remaining is not None:
            self._headers = (int(remaining), _number(response.headers.get("X-RateLimit-Reset")))
            if (limit := _number(response.headers.get("X-RateLimit-Limit"))) is not None:
                self.room = (int(remaining), int(limit))

    def _count(self) -> None:
        noted, self._headers = self._headers, None
        if noted is None:
            return
        if noted[0] > 0:
            self._budget.report(self._now(), _LIMIT, max(self._weight - noted[0], 0))
        else:
            # Spent until the venue begins anew, which it tells; cancels are tried all the same.
            self._budget.bar(self._now(), self._until(noted[1]), cancels=False)

    def _until(self, reset: float | None) -> float:
        # By a clock that is wrong it may be in the past, or hours ahead; a window is no longer than it is.
        wait = 0.0 if reset is None else reset - to_ns(self._clock.now()) / 1e9
        return min(wait if wait > 0 else 1.0, self._window)


def _refuse_redirect(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    # The library does not follow it, and takes it for a success.
    if 300 <= response.status_code < 400:
        response.close()
        raise requests.exceptions.TooManyRedirects(response=response)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _refusal(error: APIError, retry_after: float | None) -> Refused:
    status = int(error.status_code or 0)
    try:
        body = json.loads(str(error))
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    code = body.get("code")
    return Refused(
        status,
        None if code is None else str(code),
        str(body.get("message", "")),
        retry_after if status == 429 else None,
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
