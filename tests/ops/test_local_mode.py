"""ops/up, health, logs and down in local mode, from one end to the other."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.processes import Process, is_alive
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# Its call ends when a file is there.
WAITS = """
import os, time
from pathlib import Path

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        go_on = Path(os.environ["GO_ON"])
        go_on.with_suffix(".begun").touch()
        while not go_on.exists():
            time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""

# Says what it is given.
SHOWS = """
import json, os

def application(environ, start_response):
    found = {name: value for name, value in os.environ.items() if name.startswith("SHOP_")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
"""

# It starts a process that outlives whoever loads it, and has its standard error.
STARTS = """
import os, subprocess
with open(os.environ["STARTED"], "a") as file:
    print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, file=file)

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_up_starts_from_nothing_and_down_leaves_nothing_but_the_virtual_environment() -> None:
    tree = Tree()
    before = {path.name for path in tree.root.iterdir()}
    try:
        done = tree.up()
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Bascule answers: http://localhost:{tree.port}/ (status 200)" in done.stdout
        assert tree.get("/alice") == (200, b"<h1>Hello, alice!</h1>")
        pids = tree.pids()
        assert len(pids) >= 5  # supervisord, its listener, nginx, two workers
        assert tree.run_dir.stat().st_mode & 0o777 == 0o700
        down = tree.run("ops/down")
        assert (down.returncode, down.stdout) == (0, "Stopped.\n")
        assert [pid for pid in pids if is_alive(pid)] == []
        after = {path.name for path in tree.root.iterdir()}
        assert after - before == {".venv-run"}
    finally:
        tree.remove()


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]"])
def test_it_listens_at_the_address_that_is_asked_for_and_says_so(tree: Tree, host: str) -> None:
    port = tree.port
    for _ in range(2):
        done = tree.up(HTTP_PORT=f"{host}:{port}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"\nBascule answers: http://{host}:{port}/ (status 200)\n" in done.stdout
    with pytest.raises(ConnectionRefusedError):
        tree.get("/alice")
    assert tree.run("ops/status").returncode == 0


def test_up_a_second_time_says_that_it_runs_and_changes_nothing(running: Tree) -> None:
    pids = running.pids()
    done = running.up()
    assert done.returncode == 0
    assert done.stdout.startswith("It runs already.\nBascule answers: http://localhost:")
    assert running.pids() == pids


def test_down_where_nothing_runs_is_harmless(tree: Tree) -> None:
    done = tree.run("ops/down")
    assert (done.returncode, done.stdout) == (0, "Nothing runs.\n")


def test_health_names_every_worker(running: Tree) -> None:
    assert list(running.worker_pids()) == ["worker-0", "worker-1"]


def test_every_line_of_the_log_is_json_with_its_workers_name(running: Tree) -> None:
    for _ in range(10):
        running.get("/alice")
    lines = (running.run_dir / "bascule.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("{")] == []
    workers = {line["worker"] for line in running.log() if line["event"] == "request"}
    assert workers == {"nginx", "0", "1"}


def test_a_request_has_the_same_id_in_nginxs_line_and_in_the_workers(running: Tree) -> None:
    running.get("/traced")

    def ids() -> list[str]:
        return [line["request_id"] for line in running.log() if line.get("target") == "/traced"]

    wait_until(lambda: len(ids()) == 2, "both lines of the request", limit=LIMIT)
    first, second = ids()
    assert first == second


def test_logs_shows_the_last_lines(running: Tree) -> None:
    running.get("/alice")
    done = running.run("ops/logs", "--lines", "1")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1


def test_a_killed_worker_comes_back(running: Tree) -> None:
    victim = running.worker_pids()["worker-0"]
    os.kill(int(victim), signal.SIGKILL)

    def is_back() -> bool:
        health = running.run("ops/health")
        return health.returncode == 0 and f"process {victim}" not in health.stdout

    wait_until(is_back, "worker-0 to come back", limit=LIMIT)


def test_settings_are_read_from_the_env_file_and_the_environment_wins(tree: Tree) -> None:
    del tree.environ["HTTP_PORT"]
    (tree.root / ".env").write_text(
        "# a comment\n"
        f'HTTP_PORT="{tree.port}"  # quoted\n'
        "WORKERS=1   # not quoted\n"
        "HEALTH_PATH=\n"
        "BASCULE_THREADS='3'\n"
        "NGINX_SEND_TIMEOUT=nonsense\n"
    )
    done = tree.up(NGINX_SEND_TIMEOUT="20s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tree.worker_pids()) == ["worker-0"]
    listening = [line for line in tree.log() if line["event"] == "listening"]
    assert [line["threads"] for line in listening] == [3]
    rendered = Path(tree.run_dir / "nginx/snippets/site.conf").read_text()
    assert "send_timeout 20s;" in rendered


def test_what_the_env_file_has_reaches_the_application_as_it_would_in_containers(
    tree: Tree,
) -> None:
    (tree.root / "shows.py").write_text(SHOWS)
    (tree.root / ".env").write_text(
        "WORKERS=1\nSHOP_NAME = \"Shop\\n${WORKERS}\"\nSHOP_KEY: '$a #b' # its key\nSHOP_EMPTY=\n"
        "SHOP_OTHER=file\n"
    )
    done = tree.up(BASCULE_APP="shows:application", SHOP_OTHER="shell")
    assert done.returncode == 0, done.stdout + done.stderr
    _, body = tree.get("/")
    assert json.loads(body) == {
        "SHOP_NAME": "Shop\n1",
        "SHOP_KEY": "$a #b",
        "SHOP_EMPTY": "",
        "SHOP_OTHER": "shell",
    }


@pytest.mark.parametrize("command", ["up", "down"])
def test_what_a_killed_supervisord_left_behind_is_cleared_up(tree: Tree, command: str) -> None:
    assert tree.up().returncode == 0
    pids = tree.pids()
    os.kill(int((tree.run_dir / "supervise.pid").read_text()), signal.SIGKILL)
    done = tree.up() if command == "up" else tree.run("ops/down")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: not any(map(is_alive, pids)), "the old processes to end", limit=LIMIT)
    assert tree.run_dir.exists() == (command == "up")


def test_a_stack_that_has_lost_its_run_directory_is_named_and_can_be_stopped(tree: Tree) -> None:
    assert tree.up().returncode == 0
    pids = tree.pids()
    shutil.rmtree(tree.run_dir)
    said = f"the stack runs, but somebody has removed {tree.run_dir}, with its sockets"
    for command in ("status", "up", "restart", "deploy", "running"):
        done = tree.run(f"ops/{command}")
        assert done.returncode == 1, command
        assert said in done.stderr
        assert "ops/down, then ops/up" in done.stderr
    assert tree.run("ops/down").stdout == "Stopped.\n"
    assert not any(map(is_alive, pids))
    assert tree.up().returncode == 0


def test_two_may_stop_it_at_once(tree: Tree) -> None:
    assert tree.up().returncode == 0
    with (
        Process(["ops/down"], cwd=tree.root, env=tree.environ) as one,
        Process(["ops/down"], cwd=tree.root, env=tree.environ) as other,
    ):
        assert (one.wait(LIMIT), other.wait(LIMIT)) == (0, 0), one.err + other.err
    assert not tree.run_dir.exists()


def test_a_process_that_the_application_starts_keeps_nobody_waiting(tree: Tree) -> None:
    (tree.root / "starts.py").write_text(STARTS)
    done = tree.up(BASCULE_APP="starts:application", STARTED=str(tree.root / "started"))
    started = [int(each) for each in (tree.root / "started").read_text().split()]
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert tree.run("ops/restart").returncode == 0
        assert tree.run("ops/down").returncode == 0
    finally:
        started += [int(each) for each in (tree.root / "started").read_text().split()]
        for pid in set(started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_down_says_what_it_waits_for_beside_its_result(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "waits.py").write_text(WAITS)
    go_on = tmp_path / "go-on"
    assert tree.up(BASCULE_APP="waits:application", GO_ON=str(go_on)).returncode == 0
    with Client(("127.0.0.1", tree.port)) as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n")
        pid = (tree.run_dir / "supervise.pid").read_text().strip()
        wait_until(go_on.with_suffix(".begun").exists, "the call")
        with Process(["ops/down"], cwd=tree.root, env=tree.environ) as down:
            said = f"Process {pid} finishes what it has; it is given "
            down.wait_until(lambda: down.err.startswith(said), "its word", limit=LIMIT)
            assert down.out == ""
            go_on.touch()
            assert client.read_final().status == 200
            assert down.wait(LIMIT) == 0
            assert down.out == "Stopped.\n"


def test_following_the_log_ends_with_the_stack(tree: Tree) -> None:
    assert tree.up().returncode == 0
    with Process(["ops/logs", "--follow"], cwd=tree.root, env=tree.environ) as following:
        assert following.read_line(LIMIT).startswith("{")
        tree.run("ops/down")
        assert following.wait(30) == 0


def test_nginx_learns_of_another_number_of_workers_and_status_says_where_it_differs(
    tree: Tree,
) -> None:
    assert tree.up(WORKERS="1").returncode == 0
    number = tree.run_dir / "workers"

    def judged(status: int) -> str:
        done = tree.run("ops/status")
        return done.stdout if done.returncode == status else ""

    number.write_text("3\n")
    told = wait_until(lambda: judged(1), "a difference", limit=LIMIT)
    assert "! nginx knows 3 workers, and there are to be 1\n  remedy: wait: it learns" in told
    number.write_text("1\n")
    wait_until(lambda: judged(0), "none", limit=LIMIT)

    def learnt() -> list[int]:
        return [line["workers"] for line in tree.log() if line["event"] == "workers_changed"]

    # It is told when nginx's old processes have left, which answer no status any more by then.
    wait_until(lambda: learnt() == [3, 1], "both changes in the log", limit=LIMIT, seen=learnt)
    pids = tree.pids()
    assert tree.run("ops/down").returncode == 0
    assert [pid for pid in pids if is_alive(pid)] == []
