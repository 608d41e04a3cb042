"""``python -m alphaweave``."""

from alphaweave.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
