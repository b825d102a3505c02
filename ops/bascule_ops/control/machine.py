"""Every stack of this machine, found by what runs: no register could go stale.

A stack in local mode is found by its site's supervisord, in /proc; one in containers by the
container that compose has of its server.
"""

from __future__ import annotations

import json
import pwd
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bascule_ops import proc
from bascule_ops.address import Address
from bascule_ops.control import site
from bascule_ops.control.containers import LABEL, ONE_OFF, SERVICE, EngineSilentError, asked
from bascule_ops.control.local import SUPERVISED
from bascule_ops.supervision.slots import SITE

BROKEN: Final = 500  # and above: not what a site answers that is well
_SERVICE: Final = "com.docker.compose.service"
# How the command lines end of a supervisord of a site, and of the server.
_SITE: Final = [SUPERVISED.encode(), SITE.encode(), b""]
_SERVER: Final = [SUPERVISED.encode(), b""]
_NGINX: Final = "nginx"
_TRIES: Final = 3
_INSIDE: Final = ("8080/tcp", "8443/tcp", "8081/tcp")  # nginx's ports in its container


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A stack.

    Attributes:
        directory: its project's; empty where it is another user's, and not to be seen.
        mode: ``local`` or ``docker``.
        url: where it answers; empty where that is not known.
        state: a word or some.
        since: when it was started, or ended, in seconds since the epoch; None: not known.
        remedy: what is to be done about it, as its directory is not where it was.
        ports: those of this machine at which it listens.
    """

    directory: str
    mode: str
    url: str = ""
    state: str
    since: float | None
    remedy: str = ""
    ports: frozenset[int] = frozenset()


def stacks() -> list[Found]:
    """All of them. Raises `EngineSilentError`."""
    return sorted([*local(), *in_containers()], key=lambda each: (each.directory, each.mode))


def told_of(root: Path, *ports: int) -> str:
    """Which other stack than that of `root` has one of the ports, for the end of a message."""
    try:
        found = [
            (port, each)
            for each in stacks()
            for port in ports
            if port in each.ports and each.directory != str(root)
        ]
    except EngineSilentError:
        return ""
    return "".join(
        f"; port {port} is that of the stack of {each.directory} "
        f"({'local mode' if each.mode == 'local' else 'in containers'})"
        for port, each in found[:1]
    )


def local() -> Iterator[Found]:
    """Those in local mode: by the site's supervisord, or by one of the server that outlived it."""
    supervisords = {True: list[Path](), False: list[Path]()}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[-3:] == _SITE or words[-2:] == _SERVER:
                    supervisords[words[-3:] == _SITE].append(process)
    seen = {""}
    for is_site, processes in supervisords.items():
        for process in processes:
            run_dir = _run_dir(process)
            if is_site or run_dir not in seen:
                seen.add(run_dir)
                with suppress(OSError):
                    yield _local(process, is_site)


def _run_dir(process: Path) -> str:
    """Where the stack has its sockets; empty where it is none in local mode, or not to be seen."""
    try:
        environ = proc.environ(process)
    except OSError:
        return ""
    return environ.get("RUN_DIR", "") if environ.get("NGINX_RUN_DIR") else ""


def _local(process: Path, is_site: bool) -> Found:
    since = proc.started(int(process.name))
    try:
        environ = proc.environ(process)
        here = str((process / "cwd").readlink())
    except PermissionError:
        state = f"of {_user(process.stat().st_uid)}, process {process.name}"
        return Found(directory="", mode="local", state=state, since=since)
    there, run_dir = environ.get("PROJECT_DIR", here), Path(environ.get("RUN_DIR", ""))
    state = remedy = ""
    if not Path(here).exists():
        state = "lost directory"
        remedy = f"it is there no more; kill {process.name} ends its stack"
    elif not (Path(there).exists() and Path(there).samefile(here)):
        state = "moved"
        remedy = (
            f"it was {there} when its stack was started, and is looked for there: down, then up"
        )
    elif not run_dir.exists():
        state, remedy = "lost files", f"somebody has removed {run_dir}: down, then up"
    elif not is_site:
        state, remedy = "lost supervisord", "what looked after nginx was killed: up starts it anew"
    url = _read(run_dir / "url")
    ports = {int(environ.get(f"NGINX_{each}PORT", "").removeprefix("off") or 0) for each in _KINDS}
    return Found(
        directory=here.removesuffix(" (deleted)"),
        mode="local",
        url=url,
        state=state or _state(url),
        since=since,
        remedy=remedy,
        ports=frozenset(ports - {0}),
    )


_KINDS: Final = ("", "TLS_", "STATUS_")  # of nginx's ports


def _state(url: str) -> str:
    if not url:
        return "starting"
    status = site.status_of(url)
    if status is None:
        return "does not answer"
    return "serves" if status < BROKEN else f"answers with {status}"


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def in_containers() -> Iterator[Found]:
    """Those in containers, also where they have ended. Raises `EngineSilentError`."""
    if not shutil.which("docker"):
        return
    told = None
    for _ in range(_TRIES):  # one of them may be removed meanwhile
        ids = _listed()
        told = asked(("docker", "inspect", *ids)) if ids else "[]"
        if told is not None:
            break
    projects: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in json.loads(told or "[]"):
        labels = each["Config"]["Labels"]
        projects.setdefault(labels[LABEL], {})[labels[_SERVICE]] = each
    for name, services in projects.items():
        if SERVICE in services:
            yield _in_containers(name, services[SERVICE], services.get(_NGINX))


def _listed() -> list[str]:
    """The ids of what compose has of our servers, and of nginx before them."""
    labels = (LABEL, _SERVICE, ONE_OFF)
    form = "\t".join(["{{.ID}}", *(f'{{{{.Label "{each}"}}}}' for each in labels), "{{.Command}}"])
    listed = ("docker", "ps", "--all", "--no-trunc", "--filter", f"label={LABEL}", "--format", form)
    rows = [row.split("\t") for row in (asked(listed) or "").splitlines()]
    rows = [row for row in rows if row[3] != "True"]
    ours = {row[1] for row in rows if row[2] == SERVICE and SUPERVISED in row[4]}
    return [row[0] for row in rows if row[1] in ours and row[2] in (SERVICE, _NGINX)]


def _in_containers(name: str, server: Mapping[str, Any], nginx: Mapping[str, Any] | None) -> Found:
    directory = server["Config"]["Labels"].get(f"{LABEL}.working_dir", "")
    state = server["State"]
    ports = {inside: _published(nginx, inside) for inside in _INSIDE} if nginx else {}
    at = ports.get(_INSIDE[0])
    remedy = ""
    if not Path(directory).exists():
        remedy = f"it is there no more; docker compose --project-name {name} down ends its stack"
    return Found(
        directory=directory,
        mode="docker",
        url=at.url("/") if at else "",
        state=_state_of(server, nginx),
        since=_moment(state["StartedAt"] if state["Running"] else state["FinishedAt"]),
        remedy=remedy,
        ports=frozenset(each.port for each in ports.values() if each),
    )


def _state_of(server: Mapping[str, Any], nginx: Mapping[str, Any] | None) -> str:
    """What the engine says of both, as far as they are not well."""
    if nginx is None:
        return "nginx is not there"
    words = {"server": _health(server), "nginx": _health(nginx)}
    ill = [f"{name} {word}" for name, word in words.items() if word != "healthy"]
    return ", ".join(ill) if ill else "serves"


def _health(container: Mapping[str, Any]) -> str:
    state = container["State"]
    return str(state.get("Health", {}).get("Status") if state["Running"] else state["Status"])


def _published(nginx: Mapping[str, Any], inside: str) -> Address | None:
    found = (nginx["NetworkSettings"]["Ports"] or {}).get(inside)
    return Address(found[0]["HostIp"], int(found[0]["HostPort"])) if found else None


def _moment(text: str) -> float | None:
    """Docker's time, which has nanoseconds; that of what never was is of the year 1."""
    found = datetime.fromisoformat(f"{text[:19]}+00:00")
    return found.timestamp() if found.year > 1 else None
