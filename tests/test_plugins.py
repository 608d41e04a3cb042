"""Real wheels, installed by pip into an environment of their own, found by the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest
from attrs import frozen

from alphaweave import __version__

# Each plugin module says that it was imported, in a file, whatever becomes of it afterwards.
WITNESS = """
import os
from pathlib import Path

with Path(os.environ["WITNESS"]).open("a") as witness:
    witness.write(f"{__name__}\\n")
"""
HONEST = """
from decimal import Decimal

from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue


def create(options, services):
    raise SystemExit("a replay makes no adapter")


def venue(options, services, instruments):
    return SimVenue(
        instruments=instruments, settings=VenueSettings(fill_at="last"), cash=Decimal(1000), currency="USD"
    )


def record(name, **more):
    pairs = frozenset({(OrderType.MARKET, TimeInForce.DAY)})
    capabilities = Capabilities(order_types=pairs, simulated=True)
    return BrokerPlugin(name=name, create=create, capabilities=capabilities, venue=venue, **more)
"""
OFFER = "\n\n@hookimpl\ndef alphaweave_brokers():\n    yield record({name!r})\n"


@frozen
class Distribution:
    """A distribution with one broker: its name, version and module are made of ``name``."""

    name: str
    broker: str
    source: str

    @property
    def module(self) -> str:
        return f"{self.name.replace('-', '_')}_plugin"

    def wheel(self, folder: Path) -> Path:
        """Build the wheel: a zip archive that an installer takes."""
        stem = f"{self.name.replace('-', '_')}-0.3"
        info = f"{stem}.dist-info"
        files = {
            f"{self.module}.py": WITNESS + dedent(self.source),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {self.name}\nVersion: 0.3\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[alphaweave.brokers]\n{self.broker} = {self.module}\n",
        }
        record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in files.items())
        target = folder / f"{stem}-py3-none-any.whl"
        with ZipFile(target, "w") as archive:
            for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                archive.writestr(path, text)
        return target


def _digest(text: str) -> str:
    return f"sha256={urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b'=').decode()}"


DISTRIBUTIONS = (
    Distribution("acme-good", "good", HONEST + OFFER.format(name="good")),
    Distribution("acme-twin", "twin", HONEST + OFFER.format(name="twin")),
    Distribution("evil-twin", "twin", HONEST + OFFER.format(name="twin")),
    Distribution("acme-broken", "broken", "import sdk_that_is_not_there"),
    Distribution("acme-greedy", "greedy", HONEST + OFFER.format(name="greedy").replace("()", "(clock)", 1)),
    Distribution(
        "acme-misspelt", "misspelt", HONEST + OFFER.format(name="misspelt").replace("brokers", "brokrs")
    ),
    Distribution("acme-renamed", "renamed", HONEST + OFFER.format(name="other")),
    Distribution("acme-newer", "newer", HONEST + OFFER.format(name="newer").replace("')", "', api=99)")),
)
CONFIG = """
run: {id: plugins, mode: replay, capital: 1000}
instruments: [SPY]
datafeed: {name: replay, interval: 1d, options: {replay: {path: SPY.csv}}}
broker: {name: good}
strategy: {class: "buyer:Buyer"}
"""
STRATEGY = """
from alphaweave.strategy.strategy import Strategy


class Buyer(Strategy):
    def next(self, i):
        if i == 0:
            self.order_market("SPY", 5)
"""
BARS = "date,open,high,low,close,volume\n" + "".join(
    f"2024-03-0{day},10{day},11{day},9{day},10{day}.5,1000\n" for day in range(4, 9)
)

UPGRADE = "Try: pip install -U alphaweave-core"
FITS = f"0.3 does not fit alphaweave-core {__version__}:"
# The broker a run asks for -> why it cannot have it.
REFUSALS: Mapping[str, str] = {
    "coinbase": "no broker named 'coinbase'; installed: {names}. `alphaweave plugins` shows who offers what.",
    "twin": (
        "2 installed distributions offer a broker named 'twin': acme-twin 0.3 (acme_twin_plugin) and "
        "evil-twin 0.3 (evil_twin_plugin). Uninstall one, or set `distribution:`."
    ),
    "broken": (
        "broker 'broken' (acme-broken 0.3) is installed but cannot be imported: "
        "No module named 'sdk_that_is_not_there'. Try: pip install -U acme-broken"
    ),
    "greedy": f"acme-greedy {FITS} alphaweave_brokers asks for 'clock'. {UPGRADE}",
    "misspelt": (
        f"acme-misspelt {FITS} there is no hook 'alphaweave_brokrs'. Did you mean 'alphaweave_brokers'?"
    ),
    "renamed": (
        "acme-renamed 0.3 declares a broker named 'renamed', but acme_renamed_plugin does not offer it: "
        "what it yields is named 'other'. Its authors have to mend it."
    ),
    "newer": (
        "broker 'newer' (acme-newer 0.3) is made for API level 99, "
        f"and alphaweave-core {__version__} has level 1. {UPGRADE}"
    ),
}


@frozen
class Answer:
    """What the command line said, and which plugin modules it imported."""

    code: int
    output: str
    error: str
    imported: tuple[str, ...]


class Environment:
    """A virtual environment with every test distribution in it, beside what these tests run on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "env" / "bin" / "python"
        self.run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
        wheels = [each.wheel(folder) for each in DISTRIBUTIONS]
        pip = (
            sys.executable,
            "-m",
            "pip",
            "--isolated",
            "--disable-pip-version-check",
            "--python",
            self.python,
        )
        self.run(*pip, "install", "--quiet", "--no-index", "--no-deps", *wheels)
        # The environment sees these tests' own packages, their editable installs too.
        (purelib,) = (folder / "env").glob("lib/python*/site-packages")
        (purelib / "beneath.pth").write_text(
            f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n"
        )
        for name, text in (("config.yaml", CONFIG), ("buyer.py", STRATEGY), ("SPY.csv", BARS)):
            (folder / name).write_text(text)

    def run(self, *words: str | Path) -> None:
        """Run a command that has to succeed."""
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr

    def ask(self, *words: str) -> Answer:
        """Run ``python -m alphaweave``."""
        witness = self.folder / f"imported-{'-'.join(words)}"
        witness.touch()
        done = subprocess.run(
            [self.python, "-m", "alphaweave", *words],
            cwd=self.folder,
            env={**os.environ, "WITNESS": str(witness)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Answer(done.returncode, done.stdout, done.stderr, tuple(witness.read_text().split()))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("plugins"))


@pytest.fixture(scope="module")
def refused(environment: Environment) -> Mapping[str, Answer]:
    """A run with each of the brokers that no run can have."""
    with ThreadPoolExecutor(4) as pool:
        asked = {
            name: pool.submit(environment.ask, "run", "config.yaml", "--set", f"broker.name={name}")
            for name in REFUSALS
        }
        return {name: answer.result() for name, answer in asked.items()}


@pytest.fixture(scope="module")
def listing(environment: Environment) -> Answer:
    return environment.ask("plugins", "--json")


def test_plugins_are_listed_without_importing_any(listing: Answer) -> None:
    """Every installed distribution is there with its version, the broken and the doubled ones too."""
    assert (listing.code, listing.imported) == (0, ())
    listed = {
        (offer["name"], offer["distribution"], offer["version"]) for offer in json.loads(listing.output)
    }
    assert {(each.broker, each.name, "0.3") for each in DISTRIBUTIONS} <= listed


def test_run_imports_only_the_named_adapter(environment: Environment) -> None:
    """A broker out of a wheel trades, and none of its broken neighbours is touched."""
    answer = environment.ask("run", "config.yaml", "--json")
    assert (answer.code, answer.imported) == (0, ("acme_good_plugin",)), answer.error
    summary = json.loads(answer.output)["summary"]
    assert (summary["outcome"], summary["fills"]) == ("finished", 1)


def test_distribution_pin_runs_one_of_two(environment: Environment) -> None:
    """The config says whose broker it is, and the other distribution's is not imported."""
    pin = ("--set", "broker.name=twin", "--set", "broker.distribution=acme-twin")
    answer = environment.ask("run", "config.yaml", *pin)
    assert (answer.code, answer.imported) == (0, ("acme_twin_plugin",)), answer.error


@pytest.mark.parametrize("name", REFUSALS)
def test_run_stops_with_its_own_message(listing: Answer, refused: Mapping[str, Answer], name: str) -> None:
    """Exit code 2, one line that says what is wrong and what to do, and nobody else's module imported."""
    answer = refused[name]
    brokers = {offer["name"] for offer in json.loads(listing.output) if offer["kind"] == "broker"}
    expected = REFUSALS[name].format(names=", ".join(sorted(brokers)))
    assert (answer.code, answer.output, answer.error) == (2, "", f"error: {expected}\n")
    own = {each.module for each in DISTRIBUTIONS if each.broker == name}
    assert set(answer.imported) == (set() if name == "twin" else own)
