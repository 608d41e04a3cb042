"""The package by itself: what importing it does not do."""

from __future__ import annotations

import subprocess
import sys


def test_package_imports_without_the_client_library() -> None:
    """A run that names another broker pays nothing for this one."""
    probe = "import sys, alphaweave_broker_ibkr; print('ib_async' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
