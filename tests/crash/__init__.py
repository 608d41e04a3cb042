"""A paper run in a process of its own, killed again and again, at a broker that survives it."""
