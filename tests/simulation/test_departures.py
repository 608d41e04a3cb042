"""What leaves a process: in turn, in time, and no cancel before its order's own request has ended."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.order import OrderChange, OrderRef, OrderRequest, Side
from alphaweave.live.actions import SendCancel, SendReplace, SendSubmit
from simulation.clock import SECOND
from simulation.departures import Departures


def submit(name: str, decided_at: int = 0) -> SendSubmit:
    request = OrderRequest(symbol="A", side=Side.BUY, quantity=Decimal(1))
    return SendSubmit(name, OrderRef(name, "A"), request, decided_at=decided_at)


def replace(old: str, new: str) -> SendReplace:
    change = OrderChange(quantity=Decimal(2))
    return SendReplace(new, OrderRef(old, "A"), OrderRef(new, "A"), change, decided_at=0)


def cancel(name: str) -> SendCancel:
    return SendCancel(f"cancel:{name}", OrderRef(name, "A"))


def handed_out(*names: str) -> Departures:
    departures = Departures(5 * SECOND)
    for name in names:
        departures.handed_out(submit(name))
    return departures


def test_orders_leave_in_the_order_in_which_they_were_handed_out() -> None:
    """One that never left is passed over; one that was passed over never leaves."""
    departures = handed_out("1", "2", "3")
    assert list(departures.leaves(submit("1"), 0)) == []
    assert list(departures.leaves(submit("3"), 0)) == []
    assert list(departures.leaves(submit("2"), 0)) == [("I7", "2 leaves out of turn")]


def test_an_old_decision_does_not_leave() -> None:
    """Five seconds are not too old, and a moment more is."""
    departures = handed_out("1", "2")
    assert list(departures.leaves(submit("1", decided_at=SECOND), 6 * SECOND)) == []
    assert list(departures.leaves(submit("2", decided_at=SECOND), 7 * SECOND)) == [
        ("I7", "2 leaves 6 s after it was decided on")
    ]


def test_a_cancel_waits_for_the_request_of_its_order() -> None:
    """Also for a replacement that is on its way, under both names; and for no other order's."""
    departures = handed_out("1", "2")
    departures.handed_out(replace("1", "1b"))
    assert list(departures.leaves(submit("1"), 0)) == []
    departures.withdrawn("2")
    assert list(departures.leaves(cancel("2"), 0)) == []
    assert list(departures.leaves(cancel("1"), 0)) == [
        ("I7", "cancel:1 leaves while 1 is on its way, which it may overtake")
    ]
    departures.landed(submit("1"))
    assert list(departures.leaves(cancel("1"), 0)) == []
    assert list(departures.leaves(replace("1", "1b"), 0)) == []
    assert [len(list(departures.leaves(cancel(name), 0))) for name in ("1", "1b")] == [1, 1]
    departures.landed(replace("1", "1b"))
    assert list(departures.leaves(cancel("1b"), 0)) == []


def test_a_cancel_of_an_order_that_waits_does_not_leave() -> None:
    """It withdraws the order; of a replacement that waits, what would be replaced may be cancelled."""
    departures = handed_out("1", "2")
    assert list(departures.leaves(cancel("1"), 0)) == [
        ("I7", "cancel:1 leaves while 1 waits, which it should have withdrawn")
    ]
    departures.withdrawn("1")
    assert list(departures.leaves(cancel("1"), 0)) == []
    assert list(departures.leaves(submit("2"), 0)) == []
    departures.landed(submit("2"))
    departures.handed_out(replace("2", "2b"))
    assert [len(list(departures.leaves(cancel(name), 0))) for name in ("2", "2b")] == [0, 1]
