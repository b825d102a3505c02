"""The stack in local mode: its run directory, its processes, and their end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from xmlrpc.client import Fault

from bascule_ops import address, proc, procfile
from bascule_ops.control.output import warn
from bascule_ops.errors import CommandError
from bascule_ops.program import spelled
from bascule_ops.settings import variables
from bascule_ops.supervision import slots
from bascule_ops.supervision.client import BESIDE, ENDED, Supervisor
from bascule_ops.supervision.trial import HOLD_FILE

SUPERVISED: Final = "bascule_ops.supervision.supervised"
# Of Bascule 0.1, which may still run when its checkout has become 0.2; to be removed in 0.3.
SUPERVISED_BEFORE: Final = "ops.supervision.supervised"
_PAUSE: Final = 0.1  # seconds between two looks at a process that is to end
_PATIENCE: Final = 3.0  # seconds until it is said what is waited for
_SHOWN: Final = 15  # lines of the log, where workers fail
_REQUEST: Final = re.compile(r'"event": *"request"')


class RunDirGoneError(CommandError):
    """The stack has outlived its run directory.

    Args:
        run_dir: which one.

    Attributes:
        reason, remedy: the message in two parts.
    """

    remedy = "ops/down, then ops/up"

    def __init__(self, run_dir: Path) -> None:
        self.reason = f"the stack runs, but somebody has removed {run_dir}, with its sockets"
        super().__init__(f"{self.reason}: {spelled(self.remedy)}")


class LocalStack:
    """The stack of a project in local mode.

    Attributes:
        run_dir: where its sockets and its log are.
        marker: tells a run directory of ours from anything else that RUN_DIR may name by mistake:
            only with it is the directory removed. It has the process id of who made it.
        pid_file, url_file, log_file: what is kept there.
    """

    def __init__(self, root: Path, run_dir: Path) -> None:
        self._root = root
        self.run_dir = run_dir
        self.marker = run_dir / ".bascule"
        self.pid_file = run_dir / "supervise.pid"
        self.url_file = run_dir / "url"
        self.log_file = run_dir / "bascule.log"

    def pid(self) -> int | None:
        """The id of this project's supervisord; None where none runs.

        It may have outlived its run directory, as where that was cleaned up as git sees it.
        """
        if self.marker.exists():
            return self._pid(SUPERVISED)
        return next(_meant(self._is_our_site), None)

    def _is_our_site(self, process: Path, words: bytes) -> bool:
        return (
            words.endswith(os.fsencode(f"\0{SUPERVISED}\0{slots.SITE}\0"))
            and (process / "cwd").readlink() == self._root.resolve()
            and proc.environ(process).get("RUN_DIR") == str(self.run_dir)
        )

    def check_run_dir(self) -> None:
        """Raise `RunDirGoneError` where the stack has outlived its run directory."""
        if not self.marker.exists() and self.pid():
            raise RunDirGoneError(self.run_dir)

    def pid_before(self) -> int | None:
        """The id of the supervisord of Bascule 0.1; None where none runs."""
        return self._pid(SUPERVISED_BEFORE)

    def _pid(self, module: str, file: Path | None = None) -> int | None:
        try:
            pid = int((file or self.pid_file).read_text())
            # The id may have gone to another process since.
            is_ours = Path(f"/proc/{pid}/cwd").readlink() == self._root.resolve()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if is_ours and module.encode() in words else None

    def moved_from(self) -> str:
        """The directory that the project had when the stack was started, if it is another now."""
        with suppress(OSError, ValueError, KeyError):  # nothing runs, or another version does
            serving = slots.read_environment(self.run_dir / slots.SERVING / slots.ENVIRONMENT)
            before = Path(serving["PROJECT_DIR"])
            if not (before.exists() and before.samefile(self._root)):
                return str(before)
        return ""

    def generation(self, slot: str) -> int | None:
        """The id of a generation's supervisord; None where none runs."""
        return self._pid(SUPERVISED, self.run_dir / slot / "supervisord.pid")

    def start_what_ended(self) -> bool:
        """Have nginx and what is beside the workers start again; whether any of it had ended."""
        found = False
        for directory in (self.run_dir, self.run_dir / slots.SERVING):
            supervisor = Supervisor(str(directory / "supervisor.sock"))
            with suppress(OSError, Fault):  # it has ended itself, or somebody was quicker
                for each in supervisor.processes():
                    is_ours = each["name"] in BESIDE or each["name"] == "nginx"
                    is_ours = is_ours or procfile.is_process(each["name"])
                    if is_ours and each["state"] in ENDED:
                        supervisor.start(each["name"])
                        found = True
        return found

    def show_log(self, begin: int = 0) -> None:
        """Print the last lines of the log, from a byte on, without those of ordinary requests."""
        warn("The last lines of its log:")
        with suppress(OSError), self.log_file.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode("utf-8", "replace").splitlines()
            for line in [line for line in lines if not _REQUEST.search(line)][-_SHOWN:]:
                warn(f"  {line}")

    def tell_url(self, environ: Mapping[str, str]) -> None:
        """Keep where a stack answers that has such settings."""
        url = address.of_site(environ).url(environ["HEALTH_PATH"])
        self.url_file.write_text(f"{url}\n")

    def recall_settings(self) -> None:
        """Take what serves was started with, whatever the environment and .env say by now."""
        with suppress(OSError, ValueError):  # nothing runs, or another version does
            found = slots.read_environment(self.run_dir / slots.SERVING / slots.ENVIRONMENT)
            for name in filter(_is_recalled, list(os.environ)):
                del os.environ[name]
            os.environ |= {name: found[name] for name in filter(_is_recalled, found)}

    def stop(self) -> None:
        """Stop it, wait for the drain, remove the run directory. Harmless where nothing runs."""
        if pid := self.pid() or self.pid_before():
            for each in proc.stopped(pid):  # it would hear of nothing
                _send(each.pid, signal.SIGCONT)
            _terminate(pid)
            self._wait_for_end(pid)
        if self.marker.exists():
            self._stop_orphans()
            while self.run_dir.exists():
                with suppress(FileNotFoundError):  # another one removes it as well
                    shutil.rmtree(self.run_dir)

    def _stop_orphans(self) -> None:
        # Generations first, which would start their workers again.
        for generation in filter(None, map(self.generation, slots.SLOTS)):
            _terminate(generation)
            self._wait_for_end(generation)
        nginx = os.environ["NGINX_RUN_DIR"]
        self._stop_all(lambda process, _: self._is_of_procfile(process))
        places = (f"unix:{self.run_dir}/worker-", f"unix:{self.run_dir}/observer.sock")
        signs = [os.fsencode(sign) for sign in (*places, f"-p {nginx}/")]
        self._stop_all(
            lambda process, words: (
                any(sign in words for sign in signs) or self._is_orphaned_nginx(process, words)
            )
        )

    def stop_orphans_of(self, slot: str) -> None:
        """Stop what outlived a generation's supervisord, which was killed; wait for the drain."""
        sign = os.fsencode(f"{self.run_dir / slot / HOLD_FILE}\0")
        self._stop_all(lambda _, words: sign in words)

    def _stop_all(self, is_meant: Callable[[Path, bytes], bool]) -> None:
        """Stop the processes that are meant, by where /proc has them and by their command lines."""
        for pid in list(_meant(is_meant)):
            _terminate(pid)
        for pid in list(_meant(is_meant)):
            self._wait_for_end(pid)

    def _is_of_procfile(self, process: Path) -> bool:
        """Whether it is a process of the Procfile, or one that such a process has started."""
        environ = proc.environ(process)
        return procfile.MARK in environ and environ.get("RUN_DIR") == str(self.run_dir)

    def _is_orphaned_nginx(self, process: Path, words: bytes) -> bool:
        """Whether it is nginx's worker and its master was killed: it serves on, and holds the port.

        Its command line does not say whose it is, but it is where it was started.
        """
        if not words.startswith(b"nginx: worker") or _name(process) != "nginx":
            return False
        if (process / "cwd").readlink() != self._root.resolve():
            return False
        parent = _field(process, "PPid")
        return _name(Path("/proc", parent)) != "nginx"

    def _wait_for_end(self, pid: int) -> None:
        limit = 2 * variables.drain_seconds(os.environ) + procfile.grace(os.environ) + 10
        began = time.monotonic()
        deadline = began + limit
        is_told = False
        while proc.runs(pid):
            if not is_told and time.monotonic() > began + _PATIENCE:
                is_told = True
                warn(f"Process {pid} finishes what it has; it is given {limit} s at most.")
            if time.monotonic() > deadline:
                raise CommandError(
                    f"process {pid} did not end within {limit} s; the log is {self.log_file}"
                )
            time.sleep(_PAUSE)


def _is_recalled(name: str) -> bool:
    """Whether commands go by a setting of the stack that runs."""
    names = ("HEALTH_PATH", "BASCULE_GRACEFUL_TIMEOUT", procfile.GRACE, *variables.WORKERS_NAMES)
    return name in names or name.startswith("NGINX_")


def _terminate(pid: int) -> None:
    _send(pid, signal.SIGTERM)
    if proc.state(pid) == proc.STOPPED:
        _send(pid, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _meant(is_meant: Callable[[Path, bytes], bool]) -> Iterator[int]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                if is_meant(process, (process / "cmdline").read_bytes()):
                    yield int(process.name)


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _field(process: Path, name: str) -> str:
    """A field of /proc/PID/status (proc(5)). Raises `OSError` where the process is gone."""
    for line in (process / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""
