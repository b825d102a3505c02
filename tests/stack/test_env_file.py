"""tests/ops/env_files.py says what compose reads in .env: that is asked of compose itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.ops.env_files import ENVIRON, FILES

pytestmark = pytest.mark.stack

COMPOSE = """
services:
  service:
    image: none
    environment:
      A: "<${A}>"
"""


@pytest.mark.parametrize(("text", "value"), FILES.items(), ids=map(repr, FILES))
def test_compose_reads_it_so(engine: None, tmp_path: Path, text: str, value: str | None) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / ".env").write_text(f"{text}\n", newline="")
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=tmp_path,
        env={**ENVIRON, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == (value is None), done.stderr
    if value is not None:
        read = json.loads(done.stdout)["services"]["service"]["environment"]["A"]
        assert read.replace("$$", "$") == f"<{value}>"  # a dollar sign is written twice there
