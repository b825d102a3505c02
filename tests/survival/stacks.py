"""The two kinds of stacks that faults are done to: what of them can be broken."""

from __future__ import annotations

import abc
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.drill import containers as drill_containers
from tests.drill import local as drill_local
from tests.drill.stack import Stack
from tests.faults.stack import may_mount

DISK: Final = "size=64m,nr_inodes=1000,mode=0755"
ORDER: Final = "import"  # see tests/load/faulty.py
BALLAST: Final = "ballast"
# Of the containers: each a service, and where it is mounted there.
DISKS: Final = {
    "supervisor's files": "server:/run/supervisor",
    "temporary files": "server:/tmp",
    "sockets": "server:/run/bascule",
    "nginx's files": "nginx:/run/nginx",
}


class Breakable(Stack):
    """A stack that can be broken in each way."""

    # Where what is written goes, by what it is for.
    disks: Mapping[str, str]
    sockets: Path

    @abc.abstractmethod
    def send(self, process: str, number: signal.Signals) -> None:
        """Send a signal to a worker's process."""

    @abc.abstractmethod
    def kill_part(self, part: str) -> None:
        """Kill ``nginx``, or ``supervisord``, which starts and ends the workers."""

    @abc.abstractmethod
    def end(self, program: str) -> None:
        """Have supervisord end a program, and leave it so."""

    @abc.abstractmethod
    def fill(self, disk: str) -> None:
        """Leave no byte on one of the disks."""

    @abc.abstractmethod
    def empty(self, disk: str) -> None:
        """Give it its room back."""

    @abc.abstractmethod
    def image(self) -> str:
        """What names the code that serves."""

    def order_import(self, how: str) -> None:
        """Have the application's module be imported so from now on (`tests.load.faulty`)."""
        file = self.sockets / ORDER
        if how:
            file.write_text(how)
        else:
            file.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """The snapshot; where there is none, one with a check that says why."""
        done = self.run("ops/status", "--json")
        with suppress(ValueError):
            return dict(json.loads(done.stdout))
        silent = {"ok": False, "message": done.stdout + done.stderr, "remedy": "", "note": False}
        return {"healthy": False, "checks": [silent]}


class Local(drill_local.Local, Breakable):
    """Processes of this machine; its run directory and its temporary files on disks of their own."""

    def __init__(self, venv: Path | None = None) -> None:
        super().__init__(venv)
        self.disks: dict[str, str] = {}
        if may_mount():
            for name, place in (("run directory", "disk"), ("temporary files", "tmp")):
                (self.root / place).mkdir()
                command = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(self.root / place)]
                subprocess.run(command, check=True)
                self.disks[name] = str(self.root / place)
        else:
            (self.root / "disk").mkdir()
            (self.root / "tmp").mkdir()
        self.run_dir = self.root / "disk" / "run"
        self.sockets = self.run_dir
        self.environ |= {"RUN_DIR": "disk/run", "TMPDIR": str(self.root / "tmp")}

    def remove(self) -> None:
        """Stop what still runs, and remove the copy."""
        self.run("ops/down")
        for place in self.disks.values():
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def send(self, process: str, number: signal.Signals) -> None:
        """See `Breakable`."""
        os.kill(int(process), number)

    def kill_part(self, part: str) -> None:
        """See `Breakable`."""
        files = {
            "nginx": self.run_dir / "nginx" / "nginx.pid",
            "supervisord": self.run_dir / "serving" / "supervisord.pid",
            "the site's supervisord": self.run_dir / "supervisord.pid",
        }
        pid = int(files[part].read_text())
        # As the kernel would: the whole of nginx.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *(children if part == "nginx" else ())):
            os.kill(int(each), signal.SIGKILL)

    def end(self, program: str) -> None:
        """See `Breakable`."""
        is_of_site = program == "nginx" or "." in program
        where = "" if is_of_site else "serving/"
        url = f"unix://{self.run_dir}/{where}supervisor.sock"
        self.must(".venv-run/bin/supervisorctl", "--serverurl", url, "stop", program)

    def fill(self, disk: str) -> None:
        """See `Breakable`."""
        with suppress(OSError), Path(self.disks[disk], BALLAST).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self, disk: str) -> None:
        """See `Breakable`."""
        Path(self.disks[disk], BALLAST).unlink()

    def image(self) -> str:
        """See `Breakable`."""
        return ""


class Containers(drill_containers.Containers, Breakable):
    """The containers of a compose project; the workers' sockets on a volume that this user may read."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.disks = DISKS

    def up(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """See `Stack`; the image that serves is then one that was deployed."""
        done = super().up(**settings)
        if not done.returncode:
            volume = f"{self.environ['COMPOSE_PROJECT_NAME']}_sockets"
            place = self.must("docker", "volume", "inspect", "--format={{.Mountpoint}}", volume)
            self.sockets = Path(place.stdout.strip())
            done = self.run("ops/deploy", *self.good_release(), **settings)
        return done

    def send(self, process: str, number: signal.Signals) -> None:
        """See `Breakable`."""
        container, pid = process.split()
        self.must("docker", "exec", container, "sh", "-c", f"kill -{number.value} {pid}")

    def kill_part(self, part: str) -> None:
        """See `Breakable`: the container's first process, with which it ends.

        Not by `docker kill`, after which the engine would not start it again.
        """
        (container, *_) = self._containers("nginx" if part == "nginx" else "server")
        pid = self.must("docker", "inspect", "--format={{.State.Pid}}", container).stdout
        os.kill(int(pid), signal.SIGKILL)

    def end(self, program: str) -> None:
        """See `Breakable`."""
        if program == "nginx":
            self.must("docker", "compose", "stop", "nginx")
        else:
            url = "unix:///run/supervisor/supervisor.sock"
            command = ("/opt/bascule/ops/bin/supervisorctl", "--serverurl", url, "stop", program)
            self.must("docker", "compose", "exec", "-T", "server", *command)

    def fill(self, disk: str) -> None:
        """See `Breakable`."""
        self._do(disk, f"cat /dev/zero >{BALLAST} 2>/dev/null || :")

    def empty(self, disk: str) -> None:
        """See `Breakable`."""
        self._do(disk, f"rm {BALLAST}")

    def _do(self, disk: str, what: str) -> None:
        service, _, place = self.disks[disk].partition(":")
        command = f"cd {place} && {what}"
        self.must("docker", "compose", "exec", "-T", service, "sh", "-c", command)

    def image(self) -> str:
        """See `Breakable`."""
        (container, *_) = self._containers("server")
        return self.must("docker", "inspect", "--format={{.Image}}", container).stdout.strip()
