"""What a user writes: a Strategy."""

__all__: list[str] = []
