"""The workloads on other engines, one module an engine; each is imported in an environment of its own."""

__all__: list[str] = []
