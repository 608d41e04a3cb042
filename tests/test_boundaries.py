"""What may import what, and what no source may contain: the map of ARCHITECTURE.md, enforced."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "alphaweave-core" / "src"

# Lowest floor first. A module imports from its own floor and from those below. Names are matched as patterns.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("alphaweave.core", "alphaweave.core.*"),
    ("alphaweave.data", "alphaweave.data.*"),
    (
        "alphaweave.live.broker",
        "alphaweave.live.datafeed",
        "alphaweave.live.findings",
        "alphaweave.live.reports",
        "alphaweave.live.sessions",
        "alphaweave.live.slices",
        "alphaweave.live.adapters",
        "alphaweave.live.adapters.*",
    ),
    (
        "alphaweave.indicators",
        "alphaweave.indicators.*",
        "alphaweave.monitoring",
        "alphaweave.monitoring.barlog",
        "alphaweave.monitoring.dates",
        "alphaweave.monitoring.drift",
        "alphaweave.monitoring.jsonlog",
        "alphaweave.monitoring.memory",
        "alphaweave.monitoring.metrics",
        "alphaweave.monitoring.monitor",
        "alphaweave.monitoring.order_ends",
        "alphaweave.monitoring.packing",
        "alphaweave.monitoring.progress",
        "alphaweave.monitoring.prometheus",
        "alphaweave.monitoring.recordlog",
        "alphaweave.monitoring.round_trips",
        "alphaweave.monitoring.run",
        "alphaweave.monitoring.status",
        "alphaweave.strategy",
        "alphaweave.strategy.*",
    ),
    ("alphaweave.sim", "alphaweave.sim.*"),
    (
        "alphaweave.live.express_orders",
        "alphaweave.live.ledger*",
        "alphaweave.live.order_codec",
        "alphaweave.live.orders",
        "alphaweave.live.proposal",
        "alphaweave.live.risk*",
        "alphaweave.live.rounding",
        "alphaweave.live.succession",
        "alphaweave.live.trading_state",
    ),
    (
        "alphaweave.live.bookkeeper",
        "alphaweave.live.desk",
        "alphaweave.live.desk_live",
        "alphaweave.live.effects",
        "alphaweave.live.follow_up",
        "alphaweave.live.grouping",
        "alphaweave.live.holdings",
        "alphaweave.live.kernel",
        "alphaweave.live.kernel_live*",
        "alphaweave.live.kernel_state",
        "alphaweave.live.lane",
        "alphaweave.live.notes",
        "alphaweave.live.order_entry",
        "alphaweave.live.view",
    ),
    (
        "alphaweave.live.actions",
        "alphaweave.live.control",
        "alphaweave.live.control_records",
        "alphaweave.live.inputs",
        "alphaweave.live.journal*",
        "alphaweave.live.run_lock",
        "alphaweave.live.state*",
        "alphaweave.live.values",
    ),
    ("alphaweave.monitoring.dashboard*",),
    ("alphaweave.live.input_codec", "alphaweave.live.reconcile*"),
    (
        "alphaweave.live.broker_queries",
        "alphaweave.live.engine*",
        "alphaweave.live.express",
        "alphaweave.live.fanout",
        "alphaweave.live.live_books",
        "alphaweave.live.live_core",
        "alphaweave.live.live_differences",
        "alphaweave.live.live_facts",
        "alphaweave.live.live_intake",
        "alphaweave.live.live_intents",
        "alphaweave.live.live_journal",
        "alphaweave.live.live_ladder",
        "alphaweave.live.live_link",
        "alphaweave.live.live_missing",
        "alphaweave.live.live_ports",
        "alphaweave.live.live_recovery",
        "alphaweave.live.live_scribe",
        "alphaweave.live.live_settings",
        "alphaweave.live.live_successors",
        "alphaweave.live.feed_pump",
        "alphaweave.live.kernel_thread",
        "alphaweave.live.live_commands",
        "alphaweave.live.live_driver",
        "alphaweave.live.live_monitors",
        "alphaweave.live.monitor_queue",
        "alphaweave.live.recorder",
        "alphaweave.live.rule_changes",
        "alphaweave.live.replay",
        "alphaweave.live.replay_risk",
        "alphaweave.live.run_clock",
        "alphaweave.live.sender",
        "alphaweave.live.sending_line",
        "alphaweave.live.slippage",
        "alphaweave.live.tape",
        "alphaweave.live.tape_decisions",
    ),
    (
        "alphaweave._metadata",
        "alphaweave.live.hookspecs",
        "alphaweave.live.plugin_loader",
        "alphaweave.live.plugins",
        "alphaweave.live.registry",
        "alphaweave.live.replay_plugin",
        "alphaweave.monitoring.plugin",
        "alphaweave.live.replay_plugin",
    ),
    ("alphaweave.live.config*", "alphaweave.live.secrets"),
    (
        "alphaweave.live.adapter_services",
        "alphaweave.live.backtest",
        "alphaweave.live.comparison",
        "alphaweave.live.discreet_stores",
        "alphaweave.live.discretion",
        "alphaweave.live.doctor*",
        "alphaweave.live.instrument_rules",
        "alphaweave.live.live_run",
        "alphaweave.live.live_wiring",
        "alphaweave.live.notices",
        "alphaweave.live.party",
        "alphaweave.live.plugin_parts",
        "alphaweave.live.resume",
        "alphaweave.live.run_files",
        "alphaweave.live.runner",
        "alphaweave.live.terms",
        "alphaweave.live.strategy_loader",
    ),
    (
        "_alphaweave_pytest",
        "alphaweave.__main__",
        "alphaweave.cli",
        "alphaweave.cli.*",
        "alphaweave.testing",
        "alphaweave.testing.*",
    ),
)
# Every import of a module in it runs a package's own code; this package has modules on most floors.
HOLLOW = ("alphaweave.live",)
FACADE = "alphaweave"

HEAVY = (
    "pandas",
    "numpy",
    "sqlalchemy",
    "rich",
    "plotly",
    "pyarrow",
    "prometheus_client",
    "pytest",
    "hypothesis",
)


class Import(NamedTuple):
    """One imported module, with the names taken from it and whether only a type checker sees it."""

    target: str
    names: tuple[str, ...]
    line: int
    typing_only: bool


def sources(folder: Path) -> list[Path]:
    """Every module of the distributions under `folder`, or of the one it is."""
    return sorted(folder.rglob("*.py"))


def dotted(path: Path, root: Path) -> str:
    """The module name of a file below its import root."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[Import]:
    """Every import in the file, wherever it stands."""
    module = tree(path)
    typed = {
        id(inner)
        for node in ast.walk(module)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node.lineno, id(node) in typed)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = tuple(alias.name for alias in node.names)
            yield Import(node.module or "", names, node.lineno, id(node) in typed)


def resolved(found: Import, modules: set[str]) -> Iterator[str]:
    """The modules an import really names: `from alphaweave.live import broker` means that submodule."""
    submodules = [f"{found.target}.{name}" for name in found.names if f"{found.target}.{name}" in modules]
    yield from submodules
    if len(submodules) < len(found.names) or not found.names:
        yield found.target


def floor(module: str) -> int | None:
    """How high the module stands, or None when the map does not know it."""
    matches = [number for number, names in enumerate(FLOORS) for name in names if fnmatchcase(module, name)]
    return max(matches, default=None)


CORE_MODULES = {dotted(path, CORE): path for path in sources(CORE)}
ADAPTERS = sorted(path for path in ROOT.glob("alphaweave-broker-*/src") if path.is_dir())
ALL_SOURCES = [path for root in sorted(ROOT.glob("alphaweave-*/src")) for path in sources(root)]
TESTS = [path for root in (ROOT, *sorted(ROOT.glob("alphaweave-*"))) for path in sources(root / "tests")]


def label(path: Path) -> str:
    """A file's path in the repository, as a test id."""
    return path.relative_to(ROOT).as_posix()


def test_core_modules_are_all_on_the_map() -> None:
    """A module belongs to exactly one floor, or is a package that holds nothing."""
    placed = {
        module: [n for n, names in enumerate(FLOORS) if any(fnmatchcase(module, name) for name in names)]
        for module in CORE_MODULES
        if module not in (*HOLLOW, FACADE)
    }
    astray = {module: floors for module, floors in placed.items() if len(floors) != 1}
    assert not astray, f"not on exactly one floor of the map: {astray}"


def test_floors_are_all_inhabited() -> None:
    """A pattern that matches no module is a leftover, or hides a misspelling."""
    unused = [
        name for names in FLOORS for name in names if not any(fnmatchcase(m, name) for m in CORE_MODULES)
    ]
    assert not unused


def test_core_imports_go_down_the_floors() -> None:
    """No module imports from a floor above its own, for types or otherwise."""
    upward = []
    for module, path in CORE_MODULES.items():
        own = floor(module)
        for found in imports(path):
            for target in resolved(found, set(CORE_MODULES)):
                if module == FACADE or not target.startswith("alphaweave") or target == module:
                    continue
                above = floor(target)
                if module in HOLLOW or (own is not None and above is not None and above > own):
                    upward.append(f"{label(path)}:{found.line} {module} imports {target}")
    assert not upward, "\n".join(upward)


def test_core_takes_only_the_version_from_the_facade() -> None:
    """The top package offers names for people; inside, they are imported from where they live."""
    taken = [
        f"{label(path)}:{found.line}"
        for module, path in CORE_MODULES.items()
        for found in imports(path)
        if module != FACADE
        and FACADE in resolved(found, set(CORE_MODULES))
        and "__version__" not in found.names
    ]
    assert not taken


def test_core_has_no_import_cycles() -> None:
    """Modules of one floor may use each other in one direction only."""
    graph = {
        module: {
            target
            for found in imports(path)
            if not found.typing_only
            for target in resolved(found, set(CORE_MODULES))
            if target in CORE_MODULES and target != module
        }
        for module, path in CORE_MODULES.items()
        if module != FACADE
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", CORE_MODULES.values(), ids=label)
def test_core_imports_no_adapter(path: Path) -> None:
    """Core knows brokers by name only."""
    assert not [found for found in imports(path) if found.target.startswith("alphaweave_broker_")]


@pytest.mark.parametrize("root", ADAPTERS, ids=label)
def test_adapters_import_public_names_only(root: Path) -> None:
    """An adapter needs nothing that a stranger's adapter could not import."""
    private = []
    for path in sources(root):
        for found in imports(path):
            if found.target.split(".")[0] != "alphaweave":
                continue
            where = f"{label(path)}:{found.line} {found.target}"
            if not found.names or "._" in found.target:
                private.append(f"{where}: write `from alphaweave.x import name`, of a public module")
                continue
            offered = importlib.import_module(found.target).__all__
            private += [f"{where}.{name}" for name in found.names if name not in offered]
    assert not private, "\n".join(private)


def test_importing_alphaweave_stays_light() -> None:
    """A plain import, and the errors everyone needs, load nothing heavy and no adapter."""
    script = (
        "import sys, alphaweave, alphaweave.core.errors\n"
        "tops = {name.split('.')[0] for name in sys.modules}\n"
        f"heavy = tops & set({HEAVY!r})\n"
        "print(sorted(heavy | {name for name in tops if name.startswith('alphaweave_broker_')}))"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_modules_are_short(path: Path) -> None:
    """A module one can hold in mind: under 400 lines, and 420 is refused."""
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 420, f"{length} lines"


BANNED_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_sources_are_finished_and_safe(path: Path) -> None:
    """Nothing is left for later, and no text or file can become code."""
    text = path.read_text(encoding="utf-8")
    assert not UNFINISHED.findall(text)
    assert not {found.target.split(".")[0] for found in imports(path)} & BANNED_MODULES
    calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
    assert not calls & BANNED_CALLS
    assert "to_pickle" not in text
    assert "read_pickle" not in text


BANNED_IN_TESTS = re.compile(
    r"^(pytest\.(skip|xfail|importorskip)|pytest\.mark\.(skip|skipif|xfail)|time\.sleep)$"
)


@pytest.mark.parametrize("path", TESTS, ids=label)
def test_tests_neither_skip_nor_sleep(path: Path) -> None:
    """A test runs, or is marked with the program it needs; it waits for events, not for the clock."""
    names = {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    assert not [name for name in names if BANNED_IN_TESTS.match(name)]


def public_definitions(module: ast.Module) -> set[str]:
    """The names a module's top level defines, less the underscored ones."""
    names = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # A click command is reached through its group, not by its function's name.
            if not any(re.search(r"\.(command|group)\(", ast.unparse(mark)) for mark in node.decorator_list):
                names.add(node.name)
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith(
            ("TypeVar(", "ParamSpec(")
        ):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


PUBLIC = [
    (path, dotted(path, root))
    for root in sorted(ROOT.glob("alphaweave-*/src"))
    for path in sources(root)
    if not any(part.startswith("_") for part in dotted(path, root).split("."))
]


@pytest.mark.parametrize(("path", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_public_modules_have_an_exact_all(path: Path, name: str) -> None:
    """`__all__` names everything the module defines for others, once, and each name exists."""
    module = importlib.import_module(name)
    offered: list[str] = module.__all__
    assert len(offered) == len(set(offered))
    assert not [entry for entry in offered if not hasattr(module, entry)]
    assert not public_definitions(tree(path)) - set(offered), "defined without an underscore, but not offered"
