"""Broker cases: what an adapter leaves behind, and what it says that it should not."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import permutations
from urllib.parse import quote

from alphaweave.core.errors import AuthenticationFailed, NotSent
from alphaweave.live.broker import ConnectionRestored
from alphaweave.testing.bench import Bench, Sent
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["HygieneCases", "assert_no_secret", "open_sockets", "other_threads", "words_of"]

_case = in_group("Hygiene")


def open_sockets() -> int:
    """How many sockets of this process are open."""
    gc.collect()
    # `isinstance` would ask a weak proxy whose referent is gone.
    return sum(issubclass(type(each), socket.socket) and each.fileno() != -1 for each in gc.get_objects())


def other_threads() -> set[threading.Thread]:
    """The threads besides the event loop's own helpers, which end with the loop."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


async def _session(bench: Bench) -> None:
    """A bit of everything, and the end."""
    await bench.open()
    sent = await bench.submit(bench.orders.limit(bench.symbol))
    await bench.bought()
    await bench.cancel(sent)
    await bench.within(bench.broker.get_account_state(), "get_account_state()")
    await bench.within(bench.broker.disconnect(), "disconnect()")


async def _failures(bench: Bench) -> list[BaseException]:
    """What the adapter raises where its venue fails; whether it should is for other cases to say."""
    powers = {power.value for power in bench.venue.powers}
    found: list[BaseException] = []
    broker = await bench.open()
    begun = 0
    for fault in (Fault.REJECT, Fault.ERROR_BEFORE, Fault.GARBLE, Fault.LOSE_ANSWER, Fault.HANG_UP):
        if fault.value not in powers:
            continue
        sent = await _order(bench, begun)
        begun = len(bench.events)
        calls: tuple[tuple[Action, Callable[[], Awaitable[object]]], ...] = (
            (Action.SUBMIT, lambda: bench.submit(bench.orders.limit(bench.symbol))),
            (Action.QUERY, broker.get_open_orders),
            (Action.QUERY, broker.get_account_state),
            (Action.QUERY, partial(broker.get_order, bench.known(sent))),
            (Action.CANCEL, partial(broker.cancel_order, bench.known(sent))),
        )
        for action, call in calls:
            if action is Action.QUERY and fault is Fault.REJECT:
                continue
            await bench.venue.arm(action, fault)
            try:
                await bench.within(call(), f"{action.value} that met {fault.value}")
            except Exception as error:
                found.append(error)
            await bench.venue.arm(action, fault, times=0)
    await bench.within(broker.disconnect(), "disconnect()")
    if Power.REFUSE in bench.venue.powers:
        await bench.venue.refuse(True)
        made = bench.make()
        bench.listen(made)
        try:
            await bench.within(made.connect(), "connect() to a venue that is away")
        except Exception as error:
            found.append(error)
        await bench.venue.refuse(False)
    return found


async def _order(bench: Bench, after: int) -> Sent:
    """An order that works; where a fault cost the connection that orders leave by, once that is back."""
    while True:
        try:
            return await bench.submit(bench.orders.limit(bench.symbol))
        except NotSent:
            back = await bench.event(
                lambda event: isinstance(event, ConnectionRestored), "ConnectionRestored", after=after
            )
            after = 1 + next(place for place, event in enumerate(bench.events) if event is back)


def words_of(error: BaseException) -> list[str]:
    """All that a log of the error could show."""
    behind = [str(error.__cause__), str(error.__context__)]
    return [*traceback.format_exception(error), repr(error), repr(getattr(error, "details", "")), *behind]


def _forms(secrets: Sequence[str]) -> set[str]:
    """The secrets as they are, and as headers and addresses write them."""
    found = set(filter(None, secrets))
    pairs = {f"{user}:{secret}" for user, secret in permutations(found, 2)}
    coded = {b64encode(text.encode()).decode().rstrip("=") for text in found | pairs}
    return found | coded | {quote(text, safe="") for text in found}


def assert_no_secret(said: Iterable[str], secrets: Sequence[str]) -> None:
    """Raise AssertionError if one of the secrets is in these words, also in base64 or quoted for a URL."""
    forms = sorted(_forms(secrets), key=len, reverse=True)
    told = next((words for words in said if any(form in words for form in forms)), None)
    if told is not None:
        for form in forms:
            told = told.replace(form, "***")
        raise AssertionError(f"a secret is told: {told.strip()}")


class HygieneCases:
    """What an adapter leaves behind, and what it says that it should not."""

    @_case("BRK-970")
    async def test_no_task_is_left(self, bench: Bench) -> None:
        """`disconnect` leaves no task behind."""
        before = asyncio.all_tasks()
        await _session(bench)

        def left() -> set[asyncio.Task[object]]:
            return {task for task in asyncio.all_tasks() - before if not task.done()}

        try:
            await bench.until(lambda: not left(), "the end of the adapter's tasks")
        except AssertionError:
            names = ", ".join(sorted(task.get_name() + f" ({task.get_coro()!r})" for task in left()))
            raise AssertionError(f"left behind: {names}") from None

    @_case("BRK-973")
    async def test_no_thread_or_socket_is_left(self, bench: Bench) -> None:
        """`disconnect` leaves no thread and no open socket behind."""
        threads, sockets = other_threads(), open_sockets()
        await _session(bench)
        await bench.until(lambda: not other_threads() - threads, "the end of the adapter's threads")
        await bench.until(lambda: open_sockets() <= sockets, "the close of the adapter's sockets")

    @_case("BRK-976")
    async def test_failed_connect_leaves_nothing(self, bench: Bench) -> None:
        """A `connect` that was refused leaves no task behind, even if nobody disconnects."""
        before = asyncio.all_tasks()
        made = bench.make(account_id=f"{bench.venue.account_id}-OTHER")
        reader = bench.listen(made)
        await bench.refused(AuthenticationFailed, made.connect(), "connect() to another account")
        await bench.until(
            lambda: not {task for task in asyncio.all_tasks() - before - {reader} if not task.done()},
            "the end of the adapter's tasks",
        )

    @_case("BRK-980")
    async def test_no_secret_is_told(self, bench: Bench) -> None:
        """No key, token or password of the options is in a log, a repr, an error or an event."""
        await _session(bench)
        said = [repr(bench.broker), str(bench.broker)]
        errors = await _failures(bench)
        if Power.WRONG_KEYS in bench.venue.powers:
            wrong = bench.venue.wrong_options()
            made = bench.make(wrong)
            bench.listen(made)
            errors.append(
                await bench.refused(AuthenticationFailed, made.connect(), "connect() with wrong keys")
            )
        said += [words for error in errors for words in words_of(error)]
        said += [*bench.ear.said, *bench.ear.strays, *map(repr, bench.events)]
        assert_no_secret(said, bench.venue.secrets)

    @_case("BRK-983")
    async def test_nothing_goes_wrong_unheard(self, bench: Bench) -> None:
        """In a plain session no task fails without anybody awaiting it, and nothing is logged as an error."""
        await _session(bench)
        gc.collect()
        await asyncio.sleep(0)
        assert not bench.ear.strays, f"nobody heard: {bench.ear.strays[0]}"
        errors = [line for line in bench.ear.said if line.lower().startswith(("error", "critical"))]
        assert not errors, f"logged: {errors[0]}"

    @_case("BRK-986")
    async def test_every_order_request_is_sent_once(self, bench: Bench) -> None:
        """In a plain session every submit and every cancel reaches the venue exactly once."""
        await _session(bench)
        for action, wanted in ((Action.SUBMIT, 2), (Action.CANCEL, 1)):
            found = len(bench.requests(action))
            assert found == wanted, f"{found} {action.value} requests reached the venue, {wanted} were made"

    @_case("BRK-989", powers=[Power.DROP])
    async def test_reconnects_leave_nothing(self, bench: Bench) -> None:
        """Connections that were lost leave no task, thread or socket behind once the adapter disconnects."""
        before, sockets = asyncio.all_tasks(), open_sockets()
        await bench.open()
        for _ in range(3):
            begun = len(bench.events)
            await bench.venue.drop()
            await bench.event(
                lambda event: type(event).__name__ == "ConnectionRestored", "ConnectionRestored", after=begun
            )
        await bench.within(bench.broker.disconnect(), "disconnect()")
        await bench.until(
            lambda: not {task for task in asyncio.all_tasks() - before if not task.done()},
            "the end of the adapter's tasks",
        )
        await bench.until(lambda: open_sockets() <= sockets, "the close of the adapter's sockets")
