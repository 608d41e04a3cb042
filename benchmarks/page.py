"""Tables, as they are printed and as they stand on a page, between marks that say what wrote them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Table", "into"]


class Table:
    """A Markdown table that is printed line by line, for it takes long until it is whole.

    Attributes:
        lines: what was printed of it.
    """

    def __init__(self, *head: str, figures: bool = True) -> None:
        """``figures``: all columns but the first hold figures."""
        self.lines: list[str] = []
        self.row(*head)
        self._add(f"|---|{('--:|' if figures else '---|') * (len(head) - 1)}")

    def row(self, *cells: str) -> None:
        """Print one more row."""
        self._add(f"| {' | '.join(cells)} |")

    def _add(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def into(page: Path, begin: str, end: str, tables: str) -> None:
    """Put tables between two marks of a page."""
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise SystemExit(f"{page} has no place for the tables: it needs the lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{tables}\n\n{end}{after}", encoding="utf-8")
