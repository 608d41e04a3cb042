"""The markup of a dashboard page: everything that can be read without a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from attrs import frozen

from alphaweave.monitoring.dates import BarDates

if TYPE_CHECKING:
    from alphaweave.monitoring.run import RunMonitor

__all__ = ["body"]

_MINUS: Final = "\N{MINUS SIGN}"
_NONE: Final = "\N{EN DASH}"

# (key, label, format, what it means)
_Figure = tuple[str, str, str, str]
_HEADLINES: Final[tuple[_Figure, ...]] = (
    ("final_equity", "Final equity", "short", "Cash and positions after the last bar"),
    ("total_return", "Total return", "gain", "Final over opening equity, less 1"),
    ("cagr", "CAGR", "gain", "Compound annual growth rate"),
    ("sharpe", "Sharpe", "ratio", "Mean over standard deviation of returns, annualised, no risk-free rate"),
    ("max_drawdown", "Max drawdown", "loss", "Deepest fall of equity below its highest value so far"),
    ("win_rate", "Win rate", "share", "Share of round trips with a profit"),
    ("profit_factor", "Profit factor", "ratio", "Profits over losses of all round trips"),
    ("costs", "Costs", "short", "Fees and slippage of all fills"),
)
_GROUPS: Final[tuple[tuple[str, tuple[_Figure, ...]], ...]] = (
    (
        "Return",
        (
            ("opening_equity", "Opening equity", "money", "Equity before the first bar"),
            ("final_equity", "Final equity", "money", "Equity after the last bar"),
            ("total_return", "Total return", "gain", "Final over opening equity, less 1"),
            ("cagr", "CAGR", "gain", "Compound annual growth rate"),
            ("sharpe", "Sharpe ratio", "ratio", "Mean over standard deviation of returns, annualised"),
            ("sortino", "Sortino ratio", "ratio", "Mean over downside deviation of returns, annualised"),
            ("calmar", "Calmar ratio", "ratio", "CAGR over maximum drawdown"),
        ),
    ),
    (
        "Risk",
        (
            ("volatility", "Volatility", "share", "Standard deviation of returns, annualised"),
            ("max_drawdown", "Max drawdown", "loss", "Deepest fall below the highest value so far"),
            ("max_drawdown_days", "Longest drawdown", "days", "From a peak until it was reached again"),
            ("exposure_time", "Time in market", "share", "Share of bars that ended with a position"),
            ("average_exposure", "Average exposure", "share", "Mean of position values over equity"),
        ),
    ),
    (
        "Trading",
        (
            ("fills", "Fills", "count", "Executions"),
            ("round_trips", "Round trips", "count", "Positions opened and closed again"),
            ("win_rate", "Win rate", "share", "Share of round trips with a profit"),
            ("profit_factor", "Profit factor", "ratio", "Profits over losses"),
            ("average_win", "Average win", "money", "Mean profit of winning round trips"),
            ("average_loss", "Average loss", "money", "Mean loss of losing round trips"),
            ("turnover", "Turnover a year", "times", "Value bought and sold over equity, a year"),
        ),
    ),
    (
        "Costs",
        (
            ("fees", "Fees", "money", "As the broker charged them"),
            ("slippage", "Slippage", "money", "Against the price at the decision; negative is a gain"),
            ("costs", "Together", "money", "Fees and slippage"),
        ),
    ),
    (
        "Basis",
        (
            ("bars", "Bars", "count", "Slices recorded"),
            ("periods_per_year", "Bars a year", "count", "What annualised figures rest on"),
        ),
    ),
)


@frozen
class _Page:
    run: RunMonitor
    figures: Mapping[str, float | None]
    dates: BarDates


def body(run: RunMonitor, *, title: str, config: str, dates: BarDates) -> str:
    """Everything inside ``<main>`` and the header; ``config`` is text, already redacted."""
    page = _Page(run, run.metrics(), dates)
    return f"""
<header class="top">
  <div>
    <h1>{escape(title)}</h1>
    <p class="badges">{_badges(run, title)}</p>
  </div>
  <button type="button" id="theme" class="quiet" hidden>Theme</button>
</header>
<main>
{_failure(run)}
<section class="headlines" aria-label="Headline figures">{_headlines(page)}</section>
<section class="card facts" aria-label="The run">{_facts(page)}</section>
<div class="columns">
  <div class="wide">
    {_CHARTS}
    {_RECORDS}
  </div>
  <div class="narrow">
    <section class="card" aria-labelledby="figures-title">
      <h2 id="figures-title">Figures</h2>{_groups(page)}
    </section>
    {_notices(run)}
    <section class="card" aria-labelledby="config-title">
      <h2 id="config-title">Config</h2>
      {f'<pre tabindex="0" aria-label="Config">{escape(config)}</pre>' if config else _empty("No config.")}
    </section>
  </div>
</div>
</main>
<footer>{_clock(dates)}<span id="footnote"></span></footer>
"""


_CHARTS: Final = """
<section class="card" aria-labelledby="charts-title">
  <div class="bar">
    <h2 id="charts-title">Charts</h2>
    <div class="ranges" id="ranges" role="group" aria-label="Range"></div>
  </div>
  <noscript><p class="empty">Charts and tables need JavaScript; this page loads nothing from the network.</p>
  </noscript>
  <div id="charts" tabindex="0" role="group" aria-label="Charts" aria-describedby="charts-help"></div>
  <p class="help" id="charts-help">Drag to zoom, double-click for everything. Keys: left and right move
    along the bars, plus and minus zoom, 0 shows everything.</p>
  <p class="spoken" id="spoken" aria-live="polite"></p>
</section>"""

_RECORDS: Final = """
<section class="card" aria-labelledby="records-title">
  <h2 id="records-title" class="spoken">Records</h2>
  <div class="tabs" id="tabs" role="tablist" aria-label="Records"></div>
  <div id="tables"></div>
</section>"""


def _badges(run: RunMonitor, title: str) -> str:
    meta, summary = run.meta, run.memory.summary
    badges = []
    if mode := str(meta.get("mode") or ""):
        badges.append(_badge(mode, "live" if mode == "live" else "plain"))
    if summary is not None:
        badges.append(_badge(summary.outcome, "bad" if summary.outcome == "failed" else "plain"))
        if summary.halted is not None:
            badges.append(_badge(f"halted: {summary.halted}", "bad"))
    badges.extend(_badge(str(words), "bad") for words in meta.get("latched") or ())
    names = (meta.get(key) for key in ("strategy", "run_id"))
    badges.extend(f"<span>{escape(str(name))}</span>" for name in names if name and name != title)
    return " ".join(badges)


def _badge(text: str, kind: str) -> str:
    return f'<span class="badge {kind}">{escape(text)}</span>'


def _clock(dates: BarDates) -> str:
    days = (
        f" Daily bars are dated in {escape(str(dates.zone))}."
        if dates.daily and str(dates.zone) != "UTC"
        else ""
    )
    return f"Times are UTC.{days}"


def _notices(run: RunMonitor) -> str:
    notices = [str(notice) for notice in run.meta.get("notices") or ()]
    if not notices:
        return ""
    items = "".join(f"<li>{escape(notice)}</li>" for notice in notices)
    return (
        '<section class="card" aria-labelledby="notices-title"><h2 id="notices-title">Notices</h2>'
        f'<ul class="notices">{items}</ul></section>'
    )


def _failure(run: RunMonitor) -> str:
    summary = run.memory.summary
    if summary is None or not summary.error:
        return ""
    return f'<p class="failure" role="alert"><strong>The run failed.</strong> {escape(summary.error)}</p>'


def _facts(page: _Page) -> str:
    meta, summary, bars = page.run.meta, page.run.memory.summary, page.run.memory.bars
    symbols = [str(symbol) for symbol in meta.get("symbols") or bars.columns.closes]
    facts: list[tuple[str, str]] = [
        ("Broker", str(meta.get("broker") or _NONE)),
        ("Feed", str(meta.get("datafeed") or _NONE)),
        ("Symbols", _listed(symbols)),
        ("Interval", str(meta.get("interval") or _NONE)),
        ("First bar", page.dates.text(bars.columns.ends[0]) if len(bars) else _NONE),
        ("Last bar", page.dates.text(bars.columns.ends[-1]) if len(bars) else _NONE),
        ("Bars", _number(len(bars), 0)),
    ]
    if summary is not None:
        facts += [
            ("Orders", _number(summary.orders, 0)),
            ("Fills", _number(summary.fills, 0)),
            ("Denials", _number(summary.denials, 0)),
            ("Rule evaluations", _number(summary.rule_evaluations, 0)),
        ]
    facts.append(("Currency", str(meta.get("currency") or _NONE)))
    return _definitions(facts)


def _listed(symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:6])
    return f"{shown} and {len(symbols) - 6} more" if len(symbols) > 6 else shown or _NONE


def _definitions(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f"<dl>{rows}</dl>"


def _headlines(page: _Page) -> str:
    cards = []
    for key, label, kind, meaning in _HEADLINES:
        value = page.figures.get(key)
        cards.append(
            f'<div class="headline" title="{escape(meaning)}"><span class="label">{escape(label)}</span>'
            f'<span class="value {_tone(kind, value)}">{escape(_figure(kind, value))}</span></div>'
        )
    return "".join(cards)


def _groups(page: _Page) -> str:
    parts = []
    for name, figures in _GROUPS:
        rows = "".join(
            f'<tr title="{escape(meaning)}"><th scope="row">{escape(label)}</th>'
            f'<td class="{_tone(kind, page.figures.get(key))}">'
            f"{escape(_figure(kind, page.figures.get(key)))}</td></tr>"
            for key, label, kind, meaning in figures
        )
        parts.append(f'<table class="figures"><caption>{escape(name)}</caption><tbody>{rows}</tbody></table>')
    return "".join(parts)


def _empty(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'


def _tone(kind: str, value: float | None) -> str:
    if value is None or kind not in ("gain", "loss") or not value:
        return ""
    return "up" if value > 0 else "down"


def _figure(kind: str, value: float | None) -> str:
    """A figure as a person reads it; a dash where it is undefined."""
    if value is None:
        return _NONE
    if kind == "money":
        return _number(value, 2)
    if kind == "short":
        if abs(value) >= 1e9:
            return f"{_number(value / 1e9, 3)} B"
        return _number(value, 2 if abs(value) < 1e5 else 0)
    if kind == "gain":
        return f"{'+' if round(value, 4) > 0 else ''}{_number(100.0 * value, 2)} %"
    if kind in ("share", "loss"):
        return f"{_number(100.0 * value, 2)} %"
    if kind == "times":
        return f"{_number(value, 2)} ×"
    if kind == "days":
        return f"{_number(value, 0 if value >= 10 else 1)} days"
    return _number(value, 2 if kind == "ratio" else 0)


def _number(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    # A rounded zero has no sign.
    return text.removeprefix("-") if not text.strip("-0.,") else text.replace("-", _MINUS)
