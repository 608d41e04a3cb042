"""``alphaweave new``: a first file that already runs."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

import click

__all__ = ["new_strategy"]

_STRATEGY = Template('''"""$title: buys while the fast average is above the slow one, else holds cash."""

from alphaweave import Strategy


class $name(Strategy):
    fast = 10
    slow = 30

    def init(self):
        self.averages = {
            symbol: (self.sma(symbol, self.fast), self.sma(symbol, self.slow)) for symbol in self.symbols
        }

    def next(self, i):
        share = 0.95 / len(self.symbols)
        for symbol, (fast, slow) in self.averages.items():
            if not slow.ready:
                continue
            wanted = share if fast.value > slow.value else 0.0
            if (wanted > 0) != (self.position(symbol) > 0):
                self.order_target_percent(symbol, wanted)
''')

_CONFIG = Template("""# Run it with: alphaweave run $module.yaml
run: {id: $module, capital: 100000, currency: USD, warmup: 30}
instruments: [AAPL]
datafeed:
  name: replay
  interval: 1d
  options: {replay: {path: data}}   # a folder with AAPL.csv: date,open,high,low,close,volume
broker: {name: paper}
strategy: {class: "$module:$name", params: {fast: 10, slow: 30}}
monitors: [{name: dashboard, options: {dashboard: {path: $module.html}}}]
persistence: {state_path: $module.state.json}
""")


def new_strategy(name: str, folder: Path) -> list[Path]:
    """Write ``NAME`` as a module and a config; the paths written.

    Raises:
        click.ClickException: the name is no class name, a file is in the way, or the folder cannot be
            written.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise click.ClickException(f"{name!r} is no name for a Python class; try SmaCross")
    name = name[0].upper() + name[1:]
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = {"name": name, "module": module, "title": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)}
    files = {
        folder / f"{module}.py": _STRATEGY.substitute(words),
        folder / f"{module}.yaml": _CONFIG.substitute(words),
    }
    for path in files:
        if path.exists():
            raise click.ClickException(f"{path} exists already; nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; nothing more was written") from error
    return list(files)
