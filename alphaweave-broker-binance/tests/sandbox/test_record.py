"""The sandbox is found by name, and brings nothing heavy along until it is made."""

from __future__ import annotations

import subprocess
import sys

from alphaweave.live.registry import Registry


def test_sandbox_is_found_by_its_name() -> None:
    """The entry point leads to the record."""
    assert Registry().sandbox("binance").name == "binance"


def test_plugin_imports_neither_server_nor_client() -> None:
    """Looking the name up loads no aiohttp, no cryptography and no client library."""
    script = (
        "import sys; from alphaweave.live.registry import Registry; Registry().sandbox('binance'); "
        "print(sorted({'aiohttp', 'binance_common', 'binance_sdk_spot', 'Crypto'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
