"""Broker cases: making an adapter, connecting, and letting go of it."""

from __future__ import annotations

import asyncio
import inspect
import time

from attrs import fields

from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    NotSent,
    OptionsError,
    Unsupported,
)
from alphaweave.live.adapters.base import BrokerAdapter, BrokerConfig, RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import Broker
from alphaweave.testing.bench import Bench
from alphaweave.testing.case import in_group
from alphaweave.testing.clear_options import referred
from alphaweave.testing.sandbox import Power

__all__ = ["LifecycleCases"]

_case = in_group("Lifecycle")
_MOMENT = 0.1


class LifecycleCases:
    """Making an adapter, connecting, and letting go of it."""

    @_case("BRK-010")
    async def test_record_and_adapter_agree(self, bench: Bench) -> None:
        """The adapter's capabilities are those of its plugin record.

        The record is what a run is checked against before anything is imported.
        """
        made = bench.make()
        declared, kept = bench.plugin.capabilities, made.capabilities
        differing = [
            each.name
            for each in fields(Capabilities)
            if getattr(declared, each.name) != getattr(kept, each.name)
        ]
        assert not differing, f"record and adapter declare different {', '.join(differing)}"

    @_case("BRK-015")
    async def test_adapter_has_the_methods_of_the_contract(self, bench: Bench) -> None:
        """Every method of the contract is there, takes what it says, and is awaited where it says so."""
        made = bench.make()
        for protocol in (Broker, BrokerAdapter):
            for name, promised in vars(protocol).items():
                if name.startswith("_") or isinstance(promised, property):
                    continue
                kept = getattr(made, name, None)
                assert callable(kept), f"the adapter has no {name}"
                wanted = getattr(promised, "__func__", promised)
                taken = [each for each in inspect.signature(kept).parameters.values() if each.name != "self"]
                asked = list(inspect.signature(wanted).parameters)[1:]
                names = [each.name for each in taken if each.default is each.empty or each.name in asked]
                assert names == asked, f"{name} takes {', '.join(names)}, not {', '.join(asked)}"
                is_awaited = inspect.iscoroutinefunction(kept)
                assert is_awaited == inspect.iscoroutinefunction(wanted), f"{name}: async or not, as told"

    @_case("BRK-020")
    async def test_making_an_adapter_connects_to_nothing(self, bench: Bench) -> None:
        """`create` and `from_config` send nothing: only `connect` does."""
        made = bench.make()
        with referred(bench.plugin.options, bench.venue.options()) as block:
            config = BrokerConfig(bench.plugin.name, bench.venue.account_id, block)
            type(made).from_config(config, bench.services())
        # What a constructor set going needs a moment to get to the venue.
        await asyncio.sleep(_MOMENT)
        arrived = [request.what for request in bench.venue.requests]
        assert not arrived, f"before connect() the venue was asked {', '.join(arrived)}"

    @_case("BRK-025")
    async def test_unknown_options_are_refused(self, bench: Bench) -> None:
        """An option that the adapter does not have is refused with OptionsError, which names it."""
        made = bench.make()
        options = {**bench.venue.options(), "no_such_option": 1}
        told = ""
        with referred(bench.plugin.options, options) as block:
            try:
                type(made).from_config(BrokerConfig(bench.plugin.name, None, block), bench.services())
            except OptionsError as error:
                told = str(error)
        assert told, "from_config took an option that does not exist"
        assert "no_such_option" in told, f"the refusal does not name the option: {told}"

    @_case("BRK-030")
    async def test_connected_means_orders_and_events(self, bench: Bench) -> None:
        """Once `connect` returned, an order can be sent and its executions are told by events."""
        await bench.open()
        sent = await bench.bought()
        told = bench.filled(sent)
        assert told == sent.request.quantity, f"{told} units were told, not {sent.request.quantity}"

    @_case("BRK-035", powers=[Power.WRONG_KEYS])
    async def test_wrong_keys_are_told_as_such(self, bench: Bench) -> None:
        """Keys that the broker refuses are AuthenticationFailed, within five seconds."""
        made = bench.make(bench.venue.wrong_options())
        bench.listen(made)
        began = time.monotonic()
        await bench.refused(AuthenticationFailed, made.connect(), "connect() with wrong keys")
        took = time.monotonic() - began
        assert took < 5, f"it took {took:.1f} s"

    @_case("BRK-040")
    async def test_another_account_is_refused(self, bench: Bench) -> None:
        """An account that is not the one the config names is AuthenticationFailed, with what disagreed."""
        made = bench.make(account_id=f"{bench.venue.account_id}-OTHER")
        bench.listen(made)
        error = await bench.refused(AuthenticationFailed, made.connect(), "connect() to another account")
        assert error.details, "AuthenticationFailed.details does not say what disagreed"

    @_case("BRK-045")
    async def test_paper_account_is_refused_to_a_live_run(self, bench: Bench) -> None:
        """A run for real money is refused at an account that is not: AuthenticationFailed."""
        made = bench.make(mode=RunMode.LIVE)
        bench.listen(made)
        await bench.refused(
            AuthenticationFailed, made.connect(), "connect() of a live run to a paper account"
        )

    @_case("BRK-050", powers=[Power.REFUSE])
    async def test_absent_venue_is_told_as_such(self, bench: Bench) -> None:
        """A broker that cannot be reached is BrokerUnavailable."""
        made = bench.make()
        bench.listen(made)
        await bench.venue.refuse(True)
        await bench.refused(BrokerUnavailable, made.connect(), "connect() to a venue that is away")

    @_case("BRK-055")
    async def test_unconnected_adapter_sends_nothing(self, bench: Bench) -> None:
        """Before `connect` and after `disconnect` an order is NotSent and a query BrokerUnavailable."""
        for stage in ("before connect()", "after disconnect()"):
            if stage == "before connect()":
                broker = bench.broker = bench.make()
            else:
                broker = await bench.open()
                await bench.within(broker.disconnect(), "disconnect()")
            sent = bench.written(bench.orders.limit(bench.symbol))
            await bench.refused(NotSent, broker.submit_order(sent.ref, sent.request), f"an order {stage}")
            await bench.refused(BrokerUnavailable, broker.get_open_orders(), f"a query {stage}")
            assert bench.truth(sent) is None, f"an order that was sent {stage} is at the venue"

    @_case("BRK-060")
    async def test_events_are_taken_once(self, bench: Bench) -> None:
        """A second `events` is Unsupported: two readers would each miss what the other got."""
        broker = await bench.open()
        try:
            await bench.within(anext(aiter(broker.events())), "the second event stream")
        except Unsupported:
            return
        except StopAsyncIteration:
            pass
        raise AssertionError("the event stream could be taken twice")

    @_case("BRK-065")
    async def test_disconnect_ends_the_event_stream(self, bench: Bench) -> None:
        """`disconnect` ends the event stream, after what is already in it."""
        broker = bench.broker = bench.make()
        reader = bench.listen(broker)
        await bench.within(broker.connect(), "connect()")
        await bench.within(broker.disconnect(), "disconnect()")
        await bench.within(reader, "the event stream after disconnect()")

    @_case("BRK-070")
    async def test_disconnect_may_be_repeated(self, bench: Bench) -> None:
        """`disconnect` may be called again, and before `connect`, and raises nothing."""
        never = bench.make()
        await bench.within(never.disconnect(), "disconnect() of an adapter that never connected")
        broker = await bench.open()
        await bench.within(broker.disconnect(), "disconnect()")
        await bench.within(broker.disconnect(), "the second disconnect()")

    @_case("BRK-075", powers=[Power.REFUSE])
    async def test_disconnect_from_a_venue_that_is_gone(self, bench: Bench) -> None:
        """`disconnect` raises nothing, and ends, when the broker is gone."""
        broker = await bench.open()
        await bench.venue.refuse(True)
        await bench.within(broker.disconnect(), "disconnect() from a venue that is away")

    @_case("BRK-080")
    async def test_disconnect_leaves_orders_working(self, bench: Bench) -> None:
        """Orders stay as they are when the adapter disconnects."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.within(broker.disconnect(), "disconnect()")
        assert bench.working(sent), "disconnect() ended an order"
