"""What the kernel wants done: the only way anything leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from attrs import evolve, frozen

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.express_orders import AcceptedNote, ExpressOrder, FilledNote, TradeNote
from alphaweave.live.rounding import Refused
from alphaweave.monitoring.monitor import Alert, OrderRecord, TradeRecord

__all__ = [
    "CancelOrder",
    "Effect",
    "MetricRecord",
    "Note",
    "Prepare",
    "ReplaceOrder",
    "Reservations",
    "RetireOrder",
    "SubmitGroup",
    "SubmitOrder",
    "prepared",
]


@frozen
class SubmitOrder:
    ref: OrderRef
    request: OrderRequest


@frozen
class SubmitGroup:
    """``refs`` are in the order of ``group.legs``."""

    refs: tuple[OrderRef, ...]
    group: OrderGroup


@frozen
class CancelOrder:
    ref: OrderRef


@frozen
class ReplaceOrder:
    ref: OrderRef
    new_ref: OrderRef
    change: OrderChange


@frozen
class RetireOrder:
    """Cancel an order so that its next version can be placed; see `alphaweave.live.succession`."""

    ref: OrderRef
    new_ref: OrderRef
    change: OrderChange


Prepare = Callable[
    [OrderRequest | OrderGroup | OrderChange, Sequence[OrderRef], OrderRef | None],
    Sequence[Mapping[str, str]],
]
"""``Broker.prepare``, which gives an effect its wire names."""


def prepared(
    prepare: Prepare,
    request: OrderRequest | OrderGroup | OrderChange,
    refs: tuple[OrderRef, ...],
    replaces: OrderRef | None = None,
) -> tuple[OrderRef, ...]:
    """``refs`` with the wire names that the adapter reserves for them.

    Raises:
        Refused: the adapter cannot express the request, or does not answer for every ref.
    """
    wires = _wires(prepare, request, refs, replaces)
    return tuple(
        evolve(ref, wire=MappingProxyType(dict(wire))) for ref, wire in zip(refs, wires, strict=True)
    )


class Reservations:
    """``Broker.prepare`` of a run that is recorded: what it refuses is in no input, and has to be kept.

    Attributes:
        refused: why, as a reason and a text, by client order id; the core takes and clears it.
    """

    def __init__(self, prepare: Prepare) -> None:
        self.refused: dict[str, tuple[str, str]] = {}
        self._prepare = prepare

    def __call__(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        """Reserve.

        Raises:
            Refused: the adapter does not.
        """
        try:
            return _wires(self._prepare, request, refs, replaces)
        except Refused as refusal:
            why = refusal.reason, refusal.text
            self.refused.update((ref.client_order_id, why) for ref in refs)
            raise


def _wires(
    prepare: Prepare,
    request: OrderRequest | OrderGroup | OrderChange,
    refs: Sequence[OrderRef],
    replaces: OrderRef | None,
) -> Sequence[Mapping[str, str]]:
    try:
        wires = prepare(request, refs, replaces)
    except Unsupported as error:
        raise Refused("unsupported", error.text or str(error)) from error
    if len(wires) != len(refs):
        raise Refused("adapter_failed", f"the broker's adapter prepared {len(wires)} of {len(refs)} orders")
    return wires


Effect = SubmitOrder | SubmitGroup | CancelOrder | ReplaceOrder | RetireOrder | ExpressOrder
"""An `ExpressOrder` is a submit too; only a kernel with a straight way has one among its effects."""


@frozen
class MetricRecord:
    """A value that the strategy logged."""

    name: str
    value: float
    timestamp: datetime


Note = TradeRecord | OrderRecord | MetricRecord | Alert | TradeNote | AcceptedNote | FilledNote
"""What monitors are told; it has no influence on the run."""
