"""``alphaweave new``: first files that already run."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from errno import EEXIST
from importlib.machinery import PathFinder
from math import exp
from pathlib import Path
from random import Random
from string import Template

import click

from alphaweave.live.registry import Registry

__all__ = ["new_strategy"]

_STRATEGY = Template('''"""$title: holds a symbol while its fast average is above its slow one."""

from alphaweave import Strategy


class $name(Strategy):
    fast = 10  # `params` in the config overrides what stands here
    slow = 30

    def init(self):
        self.averages = {
            symbol: (self.sma(symbol, self.fast), self.sma(symbol, self.slow)) for symbol in self.symbols
        }

    def next(self, i):
        for symbol, (fast, slow) in self.averages.items():
            if not slow.ready:
                continue
            rising = fast.value > slow.value
            if rising and not self.position(symbol):
                self.order_target_percent(symbol, 0.95 / len(self.symbols))
            elif not rising and self.position(symbol):
                self.close_position(symbol)
''')

_CONFIG = Template("""# alphaweave run $module.yaml

run: {id: $module, capital: 100000, currency: USD}
instruments: [DEMO]                 # made-up prices to begin with: put your own files into data/,
datafeed:                           # SPY.csv with date,open,high,low,close,volume, say, and name SPY here
  name: replay
  interval: 1d
  options: {replay: {path: data}}
broker: {name: paper}
strategy: {class: "$module:$name", params: {fast: 10, slow: 30}}
monitors: [{name: dashboard, options: {dashboard: {path: $module.html}}}]
persistence: {state_path: $module.state.json}
""")


def new_strategy(name: str, folder: Path) -> None:
    """Write a module, a config and a file of prices, and print the command that runs them.

    Raises:
        click.BadParameter: no class or module can have the name.
        OSError: a file is in the way, or the folder cannot be written.
    """
    words = re.split(r"[\W_]+", name)
    kind = "".join(word[:1].upper() + word[1:] for word in words)
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
    if not kind.isidentifier() or keyword.iskeyword(module):
        raise click.BadParameter(
            f"{name!r} gives no name for a Python class; try SmaCross", param_hint="NAME"
        )
    script, config, prices = folder / f"{module}.py", folder / f"{module}.yaml", folder / "data" / "DEMO.csv"
    for path in (script, config):
        if path.exists():
            raise FileExistsError(EEXIST, "exists already; nothing was written", str(path))
    if module in sys.stdlib_module_names or PathFinder.find_spec(module) is not None:
        raise click.BadParameter(
            f"there is an installed module {module!r} that the new one would be taken for; try My{kind}",
            param_hint="NAME",
        )
    title = re.sub(r"_", " ", module).capitalize()
    files = {
        script: _STRATEGY.substitute(name=kind, title=title),
        config: _CONFIG.substitute(name=kind, module=module),
        prices: "\n".join(_made_up_bars()) + "\n",
    }
    for path, text in files.items():
        if path is prices and path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    if "paper" not in Registry().installed("broker"):
        click.echo("next: pip install alphaweave-broker-mock")
    click.echo(f"next: alphaweave run {shlex.quote(str(config))}")


def _made_up_bars() -> Iterator[str]:
    """Two years of a random walk, the same every time."""
    chance = Random(7)
    day, close = date(2022, 1, 3), 100.0
    yield "date,open,high,low,close,volume"
    while day < date(2024, 1, 1):
        if day.weekday() < 5:
            opened = close * exp(chance.gauss(0, 0.003))
            close = opened * exp(chance.gauss(0.0004, 0.012))
            high = max(opened, close) * exp(abs(chance.gauss(0, 0.004)))
            low = min(opened, close) * exp(-abs(chance.gauss(0, 0.004)))
            volume = chance.randrange(500_000, 2_000_000)
            yield f"{day},{opened:.2f},{high:.2f},{low:.2f},{close:.2f},{volume}"
        day += timedelta(days=1)
