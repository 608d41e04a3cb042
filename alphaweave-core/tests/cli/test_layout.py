"""Documents as a person reads them."""

from __future__ import annotations

from alphaweave.cli.layout import lay_out


def test_document_is_laid_out_for_a_person() -> None:
    """No name runs into its value, times are times, and figures have the digits that matter."""
    document = {
        "state": "halted",
        "causes": ["loss: 5", "operator: enough"],
        "positions": {"IBM": "8", "SPY": "-3"},
        "symbols": {},
        "equity": 10000.123456789012,
        "rate": 0.12345678901,
        "strategy_failed": False,
        "last_slice": 10**18,
        "timestamp_ns": None,
        "rules": {"loss": {"peak": 1.5, "at_ns": 10**18}, "seen": list(range(12))},
    }
    assert list(lay_out(document)) == [
        "state             halted",
        "causes            loss: 5",
        "                  operator: enough",
        "positions         IBM 8, SPY -3",
        "symbols           none",
        "equity            10000.12",
        "rate              0.123457",
        "strategy failed   no",
        "last slice        2001-09-09T01:46:40+00:00",
        "timestamp         -",
        "rules",
        "  loss            peak 1.5, at_ns 2001-09-09T01:46:40+00:00",
        "  seen            0",
        *(f"{number:>19}" for number in range(1, 10)),
        "                  and 2 more",
    ]
