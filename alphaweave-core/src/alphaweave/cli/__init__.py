"""The ``alphaweave`` command."""

__all__: list[str] = []
