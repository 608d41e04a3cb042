"""The sender: each request at most once, looked at again just before, reported exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import (
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
    Unsupported,
)
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    RejectReason,
    Side,
)
from alphaweave.live.actions import Gate, SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.adapters.rate_budget import objection
from alphaweave.live.inputs import OutcomeKind, SendOutcome
from alphaweave.live.reports import OrderAck
from alphaweave.live.sender import Sender

WHEN = datetime(2026, 3, 2, tzinfo=UTC)
OPEN = Gate(open=True)
SECOND = 10**9


def ref(name: str, symbol: str = "A") -> OrderRef:
    return OrderRef(name, symbol)


def submit(name: str, symbol: str = "A", **changes: Any) -> SendSubmit:
    request = OrderRequest(symbol=symbol, side=Side.BUY, quantity=Decimal(1))
    return SendSubmit(name, ref(name, symbol), request, decided_at=0, **changes)


def cancel(name: str) -> SendCancel:
    return SendCancel(f"cancel-{name}", ref(name))


def replace(old: str, new: str) -> SendReplace:
    return SendReplace(new, ref(old), ref(new), OrderChange(quantity=Decimal(2)), decided_at=0)


def oco(*names: str) -> SendGroup:
    legs = [
        OrderRequest(
            symbol="A", side=Side.SELL, quantity=Decimal(1), type=OrderType.LIMIT, limit_price=Decimal(9)
        ),
        OrderRequest(
            symbol="A", side=Side.SELL, quantity=Decimal(1), type=OrderType.STOP, stop_price=Decimal(5)
        ),
    ]
    group = OrderGroup(kind=GroupKind.OCO, entry=None, take_profit=legs[0], stop_loss=legs[1])
    return SendGroup(names[0], tuple(map(ref, names)), group, decided_at=0)


class Desk:
    """A broker that is told what to answer, and the sender before it.

    Attributes:
        calls: what reached the broker, in order; told: what was reported, in order.
        slow: names whose answer waits until `answer`.
        errors: name -> what is raised.
    """

    def __init__(self, **settings: Any) -> None:
        self.calls: list[str] = []
        self.told: list[tuple[str, OutcomeKind]] = []
        self.outcomes: dict[str, SendOutcome] = {}
        self.slow: dict[str, asyncio.Event] = {}
        self.errors: dict[str, BaseException] = {}
        self.odd: dict[str, Any] = {}
        self.time = 0
        self.sender = Sender(self, report=self._report, now=lambda: self.time, **settings)  # type: ignore[arg-type]
        self.sender.set_gate(OPEN)

    def _report(self, intent: str, outcome: SendOutcome) -> None:
        self.told.append((intent, outcome.kind))
        assert intent not in self.outcomes
        self.outcomes[intent] = outcome

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.slow:
            await self.slow[name].wait()
        if name in self.errors:
            raise self.errors[name]

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> Any:
        name = ref.client_order_id
        await self._call(name)
        return self.odd.get(name, OrderAck(evolve(ref, broker_order_id=f"B-{name}"), WHEN))

    async def submit_group(self, refs: tuple[OrderRef, ...], group: OrderGroup) -> Any:
        name = refs[0].client_order_id
        await self._call(name)
        return self.odd.get(name, tuple(OrderAck(each, WHEN) for each in refs))

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        await self._call(f"{ref.client_order_id}>{new_ref.client_order_id}")
        return OrderAck(new_ref, WHEN)

    async def cancel_order(self, ref: OrderRef) -> None:
        await self._call(f"cancel {ref.client_order_id} {ref.broker_order_id}")

    def wait_for(self, name: str) -> None:
        self.slow[name] = asyncio.Event()

    def answer(self, name: str) -> None:
        self.slow[name].set()

    def put(self, *actions: Any) -> None:
        for action in actions:
            self.sender.put(action)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


Scene = Callable[..., Coroutine[Any, Any, None]]


def played(scene: Scene) -> Callable[[], None]:
    """A test out of a coroutine."""

    def run() -> None:
        asyncio.run(asyncio.wait_for(scene(), 5))

    run.__doc__ = scene.__doc__
    return run


@played
async def test_orders_leave_in_the_order_of_decision() -> None:
    """Also while the ones before have not been answered."""
    desk = Desk()
    desk.wait_for("1")
    desk.put(submit("1"), submit("2"), oco("3", "4"), submit("5"))
    await turns()
    assert desk.calls == ["1", "2", "3", "5"]
    assert [name for name, _ in desk.told] == ["2", "3", "5"]
    desk.answer("1")
    await desk.sender.settled()
    assert desk.told[-1] == ("1", OutcomeKind.ACKED)
    assert len(desk.outcomes["3"].acks) == 2
    assert desk.sender.quiet


@played
async def test_no_more_are_on_their_way_than_allowed() -> None:
    desk = Desk(abreast=1)
    desk.wait_for("1")
    desk.put(submit("1"), submit("2"))
    await turns()
    assert desk.calls == ["1"]
    assert not desk.sender.quiet
    desk.answer("1")
    await desk.sender.settled()
    assert desk.calls == ["1", "2"]


@played
async def test_nothing_leaves_before_the_gate_opens() -> None:
    desk = Desk()
    desk.sender.gate = Gate(open=False, reason="not reconciled")
    desk.put(submit("1"))
    await desk.sender.settled()
    assert desk.calls == []
    assert desk.outcomes["1"] == SendOutcome(OutcomeKind.NOT_SENT, text="not reconciled")


@played
async def test_gate_that_shuts_catches_what_waits_and_what_was_just_handed_over() -> None:
    """Up to the very moment of the call."""
    desk = Desk(abreast=2)
    desk.put(submit("1"), submit("2"), submit("3"))
    desk.sender.set_gate(Gate(open=False, reason="halted"))
    await desk.sender.settled()
    assert desk.calls == []
    assert sorted(desk.told) == [(name, OutcomeKind.NOT_SENT) for name in "123"]


@played
async def test_hold_is_stronger_than_a_gate_that_opens() -> None:
    """An operator's halt stands although the core, which has not heard of it yet, opens the gate."""
    desk = Desk()
    desk.sender.hold("eva said halt")
    desk.sender.set_gate(OPEN)
    desk.put(submit("1"), cancel("0"))
    await desk.sender.settled()
    assert desk.calls == ["cancel 0 None"]
    assert desk.outcomes["1"].text == "eva said halt"
    desk.sender.release()
    desk.put(submit("2"))
    await desk.sender.settled()
    assert desk.calls[1:] == ["2"]


@played
async def test_symbol_that_is_shut_holds_only_its_own() -> None:
    desk = Desk()
    desk.sender.set_gate(Gate(open=True, symbols_shut=frozenset({"A"}), reason="mismatch"))
    desk.put(submit("1", "A"), submit("2", "B"), oco("3", "4"))
    await desk.sender.settled()
    assert desk.calls == ["2"]
    assert desk.outcomes["3"].kind is OutcomeKind.NOT_SENT


@played
async def test_exits_pass_a_gate_that_only_the_trading_state_has_shut() -> None:
    desk = Desk()
    desk.sender.set_gate(Gate(open=False, reason="halted", exits=True))
    desk.put(submit("1"), submit("2", exit=True))
    desk.sender.set_gate(Gate(open=False, reason="connection lost"))
    desk.put(submit("3", exit=True))
    await desk.sender.settled()
    assert desk.calls == []
    desk.sender.set_gate(Gate(open=False, reason="halted", exits=True))
    desk.put(submit("4"), submit("5", exit=True))
    await desk.sender.settled()
    assert desk.calls == ["5"]


@played
async def test_decision_that_grew_old_is_not_sent() -> None:
    """Its age counts at the moment of sending, not of handing over."""
    desk = Desk(abreast=1)
    desk.wait_for("1")
    desk.put(submit("1"), submit("2", deadline=5 * SECOND), submit("3", deadline=9 * SECOND))
    await turns()
    desk.time = 6 * SECOND
    desk.answer("1")
    await desk.sender.settled()
    assert desk.calls == ["1", "3"]
    assert "6.0 s old" in desk.outcomes["2"].text


@played
async def test_objection_is_asked_for_just_before() -> None:
    """Of a lost lock, say: whatever the gate."""
    why: list[str | None] = [None]
    desk = Desk(objection=lambda: why[0])
    desk.put(submit("1"))
    why[0] = "the account's lock is lost"
    await desk.sender.settled()
    assert desk.calls == []
    assert desk.outcomes["1"].text == "the account's lock is lost"


@played
async def test_cancel_overtakes_orders_of_others() -> None:
    desk = Desk(abreast=1)
    desk.wait_for("1")
    desk.put(submit("1"), submit("2"), cancel("0"))
    await turns()
    assert desk.calls == ["1", "cancel 0 None"]
    assert desk.told == [("cancel-0", OutcomeKind.CANCEL_TAKEN)]
    desk.answer("1")
    await desk.sender.settled()


@pytest.mark.parametrize("waiting", [submit("2"), oco("2", "3"), oco("3", "2")])
def test_cancel_of_an_order_that_waits_withdraws_it(waiting: SendSubmit | SendGroup) -> None:
    """Nothing is sent of either; both are reported, the order first. Of a group, all of it."""

    async def scene() -> None:
        desk = Desk(abreast=1)
        desk.wait_for("1")
        desk.put(submit("1"), waiting, cancel("2"))
        assert desk.told == [(waiting.intent, OutcomeKind.NOT_SENT), ("cancel-2", OutcomeKind.NOT_SENT)]
        await turns()
        desk.answer("1")
        await desk.sender.settled()
        assert desk.calls == ["1"]

    asyncio.run(scene())


@played
async def test_cancel_waits_for_its_own_order_and_names_what_came_of_it() -> None:
    desk = Desk()
    desk.wait_for("1")
    desk.put(submit("1"))
    await turns()
    desk.put(cancel("1"))
    await turns()
    assert desk.calls == ["1"]
    desk.answer("1")
    await desk.sender.settled()
    assert desk.calls == ["1", "cancel 1 B-1"]
    assert desk.told == [("1", OutcomeKind.ACKED), ("cancel-1", OutcomeKind.CANCEL_TAKEN)]


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (OrderRejected("no"), False),
        (NotSent("no"), False),
        (OutcomeUnknown("?"), True),
        (KeyError("?"), True),
    ],
)
def test_cancel_of_an_order_that_never_came_to_be_is_not_sent(error: Exception, sent: bool) -> None:
    """In doubt it is."""

    async def scene() -> None:
        desk = Desk()
        desk.wait_for("1")
        desk.errors["1"] = error
        desk.put(submit("1"))
        await turns()
        desk.put(cancel("1"))
        desk.answer("1")
        await desk.sender.settled()
        assert desk.calls == ["1", *(["cancel 1 None"] if sent else [])]
        assert desk.outcomes["cancel-1"].kind is (OutcomeKind.CANCEL_TAKEN if sent else OutcomeKind.NOT_SENT)

    asyncio.run(scene())


@played
async def test_replacement_waits_for_what_it_replaces() -> None:
    desk = Desk()
    desk.wait_for("1")
    desk.put(submit("1"), replace("1", "1b"), submit("2"))
    await turns()
    assert desk.calls == ["1"]
    desk.answer("1")
    await desk.sender.settled()
    assert desk.calls == ["1", "1>1b", "2"]


@pytest.mark.parametrize("name", ["1", "1b"])
def test_cancel_withdraws_a_replacement_that_waits_and_goes_for_the_order(name: str) -> None:
    """By whichever of its names: the version that is at the broker has to go."""

    async def scene() -> None:
        desk = Desk(abreast=1)
        desk.wait_for("0")
        desk.put(submit("0"), replace("1", "1b"), cancel(name))
        await turns()
        desk.answer("0")
        await desk.sender.settled()
        assert desk.calls == ["0", "cancel 1 None"]
        assert desk.told[0] == ("1b", OutcomeKind.NOT_SENT)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("error", "cancelled"),
    [
        (None, "1b"),
        (ReplaceRejected("no", order_state=OrderState.ALIVE), "1"),
        (OutcomeUnknown("?"), "1b"),
    ],
)
def test_cancel_during_a_replacement_goes_for_what_came_of_it(
    error: Exception | None, cancelled: str
) -> None:
    async def scene() -> None:
        desk = Desk()
        desk.wait_for("1>1b")
        if error is not None:
            desk.errors["1>1b"] = error
        desk.put(replace("1", "1b"))
        await turns()
        desk.put(cancel("1b"))
        await turns()
        desk.answer("1>1b")
        await desk.sender.settled()
        assert desk.calls == ["1>1b", f"cancel {cancelled} None"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OrderRejected("m", reason=RejectReason.INSUFFICIENT_FUNDS, code="-2010", text="poor"),
            SendOutcome(OutcomeKind.REJECTED, code="insufficient_funds", text="poor"),
        ),
        (NotSent("m", code="c"), SendOutcome(OutcomeKind.NOT_SENT, code="c", text="m")),
        (Unsupported("m"), SendOutcome(OutcomeKind.NOT_SENT, text="m")),
        (OutcomeUnknown("m"), SendOutcome(OutcomeKind.UNKNOWN, text="m")),
        (BrokerUnavailable("m"), SendOutcome(OutcomeKind.UNKNOWN, text="m")),
        (ValueError("m"), SendOutcome(OutcomeKind.UNKNOWN, text="ValueError: m")),
        (SystemExit("m"), SendOutcome(OutcomeKind.UNKNOWN, text="SystemExit: m")),
    ],
)
def test_whatever_a_call_ends_in_is_an_outcome(error: BaseException, expected: SendOutcome) -> None:
    """What an adapter must not raise leaves it unknown what became of the order."""

    async def scene() -> None:
        desk = Desk()
        desk.errors["1"] = error
        desk.put(submit("1"))
        await desk.sender.settled()
        assert desk.outcomes["1"] == expected

    asyncio.run(scene())


@played
async def test_cancel_that_is_refused_says_what_became_of_the_order() -> None:
    desk = Desk()
    desk.errors["cancel 1 None"] = CancelRejected("m", order_state=OrderState.GONE, code="x", text="too late")
    desk.put(cancel("1"))
    await desk.sender.settled()
    assert desk.outcomes["cancel-1"] == SendOutcome(
        OutcomeKind.CANCEL_REJECTED, order_state="gone", code="x", text="too late"
    )


@pytest.mark.parametrize(("action", "answer"), [(submit("1"), None), (oco("1", "2"), ())])
def test_answer_that_acknowledges_nothing_is_unknown(action: SendSubmit | SendGroup, answer: Any) -> None:
    async def scene() -> None:
        desk = Desk()
        desk.odd["1"] = answer
        desk.put(action)
        await desk.sender.settled()
        assert desk.outcomes["1"].kind is OutcomeKind.UNKNOWN

    asyncio.run(scene())


@played
async def test_end_leaves_nothing_unreported() -> None:
    """What waits is not sent, what was answered by no end is unknown, and nothing is taken for sent."""
    desk = Desk(abreast=2)
    desk.wait_for("1")
    desk.put(submit("1"))
    await turns()
    desk.put(submit("2"), submit("3"))
    await desk.sender.close(0)
    assert desk.outcomes["1"].kind is OutcomeKind.UNKNOWN
    assert {desk.outcomes[name].kind for name in "23"} == {OutcomeKind.NOT_SENT}
    assert desk.calls == ["1"]
    desk.put(submit("4"))
    assert desk.outcomes["4"].text == "the run is ending"


@played
async def test_call_that_never_ends_is_unknown_after_a_while() -> None:
    """And the line goes on: an adapter that forgets about time must not hold back every later order."""
    desk = Desk(abreast=1, patience=0.02)
    desk.slow = {"1": asyncio.Event()}
    desk.sender.put(submit("1"))
    desk.sender.put(submit("2"))
    await desk.sender.settled()
    assert desk.told == [("1", OutcomeKind.UNKNOWN), ("2", OutcomeKind.ACKED)]
    assert desk.outcomes["1"].text == "no answer within 0.02 s"


@played
async def test_an_adapter_that_lets_an_order_wait_can_ask_whether_it_may_still_leave() -> None:
    """Of its own order: halted, too old, or let go; and nobody else is answered."""
    desk = Desk()
    for name in ("1", "2", "3", "4"):
        desk.wait_for(name)
    asked: dict[str, str | None] = {}
    submitted = desk.submit_order

    async def waiting(ref: OrderRef, request: OrderRequest) -> Any:
        done = await submitted(ref, request)
        asked[ref.client_order_id] = objection()
        return done

    desk.submit_order = waiting  # type: ignore[method-assign]
    desk.put(submit("1"), submit("2", deadline=SECOND), submit("3", "B"), submit("4"), cancel("4"))
    await turns()
    desk.answer("1")
    desk.answer("4")
    await turns()
    desk.time = 2 * SECOND
    desk.answer("2")
    await turns()
    desk.sender.set_gate(Gate(open=False, reason="halted by eva"))
    desk.answer("3")
    await desk.sender.settled()
    assert asked == {
        "1": None,
        "4": "it was cancelled before it was sent",
        "2": "the decision is 2.0 s old, and that is too old to act on",
        "3": "halted by eva",
    }
    assert objection() is None
