"""Ctrl-C at the very beginning: no command says more than that it was interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.processes import ROOT, inherited

# In the place of a module that each of them imports: Ctrl-C comes while it does.
INTERRUPTED = "import os, signal; os.kill(os.getpid(), signal.SIGINT)\n"


@pytest.mark.parametrize(
    ("module", "imports"), [("bascule", "selectors"), ("bascule_ops", "argparse")]
)
@pytest.mark.parametrize("is_ignored", [False, True])
def test_an_interruption_while_it_is_imported_leaves_no_traceback(
    tmp_path: Path, module: str, imports: str, is_ignored: bool
) -> None:
    library = Path(subprocess.__file__).parent / f"{imports}.py"
    (tmp_path / f"{imports}.py").write_text(INTERRUPTED + library.read_text())
    path = [str(tmp_path), *(str(ROOT / each) for each in ("server", "ops"))]
    disposition = "signal.SIG_IGN" if is_ignored else "signal.default_int_handler"
    program = (
        f"import runpy, signal, sys; sys.path[:0] = {path}; "
        f"signal.signal(signal.SIGINT, {disposition}); "
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"],
        env=inherited(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == (0 if is_ignored else -signal.SIGINT)
