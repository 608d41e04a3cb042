"""What each message code of the gateway means for what it is about."""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["Meaning", "Subject", "meaning_of"]


class Subject(Enum):
    """What a message is about, as the one that asked knows it."""

    SESSION = "session"
    REQUEST = "request"
    NEW_ORDER = "new order"
    ORDER = "order"
    REPLACE = "replace"
    CANCEL = "cancel"


class Meaning(Enum):
    """What follows from a message.

    ``LOOK_UP`` is "nobody knows": the state of the order must be asked for, and nothing be concluded before.
    """

    INFORMATION = "information"
    ORDER_REJECTED = "order rejected"
    ORDER_CANCELLED = "order cancelled"
    ACTION_REFUSED = "action refused, order unchanged"
    LOOK_UP = "look up"
    REQUEST_FAILED = "request failed"
    DATA_FAILED = "market data failed"
    CONNECTIVITY_LOST = "connectivity lost"
    RESTORED_DATA_LOST = "restored, subscriptions lost"
    RESTORED = "restored"
    FARM_LOST = "data farm lost"
    FARM_RESTORED = "data farm restored"
    CLIENT_ID_IN_USE = "client id in use"
    PORT_CHANGED = "port changed"
    RATE_EXCEEDED = "rate exceeded"


_INFORMATION: Final = frozenset({2107, 2108, 2109, 2119, 2158, 399, 404, 10090, 10167, 10349})
_SESSION: Final = {
    100: Meaning.RATE_EXCEEDED,
    326: Meaning.CLIENT_ID_IN_USE,
    1100: Meaning.CONNECTIVITY_LOST,
    2110: Meaning.CONNECTIVITY_LOST,
    1101: Meaning.RESTORED_DATA_LOST,
    1102: Meaning.RESTORED,
    1300: Meaning.PORT_CHANGED,
    2103: Meaning.FARM_LOST,
    2105: Meaning.FARM_LOST,
    2104: Meaning.FARM_RESTORED,
    2106: Meaning.FARM_RESTORED,
}
_DATA: Final = frozenset({101, 162, 300, 354, 366, 10089, 10168, 10182, 10197, 10225})
# Not 103: the number may have been used before by this very order.
_REFUSALS: Final = frozenset({104, 105, 110, 200, 201, 203, 321, 460, 10243, 10289})
_CANCELLED: Final = 202
_NOT_CANCELLABLE: Final = 161


def meaning_of(code: int, subject: Subject) -> Meaning:
    """What a message with this code means for what it is about.

    A code nobody has listed never ends an order: it is looked up.
    """
    if code in _SESSION:
        return _SESSION[code]
    if code in _INFORMATION:
        return Meaning.INFORMATION
    if subject is Subject.SESSION:
        # A message about nothing in particular changes nothing.
        return Meaning.INFORMATION
    if subject is Subject.REQUEST:
        return Meaning.DATA_FAILED if code in _DATA else Meaning.REQUEST_FAILED
    if code == _CANCELLED:
        return Meaning.ORDER_CANCELLED
    if subject is Subject.NEW_ORDER and code in _REFUSALS:
        return Meaning.ORDER_REJECTED
    if subject is Subject.REPLACE and code in _REFUSALS:
        return Meaning.ACTION_REFUSED
    if subject is Subject.CANCEL and code in {_NOT_CANCELLABLE, 321}:
        return Meaning.ACTION_REFUSED
    if subject is Subject.ORDER and code in {201, 203}:
        # The exchange refuses an order that the gateway had taken.
        return Meaning.ORDER_REJECTED
    return Meaning.LOOK_UP
