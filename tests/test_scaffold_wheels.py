"""What `alphaweave new` writes, as its author's users get it: built, installed beside core alone, and run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from alphaweave.cli.main import main

ROOT = Path(__file__).parents[1]
CORE = ROOT / "alphaweave-core"
# Kind -> the name of the adapter. A datafeed brings a sandbox too, and the names of sandboxes differ.
NAMES = {"broker": "acme", "datafeed": "tape-2", "monitor": "scribe"}
# What the sandboxes print is put into it, as one would paste it.
CONFIG: dict[str, Any] = {
    "run": {"id": "acme", "mode": "paper", "capital": 100_000, "warmup": 0},
    "strategy": {"class": "turns:Turns"},
    "monitors": [{"name": "scribe", "options": {"scribe": {"path": "said.txt", "alerts": "error"}}}],
    "persistence": {"journal": "run.journal"},
}
STRATEGY = """
from alphaweave import Strategy


class Turns(Strategy):
    def next(self, i):
        self.order_market("DEMO", -2 if self.position("DEMO") > 0 else 2)
"""


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The distributions that an installed one needs, and what those need."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        owner, wanted = waiting.pop()
        for text in distribution(owner).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": one}) for one in wanted or {""}):
                continue
            if requirement.name not in found:
                found.add(requirement.name)
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


class Clean:
    """A virtual environment with core's wheel, the three that were written, and what core needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "env" / "bin"
        self.python = self.bin / "python"
        self.written = {kind: folder / f"alphaweave-{kind}-{name}" for kind, name in NAMES.items()}
        for kind, name in NAMES.items():
            with pytest.raises(SystemExit) as ended:
                main(["new", kind, name, "--dir", str(folder)])
            assert ended.value.code == 0
        self.run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
        (purelib,) = (folder / "env").glob("lib/python*/site-packages")
        wheels = [self.built(source) for source in (CORE, *self.written.values())]
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"]
        self.run(*pip, "--python", self.python, "install", "--quiet", "--no-index", "--no-deps", *wheels)
        # As pip would install them, without asking for any of them.
        for name in needed("alphaweave-core", frozenset({"testing"})):
            for path in {file.parts[0] for file in distribution(name).files or [] if file.parts[0] != ".."}:
                target = Path(str(distribution(name).locate_file(path)))
                if path != "__pycache__" and not (purelib / path).exists():
                    (purelib / path).symlink_to(target)

    def built(self, source: Path) -> Path:
        """The wheel of a folder."""
        dist = self.folder / "dist" / source.name
        build = f"from hatchling.build import build_wheel; print(build_wheel({str(dist)!r}))"
        dist.mkdir(parents=True)
        self.run(sys.executable, "-c", build, cwd=source)
        (wheel,) = dist.glob("*.whl")
        return wheel

    def run(self, *words: str | Path, cwd: Path | None = None, **environment: str) -> str:
        """Run a command that has to succeed; what it printed."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd or self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @staticmethod
    def environment(**more: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**own, **more}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    return Clean(tmp_path_factory.mktemp("scaffold"))


def test_environment_has_core_and_what_was_written_and_no_other_adapter(clean: Clean) -> None:
    """What is proved below is proved without this repository."""
    listed = json.loads(clean.run(clean.bin / "alphaweave", "plugins", "--json"))
    owners = {offer["distribution"] for offer in listed}
    assert owners == {"alphaweave-core", *(folder.name for folder in clean.written.values())}
    where = "import alphaweave; print(alphaweave.__file__)"
    assert clean.run(clean.python, "-I", "-c", where).startswith(str(clean.folder / "env"))


@pytest.mark.parametrize("kind", NAMES)
def test_what_was_written_passes_its_own_tests(clean: Clean, kind: str) -> None:
    """From its wheel, not from its folder; with warnings as errors, and nothing to be filled in first."""
    said = clean.run(
        clean.python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=clean.written[kind]
    )
    assert " passed" in said
    assert "failed" not in said
    assert "xfailed" not in said


def test_what_was_written_is_certified_without_a_test_file(clean: Clean) -> None:
    """The kit comes with core, the venue with the adapter; a case of each kind of trouble."""
    wanted = ("BRK-030", "BRK-415", "BRK-610", "BRK-620", "BRK-710", "BRK-815", "BRK-865", "BRK-970")
    cases = [word for id_ in wanted for word in ("--case", id_)]
    told = json.loads(clean.run(clean.bin / "alphaweave", "certify", "acme", "--json", *cases))
    (report,) = told
    assert (report["adapter"], report["distribution"]) == ("acme", "alphaweave-broker-acme 0.1.0")
    assert report["proved_against"] == "acme sandbox"
    assert {case["id"]: case["outcome"] for case in report["cases"]} == dict.fromkeys(wanted, "passed")


@pytest.mark.parametrize("name", ["q", "my-venue2", "abcdefghijklmnopqrst"])
@pytest.mark.parametrize("kind", NAMES)
def test_what_is_written_is_clean_under_any_name(tmp_path: Path, kind: str, name: str) -> None:
    """Formatted, linted and typed by its own rules, however long its name is."""
    with pytest.raises(SystemExit):
        main(["new", kind, name, "--dir", str(tmp_path)])
    folder = tmp_path / f"alphaweave-{kind}-{name}"
    checks = [["ruff", "format", "--check", "."], ["ruff", "check", "."]]
    if name == "my-venue2":
        checks.append(["mypy", "--cache-dir", str(tmp_path / "cache"), "src"])
    for words in checks:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Sandboxes:
    """The venues of a run, each a process, and what they tell a user to put into a config."""

    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._open: list[subprocess.Popen[str]] = []
        self.variables: dict[str, str] = {}

    def start(self, name: str, last: str, *words: str | Path) -> dict[str, Any]:
        """Start one; the sections that point a run there. ``last`` is the end of what it prints."""
        process = subprocess.Popen(
            [self._clean.bin / "alphaweave", "sandbox", name, *words],
            stdout=subprocess.PIPE,
            env=self._clean.environment(PYTHONUNBUFFERED="1"),
            text=True,
        )
        self._open.append(process)
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or last not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended before it had told everything"
        exports = dict(line.split()[1].split("=") for line in lines if line.startswith("export "))
        self.variables |= exports
        told = yaml.safe_load("".join(line for line in lines if not line.startswith("export ")))
        assert isinstance(told, dict)
        return told

    def stop(self) -> None:
        for process in self._open:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            assert process.returncode == 0


@pytest.fixture
def sandboxes(clean: Clean) -> Iterator[Sandboxes]:
    started = Sandboxes(clean)
    yield started
    started.stop()


def test_paper_run_trades_at_what_was_written(clean: Clean, sandboxes: Sandboxes) -> None:
    """Broker, datafeed and monitor by name: bars of a second come in, orders go out, fills come back."""
    prices = clean.folder / "prices.csv"
    prices.write_text("close\n100\n101\n99.5\n")
    broker = sandboxes.start("acme", "retry:")
    feed = sandboxes.start("tape-2", "retry:", "--data", prices)
    names = {"acme": "DEMO.A", "tape-2": "DEMO.A"}
    assert {"symbol": "DEMO", "names": {"acme": "DEMO.A"}} in broker["instruments"]
    config = {
        **CONFIG,
        "instruments": [{"symbol": "DEMO", "names": names}],
        "broker": broker["broker"],
        "datafeed": {**feed["datafeed"], "interval": "1s"},
    }
    (clean.folder / "live.yaml").write_text(yaml.safe_dump(config))
    (clean.folder / "turns.py").write_text(STRATEGY)
    said = clean.folder / "said.txt"
    run = subprocess.Popen(
        [clean.bin / "alphaweave", "run", "live.yaml"],
        cwd=clean.folder,
        env=clean.environment(**sandboxes.variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and run.poll() is None:
            lines = said.read_text().splitlines() if said.exists() else []
            if sum(" DEMO at " in line for line in lines) >= 3:
                break
            with suppress(subprocess.TimeoutExpired):
                run.wait(timeout=0.1)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 130, output
    start, *fills, end = said.read_text().splitlines()
    assert start == "run acme: paper, turns:Turns"
    assert [line.split()[2:] for line in fills[:3]] == [
        ["buy", "2", "DEMO", "at", "100"],
        ["sell", "2", "DEMO", "at", "100"],
        ["buy", "2", "DEMO", "at", "100"],
    ]
    assert end.startswith("stopped: ")
    assert not any(secret in output + said.read_text() for secret in sandboxes.variables.values())
