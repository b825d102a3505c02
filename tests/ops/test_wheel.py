"""The wheel where nothing else of ours is, for a project whose names are ours as well."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process, inherited
from tests.harness.tree import LIMIT

pytestmark = pytest.mark.integration

PACKAGES = ("app", "server", "middleware", "ops", "tests", "nginx", "bench", "http", "wsgi")
MODULES = ("logging", "settings", "health")

APPLICATION = """
import bench, health, middleware, nginx, ops, server, settings, tests, wsgi

# Not http and logging: the process has Python's own by then.
assert all(each.MINE for each in (bench, health, middleware, nginx, ops, server, settings, tests, wsgi))

def application(environ, start_response):
    body = f"app of the project for {environ['REMOTE_ADDR']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
CHAIN = """
application = "app:application"

[[links]]
use = "request_id"
trusted = ["unix"]

[[links]]
use = "proxy_headers"
trusted = ["unix"]
fields = "x-forwarded"
"""


def run(
    *command: str | Path, cwd: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=300
    )


def must(*command: str | Path, cwd: Path, environ: dict[str, str] | None = None) -> str:
    """Run a command that succeeds; return what it prints."""
    done = run(*command, cwd=cwd, environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bin_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a virtual environment with the wheel in it, and what it asks for."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "docs", "tests")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    must(*build, "--outdir", place / "dist", source, cwd=place)
    (wheel,) = (place / "dist").glob("bascule-*.whl")
    must(sys.executable, "-m", "venv", place / "venv", cwd=place)
    found = place / "venv" / "bin"
    locked = ["--require-hashes", "--requirement", ROOT / "requirements" / "ops.txt"]
    must(found / "pip", "install", "--quiet", *locked, cwd=place)
    must(found / "pip", "install", "--quiet", "--no-deps", wheel, cwd=place)
    must(found / "pip", "check", cwd=place)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with packages and modules of all those names."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "app" / "__init__.py").write_text(APPLICATION)
    (tmp_path / "chain.toml").write_text(CHAIN)
    return tmp_path


def environment(bin_: Path, **settings: str) -> dict[str, str]:
    """What somebody has whose virtual environment is active."""
    mine = inherited()
    more = {"PATH": f"{bin_}:{mine['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    return mine | more | settings


def files(project: Path) -> dict[str, str]:
    """What is in the project, by the paths."""
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in project.rglob("*")
        if path.is_file()
    }


def get(port: int) -> tuple[int, str | None, str]:
    """The status, the request's id and the body of one answer."""
    reply = fetch(port, "/", limit=LIMIT)
    return reply.status, reply.field("X-Request-ID"), reply.text


@contextmanager
def served(bin_: Path, project: Path, *arguments: str) -> Iterator[int]:
    """The server alone, while the block runs; yields its port."""
    port = free_port()
    command = [bin_ / "bascule", "--bind", f"127.0.0.1:{port}", *arguments]
    with Process(command, cwd=project, env=environment(bin_)) as process:
        process.wait_until(
            lambda: get(port)[0] == 200, "an answer", limit=LIMIT, passing=(OSError,)
        )
        yield port
        process.signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0


def test_nothing_but_the_three_packages_is_in_it(bin_: Path, tmp_path: Path) -> None:
    listed = must(bin_ / "pip", "show", "--files", "bascule", cwd=tmp_path).partition("Files:\n")[2]
    tops = {line.strip().partition("/")[0] for line in listed.splitlines()}
    packages = {top for top in tops if top != ".." and not top.endswith(".dist-info")}
    assert packages == {"bascule", "bascule_middleware", "bascule_ops"}


def test_the_server_serves_the_projects_own_application(bin_: Path, project: Path) -> None:
    with served(bin_, project, "app:application") as port:
        assert get(port) == (200, None, "app of the project for 127.0.0.1")
    with served(bin_, project, "--chain", "chain.toml") as port:
        status, request_id, body = get(port)
        assert (status, body) == (200, "app of the project for 127.0.0.1")
        assert request_id


def test_a_whole_stack_comes_and_goes_and_the_project_stays_as_it_was(
    bin_: Path, project: Path
) -> None:
    before = files(project)
    port, status_port = free_port(), free_port()
    environ = environment(bin_, HTTP_PORT=str(port), STATUS_PORT=str(status_port))
    told = must("basculectl", "up", "--local", cwd=project, environ=environ)
    try:
        assert f"Bascule answers: http://localhost:{port}/ (status 200)" in told
        assert "basculectl down" in told
        status, request_id, body = get(port)
        assert (status, body) == (200, "app of the project for 127.0.0.1")
        assert request_id
        # Not at once: a worker counts as started after five seconds.
        told = must("basculectl", "status", cwd=project, environ=environ)
        assert told.startswith("healthy: nginx and 2 of 2 workers answer\n")
        assert request_id in must("basculectl", "logs", cwd=project, environ=environ)
    finally:
        assert must("basculectl", "down", cwd=project, environ=environ) == "Stopped.\n"
    assert files(project) == before


def test_up_goes_on_when_nobody_reads_what_it_says(bin_: Path, project: Path) -> None:
    port = free_port()
    environ = environment(bin_, HTTP_PORT=str(port), STATUS_PORT="off")
    try:
        shell = "set -o pipefail; basculectl up --local | true"
        done = run("bash", "-c", shell, cwd=project, environ=environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert get(port)[0] == 200
    finally:
        must("basculectl", "down", cwd=project, environ=environ)


def test_where_nothing_runs_it_is_said_by_the_commands_own_name(bin_: Path, project: Path) -> None:
    done = run("basculectl", "health", cwd=project, environ=environment(bin_))
    assert (done.returncode, done.stderr) == (
        1,
        "basculectl health: the stack does not run; basculectl up starts it\n",
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(bin_: Path, project: Path, shell: str) -> None:
    environ = environment(bin_)
    script = must("basculectl", "completion", shell, cwd=project, environ=environ)
    for word in ("certificate", "unblock", "flame-graph"):
        assert word in script
    if shutil.which(shell):
        check = subprocess.run([shell, "-n"], input=script, text=True, check=False, timeout=LIMIT)
        assert check.returncode == 0


def test_bash_completes_commands_and_their_options(bin_: Path, project: Path) -> None:
    ask = """
    eval "$(basculectl completion bash)"
    COMP_WORDS=(basculectl {words}) COMP_CWORD={last}
    _basculectl
    echo "${{COMPREPLY[@]}}"
    """

    def completed(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        command = ask.format(words=quoted, last=len(words))
        environ = environment(bin_)
        return must("bash", "-c", command, cwd=project, environ=environ).split()

    assert completed("un") == ["unblock"]
    assert completed("up", "--l") == ["--local"]
    assert completed("status", "--colour", "a") == ["auto", "always"]
    assert completed("certificate", "in") == ["install"]


def test_uninstalling_it_takes_no_file_of_the_project(bin_: Path, project: Path) -> None:
    before = files(project)
    must(bin_ / "pip", "uninstall", "--yes", "bascule", cwd=project)
    assert files(project) == before
    assert not (bin_ / "basculectl").exists()
