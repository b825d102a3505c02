"""``basculectl run`` and ``shell`` where no container is: the project's commands, run here."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness import repositories
from tests.harness.processes import ROOT, inherited
from tests.harness.tree import LIMIT

pytestmark = pytest.mark.integration

BASCULECTL = (sys.executable, "-P", "-m", "bascule_ops")
PLACES = os.pathsep.join(str(ROOT / part) for part in ("server", "middleware", "ops"))
TELL = "import os, sys; print(os.getcwd(), os.environ['SECRET'], sys.argv[1:], sys.stdin.read())"
FAILS = 'raise RuntimeError("no database")\n'
# Says on a terminal that it was interrupted, and ends with a status of its own.
WAITS = """
import os, sys, time
try:
    print("terminal", os.isatty(0), os.isatty(1), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(9)
"""


def environ() -> dict[str, str]:
    return inherited() | {"PYTHONPATH": PLACES, "BASCULECTL_DOOR": "basculectl "}


def basculectl(
    root: Path, *words: str, given: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of Bascule's to its end."""
    return subprocess.run(
        (*BASCULECTL, *words),
        cwd=root,
        env=environ() | settings,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def test_run_has_the_project_its_settings_and_the_command_s_own_status(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=kept\n")
    (tmp_path / "tell.py").write_text(f"{TELL}\nsys.exit(7)\n")
    for words in (("--", "python", "tell.py", "--", "-x"), ("python", "tell.py", "--", "-x")):
        done = basculectl(tmp_path, "run", *words, given="typed")
        assert (done.returncode, done.stderr) == (7, "")
        assert done.stdout == f"{tmp_path} kept ['--', '-x'] typed\n"


def test_run_has_the_python_that_runs_basculectl(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.prefix, os.environ.get('VIRTUAL_ENV'))"
    done = basculectl(tmp_path, "run", "--local", "--", "python", "-c", code, PATH="/usr/bin:/bin")
    assert done.stdout == f"{sys.prefix} {sys.prefix}\n"


def test_run_is_of_the_project_that_is_named(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    assert basculectl(tmp_path, "--project", "shop", "run", "pwd").stdout == f"{project}\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "name a command, such as: run -- python manage.py migrate"),
        (("--local", "--"), 2, "name a command"),
        (("--", "nowhere"), 127, "cannot run nowhere: No such file or directory"),
        (("--", "/tmp"), 126, "cannot run /tmp: Permission denied"),
        (("--docker", "--", "true"), 1, "docker compose config fails here"),
    ],
)
def test_what_cannot_be_run_is_said(
    words: tuple[str, ...], status: int, said: str, tmp_path: Path
) -> None:
    if "--docker" in words:
        fake = tmp_path / "docker"
        fake.write_text("#!/bin/sh\nexit 1\n")
        fake.chmod(0o755)
    done = basculectl(tmp_path, "run", *words, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == status
    assert said in done.stderr


def test_ctrl_c_on_the_terminal_is_the_command_s(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, (*BASCULECTL, "run", "--", "python", "waits.py"), environ())
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        assert screen.readline() == b"terminal True True\r\n"
        screen.write(b"\x03")
        with suppress(OSError):  # the terminal is gone with the process
            while screen.read(100):
                pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_process_1_passes_signals_on_and_reaps(tmp_path: Path) -> None:
    """As in a container, in a namespace of process ids."""
    unshare = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    if subprocess.run((*unshare, "true"), capture_output=True, check=False).returncode:
        pytest.skip("needs namespaces of process ids")
    code = "import sys; from bascule_ops.supervision.command import become; sys.exit(become(sys.argv[1:]))"
    script = "sleep 0 & echo $$ $(cat /proc/1/comm); kill -TERM 1; sleep 60"
    done = subprocess.run(
        (*unshare, sys.executable, "-P", "-c", code, "sh", "-c", script),
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.stdout.split()[1].startswith("python")
    assert done.stdout.split()[0] != "1"
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


def bare(root: Path) -> None:
    repositories.write(
        root, {**repositories.BARE, "chain.toml": 'application = "shop:application"'}
    )


def flask(root: Path) -> None:
    files = {**repositories.FLASK, "chain.toml": 'application = "shop:create_app()"'}
    repositories.write(root, files)


@pytest.mark.parametrize(
    ("fill", "typed", "said"),
    [
        (bare, "print(application.__name__)", "application"),
        (flask, "print(app.name)", "shop"),
        (
            repositories.django,
            "from django.conf import settings; print(settings.ROOT_URLCONF)",
            "mysite.urls",
        ),
    ],
)
def test_shell_is_the_framework_s(
    fill: Callable[[Path], None], typed: str, said: str, tmp_path: Path
) -> None:
    fill(tmp_path)
    done = basculectl(tmp_path, "shell", given=f"{typed}\n")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_shell_of_an_application_that_does_not_load_says_why(tmp_path: Path) -> None:
    repositories.write(tmp_path, {"shop.py": FAILS})
    done = basculectl(tmp_path, "shell", BASCULE_APP="shop:application")
    assert done.returncode == 4
    assert 'shop.py", line 1' in done.stderr
    assert done.stderr.endswith("cannot load shop:application: RuntimeError: no database\n")


def test_shell_where_no_application_is_named_says_so(tmp_path: Path) -> None:
    done = basculectl(tmp_path, "shell")
    assert done.returncode == 4
    assert "set BASCULE_APP, or name it in chain.toml" in done.stderr
