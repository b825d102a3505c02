"""ops/deploy, ops/rollback and ops/scale with containers, under a load that counts everything."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import pytest

from tests.harness.fetch import connect
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import wait_until
from tests.load.account import Account
from tests.load.background import BackgroundLoad
from tests.stack import releases
from tests.stack.project import FACT_SECONDS, CommandError, Project, attempt, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

BEFORE = 100  # right answers before and after what is done
RATE = 200.0
LONG = 4 << 20  # bytes of an answer: more than a client that reads slowly has room for


class Stack:
    """A running stack whose images have a tag of its own, and the commands on it."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.project = Project(
            name=f"bascule-{tag}", image_tag=tag, override="tests/stack/compose.load.yml"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command of an operator act on this project."""
        return {
            **self.project.environment,
            "COMPOSE_PROJECT_NAME": self.project.name,
            "COMPOSE_FILE": "docker-compose.yml:tests/stack/compose.load.yml",
        }

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command as an operator would, with this project's names."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def under_load(
        self, *command: str, **settings: str
    ) -> tuple[subprocess.CompletedProcess[str], Account]:
        """Run a command while requests of all kinds are in flight."""
        with BackgroundLoad(self.project.address()[1], rate=RATE) as load:
            load.wait_for(BEFORE)
            done = self.run(*command, **settings)
            load.wait_for(load.account.right.total() + BEFORE)
        assert load.account.is_complete
        return done, load.account

    def release(self) -> str:
        """Return which image serves."""
        server = self.project.container("server")
        listed = run(
            "docker", "inspect", "--format={{range .Config.Env}}{{println .}}{{end}}", server
        )
        return next(line for line in listed.splitlines() if line.startswith("RELEASE="))

    def image(self) -> str:
        """Return the id of the image that serves."""
        server = self.project.container("server")
        return run("docker", "inspect", "--format={{.Image}}", server).strip()

    def upstreams(self) -> list[str]:
        """Return the sockets that nginx knows."""
        text = self.project.execute("nginx", "cat", "/run/nginx/upstream_servers.conf")
        return [line.split('"')[1].rpartition("/")[2] for line in text.splitlines()]


def has_begun(stack: Stack) -> bool:
    """Return whether nginx has read its configuration."""
    command = stack.project.command("exec", "-T", "nginx", "test", "-s", "/run/nginx/nginx.pid")
    return attempt(*command, environment=stack.project.environment).returncode == 0


@pytest.fixture(scope="module")
def stack(image_tag: str) -> Iterator[Stack]:
    """A stack of two workers, release 1."""
    stack = Stack(f"deploy-{uuid.uuid4().hex[:8]}")
    run("docker", "tag", f"bascule-nginx:{image_tag}", f"bascule-nginx:{stack.tag}")
    base = f"bascule-server:{image_tag}"
    releases.build(stack.tag, releases.GOOD, base, "1")
    releases.build(f"{stack.tag}-2", releases.GOOD, base, "2")
    try:
        stack.project.up()
        yield stack
    finally:
        stack.project.down()
        releases.remove(stack.tag)


def test_a_new_image_and_more_workers_are_deployed_and_rolled_back_without_a_lost_request(
    stack: Stack,
) -> None:
    before = stack.project.container("server")
    done, account = stack.under_load("ops/deploy", "--image", f"{stack.tag}-2", WORKERS="3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not account.failures, "\n".join(account.lines())
    after = stack.project.container("server")
    assert after != before
    assert stack.release() == "RELEASE=2"
    # Unless it has seen that by itself before.
    assert re.search(r"nginx learns how many they are \((reloaded|nothing new)\)", done.stdout)
    assert "Note:" not in done.stdout
    assert stack.upstreams() == ["worker-0.sock", "worker-1.sock", "worker-2.sock"]

    # nginx knows them after a restart of its own as well, and compose has nothing to mend.
    stack.project.compose("restart", "nginx")
    wait_until(lambda: has_begun(stack), "nginx to begin", limit=FACT_SECONDS)
    assert len(stack.upstreams()) == 3
    up = stack.run("docker", "compose", "up", "--detach", "--no-build", "--wait", WORKERS="3")
    assert up.returncode == 0, up.stderr
    assert stack.project.container("server") == after
    assert stack.project.services() == ["nginx", "server"]

    done, account = stack.under_load("ops/rollback", WORKERS="1", NGINX_SEND_TIMEOUT="21s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Note: nginx's own settings or its image have changed" in done.stdout
    assert not account.failures, "\n".join(account.lines())
    assert stack.release() == "RELEASE=1"
    assert stack.upstreams() == ["worker-0.sock"]


def test_a_restart_keeps_the_image_and_the_settings_that_serve(
    stack: Stack, image_tag: str
) -> None:
    before = stack.project.container("server")
    release = stack.release()
    # What compose would start next is another image, and other settings.
    releases.build(stack.tag, releases.GOOD, f"bascule-server:{image_tag}", "3")
    built = releases.tags("bascule-server")[stack.tag]
    done, account = stack.under_load("ops/restart", WORKERS="4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not account.failures, "\n".join(account.lines())
    assert stack.project.container("server") != before
    assert stack.release() == release
    assert stack.upstreams() == ["worker-0.sock"]
    assert releases.tags("bascule-server")[stack.tag] == built
    stack.run("docker", "tag", stack.image(), f"bascule-server:{stack.tag}")


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [(releases.BROKEN, "worker-0: 500"), (releases.UNLOADABLE, "a bad import")],
    ids=["answers 500", "does not load"],
)
def test_an_image_that_is_not_ready_changes_nothing(
    stack: Stack, image_tag: str, dockerfile: str, words: str
) -> None:
    bad = f"{stack.tag}-bad"
    releases.build(bad, dockerfile, f"bascule-server:{stack.tag}")
    before = stack.project.container("server")
    image = releases.tags("bascule-server")[stack.tag]
    done, account = stack.under_load("ops/deploy", "--image", bad, "--timeout", "8")
    assert done.returncode == 1
    assert words in done.stderr
    assert f"Nothing has changed: container {before[:12]} serves." in done.stderr
    assert not account.failures, "\n".join(account.lines())
    assert stack.project.container("server") == before
    assert releases.tags("bascule-server")[stack.tag] == image


def test_a_command_that_runs_beside_the_server_is_left_alone(stack: Stack) -> None:
    words = ("run", "--rm", "-T", "--no-deps", "server", "sh", "-c", "echo begun; read line || :")
    command = stack.project.command(*words)
    with Process(
        command, env={**os.environ, **stack.environment}, stdin=subprocess.PIPE
    ) as process:
        process.wait_until(lambda: "begun" in process.out, "the command", limit=FACT_SECONDS)
        done = stack.run("ops/restart")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "cut off" not in done.stdout + stack.run("ops/status").stdout
        assert process.is_running()
        process.end_input()
        assert process.wait(FACT_SECONDS) == 0


def test_an_interrupt_leaves_the_old_container_and_no_other(stack: Stack) -> None:
    bad = f"{stack.tag}-hangs"
    releases.build(bad, releases.HANGS, f"bascule-server:{stack.tag}")
    before = stack.project.container("server")
    command = ["ops/deploy", "--image", bad]
    with Process(command, env={**os.environ, **stack.environment}) as process:
        process.wait_until(
            lambda: len(stack.project.container("server").split()) == 2,
            "a second container",
            limit=FACT_SECONDS,
            passing=(
                CommandError,
            ),  # compose fails where one of those that it lists goes meanwhile
        )
        process.signal_group(signal.SIGINT)
        assert process.wait(60) == 130
        assert f"Nothing has changed: container {before[:12]} serves." in process.err
    assert stack.project.container("server") == before
    assert stack.project.answers()


def runs_nginx(project: Project) -> bool:
    """Whether a process nginx is in nginx's container."""
    listed = attempt("docker", "top", project.container("nginx"), "-eo", "pid,comm")
    return any(line.split()[1:] == ["nginx"] for line in listed.stdout.splitlines())


def download(
    project: Project, address: tuple[str, int], name: str, may_go_on: Event
) -> tuple[str, int]:
    """Read an answer until nginx is done with it, and the rest once that may be."""
    with closing(connect(address)) as connection:
        connection.request("GET", f"/{name}?token={name}&bytes={LONG}")
        response = connection.getresponse()
        first_line = response.readline().decode()
        size = 0
        while not any(name in each.get("target", "") for each in project.events("nginx")):
            size += len(response.read(1 << 18))
        may_go_on.wait()
        return first_line.split()[0], size + len(response.read())


# The last one: nothing runs after it.
def test_a_stop_waits_until_slow_clients_have_the_end_of_their_answers(stack: Stack) -> None:
    project = stack.project
    ways = {"published": project.address(), "direct": project.inner_address()}
    nginx_has_ended = Event()
    with ThreadPoolExecutor(len(ways)) as pool:
        downloads = [
            pool.submit(download, project, address, name, nginx_has_ended)
            for name, address in ways.items()
        ]
        environ = {**os.environ, **project.environment}
        with Process(project.command("stop"), env=environ) as stop:
            wait_until(lambda: not runs_nginx(project), "the end of nginx", limit=FACT_SECONDS)
            nginx_has_ended.set()
            assert stop.wait(60) == 0
        assert [each.result() for each in downloads] == [(name, LONG) for name in ways]
    for service in ("nginx", "server"):
        assert project.inspect(service)["State"]["ExitCode"] == 0
