"""The simulated venue: orders in, events out, by the rules of docs/simulation.md."""

__all__: list[str] = []
