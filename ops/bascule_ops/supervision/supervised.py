"""supervisord in this process, with an exit status that says how it went.

``python -P -m bascule_ops.supervision.supervised`` runs the workers in the foreground: the
container's entry point, where it is PID 1 (it reaps orphans), and in local mode each generation of
the server. With the argument ``site`` it is what ``basculectl up`` starts there: nginx, and places
for generations (supervisord-site.conf). It ends when SIGTERM has stopped everything (0); when
nothing serves any more, with the reason that `process_events` left as the last line on standard
error (1); at once when a setting is wrong (2). supervisord itself exits 0 whatever became of its
programs. SIGHUP means new workers, one after another. Where both outputs go to the log file that
``SUPERVISOR_LOG_FILE`` names, SIGUSR2 moves them to the new file of that name (`log_rotation`), and
who writes to the log by way of this process follows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from bascule.told import metrics
from supervisor import events  # type: ignore[import-untyped]

from bascule_ops import files
from bascule_ops.errors import Refused
from bascule_ops.json_log import line
from bascule_ops.procfile import is_process
from bascule_ops.settings import variables
from bascule_ops.settings.directories import check_owner
from bascule_ops.static import publish, source
from bascule_ops.supervision import foreground, log_writing, slots, tries
from bascule_ops.supervision.command import become
from bascule_ops.supervision.log_rotation import reopen_output
from bascule_ops.supervision.process_events import REASON_FILE, REPLACE_ALL
from bascule_ops.supervision.slots import LOG_ROUTE, SITE
from bascule_ops.supervision.trial import HOLD_FILE, is_served, write_numbers


def lead_to_the_log(directory: Path) -> None:
    """Make the way to where standard output and error of this process go, where it is its own."""
    route = directory / LOG_ROUTE
    if str(route) == os.environ["LOG_ROUTE"]:
        route.unlink(missing_ok=True)
        route.symlink_to(f"/proc/{os.getpid()}/fd")


def hold_back_beside_others(directory: Path, run_dir: Path) -> None:
    """Have the workers wait, where others serve: `bascule_ops.generations` tries them first."""
    hold = directory / HOLD_FILE
    if is_served(run_dir):
        hold.touch()
    else:
        hold.unlink(missing_ok=True)
        write_numbers(run_dir, variables.read(os.environ))


def publish_static_files(directory: Path) -> None:
    """Give nginx the static files; beside others that serve, only those that they do not have."""
    found = source.files(os.environ, directory)
    site = variables.directory("NGINX_STATIC_DIR", os.environ)
    if found and not publish.has_place(site):
        why = f"{site} is not there, or user {os.getuid()} may not write to it"
        tell(line("info", "static_files", f"nginx gets no static files: {why}"))
    if (directory / HOLD_FILE).exists():
        publish.add(found, site)
        return
    try:
        publish.put(found, site)
    except OSError as error:  # the application serves without them
        tell(line("error", "static_files", f"nginx lacks static files: {error}"))


def make_way_for_counters(run_dir: Path) -> None:
    """Remove a file of counters that the workers would refuse, such as another version's.

    Those that serve go on counting in what they have mapped.
    """
    file = run_dir / "metrics"
    try:
        metrics.read(file)
    except metrics.MetricsFileError:
        tell(
            line(
                "warning",
                "counters_anew",
                f"{file} is of another version, or broken: it is made anew",
            )
        )
        file.unlink()
    except FileNotFoundError:
        pass


class Options(foreground.Options):
    """supervisord's, which also open what this process itself writes to anew."""

    def get_signal(self) -> int | None:
        """Return what came, but SIGHUP: at supervisord's own reload nobody serves for a while."""
        number: int | None = super().get_signal()
        if number == signal.SIGTERM:
            # All at the same time; supervisord would end one group after another.
            for process in list(self.pidhistory.values()):
                if is_process(process.config.name):
                    process.stop()
        if number != signal.SIGHUP:
            return number
        events.notify(events.RemoteCommunicationEvent(REPLACE_ALL, ""))
        return None

    def kill(self, pid: int, number: int) -> None:
        """Send a signal; whoever is to end goes on for that, if it is stopped (SIGSTOP)."""
        super().kill(pid, number)
        if number in foreground.STOPS:
            with contextlib.suppress(ProcessLookupError):  # it was quick
                super().kill(pid, signal.SIGCONT)

    def reopenlogs(self) -> None:
        """Change to the log's new file; the programs' lines follow, by way of /dev/fd/1 and 2."""
        if path := os.environ.get("SUPERVISOR_LOG_FILE"):
            try:
                reopen_output(path)
            except OSError as error:
                tell(line("error", "log_not_reopened", f"cannot open {path}: {error}"))
            else:
                log_writing.TALLY.begin_anew()
        super().reopenlogs()


def tell(text: str) -> None:
    """Write a line of the log, wherever `sys.stderr` leads; never fails, as on a full disk."""
    log_writing.TALLY.write(2, text.encode())


def prepare() -> None:
    """Give every setting that supervisord.conf reads its value, and make the directories.

    Raises `Refused`.
    """
    environ = os.environ
    for name, default in {
        "PROJECT_DIR": str(Path.cwd()),
        "OPS_PYTHON": sys.executable,
        "PYTHON": sys.executable,
        "RUN_DIR": "/run/bascule",
        "SUPERVISOR_DIR": "/run/supervisor",
    }.items():
        environ.setdefault(name, default)
    environ["PROCESSES_CONF"] = slots.pattern(Path(environ["RUN_DIR"]) / slots.PROCESSES)
    environ.setdefault("LOG_ROUTE", f"{environ['SUPERVISOR_DIR']}/{LOG_ROUTE}")
    variables.read(environ)
    variables.set_defaults(environ)
    for name in ("RUN_DIR", "SUPERVISOR_DIR"):
        check_owner(name, environ[name])
        _make(environ[name])
    # The worker's own deadline ends a drain; supervisor's comes after it.
    environ["SUPERVISOR_STOPWAITSECS"] = str(variables.drain_seconds(environ))


def _make(directory: str) -> None:
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(
            f"cannot make {directory}: give it a place that user {os.getuid()} may write to"
        ) from error
    if not os.access(directory, os.W_OK):
        raise Refused(f"user {os.getuid()} may not write to {directory}: change its owner")


def run() -> int:
    """Run supervisord until it ends; return the exit status.

    Any other arguments are a command, which is run in its place.
    """
    is_site = sys.argv[1:] == [SITE]
    if sys.argv[1:] and not is_site:
        return become(sys.argv[1:])
    configuration = files.SITE if is_site else files.SUPERVISOR
    try:
        prepare()
        os.chdir(os.environ["PROJECT_DIR"])
        directory = Path(os.environ["SUPERVISOR_DIR"])
        reason_file = directory / REASON_FILE
        reason_file.unlink(missing_ok=True)
        lead_to_the_log(directory)
        if not is_site:
            run_dir = Path(os.environ["RUN_DIR"])
            make_way_for_counters(run_dir)
            hold_back_beside_others(directory, run_dir)
            publish_static_files(directory)
    except (Refused, OSError) as error:
        tell(line("critical", "configuration", str(error)))
        return 2
    log_writing.take_over()
    tries.take_over(variables.read(os.environ).start_timeout, directory / HOLD_FILE)
    # It asks for a place for temporary files, and needs none; a full /tmp would end the start.
    tempfile.tempdir = str(directory)
    if complaint := foreground.supervise(Options, configuration):
        tell(line("critical", "configuration", complaint))
        return 2
    if reason_file.exists():
        tell(reason_file.read_text(encoding="utf-8"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
