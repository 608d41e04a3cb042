"""Run a strategy at the broker `paper`, a realistic simulated venue, and compare it with `mock`.

    python examples/live_paper_runner.py

`paper` fills at the next bar's open, with fees and slippage and within the cash there is; the difference
from `mock` is what trading costs this strategy.
"""

from __future__ import annotations

from pathlib import Path

from alphaweave import LiveRunner, RunMonitor, load_live_config

CONFIG = Path(__file__).parent / "live_config_template.yaml"


def run_at(broker: str) -> RunMonitor:
    """Replay the config at a broker, from the first bar on."""
    config = load_live_config(
        CONFIG,
        overrides=[
            f"broker.name={broker}",
            f"run.id={broker}-example",
            "strategy.class=my_strategies:MomentumRotation",
            "strategy.params={lookback: 120, top: 1}",
            f"monitors[0].options.dashboard.path=output/{broker}-rotation.html",
            f"persistence.state_path=output/{broker}-rotation.state.json",
        ],
    )
    return LiveRunner.from_config(config).run(fresh=True)


def main() -> None:
    paper, mock = run_at("paper").metrics(), run_at("mock").metrics()
    print(f"{'':16}{'paper':>12}{'mock':>12}")
    for name in ("total_return", "max_drawdown", "sharpe", "fills", "costs"):
        print(f"{name:16}{paper[name] or 0:>12,.3f}{mock[name] or 0:>12,.3f}")


if __name__ == "__main__":
    main()
