"""The risk board of a paper or live run: the whole chain of rules, what they are told, and the trading state.

It is the kernel's chain. It decides and remembers; it acts on nothing: a `Transition` says what has to be
cancelled or closed, and the core does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol, assert_never

from alphaweave.core.errors import StateCorrupt
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import SymbolBook
from alphaweave.live.proposal import Denial, Proposal, RiskRule
from alphaweave.live.risk import RiskChain, chain_rules
from alphaweave.live.risk_account import (
    BuyingPower,
    MaxGrossExposure,
    MaxLeverage,
    MaxNetExposure,
    MaxOpenOrders,
    SelfMatch,
)
from alphaweave.live.risk_facts import (
    AccountSeen,
    BarSeen,
    CashMoved,
    ClocksCompared,
    LinkHeard,
    LinkLost,
    LinkRestored,
    QuoteSeen,
    RiskFact,
)
from alphaweave.live.risk_losses import LossBreach, LossGuard
from alphaweave.live.risk_market import ClockSkew, ConnectionSilence, PriceCollar, StaleData
from alphaweave.live.risk_rates import (
    DailyCounts,
    DuplicateOrder,
    OrderRate,
    Rate,
    RejectRate,
    RepeatedExecution,
)
from alphaweave.live.risk_rules import InstrumentValidity
from alphaweave.live.risk_settings import (
    SILENCE_SECONDS,
    DailyLimits,
    DataLimits,
    DuplicateLimits,
    ExecutionLimits,
    RateLimits,
    RejectLimits,
    RiskSettings,
)
from alphaweave.live.risk_time import Timed
from alphaweave.live.risk_venue import VenueLimits
from alphaweave.live.risk_view import BooksAccount, UnknownOutcome
from alphaweave.live.sessions import Calendar, next_open
from alphaweave.live.trading_state import (
    Escalation,
    KillStep,
    TradingStateRule,
    TradingStates,
    Transition,
)

__all__ = ["OperatorCommand", "RiskBoard"]

_VERSION: Final = 1
_ORDERS, _DATA = "orders", "data"
_OPERATOR: Final = "operator"
_STEPS: Final[Mapping[str, KillStep]] = {"halt": KillStep.CANCEL_ALL, "flatten": KillStep.FLATTEN}
# A feed says itself when it is gone, and how old its data may be is judged by `StaleData`.
_NEVER_SILENT: Final = 10**9


class OperatorCommand(Protocol):
    """What an operator says (`alphaweave.live.control.Command`)."""

    @property
    def verb(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def reason(self) -> str: ...


class RiskBoard(RiskChain):
    """The rules of a paper or live run, and their memory.

    Order of a day: `advance` to the time of each input before anything else; `heard`, `filled` and `rejected`
    for what it reports; `check` for each order decided on; at its end `mark`, then `latched`.

    An order that passes `check` counts as sent at once, for rates, counts, duplicates and buying power, also
    where its decision is dropped afterwards: that errs on the side of less trading.

    Attributes:
        states: the trading state, of the account and by symbol.
        losses: the baselines that losses are measured from.
        account: what the rules about the whole account look at.
        exits: the chain for the engine's own orders that close positions: the instrument's rules alone.
    """

    __slots__ = (
        "_collar",
        "_connections",
        "_counters",
        "_daily",
        "_ends",
        "_interval",
        "_news",
        "_rejects",
        "_remembered",
        "_repeated",
        "_skew",
        "_timed",
        "_venue",
        "account",
        "data",
        "exits",
        "losses",
        "now_ns",
        "states",
    )

    def __init__(
        self,
        settings: RiskSettings,
        *,
        books: Mapping[str, SymbolBook],
        ledger: Ledger,
        capabilities: Capabilities,
        interval_ns: int | None,
        timezone: str = "UTC",
        capital: Decimal | None = None,
        calendars: Mapping[str, Calendar] | None = None,
        compares_clocks: bool = False,
        extra: Sequence[RiskRule] = (),
    ) -> None:
        """Build the rules.

        Args:
            settings: the config's; where they say nothing of a rule that has a default, that holds.
            interval_ns: of the bars; None where each is a trade, which then ages as a quote does.
            timezone: of the datafeed, unless the settings have one.
            capital: ``run.capital``.
            calendars: by symbol; one without counts as always open.
            compares_clocks: `ClocksCompared` will be told; without a word of it, every order is denied then.
            extra: rules of plugins. They come last, so that they can only tighten.

        Raises:
            ConfigError: the settings name a symbol that is not among ``books``.
        """
        zone = settings.timezone or timezone
        self.now_ns = 0
        self.states = TradingStates()
        self.account = BooksAccount(books, ledger)
        self.losses = LossGuard(
            daily=settings.daily_loss, drawdown=settings.drawdown, timezone=zone, capital=capital
        )
        self._collar = PriceCollar() if settings.price_collar is None else PriceCollar(settings.price_collar)
        data = settings.stale_data or DataLimits()
        self._venue = VenueLimits(self.account)
        self.data = StaleData(
            interval_ns,
            intervals=data.intervals,
            quote_seconds=data.quote_seconds,
            next_open=None if not calendars else _opening(calendars),
        )
        self._interval = interval_ns
        self._news: dict[tuple[type, str], RiskFact] = {}
        self._ends: dict[str, int] = {}
        self._skew = ClockSkew(settings.clock_skew_ms or 500)
        self._connections = {
            _ORDERS: ConnectionSilence((_ORDERS,), seconds=settings.silence_seconds or SILENCE_SECONDS),
            _DATA: ConnectionSilence((_DATA,), seconds=_NEVER_SILENT),
        }
        rate = settings.order_rate or RateLimits()
        counts = settings.daily_counts or DailyLimits()
        duplicates = settings.duplicates or DuplicateLimits()
        rejects = settings.rejects or RejectLimits()
        repeated = settings.repeated_executions or ExecutionLimits()
        order_rate = OrderRate((Rate(rate.per_second, 1), Rate(rate.per_minute, 60)))
        self._daily = DailyCounts(orders=counts.orders, fills=counts.fills, timezone=zone)
        same = DuplicateOrder(count=duplicates.count, seconds=duplicates.seconds)
        self._counters: tuple[OrderRate | DailyCounts | DuplicateOrder, ...]
        self._counters = (order_rate, self._daily, same)
        self._rejects = RejectRate(rejects=rejects.rejects, seconds=rejects.seconds)
        self._repeated = RepeatedExecution(
            fills=repeated.fills, round_trips=repeated.round_trips, seconds=repeated.seconds
        )
        self._remembered = (*self._counters, self._rejects, self._repeated, self.losses)
        clocks: tuple[RiskRule, ...] = (self._skew,) if compares_clocks else ()
        rules: tuple[RiskRule, ...] = (
            TradingStateRule(self.states),
            *chain_rules(settings, tuple(books), capabilities),
            UnknownOutcome(self.account),
            *self._connections.values(),
            *clocks,
            self.data,
            self._collar,
            self._venue,
            self.losses,
            self._rejects,
            self._repeated,
            *_account_rules(settings, self.account),
            *self._counters,
            *extra,
        )
        self._timed = tuple(rule for rule in rules if isinstance(rule, Timed))
        self.exits = RiskChain((InstrumentValidity(capabilities),))
        super().__init__(rules)

    # Inputs.

    def advance(self, at_ns: int) -> tuple[Escalation, ...]:
        """The time of the input that is decided next, and what the rules want latched by it."""
        self.now_ns = max(self.now_ns, at_ns)
        for rule in self._timed:
            rule.advance(at_ns)
        return self.escalations()

    def check(self, proposal: Proposal) -> Denial | None:
        denial = super().check(proposal)
        if denial is None:
            for counter in self._counters:
                counter.sent(proposal)
            self.account.sent(proposal, self.now_ns)
        return denial

    def heard(self, fact: RiskFact) -> None:
        """Something happened that is no order."""
        self._note(fact)
        match fact:
            case BarSeen():
                self.data.bar(fact.symbol, fact.end_ns)
                if not self._interval:
                    self.data.quote(fact.symbol, fact.end_ns, fact.close, fact.close)
                if fact.end_ns >= self._ends.get(fact.symbol, 0):
                    self._ends[fact.symbol] = fact.end_ns
                    close = Decimal(repr(fact.close))
                    self._collar.price(fact.symbol, close)
                    self._venue.price(fact.symbol, close)
            case QuoteSeen():
                self.data.quote(fact.symbol, fact.at_ns, fact.bid, fact.ask)
            case LinkHeard():
                self._link(fact.link).heard(fact.link, fact.at_ns)
            case LinkLost():
                self._link(fact.link).lost(fact.link)
            case LinkRestored():
                self._link(fact.link).restored(fact.link, fact.at_ns)
            case ClocksCompared():
                self._skew.compared(fact.broker_ns, fact.sent_ns, fact.received_ns)
            case CashMoved():
                self.losses.flow(fact.amount)
            case AccountSeen():
                self.account.told(fact.buying_power, fact.as_of_ns)
            case _:
                assert_never(fact)

    def filled(self, symbol: str, before: Decimal, after: Decimal) -> None:
        """A fill moved the position of a symbol from ``before`` to ``after``, signed units."""
        self._daily.filled(symbol)
        self._repeated.filled(before, after)

    def rejected(self) -> None:
        """The broker refused an order, a replacement or a cancel, or a call of it failed."""
        self._rejects.rejected()

    def mark(self) -> tuple[LossBreach, ...]:
        """Value the account at its last prices; the loss levels that were reached by it, each told once."""
        return self.losses.update(self.account.equity())

    def operator(self, command: OperatorCommand) -> Transition | None:
        """A person halts, flattens or resumes the account, or the symbol in ``scope``. None where that
        changes nothing, as with every other verb: a stop ends the run and latches nothing.

        To resume is to have looked: executions are counted anew, and a loss that had latched something is
        measured anew from the last equity.

        Raises:
            ValueError: a resumption has no operator or no reason, or the symbol is not in the run.
        """
        symbol = command.scope or None
        if command.verb == "resume":
            latched = {cause.code for cause in self.states.causes(symbol)}
            transition = self.states.resume(
                command.operator, command.reason, at_ns=self.now_ns, symbol=symbol
            )
            if symbol is None:
                self._repeated.seen()
                for measure in sorted(latched & {"daily_loss", "drawdown"}):
                    if self.losses.peak is not None:
                        self.losses.rebase(measure)
            return transition
        step = _STEPS.get(command.verb)
        if step is None:
            return None
        if symbol is not None and symbol not in self.account.symbols:
            have = ", ".join(self.account.symbols)
            raise ValueError(f"{symbol} is not in this run, which has {have}; nothing was latched")
        reason = command.reason.strip() or f"{command.operator} said so"
        return self.latch(Escalation(step, _OPERATOR, reason, symbol), who=command.operator)

    # Trading state.

    def escalations(self) -> tuple[Escalation, ...]:
        """What rules want latched, each once."""
        return tuple(wanted for rule in self._timed for wanted in rule.escalations())

    def latch(self, wanted: Escalation, *, who: str = "engine") -> Transition | None:
        """Climb the ladder; None if that was latched for the same code before."""
        return self.states.escalate(wanted, who=who, at_ns=self.now_ns)

    def latched(self) -> tuple[Transition, ...]:
        """Latch what rules want since the last call, and say what changed."""
        transitions = (self.latch(wanted) for wanted in self.escalations())
        return tuple(transition for transition in transitions if transition is not None)

    def down(self) -> tuple[str, ...]:
        """The links that are not up."""
        return tuple(link for rule in self._connections.values() for link in rule.down())

    def news(self) -> tuple[RiskFact, ...]:
        """The newest word of each link, clock and account since the last call, in the order they came: what
        the inputs of a journal alone do not tell."""
        news, self._news = tuple(self._news.values()), {}
        return news

    # Memory.

    def snapshot(self) -> dict[str, Any]:
        """Everything that survives a restart, as JSON values. What was heard of links, clocks and prices does
        not: it has to be heard anew before an order passes. It does not change with time alone."""
        return {
            "version": _VERSION,
            "states": self.states.snapshot(),
            "rules": {rule.code: rule.snapshot() for rule in self._remembered},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave. A rule that has no part in it starts anew.

        Raises:
            StateCorrupt: it is not that; an operator has to decide.
        """
        try:
            if saved["version"] != _VERSION:
                raise ValueError(f"version {saved['version']!r}")
            states, rules = saved["states"], dict(saved["rules"])
        except (KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the saved risk state cannot be read ({error}); it is not guessed") from error
        restored = TradingStates.restore(states)
        for rule in self._remembered:
            if rule.code in rules:
                rule.restore(rules[rule.code])
        self.states.take_over(restored)

    def _note(self, fact: RiskFact) -> None:
        if isinstance(fact, LinkHeard):
            self._news[LinkHeard, fact.link] = fact
        elif isinstance(fact, AccountSeen):
            if fact.as_of_ns >= self.account.power_at:
                self._news[AccountSeen, ""] = fact
        elif isinstance(fact, ClocksCompared) and self._skew.proves(fact.sent_ns, fact.received_ns):
            self._news[ClocksCompared, ""] = fact

    def _link(self, link: str) -> ConnectionSilence:
        rule = self._connections.get(link)
        if rule is None:
            raise ValueError(f"no link {link!r}; there are {', '.join(self._connections)}")
        return rule


def _account_rules(settings: RiskSettings, account: BooksAccount) -> tuple[RiskRule, ...]:
    rules: list[RiskRule] = [
        MaxOpenOrders(account, 50 if settings.max_open_orders is None else settings.max_open_orders),
        SelfMatch(account),
    ]
    if settings.max_gross_exposure is not None:
        rules.append(MaxGrossExposure(account, settings.max_gross_exposure))
    if settings.max_net_exposure is not None:
        rules.append(MaxNetExposure(account, settings.max_net_exposure))
    if settings.max_leverage is not None:
        rules.append(MaxLeverage(account, settings.max_leverage))
    if settings.buying_power is not None:
        power = settings.buying_power
        rules.append(BuyingPower(account, margin=power.margin, broker=power.broker))
    return tuple(rules)


def _opening(calendars: Mapping[str, Calendar]) -> Any:
    def opening(symbol: str, at: int) -> int | None:
        calendar = calendars.get(symbol)
        try:
            return None if calendar is None else next_open(calendar, at)
        except ValueError:
            return (
                None  # beyond what the calendar knows the market counts as open, and data as old as they are
            )

    return opening
