"""The sandbox is found by name, and brings nothing heavy along until it is made."""

from __future__ import annotations

import subprocess
import sys

from alphaweave.live.registry import Registry


def test_sandbox_is_found_by_its_name() -> None:
    """The entry point leads to the record."""
    assert Registry().sandbox("ibkr").name == "ibkr"


def test_plugin_does_not_import_the_client_library() -> None:
    """Looking the name up, and making the sandbox, loads no ib_async and no numpy."""
    script = (
        "import sys; from alphaweave.live.registry import Registry; "
        "from alphaweave.live.adapters.base import Services; "
        "record = Registry().sandbox('ibkr'); record.create(record.options(), Services()); "
        "print(sorted({'ib_async', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
