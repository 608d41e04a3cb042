"""The distributions as a set: one version, one licence, pinned dependencies, no private addresses."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = sorted(path.parent for path in ROOT.glob("alphaweave-*/pyproject.toml"))


def toml(folder: Path) -> dict[str, Any]:
    """A folder's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def package(folder: Path) -> str:
    """The name a distribution is imported by."""
    return "alphaweave" if folder.name == "alphaweave-core" else folder.name.replace("-", "_")


def version(folder: Path) -> Version:
    """The version hatchling will read from the package."""
    source = (folder / toml(folder)["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    assert match, f"{folder.name} has no __version__"
    return Version(match.group(1))


def declared(folder: Path) -> list[Requirement]:
    """Everything a distribution may need at run time, extras included."""
    project = toml(folder)["project"]
    lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    return [Requirement(text) for requirements in lists for text in requirements]


def pins() -> dict[str, Version]:
    """The pinned version of each name in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, Version] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.+!]*)", line)
        assert match, f"constraints.txt holds name==version lines only, not {line!r}"
        name = canonicalize_name(match.group(1))
        assert name not in found, f"constraints.txt pins {name} twice"
        found[name] = Version(match.group(2))
    return found


def tracked() -> list[Path]:
    """The files under version control, with those about to be."""
    command = [
        "git",
        "-c",
        f"safe.directory={ROOT}",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_versions_move_in_lockstep() -> None:
    """All distributions carry one version, and the changelog knows it."""
    versions = {folder.name: version(folder) for folder in DISTRIBUTIONS}
    assert len(set(versions.values())) == 1, versions
    assert f"## [{version(DISTRIBUTIONS[0])}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_distribution_is_complete(folder: Path) -> None:
    """Each has its licence, readme, type marker and tests, and says so to the builder."""
    project = toml(folder)["project"]
    assert project["name"] == folder.name
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / project["readme"]).stat().st_size > 0
    assert (folder / "src" / package(folder) / "py.typed").is_file()
    assert list((folder / "tests").rglob("test_*.py"))


@pytest.mark.parametrize(
    "folder",
    [path for path in DISTRIBUTIONS if path.name != "alphaweave-core"],
    ids=lambda folder: folder.name,
)
def test_adapters_pin_the_minor_version_of_core(folder: Path) -> None:
    """The contract may change with a minor version, so an adapter accepts exactly one."""
    core = next(requirement for requirement in declared(folder) if requirement.name == "alphaweave-core")
    now = version(folder)
    assert str(core.specifier) == f"<{now.major}.{now.minor + 1},>={now.major}.{now.minor}"


def test_constraints_pin_every_declared_dependency() -> None:
    """Each requirement, to run, to build or to develop, is pinned to a version it accepts."""
    lists = [
        toml(ROOT)["dependency-groups"]["dev"],
        *(toml(folder)["build-system"]["requires"] for folder in DISTRIBUTIONS),
    ]
    requirements = [Requirement(text) for texts in lists for text in texts]
    requirements += [requirement for folder in DISTRIBUTIONS for requirement in declared(folder)]
    pinned = pins()
    ours = {folder.name for folder in DISTRIBUTIONS}
    loose = [
        str(requirement)
        for requirement in requirements
        if requirement.name not in ours
        and (
            canonicalize_name(requirement.name) not in pinned
            or pinned[canonicalize_name(requirement.name)] not in requirement.specifier
        )
    ]
    assert not loose


def test_constraints_pin_what_their_pins_need() -> None:
    """Nothing unpinned comes in through a dependency's dependency."""
    pinned = pins()
    loose = {
        f"{name} needs {requirement.name}"
        for name in pinned
        for requirement in map(Requirement, metadata.requires(name) or ())
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        and canonicalize_name(requirement.name) not in pinned
    }
    assert not loose


def test_environment_is_the_pinned_one() -> None:
    """The tests run against the versions in constraints.txt, not against whatever was there."""
    assert {name: Version(metadata.version(name)) for name in pins()} == pins()


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_imports_are_declared(folder: Path) -> None:
    """Every third-party module a source imports belongs to a declared requirement."""
    owners = {
        **metadata.packages_distributions(),
        **{package(other): [other.name] for other in DISTRIBUTIONS},
    }
    allowed = {canonicalize_name(requirement.name) for requirement in declared(folder)} | {folder.name}
    undeclared = set()
    for path in (folder / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names:
                if not {canonicalize_name(owner) for owner in owners.get(top, ["?"])} & allowed:
                    undeclared.add(f"{path.relative_to(ROOT)}: {top}")
    assert not undeclared


# Written so that the patterns do not find themselves.
PRIVATE = re.compile(
    r"pypi[.]org|pythonhosted[.]|[-][-](extra-)?index-url|simple[/]?\s*$|file:[/]{3}|"
    r"(?<![\w.])[/](root|work|opt|home|Users|private|mnt)[/]\w|[.][.][/]shared"
)


def test_files_hold_no_private_address() -> None:
    """No package registry, no path of one machine: the project builds the same for everyone."""
    found = []
    for path in tracked():
        text = path.read_bytes()
        if b"\0" in text:
            continue
        for number, line in enumerate(text.decode("utf-8").splitlines(), 1):
            if PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_no_lock_file_is_tracked() -> None:
    """A lock file records the address of a registry; constraints.txt does not."""
    locks = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml"}
    assert not [path for path in tracked() if path.name in locks]


def test_check_script_is_executable() -> None:
    """A clean clone runs its checks as it is."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
