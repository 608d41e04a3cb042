"""The exits of groups, as the broker could still fill them: one of two.

No more than was entered, unless one of them was given another size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal

from attrs import define

from alphaweave.core.money import ZERO
from alphaweave.core.order import Side
from alphaweave.live.actions import SendGroup, SendReplace
from alphaweave.live.reports import BrokerFill, BrokerOrder

__all__ = ["Exits"]


@define
class _Group:
    """One group; each leg by the client ids of its versions, the entry first where there is one."""

    symbol: str
    side: Side
    size: Decimal
    intent: str
    legs: tuple[set[str], ...]
    entered: bool
    resized: bool = False


class Exits:
    """Those of every group that a run has sent.

    Attributes:
        names: client ids of exits, of every version.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._groups: list[_Group] = []

    def sent(self, action: SendGroup) -> None:
        """A group leaves the core."""
        request, refs = action.group.take_profit, action.refs
        assert request.quantity is not None
        legs = tuple({ref.client_order_id} for ref in refs)
        entered = action.group.entry is not None
        self._groups.append(
            _Group(request.symbol, request.side, request.quantity, action.intent, legs, entered)
        )
        self.names.update(ref.client_order_id for ref in refs[-2:])

    def replaced(self, action: SendReplace) -> None:
        """A version of an order gives way to another."""
        for group in self._groups:
            for leg in group.legs:
                if action.ref.client_order_id in leg:
                    leg.add(action.new_ref.client_order_id)
            if action.change.quantity is not None and any(
                action.new_ref.client_order_id in leg for leg in group.legs[-2:]
            ):
                group.resized = True
        if action.ref.client_order_id in self.names:
            self.names.add(action.new_ref.client_order_id)

    def needs(
        self,
        working: Mapping[str, BrokerOrder],
        executions: Mapping[str, BrokerFill],
        booked: Collection[str],
        waiting: Collection[str],
        counted: Callable[[str], bool],
    ) -> Iterator[tuple[str, Side, Decimal]]:
        """Symbol, side and units of each group's exits.

        Args:
            working: the broker's, by client id.
            executions: the broker's, by key.
            booked: keys of those that the run has.
            waiting: intents that may still arrive.
            counted: whether a fill of that order that is not booked has to be counted.
        """
        for group in self._groups:
            exits = group.legs[-2:]
            rests = [
                sum((working[n].quantity or ZERO) - working[n].filled for n in leg if n in working)
                for leg in exits
            ]
            rest = max(*rests, group.size if group.intent in waiting else ZERO)
            known = unknown = ZERO
            entered = ZERO
            for key, fill in executions.items():
                name = fill.client_order_id or ""
                if any(name in leg for leg in exits):
                    if key in booked:
                        known += fill.size
                    elif counted(name):
                        unknown += fill.size
                elif group.entered and name in group.legs[0] and key in booked:
                    entered += fill.size
            units = rest + unknown
            if group.entered and not group.resized:
                # What was entered and is not booked yet is counted as what the entry may still trade.
                units = min(units, max(entered - known, ZERO))
            if units:
                yield group.symbol, group.side, units
