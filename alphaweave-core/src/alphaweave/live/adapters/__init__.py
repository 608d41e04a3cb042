"""The contracts that an adapter implements."""

__all__: list[str] = []
