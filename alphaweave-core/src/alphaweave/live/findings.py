"""What is found out about an account or a connection before a run, by `alphaweave doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from attrs import field, frozen

__all__ = ["Diagnosing", "Finding", "Verdict"]


class Verdict(StrEnum):
    """OK: as it should be. WARNING: a run may start, and its operator should know. FAILURE: a run would be
    refused, or could not trade as its config says."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: in a word or two, lower case: ``clock``, ``permissions``, ``rate budget``.
        text: what was found, with its figures; never a secret.
        advice: what to do about it; empty where there is nothing to do.
    """

    subject: str
    verdict: Verdict = field(converter=Verdict)
    text: str
    advice: str = ""


@runtime_checkable
class Diagnosing(Protocol):
    """What a broker or a datafeed has besides its contract, if it can tell more of itself: permissions,
    blocks, the rate budget that is left."""

    async def diagnose(self) -> Sequence[Finding]:
        """Look at what no other method of the contract shows. It is called once, after ``connect``.

        It asks and changes nothing: no order, no cancel, no setting, no use of ``Services.store``.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        ...
