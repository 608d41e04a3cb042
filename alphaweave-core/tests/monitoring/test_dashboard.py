"""The dashboard page as text: what it carries, what it must never carry, how it is written."""

from __future__ import annotations

import json
import math
import re
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.clock import to_ns
from alphaweave.core.redaction import redact
from alphaweave.core.secret import Secret
from alphaweave.monitoring import dashboard_data
from alphaweave.monitoring.dashboard import generate_html_dashboard, write_dashboard
from alphaweave.monitoring.dashboard_data import page_data
from alphaweave.monitoring.dates import BarDates
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Alert, BarColumns
from alphaweave.monitoring.recordlog import RecordLog
from alphaweave.monitoring.run import RunMonitor

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


def unpacked(page: str) -> dict[str, Any]:
    """The data that a page carries."""
    found = re.search(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]*)</script>', page)
    assert found
    data: dict[str, Any] = json.loads(zlib.decompress(b64decode(found[1])))
    return data


def data_of(memory: InMemoryMonitor) -> dict[str, Any]:
    """The same before it is packed."""
    return page_data(RunMonitor(memory), BarDates.of(memory.meta, memory.bars.columns.ends))


def column(packed: dict[str, Any], count: int) -> list[float]:
    """A packed column, as the page's script reads it."""
    values = np.cumsum(packed["d"]) / 10.0 ** packed["k"]
    return (
        [math.nan] * packed["start"] + values.tolist() + [math.nan] * (count - packed["start"] - len(values))
    )


class Elements(HTMLParser):
    """Every element of a page, and the text of those that are code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") and "type" not in dict(attrs) else ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.code[self._inside] = self.code.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_page_asks_the_network_for_nothing(memory: InMemoryMonitor) -> None:
    """No element names an address, and the page forbids itself to load or run anything else."""
    page = generate_html_dashboard(RunMonitor(memory))
    elements = Elements(page)
    named = [
        (tag, key, value)
        for tag, attrs in elements.tags
        for key, value in attrs.items()
        if key in ("src", "href")
    ]
    assert named == [("link", "href", "data:,")]
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    (policy,) = (attrs["content"] for _, attrs in elements.tags if attrs.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        digest = b64encode(sha256(elements.code[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_page_is_small_and_the_same_every_time(scripted: Callable[..., Any]) -> None:
    """Five years of daily bars of three symbols stay far below half a megabyte."""
    run, memory = scripted(bars=1260, symbols=("SPY", "QQQ", "TLT")), InMemoryMonitor()
    memory.on_run_start(run.meta)
    run.tell(memory)
    memory.on_run_end(run.summary())
    page = generate_html_dashboard(RunMonitor(memory))
    assert len(page) < 200_000
    assert generate_html_dashboard(RunMonitor(memory)) == page


def test_nothing_in_a_run_becomes_markup(scripted: Callable[..., Any]) -> None:
    """Whatever a title, symbol, message or config holds, the elements of the page stay the same."""
    pages = []
    for word in ("harmless", HOSTILE):
        run, memory = scripted(bars=40, symbols=(word, "B")), InMemoryMonitor()
        memory.on_run_start(
            {**run.meta, "strategy": word, "run_id": word, "broker": word, "config": {word: [word]}}
        )
        run.tell(memory)
        memory.on_metric(word, 1.0, memory.bars[-1].timestamp)
        memory.on_alert(Alert(NOON, word, word, word, word))
        memory.on_run_end(run.summary(outcome="failed", error=word))
        pages.append(generate_html_dashboard(RunMonitor(memory), title=word))
    plain, hostile = (Elements(page).tags for page in pages)
    assert [tag for tag, _ in plain] == [tag for tag, _ in hostile]
    assert [set(attrs) for _, attrs in plain] == [set(attrs) for _, attrs in hostile]
    assert HOSTILE not in pages[1]
    assert HOSTILE in dict(unpacked(pages[1])["prices"])


def test_page_carries_every_figure_of_the_run(memory: InMemoryMonitor) -> None:
    """Columns come back to the digits they had; fills, orders and alerts are complete."""
    run = RunMonitor(memory)
    data = unpacked(generate_html_dashboard(run))
    assert data["bars"] == 300
    assert data["days"] is not None
    assert data["opening"] == 100_000.0
    ends = data["times"]["first"] + np.cumsum(data["times"]["d"]) * data["times"]["unit"]
    assert ends.tolist() == [end // 1_000_000 for end in memory.bars.columns.ends]
    assert column(data["equity"], 300) == pytest.approx(memory.bars.columns.equity.tolist(), abs=0.006)
    assert column(data["gross"], 300) == pytest.approx(memory.bars.columns.gross.tolist(), abs=0.006)
    assert column(data["net"], 300) == pytest.approx(memory.bars.columns.net.tolist(), abs=0.006)
    prices = {name: column(packed, 300) for name, packed in data["prices"]}
    assert prices == {name: closes.tolist() for name, closes in memory.bars.columns.closes.items()}
    fills = data["fills"]
    assert np.cumsum(fills["row"]).tolist() == [trade.index for trade in memory.trades]
    assert fills["price"] == [trade.price for trade in memory.trades]
    assert fills["pnl"] == [trade.pnl for trade in memory.trades]
    assert [fills["names"][code] for code in fills["symbol"]] == [trade.symbol for trade in memory.trades]
    turnover = np.zeros(300)
    turnover[np.cumsum(data["turnover"]["rows"])] = np.array(data["turnover"]["v"]) / 1e4
    assert turnover.tolist() == pytest.approx(run.turnover.tolist(), abs=1e-4)
    assert data["alerts"]["code"] == ["late_bar"] * 3
    assert data["trips"]["total"] == len(run.round_trips()) + len(run.open_positions())
    trips = data["trips"]
    assert trips["closed"][:2] == [None, None]
    assert trips["to"][:2] == [299, 299]
    closed = run.round_trips()[::-1]
    assert trips["from"][2:] == [trip.opened_index for trip in closed]
    assert trips["to"][2:] == [trip.closed_index for trip in closed]


def test_orders_are_shown_as_they_stood_last(memory: InMemoryMonitor) -> None:
    """An order's changes become one row; refusals are counted."""
    first = memory.orders[0]
    memory.on_order(evolve(first, order_id="late", status="accepted", filled=first.filled * 0))
    memory.on_order(evolve(first, order_id="bad", status="denied", reason="max_notional", text="too much"))
    memory.on_order(
        evolve(first, order_id="late", status="rejected", reason="broker", text="no", adjustments=())
    )
    orders = data_of(memory)["orders"]
    assert orders["total"] == len(memory.orders) - 1
    assert orders["refused"] == 2
    shown = dict(zip(orders["order"], zip(orders["status"], orders["why"], strict=True), strict=True))
    assert shown["late"] == ("rejected", "broker · no")
    assert shown["bad"] == ("denied", "max_notional · too much · quantity 200.4 to 200")


FLOATS = st.floats(-1e12, 1e12).filter(lambda value: value == 0.0 or abs(value) > 1e-9)


@given(values=st.lists(FLOATS, min_size=1, max_size=40), missing=st.integers(0, 3))
def test_columns_keep_nine_digits(values: list[float], missing: int) -> None:
    """Any column comes back within nine digits of its largest number, or to the second decimal."""
    memory = InMemoryMonitor()
    closes = [math.nan] * missing + values
    flat = [1.0] * len(closes)
    ends = [to_ns(NOON + timedelta(days=day)) for day in range(len(closes))]
    memory.on_bars(
        BarColumns(
            first_index=0, ends=ends, equity=flat, cash=flat, gross=flat, net=flat, closes={"A": closes}
        )
    )
    (packed,) = (packed for _, packed in data_of(memory)["prices"])
    allowed = max(min(5e-9 * max(map(abs, values)), 0.006), 1e-14)
    assert packed["start"] == missing
    assert column(packed, len(closes))[missing:] == pytest.approx(values, rel=0, abs=allowed)


def books(equity: np.ndarray, step: timedelta) -> InMemoryMonitor:
    """A run of which only the equity is of interest."""
    memory = InMemoryMonitor()
    start, pace = to_ns(NOON), step // timedelta(microseconds=1) * 1000
    flat = array("d", bytes(8 * len(equity)))
    memory.on_bars(
        BarColumns(
            first_index=0,
            ends=array("q", range(start, start + pace * len(equity), pace)),
            equity=array("d", equity.tobytes()),
            cash=flat,
            gross=flat,
            net=flat,
            closes={},
        )
    )
    return memory


def test_long_run_is_thinned_but_keeps_its_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many bars each stretch keeps its lowest, highest and last; turnover loses nothing."""
    monkeypatch.setattr(dashboard_data, "_MAX_VALUES", 40_000)
    equity = 1e6 * np.exp(np.cumsum(np.random.default_rng(5).normal(0.0, 1e-4, 100_003)))
    memory = books(equity, timedelta(minutes=1))
    memory.on_trade(_trade(index=34_567, timestamp=NOON + timedelta(minutes=34_567)))
    data = data_of(memory)
    kept = len(data["times"]["d"])
    assert data["bars"] == len(equity)
    assert data["days"] is None
    assert 5_000 < kept <= 10_000
    drawn = np.array(column(data["equity"], kept))
    assert drawn.max() == pytest.approx(equity.max(), abs=0.006)
    assert drawn.min() == pytest.approx(equity.min(), abs=0.006)
    assert drawn[-1] == pytest.approx(equity[-1], abs=0.006)
    ends = data["times"]["first"] + np.cumsum(data["times"]["d"]) * data["times"]["unit"]
    assert np.all(np.diff(ends) > 0)
    (row,) = np.cumsum(data["fills"]["row"])
    booked = memory.bars.columns.ends[34_567] // 1_000_000
    assert ends[row - 1] < booked <= ends[row]
    assert np.cumsum(data["turnover"]["rows"]).tolist() == [row]


def _trade(**facts: Any) -> Any:
    from alphaweave.monitoring.monitor import TradeRecord

    known: dict[str, Any] = {
        "timestamp": NOON,
        "symbol": "A",
        "side": "buy",
        "price": 100.0,
        "size": 100.0,
        "fees": 0.0,
        "order_id": "o",
        "execution_key": "e",
        "position": 100.0,
    }
    return TradeRecord(**{**known, **facts})


def test_long_tables_are_cut_and_say_so(memory: InMemoryMonitor) -> None:
    """The latest fills are carried, with the number of all."""
    memory.trades = RecordLog(_trade(index=row % 300) for row in range(30_010))
    fills = data_of(memory)["fills"]
    assert fills["total"] == 30_010
    assert len(fills["row"]) == len(fills["price"]) == 30_000


@pytest.mark.parametrize("bars", [0, 1])
def test_run_with_next_to_nothing_has_a_page(scripted: Callable[..., Any], bars: int) -> None:
    """An empty run, with or without a fill, and a run of one bar."""
    run, memory = scripted(bars=bars), InMemoryMonitor()
    assert "<title>AlphaWeave run</title>" in generate_html_dashboard(RunMonitor(memory))
    memory.on_run_start(run.meta)
    run.tell(memory)
    memory.on_trade(_trade())
    data = unpacked(generate_html_dashboard(RunMonitor(memory)))
    assert data["bars"] == bars
    assert data["fills"]["row"] == [0]


def test_books_that_are_no_numbers_do_not_stop_the_page() -> None:
    """A gap in the books repeats the value before it."""
    equity = np.array([math.nan, 5.0, math.inf, 7.0])
    data = unpacked(generate_html_dashboard(RunMonitor(books(equity, timedelta(days=1)))))
    drawn = column(data["equity"], 4)
    assert math.isnan(drawn[0])
    assert drawn[1:] == [5.0, 5.0, 7.0]


def test_enormous_books_stay_whole_numbers() -> None:
    """What exceeds the whole numbers of a script is rounded, not broken."""
    data = data_of(books(np.array([3e20, 1e20]), timedelta(days=1)))
    assert max(map(abs, data["equity"]["d"])) < 2**53
    assert column(data["equity"], 2) == pytest.approx([3e20, 1e20])


def test_figures_read_as_a_person_writes_them(memory: InMemoryMonitor) -> None:
    """Signs, separators, units, and a dash for what is undefined."""
    from alphaweave.monitoring.dashboard_page import _figure

    shown = {
        ("money", 1234567.891): "1,234,567.89",
        ("money", -0.001): "0.00",
        ("short", 98765.4): "98,765.40",
        ("short", -1234567.9): "−1,234,568",
        ("short", 12_345_678_901.0): "12.346 B",
        ("gain", 0.12345): "+12.35 %",
        ("gain", -0.5): "−50.00 %",
        ("gain", 0.00001): "0.00 %",
        ("share", 0.5): "50.00 %",
        ("loss", -0.1234): "−12.34 %",
        ("times", 12.5): "12.50 ×",
        ("days", 3.25): "3.2 days",
        ("days", 120.4): "120 days",
        ("ratio", -1.005): "−1.00",
        ("count", 98280.0): "98,280",
        ("ratio", None): "–",  # noqa: RUF001 - as above
    }
    assert {key: _figure(*key) for key in shown} == shown


@pytest.mark.parametrize(
    ("zone", "hour", "days"),
    [
        (None, 0, -1),
        ("UTC", 0, -1),
        ("UTC", 21, 0),
        ("America/New_York", 5, -1),
        ("America/New_York", 21, 0),
        ("Asia/Tokyo", 6, 0),
        ("Asia/Tokyo", 15, 0),
        ("Nowhere/City", 0, -1),
    ],
)
def test_daily_bar_has_the_date_of_its_market(zone: str | None, hour: int, days: int) -> None:
    """Whether it ends with the session or at midnight, a bar is dated as its market dates it."""
    memory = books(np.array([1.0, 1.0, 1.0]), timedelta(days=1))
    ends = [datetime(2024, 3, day, hour, tzinfo=UTC) for day in (5, 6, 7)]
    memory.bars.columns.ends[:] = array("q", map(to_ns, ends))
    memory.on_run_start({"timezone": zone})
    page = generate_html_dashboard(RunMonitor(memory))
    dates = [(end + timedelta(days=days)).date() for end in ends]
    assert f"<dt>First bar</dt><dd>{dates[0]}</dd>" in page
    assert f"<dt>Last bar</dt><dd>{dates[-1]}</dd>" in page
    epoch = datetime(1970, 1, 1, tzinfo=UTC).date()
    assert np.cumsum(unpacked(page)["days"]).tolist() == [(day - epoch).days for day in dates]
    assert ("dated in America/New_York" in page) == (zone == "America/New_York")


def test_shorter_bars_have_the_time_of_their_end() -> None:
    """In UTC, to the minute."""
    memory = books(np.array([1.0, 1.0, 1.0]), timedelta(hours=4))
    memory.on_run_start({"timezone": "America/New_York", "interval": "4h"})
    page = generate_html_dashboard(RunMonitor(memory))
    assert "<dt>Last bar</dt><dd>2024-03-04 20:00</dd>" in page
    assert "Times are UTC.<span" in page


def test_interval_of_the_run_decides_what_a_single_bar_is_called() -> None:
    """Nothing is apart from a single bar."""
    memory = books(np.array([1.0]), timedelta(days=1))
    for interval, text in (("1d", "2024-03-04"), ("1w", "2024-03-04"), (None, "2024-03-04 12:00")):
        memory.on_run_start({"interval": interval})
        assert f"<dt>Last bar</dt><dd>{text}</dd>" in generate_html_dashboard(RunMonitor(memory))


def test_notices_of_the_run_are_shown(memory: InMemoryMonitor) -> None:
    """What was said at the start stands on the page too."""
    assert "Notices" not in generate_html_dashboard(RunMonitor(memory))
    memory.meta["notices"] = ("79 weekdays without a bar", HOSTILE)
    page = generate_html_dashboard(RunMonitor(memory))
    assert "<li>79 weekdays without a bar</li>" in page
    assert HOSTILE not in page


def test_config_is_shown_without_its_secrets(memory: InMemoryMonitor) -> None:
    """Values under secret names and passwords in addresses go, references stay."""
    config = {
        "broker": {
            "options": {
                "alpaca": {
                    "key": "${env:APCA_KEY}",
                    "secret": "hunter2",
                    "nested": [{"ApiToken": 12345678, "passphrase": ["tiger", None]}],
                    "url": "wss://me:dragon@example.test/stream",
                    "object": Secret("whale"),
                    "path": Path("data"),
                    "key_file": "file:secrets/key",
                    "private": True,
                    "half": "abc${env:X}",
                    "key_half": "abc${env:X}",
                }
            }
        }
    }
    shown = redact(config)["broker"]["options"]["alpaca"]
    assert shown == {
        "key": "${env:APCA_KEY}",
        "secret": "[redacted]",
        "nested": [{"ApiToken": "[redacted]", "passphrase": ["[redacted]", None]}],
        "url": "wss://me:[redacted]@example.test/stream",
        "object": "[redacted]",
        "path": Path("data"),
        "key_file": "file:secrets/key",
        "private": True,
        "half": "abc${env:X}",
        "key_half": "[redacted]",
    }
    page = generate_html_dashboard(RunMonitor(memory), config=config)
    assert "${env:APCA_KEY}" in page
    assert not [word for word in ("hunter2", "12345678", "tiger", "dragon", "whale") if word in page]


def test_config_of_the_run_is_the_default(memory: InMemoryMonitor) -> None:
    """Without one given the run's own is shown, redacted too."""
    memory.meta["config"] = {"broker": {"name": "acme", "password": "hunter2"}}
    page = generate_html_dashboard(RunMonitor(memory))
    assert "name: acme" in page
    assert "hunter2" not in page
    memory.meta["config"] = {
        "risk": {"rules": [], "limit": None},
        "broker": {"name": "acme", "kept": [0, False]},
    }
    page = generate_html_dashboard(RunMonitor(memory))
    assert 'aria-label="Config">broker:\n  name: acme\n  kept:\n  - 0\n  - false\n</pre>' in page
    assert "No config." in generate_html_dashboard(RunMonitor(memory), config={})


def test_page_is_written_whole_or_not_at_all(
    memory: InMemoryMonitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing write leaves the old page and no debris."""
    path = write_dashboard(tmp_path / "new" / "run.html", RunMonitor(memory), title="one")
    assert path.read_text(encoding="utf-8") == generate_html_dashboard(RunMonitor(memory), title="one")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_dashboard(path, RunMonitor(memory), title="two")
    assert "<title>one</title>" in path.read_text(encoding="utf-8")
    assert [found.name for found in path.parent.iterdir()] == ["run.html"]
