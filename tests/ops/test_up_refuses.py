"""What is wrong is said in words, before or instead of a half-started stack."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from tests.harness.processes import Process, is_alive
from tests.harness.tree import LIMIT, Tree

pytestmark = pytest.mark.integration

ANOTHER_USER = 65534

# Loads for ops/up's own check of the configuration, but not in a worker.
FAILS_IN_A_WORKER = """
import os
from bascule_middleware.wsgi import application
if "BASCULE_WORKER" in os.environ:
    raise RuntimeError("the database is not there")
"""
HANGS_IN_A_WORKER = """
import os, time
from bascule_middleware.wsgi import application
if "BASCULE_WORKER" in os.environ:
    time.sleep(60)
"""


def assert_refused(
    tree: Tree, done: subprocess.CompletedProcess[str], *words: str, status: int = 2
) -> None:
    """It failed with these words, without lines of ours in a traceback, and left nothing.

    By default what was wrong is a setting or an argument.
    """
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    frames = re.findall(r'^ *File "(.*)", line', done.stderr, re.MULTILINE)
    assert not [each for each in frames if not each.endswith("/broken.py")]
    assert not tree.run_dir.exists()


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("WORKERS", "abc", "set it to the number of worker processes, 1 to 99"),
        ("WEB_CONCURRENCY", "0", "set it to the number of worker processes, 1 to 99"),
        ("HTTP_PORT", "http", "set it to a port, 1 to 65535"),
        ("HTTP_PORT", "70000", "set it to a port, 1 to 65535"),
        ("HTTP_PORT", "8000-8010", "it is a range, and one port is published"),
        ("HTTPS_PORT", "localhost:443", "localhost is no IP address"),
        ("STATUS_PORT", "on", "set it to a port, 1 to 65535"),
        ("BASCULE_GRACEFUL_TIMEOUT", "soon", "set it to seconds"),
        ("BASCULE_APP", "project/wsgi.py", "set it to MODULE:CALLABLE"),
        ("HEALTH_PATH", "no slash", "set it to a path"),
        ("NGINX_SEND_TIMEOUT", "soon", "set it to a time such as 30s"),
        ("RUN_DIR", "/" + "x" * 100, "Set RUN_DIR to a shorter directory"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(
    tree: Tree, setting: str, value: str, remedy: str
) -> None:
    assert_refused(tree, tree.up(**{setting: value}), f'{setting} is "{value}"', remedy)


def test_a_wrong_server_setting_is_said_by_the_server(tree: Tree) -> None:
    assert_refused(tree, tree.up(BASCULE_THREADS="none"), "bascule: ", "BASCULE_THREADS")


def test_a_setting_that_nobody_knows_is_named_with_the_one_that_was_meant(tree: Tree) -> None:
    (tree.root / ".env").write_text("BASCULE_TREADS=3\nNGINX_SEND_TIMOUT=9s\nBASCULE_OWN=1\n")
    done = tree.up(WORKERS="none")
    lines = done.stderr.splitlines()
    assert lines[:-1] == [
        "ops/up: BASCULE_TREADS is no setting; did you mean BASCULE_THREADS?",
        "ops/up: NGINX_SEND_TIMOUT is no setting; did you mean NGINX_SEND_TIMEOUT?",
    ]


@pytest.mark.parametrize("command", ["up --local", "restart", "deploy"])
def test_a_line_of_the_env_file_that_is_none_is_named(tree: Tree, command: str) -> None:
    (tree.root / ".env").write_text("WORKERS=1\nnone of it\n")
    program, *arguments = command.split()
    done = tree.run(f"ops/{program}", *arguments)
    words = f'{tree.root}/.env, line 2: "none of it" is no name; a line is NAME=VALUE'
    assert_refused(tree, done, f"ops/{program}: {words}")


def test_an_application_that_is_not_there_is_said_at_once(tree: Tree) -> None:
    assert_refused(tree, tree.up(BASCULE_APP="no.such:application"), "bascule: ", "no", status=1)


def test_a_port_in_use_is_refused_where_it_was_asked_for(tree: Tree) -> None:
    with socket.create_server(("127.0.0.1", tree.port)):
        assert_refused(tree, tree.up(), f"port {tree.port} is in use")


def test_a_directory_with_somebody_elses_files_is_not_taken(tree: Tree) -> None:
    theirs = tree.root / "theirs"
    theirs.mkdir()
    (theirs / "letter").write_text("keep me")
    assert_refused(tree, tree.up(RUN_DIR=str(theirs)), "files which are not mine")
    tree.run("ops/down", RUN_DIR=str(theirs))
    assert (theirs / "letter").read_text() == "keep me"


@pytest.mark.parametrize("command", ["up --local", "down", "restart", "health", "logs"])
def test_a_run_directory_that_is_a_link_is_not_followed(tree: Tree, command: str) -> None:
    theirs = tree.root / "theirs"
    theirs.mkdir()
    link = tree.root / "link"
    link.symlink_to(theirs)
    program, *arguments = command.split()
    done = tree.run(f"ops/{program}", *arguments, RUN_DIR=str(link))
    assert_refused(tree, done, f'RUN_DIR is "{link}": that is a link')
    assert list(theirs.iterdir()) == []


@pytest.mark.parametrize("command", ["up --local", "down", "restart", "health", "logs"])
def test_what_another_user_planted_in_the_run_directory_is_not_read(
    tree: Tree, command: str
) -> None:
    theirs = tree.root / "theirs"
    theirs.mkdir()
    (theirs / ".bascule").write_text("1")
    (theirs / "settings").write_text("BASH_ENV=/tmp/theirs\n")
    try:
        os.chown(theirs, ANOTHER_USER, ANOTHER_USER)
    except PermissionError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("only root can play two users")
    program, *arguments = command.split()
    done = tree.run(f"ops/{program}", *arguments, RUN_DIR=str(theirs))
    assert_refused(tree, done, f'RUN_DIR is "{theirs}": that belongs to another user')
    assert sorted(each.name for each in theirs.iterdir()) == [".bascule", "settings"]


def test_docker_where_no_engine_answers_is_refused(tree: Tree) -> None:
    done = tree.run("ops/up", "--docker", DOCKER_HOST="unix:///dev/null/none")
    assert_refused(tree, done, "no container engine answers", status=1)


@pytest.mark.parametrize("command", ["up", "down", "restart", "health", "logs"])
def test_an_unknown_argument_is_refused_and_help_is_there(tree: Tree, command: str) -> None:
    wrong = tree.run(f"ops/{command}", "--no-such")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--no-such" in wrong.stderr
    helped = tree.run(f"ops/{command}", "--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"usage: ops/{command}")


@pytest.mark.parametrize("command", ["restart", "health", "logs"])
def test_what_needs_a_running_stack_says_so(tree: Tree, command: str) -> None:
    done = tree.run(f"ops/{command}", DOCKER_HOST="unix:///dev/null/none")
    assert_refused(tree, done, "the stack does not run; ops/up starts it", status=1)


def test_workers_that_cannot_start_end_it_with_their_own_words(tree: Tree) -> None:
    (tree.root / "broken.py").write_text(FAILS_IN_A_WORKER)
    done = tree.up(BASCULE_APP="broken:application", START_TIMEOUT="3")
    assert_refused(tree, done, "could not be started", "the database is not there", status=1)
    assert re.search(
        r"^ops/up: the stack did not start: bascule:(worker|successor)-[01] could not be started: .*"
        r"RuntimeError: the database is not there\n\Z",
        done.stderr,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("send", "signal_number", "status"),
    [
        (Process.signal_group, signal.SIGINT, 130),  # as a terminal does on Ctrl-C
        (Process.signal, signal.SIGINT, 130),  # and what it runs goes on
        (Process.signal, signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_start_leaves_no_process_and_no_directory(
    tree: Tree,
    send: Callable[[Process, signal.Signals], None],
    signal_number: signal.Signals,
    status: int,
) -> None:
    (tree.root / "slow.py").write_text(HANGS_IN_A_WORKER)
    settings = {"BASCULE_APP": "slow:application", "BASCULE_GRACEFUL_TIMEOUT": "1"}
    pid_file = tree.run_dir / "supervise.pid"
    with Process(["ops/up", "--local"], cwd=tree.root, env=tree.environ | settings) as up:
        up.wait_until(
            lambda: pid_file.exists() and pid_file.read_text(), "supervisord", limit=LIMIT
        )
        up.wait_until(lambda: len(tree.pids()) >= 5, "all processes", limit=LIMIT)
        pids = tree.pids()
        send(up, signal_number)
        assert up.wait(30) == status
        assert up.err.endswith("Interrupted: nothing is left running.\n")
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not tree.run_dir.exists()
