"""A distribution of somebody's own: its names, its files, and what is refused."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alphaweave import __version__
from alphaweave.live.registry import Registry

KINDS = ("broker", "datafeed", "monitor")


@pytest.fixture(autouse=True)
def _within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(folder: str) -> dict[str, str]:
    """Every file by its path within the folder."""
    root = Path(folder)
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file()
    }


def offered(tree: ast.Module) -> set[str]:
    """What a module's ``__all__`` lists."""
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return set(listed)


def public(tree: ast.Module) -> set[str]:
    """What it defines without an underscore, and its version."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            names.add(ast.unparse(target))
    return {name for name in names if name == "__version__" or not name.startswith("_")}


@pytest.mark.parametrize("kind", KINDS)
def test_new_adapter_is_a_whole_distribution(alphaweave: Callable[..., Any], kind: str) -> None:
    """Everything that an installer, a type checker, a forge and a reader look for, under its own name."""
    answer = alphaweave("new", kind, "big-fish2")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"wrote alphaweave-{kind}-big-fish2",
        f"next: cd alphaweave-{kind}-big-fish2",
        "next: python -m pip install -e '.[test]'",
        "next: python -m pytest",
    ]
    made = files(f"alphaweave-{kind}-big-fish2")
    package = f"src/alphaweave_{kind}_big_fish2"
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        ".gitignore",
        ".github/workflows/test.yml",
        f"{package}/__init__.py",
        f"{package}/plugin.py",
        f"{package}/config.py",
        f"{package}/py.typed",
    } <= set(made)
    project = tomllib.loads(made["pyproject.toml"])["project"]
    group = project["entry-points"][f"alphaweave.{kind}s"]
    assert group == {"big-fish2": f"alphaweave_{kind}_big_fish2.plugin"}
    major, minor, _ = __version__.split(".")
    assert f"alphaweave-core>={major}.{minor},<{major}.{int(minor) + 1}" in project["dependencies"]


@pytest.mark.parametrize("kind", KINDS)
def test_new_adapter_bears_no_trace_of_its_template(alphaweave: Callable[..., Any], kind: str) -> None:
    """No name is left over, nothing waits to be filled in, and no registry is named."""
    alphaweave("new", kind, "big-fish2")
    for path, text in files(f"alphaweave-{kind}-big-fish2").items():
        for word in (
            "acme",
            "alphaweave_kind",
            "alphaweave-kind",
            "tmpl",
            "todo",
            "notimplemented",
            "://",
            "dot-",
        ):
            assert word not in f"{path}\n{text}".lower(), f"{path}: {word}"


def test_name_may_hold_the_one_that_it_replaces(alphaweave: Callable[..., Any]) -> None:
    """What was put in is not replaced once more."""
    alphaweave("new", "broker", "my-acme")
    made = files("alphaweave-broker-my-acme")
    assert "src/alphaweave_broker_my_acme/plugin.py" in made
    entry = tomllib.loads(made["pyproject.toml"])["project"]["entry-points"]["alphaweave.brokers"]
    assert entry == {"my-acme": "alphaweave_broker_my_acme.plugin"}
    assert "class MyAcmeBroker:" in made["src/alphaweave_broker_my_acme/broker.py"]
    assert not any("my-my" in text or "my_my" in text or "MyMy" in text for text in made.values())


@pytest.mark.parametrize("kind", KINDS)
def test_new_adapter_is_made_of_small_modules_that_say_what_they_offer(
    alphaweave: Callable[..., Any], kind: str
) -> None:
    """As this project's own are: a docstring, an exact list of names, fewer than 420 lines."""
    alphaweave("new", kind, "fish")
    made = files(f"alphaweave-{kind}-fish")
    modules = {path: text for path, text in made.items() if path.startswith("src") and path.endswith(".py")}
    assert len(modules) >= 4
    for path, text in modules.items():
        tree = ast.parse(text)
        assert ast.get_docstring(tree), path
        assert offered(tree) == public(tree), path
        assert text.count("\n") < 420, path


@pytest.mark.parametrize(
    "name", ["Acme", "acme_fish", "-acme", "acme-", "a--b", "2fish", "", "a" * 21, "acme/..", "fish\n"]
)
def test_name_that_no_distribution_can_have_is_refused(alphaweave: Callable[..., Any], name: str) -> None:
    """It says what a name is made of."""
    answer = alphaweave("new", "broker", "--", name)
    assert (answer.code, answer.out) == (2, "")
    assert "is no name for a broker" in answer.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "name",
    ["class", "import", "on", "null", "no", "core", "tests", "alphaweave", "con", "lpt1", "none", "queue"],
)
def test_name_that_means_something_else_is_refused(alphaweave: Callable[..., Any], name: str) -> None:
    """`name: on` in a config is no name but true."""
    answer = alphaweave("new", "datafeed", name)
    assert (answer.code, answer.out) == (2, "")
    assert f"try my-{name}" in answer.err


@pytest.mark.parametrize(
    ("kind", "name", "owner"),
    [
        ("broker", "paper", "alphaweave-broker-mock"),
        ("broker", "ibkr", "alphaweave-broker-ibkr"),
        ("datafeed", "replay", "alphaweave-core"),
        ("monitor", "dashboard", "alphaweave-core"),
    ],
)
def test_name_that_somebody_has_is_refused(
    alphaweave: Callable[..., Any], kind: str, name: str, owner: str
) -> None:
    """Published names too, whether they are installed or not."""
    answer = alphaweave("new", kind, name)
    assert (answer.code, answer.out) == (2, "")
    assert f"{owner} offers a {kind} '{name}'" in answer.err
    assert f"try my-{name}" in answer.err


def test_name_of_a_sandbox_that_is_installed_is_refused(
    alphaweave: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A datafeed brings one of its own, and a run could not tell the two apart."""

    class Offer:
        distribution = "somebody-elses"

    found = {"sandbox": {"fish": (Offer(),)}}
    monkeypatch.setattr(Registry, "installed", lambda self, kind: found.get(kind, {}))
    assert alphaweave("new", "monitor", "fish").code == 0
    answer = alphaweave("new", "datafeed", "fish")
    assert answer.code == 2
    assert "somebody-elses offers a sandbox 'fish'" in answer.err


def test_folder_that_exists_is_left_alone(alphaweave: Callable[..., Any]) -> None:
    """Nobody's work is written over."""
    mine = Path("alphaweave-broker-fish/mine.txt")
    mine.parent.mkdir()
    mine.write_text("mine")
    answer = alphaweave("new", "broker", "fish")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "error: alphaweave-broker-fish: exists already; nothing was written\n"
    assert files("alphaweave-broker-fish") == {"mine.txt": "mine"}


def test_folder_to_write_in_may_be_another(alphaweave: Callable[..., Any]) -> None:
    """It is made where it does not exist, and its name is printed as one types it."""
    answer = alphaweave("new", "monitor", "fish", "--dir", "my folder")
    assert "next: cd 'my folder/alphaweave-monitor-fish'" in answer.out.splitlines()
    assert (Path("my folder") / "alphaweave-monitor-fish" / "README.md").is_file()
