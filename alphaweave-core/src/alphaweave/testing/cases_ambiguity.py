"""Broker cases: requests of which nobody knows what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from attrs import evolve

from alphaweave.core.errors import BrokerError, BrokerUnavailable, OutcomeUnknown
from alphaweave.core.order import OrderChange, OrderStatus
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import FillQuery
from alphaweave.testing.bench import Bench, Sent
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["AmbiguityCases"]

_case = in_group("Ambiguity")


def _replaces(capabilities: Capabilities) -> str:
    return "" if "limit_price" in capabilities.replace else "the limit price cannot be replaced"


async def _unknown(bench: Bench, fault: Fault) -> Sent:
    """An order whose submit met the fault, which has to be OutcomeUnknown."""
    broker = await bench.open()
    sent = bench.written(bench.orders.limit(bench.symbol))
    await bench.venue.arm(Action.SUBMIT, fault)
    call = broker.submit_order(sent.ref, sent.request)
    await bench.refused(OutcomeUnknown, call, f"an order whose request met {fault.value}")
    return sent


async def _unknown_cancel(bench: Bench, sent: Sent, what: str) -> None:
    """A cancel that has to be OutcomeUnknown."""
    call = bench.broker.cancel_order(bench.known(sent))
    try:
        await bench.refused(OutcomeUnknown, call, what)
    except AssertionError as error:
        # HTTP libraries repeat a DELETE by themselves, and what is told then is the answer to the second.
        heard = len(bench.requests(Action.CANCEL))
        raise AssertionError(f"{error}; the venue heard {heard} cancel(s)") from error


async def _answered(bench: Bench, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What a query says, once the connection that the fault may have cost is back."""
    answer: list[Any] = []
    deadline = asyncio.get_running_loop().time() + bench.venue.patience
    while not answer:
        try:
            answer.append(await bench.within(ask(), "a query"))
        except BrokerUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)
    return answer[0]


async def _is_there_once(bench: Bench, sent: Sent) -> None:
    found = await _answered(bench, lambda: bench.broker.get_order(sent.ref))
    assert found is not None, "get_order does not find an order that is there"
    assert found.status is OrderStatus.ACCEPTED, f"get_order says {found.status.name}"
    under = [order for order in bench.venue.truth().orders if not order.foreign]
    assert len(under) == 1, f"one order was sent, the venue has {len(under)}"
    assert bench.sends(sent) == 1, f"it was sent {bench.sends(sent)} times"


async def _is_not_there(bench: Bench, sent: Sent) -> None:
    found = await _answered(bench, lambda: bench.broker.get_order(sent.ref))
    assert found is None, f"get_order finds an order that never was: {found}"
    assert bench.sends(sent) == 1, f"it was sent {bench.sends(sent)} times"
    there = bench.truth(sent)
    assert there is None, f"the request of {sent.id} was lost, and the venue has {there}"


class AmbiguityCases:
    """Requests of which nobody knows what became of them."""

    @_case("BRK-610", powers=[Power.LOSE_ANSWER])
    async def test_lost_answer_is_unknown(self, bench: Bench) -> None:
        """An order whose answer is lost is OutcomeUnknown; a lookup finds it, and it is there once."""
        await _is_there_once(bench, await _unknown(bench, Fault.LOSE_ANSWER))

    @_case("BRK-615", powers=[Power.LOSE_REQUEST])
    async def test_lost_request_is_unknown(self, bench: Bench) -> None:
        """An order whose request is lost is OutcomeUnknown; a lookup answers that there is none."""
        await _is_not_there(bench, await _unknown(bench, Fault.LOSE_REQUEST))

    @_case("BRK-620", powers=[Power.ERROR_AFTER])
    async def test_error_after_acceptance_is_unknown(self, bench: Bench) -> None:
        """An internal error that hides an accepted order is OutcomeUnknown, and it is not sent again."""
        await _is_there_once(bench, await _unknown(bench, Fault.ERROR_AFTER))

    @_case("BRK-625", powers=[Power.ERROR_BEFORE])
    async def test_error_before_acceptance_is_unknown(self, bench: Bench) -> None:
        """An internal error without an order is OutcomeUnknown too, and the order is not sent again."""
        await _is_not_there(bench, await _unknown(bench, Fault.ERROR_BEFORE))

    @_case("BRK-630", powers=[Power.HANG_UP])
    async def test_closed_connection_is_unknown(self, bench: Bench) -> None:
        """An order whose connection ends before its answer is OutcomeUnknown; it is there once."""
        await _is_there_once(bench, await _unknown(bench, Fault.HANG_UP))

    @_case("BRK-635", powers=[Power.GARBLE])
    async def test_answer_nobody_understands_is_unknown(self, bench: Bench) -> None:
        """An answer that the adapter does not understand is OutcomeUnknown; it is not sent again."""
        await _is_there_once(bench, await _unknown(bench, Fault.GARBLE))

    @_case("BRK-640", powers=[Power.LOSE_ANSWER])
    async def test_unknown_order_s_events_are_told(self, bench: Bench) -> None:
        """What becomes of an order whose answer was lost is told by events all the same."""
        sent = await _unknown(bench, Fault.LOSE_ANSWER)
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
        await bench.until_filled(sent)

    @_case("BRK-645", powers=[Power.HOLD])
    async def test_late_answer_harms_nothing(self, bench: Bench) -> None:
        """An answer that comes after the adapter gave it up is taken for no other order's."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.SUBMIT, Fault.HOLD)
        call = broker.submit_order(sent.ref, sent.request)
        await bench.refused(OutcomeUnknown, call, "an order whose answer is late")
        await bench.venue.release_answers()
        later = bench.written(bench.orders.limit(bench.other))
        ack = await bench.within(broker.submit_order(later.ref, later.request), "the next submit_order()")
        assert ack.ref.client_order_id == later.id, "it was acknowledged with the answer to another order"
        found = await bench.within(broker.get_order(later.ref), "get_order()")
        assert found is not None, f"get_order does not find {later.id}, which was acknowledged"
        assert found.ref.symbol == bench.other, f"{later.id} is in {found.ref.symbol}, not in {bench.other}"

    @_case("BRK-650", powers=[Power.LOSE_REQUEST])
    async def test_cancelled_call_sends_nothing_later(self, bench: Bench) -> None:
        """After a submit is given up by the caller no byte of it leaves any more."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.SUBMIT, Fault.LOSE_REQUEST)
        call = asyncio.ensure_future(broker.submit_order(sent.ref, sent.request))
        await bench.until(lambda: bench.sends(sent) > 0, "the arrival of the request")
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await bench.bought(bench.other)
        assert bench.sends(sent) == 1, f"it was sent {bench.sends(sent)} times"
        there = bench.truth(sent)
        assert there is None, f"the call was cancelled and its request lost, and the venue has {there}"

    @_case("BRK-655", powers=[Power.LOSE_ANSWER])
    async def test_cancel_without_an_answer_is_unknown(self, bench: Bench) -> None:
        """A cancel whose answer is lost is OutcomeUnknown, unless the end of the order was told meanwhile."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.LOSE_ANSWER)
        try:
            await bench.within(broker.cancel_order(bench.known(sent)), "a cancel without an answer")
        except OutcomeUnknown:
            pass
        else:
            told = OrderStatus.CANCELLED in bench.statuses(sent)
            assert told, "the cancel returned though nothing said that it was taken"
        await bench.until_status(sent, OrderStatus.CANCELLED)

    @_case("BRK-660", powers=[Power.LOSE_REQUEST])
    async def test_lost_cancel_is_not_taken_for_done(self, bench: Bench) -> None:
        """A cancel whose request is lost is OutcomeUnknown, and no update says that the order has ended."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.LOSE_REQUEST)
        await _unknown_cancel(bench, sent, "a cancel that never arrived")
        assert OrderStatus.CANCELLED not in bench.statuses(sent), "CANCELLED was told of a working order"
        assert bench.working(sent), f"the cancel was lost, and {sent.id} works no more: {bench.truth(sent)}"

    @_case("BRK-665", powers=[Power.ERROR_AFTER])
    async def test_cancel_with_an_error_is_unknown(self, bench: Bench) -> None:
        """A cancel that the venue answers with an internal error is OutcomeUnknown, never a refusal."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.ERROR_AFTER)
        await _unknown_cancel(bench, sent, "a cancel that met an internal error")

    @_case("BRK-667", powers=[Power.HANG_UP])
    async def test_cancel_that_is_hung_up_on_is_unknown(self, bench: Bench) -> None:
        """A cancel whose connection ends before the answer is OutcomeUnknown, never a refusal."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.HANG_UP)
        await _unknown_cancel(bench, sent, "a cancel whose connection ended")

    @_case("BRK-670", powers=[Power.LOSE_ANSWER], claim=_replaces)
    async def test_replacement_without_an_answer_is_unknown(self, bench: Bench) -> None:
        """A replacement whose answer is lost is OutcomeUnknown, and is sent once; a lookup finds it."""
        broker = await bench.open()
        old = await bench.submit(bench.orders.limit(bench.symbol))
        change = OrderChange(limit_price=bench.orders.price(bench.symbol, "0.6"))
        (ref,) = bench.prepared(change, (bench.ref(),), bench.known(old))
        await bench.venue.arm(Action.REPLACE, Fault.LOSE_ANSWER)
        call = broker.replace_order(bench.known(old), ref, change)
        await bench.refused(OutcomeUnknown, call, "a replacement without an answer")
        sent = Sent(ref, old.request)
        found = await _answered(bench, lambda: broker.get_order(sent.ref))
        assert found is not None, "the new version is not found"
        assert bench.sends(sent) == 1, f"it was sent {bench.sends(sent)} times"
        assert not bench.working(old), "the venue works both versions"

    @_case("BRK-672", powers=[Power.LOSE_REQUEST], claim=_replaces)
    async def test_lost_replacement_is_unknown(self, bench: Bench) -> None:
        """A replacement whose request is lost is OutcomeUnknown, and the order works on as it was."""
        broker = await bench.open()
        old = await bench.submit(bench.orders.limit(bench.symbol))
        change = OrderChange(limit_price=bench.orders.price(bench.symbol, "0.6"))
        (ref,) = bench.prepared(change, (bench.ref(),), bench.known(old))
        await bench.venue.arm(Action.REPLACE, Fault.LOSE_REQUEST)
        call = broker.replace_order(bench.known(old), ref, change)
        await bench.refused(OutcomeUnknown, call, "a replacement that never arrived")
        assert bench.working(old), "the order that was to be replaced works no more"
        assert OrderStatus.CANCELLED not in bench.statuses(old), "CANCELLED was told of a working order"

    @_case("BRK-675", powers=[Power.ERROR_BEFORE])
    async def test_failed_query_is_no_answer(self, bench: Bench) -> None:
        """A query that fails is BrokerUnavailable, never an empty answer."""
        await self._queries(bench, Fault.ERROR_BEFORE)

    @_case("BRK-680", powers=[Power.LOSE_ANSWER])
    async def test_query_without_an_answer_is_no_answer(self, bench: Bench) -> None:
        """A query whose answer is lost is BrokerUnavailable in good time, never an empty answer."""
        await self._queries(bench, Fault.LOSE_ANSWER)

    @_case("BRK-685", powers=[Power.GARBLE])
    async def test_query_nobody_understands_is_no_answer(self, bench: Bench) -> None:
        """A query whose answer nobody understands is BrokerUnavailable, never an empty answer."""
        await self._queries(bench, Fault.GARBLE)

    @_case("BRK-687", powers=[Power.HANG_UP])
    async def test_query_that_is_hung_up_on_is_no_answer(self, bench: Bench) -> None:
        """A query whose connection ends before the answer is BrokerUnavailable, never an empty answer."""
        await self._queries(bench, Fault.HANG_UP)

    @staticmethod
    async def _queries(bench: Bench, fault: Fault) -> None:
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.bought(bench.other)
        since = bench.venue.clock.now() - timedelta(hours=1)
        asked: tuple[tuple[str, Callable[[], Coroutine[Any, Any, Any]]], ...] = (
            ("get_order", lambda: broker.get_order(bench.known(sent))),
            # After an answer was lost, the client id is all that is known.
            ("get_order by the client id", lambda: broker.get_order(evolve(sent.ref, broker_order_id=None))),
            ("get_open_orders", broker.get_open_orders),
            ("get_fills", lambda: broker.get_fills(FillQuery(since))),
            ("get_account_state", broker.get_account_state),
        )
        for name, ask in asked:
            await bench.venue.arm(Action.QUERY, fault, times=1000)
            try:
                answer = await bench.within(ask(), f"{name}()")
            except BrokerUnavailable:
                pass
            except BrokerError as error:
                raise AssertionError(f"{name} raised {type(error).__name__}: {error}") from error
            else:
                raise AssertionError(f"{name} answered {answer!r} though the venue gave it no answer")
            await bench.venue.arm(Action.QUERY, fault, times=0)
