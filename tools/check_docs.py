"""Checks every page of the documentation: `make docs`.

A relative link leads to a file, an anchor to a heading, and what is shown as Python, YAML, JSON or TOML can
be read as that.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^]]*\]\((?P<inline>[^)\s]+)\)|^\[[^]]+\]: *(?P<reference>\S+)", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
READERS: Mapping[str, Callable[[str], object]] = {
    "python": ast.parse,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "json": json.loads,
    "toml": tomllib.loads,
}


def pages(root: Path) -> list[Path]:
    """The Markdown files of the project."""
    patterns = ("*.md", "alphaweave-*/*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    return sorted({page for pattern in patterns for page in root.glob(pattern)})


def anchors(page: Path) -> set[str]:
    """What a `#fragment` may say of this page: its headings as GitHub spells them."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {
        name for slug, last in found.items() for name in (slug, *(f"{slug}-{n}" for n in range(1, last + 1)))
    }


def complaints(page: Path) -> Iterator[str]:
    """What is wrong with a page, each with its line."""
    text = page.read_text(encoding="utf-8")

    def line(position: int) -> int:
        return text.count("\n", 0, position) + 1

    for block in FENCE.finditer(text):
        read = READERS.get(block["language"])
        if read is not None:
            try:
                read(textwrap.dedent(block["text"]))
            except (SyntaxError, ValueError, yaml.YAMLError) as error:
                yield f"{page}:{line(block.start())}: this is no {block['language']}: {error}"
    prose = FENCE.sub(lambda block: "\n" * block.group().count("\n"), text)
    for link in LINK.finditer(prose):
        target = link["inline"] or link["reference"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        where = f"{page}:{prose.count(chr(10), 0, link.start()) + 1}"
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists():
            yield f"{where}: {target} leads nowhere"
        elif fragment and goal.suffix == ".md" and fragment not in anchors(goal):
            yield f"{where}: {path or page.name} has no heading #{fragment}"


def main(root: Path = ROOT) -> int:
    """Print what is wrong; 1 if anything is."""
    checked = pages(root)
    found = [complaint for page in checked for complaint in complaints(page)]
    print(*found, f"{len(checked)} pages, {len(found)} complaints", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
