"""What the containers may not do."""

from __future__ import annotations

import pytest
from bascule_ops.settings import variables

from tests.stack.project import CommandError, Project, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SERVICES = ["gunicorn", "nginx", "nginx-baseline", "server"]
NO_CAPABILITY = "0" * 16
UID = "10001"
SECCOMP_MODE_FILTER = "2"  # proc(5), /proc/PID/status


def process_statuses(stack: Project, service: str) -> list[dict[str, str]]:
    """Return /proc/PID/status of every process of a container, by its lines' names."""
    # One that ends meanwhile, such as a health check's, is none of them. Nor is the engine's own
    # that is about to start a health check (`runc:[2:INIT]`): it is root until it is replaced.
    text = stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null || true")
    processes: list[dict[str, str]] = []
    for name, _, value in (line.partition(":") for line in text.splitlines()):
        if name == "Name":
            processes.append({})
        processes[-1][name] = value.strip()
    return [process for process in processes if not process["Name"].startswith("runc:")]


def test_every_container_is_there_and_healthy(stack: Project) -> None:
    assert stack.services() == SERVICES
    states = {service: stack.inspect(service)["State"] for service in SERVICES}
    assert {state["Health"]["Status"] for state in states.values()} == {"healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_is_root_or_has_a_capability_or_can_gain_one(
    stack: Project, service: str
) -> None:
    processes = process_statuses(stack, service)
    assert len(processes) > 2  # a main process, its children, and the `cat` that reads them
    for process in processes:
        assert set(process["Uid"].split() + process["Gid"].split()) == {UID}, process["Name"]
        assert process["NoNewPrivs"] == "1", process["Name"]
        for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert process[kind] == NO_CAPABILITY, (process["Name"], kind)


@pytest.mark.parametrize("service", SERVICES)
def test_system_calls_are_filtered(stack: Project, service: str) -> None:
    for process in process_statuses(stack, service):
        assert process["Seccomp"] == SECCOMP_MODE_FILTER, process["Name"]


def test_no_shell_runs_in_the_server_and_its_health_check_starts_none(stack: Project) -> None:
    listed = run("docker", "top", stack.container("server"), "-eo", "pid,comm").splitlines()[1:]
    programs = {line.split(maxsplit=1)[1] for line in listed}
    assert "python" in programs
    assert not {"sh", "bash", "dash"} & programs
    check = stack.inspect("server")["Config"]["Healthcheck"]["Test"]
    assert check == ["CMD", "/opt/bascule/ops/bin/python", "-P", "-m", "bascule_ops.readiness"]


@pytest.mark.parametrize(
    ("service", "path", "mode"),
    [
        ("server", "/run/bascule", "750"),
        ("server", "/run/bascule/worker-0.sock", "660"),
        ("server", "/run/bascule/worker-1.sock", "660"),
        ("server", "/run/supervisor", "700"),
        ("server", "/run/supervisor/supervisor.sock", "700"),
        ("server", "/tmp", "1777"),
        ("gunicorn", "/tmp", "1777"),
        ("nginx", "/run/nginx", "700"),
        ("nginx", "/run/bascule", "750"),
    ],
)
def test_what_can_be_written_to_belongs_to_its_user(
    stack: Project, service: str, path: str, mode: str
) -> None:
    owner, found = stack.execute(service, "stat", "--format=%u %a", path).split()
    assert found == mode
    assert owner == (UID if path != "/tmp" else "0")


@pytest.mark.parametrize(
    ("service", "path"),
    [("server", "/run/supervisor"), ("server", "/tmp"), ("nginx", "/run/nginx")],
)
def test_nothing_that_was_written_can_be_run(stack: Project, service: str, path: str) -> None:
    mounts = stack.execute(service, "cat", "/proc/mounts").splitlines()
    (options,) = [line.split()[3].split(",") for line in mounts if line.split()[1] == path]
    assert {"noexec", "nosuid", "nodev"} <= set(options)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("directory", ["/", "/etc", "/opt", "/usr/bin", "/var/tmp"])
def test_the_root_file_system_is_read_only(stack: Project, service: str, directory: str) -> None:
    with pytest.raises(CommandError, match="Read-only file system"):
        stack.execute(service, "touch", f"{directory}/probe")


def test_nginx_cannot_touch_the_sockets_that_it_connects_to(stack: Project) -> None:
    with pytest.raises(CommandError, match="Read-only file system"):
        stack.execute("nginx", "rm", "/run/bascule/worker-0.sock")


@pytest.mark.parametrize("service", SERVICES)
def test_logs_memory_and_processes_are_bounded(stack: Project, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert set(host["LogConfig"]["Config"]) == {"max-size", "max-file"}
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0


@pytest.mark.parametrize("service", ["nginx", "server"])
def test_the_grace_of_a_stop_is_longer_than_the_drain(stack: Project, service: str) -> None:
    described = stack.inspect(service)["Config"]
    environ = [each.partition("=") for each in stack.inspect("server")["Config"]["Env"]]
    settings = variables.read({name: value for name, _, value in environ})
    # supervisor's own patience with a worker is 5 s longer than the drain.
    assert described["StopTimeout"] > settings.graceful_timeout + 5
