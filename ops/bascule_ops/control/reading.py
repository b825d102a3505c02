"""``basculectl logs``, ``requests``, ``slow`` and ``report``: what the stack's log says."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from bascule_ops import files, proc
from bascule_ops.arguments import checked
from bascule_ops.control.output import say, warn
from bascule_ops.control.project import Project
from bascule_ops.control.stack import find, not_running
from bascule_ops.errors import CommandError, Refused
from bascule_ops.logs import arguments, requests, show, slow, visits
from bascule_ops.logs.files import Files, rotated
from bascule_ops.logs.source import Compose, Source
from bascule_ops.program import named
from bascule_ops.supervision import log_rotation

KEPT: Final = 5  # files that a rotation keeps
_STATUS: Final = (
    "Exit status 0: done. 1: no stack, or a file cannot be read or written. 2: wrong call."
)


def stack_log(project: Project) -> Source:
    """The log of the stack that runs. Raises `CommandError` where none does."""
    stack = find(project)
    match stack.mode:
        case "local":
            return Files(rotated(stack.local.log_file), stack.local.pid() or 0)
        case "docker":
            return Compose(project.root, project.environ)
    raise CommandError(f"{not_running()}. A saved log is read with --file")


class LogsCommand:
    """Shows the stack's log, or puts it aside."""

    HELP: Final = "show the log, or the story of one request"
    DESCRIPTION: Final = """\
Shows the log of nginx, the workers, the application and the supervisor: lines for a person on a
terminal, one JSON object a line where the output goes elsewhere. NO_COLOR=1 leaves the
colours out."""
    EPILOG: Final = """\
Exit status 0: done. 1: no such request, no stack, or the log cannot be read. 2: wrong call."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        show.add_arguments(parser)
        group = parser.add_argument_group("local mode")
        group.add_argument(
            "--rotate",
            action="store_true",
            help="put the log aside as .run/bascule.log.1 and go on in a new file, without losing "
            "a line",
        )
        group.add_argument(
            "--keep",
            type=checked(_number_of_files),
            metavar="N",
            help=f"with --rotate: keep N such files (default: {KEPT})",
        )

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Show it; return the exit status."""
        if options.rotate:
            return _rotate(options, project)
        if options.keep:
            raise Refused("--keep goes with --rotate only")
        return show.run(options, lambda: stack_log(project))


class RequestsCommand:
    """Says which requests fail, which are slow, since when, and whose they are."""

    HELP: Final = "say which requests fail, which are slow, and whose they are"
    DESCRIPTION: Final = """\
Counts the requests in the log, grouped: how many, the shares of 4xx and 5xx, within how long
50, 95, 99 and 100 of a hundred were answered, bytes sent, the first and the last, and how
it went over the time. Those with the most 5xx come first, then those that took most time.
The lines are nginx's, who knows what the client saw; the workers' where nginx has none."""
    EPILOG: Final = _STATUS
    add_arguments = staticmethod(requests.add_arguments)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Tell; return the exit status."""
        return requests.run(options, lambda: stack_log(project))


class SlowCommand:
    """Says where the application blocks."""

    HELP: Final = "say in which lines the application waits"
    DESCRIPTION: Final = """\
Shows in which lines of the application calls were found to wait: by the samples that workers
take of slow calls (one a second each, at most), and by requests that hung. The shares say
where the time goes."""
    EPILOG: Final = _STATUS
    add_arguments = staticmethod(slow.add_arguments)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Tell; return the exit status."""
        return slow.run(options, lambda: stack_log(project))


class ReportCommand:
    """Writes GoAccess's report."""

    HELP: Final = "write GoAccess's report about the requests in the log"
    DESCRIPTION: Final = """\
Writes GoAccess's report (https://goaccess.io) about the requests in the log into a file: one page
that needs nothing else. It needs the program goaccess (Debian: the package goaccess)."""
    EPILOG: Final = """\
Exit status 0: done. 1: no stack, no GoAccess, or the log cannot be read. 2: wrong call."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument(
            "out", nargs="?", default="report.html", metavar="OUT.html", help="(report.html)"
        )
        arguments.add_log(parser, "the whole log")
        arguments.add_filters(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Write it; return the exit status."""
        if not shutil.which("goaccess"):
            raise CommandError("GoAccess is not installed: it is in Debian's package goaccess")
        # In a file of its own first: a report that fails must not replace the one before it.
        with tempfile.TemporaryDirectory() as directory:
            report = _report(options, project, Path(directory))
            try:
                Path(options.out).write_bytes(report)
            except OSError as error:
                raise CommandError(f"cannot write {options.out}: {error.strerror}") from error
        say(f"The report is in {options.out}.")
        return 0


def _report(options: argparse.Namespace, project: Project, directory: Path) -> bytes:
    lines = visits.lines(options, lambda: stack_log(project))
    words = ("--no-global-config", f"--config-file={files.GOACCESS}", "--output=report.html")
    with (directory / "log").open("wb+") as log, (directory / "goaccess.log").open("wb") as told:
        log.writelines(lines)
        log.seek(0)
        done = subprocess.run(
            ["goaccess", "-", *words],
            cwd=directory,
            stdin=log,
            stdout=told,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        for line in (directory / "goaccess.log").read_text(errors="replace").splitlines()[-5:]:
            warn(line)
        raise CommandError("GoAccess could not read the log; its message is above")
    return (directory / "report.html").read_bytes()


def _number_of_files(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999:
        raise ValueError(f'it is "{text}": give it a number of files, 1 to 999')
    return int(text)


def _rotate(options: argparse.Namespace, project: Project) -> int:
    keep = options.keep or KEPT
    others = [word for word in options.words if word.startswith("-")]
    for word in others:
        if word.partition("=")[0] not in ("--rotate", "--keep"):
            raise Refused(f"{word} does not go with --rotate; see {named('logs')} --help")
    stack = find(project)
    match stack.mode:
        case "local":
            try:
                rotation = log_rotation.rotate(stack.local.log_file, keep, stack.local.pid() or 0)
            except log_rotation.RotationError as error:
                raise CommandError(str(error)) from error
            return _tell_rotated(rotation, stack.local.run_dir)
        case "docker":
            raise CommandError(
                "the engine rotates the containers' logs by itself: LOG_MAX_SIZE and "
                "LOG_MAX_FILES in .env"
            )
    raise CommandError(not_running())


def _tell_rotated(rotation: log_rotation.Rotation, run_dir: Path) -> int:
    """Say where the log so far is, and whether all of it is there; return the exit status."""
    aside, late = rotation
    lost = log_rotation.lost(run_dir)
    if late:
        say(f"The log so far is in {aside}.")
        for part in late:
            why = proc.why_silent(part.pid) or f"process {part.pid}"
            warn(f"{named('logs')}: {part.name} still writes to it ({why})")
        return 1
    if lost is None:
        say(f"The log so far is in {aside}.")
        warn(f"{named('logs')}: supervisord does not tell whether it has every line")
        return 1
    if not lost["lines"]:
        say(f"The log so far is in {aside}; it is complete.")
    else:
        say(f"The log so far is in {aside}.")
        words = f"at least {lost['lines']} lines are missing in it: {lost['last_why']}"
        warn(f"{named('logs')}: {words}")
    if not os.statvfs(run_dir).f_bavail:
        warn(f"{named('logs')}: the disk is full, so the new file takes no line: make room")
        return 1
    return 1 if lost["lines"] else 0
