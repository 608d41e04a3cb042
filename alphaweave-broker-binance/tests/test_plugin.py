"""The record behind the name in a config."""

from __future__ import annotations

import subprocess
import sys

from alphaweave.live.registry import Registry


def test_record_is_found_by_its_name_without_the_client_library() -> None:
    """Whoever only lists what is installed does not wait for it."""
    assert Registry().broker("binance").name == "binance"
    probe = (
        "import sys\n"
        "from alphaweave.live.registry import Registry\n"
        "Registry().broker('binance')\n"
        "print({'binance_common', 'requests', 'websockets'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
