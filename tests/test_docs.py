"""What the pages show is run: their Python, their configs, their commands.

In a block's first line, after the language: `file=PATH` writes the block to that file instead of running
it, and `fragment` marks sections of a config, which are read as a part of a whole one. A line `...` in what
a command prints stands for any lines, and `...` within a line for any text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from attrs import field, frozen
from hatchling.build import build_wheel

from alphaweave.cli.main import main
from alphaweave.core.errors import ConfigError
from alphaweave.live.config import parse_live_config
from alphaweave.live.runner import LiveRunner

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(ROOT.glob("alphaweave-*/README.md")),
]
FENCE = re.compile(r"^```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
WHOLE: Mapping[str, Any] = {
    "instruments": ["AAPL"],
    "datafeed": {"name": "replay", "options": {"replay": {"path": "examples/data"}}},
    "broker": {"name": "paper"},
    "strategy": {"class": "my_strategies:SmaCross"},
}


@frozen
class Reader:
    """Does what a page says, in a folder with the examples in it."""

    folder: Path
    names: dict[str, Any] = field(factory=lambda: {"__name__": "page"})

    def read(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for block in FENCE.finditer(text):
            line = text.count("\n", 0, block.start("text"))
            language, info, body = block.group("language", "info", "text")
            file = re.search(r"file=(\S+)", info)
            if file:
                target = self.folder / file[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(body, encoding="utf-8")
            if language == "python" and not file:
                # The lines of a traceback are those of the page.
                code = compile("\n" * line + body, str(page), "exec", dont_inherit=True)
                exec(code, self.names)  # noqa: S102
            elif language == "yaml":
                self.configure(body, part="fragment" in info.split(), adapters=not file)
            elif language == "console":
                self.type(body)

    def configure(self, body: str, *, part: bool, adapters: bool) -> None:
        """Read a config and, but for one in a file, which a command runs, the options of its adapters."""
        given = yaml.safe_load(body)
        config = parse_live_config({**WHOLE, **given} if part else given, source=self.folder / "page.yaml")
        if adapters:
            LiveRunner.from_config(config)

    def type(self, body: str) -> None:
        """Type the commands of a block, and compare what they print."""
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
            words = shlex.split(command)
            printed = expected
            if words[0] == "make":
                printed = made(words[1], expected)
                words = shlex.split(made_by(words[1]))
            if words[:2] == ["pip", "install"]:
                self.install(self.folder / words[2])
            elif words[0] == "alphaweave":
                self.alphaweave(words[1:], printed)
            else:
                assert words[:3] == [".venv/bin/python", "-m", "pytest"], f"nobody types {command!r} here"

    def alphaweave(self, words: list[str], expected: str) -> None:
        """Run the command in this process: with an error, what it says of it is what counts."""
        out, err = StringIO(), StringIO()
        where = words.index(">") if ">" in words else len(words)
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
            main(words[:where])
        if where < len(words):
            (self.folder / words[where + 1]).write_text(out.getvalue(), encoding="utf-8")
        said = out.getvalue() if exit_.value.code == 0 else err.getvalue()
        assert (exit_.value.code == 0) == ("error: " not in expected), err.getvalue()
        assert not expected or pattern(expected).fullmatch(said), f"{words}\n{said}"

    def install(self, source: Path) -> None:
        """Build a real wheel and unpack it where Python looks, which is what pip does with one."""
        site = self.folder / "site-packages"
        with chdir(source):
            wheel = Path(build_wheel("dist")).name
        with ZipFile(source / "dist" / wheel) as archive:
            archive.extractall(site)
        sys.path.insert(0, str(site))


def made_by(target: str) -> str:
    """The command of a make target."""
    recipe = re.search(rf"^{target}: .*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None, f"there is no make {target}"
    command = recipe[1].replace("$(BIN)", ".venv/bin").replace(" $(ARGS)", "")
    return command.replace("$(DEMO)", "examples/demo.yaml").replace(".venv/bin/alphaweave", "alphaweave")


def made(target: str, expected: str) -> str:
    """What a make target prints after its own command."""
    own, _, rest = expected.partition("\n")
    assert own in {f".venv/bin/{made_by(target)}", "..."}
    return rest


def pattern(expected: str) -> re.Pattern[str]:
    lines = ("(?:.*\n)*" if line == "...\n" else re.escape(line) for line in expected.splitlines(True))
    return re.compile("".join(lines).replace(r"\.\.\.", ".*"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """In a folder of its own; what a page imports or sets is gone afterwards."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))
    path, environment, modules = sys.path.copy(), dict(os.environ), set(sys.modules)
    with chdir(tmp_path):
        yield Reader(tmp_path)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_does_what_it_says(page: Path, reader: Reader) -> None:
    """Its Python runs, its configs are configs, its commands print what it shows."""
    reader.read(page)


def test_every_kind_of_block_is_shown_somewhere() -> None:
    """A page whose fences nobody finds would prove nothing."""
    found = [block["language"] for page in PAGES for block in FENCE.finditer(page.read_text())]
    assert {"python", "yaml", "console", "toml", "text"} <= set(found)
    assert found.count("python") > 20


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\nassert 1 == 2\n```\n", AssertionError),
        ("```yaml\nbroker: {name: paper}\n```\n", ConfigError),
        ("```yaml fragment\nbroker: {name: paper, options: {paper: {feees: 1}}}\n```\n", ConfigError),
        ("```console\n$ alphaweave plugins\nKIND\n```\n", AssertionError),
        ("```console\n$ alphaweave check gone.yaml\n```\n", AssertionError),
        ("```console\n$ make nonsense\n...\n```\n", AssertionError),
        ("```console\n$ rm something\n```\n", AssertionError),
    ],
)
def test_wrong_page_is_found_out(reader: Reader, text: str, error: type[Exception]) -> None:
    """What is not so fails."""
    page = reader.folder / "page.md"
    page.write_text(text)
    with pytest.raises(error):
        reader.read(page)


def test_saved_summary_has_what_the_page_says(reader: Reader) -> None:
    """The document of `--json` and `--summary`."""
    reader.alphaweave(["run", "examples/demo.yaml", "--until", "40", "--summary", "out.json"], "")
    told = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in told for key in json.loads(Path("out.json").read_text()))
