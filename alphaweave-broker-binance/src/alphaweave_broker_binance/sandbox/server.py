"""The HTTP server: one loopback port for REST and sockets, and all that can go wrong on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from uuid import uuid4

from aiohttp import web
from attrs import define, field

from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_binance.sandbox.gate import Answer, Call, Gate, Operation, timed_out
from alphaweave_broker_binance.sandbox.keys import rest_parameters, rest_payload
from alphaweave_broker_binance.sandbox.lines import LineState
from alphaweave_broker_binance.sandbox.refusals import Refused, check_time_unit
from alphaweave_broker_binance.sandbox.user_stream import UserStream
from alphaweave_broker_binance.sandbox.wire import Recorder

__all__ = ["GARBLED", "Server", "Waits", "client_ids"]

_HOST = "127.0.0.1"
GARBLED = '{"symbol":"BTCU'
_JSON = "application/json"
_IDS = (
    "cancelOrigClientOrderId",
    "origClientOrderId",
    "workingClientOrderId",
    "aboveClientOrderId",
    "belowClientOrderId",
    "pendingClientOrderId",
    "pendingAboveClientOrderId",
    "pendingBelowClientOrderId",
)

_Socket = Callable[[web.Request], Awaitable[web.StreamResponse]]


@define
class Waits:
    """What answers wait for that do not come at once.

    Attributes:
        gone: the end of every connection, for those that never come.
        released: the release, for those that are held back.
    """

    gone: asyncio.Event = field(factory=asyncio.Event)
    released: asyncio.Event = field(factory=asyncio.Event)

    def release(self) -> None:
        released, self.released = self.released, asyncio.Event()
        released.set()

    def end(self) -> None:
        gone, self.gone = self.gone, asyncio.Event()
        gone.set()
        self.release()


class Server:
    """Listens.

    Attributes:
        port: where; known once it has started.
        walled: so many of the next requests the firewall answers.
    """

    def __init__(
        self,
        operations: Iterable[Operation],
        sockets: Mapping[str, _Socket],
        gate: Gate,
        stream: UserStream,
        *,
        state: LineState,
        recorder: Recorder,
        waits: Waits,
        port: int,
    ) -> None:
        self.port, self.walled = port, 0
        self._operations = {one.rest: one for one in operations if one.rest}
        self._gate, self._stream, self._waits = gate, stream, waits
        self._state, self._recorder = state, recorder
        application = web.Application(client_max_size=2**22)
        for path, serve in sockets.items():
            application.router.add_get(path, self._guarded(serve))
        application.router.add_route("*", "/{path:.*}", self._rest)
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
        self._waits.end()
        server = self._runner.server
        for protocol in list(server.connections) if server is not None else ():
            if protocol.transport is not None:
                protocol.transport.abort()
        # The loop tells the protocols, whose handlers then end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _guarded(self, serve: _Socket) -> _Socket:
        async def opened(request: web.Request) -> web.StreamResponse:
            if self._state.muted:
                return await self._nothing(request)
            try:
                return await serve(request)
            except Refused as refusal:
                wait = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
                return _response(refusal.status, json.dumps(refusal.body()), wait)

        return opened

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        path, _, query = request.raw_path.partition("?")
        operation = self._operations.get(f"{request.method} {path}")
        if operation is None:
            return web.Response(status=404, text="<html><body>404 Not found</body></html>")
        sent, payload, refusal = dict[str, str](), "", None
        try:
            # Whatever its bytes are: text that was not percent-encoded is not what the client signed.
            body = raw.decode("latin-1")
            check_time_unit(request.headers.get("X-MBX-TIME-UNIT"))
            sent, payload = rest_parameters(query, body), rest_payload(query, body)
        except Refused as error:
            refusal = error
        self._record(request, raw, operation, sent)
        if self._state.muted:
            return await self._nothing(request)
        if self.walled > 0:
            self.walled -= 1
            return web.Response(status=403, text="<html><body>403 Forbidden</body></html>")
        if refusal is not None:
            return _response(refusal.status, json.dumps(refusal.body()), {})
        armed = self._recorder.strike(operation.action)
        if armed is not None and armed.fault is Fault.LOSE_REQUEST:
            return await self._nothing(request)
        call = Call(
            sent=sent,
            payload=payload,
            key=request.headers.get("X-MBX-APIKEY"),
            address=request.remote or "",
        )
        answer = self._gate.answer(operation, call, armed)
        try:
            return await self._after(request, None if armed is None else armed.fault, answer)
        finally:
            self._stream.flush()

    async def _after(self, request: web.Request, fault: Fault | None, answer: Answer) -> web.StreamResponse:
        """Answer what was done, as the fault has it."""
        if fault in {Fault.LOSE_ANSWER, Fault.HANG_UP, Fault.ERROR_AFTER, Fault.GARBLE, Fault.HOLD}:
            self._stream.flush()
        if fault is Fault.LOSE_ANSWER or self._state.muted:
            return await self._nothing(request)
        if fault is Fault.HANG_UP:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault is Fault.ERROR_AFTER:
            lost = timed_out()
            return _response(lost.status, json.dumps(lost.body()), answer.headers)
        if fault is Fault.GARBLE:
            return _response(200, GARBLED, answer.headers)
        if fault is Fault.HOLD:
            await self._waits.released.wait()
        response = _response(answer.status, json.dumps(answer.body), answer.headers)
        # Sent here, so that the events which follow the answer do follow it.
        # Who asked may have gone meanwhile.
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
        return response

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        await self._waits.gone.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _record(
        self, request: web.Request, raw: bytes, operation: Operation, sent: Mapping[str, str]
    ) -> None:
        what = f"{request.method} {request.raw_path}"
        head = "\r\n".join(
            [what, *(f"{name.decode()}: {value.decode()}" for name, value in request.raw_headers)]
        )
        ids = client_ids(operation.action, sent)
        self._recorder.record(
            operation.action, what, head.encode() + b"\r\n\r\n" + raw, ids, request.transport
        )


def client_ids(action: Action, sent: Mapping[str, str]) -> tuple[str, ...]:
    """The client order ids that a request names; the id of a cancel itself is none."""
    found = [sent[name] for name in _IDS if name in sent]
    if action is not Action.CANCEL and "newClientOrderId" in sent:
        found.append(sent["newClientOrderId"])
    return tuple(found)


def _response(status: int, text: str, headers: Mapping[str, str]) -> web.Response:
    named = {**headers, "x-mbx-uuid": str(uuid4())}
    return web.Response(status=status, text=text, content_type=_JSON, headers=named)
