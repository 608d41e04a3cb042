"""The doctor: connects what a config names as a run would, asks, and says what it found. No order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import localcontext
from typing import Any, Final

from alphaweave.core.errors import AlphaweaveError, AuthenticationFailed, BrokerUnavailable, JournalError
from alphaweave.core.money import CONTEXT
from alphaweave.live.adapters.base import BrokerAdapter
from alphaweave.live.broker import BrokerNotice, ConnectionLost
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.discretion import discreet_record, discreetly
from alphaweave.live.doctor_account import account_findings, clock_findings, holding_findings, order_findings
from alphaweave.live.doctor_feed import FeedExamination
from alphaweave.live.doctor_instruments import agreed_rules, instrument_findings
from alphaweave.live.doctor_run import KnownBooks, journal_writer, known_books, run_findings
from alphaweave.live.findings import Diagnosing, Finding, Verdict
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.live_run import LiveRun
from alphaweave.live.live_wiring import LivePlan, broker_services
from alphaweave.live.party import FAILURES, Party
from alphaweave.live.run_lock import RunLock, account_lock_path

__all__ = ["Doctor"]

_SAMPLES: Final = 3
_LISTEN: Final = 5.0
_NOT_CONNECTED: Final = "keys, network, and the addresses among the adapter's options"


class Doctor:
    """One examination of what a paper or live run would be made of.

    Attributes:
        account: the id of the account that the broker connected to; None before that.
    """

    def __init__(self, plan: LivePlan, *, patience: float = 10.0) -> None:
        """Refuse what a run refuses before it connects.

        Args:
            plan: as `alphaweave.live.runner.LiveRunner.plan` makes it; nothing has to be confirmed.
            patience: seconds for each answer. What has not come by then is a failure of its own.

        Raises:
            RunRefused: as `LiveRun`.
        """
        LiveRun(plan)
        self.account: str | None = None
        self._plan = plan
        self._patience = patience
        self._found: list[Finding] = []

    def examine(self) -> tuple[Finding, ...]:
        """Look at everything, in order; what fails is found, and the rest is looked at all the same."""
        with localcontext(CONTEXT):
            found = discreetly(self._plan.scrubber, asyncio.run, self._examine())
        return tuple(discreet_record(one, self._plan.scrubber) for one in found)

    async def _examine(self) -> Sequence[Finding]:
        plan = self._plan
        self._found += run_findings(plan)
        busy = journal_writer(plan)
        if busy:
            # A second session may take the connection, the quota or the order ids of the first.
            self._found.append(
                Finding(
                    "run",
                    Verdict.FAILURE,
                    f"this run is up, in {busy}; nothing was connected",
                    f"ask it by alphaweave status {plan.config.persistence.journal}, or stop it first",
                )
            )
            return self._found
        feed = FeedExamination(plan, self._asked, listen=min(_LISTEN, self._patience))
        await asyncio.gather(self._broker(), self._feed(feed))
        return [*self._found, *feed.found]

    # The broker.

    async def _broker(self) -> None:
        plan, party = self._plan, self._plan.broker_party
        with self._failing("broker", _NOT_CONNECTED):
            services = broker_services(plan, AdapterStore(_kept(plan)))
            make = plan.broker.create
            broker: BrokerAdapter = party.ask("create", BrokerAdapter, make, plan.broker_options, services)
            events = party.ask("events", AsyncIterator, broker.events)
            heard: list[Finding] = []
            listening = asyncio.ensure_future(_listened(events, heard))
            try:
                await self._connected(broker, services.resting())
            finally:
                with suppress(AlphaweaveError):
                    await self._asked(party, broker.disconnect)
                listening.cancel()
                self._found += heard

    async def _connected(self, broker: BrokerAdapter, resting: float) -> None:
        plan, party = self._plan, self._plan.broker_party
        if resting:
            text = f"it is in maintenance for {resting / 60:.0f} minutes yet, by broker.maintenance"
            self._say("broker", Verdict.WARNING, text, "what fails now may be well again by then")
        began = plan.clock.monotonic()
        try:
            await self._asked(party, broker.connect)
        except AuthenticationFailed as error:
            details = "; ".join(f"{name} {value}" for name, value in sorted(error.details.items()))
            text = f"{error} ({details})" if details else str(error)
            advice = "see that keys, host, broker.account_id and run.mode are of one account"
            self._say("credentials", Verdict.FAILURE, text, advice)
            return
        took = plan.clock.monotonic() - began
        self._say("broker", Verdict.OK, f"{party.name} connected, in {took:.2f} s")
        self._say("credentials", Verdict.OK, f"connecting proved them for run.mode {plan.mode.value}")
        config = plan.config
        with self._failing("clock"):
            samples = [await self._time(broker) for _ in range(_SAMPLES)]
            self._found += clock_findings(plan.clock, samples, config.risk.clock_skew_ms)
        account = instruments = books = None
        with self._failing("account"):
            account = await self._asked(party, broker.get_account_state)
            self.account = account.account_id
            self._found += account_findings(plan, account)
            self._found += self._account_lock(account.account_id)
        with self._failing("symbols"):
            found = await self._asked(party, broker.get_instruments, config.symbols)
            self._found += instrument_findings(config, plan.broker.capabilities, found)
            instruments = agreed_rules(config, found)
        if account is not None and instruments is not None:
            with self._failing("journal", "restore the journal from a copy, or name another one"):
                books = known_books(plan, account, instruments)
                with self._failing("positions"):
                    self._found += holding_findings(plan, account, instruments, books)
                with self._failing("open orders"):
                    orders = await self._asked(party, broker.get_open_orders)
                    self._found += order_findings(plan, orders, books or KnownBooks.none(plan))
        await self._diagnosed(party, broker)

    async def _time(self, broker: BrokerAdapter) -> tuple[Any, Any, Any]:
        """When it was asked, what it said, when that came."""
        clock = self._plan.clock
        asked_at = clock.now()
        said = await self._asked(self._plan.broker_party, broker.get_time)
        return asked_at, said, clock.now()

    def _account_lock(self, account: str) -> Iterator[Finding]:
        broker = self._plan.broker
        if broker.capabilities.simulated:
            return
        holder = RunLock.holder(account_lock_path(broker.name, account))
        if holder is not None:
            text = f"another run trades account {account}, in {holder}"
            yield Finding("account", Verdict.FAILURE, text, "stop that run first: one run an account")

    async def _diagnosed(self, party: Party, adapter: object) -> None:
        """What the adapter itself has to say."""
        if isinstance(adapter, Diagnosing):
            with self._failing("adapter"):
                self._found += await self._own_findings(party, adapter)
        elif not self._plan.broker.capabilities.simulated:
            text = f"{party.name} tells nothing of its own: permissions and rate budget were not looked at"
            self._say("permissions", Verdict.WARNING, text, "look them up at the broker")

    async def _own_findings(self, party: Party, adapter: Diagnosing) -> Sequence[Finding]:
        found = await self._asked(party, adapter.diagnose)
        return [party.ask("diagnose", Finding, lambda given: given, one) for one in found]

    # The feed.

    async def _feed(self, examination: FeedExamination) -> None:
        plan, party = self._plan, self._plan.feed_party
        with self._failing("datafeed", _NOT_CONNECTED, examination.found):
            services = plan.services(plan.datafeed.name)
            feed: DataFeed = party.ask("create", DataFeed, plan.datafeed.create, plan.feed_options, services)
            try:
                began = plan.clock.monotonic()
                await self._asked(party, feed.connect)
                took = plan.clock.monotonic() - began
                text = f"{party.name} connected, in {took:.2f} s"
                examination.found.append(Finding("datafeed", Verdict.OK, text))
                for subject, look in examination.looks(feed):
                    with self._failing(subject, into=examination.found):
                        await look()
                if isinstance(feed, Diagnosing):
                    with self._failing("datafeed", into=examination.found):
                        examination.found += await self._own_findings(party, feed)
            finally:
                with suppress(AlphaweaveError):
                    await self._asked(party, feed.disconnect)

    # Within.

    def _say(self, subject: str, verdict: Verdict, text: str, advice: str = "") -> None:
        self._found.append(Finding(subject, verdict, text, advice))

    @contextmanager
    def _failing(self, subject: str, advice: str = "", into: list[Finding] | None = None) -> Iterator[None]:
        """What cannot be looked at is a finding, and keeps nothing else from being looked at."""
        try:
            yield
        except AlphaweaveError as error:
            text = str(error)
        except FAILURES as error:
            text = f"what was answered cannot be used: {type(error).__name__}: {error}"
        else:
            return
        (self._found if into is None else into).append(Finding(subject, Verdict.FAILURE, text, advice))

    async def _asked(
        self, party: Party, ask: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any
    ) -> Any:
        """The answer of an adapter.

        Raises:
            AlphaweaveError: it is a failure, told in the adapter's name, or did not come in time.
        """
        name = getattr(ask, "__name__", "answer")

        async def answer() -> Any:
            try:
                return await ask(*arguments, **named)
            except AlphaweaveError:
                raise
            except FAILURES as error:
                raise party.failed(name, error) from error

        asked = asyncio.ensure_future(answer())
        # One that comes too late is nobody's: it must not be told on the way out either.
        asked.add_done_callback(lambda late: late.cancelled() or late.exception())
        done, _ = await asyncio.wait({asked}, timeout=self._patience)
        if not done:
            asked.cancel()
            raise BrokerUnavailable(
                f"{party.kind} {party.name!r} has not come back from {name} within {self._patience:g} s"
            )
        return asked.result()


def _kept(plan: LivePlan) -> dict[str, str]:
    """What the adapter kept; what is wrong with the journal is said elsewhere."""
    path = plan.config.persistence.journal
    with suppress(JournalError):
        return {} if path is None or not path.is_file() else JournalReader(path).latest("store")
    return {}


async def _listened(events: AsyncIterator[Any], heard: list[Finding]) -> None:
    """What the operator should read of what the broker says meanwhile."""
    with suppress(*FAILURES):
        async for event in events:
            if isinstance(event, BrokerNotice) and event.severity != "info":
                verdict = Verdict.WARNING if event.severity == "warning" else Verdict.FAILURE
                heard.append(Finding("broker", verdict, f"it says: {event.text} ({event.code})"))
            elif isinstance(event, ConnectionLost):
                heard.append(Finding("broker", Verdict.FAILURE, f"the connection was lost: {event.reason}"))
