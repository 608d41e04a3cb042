"""One tree of exceptions, which carry the data behind their messages."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from alphaweave.core import errors
from alphaweave.core.errors import (
    AlphaweaveError,
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    CancelRejected,
    ConfigError,
    DataError,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Problem,
    ReplaceRejected,
    StateError,
    StrategyError,
    Unsupported,
)
from alphaweave.core.order import RejectReason

TREE = re.compile(r"^([│ ]*)[├└]── (\w+)", re.MULTILINE)


def drawn() -> dict[str, str]:
    """Each exception of the drawing at the top of the module, and what it hangs from."""
    above = {-1: "AlphaweaveError"}
    parents = {}
    for indent, name in TREE.findall(errors.__doc__ or ""):
        depth = len(indent) // 4
        parents[name] = above[depth - 1]
        above[depth] = name
    return parents


def test_tree_is_drawn_as_it_is() -> None:
    """The drawing names every exception the module offers, each under its own base."""
    raised = {
        name: kind.__bases__[0].__name__
        for name in errors.__all__
        if inspect.isclass(kind := getattr(errors, name))
        and issubclass(kind, Exception)
        and kind is not AlphaweaveError
    }
    assert drawn() == raised
    assert AlphaweaveError.__bases__ == (Exception,)


def test_errors_offers_what_it_defines() -> None:
    """Sorted, once, and nothing public is missing, of its branches neither."""
    defined = {
        name
        for name, value in vars(errors).items()
        if str(getattr(value, "__module__", "")).startswith(errors.__name__) and not name.startswith("_")
    }
    assert sorted(errors.__all__) == sorted(defined)
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (OrderRejected("no"), {"reason": RejectReason.OTHER, "code": None, "text": "", "retry_after": None}),
        (
            OrderRejected(
                "no",
                reason=RejectReason.RATE_LIMITED,
                code="-1015",
                text="Too many new orders.",
                retry_after=9.5,
            ),
            {
                "reason": RejectReason.RATE_LIMITED,
                "code": "-1015",
                "text": "Too many new orders.",
                "retry_after": 9.5,
            },
        ),
        (CancelRejected("no"), {"order_state": OrderState.UNKNOWN, "code": None, "text": ""}),
        (
            CancelRejected("no", order_state=OrderState.GONE, code="10148", text="filled"),
            {"order_state": OrderState.GONE, "code": "10148", "text": "filled"},
        ),
        (
            ReplaceRejected("no", order_state=OrderState.ALIVE, code="c", text="t"),
            {"order_state": OrderState.ALIVE, "code": "c", "text": "t"},
        ),
        (BrokerUnavailable("?"), {"code": None, "text": "", "retry_after": None}),
        (
            BrokerUnavailable("?", code="429", text="slow down", retry_after=60.0),
            {"code": "429", "text": "slow down", "retry_after": 60.0},
        ),
        (
            AuthenticationFailed("no", code="c", text="t", details={"mode": "live"}),
            {"code": "c", "text": "t", "details": {"mode": "live"}},
        ),
        (AuthenticationFailed("no"), {"details": {}}),
        (NotSent("no", code="not_connected"), {"code": "not_connected", "text": ""}),
        (OutcomeUnknown("?", text="timeout"), {"code": None, "text": "timeout"}),
        (Unsupported("no"), {"code": None, "text": ""}),
        (StrategyError("no", strategy="my:Sma", callback="next"), {"strategy": "my:Sma", "callback": "next"}),
        (DataError("a.csv", "no", 3), {"path": "a.csv", "reason": "no", "line": 3}),
        (StateError("no"), {"path": None}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_carries_its_facts(error: Exception, facts: dict[str, Any]) -> None:
    """What a program decides by is an attribute, not a part of the message."""
    assert {name: getattr(error, name) for name in facts} == facts


def test_replacement_refused_without_a_state_is_no_answer() -> None:
    """Whether the old version works is the one thing the engine must know."""
    with pytest.raises(TypeError, match="order_state"):
        ReplaceRejected("no")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "kind", [OrderRejected, CancelRejected, NotSent, OutcomeUnknown, BrokerUnavailable, Unsupported]
)
def test_broker_errors_are_caught_as_one(kind: type[BrokerError]) -> None:
    """Whatever a broker call ends in can be caught by one name, and shows its message."""
    with pytest.raises(BrokerError, match=r"^why$"):
        raise kind("why")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AlphaweaveError("x"), 1),
        (StrategyError("x", strategy="s", callback="c"), 1),
        (BrokerUnavailable("x"), 1),
        (AuthenticationFailed("x"), 2),
        (ConfigError([]), 2),
        (DataError("p", "r"), 2),
        (StateError("x"), 2),
        (errors.RunRefused("x"), 2),
        (errors.UnknownAdapter("x", kind="broker", name="n", installed=()), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_that_ends_a_run_has_an_exit_code(error: AlphaweaveError, code: int) -> None:
    """1 is a run that failed, 2 is what the user has to change first."""
    assert error.exit_code == code


def test_config_error_shows_every_problem_with_its_place() -> None:
    """One error for all that is wrong; a near miss is suggested."""
    error = ConfigError([Problem("run.id", "is empty"), Problem("brokr", "is unknown", "broker")], "a.yaml")
    assert str(error) == (
        "a.yaml: 2 problems in the configuration:"
        "\n  run.id: is empty"
        "\n  brokr: is unknown Did you mean 'broker'?"
    )
    assert str(ConfigError([Problem("a", "b")])).startswith("1 problem in the configuration:")
    missing = ConfigError([Problem("a.yaml", "no such file.")], source="a.yaml")
    assert str(missing) == "a.yaml: 1 problem in the configuration:\n  no such file."
    assert Problem("a", "b") == Problem("a", "b")
    assert Problem("a", "b") != Problem("a", "c")
    assert Problem("a", "b") != "a: b"
    assert len({Problem("a", "b"), Problem("a", "b"), Problem("a", "b", "c")}) == 2
    assert repr(Problem("a", "b")) == "Problem('a: b')"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (DataError("a.csv", "no close", 3), "a.csv:3: no close"),
        (DataError("a.csv", "is empty"), "a.csv: is empty"),
        (StateError("is torn", "s.json"), "s.json: is torn"),
        (StateError("is torn"), "is torn"),
    ],
)
def test_error_about_a_file_begins_with_its_place(error: Exception, shown: str) -> None:
    """An editor can jump to it."""
    assert str(error) == shown
