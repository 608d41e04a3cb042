"""Wire names: reserved once by the adapter, in the order of sending, and the order's for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest, OrderStatus, Side
from alphaweave.live.effects import ReplaceOrder, SubmitGroup, SubmitOrder, prepared
from alphaweave.live.kernel_state import capture_kernel, restore_kernel
from alphaweave.live.reports import OrderUpdate
from alphaweave.live.rounding import Refused

BUY = OrderRequest("SPY", Side.BUY, Decimal(1))


class Counter:
    """An adapter's ``prepare``: a number for each order, and for a change that of what it replaces."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, OrderRef | None]] = []
        self.next = 1
        self.refusal: Exception | None = None

    def __call__(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        self.asked.append((type(request).__name__, len(refs), replaces))
        if self.refusal is not None:
            raise self.refusal
        if replaces is not None:
            return [replaces.wire]
        wires = [{"order": str(self.next + number)} for number in range(len(refs))]
        self.next += len(refs)
        return wires


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def bench(make_bench: Any, counter: Counter) -> Any:
    """A kernel whose adapter counts."""
    return make_bench(prepare=counter)


def test_order_gets_what_was_reserved_for_it(bench: Any, counter: Counter) -> None:
    """The ref that is sent bears the wire names and the instant of the decision."""
    bench.do(lambda s: [s.order_market("SPY", 1), s.order_limit("SPY", 1, 90)])
    effects = bench.take()
    assert [effect.ref.wire for effect in effects] == [{"order": "1"}, {"order": "2"}]
    assert {effect.ref.decided_at for effect in effects} == {bench.kernel.when()}
    assert counter.asked == [("OrderRequest", 1, None)] * 2
    with pytest.raises(TypeError):
        effects[0].ref.wire["order"] = "7"


def test_decision_without_an_adapter_has_its_instant_too(make_bench: Any) -> None:
    """The same decision is the same in every driver; only the wire names are the adapter's."""
    bench = make_bench()
    bench.bar()
    bench.do(lambda s: s.order_bracket("SPY", 1, take_profit=110, stop_loss=90))
    (effect,) = bench.take()
    assert {ref.decided_at for ref in effect.refs} == {bench.kernel.when()}
    assert [ref.wire for ref in effect.refs] == [{}, {}, {}]


def test_each_leg_of_a_group_has_its_own(bench: Any, counter: Counter) -> None:
    """Asked once for the group, answered for each leg in the order of the legs."""
    bench.do(lambda s: s.order_market("SPY", 1))
    handles = bench.do(lambda s: s.order_bracket("SPY", 1, take_profit=110, stop_loss=90))
    _, effect = bench.take()
    assert isinstance(effect, SubmitGroup)
    assert [ref.wire["order"] for ref in effect.refs] == ["2", "3", "4"]
    assert [ref.client_order_id for ref in effect.refs] == [
        handle.id for handle in (handles.entry, handles.take_profit, handles.stop_loss)
    ]
    assert counter.asked[1:] == [("OrderGroup", 3, None)]


def test_replacement_is_prepared_with_the_version_it_replaces(bench: Any, counter: Counter) -> None:
    """The adapter is handed the old version's names, and may use its number again."""
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    assert bench.do(lambda s: handle.replace(limit_price=91)) is True
    first, effect = bench.take()
    assert isinstance(effect, ReplaceOrder)
    assert effect.ref == first.ref
    assert effect.new_ref.wire == {"order": "1"}
    assert effect.new_ref.decided_at == bench.kernel.when()
    assert effect.new_ref.decided_at - first.ref.decided_at == timedelta(days=1)
    assert counter.asked[-1] == ("OrderChange", 1, first.ref)


def test_refusal_to_prepare_is_a_denial_in_the_adapters_words(bench: Any, counter: Counter) -> None:
    """What data cannot express is refused before anything is sent, and nothing is left in the books."""
    counter.refusal = Unsupported("SPY: no", text="a market buy here is by quote quantity only")
    handle = bench.do(lambda s: s.order_market("SPY", 1))
    group = bench.do(lambda s: s.order_oco("SPY", -1, take_profit=110, stop_loss=90))
    for denied in (handle, group.take_profit):
        assert (denied.status, denied.reason) == (OrderStatus.DENIED, "unsupported")
        assert denied.text == "a market buy here is by quote quantity only"
    assert bench.take() == []
    assert bench.kernel.orders == {}
    assert bench.kernel.books["SPY"].open_buy == 0


def test_refusal_to_prepare_a_change_leaves_the_order_as_it_was(bench: Any, counter: Counter) -> None:
    """The version that works goes on, and may be replaced later; no version number is spent."""
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.take()
    counter.refusal = Unsupported("not a second after it was sent")
    assert bench.do(lambda s: handle.replace(limit_price=91)) is False
    assert handle.text == "not a second after it was sent"
    assert bench.take() == []
    counter.refusal = None
    assert bench.do(lambda s: handle.replace(limit_price=91)) is True
    order = bench.kernel.orders[handle.id]
    assert (order.version, len(bench.kernel.orders)) == (1, 2)


def test_answer_for_fewer_orders_than_asked_is_refused(bench: Any) -> None:
    """An adapter that answers for one of three legs would leave two without names."""
    bench.kernel.settings = evolve(bench.kernel.settings, prepare=lambda request, refs, replaces: [{}])
    group = bench.do(lambda s: s.order_bracket("SPY", 1, take_profit=110, stop_loss=90))
    assert group.entry.reason == "adapter_failed"
    assert group.entry.text == "the broker's adapter prepared 1 of 3 orders"
    assert bench.take() == []


def test_denied_order_is_not_prepared(bench: Any, counter: Counter) -> None:
    """Nothing is reserved for what the risk chain stops."""
    bench.do(lambda s: s.order_market("SPY", 1, reduce_only=True))
    assert counter.asked == []


def test_prepared_keeps_no_hold_of_the_adapters_maps() -> None:
    """An adapter that goes on using its own map changes nothing that was committed."""
    own = {"order": "1"}
    (ref,) = prepared(lambda request, refs, replaces: [own], BUY, (OrderRef("a", "SPY"),))
    own["order"] = "2"
    assert ref == OrderRef("a", "SPY", wire={"order": "1"})


def test_unsupported_without_words_still_says_why() -> None:
    """The message stands in for the broker's words."""

    def refuse(request: Any, refs: Any, replaces: Any) -> Any:
        raise Unsupported("no such thing")

    with pytest.raises(Refused, match=r"^no such thing$") as refusal:
        prepared(refuse, BUY, (OrderRef("a", "SPY"),))
    assert refusal.value.reason == "unsupported"


def test_names_survive_what_the_broker_says(bench: Any) -> None:
    """A word that bears only ids adds the broker's and takes nothing away; a later id changes nothing."""
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    (effect,) = bench.take()
    assert isinstance(effect, SubmitOrder)
    for broker_id in (None, "b1", "b2"):
        named = OrderRef(handle.id, "SPY", broker_id)
        bench.kernel.on_update(OrderUpdate(named, OrderStatus.ACCEPTED, bench.kernel.when()))
    assert bench.kernel.orders[handle.id].ref == evolve(effect.ref, broker_order_id="b1")


def test_names_of_a_new_version_survive_too(bench: Any) -> None:
    """Whether the new version is told first or the end of the old one."""
    for end_first in (False, True):
        handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
        bench.update(handle.id, OrderStatus.ACCEPTED)
        assert bench.do(lambda s, handle=handle: handle.replace(limit_price=91)) is True
        effect = bench.take()[-1]
        new = effect.new_ref.client_order_id
        if end_first:
            bench.update(handle.id, OrderStatus.CANCELLED, replaced_by=new)
        told = OrderRef(new, "SPY", f"b-{end_first}")
        bench.kernel.on_update(OrderUpdate(told, OrderStatus.ACCEPTED, bench.kernel.when()))
        assert bench.kernel.orders[new].ref == evolve(effect.new_ref, broker_order_id=f"b-{end_first}")


def test_names_survive_a_restart(make_bench: Any, counter: Counter) -> None:
    """Saved as JSON values and read back: every name of the order and of the change on its way."""
    bench = make_bench(prepare=counter)
    handle = bench.do(lambda s: s.order_limit("SPY", 5, 90))
    bench.update(handle.id, OrderStatus.ACCEPTED)
    bench.do(lambda s: handle.replace(limit_price=91))
    order = bench.kernel.orders[handle.id]
    assert order.change_ref is not None

    other = make_bench(prepare=counter)
    restore_kernel(other.kernel, capture_kernel(bench.kernel))
    again = other.kernel.orders[handle.id]
    assert (again.ref, again.change_ref) == (order.ref, order.change_ref)
    assert again.ref.wire == {"order": "1"}
