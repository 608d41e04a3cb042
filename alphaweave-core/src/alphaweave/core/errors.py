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
│   └── AdapterContractError
├── DataError                   market data cannot be used as it is
├── StateError                  saved state cannot be written or restored
│   ├── StateCorrupt
│   ├── StateSchemaTooNew
│   └── StateMismatch
├── StrategyError               user strategy code raised, or broke a rule of the API
├── RunRefused                  a run that must not start (mode, account, feed)
├── InvariantViolation          the kernel's own books disagree: a bug, never a trading outcome
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

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from alphaweave.core.order import RejectReason

__all__ = [
    "AdapterContractError",
    "AdapterError",
    "AdapterImportError",
    "AdapterMismatch",
    "AlphaweaveError",
    "AmbiguousAdapter",
    "AuthenticationFailed",
    "BrokerError",
    "BrokerUnavailable",
    "CancelRejected",
    "ConfigError",
    "DataError",
    "InvariantViolation",
    "NotSent",
    "OptionsError",
    "OrderRejected",
    "OrderState",
    "OutcomeUnknown",
    "Problem",
    "ReplaceRejected",
    "RunRefused",
    "SecretError",
    "StateCorrupt",
    "StateError",
    "StateMismatch",
    "StateSchemaTooNew",
    "StrategyError",
    "UnknownAdapter",
    "Unsupported",
]


class AlphaweaveError(Exception):
    """The root of every error this project raises on purpose.

    Attributes:
        exit_code: what the command line exits with when the error ends a run:
            1 for a run that failed, 2 for a configuration, plugin or usage error.
    """

    exit_code: int = 1


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
        lines = "".join(f"\n  {problem}" for problem in self.problems)
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


class InvariantViolation(AlphaweaveError):
    """The kernel's own books disagree. This is a bug in AlphaWeave, never a trading outcome."""


class BrokerError(AlphaweaveError):
    """What a broker call can end in, besides success.

    Attributes:
        code: the broker's own code, or AlphaWeave's reason code; may be None.
        text: the broker's own words, unchanged; may be empty.
    """

    def __init__(self, message: str, *, code: str | None = None, text: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.text = text


class Unsupported(BrokerError):
    """The adapter does not declare this feature. Raised before anything is sent."""


class OrderRejected(BrokerError):
    """The broker refused the order. Final: it will never work or fill.

    Never for a refusal that says "this client order id was used before": the order may well exist, so
    that is `OutcomeUnknown`.

    Attributes:
        reason: the refusal in words that are the same for every broker; ``code`` and ``text`` are its own.
        retry_after: seconds for which the broker wants no more orders, where it says so. This order is
            not sent again in any case.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        code: str | None = None,
        text: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.reason = reason
        self.retry_after = retry_after


class OrderState(Enum):
    """What became of the order whose cancel or replacement was refused.

    ALIVE: it works on unchanged. GONE: it is over, filled or otherwise. UNKNOWN: the refusal does not
    say (Binance's ``Unknown order sent.`` is given for an order that ended and for one that never
    arrived); look it up.
    """

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


class CancelRejected(BrokerError):
    """The broker refused the cancel. Fills may still come.

    Attributes:
        order_state: whether the order still works.
    """

    def __init__(
        self,
        message: str,
        *,
        order_state: OrderState = OrderState.UNKNOWN,
        code: str | None = None,
        text: str = "",
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.order_state = order_state


class ReplaceRejected(BrokerError):
    """The broker refused the replacement.

    Attributes:
        order_state: whether the original order still works.
    """

    def __init__(
        self, message: str, *, order_state: OrderState, code: str | None = None, text: str = ""
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.order_state = order_state


class NotSent(BrokerError):
    """Not a byte of the request left this machine. Final: the order does not exist."""


class OutcomeUnknown(BrokerError):
    """The request may or may not have been accepted. It is never sent again; only a lookup settles it.

    Raise it for a timeout, a dropped connection or a 5xx answer after a byte could have left, for a
    refusal that says "this client order id was used before" (by an earlier byte of this same order, for
    all anybody knows), and for any answer the adapter does not know.
    """


class BrokerUnavailable(BrokerError):
    """A query got no usable answer. It means "don't know", never "none" and never "flat".

    Attributes:
        retry_after: seconds after which asking again may succeed, where that is known (the broker said
            so, or the adapter's own request budget is spent).
    """

    def __init__(
        self, message: str, *, code: str | None = None, text: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.retry_after = retry_after


class AuthenticationFailed(BrokerError):
    """The broker refused the credentials, or they belong to another environment than the run's mode.

    Attributes:
        details: facts that disagreed, safe to print (never a secret).
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        text: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, text=text)
        self.details = dict(details or {})
