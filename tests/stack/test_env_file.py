"""What compose reads in .env is asked of compose itself: tests/ops/env_files.py, and much else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from bascule import env_file
from bascule.config import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.env_files import ENVIRON, FILES

pytestmark = pytest.mark.stack

NAMES = ("A", "B", "HOME", "E")
UNSET = "-unset-"
COMPOSE = {name: f"<${{{name}-{UNSET}}}>" for name in NAMES}
# What a file in that format is made of, and what it might be taken for.
PARTS = (
    *("A", "B", "HOME", "E", "x", "1", "\u00e9", "a.b", "A-B", "[0]", "export "),
    *("=", "=", ":", " ", "\t", "\n", "\r\n", "\r", "\v", "\f", "\x1f", "\x85", "\xa0", "\u2028"),
    *("#", " #", "'", '"', "\ufeff", "\\", "\\n", '\\"', "\\$", "\\c", "\\0", "\\0101", "\\x41"),
    *("$", "$$", "${", "}", "{", "-", ":-", "+", ":+", "?", ":?"),
    *("$B", "${B}", "${B:-", "${B-x}", "${E:-", "${E-", "${HOME:+y}", "${E:?no}", "${A?"),
)
LINES = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)
FRAMES = ("{}", "A={}", "A={}\n", 'A="{}"\n', "A='{}'\n", "B=q\nA={}\n", 'B=q\nA="x\n{}"\nA')


@pytest.fixture(scope="module")
def directory(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, whose file .env compose reads."""
    directory = tmp_path_factory.mktemp("project")
    services = {
        "shows": {"image": "none", "environment": COMPOSE},
        "gets": {"image": "none", "env_file": ".env"},
    }
    (directory / "compose.yaml").write_text(json.dumps({"services": services}))
    return directory


def read_by_compose(directory: Path, content: bytes) -> dict[str, dict[str, str]] | None:
    """What each service has by it; None where compose does not accept the file."""
    (directory / ".env").write_bytes(content)
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=directory,
        env={**ENVIRON, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return None
    services = json.loads(done.stdout)["services"]
    # A dollar sign is written twice there.
    return {
        service: {
            name: value.replace("$$", "$")
            for name, value in (services[service].get("environment") or {}).items()
        }
        for service in ("shows", "gets")
    }


@pytest.mark.parametrize(("text", "value"), FILES.items(), ids=map(repr, FILES))
def test_compose_reads_it_so(directory: Path, text: str, value: str | None) -> None:
    found = read_by_compose(directory, f"{text}\n".encode())
    assert (found is None) == (value is None)
    if found is not None:
        expected = ("<>", f"<{UNSET}>") if value == "" else (f"<{value}>",)
        assert found["shows"]["A"] in expected


@settings(max_examples=150, deadline=None)
@given(text=st.builds(str.format, st.sampled_from(FRAMES), LINES))
def test_whatever_we_read_compose_reads_so(directory: Path, text: str) -> None:
    try:
        found = env_file.read(_written(directory, text), ENVIRON)
    except ConfigError:
        return  # some of it compose would read
    known = {**found, **ENVIRON}
    theirs = read_by_compose(directory, text.encode())
    assert theirs is not None
    assert theirs["shows"] == {name: f"<{known.get(name, UNSET)}>" for name in NAMES}
    # Names of digits are no variables.
    ours = {name: value for name, value in found.items() if not name[0].isdigit()}
    assert {name: theirs["gets"].get(name) for name in ours} == ours


def _written(directory: Path, text: str) -> Path:
    file = directory / "ours"
    file.write_bytes(text.encode())
    return file
