"""What the gateway's refusals of market data mean."""

from __future__ import annotations

from typing import Final

from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave_broker_ibkr.gateway import Refused

__all__ = ["HISTORY_REFUSED", "PACING_PAUSE", "data_error", "is_no_data", "is_no_right", "is_pacing"]

HISTORY_REFUSED: Final = 162
"""Its text alone says why."""

PACING_PAUSE: Final = 15.0
"""Seconds in which nothing is asked for after the gateway said that it was too much."""

_NOTHING: Final = ("no data", "no head time stamp")
_NO_CONTRACT: Final = 200
_NOT_SUBSCRIBED: Final = frozenset({354, 420, 10089, 10168, 10186})
_MANY_CAUSES: Final = frozenset({HISTORY_REFUSED, 10189})
_COMPETING: Final = 10197
_TOO_MANY: Final = frozenset({101, 10190})


def is_no_data(no: Refused) -> bool:
    """Whether it means that there is nothing: an answer, and no failure."""
    text = no.text.lower()
    return no.code == HISTORY_REFUSED and any(words in text for words in _NOTHING)


def is_pacing(no: Refused) -> bool:
    """Whether too much was asked for."""
    return no.code == HISTORY_REFUSED and "pacing" in no.text.lower()


def is_no_right(no: Refused) -> bool:
    """Whether the account has no subscription to these prices."""
    return no.code in _NOT_SUBSCRIBED or (no.code in _MANY_CAUSES and "permission" in no.text.lower())


def data_error(no: Refused, symbol: str) -> BrokerUnavailable | Unsupported:
    """The same refusal, in words that say what to do."""
    told = f"(Interactive Brokers: {no.code} {no.text})"
    code = str(no.code)
    if is_pacing(no):
        text = f"{symbol}: more history was asked for than the gateway gives at a time {told}"
        return BrokerUnavailable(text, code=code, text=no.text, retry_after=PACING_PAUSE)
    if is_no_right(no):
        return Unsupported(
            f"{symbol}: the account has no subscription to these prices; take one, share it with the paper "
            f"account, or write data: delayed {told}"
        )
    if no.code == _NO_CONTRACT:
        return Unsupported(f"{symbol}: Interactive Brokers does not know the contract {told}")
    if no.code == _COMPETING:
        what = "another login of this user has the market data; end it"
    elif no.code in _TOO_MANY:
        what = "more streams than the account's market data lines; have fewer symbols"
    else:
        what = "no market data"
    return BrokerUnavailable(f"{symbol}: {what} {told}", code=code, text=no.text)
