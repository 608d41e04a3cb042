"""One client's connection: frames in, frames out, and all that can go wrong between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_ibkr.sandbox.hours import NEW_YORK
from alphaweave_broker_ibkr.sandbox.order_messages import error
from alphaweave_broker_ibkr.sandbox.wire import Fields, Malformed, encode, frame, frames

if TYPE_CHECKING:
    from alphaweave_broker_ibkr.sandbox.gateway import Gateway

__all__ = ["HMDS", "REQUESTS", "Kind", "Session", "UnderWay"]

_SERVER_VERSION = 178
# Ticks and bars.
_DATA = frozenset({b"1", b"2", b"45", b"46", b"50", b"90", b"99"})
# How an error begins that is about no request.
_NOTICE = b"4\x002\x00-1\x00"
# How the status of an order begins.
_STATUS = b"3\0"


@frozen
class Kind:
    """A message that clients send.

    Attributes:
        number_at: which field is the number of the request or order; None where there is none.
    """

    name: str
    action: Action
    number_at: int | None = None


_Q, _O, _H = Action.QUERY, Action.OTHER, Action.HISTORY
REQUESTS: Mapping[int, Kind] = MappingProxyType(
    {
        1: Kind("reqMktData", _O, 2),
        2: Kind("cancelMktData", _O, 2),
        3: Kind("placeOrder", Action.SUBMIT, 1),
        4: Kind("cancelOrder", Action.CANCEL, 2),
        5: Kind("reqOpenOrders", _Q),
        6: Kind("reqAccountUpdates", _Q),
        7: Kind("reqExecutions", _Q, 2),
        8: Kind("reqIds", _O),
        9: Kind("reqContractDetails", _Q, 2),
        15: Kind("reqAutoOpenOrders", _O),
        16: Kind("reqAllOpenOrders", _Q),
        17: Kind("reqManagedAccts", _O),
        20: Kind("reqHistoricalData", _H, 1),
        25: Kind("cancelHistoricalData", _O, 2),
        49: Kind("reqCurrentTime", _O),
        50: Kind("reqRealTimeBars", _O, 2),
        51: Kind("cancelRealTimeBars", _O, 2),
        58: Kind("reqGlobalCancel", Action.CANCEL),
        59: Kind("reqMarketDataType", _O),
        61: Kind("reqPositions", _Q),
        62: Kind("reqAccountSummary", _Q, 2),
        63: Kind("cancelAccountSummary", _O, 2),
        64: Kind("cancelPositions", _O),
        71: Kind("startApi", _O),
        76: Kind("reqAccountUpdatesMulti", _Q, 2),
        77: Kind("cancelAccountUpdatesMulti", _O, 2),
        81: Kind("reqMatchingSymbols", _Q, 1),
        87: Kind("reqHeadTimestamp", _H, 1),
        90: Kind("cancelHeadTimestamp", _O, 1),
        91: Kind("reqMarketRule", _Q),
        92: Kind("reqPnL", _Q, 1),
        93: Kind("cancelPnL", _O, 1),
        94: Kind("reqPnLSingle", _Q, 1),
        95: Kind("cancelPnLSingle", _O, 1),
        96: Kind("reqHistoricalTicks", _H, 1),
        97: Kind("reqTickByTickData", _O, 1),
        98: Kind("cancelTickByTickData", _O, 1),
        99: Kind("reqCompletedOrders", _Q),
    }
)


@define
class UnderWay:
    """The request that is being answered.

    Attributes:
        order_id: the order that it is about; None if it is about none.
        executions: how many there were when it came: what follows the next one is no answer any more.
        cancel: whether it asks for the end of that order.
        answers: what is kept for later; None while answers go out at once.
        outcome: what the order's own messages say of what was done, and no fault takes back.
    """

    order_id: int | None
    executions: int
    cancel: bool = False
    answers: list[bytes] | None = None
    outcome: list[bytes] = field(factory=list)


class Session(asyncio.Protocol):
    """One connection.

    Attributes:
        number: of the connection.
        client_id: None until the client has named itself.
        data_type: the kind of market data that the client wants, 1 to 4.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.number = 0
        self.client_id: int | None = None
        self.data_type = 1
        self.under_way: UnderWay | None = None
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._greeted = False
        self._times: deque[float] = deque()

    # The connection ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.gateway.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.gateway.left(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if not self._greeted and not self._greet():
                return
            for body in frames(self._buffer):
                if self.transport is None:
                    return
                self._handle(body)
        except Malformed as problem:
            self.say(error(-1, 320, f"Server error when reading an API client request: {problem}"))
            self.abort()

    def abort(self) -> None:
        """Tear the connection, without a farewell."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """End the connection when what was said has gone out."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.close()

    def _greet(self) -> bool:
        if len(self._buffer) < 8:
            return False
        size = int.from_bytes(self._buffer[4:8], "big")
        if bytes(self._buffer[:4]) != b"API\0" or size > 200:
            raise Malformed("no greeting")
        if len(self._buffer) < 8 + size:
            return False
        offered = bytes(self._buffer[8 : 8 + size]).decode("ascii", "replace")
        del self._buffer[: 8 + size]
        lowest, _, highest = offered.partition(" ")[0].removeprefix("v").partition("..")
        if not (lowest.isdigit() and (highest or lowest).isdigit()):
            raise Malformed(f"no versions in {offered!r}")
        if not int(lowest) <= _SERVER_VERSION <= int(highest or lowest):
            self.close()
            return False
        self._greeted = True
        if not self.gateway.muted:
            # The wall clock of its zone; that is called EST in summer too.
            local = self.gateway.now().astimezone(NEW_YORK)
            self._write(encode((_SERVER_VERSION, f"{local:%Y%m%d %H:%M:%S} EST")))
        return True

    # Speaking ------------------------------------------------------------------------------------------

    def say(self, body: bytes, *, event: bool = False) -> None:
        """Send a message.

        Args:
            event: it answers nothing that was asked.
        """
        if self.transport is None or self.gateway.muted:
            return
        under_way = self.under_way
        if not event and under_way is not None and under_way.answers is not None:
            sure = under_way.cancel and body.startswith(_STATUS)
            (under_way.outcome if sure else under_way.answers).append(body)
        elif event and self.gateway.held is not None and (self.gateway.holds_data or not _is_data(body)):
            self.gateway.held.append((self, body))
        else:
            self._write(body)

    def refuse(self, number: int, code: int, text: str) -> None:
        """Answer with an error."""
        self.say(error(number, code, text))

    def _write(self, body: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame(body))

    def deliver(self, bodies: list[bytes]) -> None:
        """Send what was kept."""
        for body in bodies:
            if not self.gateway.muted:
                self._write(body)

    # Listening -----------------------------------------------------------------------------------------

    def _handle(self, body: bytes) -> None:
        texts = body[:-1].decode("utf-8", "replace").split("\0")
        code = int(texts[0]) if texts[0].isdigit() else -1
        kind = REQUESTS.get(code, Kind(f"message {texts[0]}", Action.OTHER))
        number = _number(texts, kind)
        action = self.gateway.record(self, code, kind, texts, body)
        gateway = self.gateway
        if gateway.muted:
            return
        armed = gateway.faults.strike(action, self, texts)
        if armed is Fault.LOSE_REQUEST:
            return
        if not self._in_time() or armed is Fault.THROTTLE:
            self._throttled(action, number)
            return
        if armed is not None and self._instead(armed, action, number):
            return
        refusal = gateway.faults.refusal(action)
        if refusal is not None:
            self.refuse(number, *refusal)
            return
        kept: list[bytes] | None = None if armed is None else []
        order_id = number if code in {3, 4} else None
        under_way = UnderWay(order_id, gateway.executions(), cancel=code == 4, answers=kept)
        self.under_way = under_way
        try:
            self._answer(code, body, number)
        finally:
            self.under_way = None
        if armed is not None and kept is not None:
            self._after(armed, kept, number)
        self.deliver(under_way.outcome)

    def _answer(self, code: int, body: bytes, number: int) -> None:
        handler = self.gateway.handlers.get(code)
        if handler is None:
            self.refuse(number, 505, "Fatal Error: Unknown message id.")
        elif self.client_id is None and code != 71:
            raise Malformed("a request before the client has named itself")
        else:
            fields = Fields(body)
            fields.text()
            try:
                handler(self, fields)
            except Malformed as problem:
                self.refuse(number, 320, f"Server error when reading an API client request: {problem}")

    def _in_time(self) -> bool:
        """Count a message; False if there were too many in the last second."""
        now = self.gateway.monotonic()
        times = self._times
        while times and times[0] <= now - 1.0:
            times.popleft()
        times.append(now)
        return len(times) <= self.gateway.rate

    def _throttled(self, action: Action, number: int) -> None:
        if action is Action.HISTORY:
            self.refuse(number, 162, f"{HMDS}:Historical data request pacing violation")
        else:
            rate = self.gateway.rate
            text = f"Max rate of messages per second has been exceeded:max={rate} rec={rate + 1} (1)"
            self.refuse(number, 100, text)

    def _instead(self, fault: Fault, action: Action, number: int) -> bool:
        """Answer instead of doing what was asked; False if the fault comes after that."""
        if fault is Fault.ERROR_BEFORE:
            self.refuse(number, 322, "Error processing request.-'bT' : cause - internal error")
        elif fault is Fault.DUPLICATE_ID:
            self.refuse(number, 103, "Duplicate order id")
        elif fault is Fault.REJECT:
            self.refuse(number, *_NO.get(action, _NO[Action.OTHER]))
        else:
            return False
        return True

    def _after(self, fault: Fault, answers: list[bytes], number: int) -> None:
        if fault is Fault.HANG_UP:
            self.abort()
        elif fault is Fault.ERROR_AFTER:
            self.refuse(number, 322, "Error processing request.-'bT' : cause - internal error")
        elif fault is Fault.GARBLE:
            self.say(encode((5, "garbled")))
        elif fault is Fault.HOLD:
            self.gateway.kept.append((self, answers))


HMDS = "Historical Market Data Service error message"
_NO: Mapping[Action, tuple[int, str]] = MappingProxyType(
    {
        Action.SUBMIT: (201, "Order rejected - reason:We are unable to accept your order."),
        Action.CANCEL: (161, "Cancel attempted when order is not in a cancellable state."),
        Action.REPLACE: (201, "Order rejected - reason:Order cannot be modified now."),
        Action.QUERY: (321, "Error validating request.-'bY' : cause - Request is not allowed"),
        Action.HISTORY: (162, f"{HMDS}:No market data permissions for this exchange"),
        Action.OTHER: (321, "Error validating request.-'bY' : cause - Request is not allowed"),
    }
)


def _is_data(body: bytes) -> bool:
    """Whether it is of the market, or of the gateway itself."""
    return body.startswith(_NOTICE) or body.partition(b"\0")[0] in _DATA


def _number(texts: list[str], kind: Kind) -> int:
    at = kind.number_at
    if at is None or at >= len(texts):
        return -1
    text = texts[at]
    return int(text) if text.lstrip("-").isdigit() else -1
