"""What leaves a run: exceptions of every kind, without the secrets that were in them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from alphaweave.core.errors import BrokerUnavailable, ConfigError, DataError, Problem, Redacted
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.discretion import discreet_failure, discreet_monitor, discreetly
from alphaweave.live.fanout import MonitorFailure
from alphaweave.live.party import Party
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Alert, ColumnMonitor

SECRET = "c4n4ry-7f3a"


class Stubborn(Exception):
    """Makes its words of what nobody can reach."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __str__(self) -> str:
        return f"the key was {self._key}"


def decoding() -> None:
    (SECRET.encode() + b"\xff").decode()


def grouped() -> None:
    raise ExceptionGroup(f"two of {SECRET}", [ValueError(SECRET), Stubborn(SECRET)])


def caused() -> None:
    try:
        raise Stubborn(SECRET)
    except Stubborn as error:
        raise BrokerUnavailable("no answer", code=SECRET, text=f"key={SECRET}") from error


def noted() -> None:
    error = DataError(f"/data/{SECRET}.csv", "odd")
    error.add_note(f"with {SECRET}")
    raise error


def several() -> None:
    raise ConfigError([Problem(f"a.{SECRET}", f"{SECRET} is wrong", SECRET)], f"{SECRET}.yaml")


def circular() -> None:
    one, other = ValueError(SECRET), KeyError(SECRET)
    one.__cause__, other.__cause__ = other, one
    raise one


@pytest.fixture
def scrubber() -> Scrubber:
    made = Scrubber()
    made.add(SECRET)
    return made


@pytest.mark.parametrize(
    ("fail", "kind"),
    [
        (decoding, Redacted),
        (grouped, Redacted),
        (caused, BrokerUnavailable),
        (noted, DataError),
        (several, ConfigError),
        (circular, ValueError),
    ],
)
def test_exception_leaves_without_secrets(
    fail: Callable[[], None], kind: type[Exception], scrubber: Scrubber
) -> None:
    """It stays what it is where it can be washed; else something with its words stands for it."""
    with pytest.raises(kind) as caught:
        discreetly(scrubber, fail)
    error: BaseException | None = caught.value
    assert error is not None
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert ("[redacted]" in shown) is (fail is not decoding)
    assert fail.__name__ in shown
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        assert SECRET not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_exception_of_a_run_without_secrets_is_left_alone() -> None:
    with pytest.raises(BrokerUnavailable, match="no answer") as caught:
        discreetly(Scrubber(), caused)
    assert caught.value.code == SECRET
    assert isinstance(caught.value.__cause__, Stubborn)


def test_failure_of_a_monitor_is_told_without_secrets(scrubber: Scrubber) -> None:
    failure = MonitorFailure(InMemoryMonitor(), "on_bar", Stubborn(SECRET))
    told = str(discreet_failure(failure, scrubber))
    assert told.startswith("monitor InMemoryMonitor failed in on_bar: Redacted: ")
    assert told.endswith("the key was [redacted]")


def test_discreet_monitor_is_told_nothing_that_goes_past_it(scrubber: Scrubber) -> None:
    """Its saved state is asked for; a way to be told of which the discreet one knows nothing is not there."""

    class Eager(InMemoryMonitor):
        def on_whisper(self, words: str) -> None:
            raise AssertionError(words)

    monitor = Eager()
    shown = discreet_monitor(monitor, scrubber)
    assert isinstance(shown, ColumnMonitor)
    assert not hasattr(shown, "on_whisper")
    assert shown.get_state() == monitor.get_state()  # type: ignore[attr-defined]
    shown.on_alert(Alert(datetime(2024, 1, 1, tzinfo=UTC), "warning", "odd", f"of {SECRET}"))
    assert [alert.message for alert in monitor.alerts] == ["of [redacted]"]
    assert discreet_monitor(monitor, Scrubber()) is monitor


class Foreign:
    """Made by a plugin, and fails where it is asked."""

    def submit(self) -> None:
        raise LookupError("no such thing")


def test_error_out_of_a_foreign_object_is_its_makers() -> None:
    """By the module in which it was raised; one that was raised elsewhere is not."""
    party = Party("broker", "acme", "alphaweave-acme 1.0")
    with pytest.raises(LookupError) as caught:
        Foreign().submit()
    told = party.blame(caught.value, Foreign())
    assert told is not None
    # The test itself called it, and is in that module too.
    assert str(told).startswith(
        "broker plugin 'acme' (alphaweave-acme 1.0) raised LookupError in test_error_out"
    )
    assert told.distribution == "alphaweave-acme 1.0"
    assert party.blame(caught.value, InMemoryMonitor()) is None
    assert party.blame(LookupError("never raised"), Foreign()) is None


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(0), GeneratorExit()])
def test_whatever_a_plugin_raises_is_told_in_its_name(error: BaseException) -> None:
    """But an interrupt, which is the user's."""

    def create() -> None:
        raise error

    with pytest.raises(Exception, match=f"broker plugin 'acme' raised {type(error).__name__} in create"):
        Party("broker", "acme").ask("create", Foreign, create)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Party("broker", "acme").ask("create", Foreign, interrupted)
