"""Message codes: what they end, what they refuse, and what they leave alone."""

from __future__ import annotations

import pytest

from alphaweave_broker_ibkr.codes import Meaning, Subject, meaning_of

ORDERS = (Subject.NEW_ORDER, Subject.ORDER, Subject.REPLACE, Subject.CANCEL)


@pytest.mark.parametrize("code", [10349, 2109, 399, 404, 2104, 2158])
@pytest.mark.parametrize("subject", ORDERS)
def test_information_never_ends_or_refuses_anything(code: int, subject: Subject) -> None:
    """A notice that carries an order's id leaves the order as it is."""
    assert meaning_of(code, subject) in {Meaning.INFORMATION, Meaning.FARM_RESTORED}


@pytest.mark.parametrize("code", [110, 201, 321, 105, 104])
def test_refused_replace_leaves_the_order_alive(code: int) -> None:
    """The code that ends a new order only refuses a change of a working one."""
    assert meaning_of(code, Subject.REPLACE) is Meaning.ACTION_REFUSED


@pytest.mark.parametrize("code", [201, 203, 200, 110, 10289, 10243, 460, 321])
def test_refused_new_order_is_over(code: int) -> None:
    """A refusal of a new order is final, that of a read-only gateway included."""
    assert meaning_of(code, Subject.NEW_ORDER) is Meaning.ORDER_REJECTED


def test_number_that_was_used_before_is_looked_up() -> None:
    """The order of that number may be the very one that is sent."""
    assert meaning_of(103, Subject.NEW_ORDER) is Meaning.LOOK_UP


@pytest.mark.parametrize("code", [10147, 10148])
def test_cancel_that_comes_too_late_is_looked_up(code: int) -> None:
    """A cancel that races a fill tells nothing about how the order ended."""
    assert meaning_of(code, Subject.CANCEL) is Meaning.LOOK_UP


@pytest.mark.parametrize("code", [161, 321])
def test_refused_cancel_leaves_the_order_alive(code: int) -> None:
    """An order that cannot be cancelled works on."""
    assert meaning_of(code, Subject.CANCEL) is Meaning.ACTION_REFUSED


@pytest.mark.parametrize("subject", ORDERS)
def test_order_is_cancelled_only_by_its_own_code(subject: Subject) -> None:
    """202 ends an order whatever was under way, and a code nobody knows ends none."""
    assert meaning_of(202, subject) is Meaning.ORDER_CANCELLED
    assert meaning_of(77777, subject) is Meaning.LOOK_UP


@pytest.mark.parametrize("code", [201, 203])
def test_working_order_may_be_rejected_late(code: int) -> None:
    """An exchange refuses what the gateway had taken."""
    assert meaning_of(code, Subject.ORDER) is Meaning.ORDER_REJECTED


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (1100, Meaning.CONNECTIVITY_LOST),
        (2110, Meaning.CONNECTIVITY_LOST),
        (1101, Meaning.RESTORED_DATA_LOST),
        (1102, Meaning.RESTORED),
        (1300, Meaning.PORT_CHANGED),
        (326, Meaning.CLIENT_ID_IN_USE),
        (100, Meaning.RATE_EXCEEDED),
        (2103, Meaning.FARM_LOST),
        (2105, Meaning.FARM_LOST),
        (2104, Meaning.FARM_RESTORED),
        (2106, Meaning.FARM_RESTORED),
        (77777, Meaning.INFORMATION),
    ],
)
def test_session_codes_keep_farms_and_connectivity_apart(code: int, meaning: Meaning) -> None:
    """A data farm that is gone is no lost connection, and restored is not always all restored."""
    assert meaning_of(code, Subject.SESSION) is meaning


@pytest.mark.parametrize("code", [101, 354, 10089, 10168, 10197, 162, 300, 366, 10182])
def test_market_data_fails_apart_from_other_requests(code: int) -> None:
    """Market data that is refused is told from a question that is."""
    assert meaning_of(code, Subject.REQUEST) is Meaning.DATA_FAILED
    assert meaning_of(200, Subject.REQUEST) is Meaning.REQUEST_FAILED
