"""Running a strategy: contracts, kernel, engine, config and runner."""

__all__: list[str] = []
