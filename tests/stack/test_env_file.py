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
    service = {"image": "none", "environment": COMPOSE}
    (directory / "compose.yaml").write_text(json.dumps({"services": {"service": service}}))
    return directory


def read_by_compose(directory: Path, content: bytes) -> dict[str, str] | None:
    """What compose finds there; None where it does not accept the file."""
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
    found = json.loads(done.stdout)["services"]["service"]["environment"]
    # A dollar sign is written twice there.
    return {name: value.replace("$$", "$")[1:-1] for name, value in found.items()}


@pytest.mark.parametrize(("text", "value"), FILES.items(), ids=map(repr, FILES))
def test_compose_reads_it_so(directory: Path, text: str, value: str | None) -> None:
    found = read_by_compose(directory, f"{text}\n".encode())
    assert (found is None) == (value is None)
    if found is not None:
        assert found["A"] in ({value, UNSET} if value == "" else {value})


@settings(max_examples=150)
@given(text=st.builds(str.format, st.sampled_from(FRAMES), LINES))
def test_whatever_we_read_compose_reads_so(directory: Path, text: str) -> None:
    try:
        found = env_file.read(_written(directory, text), ENVIRON)
    except ConfigError:
        return  # some of it compose would read
    known = {**found, **ENVIRON}
    expected = {name: known.get(name, UNSET) for name in NAMES}
    assert read_by_compose(directory, text.encode()) == expected


def _written(directory: Path, text: str) -> Path:
    file = directory / "ours"
    file.write_bytes(text.encode())
    return file
