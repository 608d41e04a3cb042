"""Where every request goes through: limits, keys and faults, then what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from alphaweave.testing.sandbox import Action, Fault
from alphaweave_broker_binance.sandbox.keys import Key, Keys
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.parameters import Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused, engine
from alphaweave_broker_binance.sandbox.user_stream import UserStream
from alphaweave_broker_binance.sandbox.wire import Armed

__all__ = ["Answer", "Call", "Gate", "Operation", "timed_out"]


@frozen(kw_only=True)
class Operation:
    """One thing that can be asked for, on REST, on the WebSocket API or on both.

    Attributes:
        rest: method and path; "" where REST has none.
        ws: method; "" where the WebSocket API has none.
        weight: by its parameters.
        signed: it needs a signature.
        places: it places orders: the answer bears their count, and costs nothing where it was taken.
    """

    run: Callable[[Parameters], Any]
    weight: Callable[[Parameters], int] = field(default=lambda _: 1)
    rest: str = ""
    ws: str = ""
    action: Action = Action.QUERY
    signed: bool = True
    places: bool = False


@frozen(kw_only=True)
class Call:
    """One request.

    Attributes:
        sent: its parameters.
        payload: the text that had to be signed.
        key: the API key's name, as it came.
        session: the key that the connection has logged on with.
    """

    sent: Mapping[str, str]
    payload: str
    key: str | None
    address: str
    session: Key | None = None


@frozen(kw_only=True)
class Answer:
    """What comes of it; ``body`` is the result, or of a refusal its code and message."""

    status: int
    body: Any
    headers: Mapping[str, str]
    rates: list[dict[str, Any]]
    refused: bool = False


class Gate:
    """
    Args:
        now: the venue's time, milliseconds.
        events_first: the events of an order go out before its answer.
    """

    def __init__(
        self, limits: Limits, keys: Keys, stream: UserStream, now: Callable[[], int], *, events_first: bool
    ) -> None:
        self._limits, self._keys, self._stream, self._now = limits, keys, stream, now
        self._events_first = events_first

    def answer(self, operation: Operation, call: Call, armed: Armed | None) -> Answer:
        """Do it, unless a fault says otherwise. Its events wait until the stream is flushed."""
        parameters = Parameters(call.sent)
        try:
            self._limits.spend(call.address, operation.weight(Parameters(call.sent)))
            refusal = None if armed is None else _instead(armed, operation.action)
            if refusal is not None:
                raise refusal
            self.authorize(operation, call, parameters)
            with self._stream.after_the_answer(first=self._events_first):
                body = operation.run(parameters)
        except Refused as refusal:
            return self._told(refusal, call)
        if operation.places or operation.action is Action.CANCEL:
            self._limits.refund(call.address, operation.weight(Parameters(call.sent)))
        return Answer(
            status=200,
            body=body,
            headers=self._limits.headers(call.address, orders=operation.places),
            rates=self._limits.rates(call.address, orders=operation.places),
        )

    def authorize(self, operation: Operation, call: Call, parameters: Parameters) -> Key | None:
        """The key that a request is signed with; None where it needs none.

        Raises:
            Refused: it is not signed as it has to be.
        """
        if not operation.signed:
            return None
        if call.session is not None and not parameters.has("apiKey"):
            self._keys.check_time(parameters, self._now())
            return call.session
        key = self._keys.known(call.key)
        self._keys.check(key, parameters, call.payload, self._now())
        return key

    def _told(self, refusal: Refused, call: Call) -> Answer:
        headers = self._limits.headers(call.address, orders=False)
        body = refusal.body()
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(refusal.retry_after)
            body["data"] = {
                "serverTime": self._now(),
                "retryAfter": self._now() + refusal.retry_after * 1000,
            }
        return Answer(
            status=refusal.status,
            body=body,
            headers=headers,
            rates=self._limits.rates(call.address, orders=False),
            refused=True,
        )


def timed_out() -> Refused:
    """What may have been done, and is not answered in time."""
    return Refused(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        status=503,
    )


def _instead(armed: Armed, action: Action) -> Refused | None:
    """What is answered instead of doing what was asked; None if the fault comes after that."""
    match armed.fault:
        case Fault.THROTTLE:
            return Refused(
                -1003,
                "Too many requests; current limit is reached.",
                status=429,
                retry_after=max(1, round(armed.retry_after)),
            )
        case Fault.ERROR_BEFORE:
            return Refused(
                -1001, "Internal error; unable to process your request. Please try again.", status=500
            )
        case Fault.DUPLICATE_ID:
            return engine("Duplicate order sent.")
        case Fault.REJECT if action is Action.SUBMIT:
            return engine("Account has insufficient balance for requested action.")
        case Fault.REJECT if action is Action.CANCEL:
            return Refused(-2011, "Order was not canceled due to cancel restrictions.")
        case Fault.REJECT if action is Action.REPLACE:
            data = {
                "cancelResult": "FAILURE",
                "newOrderResult": "NOT_ATTEMPTED",
                "cancelResponse": {
                    "code": -2011,
                    "msg": "Order was not canceled due to cancel restrictions.",
                },
                "newOrderResponse": None,
            }
            return Refused(-2022, "Order cancel-replace failed.", data=data)
        case Fault.REJECT:
            return Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        case _:
            return None
