"""What a load adjusted, as lines for a person."""

from __future__ import annotations

from alphaweave.data.report import Adjustment, LoadReport


def test_report_says_once_what_is_the_same_in_several_files() -> None:
    """Adjustments of whole files are told together; those of a line each for itself, in order."""
    report = LoadReport(
        (
            Adjustment("a.csv", None, "A: 3 weekdays without a bar"),
            Adjustment("b.csv", 7, "a row without prices; dropped"),
            Adjustment("b.csv", None, "B: 3 weekdays without a bar"),
            Adjustment("c.csv", None, "no volume"),
        )
    )
    assert report.lines() == [
        "A, B: 3 weekdays without a bar",
        "b.csv:7: a row without prices; dropped",
        "c.csv: no volume",
    ]
