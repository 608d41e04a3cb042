"""The HTTP server: one loopback port for REST and sockets, and all that can go wrong on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aiohttp import web
from attrs import frozen

from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_alpaca.sandbox.lines import LineState
from alphaweave_broker_alpaca.sandbox.refusals import Refused, forbidden, invalid
from alphaweave_broker_alpaca.sandbox.wire import Armed, Quota, Recorder

__all__ = ["Answer", "Call", "Route", "Server"]

_HOST = "127.0.0.1"


@frozen
class Call:
    """A request as a route gets it: path parameters, query, JSON body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]


@frozen
class Answer:
    """What a route answers; ``body`` goes out as JSON, None as nothing at all."""

    body: Any = None
    status: int = 200


@frozen
class Route:
    """One path of the REST interface."""

    method: str
    path: str
    answer: Callable[[Call], Answer]
    action: Action = Action.QUERY
    data: bool = False


_Socket = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Listens.

    Attributes:
        port: where; known once it has started.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        sockets: Mapping[str, _Socket],
        *,
        state: LineState,
        recorder: Recorder,
        knows: Callable[[str, str], bool],
        quotas: tuple[Quota, Quota],
        port: int,
    ) -> None:
        self.port = port
        self._state, self._recorder, self._knows = state, recorder, knows
        self._trading, self._data = quotas
        # Answers that never come wait for the first, answers that are held back for the second.
        self._gone, self._released = asyncio.Event(), asyncio.Event()
        application = web.Application(client_max_size=2**22)
        for route in routes:
            application.router.add_route(route.method, route.path, self._handler(route))
        for path, serve in sockets.items():
            application.router.add_get(path, self._guarded(serve))
        application.router.add_route("*", "/{path:.*}", self._unknown)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        self._site: web.TCPSite | None = None

    async def start(self) -> None:
        await self._runner.setup()
        await self.listen()

    async def listen(self) -> None:
        """Take connections, on the port that it had before."""
        if self._site is not None:
            return
        self._site = web.TCPSite(self._runner, _HOST, self.port, reuse_address=True)
        await self._site.start()
        assert self._runner.addresses
        self.port = self._runner.addresses[0][1]

    async def deafen(self) -> None:
        """Take no connection any more, and end those there are."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()
        await self.abort()

    async def stop(self) -> None:
        """End everything."""
        self._site = None
        await self.abort()
        await self._runner.cleanup()

    async def abort(self) -> None:
        """Tear every connection, without a farewell."""
        gone, self._gone = self._gone, asyncio.Event()
        gone.set()
        self._released.set()
        server = self._runner.server
        for protocol in list(server.connections) if server is not None else ():
            if protocol.transport is not None:
                protocol.transport.abort()
        # The loop tells the protocols, whose handlers then end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def release(self) -> None:
        """Let the answers go that were held back."""
        released, self._released = self._released, asyncio.Event()
        released.set()

    def _guarded(self, serve: _Socket) -> _Socket:
        async def opened(request: web.Request) -> web.StreamResponse:
            if self._state.muted:
                await self._gone.wait()
            return await serve(request)

        return opened

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return self._reply(Answer({"code": 40410000, "message": "endpoint not found"}, 404), {})

    def _handler(self, route: Route) -> _Socket:
        quota = self._data if route.data else self._trading

        async def handle(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            body = _body(raw)
            what = f"{request.method} {request.path_qs}"
            head = "\r\n".join(
                [what, *(f"{name.decode()}: {value.decode()}" for name, value in request.raw_headers)]
            )
            ids = _ids(route, body, request)
            self._recorder.record(
                route.action, what, head.encode() + b"\r\n\r\n" + raw, ids, request.transport
            )
            if self._state.muted:
                return await self._nothing(request)
            if not self._authorized(request):
                return self._reply(Answer({"message": "unauthorized."}, 401), {})
            armed = self._recorder.strike(route.action)
            if armed is not None and armed.fault is Fault.LOSE_REQUEST:
                return await self._nothing(request)
            if not quota.take():
                return self._reply(_throttled(route), quota.headers())
            if armed is not None:
                before = _instead(armed, route)
                if before is not None:
                    waits = armed.retry_after if armed.fault is Fault.THROTTLE else None
                    return self._reply(before, quota.headers(waits))
            if body is None:
                answer = Answer({"code": 40010000, "message": "request body format is invalid"}, 400)
            else:
                answer = _answered(route, Call(request.match_info, request.query, body))
            return await self._after(request, armed, answer, quota)

        return handle

    async def _after(
        self, request: web.Request, armed: Armed | None, answer: Answer, quota: Quota
    ) -> web.StreamResponse:
        """Answer what was done, as the fault has it."""
        fault = None if armed is None else armed.fault
        if fault is Fault.LOSE_ANSWER or self._state.muted:
            return await self._nothing(request)
        if fault is Fault.HANG_UP:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault is Fault.ERROR_AFTER:
            # The client library repeats what is answered so, if it is let.
            return web.Response(status=504, text="<html><body>504 Gateway Time-out</body></html>")
        if fault is Fault.GARBLE:
            return web.Response(text='{"id": "61e69', content_type="application/json")
        if fault is Fault.HOLD:
            await self._released.wait()
        return self._reply(answer, quota.headers())

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        await self._gone.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _authorized(self, request: web.Request) -> bool:
        headers = request.headers
        return self._knows(headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", ""))

    @staticmethod
    def _reply(answer: Answer, headers: Mapping[str, str]) -> web.Response:
        named = {**headers, "X-Request-ID": uuid4().hex}
        if answer.body is None:
            return web.Response(status=answer.status, headers=named)
        return web.Response(
            status=answer.status,
            text=json.dumps(answer.body),
            content_type="application/json",
            headers=named,
        )


def _answered(route: Route, call: Call) -> Answer:
    try:
        return route.answer(call)
    except Refused as refusal:
        return Answer(refusal.body, refusal.status)


def _throttled(route: Route) -> Answer:
    if route.data:
        return Answer({"message": "too many requests."}, 429)
    return Answer({"code": 42910000, "message": "rate limit exceeded"}, 429)


def _instead(armed: Armed, route: Route) -> Answer | None:
    """What is answered instead of doing what was asked; None if the fault comes after that."""
    refusal: Refused | None = None
    match armed.fault:
        case Fault.THROTTLE:
            return _throttled(route)
        case Fault.ERROR_BEFORE:
            return Answer({"code": 50010000, "message": "internal server error"}, 500)
        case Fault.DUPLICATE_ID:
            refusal = invalid("client_order_id must be unique")
        case Fault.REJECT if route.action is Action.SUBMIT:
            refusal = forbidden("insufficient buying power", buying_power="1", cost_basis="9")
        case Fault.REJECT if route.action is Action.CANCEL:
            refusal = invalid("order is not cancelable")
        case Fault.REJECT if route.action is Action.REPLACE:
            refusal = invalid("cannot replace order in pending_new status")
        case Fault.REJECT:
            refusal = forbidden("forbidden.")
        case _:
            return None
    return Answer(refusal.body, refusal.status)


def _body(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object in a body; empty where there is no body, None where it is no JSON object."""
    if not raw:
        return {}
    try:
        found = json.loads(raw, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _ids(route: Route, body: Mapping[str, Any] | None, request: web.Request) -> tuple[str, ...]:
    named = (body or {}).get("client_order_id") or request.query.get("client_order_id")
    return (str(named),) if named else ()
