"""A headless Chromium, driven over its remote debugging pipe with nothing but the standard library."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

BINARIES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
)
# The browser reads commands from descriptor 3 and answers on 4; the pipe's own numbers differ.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    " os.execvp(sys.argv[3], sys.argv[3:])"
)
TIMEOUT = 30.0


def _high(descriptor: int) -> int:
    """The same pipe end with a number that is neither 3 nor 4."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return high


class Browser:
    """One Chromium process."""

    def __init__(self, profile: Path) -> None:
        binary = next(filter(None, map(shutil.which, BINARIES)), None)
        assert binary, "the marker needs(...) stops this earlier"
        (commands_out, commands_in), (answers_out, answers_in) = os.pipe(), os.pipe()
        theirs = (_high(commands_out), _high(answers_in))
        self._in, self._out = commands_in, answers_out
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCHER,
                *map(str, theirs),
                binary,
                *FLAGS,
                f"--user-data-dir={profile}",
            ],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in theirs:
            os.close(descriptor)
        self._buffer = b""
        self._number = 0
        self.events: deque[dict[str, Any]] = deque()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come before it are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            chunk = os.read(self._out, 1 << 20)
            assert chunk, "Chromium has gone"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End the process this object started."""
        os.close(self._in)
        os.close(self._out)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Page:
    """A tab that shows one file."""

    def __init__(self, browser: Browser, width: int, height: int, theme: str) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.prefer(theme)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to this tab."""
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int, height: int) -> None:
        """Show the page on a screen of that size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def prefer(self, theme: str) -> None:
        """What the system says about light and dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, path: Path) -> Self:
        """Open a file and wait until its script is done."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait(
            f"location.href === {json.dumps(path.resolve().as_uri())}"
            " && document.documentElement?.dataset.ready === 'true'"
        )
        return self

    def wait(self, condition: str) -> None:
        """Let the page run, a frame at a time, until the condition holds."""
        deadline = time.monotonic() + TIMEOUT
        while not self.js(condition):
            assert time.monotonic() < deadline, f"never true: {condition}; {self.troubles()}"
            self.js("new Promise((done) => setTimeout(done, 16))")

    def js(self, expression: str) -> Any:
        """The value of an expression, as JSON; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What an element reads."""
        found: str = self.js(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def texts(self, selector: str) -> list[str]:
        """What each of the elements reads."""
        found: list[str] = self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.innerText)"
        )
        return found

    def click(self, selector: str) -> None:
        """A real click in the middle of an element."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def middle(self, selector: str) -> tuple[float, float]:
        """Where an element is, after it was scrolled into view."""
        box = self.js(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            " node.scrollIntoView({block: 'center'}); const box = node.getBoundingClientRect();"
            " return [box.left, box.top, box.width, box.height]; })()"
        )
        return box[0] + box[2] / 2, box[1] + box[3] / 2

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A real mouse event."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, name: str) -> None:
        """A key, pressed and released."""
        text = {"text": name} if len(name) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name)

    def write(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of what is in view, or of the whole page."""
        from base64 import b64decode

        return b64decode(
            self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        )

    def troubles(self) -> list[str]:
        """Everything the page complained about: exceptions, console errors, refused resources."""
        found = []
        for event in self._mine():
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(str(details.get("exception", {}).get("description") or details["text"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(str([argument.get("value") for argument in params["args"]]))
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Every address the page asked for."""
        events = self._mine()
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _mine(self) -> list[dict[str, Any]]:
        self.js("0")
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    running = Browser(tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Any]:
    """Opens tabs of any size and theme, and closes them."""
    opened: list[Page] = []

    def new(path: Path, *, width: int = 1280, height: int = 800, theme: str = "light") -> Page:
        page = Page(browser, width, height, theme)
        opened.append(page)
        return page.open(path)

    yield new
    for page in opened:
        page.close()
