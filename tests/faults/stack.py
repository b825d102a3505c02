"""A stack in local mode that can be broken: its run directory on a small disk, where mount(8) may."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.ports import free_port
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.nginx.certificates import make_pair

DISK: Final = "size=6m,nr_inodes=300,mode=0755"  # sockets, counters, nginx's files, and a short log
# /wait returns when the file "over" is there; the import takes as long as the file "slow" is.
APPLICATION: Final = """
import os, time

while os.path.exists("slow"):
    time.sleep(0.05)

def application(environ, start_response):
    while environ["PATH_INFO"] == "/wait" and not os.path.exists("over"):
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"alice"]
"""


def may_mount() -> bool:
    """Whether this user may mount a file system."""
    place = Path("/tmp") / f"mount-{os.getpid()}"
    place.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", str(place)], check=True)
        return True
    finally:
        place.rmdir()


class BrokenStack(Tree):
    """Two workers, nginx with TLS, and everything that can be done to them."""

    def __init__(self, venv: Path | None, *, has_disk: bool) -> None:
        self.tls_port = free_port()
        super().__init__(
            venv,
            BASCULE_APP="faulty:application",
            BASCULE_THREADS="2",
            BASCULE_GRACEFUL_TIMEOUT="30",
            BASCULE_TIMEOUT="120",  # a worker that is stopped stays so while the commands are asked
            RUN_DIR="disk/run",
            NGINX_CLIENT_MAX_BODY_SIZE="1m",  # the disk is a small one
            HTTPS_PORT=str(self.tls_port),
            NGINX_TLS_CERTIFICATE="tls/fullchain.pem",
            NGINX_TLS_CERTIFICATE_KEY="tls/privkey.pem",
            TMPDIR=str(Path("tmp").absolute()),
        )
        self.pair = make_pair(self.root / "tls", name="first.example")
        (self.root / "faulty.py").write_text(APPLICATION)
        self.disk = self.root / "disk"
        self.disk.mkdir()
        self.run_dir = self.disk / "run"
        self.temporary = self.root / "tmp"
        self.temporary.mkdir()
        self.environ["TMPDIR"] = str(self.temporary)
        self.has_disk = has_disk
        if has_disk:
            for place in (self.disk, self.temporary):
                self._mount(place)
        done = self.up()
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def _mount(place: Path, options: str = DISK) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)

    def remount(self, how: str) -> None:
        """Make the run directory's disk ``ro`` or ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.disk)], check=True)

    def remove(self) -> None:
        """Stop what still runs, and remove the copy."""
        for pid in self.everybody():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
        self.run("ops/down")
        if self.has_disk:
            for place in (self.disk, self.temporary):
                subprocess.run(["umount", "--lazy", str(place)], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def everybody(self) -> set[int]:
        """All processes of the stack that can be found."""
        signs = (f"{self.run_dir}/", str(self.root))
        found = set()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().decode("utf-8", "replace")
                place = str((path / "cwd").readlink())
            except OSError:
                continue
            if (place == signs[1] and ("nginx" in words or "bascule" in words)) or signs[
                0
            ] in words:
                found.add(int(path.name))
        return found

    def status(self) -> dict[str, Any]:
        """The snapshot."""
        done = self.run("ops/status", "--json")
        return dict(json.loads(done.stdout))

    def is_well(self) -> bool:
        """Whether it is healthy."""
        return self.run("ops/status").returncode == 0

    def pids_of(self, name: str) -> list[int]:
        """The processes that are called so: ``worker-0``, ``nginx``, ``nginx's worker``..."""
        directories = (self.run_dir, self.run_dir / "serving")
        supervisords = [int((each / "supervisord.pid").read_text()) for each in directories]
        if name == "supervisord":
            return supervisords
        signs = {
            "observer": "observer.sock",
            "process-events": "supervision.process_events",
            "nginx": "nginx: master",
        }
        sign = signs.get(name, f"/{name}.sock")
        children = [child for each in supervisords for child in _children(each)]
        if name == "nginx's worker":
            (master,) = self.pids_of("nginx")
            return _children(master)
        if name == "worker":
            return [pid for pid in children if "/worker-" in _words(pid)]
        return [pid for pid in children if sign in _words(pid)]

    def limit(self, pid: int, what: int, most: int) -> None:
        """Set a limit of a process (prlimit(2))."""
        _, hard = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (most, hard))

    def ask(self, target: str, port: int | None = None) -> tuple[int, str]:
        """One GET; the status is 0 where nothing answers within 5 s."""
        try:
            reply = fetch(port or self.port, target, limit=5)
        except NO_RESPONSE as error:
            return 0, str(error)
        return reply.status, reply.body.decode("utf-8", "replace")

    def fill(self, place: Path) -> Path:
        """Leave no byte on a disk; return what fills it."""
        ballast = place / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return ballast

    def wait_until_well(self) -> None:
        """See the stack healthy again."""
        wait_until(self.is_well, "the stack is well", limit=LIMIT)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
