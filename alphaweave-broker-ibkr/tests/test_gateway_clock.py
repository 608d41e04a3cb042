"""The time of a gateway that tells whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alphaweave_broker_ibkr.gateway_clock import GatewayClock

NOON = datetime(2031, 3, 3, 12, tzinfo=UTC)


def off(clock: GatewayClock, at: float, ahead: float, trip: float = 0.02) -> float:
    """How far ahead the gateway's clock seems, asked at that second after noon."""
    asked_at = NOON + timedelta(seconds=at)
    said = asked_at + timedelta(seconds=trip / 2 + ahead)
    answered_at = asked_at + timedelta(seconds=trip)
    told = clock.learn(asked_at, answered_at, said.replace(microsecond=0))
    return (told - answered_at).total_seconds()


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("trip", [0.0, 0.02, 0.4])
def test_a_second_that_is_cut_off_is_no_difference(phase: float, trip: float) -> None:
    """Nor is half a round trip."""
    assert off(GatewayClock(), phase, 0.0, trip) == 0.0


@pytest.mark.parametrize("ahead", [20.0, -7.25, 1.4])
def test_a_clock_that_is_off_shows_in_one_answer(ahead: float) -> None:
    """As far as that proves it: to the second."""
    told = off(GatewayClock(), 0.25, ahead)
    assert 0 < told / ahead <= 1.01
    assert abs(told - ahead) <= 1.02


def test_answers_of_several_moments_tell_parts_of_a_second() -> None:
    """What all of them agree with is narrower than what each one says."""
    clock = GatewayClock()
    told = [off(clock, 10.0 * step + phase, 0.7) for step, phase in enumerate([0.1, 0.2, 0.28, 0.31, 0.5])]
    assert told == sorted(told)
    assert abs(told[-1] - 0.7) <= 0.03


def test_a_clock_that_was_set_is_believed() -> None:
    """What was known of it counts no more."""
    clock = GatewayClock()
    for phase in (0.1, 0.28, 0.31):
        off(clock, phase, 0.7)
    assert off(clock, 60.0, -20.0) == pytest.approx(-19.5, abs=0.6)
    assert off(clock, 70.0, 0.0) == 0.0
