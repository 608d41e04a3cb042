"""The dashboard in a real browser: it draws, reacts, and asks for nothing."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Alert, BarColumns, OrderRecord
from alphaweave.monitoring.run import RunMonitor

pytestmark = pytest.mark.needs("chromium", "chromium-browser", "google-chrome")

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"
SIZES = [(390, 844), (1280, 800), (1920, 1200)]
CHART = "[data-panel={}] svg"


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, scripted: Callable[..., Any]) -> Path:
    """A folder with a page of each kind of run."""
    folder = tmp_path_factory.mktemp("pages")

    def record(run: Any) -> InMemoryMonitor:
        memory = InMemoryMonitor()
        memory.on_run_start(run.meta)
        run.tell(memory)
        return memory

    run = scripted(bars=1260, symbols=("SPY", "QQQ", "TLT"))
    memory = record(run)
    for number in range(3):
        memory.on_order(
            OrderRecord(
                timestamp=run.snapshots[40 + number].timestamp,
                order_id=f"d{number}",
                symbol="TLT",
                side="",
                type="limit",
                tif="",
                status="denied",
                quantity=None,
                filled=Decimal(0),
                reason="max_notional",
                text="150,000 USD is over the limit of 100,000 USD",
            )
        )
    memory.on_run_end(run.summary())
    config = {"broker": {"name": "paper", "options": {"secret": "hunter2"}}}
    write_dashboard(folder / "daily.html", RunMonitor(memory), title="Five years", config=config)

    run = scripted(bars=60, symbols=(HOSTILE, "B"))
    run.meta.update(strategy=HOSTILE, mode="live", config={HOSTILE: HOSTILE})
    memory = record(run)
    memory.on_metric(HOSTILE, 1.0, run.snapshots[5].timestamp)
    memory.on_alert(Alert(run.snapshots[5].timestamp, "error", "x", HOSTILE, HOSTILE))
    memory.on_run_end(run.summary(outcome="failed", error=HOSTILE))
    write_dashboard(folder / "hostile.html", RunMonitor(memory), title=HOSTILE)

    write_dashboard(folder / "empty.html", RunMonitor(InMemoryMonitor()))
    write_dashboard(folder / "one.html", RunMonitor(record(scripted(bars=1))))
    write_dashboard(folder / "minutes.html", RunMonitor(_minutes(100_000)))
    return folder


def _minutes(count: int) -> InMemoryMonitor:
    """A long run of minute bars with one deep, short fall."""
    memory = InMemoryMonitor()
    start = to_ns(datetime(2024, 1, 1, tzinfo=UTC))
    equity = array("d", (1e6 + row % 997 for row in range(count)))
    equity[count // 2] = 5e5
    ends = array("q", range(start, start + 60_000_000_000 * count, 60_000_000_000))
    memory.on_bars(
        BarColumns(
            first_index=0,
            ends=ends,
            equity=equity,
            cash=equity,
            gross=equity,
            net=equity,
            closes={"A": equity},
        )
    )
    return memory


def in_view(page: Any) -> list[str]:
    """The first and the last time in view, as the chart describes itself."""
    label: str = page.js("document.querySelector('[data-panel=equity] svg').getAttribute('aria-label')")
    span = label.removeprefix("Equity, ").partition(". At the end")[0]
    return span.split(" to ")


def drawn(page: Any, panel: str, style: str) -> str:
    """The path of one layer."""
    found: str = page.js(
        f"document.querySelector({json.dumps(CHART.format(panel) + ' path.' + style)}).getAttribute('d')"
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_page_draws_without_complaint(tab: Any, pages: Path, width: int, height: int, theme: str) -> None:
    """On every screen and in both themes: no error, no request but the file, every chart drawn, nothing
    wider than the screen."""
    page = tab(pages / "daily.html", width=width, height=height, theme=theme)
    assert page.troubles() == []
    assert page.requests() == [(pages / "daily.html").as_uri()]
    for panel, style in (
        ("equity", "equity.stroke"),
        ("equity", "equity.fill"),
        ("drawdown", "drawdown.fill"),
        ("exposure", "gross.stroke"),
        ("exposure", "net.stroke"),
        ("turnover", "turnover.fill"),
        ("price", "price.stroke"),
        ("price", "mark.buy"),
        ("price", "mark.sell"),
        ("metric", "metric.stroke"),
    ):
        assert len(drawn(page, panel, style)) > 500, (panel, style)
    assert page.js("document.documentElement.scrollWidth") <= width
    bars = page.js("getComputedStyle(document.body).backgroundColor")
    assert bars == ("rgb(244, 245, 247)" if theme == "light" else "rgb(14, 18, 24)")


def test_text_can_be_read_in_both_themes(tab: Any, pages: Path) -> None:
    """Every text has a contrast of at least 4.5 to its card, and every line of 3."""
    contrast = """
      ((front, back) => {
        const light = (name) => {
          const probe = document.createElement('i');
          probe.style.color = `var(${name})`;
          document.body.append(probe);
          const [r, g, b] = getComputedStyle(probe).color.match(/[0-9.]+/g).map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          });
          probe.remove();
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      })"""
    for theme in ("light", "dark"):
        page = tab(pages / "daily.html", theme=theme)
        for name in ("--ink", "--soft", "--up", "--down", "--warn", "--focus"):
            assert page.js(f"{contrast}('{name}', '--card')") >= 4.5, (theme, name)
        assert page.js(f"{contrast}('--soft', '--page')") >= 4.5, theme
        assert page.js(f"{contrast}('--live-ink', '--live')") >= 4.5, theme
        for name in ("--equity", "--price", "--gross", "--net", "--down-fill"):
            assert page.js(f"{contrast}('{name}', '--card')") >= 3.0, (theme, name)


def test_theme_is_switched_and_remembered(tab: Any, pages: Path) -> None:
    """The button turns the system's choice around, and the next page follows it."""
    background = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    page = tab(pages / "daily.html", theme="light")
    assert page.text("#theme") == "Dark theme"
    assert page.js(background) == "rgb(255, 255, 255)"
    page.click("#theme")
    assert page.text("#theme") == "Light theme"
    assert page.js(background) == "rgb(22, 28, 36)"
    again = tab(pages / "daily.html", theme="light")
    assert again.js(background) == "rgb(22, 28, 36)"
    again.click("#theme")
    assert again.js(background) == "rgb(255, 255, 255)"
    again.js("localStorage.clear()")


def test_theme_of_the_system_is_followed(tab: Any, pages: Path) -> None:
    """Without a choice the page changes with the system while it is open."""
    page = tab(pages / "daily.html", theme="light")
    page.prefer("dark")
    page.wait("document.querySelector('#theme').textContent === 'Light theme'")
    assert page.js("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(22, 28, 36)"


def test_table_sorts_on_a_click(tab: Any, pages: Path) -> None:
    """Numbers sort as numbers, largest first, then the other way; missing ones stay last."""
    page = tab(pages / "daily.html")
    head = "#table-fills th:nth-child({})"
    names = page.texts("#table-fills th button")
    price, profit = names.index("Price") + 1, names.index("Profit") + 1
    cells = "#table-fills td:nth-child({})"

    def numbers(at: int) -> list[float]:
        texts = page.texts(cells.format(at))
        return [float(text.replace(",", "").replace("−", "-")) for text in texts if text != "–"]  # noqa: RUF001

    page.click(head.format(price) + " button")
    falling = numbers(price)
    assert falling == sorted(falling, reverse=True)
    assert page.js(f"document.querySelector('{head.format(price)}').ariaSort") == "descending"
    page.click(head.format(price) + " button")
    rising = numbers(price)
    assert rising == sorted(rising)
    assert rising[0] < falling[-1]
    assert page.js(f"document.querySelector('{head.format(price)}').ariaSort") == "ascending"
    assert page.js(f"document.querySelector('{head.format(1)}').ariaSort") == "none"
    for _ in range(2):
        page.click(head.format(profit) + " button")
        assert len(numbers(profit)) == 25
    page.click("#table-fills .pager button:nth-of-type(4)")
    assert page.texts(cells.format(profit))[-1] == "–"  # noqa: RUF001


def test_table_is_filtered_by_words(tab: Any, pages: Path) -> None:
    """All words must be in a row; the count says how many rows are left."""
    page = tab(pages / "daily.html")
    every = int(page.text("#tab-fills .count"))
    page.js("document.querySelector('#table-fills input').focus()")
    page.write("tlt SELL")
    assert set(page.texts("#table-fills td:nth-child(2)")) == {"TLT"}
    assert set(page.texts("#table-fills td:nth-child(3)")) == {"▼ sell"}
    left, of = page.text("#table-fills .found").removesuffix(" rows").split(" of ")
    assert 0 < int(left) < int(of) == every
    page.write(" nowhere")
    assert page.texts("#table-fills tbody tr") == []
    assert page.text("#table-fills .found") == f"0 of {every} rows"


def test_table_is_paged(tab: Any, pages: Path) -> None:
    """Pages follow each other without gap or overlap, and their length can be chosen."""
    page = tab(pages / "daily.html")
    every = int(page.text("#tab-fills .count"))
    orders = "#table-fills td.id"
    first = page.texts(orders)
    assert page.text("#table-fills .where") == "1–25"  # noqa: RUF001
    assert page.js("document.querySelector('#table-fills .pager button').disabled") is True
    page.click("#table-fills .pager button:nth-of-type(3)")
    second = page.texts(orders)
    assert page.text("#table-fills .where") == "26–50"  # noqa: RUF001
    page.js(
        "(() => { const sizes = document.querySelector('#table-fills select'); sizes.value = '50';"
        " sizes.dispatchEvent(new Event('change')); })()"
    )
    assert page.texts(orders) == first + second
    page.click("#table-fills .pager button:nth-of-type(4)")
    assert page.text("#table-fills .where").endswith(f"–{every}")  # noqa: RUF001
    assert page.js("document.querySelector('#table-fills .pager button:last-of-type').disabled") is True


def test_refused_orders_can_be_singled_out(tab: Any, pages: Path) -> None:
    """The orders tab shows denials with their reason, alone if wanted."""
    page = tab(pages / "daily.html")
    page.click("#tab-orders")
    assert page.js("document.querySelector('#table-fills').hidden") is True
    page.click("#table-orders input[type=checkbox]")
    rows = page.texts("#table-orders tbody tr")
    assert len(rows) == 3
    assert all("denied" in row and "max_notional · 150,000 USD is over" in row for row in rows)


def test_tabs_answer_to_arrow_keys(tab: Any, pages: Path) -> None:
    """One tab is in the tab order; arrows go around."""
    page = tab(pages / "daily.html")
    page.js("document.querySelector('#tab-fills').focus()")
    page.key("ArrowLeft")
    assert page.js("document.activeElement.id") == "tab-alerts"
    assert page.js("document.activeElement.ariaSelected") == "true"
    assert page.js("[...document.querySelectorAll('[role=tab]')].map((tab) => tab.tabIndex)") == [
        -1,
        -1,
        -1,
        0,
    ]
    assert len(page.texts("#table-alerts tbody tr")) == 13
    page.key("ArrowRight")
    assert page.js("document.activeElement.id") == "tab-fills"


def test_pointing_at_a_chart_tells_the_figures(tab: Any, pages: Path) -> None:
    """A tooltip with the bar's date and values, a crosshair on every panel, and back to the last bar."""
    page = tab(pages / "daily.html")
    last = page.text("[data-panel=equity] .reading")
    x, y = page.middle(CHART.format("equity"))
    page.mouse("mouseMoved", x, y)
    tip = page.text(".tip")
    assert tip.splitlines()[0] > in_view(page)[0]
    for word in ("Equity", "Drawdown", "Exposure", "Turnover", "SPY"):
        assert word in tip
    crosses = page.js(
        "[...document.querySelectorAll('.cross')].map((line) => line.getAttribute('visibility'))"
    )
    assert crosses == ["visible"] * 6
    assert page.text("[data-panel=equity] .reading") in tip
    page.mouse("mouseMoved", x, 2)
    assert page.js("document.querySelector('.tip').hidden") is True
    assert page.text("[data-panel=equity] .reading") == last


def test_dragging_zooms_and_a_double_click_undoes_it(tab: Any, pages: Path) -> None:
    """Every panel follows; the path and the axis change, the overview keeps the whole."""
    page = tab(pages / "daily.html")
    whole, path = in_view(page), drawn(page, "price", "price.stroke")
    mini = page.js("document.querySelector('.overview path').getAttribute('d')")
    x, y = page.middle(CHART.format("drawdown"))
    page.mouse("mouseMoved", x, y)
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x + 120, y, button="left")
    page.mouse("mouseReleased", x + 120, y, button="left", clickCount=1)
    part = in_view(page)
    assert whole[0] < part[0] < part[1] < whole[1]
    assert drawn(page, "price", "price.stroke") != path
    assert page.js("document.querySelector('.overview path').getAttribute('d')") == mini
    for count in (1, 2):
        page.mouse("mousePressed", x, y, button="left", clickCount=count)
        page.mouse("mouseReleased", x, y, button="left", clickCount=count)
    assert in_view(page) == whole
    assert drawn(page, "price", "price.stroke") == path


def test_overview_moves_and_resizes_the_view(tab: Any, pages: Path) -> None:
    """Its window is dragged, and its right edge too."""
    page = tab(pages / "daily.html")
    page.click("#ranges button:nth-last-child(3)")
    begun = in_view(page)

    def drag(grip: str, by: float) -> list[str]:
        x, y = page.middle(grip)
        page.mouse("mousePressed", x, y, button="left", clickCount=1)
        page.mouse("mouseMoved", x + by, y, button="left")
        page.mouse("mouseReleased", x + by, y, button="left", clickCount=1)
        return in_view(page)

    moved = drag(".overview .window", -200)
    assert moved[0] < begun[0]
    assert moved[1] < begun[1]
    resized = drag(".overview .grip:last-of-type", 60)
    assert resized[0] == moved[0]
    assert resized[1] > moved[1]


def test_ranges_show_the_end_of_the_run(tab: Any, pages: Path) -> None:
    """Each button is offered only where it makes sense, and says when it is in force."""
    page = tab(pages / "daily.html")
    assert page.texts("#ranges button") == ["1M", "3M", "6M", "1Y", "3Y", "All"]
    whole = in_view(page)
    page.click("#ranges button:nth-child(4)")
    first, last = (datetime.fromisoformat(day) for day in in_view(page))
    assert last - first == pytest.approx(timedelta(days=365), abs=timedelta(days=4))
    assert in_view(page)[1] == whole[1]
    pressed = "[...document.querySelectorAll('#ranges button')].map((button) => button.ariaPressed)"
    assert page.js(pressed) == ["false", "false", "false", "true", "false", "false"]


def test_charts_answer_to_keys_and_speak(tab: Any, pages: Path) -> None:
    """Bars are walked, zoomed and left with the keyboard alone, and a screen reader hears them."""
    page = tab(pages / "daily.html")
    whole = in_view(page)
    page.js("document.querySelector('#charts').focus()")
    page.key("ArrowLeft")
    heard = page.text("#spoken")
    assert heard.startswith(f"{whole[1]}. Equity ")
    page.key("ArrowLeft")
    assert page.text("#spoken") < heard
    for _ in range(3):
        page.key("+")
    assert in_view(page)[0] > whole[0]
    page.key("Home")
    assert page.text("#spoken").startswith(whole[0])
    assert in_view(page)[0] == whole[0]
    page.key("0")
    assert in_view(page) == whole
    page.key("Escape")
    assert page.js("document.querySelector('.cross').getAttribute('visibility')") == "hidden"


def test_symbol_is_chosen(tab: Any, pages: Path) -> None:
    """The price panel shows another symbol and its own fills."""
    page = tab(pages / "daily.html")
    names = page.texts("[data-panel=price] option")
    assert sorted(names) == ["QQQ", "SPY", "TLT"]
    price, mark = drawn(page, "price", "price.stroke"), drawn(page, "price", "mark.buy")
    page.js(
        "(() => { const names = document.querySelector('[data-panel=price] select'); names.value = '2';"
        " names.dispatchEvent(new Event('change')); })()"
    )
    assert drawn(page, "price", "price.stroke") != price
    assert drawn(page, "price", "mark.buy") != mark
    label = page.js("document.querySelector('[data-panel=price] svg').getAttribute('aria-label')")
    assert label.startswith(f"{names[2]}, ")


def test_fill_is_found_on_the_chart(tab: Any, pages: Path) -> None:
    """A click on its date zooms in on it and chooses its symbol."""
    page = tab(pages / "daily.html")
    page.js("document.querySelector('#table-fills input').focus()")
    page.write("TLT")
    day = page.text("#table-fills tbody .link")
    page.click("#table-fills tbody .link")
    first, last = in_view(page)
    assert first < day <= last
    assert datetime.fromisoformat(last) - datetime.fromisoformat(first) < timedelta(days=70)
    assert page.js("document.querySelector('[data-panel=price] select').selectedOptions[0].text") == "TLT"


def test_round_trip_is_found_on_the_chart(tab: Any, pages: Path) -> None:
    """Its dates are those of its bars, and a click shows it from beginning to end."""
    page = tab(pages / "daily.html")
    page.click("#tab-trips")
    page.click("#table-trips th:nth-child(2) button")
    opened, closed = page.texts("#table-trips tbody tr:first-child td")[:2]
    assert len(opened) == len(closed) == len("2024-01-01")
    page.click("#table-trips tbody .link")
    first, last = in_view(page)
    assert first < opened < closed <= last
    assert datetime.fromisoformat(last) - datetime.fromisoformat(first) < timedelta(days=300)


def test_nothing_in_a_run_is_executed(tab: Any, pages: Path) -> None:
    """Markup in any text is shown as text, in the tables and tooltips that scripts make too."""
    page = tab(pages / "hostile.html")
    for name in ("fills", "trips", "orders", "alerts"):
        page.click(f"#tab-{name}")
    assert HOSTILE in page.text("#table-alerts")
    x, y = page.middle(CHART.format("price"))
    page.mouse("mouseMoved", x, y)
    assert page.js("document.querySelectorAll('img').length") == 0
    assert page.js("document.title") == HOSTILE
    assert page.text("h1") == HOSTILE
    assert HOSTILE in page.text(".failure")
    assert HOSTILE in page.texts("[data-panel=price] option")
    assert page.texts(".badge") == ["LIVE", "failed"]
    assert page.troubles() == []
    assert len(page.requests()) == 1


def test_injected_script_would_be_refused(tab: Any, pages: Path) -> None:
    """Even if some text became markup one day, the page's policy runs its own script only."""
    page = tab(pages / "daily.html")
    page.js(
        "(() => { const script = document.createElement('script'); script.textContent = 'document.title = 1';"
        " document.body.append(script); document.body.insertAdjacentHTML('beforeend',"
        ' \'<img src="https://example.test/x.png" onerror="document.title = 2">\'); })()'
    )
    page.wait("document.images.length === 1")
    assert page.js("document.title") == "Five years"
    assert any("Content Security Policy" in trouble for trouble in page.troubles())


@pytest.mark.parametrize("name", ["empty", "one"])
def test_next_to_nothing_is_a_page_too(tab: Any, pages: Path, name: str) -> None:
    """A run without bars says so; a single bar is drawn as a point."""
    page = tab(pages / f"{name}.html", width=390, height=844)
    assert page.troubles() == []
    if name == "empty":
        assert page.text("#charts") == "No bars were recorded."
        assert page.text("#tables") == "No fills."
    else:
        assert "a2.5,2.5" in drawn(page, "equity", "equity.stroke")
        page.js("document.querySelector('#charts').focus()")
        for key in ("ArrowLeft", "ArrowRight", "+", "-", "0", "Home", "End"):
            page.key(key)
        assert page.text("#spoken").startswith("2020-01-02. Equity 100,000.00")
    assert page.troubles() == []


def test_many_bars_are_drawn_by_pixel(tab: Any, pages: Path) -> None:
    """A hundred thousand bars make a short path that still shows a fall of a single bar; zoomed in, the
    bars are all there."""
    page = tab(pages / "minutes.html")
    path = drawn(page, "equity", "equity.stroke")
    assert len(path) < 60_000
    lowest = max(float(point.partition(",")[2]) for point in path[1:].split("L"))
    assert lowest > 180.0
    page.js("document.querySelector('#charts').focus()")
    for _ in range(40):
        page.key("+")
    first, last = (datetime.fromisoformat(time) for time in in_view(page))
    assert timedelta(minutes=3) < last - first < timedelta(minutes=6)
    assert len(drawn(page, "equity", "equity.stroke").split("L")) == (last - first) / timedelta(minutes=1) + 1
    assert page.troubles() == []


def test_page_prints_in_light_and_without_controls(tab: Any, pages: Path) -> None:
    """Paper is white whatever the screen's theme, and what cannot be clicked is not printed."""
    page = tab(pages / "daily.html", theme="dark")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert (
        page.js("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    )
    for selector in ("#theme", "#ranges", ".overview", ".tabs", "#table-fills input"):
        assert page.js(f"document.querySelector('{selector}').checkVisibility()") is False, selector
    assert len(page.call("Page.printToPDF", printBackground=True)["data"]) > 20_000


def test_config_is_shown_and_its_secret_is_nowhere(tab: Any, pages: Path) -> None:
    """Neither in what is read nor in what the page carries."""
    page = tab(pages / "daily.html")
    assert "secret: '[redacted]'" in page.text("pre")
    assert "hunter2" not in page.js("document.documentElement.outerHTML")
