"""What a broker call can end in: a branch of `alphaweave.core.errors`, from where it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from alphaweave.core.errors_root import AlphaweaveError
from alphaweave.core.order import RejectReason

__all__ = [
    "AuthenticationFailed",
    "BrokerError",
    "BrokerUnavailable",
    "CancelRejected",
    "NotSent",
    "OrderRejected",
    "OrderState",
    "OutcomeUnknown",
    "ReplaceRejected",
    "Unsupported",
]


class BrokerError(AlphaweaveError):
    """What a broker call can end in, besides success.

    Attributes:
        code: the broker's own code, or AlphaWeave's reason code; may be None.
        text: the broker's own words, unchanged; may be empty.
    """

    def __init__(self, message: str, *, code: str | None = None, text: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.text = text


class Unsupported(BrokerError):
    """The adapter does not declare this feature. Raised before anything is sent."""


class OrderRejected(BrokerError):
    """The broker refused the order. Final: it will never work or fill.

    Never for a refusal that says "this client order id was used before": the order may well exist, so
    that is `OutcomeUnknown`.

    Attributes:
        reason: the refusal in words that are the same for every broker; ``code`` and ``text`` are its own.
        retry_after: seconds for which the broker wants no more orders, where it says so. This order is
            not sent again in any case.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        code: str | None = None,
        text: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.reason = reason
        self.retry_after = retry_after


class OrderState(Enum):
    """What became of the order whose cancel or replacement was refused.

    ALIVE: it works on unchanged. GONE: it is over, filled or otherwise. UNKNOWN: the refusal does not
    say (Binance's ``Unknown order sent.`` is given for an order that ended and for one that never
    arrived); look it up.
    """

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


class CancelRejected(BrokerError):
    """The broker refused the cancel. Fills may still come.

    Attributes:
        order_state: whether the order still works.
    """

    def __init__(
        self,
        message: str,
        *,
        order_state: OrderState = OrderState.UNKNOWN,
        code: str | None = None,
        text: str = "",
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.order_state = order_state


class ReplaceRejected(BrokerError):
    """The broker refused the replacement.

    Attributes:
        order_state: whether the original order still works.
    """

    def __init__(
        self, message: str, *, order_state: OrderState, code: str | None = None, text: str = ""
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.order_state = order_state


class NotSent(BrokerError):
    """Not a byte of the request left this machine. Final: the order does not exist."""


class OutcomeUnknown(BrokerError):
    """The request may or may not have been accepted. It is never sent again; only a lookup settles it.

    Raise it for a timeout, a dropped connection or a 5xx answer after a byte could have left, for a
    refusal that says "this client order id was used before" (by an earlier byte of this same order, for
    all anybody knows), and for any answer the adapter does not know.
    """


class BrokerUnavailable(BrokerError):
    """A query got no usable answer. It means "don't know", never "none" and never "flat".

    Attributes:
        retry_after: seconds after which asking again may succeed, where that is known (the broker said
            so, or the adapter's own request budget is spent).
    """

    def __init__(
        self, message: str, *, code: str | None = None, text: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.retry_after = retry_after


class AuthenticationFailed(BrokerError):
    """The broker refused the credentials, or they belong to another environment than the run's mode.

    Attributes:
        details: facts that disagreed, safe to print (never a secret).
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        text: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.details = dict(details or {})
