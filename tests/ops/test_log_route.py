"""Who writes to the log of a stack: the workers and nginx themselves, and supervisord the rest."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

APPLICATION = """
import ctypes, logging, os, sys

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/print":
        print("printed to standard output", flush=True)
        os.write(2, b"written to standard error\\n")
    if path == "/log":
        logging.getLogger("shop").warning("logged")
    if path == "/crash":
        ctypes.string_at(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
"""


@pytest.fixture(scope="module")
def stack(venv: Path) -> Iterator[Tree]:
    tree = Tree(venv, BASCULE_APP="noisy:application", PYTHONFAULTHANDLER="1")
    (tree.root / "noisy.py").write_text(APPLICATION)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


def log_of(tree: Tree) -> str:
    """Return the log so far."""
    text: str = (tree.run_dir / "bascule.log").read_text()
    return text


def lines_about(tree: Tree, text: str) -> list[str]:
    """Return the lines with a text, once there is one."""

    def found() -> list[str]:
        return [line for line in log_of(tree).splitlines() if text in line]

    return wait_until(found, text, limit=LIMIT)


def test_lines_of_requests_and_of_the_application_need_no_supervisord(stack: Tree) -> None:
    supervisord = int((stack.run_dir / "supervise.pid").read_text())
    os.kill(supervisord, signal.SIGSTOP)
    try:
        for number in range(300):  # more than the pipes to supervisord hold
            reply = fetch(stack.port, "/log", fields={"User-Agent": f"{number} " + "x" * 1000})
            assert reply.status == 200
        wait_until(lambda: log_of(stack).count('"/log"') == 600, "all lines", limit=LIMIT)
        assert len(lines_about(stack, '"logged"')) == 300
    finally:
        os.kill(supervisord, signal.SIGCONT)


def test_what_is_printed_arrives_in_the_log(stack: Tree) -> None:
    assert fetch(stack.port, "/print").status == 200
    assert lines_about(stack, "printed to") == ["printed to standard output"]
    assert lines_about(stack, "written to") == ["written to standard error"]


def test_what_a_crashing_interpreter_writes_arrives_in_the_log_and_is_remembered(
    stack: Tree,
) -> None:
    with suppress(*NO_RESPONSE):
        fetch(stack.port, "/crash")
    assert lines_about(stack, "Fatal Python error: Segmentation fault")
    (ended, *_) = lines_about(stack, '"last_words"')  # EXITED, or BACKOFF where it was young
    assert [words for words in json.loads(ended)["last_words"] if words not in log_of(stack)] == []
    assert any("bascule" in words for words in json.loads(ended)["last_words"])
