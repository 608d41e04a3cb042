"""Market data at rest: columns of bars, their common timeline, and the loaders that fill them."""

__all__: list[str] = []
