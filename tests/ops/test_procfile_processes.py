"""What a Procfile has beside web, in local mode, by a real supervisord."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.harness.processes import is_alive
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# Says who it is; on SIGTERM it ends when the file `finish` is there, as after a job.
WORK = """
import os, signal, sys, time
from pathlib import Path

def stop(*_):
    print("finishes its job", flush=True)
    while not Path("finish").exists():
        time.sleep(0.02)
    print("done", flush=True)
    sys.exit()

signal.signal(signal.SIGTERM, stop)
print(*sys.argv[1:], os.environ["PORT"], os.environ.get("COLOUR"), "begins", os.getpid(), flush=True)
while True:
    time.sleep(60)
"""
PROCFILE = """\
# The web server is Bascule's own.
web: false
worker: cd . && python work.py worker $PS
clock: python work.py "the clock"
"""


class Site:
    """A stack with a Procfile."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def write(self, text: str) -> None:
        (self.tree.root / "Procfile").write_text(text)

    def must(self, *command: str, **settings: str) -> str:
        done = self.tree.run(*command, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def processes(self) -> dict[str, dict[str, Any]]:
        """Those of the Procfile, as the status has them."""
        document = json.loads(self.tree.run("ops/status", "--json").stdout)
        return {each["name"]: each for each in document["processes"] if "." in each["name"]}

    def said(self, name: str) -> list[str]:
        """What a process has printed."""
        return [
            each["message"]
            for each in self.tree.log()
            if each["event"] == "output" and each["worker"] == name
        ]

    def wait_for(self, name: str, words: str, times: int = 1) -> None:
        def is_said() -> bool:
            return sum(words in each for each in self.said(name)) >= times

        wait_until(is_said, f"{name} to say {words!r}", limit=LIMIT)


@pytest.fixture
def site(tree: Tree) -> Iterator[Site]:
    (tree.root / "work.py").write_text(WORK)
    (tree.root / "finish").touch()
    found = Site(tree)
    found.write(PROCFILE)
    yield found
    (tree.root / "finish").touch()


def test_they_run_beside_the_workers_and_are_in_status_and_log(site: Site) -> None:
    (site.tree.root / ".env").write_text("COLOUR=green\n")
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "worker worker.1 5100 green begins")
    site.wait_for("clock.1", "the clock 5200 green begins")
    assert site.tree.get("/alice")[0] == 200
    processes = site.processes()
    assert sorted(processes) == ["clock.1", "worker.1"]
    assert "worker.1 " in site.must("ops/status")
    shown = site.must("ops/logs", "--worker", "worker.1")
    assert "worker worker.1 5100 green begins" in shown
    assert "clock" not in shown
    # The shell has become the program, so that it hears of the end itself.
    command = Path(f"/proc/{processes['worker.1']['pid']}/cmdline").read_bytes()
    assert command.startswith(b"python\0work.py\0worker\0")
    assert site.must("ops/down") == "Stopped.\n"
    assert [each for each in processes.values() if is_alive(each["pid"])] == []


def test_down_waits_until_they_have_finished(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "begins")
    (site.tree.root / "finish").unlink()
    log = site.tree.run_dir / "bascule.log"
    kept = os.open(log, os.O_RDONLY)  # down removes its name
    pids = [each["pid"] for each in site.processes().values()]
    down = Thread(target=site.must, args=("ops/down",))
    down.start()
    for name in ("worker.1", "clock.1"):  # at the same time
        site.wait_for(name, "finishes its job")
    assert all(map(is_alive, pids))
    (site.tree.root / "finish").touch()
    down.join()
    text = os.pread(kept, 1 << 20, 0).decode()
    os.close(kept)
    assert text.count('"done"') == 2


def test_a_restart_of_one_leaves_the_others_alone(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "begins")
    before, workers = site.processes(), site.tree.worker_pids()
    assert site.must("ops/restart", "worker") == "Done: worker.1.\n"
    site.wait_for("worker.1", "begins", 2)
    after = site.processes()
    assert before["worker.1"]["pid"] != after["worker.1"]["pid"]
    assert before["clock.1"]["pid"] == after["clock.1"]["pid"]
    assert workers == site.tree.worker_pids()
    assert site.said("worker.1").index("done") == 2  # before the next one began


def test_scale_starts_more_keeps_the_others_and_is_remembered(site: Site) -> None:
    site.must("ops/up", "--local")
    before = site.processes()
    assert site.must("ops/scale", "worker=3", "clock=0") == "Done: worker=3, clock=0.\n"
    after = site.processes()
    assert sorted(after) == ["worker.1", "worker.2", "worker.3"]
    assert before["worker.1"]["pid"] == after["worker.1"]["pid"]
    site.wait_for("worker.3", "5102")
    site.must("ops/restart")
    assert sorted(site.processes()) == ["worker.1", "worker.2", "worker.3"]
    assert site.must("ops/scale", "worker=2", "clock=1")
    kept = (site.tree.root / ".env").read_text().splitlines()
    assert sorted(kept) == ["SCALE_CLOCK=1", "SCALE_WORKER=2"]
    site.must("ops/down")
    site.must("ops/up", "--local")
    assert sorted(site.processes()) == ["clock.1", "worker.1", "worker.2"]


def test_a_deployment_replaces_them_after_the_workers_and_has_the_procfile_anew(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "begins")
    before = site.processes()
    site.write(PROCFILE.replace("clock:", "beat:"))
    (site.tree.root / ".env").write_text("COLOUR=blue\n")
    done = site.must("ops/deploy")
    assert "(worker.1, beat.1 replaced)" in done
    site.wait_for("worker.1", "blue begins")
    site.wait_for("beat.1", "blue begins")
    after = site.processes()
    assert sorted(after) == ["beat.1", "worker.1"]
    assert not is_alive(before["clock.1"]["pid"])
    log = site.tree.log()
    (taken,) = (
        place
        for place, each in enumerate(log)
        if each["event"] == "output" and each["worker"] == "worker.1" and each["message"] == "done"
    )
    assert any(each["event"] == "stopped" and each["worker"] == "0" for each in log[:taken])


def test_a_restart_replaces_all(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "begins")
    before = site.processes()
    assert "(worker.1, clock.1 replaced)" in site.must("ops/restart")
    after = site.processes()
    assert {each["pid"] for each in before.values()}.isdisjoint(
        each["pid"] for each in after.values()
    )


def test_one_that_is_killed_comes_back(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "begins")
    os.kill(site.processes()["worker.1"]["pid"], signal.SIGKILL)
    site.wait_for("worker.1", "begins", 2)
    assert site.tree.get("/alice")[0] == 200


def test_one_that_keeps_ending_is_told_with_what_it_said(site: Site) -> None:
    site.write("worker: echo no broker >&2; exit 3\n")
    site.must("ops/up", "--local")

    def is_told() -> bool:
        shown = site.tree.run("ops/status").stdout
        return (
            "worker.1 ended 3 times in the last 5 minutes" in shown
            and "no broker" in shown
            and "mend that, then ops/restart worker" in shown
        )

    wait_until(is_told, "status to tell", limit=LIMIT)
    assert site.tree.get("/alice")[0] == 200
    site.write("worker: exec python work.py\n")
    site.must("ops/restart", "worker")
    site.wait_for("worker.1", "begins")


def test_what_a_shell_left_running_ends_with_it(site: Site) -> None:
    site.write("worker: python work.py first & python work.py second; wait\n")
    site.must("ops/up", "--local")
    site.wait_for("worker.1", "first")
    site.wait_for("worker.1", "second")
    pids = [int(each.split()[-1]) for each in site.said("worker.1")]
    site.must("ops/restart", "worker")
    wait_until(lambda: not any(map(is_alive, pids)), "the end of both", limit=LIMIT)


def test_one_that_does_not_end_is_killed_after_the_grace(site: Site) -> None:
    (site.tree.root / "finish").unlink()
    site.must("ops/up", "--local", PROCFILE_GRACE="1")
    site.wait_for("worker.1", "begins")
    site.must("ops/restart", "worker")
    site.wait_for("worker.1", "begins", 2)
    assert "done" not in site.said("worker.1")


def test_down_ends_them_where_supervisord_was_killed(site: Site) -> None:
    site.must("ops/up", "--local")
    site.wait_for("clock.1", "begins")
    pids = [each["pid"] for each in site.processes().values()]
    os.kill(int((site.tree.run_dir / "supervise.pid").read_text()), signal.SIGKILL)
    site.must("ops/down")
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("ops/restart", "web"),
            "no process of the Procfile is called web: its processes are worker, clock",
        ),
        (("ops/scale", "beat=2"), "no process of the Procfile is called beat"),
        (("ops/scale", "worker=two"), 'it is "worker=two": give it, 0 to 99'),
        (("ops/scale", "web=0"), 'it is "web=0": give it, 1 to 99'),
        (("ops/scale", "worker=1", "worker=2"), "give each number once"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(site: Site, command: tuple[str, ...], said: str) -> None:
    site.must("ops/up", "--local")
    before = site.processes()
    done = site.tree.run(*command)
    assert done.returncode == 2
    assert said in done.stderr
    assert [each["pid"] for each in before.values()] == [
        each["pid"] for each in site.processes().values()
    ]


def test_a_procfile_with_an_error_refuses_the_start_and_a_deployment(site: Site) -> None:
    site.write("worker: a\nclock python clock.py\n")
    done = site.tree.up()
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Procfile, line 2: 'clock python clock.py' is not NAME: COMMAND, with a name of A-Za-z0-9_-\n"
    )
    assert not site.tree.run_dir.exists()
    site.write(PROCFILE)
    site.must("ops/up", "--local")
    before = site.processes()
    site.write("worker:\n")
    done = site.tree.run("ops/deploy")
    assert done.returncode == 2
    assert "Procfile, line 1: worker has no command" in done.stderr
    assert "Nothing has changed" in done.stderr
    assert [each["pid"] for each in before.values()] == [
        each["pid"] for each in site.processes().values()
    ]


RELEASES = "release: echo release $COLOUR >>released; echo migrated; test ! -e fails\n"


def released(site: Site) -> list[str]:
    return (site.tree.root / "released").read_text().splitlines()


def test_a_release_comes_before_each_version_and_before_no_other_start(site: Site) -> None:
    site.write(f"{RELEASES}worker: cat released; exec sleep 86400\n")
    done = site.must("ops/up", "--local", COLOUR="green")
    assert "release: echo release $COLOUR" in done
    assert "migrated\n" in done
    site.wait_for("worker.1", "release green")
    site.must("ops/restart", COLOUR="no")
    site.must("ops/restart", "worker")
    site.must("ops/scale", "1", "worker=2", COLOUR="green")
    assert released(site) == ["release green"]
    site.must("ops/deploy", COLOUR="blue")
    site.must("ops/rollback")
    assert released(site) == ["release green", "release blue", "release green"]


def test_a_release_that_fails_changes_nothing(site: Site) -> None:
    site.write(RELEASES + PROCFILE)
    (site.tree.root / "fails").touch()
    done = site.tree.up()
    assert done.returncode == 1
    assert "migrated" in done.stdout
    assert "the Procfile's release ended with status 1, as told above" in done.stderr
    assert not site.tree.run_dir.exists()
    (site.tree.root / "fails").unlink()
    site.must("ops/up", "--local")
    before, workers = site.processes(), site.tree.worker_pids()
    (site.tree.root / "fails").touch()
    done = site.tree.run("ops/deploy")
    assert done.returncode == 1
    assert "release ended with status 1, as told above. Nothing has changed" in done.stderr
    assert workers == site.tree.worker_pids()
    assert [each["pid"] for each in before.values()] == [
        each["pid"] for each in site.processes().values()
    ]


def test_web_is_served_where_nothing_else_names_an_application(site: Site) -> None:
    (site.tree.root / "app" / "chain.toml").unlink()
    (site.tree.root / "shop.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '4')])\n"
        "    return [b'shop']\n"
    )
    site.write("web: gunicorn -w 4 shop:app --log-file -\n")
    site.must("ops/up", "--local")
    assert site.tree.get("/") == (200, b"shop")
