"""The WebSocket API: what REST has, logons, and the user data stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web
from attrs import define, field

from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_binance.sandbox.gate import Answer, Call, Gate, Operation, timed_out
from alphaweave_broker_binance.sandbox.keys import Key, Keys, ws_payload
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.lines import Line, LineState
from alphaweave_broker_binance.sandbox.parameters import Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused, check_time_unit
from alphaweave_broker_binance.sandbox.server import GARBLED, Waits, client_ids
from alphaweave_broker_binance.sandbox.user_stream import Subscription, UserStream
from alphaweave_broker_binance.sandbox.wire import Armed, Recorder

__all__ = ["WebSocketApi"]

_CONNECT_WEIGHT = 2


@define(eq=False)
class _Client:
    """One connection.

    Attributes:
        key: what it has logged on with, and since when.
        subscriptions: to the user data stream, by id.
    """

    line: Line
    connected: int
    rates: bool
    key: Key | None = None
    since: int | None = None
    subscriptions: dict[int, Subscription] = field(factory=dict)
    count: int = 0
    tasks: set[asyncio.Task[None]] = field(factory=set)


class WebSocketApi:
    """All connections to ``/ws-api/v3``."""

    def __init__(
        self,
        operations: Iterable[Operation],
        gate: Gate,
        keys: Keys,
        limits: Limits,
        stream: UserStream,
        *,
        now: Callable[[], int],
        state: LineState,
        recorder: Recorder,
        waits: Waits,
    ) -> None:
        self._operations = {one.ws: one for one in operations if one.ws}
        self._gate, self._keys, self._limits, self._stream = gate, keys, limits, stream
        self._now, self._state, self._recorder, self._waits = now, state, recorder, waits
        self._clients: set[_Client] = set()

    def announce_end(self) -> None:
        """Say on every connection that it is about to be closed."""
        for client in self._clients:
            client.line.say(json.dumps({"event": {"e": "serverShutdown", "E": self._now()}}))

    def log_out(self) -> None:
        """Take the keys of every connection away: its session and its subscription are over."""
        refusal = Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        told = json.dumps({"id": None, "status": refusal.status, "error": refusal.body()})
        for client in self._clients:
            if client.key is None and not client.subscriptions:
                continue
            for subscription in client.subscriptions.values():
                self._stream.remove(subscription, self._now())
            client.subscriptions.clear()
            client.key = client.since = None
            client.line.say(told)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        check_time_unit(request.query.get("timeUnit"))
        self._limits.connect(request.remote or "")
        self._limits.spend(request.remote or "", _CONNECT_WEIGHT)
        return await Line(request, self._state).serve(self._talk)

    async def _talk(self, line: Line) -> None:
        rates = line.request.query.get("returnRateLimits", "true") != "false"
        client = _Client(line, self._now(), rates)
        self._clients.add(client)
        try:
            async for text in line.heard():
                self._hear(client, text)
        finally:
            self._clients.discard(client)
            for subscription in client.subscriptions.values():
                self._stream.remove(subscription)
            for task in client.tasks:
                task.cancel()

    def _hear(self, client: _Client, text: str) -> None:
        try:
            message = json.loads(text)
            sent = _texts(json.loads(text, parse_float=str, parse_int=str).get("params", {}))
            method = str(message["method"])
            number = message.get("id")
        except (ValueError, AttributeError, KeyError, TypeError):
            refusal = Refused(-1000, "Malformed JSON request.")
            client.line.say(json.dumps({"id": None, "status": 400, "error": refusal.body()}))
            return
        operation = self._operations.get(method) or self._own(client, method)
        action = Action.OTHER if operation is None else operation.action
        self._recorder.record(
            action, method, text.encode(), client_ids(action, sent), client.line.request.transport
        )
        if self._state.muted:
            return
        if operation is None:
            unknown = Refused(-1000, f"Method '{method}' is invalid.").body()
            client.line.say(json.dumps({"id": number, "status": 400, "error": unknown}))
            return
        armed = self._recorder.strike(action)
        if armed is not None and armed.fault is Fault.LOSE_REQUEST:
            return
        call = Call(
            sent=sent,
            payload=ws_payload(sent),
            key=sent.get("apiKey"),
            address=client.line.request.remote or "",
            session=client.key,
        )
        answer = self._gate.answer(operation, call, armed)
        self._reply(client, number, sent, answer, armed)
        self._stream.flush()

    def _reply(
        self, client: _Client, number: Any, sent: Mapping[str, str], answer: Answer, armed: Armed | None
    ) -> None:
        """Answer what was done, as the fault has it."""
        told = {"id": number, "status": answer.status, "error" if answer.refused else "result": answer.body}
        if sent.get("returnRateLimits", "true" if client.rates else "false") != "false":
            told["rateLimits"] = answer.rates
        text = json.dumps(told)
        fault = None if armed is None else armed.fault
        if fault is Fault.LOSE_ANSWER:
            return
        if fault is Fault.HANG_UP:
            client.line.abort()
        elif fault is Fault.ERROR_AFTER:
            lost = timed_out()
            client.line.say(json.dumps({"id": number, "status": lost.status, "error": lost.body()}))
        elif fault is Fault.GARBLE:
            client.line.say(GARBLED)
        elif fault is Fault.HOLD:
            task = asyncio.ensure_future(self._later(client, text))
            client.tasks.add(task)
            task.add_done_callback(client.tasks.discard)
        else:
            client.line.say(text)

    async def _later(self, client: _Client, text: str) -> None:
        await self._waits.released.wait()
        client.line.say(text)

    # What only a connection has ------------------------------------------------------------------------

    def _own(self, client: _Client, method: str) -> Operation | None:
        """The operation of this connection under a name."""

        def of(run: Callable[[_Client, Parameters], Any], weight: int, *, signed: bool = False) -> Operation:
            return Operation(
                run=lambda sent: run(client, sent),
                weight=lambda _: weight,
                action=Action.OTHER,
                signed=signed,
            )

        return {
            "session.logon": lambda: of(self._logon, 2, signed=True),
            "session.status": lambda: of(self._status, 2),
            "session.logout": lambda: of(self._logout, 2),
            "session.subscriptions": lambda: of(self._listed, 2),
            "userDataStream.subscribe": lambda: of(self._subscribe, 2),
            "userDataStream.subscribe.signature": lambda: of(self._subscribe_signed, 2, signed=True),
            "userDataStream.unsubscribe": lambda: of(self._unsubscribe, 2),
        }.get(method, lambda: None)()

    def _logon(self, client: _Client, sent: Parameters) -> dict[str, Any]:
        key = self._keys.known(sent.raw("apiKey"))
        sent.done()
        if not key.ed25519:
            raise Refused(-4056, "HMAC_SHA256 API key is not supported.")
        client.key, client.since = key, self._now()
        return self._session(client)

    def _status(self, client: _Client, sent: Parameters) -> dict[str, Any]:
        sent.done()
        return self._session(client)

    def _logout(self, client: _Client, sent: Parameters) -> dict[str, Any]:
        sent.done()
        client.key = client.since = None
        return self._session(client)

    def _session(self, client: _Client) -> dict[str, Any]:
        return {
            "apiKey": None if client.key is None else client.key.name,
            "authorizedSince": client.since,
            "connectedSince": client.connected,
            "returnRateLimits": client.rates,
            "serverTime": self._now(),
            "userDataStream": bool(client.subscriptions),
        }

    @staticmethod
    def _listed(client: _Client, sent: Parameters) -> list[dict[str, int]]:
        sent.done()
        return [{"subscriptionId": number} for number in client.subscriptions]

    def _subscribe(self, client: _Client, sent: Parameters) -> dict[str, int]:
        sent.done()
        if client.key is None:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        return self._subscribed(client)

    def _subscribe_signed(self, client: _Client, sent: Parameters) -> dict[str, int]:
        sent.done()
        return self._subscribed(client)

    def _subscribed(self, client: _Client) -> dict[str, int]:
        # Both keys are of one account, and a connection hears an account once.
        if client.subscriptions:
            raise Refused(-2035, "User Data Stream subscription already active.")
        subscription = Subscription(client.line, client.count)
        client.count += 1
        client.subscriptions[subscription.id] = subscription
        self._stream.add(subscription)
        return {"subscriptionId": subscription.id}

    def _unsubscribe(self, client: _Client, sent: Parameters) -> dict[str, Any]:
        number = sent.long("subscriptionId")
        sent.done()
        gone = list(client.subscriptions) if number is None else [number]
        if not gone or any(one not in client.subscriptions for one in gone):
            raise Refused(-2036, "User Data Stream subscription not active.")
        for one in gone:
            self._stream.remove(client.subscriptions.pop(one), self._now())
        return {}


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as text, as they are signed."""
    return {name: _text(value) for name, value in params.items()}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))
