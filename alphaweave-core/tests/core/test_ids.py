"""Client order ids: the same decision has the same name for ever, and no two have one."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core import ids
from alphaweave.core.ids import ClientIds

FORM = re.compile(r"aw[a-z2-7]{5}-[a-z2-7]{22}")
# Every field but the separator, which no config can hold.
texts = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=12)
decisions = st.tuples(texts, texts, texts, texts, st.integers(0, 99), st.integers(0, 9))


def name(decision: tuple[str, str, str, str, int, int]) -> str:
    account, run_id, strategy, trigger, number, version = decision
    return ClientIds(account=account, run_id=run_id, strategy=strategy).make(trigger, number, version)


@given(decisions)
def test_id_is_thirty_characters_that_every_broker_takes(
    decision: tuple[str, str, str, str, int, int],
) -> None:
    """Lower-case letters, digits and one hyphen, whatever the names in the config."""
    made = name(decision)
    assert len(made) == 30
    assert FORM.fullmatch(made)


@given(st.lists(decisions, unique=True, max_size=20))
def test_decisions_have_distinct_ids(made: list[tuple[str, str, str, str, int, int]]) -> None:
    """A difference anywhere, in account, run, strategy, trigger, number or version, is another id."""
    assert len({name(decision) for decision in made}) == len(made)


@given(decisions)
def test_id_is_a_function_of_the_decision(decision: tuple[str, str, str, str, int, int]) -> None:
    """A restart, which makes everything anew, names the decision as before."""
    assert name(decision) == name(decision)


def test_neighbouring_fields_do_not_run_together() -> None:
    """Moving a character from one field to the next is another decision."""
    pairs = [
        (("ab", "c", "s", "t", 1, 1), ("a", "bc", "s", "t", 1, 1)),
        (("a", "rs", "t", "u", 1, 1), ("a", "r", "st", "u", 1, 1)),
        (("a", "r", "s", "t1", 1, 1), ("a", "r", "s", "t", 11, 1)),
        (("a", "r", "s", "t", 1, 11), ("a", "r", "s", "t", 11, 1)),
    ]
    for one, other in pairs:
        assert name(one) != name(other)


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (("DU1", "sma", "my:Sma", "bar:1d:1709596800000000000", 0, 0), "awmbj3g-atuoyxqbed4k2uewpx7qz4"),
        (("DU1", "sma", "my:Sma", "bar:1d:1709596800000000000", 0, 1), "awmbj3g-c4m5qtp5ylbinrjhhun4qr"),
        (("", "", "", "", 0, 0), "awjmpty-j4l5bfitevhau2j7bklo6x"),
    ],
)
def test_ids_of_old_runs_stay_what_they_were(
    decision: tuple[str, str, str, str, int, int], expected: str
) -> None:
    """An order that is open at a broker today is found by the release of tomorrow."""
    assert name(decision) == expected


def test_prefix_tells_the_runs_of_one_account_apart() -> None:
    """All ids of a run begin alike; those of another run do not."""
    one, other = (ClientIds(account="DU1", run_id=run, strategy="s") for run in ("a", "b"))
    assert one.make("t", 0).startswith(one.prefix)
    assert one.make("u", 7, 3).startswith(one.prefix)
    assert one.prefix != other.prefix
    assert ClientIds(account="DU2", run_id="a", strategy="z").prefix == one.prefix


def test_ids_do_not_depend_on_the_process() -> None:
    """Another interpreter with another hash seed gives the same id."""
    script = (
        "from alphaweave.core.ids import ClientIds;"
        "print(ClientIds(account='DU1', run_id='sma', strategy='s').make('bar:1d:1', 2, 3), end='')"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {name(("DU1", "sma", "s", "bar:1d:1", 2, 3))}


def test_ids_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert ids.__all__ == ["ClientIds"]
