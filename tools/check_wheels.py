"""Builds every distribution and proves each wheel alone: `make wheels`.

Each wheel is made from its sdist, installed without an index into an empty environment outside the
repository, and answers there for its files, its dependencies, its entry points and its own tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]
CORE = "alphaweave-core"
KINDS = {
    "alphaweave.brokers": "broker",
    "alphaweave.datafeeds": "datafeed",
    "alphaweave.monitors": "monitor",
    "alphaweave.sandboxes": "sandbox",
    "alphaweave.risk_rules": "risk_rule",
}
# What pytest imports before it measures anything cannot stand in the package.
BESIDE = {"alphaweave": ("_alphaweave_pytest.py",)}
Word = str | Path

# Runs in the environment under test: each entry point loads, and the registry finds the record it names.
ENTRY_POINTS = """
import json, sys
from importlib.metadata import distribution
from alphaweave.live.registry import Registry

name, kinds = sys.argv[1], json.loads(sys.argv[2])
registry, seen = Registry(), 0
for point in distribution(name).entry_points:
    if point.group in kinds:
        point.load()
        record = getattr(registry, kinds[point.group])(point.name)
        assert record.name == point.name, f"{point.group}: {point.name} is served by {record.name}"
        seen += 1
assert seen, "no entry points"
print(f"{seen} found")
"""
IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    assert module.__file__.startswith(sys.prefix), module.__file__
    print(f"{name} {module.__version__}")
"""


class CheckFailed(Exception):
    """A wheel does not hold what it promises; the message is what the person who built it reads."""


def run(command: Sequence[Word], *, cwd: Path, expect: int = 0) -> str:
    """Run a command away from this repository and its environment, and return what it printed.

    Raises:
        CheckFailed: The exit code is not the expected one; carries the output.
    """
    # An empty environment has no pip, and fetches nothing: what a test needs beside it is proved elsewhere.
    hidden = ("PYTHON", "VIRTUAL_ENV", "ALPHAWEAVE_REQUIRE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    if done.returncode != expect:
        shown = " ".join(str(part) if "\n" not in str(part) else "<script>" for part in command)
        raise CheckFailed(f"exit code {done.returncode}, not {expect}: {shown}\n{output.strip()}")
    return output


def metadata(wheel: Path) -> Mapping[str, list[str]]:
    """The wheel's METADATA headers."""
    with ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        message = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    return {key: [str(value) for value in message.get_all(key, [])] for key in set(message.keys())}


def build(folder: Path, dist: Path) -> Path:
    """Build the sdist, and the wheel from it; return the wheel."""
    before = set(dist.glob("*.whl"))
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, folder], cwd=dist)
    (wheel,) = set(dist.glob("*.whl")) - before
    return wheel


@frozen
class Workshop:
    """Where everything happens: our wheels and sdists, the wheels of what they depend on, and room beside."""

    folder: Path
    demo: Path

    @property
    def dist(self) -> Path:
        return self.folder / "dist"

    @property
    def wheelhouse(self) -> Path:
        return self.folder / "wheelhouse"

    def stock(self, wheels: Iterable[Path]) -> None:
        """Fetch what the wheels and all their extras need, in the pinned versions."""
        wanted = [f"{wheel}[{','.join(metadata(wheel).get('Provides-Extra', []))}]" for wheel in wheels]
        pip: list[Word] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        pinned: list[Word] = ["--wheel-dir", self.wheelhouse, "--constraint", ROOT / "constraints.txt"]
        run([*pip, *pinned, *wanted], cwd=self.folder)


class Environment:
    """An empty virtual environment that sees nothing but the workshop's wheels."""

    def __init__(self, name: str, workshop: Workshop) -> None:
        self.folder = workshop.folder / name
        self.python = self.folder / "bin" / "python"
        self._links: list[Word] = ["--find-links", workshop.dist, "--find-links", workshop.wheelhouse]
        run([sys.executable, "-m", "venv", "--without-pip", self.folder], cwd=workshop.folder)

    def pip(self, *words: Word) -> str:
        """Run this project's pip on the environment, deaf to any configuration of the machine."""
        isolated: list[Word] = [
            "env",
            f"PIP_CONFIG_FILE={os.devnull}",
            sys.executable,
            "-m",
            "pip",
            "--isolated",
        ]
        return run(
            [*isolated, "--python", self.python, "--disable-pip-version-check", *words], cwd=self.folder
        )

    def install(self, requirement: str) -> str:
        """Install from the workshop alone, and have pip judge the result."""
        self.pip("install", "--quiet", "--no-compile", "--no-index", *self._links, requirement)
        return self.pip("check").strip()

    def script(self, text: str, *words: str) -> str:
        """Run Python text that can import only what is installed."""
        return run([self.python, "-I", "-c", text, *words], cwd=self.folder).strip()

    def command(self, *words: Word, cwd: Path | None = None, expect: int = 0) -> str:
        """Run the installed `alphaweave`."""
        return run([self.folder / "bin" / "alphaweave", *words], cwd=cwd or self.folder, expect=expect)


def check_files(wheel: Path, package: str) -> str:
    """The type marker and the licence are inside."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    for wanted in (f"{package}/py.typed", ".dist-info/licenses/LICENSE"):
        if not any(name.endswith(wanted) for name in names):
            raise CheckFailed(f"{wheel.name} has no {wanted}")
    stray = (
        {name.split("/")[0] for name in names}
        - {package, *BESIDE.get(package, ())}
        - {f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    )
    if stray:
        raise CheckFailed(f"{wheel.name} also installs {sorted(stray)}")
    return f"{len(names)} files"


def check_plugins(environment: Environment, folders: Iterable[Path]) -> str:
    """`alphaweave plugins --json` lists what the installed distributions declare, and nothing else."""
    declared = {
        (KINDS[group], name, folder.name)
        for folder in folders
        for group, points in tomllib.loads((folder / "pyproject.toml").read_text())["project"][
            "entry-points"
        ].items()
        if group in KINDS
        for name in points
    }
    listed = json.loads(environment.command("plugins", "--json"))
    shown = {(offer["kind"], offer["name"], offer["distribution"]) for offer in listed}
    if shown != declared:
        raise CheckFailed(f"plugins --json shows {sorted(shown)}, but declared are {sorted(declared)}")
    return f"{len(shown)} offers"


def check_refusal(environment: Environment, workshop: Workshop) -> str:
    """Core without a broker says what to install."""
    here = workshop.folder / "refusal"
    shutil.copytree(ROOT / workshop.demo.parent, here / workshop.demo.parent)
    output = environment.command("run", workshop.demo, cwd=here, expect=2)
    if "Try: pip install alphaweave-broker-mock" not in output:
        raise CheckFailed(f"the demo without a broker does not say what to install:\n{output}")
    return "refused, and says what to install"


def check_tests(environment: Environment, sdist: Path, workshop: Workshop) -> str:
    """The sdist's tests pass against the installed wheel, under the repository's own pytest rules."""
    here = workshop.folder / "sdists"
    here.mkdir(exist_ok=True)
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, here)
    with tarfile.open(sdist) as archive:
        archive.extractall(here, filter="data")
    tests = here / sdist.name.removesuffix(".tar.gz") / "tests"
    pytest: list[Word] = [environment.python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    output = run([*pytest, "-c", here / "pyproject.toml", "--rootdir", here, tests], cwd=here)
    return output.strip().splitlines()[-1].strip("= ")


def check_scaffold(environment: Environment, workshop: Workshop) -> str:
    """A broker that core writes is built, installed beside core alone, and certified there."""
    environment.command("new", "broker", "acme", "--dir", workshop.folder)
    dist = workshop.folder / "scaffold"
    dist.mkdir()
    wheel = build(workshop.folder / "alphaweave-broker-acme", dist)
    environment.install(str(wheel))
    (report,) = json.loads(environment.command("certify", "acme", "--json"))
    counts = {outcome: count for outcome, count in report["counts"].items() if count}
    if set(counts) - {"passed", "undeclared"}:
        raise CheckFailed(f"the broker that core writes does not keep the contract: {counts}")
    return f"certified: {counts['passed']} cases passed"


def checks(folder: Path, wheel: Path, workshop: Workshop) -> Iterator[tuple[str, Callable[[], str]]]:
    """What a distribution must answer for, in order."""
    name = folder.name
    headers = metadata(wheel)
    package = "alphaweave" if name == CORE else name.replace("-", "_")
    extras = ",".join(headers.get("Provides-Extra", []))
    sdist = workshop.dist / f"{name.replace('-', '_')}-{headers['Version'][0]}.tar.gz"
    environment = Environment(name, workshop)
    yield "files", lambda: check_files(wheel, package)
    yield "installs alone", lambda: environment.install(name)
    yield "imports", lambda: environment.script(IMPORTS, package)
    yield "entry points", lambda: environment.script(ENTRY_POINTS, name, json.dumps(KINDS))
    yield "plugins --json", lambda: check_plugins(environment, {ROOT / CORE, folder})
    if name == CORE:
        yield "demo without a broker", lambda: check_refusal(environment, workshop)
    yield "installs with extras", lambda: environment.install(f"{name}[{extras}]")
    yield "own tests", lambda: check_tests(environment, sdist, workshop)
    if name == CORE:
        yield "a new broker", lambda: check_scaffold(environment, workshop)


def check(folder: Path, wheel: Path, workshop: Workshop) -> list[str]:
    """Print each answer of one distribution; return the names of the checks it failed."""
    print(f"\n{folder.name}", flush=True)
    failed = []
    for name, ask in checks(folder, wheel, workshop):
        started = time.monotonic()
        try:
            answer = ask()
        except CheckFailed as error:
            failed.append(name)
            answer = f"FAILED: {error}"
        print(f"  {name:<24}{answer}  ({time.monotonic() - started:.1f} s)", flush=True)
    return failed


def main() -> int:
    """Build, check, and leave the artifacts in dist/ when all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="distributions to check (default: all); all are built")
    parser.add_argument(
        "--demo", type=Path, required=True, help="the config core alone must refuse with advice"
    )
    options = parser.parse_args()
    folders = sorted(path.parent for path in ROOT.glob("alphaweave-*/pyproject.toml"))
    unknown = set(options.names) - {folder.name for folder in folders}
    if unknown:
        parser.error(f"no distribution named {', '.join(sorted(unknown))} here")
    with tempfile.TemporaryDirectory(prefix="wheels-") as temporary:
        workshop = Workshop(Path(temporary), options.demo)
        workshop.dist.mkdir()
        print(f"Python {sys.version.split()[0]}: building {len(folders)} distributions", flush=True)
        built = {folder: build(folder, workshop.dist) for folder in folders}
        workshop.stock(built.values())
        results = {
            folder.name: check(folder, wheel, workshop)
            for folder, wheel in built.items()
            if not options.names or folder.name in options.names
        }
        print()
        for name, failed in results.items():
            print(f"{name:<28}{'FAILED: ' + ', '.join(failed) if failed else 'ok'}")
        if any(results.values()):
            return 1
        (ROOT / "dist").mkdir(exist_ok=True)
        for artifact in workshop.dist.iterdir():
            shutil.copy(artifact, ROOT / "dist")
    return 0


if __name__ == "__main__":
    sys.exit(main())
