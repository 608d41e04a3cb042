"""Run the strategy of a config at the broker `mock`, which fills every order at once.

    python examples/live_mock_runner.py

The config says `paper`; one overridden key makes it another broker. Writes examples/output/mock.html and,
so that a run that was stopped goes on where it was, examples/output/mock.state.json.
"""

from __future__ import annotations

from pathlib import Path

from alphaweave import LiveRunner, load_live_config

CONFIG = Path(__file__).parent / "live_config_template.yaml"


def main() -> None:
    config = load_live_config(
        CONFIG,
        overrides=[
            "broker.name=mock",
            "run.id=mock-example",
            "monitors[0].options.dashboard.path=output/mock.html",
            "persistence.state_path=output/mock.state.json",
        ],
    )
    runner = LiveRunner.from_config(config)
    run = runner.run()

    print(run.memory.trades_df()[["symbol", "side", "price", "size", "pnl"]].tail())
    print(f"return {run.metrics()['total_return']:.2%}, state in {config.persistence.state_path}")


if __name__ == "__main__":
    main()
