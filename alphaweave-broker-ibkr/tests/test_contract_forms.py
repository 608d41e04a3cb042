"""Short forms of contracts, as a config has them."""

from __future__ import annotations

import pytest

from alphaweave_broker_ibkr.contract_forms import ContractForm, parse_contract


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("AAPL", ContractForm(kind="STK", symbol="AAPL", exchange="SMART", currency="USD")),
        ("BRK B", ContractForm(kind="STK", symbol="BRK B", exchange="SMART", currency="USD")),
        (
            "MSFT@NASDAQ",
            ContractForm(kind="STK", symbol="MSFT", exchange="SMART", listing="NASDAQ", currency="USD"),
        ),
        ("EUR.USD@IDEALPRO", ContractForm(kind="CASH", symbol="EUR", exchange="IDEALPRO", currency="USD")),
        ("EUR.USD", ContractForm(kind="CASH", symbol="EUR", exchange="IDEALPRO", currency="USD")),
        ("ES 202612 CME", ContractForm(kind="FUT", symbol="ES", expiry="202612", exchange="CME")),
        ("ES 20261218 CME", ContractForm(kind="FUT", symbol="ES", expiry="20261218", exchange="CME")),
        ("BTC@PAXOS", ContractForm(kind="CRYPTO", symbol="BTC", exchange="PAXOS", currency="USD")),
        ("265598", ContractForm(kind="", con_id=265598)),
    ],
)
def test_short_form_names_a_contract(text: str, form: ContractForm) -> None:
    """Each form asks for one kind of contract."""
    assert parse_contract(text) == form


@pytest.mark.parametrize(
    "text",
    ["", " AAPL", "aapl", "BRK.B", "EUR.USD@SMART", "ES 2026 CME", "ES 202613 CME", "0", "AAPL@", "A\0B"],
)
def test_other_forms_are_refused_with_those_there_are(text: str) -> None:
    """What is no form is refused, and the forms are listed."""
    with pytest.raises(ValueError, match="write AAPL"):
        parse_contract(text)
