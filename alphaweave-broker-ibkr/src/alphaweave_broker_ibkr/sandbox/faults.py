"""The faults that wait for requests, and what the gateway does oddly on demand."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import define

from alphaweave.testing.sandbox import Action, Fault

if TYPE_CHECKING:
    from alphaweave_broker_ibkr.sandbox.session import Session

__all__ = ["Commissions", "Faults", "Quirks"]

# Where ``placeOrder`` has what joins it to others.
_OCA_GROUP, _TRANSMIT, _PARENT = 22, 27, 28
_BEFORE = frozenset(
    {Fault.REJECT, Fault.DUPLICATE_ID, Fault.THROTTLE, Fault.LOSE_REQUEST, Fault.ERROR_BEFORE}
)


class Commissions(Enum):
    """When commissions are reported: with the execution, when `Troubles.report_commissions` says so, or
    never."""

    AT_ONCE = "at once"
    LATE = "late"
    NEVER = "never"


@define
class Quirks:
    """What gateways have been seen to do.

    Attributes:
        executions_first: an order that is executed at once is told of afterwards.
        no_status: an order that is filled has no status message about that.
        repeats: how often each word about an order is said.
        commissions: when they are reported.
        bare_times: executions bear the time of New York, and do not say so.
        silent_executions: a question for executions that names no client is not answered.
    """

    executions_first: bool = False
    no_status: bool = False
    repeats: int = 1
    commissions: Commissions = Commissions.AT_ONCE
    bare_times: bool = False
    silent_executions: bool = False


@define
class _Armed:
    fault: Fault
    times: int


class Faults:
    """Those that wait. Orders of one group suffer one fault: the first meets it, and the rest with it."""

    def __init__(self) -> None:
        self._armed: dict[Action, _Armed] = {}
        self._families: dict[tuple[int, str], Fault] = {}
        self._refusals: dict[Action, tuple[int, str]] = {}

    def arm(self, action: Action, fault: Fault, times: int) -> None:
        if times == 0:
            self._armed.pop(action, None)
        else:
            self._armed[action] = _Armed(fault, times)

    def refuse(self, action: Action, code: int, text: str) -> None:
        """Let the next request of that action be refused so."""
        self._refusals[action] = (code, text)

    def refusal(self, action: Action) -> tuple[int, str] | None:
        """What the request is refused with, if it is."""
        return self._refusals.pop(action, None)

    def strike(self, action: Action, session: Session, texts: list[str]) -> Fault | None:
        """The fault that befalls a request."""
        if action is not Action.SUBMIT or len(texts) <= _PARENT:
            return self._next(action)
        client = session.client_id or 0
        keys = [(client, f"order {texts[1]}")]
        if texts[_PARENT] not in {"", "0"}:
            keys.append((client, f"order {texts[_PARENT]}"))
        if texts[_OCA_GROUP]:
            keys.append((client, f"group {texts[_OCA_GROUP]}"))
        found = next((self._families[key] for key in keys[1:] if key in self._families), None)
        if found is None:
            found = self._next(action)
        if found is None:
            return None
        for key in keys:
            self._families[key] = found
        # What has not been transmitted has no answer that could suffer.
        return found if found in _BEFORE or texts[_TRANSMIT] != "0" else None

    def _next(self, action: Action) -> Fault | None:
        armed = self._armed.get(action)
        if armed is None:
            return None
        armed.times -= 1
        if armed.times <= 0:
            del self._armed[action]
        return armed.fault
