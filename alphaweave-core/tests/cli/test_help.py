"""Help: complete, and light enough to be there at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from alphaweave import __version__
from alphaweave.cli.main import cli

HEAVY = {"cattrs", "importlib_metadata", "numpy", "pandas", "plotly", "pluggy", "rich", "sqlalchemy", "yaml"}


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, as words."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def test_commands_are_those_documented() -> None:
    assert set(commands()) == {
        (),
        ("run",),
        ("replay",),
        ("check",),
        ("doctor",),
        ("plugins",),
        ("certify",),
        ("sandbox",),
        ("schema",),
        ("report",),
        ("new",),
        ("new", "broker"),
        ("new", "datafeed"),
        ("new", "monitor"),
        ("new", "strategy"),
        ("status",),
        ("halt",),
        ("resume",),
        ("flatten",),
        ("stop",),
        ("state",),
        ("state", "show"),
        ("state", "diff"),
        ("state", "export"),
        ("state", "rollback"),
    }


def test_help_of_every_command_imports_nothing_heavy() -> None:
    """Help needs click and nothing else, whichever command it is of."""
    script = (
        "import sys\n"
        "from alphaweave.cli.main import main\n"
        f"for command in {sorted(commands())!r}:\n"
        "    try:\n"
        "        main([*command, '--help'])\n"
        "    except SystemExit as left:\n"
        "        assert left.code == 0, (command, left.code)\n"
        f"heavy = {HEAVY!r} & {{name.split('.')[0] for name in sys.modules}}\n"
        "ours = {name for name in sys.modules if name.startswith('alphaweave.') and '.cli' not in name}\n"
        "print(sorted(heavy | ours), file=sys.stderr)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stderr.strip() == "[]"
    assert answer.stdout.count("Usage: alphaweave") == len(list(commands()))


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_help_explains_the_command_and_each_option(
    words: tuple[str, ...], alphaweave: Callable[..., Any]
) -> None:
    answer = alphaweave(*words, "--help")
    assert (answer.code, answer.err) == (0, "")
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert not [option.name for option in options if not option.help]


def test_help_documents_the_exit_codes(alphaweave: Callable[..., Any]) -> None:
    """Each code on a line of its own."""
    lines = [line.split(maxsplit=1) for line in alphaweave("--help").out.splitlines()]
    assert [line[0] for line in lines if line and line[0].isdigit()] == ["0", "1", "2", "130"]


def test_version_is_the_packages(alphaweave: Callable[..., Any]) -> None:
    assert alphaweave("--version").out == f"alphaweave, version {__version__}\n"
