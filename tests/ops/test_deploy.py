"""ops/deploy, ops/rollback and ops/scale in local mode. What they do under load is drilled."""

from __future__ import annotations

import fcntl
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.processes import Process, is_alive
from tests.harness.tree import LIMIT, Tree

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("ops/deploy", "--timeout", "soon"), "give it whole seconds"),
        (("ops/deploy", "--image", "a/b"), "give it an image's tag"),
        (("ops/deploy", "--build", "--image", "a"), "not allowed with"),
        (("ops/rollback", "--no-such"), "unknown argument"),
        (("ops/scale",), "required: WORKERS"),
        (("ops/scale", "100"), "give it, 1 to 99"),
    ],
)
def test_wrong_arguments_are_refused(tree: Tree, command: tuple[str, ...], words: str) -> None:
    wrong = tree.run(*command)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert words in wrong.stderr
    shown = tree.run(command[0], "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: {command[0]}")


@pytest.mark.parametrize("command", [("ops/deploy",), ("ops/rollback",), ("ops/scale", "3")])
def test_where_nothing_runs_nothing_is_done(tree: Tree, command: tuple[str, ...]) -> None:
    done = tree.run(*command)
    assert done.returncode == 1
    assert "the stack does not run; ops/up starts it" in done.stderr
    assert not (tree.root / ".env").exists()


def test_images_are_for_containers(running: Tree) -> None:
    done = running.run("ops/deploy", "--build")
    assert done.returncode == 2
    assert "in local mode the code is the project's" in done.stderr


def test_without_a_deployment_there_is_nothing_to_go_back_to(running: Tree) -> None:
    done = running.run("ops/rollback")
    assert done.returncode == 1
    assert "there is nothing to go back to" in done.stderr


def test_a_second_operation_at_the_same_time_is_refused(running: Tree) -> None:
    with (running.root / ".operation").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ("ops/deploy", "ops/restart"):
            done = running.run(command)
            assert done.returncode == 1
            assert "is at work here; wait for its end" in done.stderr
    assert running.run("ops/restart").returncode == 0
    assert not (running.root / ".operation").exists()


def test_new_settings_reach_the_workers_and_the_commands(tree: Tree) -> None:
    assert tree.up().returncode == 0
    (tree.root / ".env").write_text("BASCULE_THREADS=3\nWORKERS=1\nNGINX_SEND_TIMEOUT=21s\n")
    done = tree.run("ops/deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tree.worker_pids()) == ["worker-0"]
    assert [x["threads"] for x in tree.log() if x["event"] == "listening"][-1] == 3
    assert "send_timeout 21s;" in (tree.run_dir / "nginx/snippets/site.conf").read_text()
    assert tree.run("ops/status").returncode == 0

    # The one process that supervises is the one that it was, and all ends with it.
    pids = tree.pids()
    assert tree.run("ops/down").returncode == 0
    assert not any(map(is_alive, pids))


def test_why_the_new_workers_fail_is_shown_however_much_the_old_ones_serve(tree: Tree) -> None:
    assert tree.up().returncode == 0
    with tree.load() as failures:
        refused = tree.run("ops/deploy", BASCULE_APP="no_such:application")
    assert refused.returncode == 1
    shown = refused.stderr.partition("The last lines of its log:\n")[2]
    assert "worker-0 could not be started" in shown or "worker-1 could not be started" in shown
    assert "bytes" not in shown  # as requests have
    assert failures == []


def test_settings_that_nginx_refuses_change_nothing(tree: Tree) -> None:
    assert tree.up(WORKERS="1").returncode == 0
    before = tree.worker_pids()
    refused = tree.run("ops/deploy", WORKERS="1", NGINX_SEND_TIMEOUT="soon")
    assert refused.returncode == 1
    assert 'nginx: NGINX_SEND_TIMEOUT is "soon": ' in refused.stderr
    assert refused.stderr.count("Nothing has changed") == 1
    assert tree.worker_pids() == before
    assert not (tree.run_dir / "check").exists()


@contextmanager
def a_deployment_that_hangs(tree: Tree) -> Iterator[Process]:
    """Start one whose new workers never get ready; yield when they are there."""
    (tree.root / "hangs.py").write_text("import time; time.sleep(600)\n")
    environ = tree.environ | {"BASCULE_APP": "hangs:application"}
    with Process(["ops/deploy"], cwd=tree.root, env=environ) as process:
        process.wait_until(
            lambda: generations(tree) == {"a", "b"}, "the new workers to start", limit=LIMIT
        )
        yield process


def generations(tree: Tree) -> set[str]:
    """Return the names of the generations that have workers, from their command lines."""
    lines = []
    for pid in tree.pids():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            lines.append(Path(f"/proc/{pid}/cmdline").read_text())
    return set(re.findall(r"worker-0\.sock\0--hold\0\S*/(\w+)/hold", "\n".join(lines)))


def test_an_interrupt_while_the_new_workers_are_tried_leaves_the_old_ones(tree: Tree) -> None:
    assert tree.up().returncode == 0
    before = tree.worker_pids()
    with a_deployment_that_hangs(tree) as process:
        process.signal_group(signal.SIGINT)
        assert process.wait(LIMIT) == 130
        assert "Interrupted. Nothing has changed: the workers that were there serve." in process.err
    assert tree.worker_pids() == before
    assert generations(tree) == {"a"}
    done = tree.run("ops/deploy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_killed_deployment_left_behind_is_cleared_up_by_the_next(tree: Tree) -> None:
    assert tree.up().returncode == 0
    before = tree.worker_pids()
    with a_deployment_that_hangs(tree) as process:
        process.kill()
    assert tree.worker_pids() == before
    assert generations(tree) == {"a", "b"}
    done = tree.run("ops/deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was cut off; that comes first" in done.stdout
    assert generations(tree) == {"b"}
    assert not set(before.values()) & set(tree.worker_pids().values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "# mine\nexport WORKERS = 2 # two\r\nPOOL=${WORKERS}",
            "# mine\nWORKERS=1\r\nPOOL=${WORKERS}",
        ),
        ("POOL=${WORKERS:-2}\n", "WORKERS=1\nPOOL=${WORKERS:-2}\n"),
        ("WORKERS=3\nWORKERS: 2\n", "WORKERS=3\nWORKERS=1\n"),
        ("\ufeffX=$WORKERS\n", "\ufeffWORKERS=1\nX=$WORKERS\n"),
        ("# mine\nX=1", "# mine\nX=1\nWORKERS=1\n"),
    ],
)
def test_a_change_of_scale_leaves_a_file_that_can_be_read(
    tree: Tree, before: str, after: str
) -> None:
    file = tree.root / ".env"
    file.write_bytes(before.encode())
    assert tree.up().returncode == 0
    done = tree.run("ops/scale", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert file.read_bytes().decode() == after
    assert list(tree.worker_pids()) == ["worker-0"]
    assert tree.run("ops/deploy").returncode == 0


def test_a_change_of_scale_that_fails_puts_the_file_back(tree: Tree) -> None:
    settings = "# mine\nWORKERS=2\nBASCULE_THREADS=4"
    (tree.root / ".env").write_text(settings)
    assert tree.up().returncode == 0
    (tree.root / "app" / "hello.py").write_text("raise RuntimeError('a bad deployment')\n")
    done = tree.run("ops/scale", "3")
    assert done.returncode == 1
    assert "a bad deployment" in done.stderr
    assert (tree.root / ".env").read_text() == settings
    assert len(tree.worker_pids()) == 2
