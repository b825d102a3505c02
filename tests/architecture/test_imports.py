"""What a worker imports it holds in memory for as long as it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Each brings half a megabyte and more, for what takes the server a few lines.
DEAR = {
    "argparse",
    "dataclasses",
    "email",
    "inspect",
    "ipaddress",
    "pathlib",
    "platform",
    "tempfile",
    "urllib.parse",
}

# Only --reload has a use for it.
OF_DEVELOPMENT = ("bascule.development", "bascule.reload")

CODE = """\
import sys
before = set(sys.modules)
import bascule.command
print(*sorted(set(sys.modules) - before))
"""


def test_the_server_imports_no_module_that_is_dear_and_little_used() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE],
        cwd=ROOT / "server",
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout.split())
    assert "bascule.worker" in imported
    assert not imported & DEAR
    assert not {name for name in imported if name.startswith(OF_DEVELOPMENT)}
