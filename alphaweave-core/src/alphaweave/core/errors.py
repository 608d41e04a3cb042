"""Every exception AlphaWeave raises, in one tree.

AlphaweaveError
├── ConfigError                 a config file, an override or an option is wrong
│   ├── OptionsError            an adapter's options block is wrong
│   └── SecretError             a secret reference cannot be resolved
├── AdapterError                an adapter cannot be found, imported or trusted
│   ├── UnknownAdapter
│   ├── AmbiguousAdapter
│   ├── AdapterImportError
│   ├── AdapterMismatch
│   ├── AdapterContractError
│   └── AdapterFailed           an adapter's own code raised, or handed back what it must not
├── DataError                   market data cannot be used as it is
├── StateError                  saved state cannot be written or restored
│   ├── StateCorrupt
│   ├── StateSchemaTooNew
│   ├── StateMismatch
│   └── StateFailed             it could not be written during a run: nothing more may be sent
├── JournalError                the journal of a live run cannot be used
│   ├── JournalLocked           another process writes it
│   ├── JournalForeign          it belongs to another run or account
│   ├── JournalTooNew
│   ├── JournalCorrupt
│   └── JournalFailed           it could not be written: nothing more may be sent
├── ControlError                the operator's commands cannot be read or written
├── StrategyError               user strategy code raised, or broke a rule of the API
├── RunRefused                  a run that must not start (mode, account, feed)
│   └── LockHeld                another process runs on the same file or account
├── Redacted                    stands for an exception that held a secret
├── InvariantViolation          the kernel's own books disagree: a bug, never a trading outcome
├── ConformanceError            a conformance suite is set up wrongly
│   └── Unproven                this machine or venue lacks what a case needs
└── BrokerError                 what a broker call can end in
    ├── Unsupported             refused before anything was sent
    ├── OrderRejected           a final no from the broker
    ├── CancelRejected
    ├── ReplaceRejected
    ├── NotSent                 a final no: not a byte left this machine
    ├── OutcomeUnknown          nobody knows; only a lookup may settle it
    ├── BrokerUnavailable       a query failed: "don't know", never "none"
    └── AuthenticationFailed    keys, host, account and run mode do not agree

Each error carries the data behind its message as attributes, and says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alphaweave.core.errors_broker import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
    Unsupported,
)
from alphaweave.core.errors_journal import (
    ControlError,
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalForeign,
    JournalLocked,
    JournalTooNew,
)
from alphaweave.core.errors_root import AlphaweaveError

__all__ = [
    "AdapterContractError",
    "AdapterError",
    "AdapterFailed",
    "AdapterImportError",
    "AdapterMismatch",
    "AlphaweaveError",
    "AmbiguousAdapter",
    "AuthenticationFailed",
    "BrokerError",
    "BrokerUnavailable",
    "CancelRejected",
    "ConfigError",
    "ConformanceError",
    "ControlError",
    "DataError",
    "InvariantViolation",
    "JournalCorrupt",
    "JournalError",
    "JournalFailed",
    "JournalForeign",
    "JournalLocked",
    "JournalTooNew",
    "LockHeld",
    "NotSent",
    "OptionsError",
    "OrderRejected",
    "OrderState",
    "OutcomeUnknown",
    "Problem",
    "Redacted",
    "ReplaceRejected",
    "RunRefused",
    "SecretError",
    "StateCorrupt",
    "StateError",
    "StateFailed",
    "StateMismatch",
    "StateSchemaTooNew",
    "StrategyError",
    "UnknownAdapter",
    "Unproven",
    "Unsupported",
]


class Problem:
    """One thing that is wrong in a config: where it stands and what to do."""

    __slots__ = ("message", "path", "suggestion")

    def __init__(self, path: str, message: str, suggestion: str | None = None) -> None:
        self.path = path
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.path}: {self.message}{hint}"

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class ConfigError(AlphaweaveError):
    """A config is wrong. All its problems are reported at once.

    Attributes:
        problems: every problem found, each with its path.
        source: the file or origin of the config, if known.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], source: str | Path | None = None) -> None:
        self.problems = tuple(problems)
        self.source = source
        head = f"{source}: " if source else ""
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        # The file itself has been named by then.
        own = f"{source}: "
        lines = "".join(f"\n  {str(problem).removeprefix(own)}" for problem in self.problems)
        super().__init__(f"{head}{count} {noun} in the configuration:{lines}")


class OptionsError(ConfigError):
    """The options block of one adapter is wrong."""


class SecretError(ConfigError):
    """A secret reference (``${env:NAME}``, ``file:``, ``keyring:``) cannot be resolved."""


class AdapterError(AlphaweaveError):
    """An adapter cannot be found, imported or trusted.

    Attributes:
        kind: ``broker``, ``datafeed``, ``monitor``, ``sandbox`` or ``risk_rule``; ``plugin`` for a
            registered object that offers none of them.
        name: the adapter's name as the config gives it.
    """

    exit_code = 2

    def __init__(self, message: str, *, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


class UnknownAdapter(AdapterError):
    """No installed distribution offers an adapter of that name.

    Attributes:
        installed: names that are installed for this kind.
        suggestion: a near match among them, if there is one.
        other_kind: another kind under which the name is installed, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        name: str,
        installed: Sequence[str],
        suggestion: str | None = None,
        other_kind: str | None = None,
    ) -> None:
        super().__init__(message, kind=kind, name=name)
        self.installed = tuple(installed)
        self.suggestion = suggestion
        self.other_kind = other_kind


class AmbiguousAdapter(AdapterError):
    """Two installed distributions offer the same name.

    Attributes:
        distributions: each offer as ``name version (entry point value)``.
    """

    def __init__(self, message: str, *, kind: str, name: str, distributions: Sequence[str]) -> None:
        super().__init__(message, kind=kind, name=name)
        self.distributions = tuple(distributions)


class AdapterImportError(AdapterError):
    """The adapter is installed, but its module raised while being imported, or its hook when called.

    Attributes:
        distribution: the distribution and version that ships it.
    """

    def __init__(self, message: str, *, kind: str, name: str, distribution: str) -> None:
        super().__init__(message, kind=kind, name=name)
        self.distribution = distribution


class AdapterMismatch(AdapterError):
    """The module behind the entry point does not offer a record of that name, or a newer API level."""


class AdapterContractError(AdapterError):
    """A hook's signature or what it returns does not fit this core."""


class AdapterFailed(AdapterError):
    """An adapter's own code raised while it was asked for something, or handed back what it must not.

    Attributes:
        distribution: the distribution and version that ships it; None where that is not known.
        callback: what it was asked for, for example ``create``.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, kind: str, name: str, callback: str, distribution: str | None = None
    ) -> None:
        super().__init__(message, kind=kind, name=name)
        self.callback = callback
        self.distribution = distribution


class DataError(AlphaweaveError):
    """Market data cannot be used as it is.

    Attributes:
        path: the file (or a short name of the source).
        line: 1-based line in that file, if one line is to blame.
        reason: what is wrong with it.
    """

    exit_code = 2

    def __init__(self, path: str | Path, reason: str, line: int | None = None) -> None:
        self.path = str(path)
        self.reason = reason
        self.line = line
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {reason}")


class StateError(AlphaweaveError):
    """Saved state cannot be written or restored.

    Attributes:
        path: the state file, if there is one.
    """

    exit_code = 2

    def __init__(self, message: str, path: str | Path | None = None) -> None:
        self.path = str(path) if path is not None else None
        super().__init__(f"{path}: {message}" if path is not None else message)


class StateFailed(StateError):
    """State that a run depends on could not be written while it ran: nothing more may be sent."""

    exit_code = 1


class StateCorrupt(StateError):
    """The state file is truncated, is not JSON, or its checksum does not match."""


class StateSchemaTooNew(StateError):
    """The state file was written by a newer version of AlphaWeave."""


class StateMismatch(StateError):
    """The state belongs to another strategy, run or config."""


class StrategyError(AlphaweaveError):
    """User strategy code raised, or broke a rule of the Strategy API.

    Attributes:
        strategy: the class's qualified name.
        callback: the method that was running, for example ``next``.
    """

    def __init__(self, message: str, *, strategy: str, callback: str) -> None:
        super().__init__(message)
        self.strategy = strategy
        self.callback = callback


class RunRefused(AlphaweaveError):
    """A run that must not start: its mode, account, feed or broker do not agree."""

    exit_code = 2


class LockHeld(RunRefused):
    """Another process runs on the same file or account.

    Attributes:
        path: the lock's file.
        pid: the process that holds it, if it is known.
    """

    def __init__(self, message: str, *, path: str | Path, pid: int | None = None) -> None:
        super().__init__(message)
        self.path = str(path)
        self.pid = pid


class Redacted(AlphaweaveError):
    """Stands for an exception that held a secret where it cannot be taken out; its other words are kept."""


class InvariantViolation(AlphaweaveError):
    """The kernel's own books disagree. This is a bug in AlphaWeave, never a trading outcome."""


class ConformanceError(AlphaweaveError):
    """A conformance suite is set up wrongly: it overrides a case, or deviates from one that is not there."""

    exit_code = 2


class Unproven(ConformanceError):
    """A case cannot be tried: this machine, or the venue, lacks what it takes. The report says so."""
