"""``alphaweave new broker`` and its kin: a distribution that works, whose parts are then replaced.

The templates, one over the other, are a whole distribution of an adapter called ``acme``. Its names are
replaced, and nothing else.
"""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from errno import EEXIST
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

import click

from alphaweave import __version__
from alphaweave.live.plugin_loader import Kind
from alphaweave.live.registry import Registry

__all__ = ["AdapterKind", "new_adapter"]

AdapterKind = Literal["broker", "datafeed", "monitor"]

_LAYERS: Final[Mapping[AdapterKind, tuple[str, ...]]] = {
    "broker": ("any", "wire", "broker"),
    "datafeed": ("any", "wire", "datafeed"),
    "monitor": ("any", "monitor"),
}
_ENDING: Final = ".tmpl"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 20
# AlphaWeave's own, and what the file systems of others take for a device.
_RESERVED: Final = frozenset(
    {"alphaweave", "core", "test", "tests", "testing", "con", "prn", "aux", "nul"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
)
# What a config in YAML would not take for a name.
_YAML: Final = frozenset({"null", "none", "true", "false", "yes", "no", "on", "off", "y", "n"})


def new_adapter(kind: AdapterKind, name: str, folder: Path) -> None:
    """Write the distribution into a folder of its own, and print the commands that come next.

    Raises:
        click.BadParameter: no adapter can have the name, or another one has it.
        OSError: the folder exists already, or cannot be written.
    """
    _check_name(kind, name)
    distribution = f"alphaweave-{kind}-{name}"
    target = folder / distribution
    if target.exists():
        raise FileExistsError(EEXIST, "exists already; nothing was written", str(target))
    names = _names(kind, name)
    for layer in _LAYERS[kind]:
        for path, text in _template(files("alphaweave.cli") / "templates" / layer, ""):
            # With a dot of its own it would mean something to the tools that read this repository.
            file = target / _renamed(path.replace("dot-", "."), names)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_renamed(text, names), encoding="utf-8")
    click.echo(f"wrote {target}")
    click.echo(f"next: cd {shlex.quote(str(target))}")
    click.echo("next: python -m pip install -e '.[test]'")
    click.echo("next: python -m pytest")


def _check_name(kind: AdapterKind, name: str) -> None:
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST:
        raise click.BadParameter(
            f"{name!r} is no name for a {kind}: it has up to {_LONGEST} of a-z, 0-9 and single hyphens, and "
            "begins with a letter; try acme",
            param_hint="NAME",
        )
    if keyword.iskeyword(name) or name in _YAML | _RESERVED | sys.stdlib_module_names:
        raise click.BadParameter(
            f"{name!r} means something else in a config, in Python or to a file system; try my-{name}",
            param_hint="NAME",
        )
    registry = Registry()
    # A broker and a datafeed each bring a sandbox of their name; one distribution may offer all three.
    kinds: tuple[Kind, ...] = (kind,) if kind == "monitor" else (kind, "sandbox")
    for each in kinds:
        offers = registry.installed(each).get(name, ())
        taken = offers[0].distribution if offers else registry.published(each).get(name)
        if taken is not None:
            raise click.BadParameter(
                f"{taken} offers a {each} {name!r}, and two of one name cannot be told apart; try my-{name}",
                param_hint="NAME",
            )


def _names(kind: AdapterKind, name: str) -> Mapping[str, str]:
    """What stands in a template, and what stands in its place."""
    words = name.split("-")
    package, distribution = f"alphaweave_{kind}_{'_'.join(words)}", f"alphaweave-{kind}-{name}"
    major, minor, *_ = __version__.split(".")
    return {
        "alphaweave_kind_acme": package,
        f"alphaweave_{kind}_acme": package,
        "alphaweave-kind-acme": distribution,
        "ACME": "_".join(words).upper(),
        "Acme": "".join(word.capitalize() for word in words),
        "acme": name,
        "alphaweave-core>=0.1,<0.2": f"alphaweave-core>={major}.{minor},<{major}.{int(minor) + 1}",
    }


def _renamed(text: str, names: Mapping[str, str]) -> str:
    # All at once, for a new name may hold an old one; the longer of two that fit stands first.
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)


def _template(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    """Each file's path within the distribution, and its text."""
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _template(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_ENDING):
            yield f"{path}{entry.name.removesuffix(_ENDING)}", entry.read_text(encoding="utf-8")
