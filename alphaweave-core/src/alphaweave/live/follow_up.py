"""What follows once an order is over that was cancelled for its next version: that version, or its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus
from alphaweave.live.effects import SubmitOrder
from alphaweave.live.orders import Order
from alphaweave.live.rounding import UNUSABLE, Refused, complaint
from alphaweave.live.succession import EXECUTIONS_MISSING, changed_request, left_after, retired, succeed

if TYPE_CHECKING:
    from alphaweave.live.kernel import Kernel

__all__ = ["NextVersion", "follow_up"]

NextVersion = Callable[[Order, OrderRequest], OrderRef | None]
"""Names the next version of an order, which asks for that; None: it has to wait. Or it raises `Refused`."""


def follow_up(kernel: Kernel, next_version: NextVersion | None = None) -> None:
    """Place the next version of each order that was cancelled for it and is over, or say why there is none.

    Args:
        next_version: None asks the desk, by the rules of this moment.

    Raises:
        StrategyError: ``on_order`` failed for one that ended.
    """
    ended: list[Order] = []
    for order in tuple(kernel.retiring.values()):
        if order.retiring and not retired(order):
            continue
        if not order.retiring:
            del kernel.retiring[order.id]  # it was refused before, and told
            continue
        order.accept()  # whatever it was in doubt about, it is over
        try:
            request = _next_request(order)
            if request is not None:
                ref = (next_version or kernel.desk.next_version)(order, request)
                if ref is None:
                    continue
                succeed(order, ref)
                kernel.effects.append(SubmitOrder(ref, request))
        except Refused as refusal:
            kernel.refuse_next(order, refusal.text)
        except (Unsupported, *UNUSABLE) as error:
            kernel.refuse_next(order, complaint(error))
        except Exception as error:
            # The adapter's `prepare` must not raise that.
            kernel.refuse_next(order, f"the adapter raised {type(error).__name__}: {error}")
        del kernel.retiring[order.id]
        order.reserve()
        if order.status.terminal:
            ended.append(order)
            kernel.changed(order)
    for order in ended:
        kernel.tell_order(order)


def _next_request(order: Order) -> OrderRequest | None:
    """What the next version asks for; None: the order is complete without one.

    Raises:
        Refused: there shall be none.
    """
    ending, change, succession = order.ending, order.change, order.succession
    assert change is not None
    assert succession is not None
    if ending is None or ending[0] is not OrderStatus.CANCELLED:
        status = OrderStatus.FILLED if ending is None else ending[0]
        raise Refused("not_open", f"it was {status.value} before that")
    if ending[1] == EXECUTIONS_MISSING:
        raise Refused("not_open", ending[2])
    request = left_after(order.request, change, order.filled)
    if request is None:
        order.request = changed_request(order.request, change)
        order.quantity = order.request.quantity
        order.drop_change("")
    elif succession.revoked:
        raise Refused("cancelled", "it was cancelled")
    return request
