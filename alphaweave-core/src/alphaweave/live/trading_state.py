"""Whether the run may trade: latched by rules and people, lowered by people only.

Everything here is a decision, not an act: what has to be cancelled or flattened is said, and done by the
engine. Nothing is forgotten by a restart, and what cannot be read back is refused, never taken for ACTIVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final, Protocol, Self

from attrs import asdict, frozen

from alphaweave.core.errors import StateCorrupt
from alphaweave.live.risk_rules import Denial, Proposal

__all__ = [
    "ACTIONS",
    "Actions",
    "Cancel",
    "Cause",
    "Escalation",
    "KillStep",
    "TradingState",
    "TradingStateRule",
    "TradingStates",
    "Transition",
    "Watcher",
]

_VERSION: Final = 1


class TradingState(Enum):
    """ACTIVE: everything the rules allow. REDUCING: only orders that strictly reduce the worst-case
    position. HALTED: no order and no replacement; cancels are always allowed."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class KillStep(Enum):
    """The rungs of the kill ladder, mildest first; `ACTIONS` says what each does.

    BLOCK_NEW: nothing new that adds exposure; what rests goes on working. REDUCE_ONLY: what rests and could
    add exposure is cancelled too. CANCEL_ALL: nothing rests and nothing new leaves. FLATTEN: the engine
    closes the positions as well. STOP: the run ends.
    """

    BLOCK_NEW = "block_new"
    REDUCE_ONLY = "reduce_only"
    CANCEL_ALL = "cancel_all"
    FLATTEN = "flatten"
    STOP = "stop"


class Cancel(Enum):
    """Which open orders have to go: none, those that could add exposure, or all."""

    NONE = "none"
    ADDING = "adding"
    ALL = "all"


@frozen
class Actions:
    """What a rung demands.

    Attributes:
        flatten: the engine closes the positions with orders of its own, which no strategy code sees and no
            trading state holds back.
        stop: the run ends once the rest is done.
    """

    state: TradingState
    cancel: Cancel = Cancel.NONE
    flatten: bool = False
    stop: bool = False


ACTIONS: Final[Mapping[KillStep, Actions]] = {
    KillStep.BLOCK_NEW: Actions(TradingState.REDUCING),
    KillStep.REDUCE_ONLY: Actions(TradingState.REDUCING, Cancel.ADDING),
    KillStep.CANCEL_ALL: Actions(TradingState.HALTED, Cancel.ALL),
    KillStep.FLATTEN: Actions(TradingState.HALTED, Cancel.ALL, flatten=True),
    # Ending a run does not close its positions; a flatten that was latched before it still does.
    KillStep.STOP: Actions(TradingState.HALTED, Cancel.ALL, stop=True),
}
_SEVERITY: Final = tuple(TradingState)
_REACH: Final = tuple(Cancel)


@frozen
class Escalation:
    """What a rule wants latched.

    Attributes:
        code: stable, lower case, of the rule that asks.
        symbol: None for the whole account.
    """

    step: KillStep
    code: str
    reason: str
    symbol: str | None = None


class Watcher(Protocol):
    """A rule that lives in time: it is told the input's time, and may want the ladder climbed."""

    def advance(self, now_ns: int) -> None:
        """The time of the input that is being decided, before anything else is asked for it."""
        ...

    def escalations(self) -> tuple[Escalation, ...]:
        """What is new since the last call."""
        ...


@frozen
class Cause:
    """Why a rung was latched.

    Attributes:
        who: an operator's name, or ``engine``.
        at_ns: nanoseconds since the epoch, UTC.
    """

    step: KillStep
    code: str
    reason: str
    who: str
    at_ns: int


@frozen
class Transition:
    """What changed, to be journaled, told and acted on.

    Attributes:
        symbol: None for the whole account.
        cause: what was latched; None for a resumption.
        operator, reason, at_ns: who resumed or latched, why and when.
        actions: what has to be done now; of a resumption, nothing.
    """

    symbol: str | None
    before: TradingState
    after: TradingState
    actions: Actions
    operator: str
    reason: str
    at_ns: int
    cause: Cause | None = None


class TradingStates:
    """The trading state of an account and of each symbol; the stricter of the two holds."""

    def __init__(self) -> None:
        self._causes: dict[str | None, tuple[Cause, ...]] = {}

    def state(self, symbol: str | None = None) -> TradingState:
        """Of the account, or of a symbol, which is never laxer than the account."""
        scopes = {None, symbol}
        return max((self._own(scope).state for scope in scopes), key=_SEVERITY.index)

    def actions(self, symbol: str | None = None) -> Actions:
        """Everything that is demanded now, of the account and of the symbol together."""
        own, account = self._own(symbol), self._own(None)
        return _together((own, account))

    def causes(self, symbol: str | None = None) -> tuple[Cause, ...]:
        """Why that scope alone is latched, oldest first; empty while it is not."""
        return self._causes.get(symbol, ())

    def symbols(self) -> tuple[str, ...]:
        """Those that are latched themselves."""
        return tuple(sorted(scope for scope in self._causes if scope is not None))

    def escalate(self, wanted: Escalation, *, who: str = "engine", at_ns: int) -> Transition | None:
        """Latch a rung. None if it was latched for the same code before.

        The state never gets laxer by it: causes add up until an operator resumes.

        Raises:
            ValueError: STOP for a symbol, or nobody named.
        """
        if wanted.step is KillStep.STOP and wanted.symbol is not None:
            raise ValueError("only a whole run can be stopped; halt the symbol instead")
        known = self._causes.get(wanted.symbol, ())
        if any(cause.code == wanted.code and cause.step is wanted.step for cause in known):
            return None
        who, before, demanded = _named(who), self.state(wanted.symbol), self._own(wanted.symbol)
        cause = Cause(wanted.step, wanted.code, wanted.reason, who, at_ns)
        self._causes[wanted.symbol] = (*known, cause)
        # What was demanded before is under way; said again it would be harmless, but noise in the journal.
        now = ACTIONS[wanted.step]
        fresh = Actions(
            self.state(wanted.symbol),
            now.cancel if _REACH.index(now.cancel) > _REACH.index(demanded.cancel) else Cancel.NONE,
            now.flatten and not demanded.flatten,
            now.stop and not demanded.stop,
        )
        return Transition(
            wanted.symbol, before, self.state(wanted.symbol), fresh, who, wanted.reason, at_ns, cause
        )

    def resume(
        self, operator: str, reason: str, *, at_ns: int, symbol: str | None = None
    ) -> Transition | None:
        """Lift what is latched for the account, or for one symbol; None if nothing is.

        Lifting the account leaves symbols that are latched themselves as they are, and the reverse.

        Raises:
            ValueError: no operator or no reason is given.
        """
        operator, reason = _named(operator), reason.strip()
        if not reason:
            raise ValueError("trading resumes for a reason; say which")
        if symbol not in self._causes:
            return None
        before = self.state(symbol)
        del self._causes[symbol]
        after = self.state(symbol)
        return Transition(symbol, before, after, Actions(after), operator, reason, at_ns)

    def snapshot(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "version": _VERSION,
            "latched": [
                {
                    "symbol": scope,
                    "causes": [{**asdict(cause), "step": cause.step.value} for cause in causes],
                }
                for scope, causes in self._causes.items()
            ],
        }

    @classmethod
    def restore(cls, saved: object) -> Self:
        """What `snapshot` gave.

        Raises:
            StateCorrupt: it is not that; an operator has to decide, for ACTIVE would be a guess.
        """
        states = cls()
        try:
            document: Any = saved
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']!r}")
            for entry in document["latched"]:
                scope = entry["symbol"]
                causes = tuple(_cause(fields) for fields in entry["causes"])
                if not causes or not (scope is None or isinstance(scope, str)) or scope in states._causes:
                    raise ValueError(f"an entry for {scope!r}")
                states._causes[scope] = causes
        except (KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(
                f"the saved trading state cannot be read ({error}); it is not guessed"
            ) from error
        return states

    def take_over(self, saved: TradingStates) -> None:
        """Be what ``saved`` is, in place of this; whoever holds these states sees it."""
        self._causes = dict(saved._causes)

    def _own(self, scope: str | None) -> Actions:
        return _together(ACTIONS[cause.step] for cause in self._causes.get(scope, ()))


class TradingStateRule:
    """The trading state, as the first rule of the chain. The engine's own orders that flatten do not pass
    through the chain that has it."""

    code = "trading_state"
    applies_to_reductions = True

    def __init__(self, states: TradingStates) -> None:
        self._states = states

    def check(self, proposal: Proposal) -> Denial | None:
        state = self._states.state(proposal.symbol)
        if state is TradingState.ACTIVE:
            return None
        if state is TradingState.HALTED:
            return Denial("trading_halted", f"trading is halted{self._why(proposal.symbol)}")
        if proposal.reduces:
            return None
        text = f"only orders that reduce the position are taken{self._why(proposal.symbol)}"
        return Denial("trading_reducing", text)

    def _why(self, symbol: str) -> str:
        causes = (*self._states.causes(), *self._states.causes(symbol))
        worst = max(causes, key=lambda cause: _SEVERITY.index(ACTIONS[cause.step].state))
        return f" since {worst.code} ({worst.who}): {worst.reason}"


def _together(all_of: Iterable[Actions]) -> Actions:
    state, cancel, flatten, stop = TradingState.ACTIVE, Cancel.NONE, False, False
    for each in all_of:
        state = max(state, each.state, key=_SEVERITY.index)
        cancel = max(cancel, each.cancel, key=_REACH.index)
        flatten, stop = flatten or each.flatten, stop or each.stop
    return Actions(state, cancel, flatten, stop)


def _named(who: str) -> str:
    if not who.strip():
        raise ValueError("somebody has to be named")
    return who.strip()


def _cause(fields: Any) -> Cause:
    cause = Cause(**{**fields, "step": KillStep(fields["step"])})
    texts = (cause.code, cause.reason, cause.who)
    if not all(isinstance(text, str) for text in texts) or type(cause.at_ns) is not int:
        raise ValueError(f"a cause {fields!r}")
    return cause
