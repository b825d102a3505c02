"""The files that serve a repository's application: their texts, then all of them or none."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bascule.version import __version__

from bascule_ops.init import data
from bascule_ops.init.applications import Candidate
from bascule_ops.init.repository import MARK, Repository
from bascule_ops.init.requirements import Requirements
from bascule_ops.init.static_files import StaticFiles
from bascule_ops.procfile import RELEASE, setting
from bascule_ops.static.source import IN_IMAGE

TEMPLATES: Final = Path(__file__).parent / "templates"
WHEELS: Final = ".bascule"  # in the build's context; git is told to pass it over
_BASE: Final = "BASE_IMAGE: ${BASE_IMAGE:-debian:trixie-slim}"
_WORD: Final = re.compile("@([A-Z_]+)@")
_APPLICATION: Final = "${COMPOSE_PROJECT_NAME}-server-base"
_SERVER_BASE: Final = f"""
  # The image of your Dockerfile, which server's is built on; there is no container of it.
  server-base:
    image: {_APPLICATION}
    pull_policy: never
    build: .
    scale: 0"""

_DEV_SETTINGS: Final = """\
# The service for development: its port of the loopback address, and whose the code is there.
# Yours, as id -u and id -g say.
DEV_PORT=8000
DEV_UID=1000
DEV_GID=1000"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to serve.

    Attributes:
        candidate: the application.
        requirements, static_files: what belongs to it.
        data, media: what it writes, as `data` has it.
        is_src: its packages are in ``src/``.
        wheel: Bascule's own, instead of the package index's.
        names_contexts: whether this machine's compose builds one image on another by a named
            context; older ones go by the order of the services.
        procfile: the names that a service is to be for.
    """

    candidate: Candidate
    requirements: Requirements
    static_files: StaticFiles
    data: Sequence[str]
    media: str
    is_src: bool
    wheel: Path | None
    names_contexts: bool
    procfile: Sequence[str]


@dataclass(slots=True)
class Plan:
    """What is to be there.

    Attributes:
        root: where the repository is.
        wheel: of Bascule's own, to be copied there.
        texts: by the files' names, relative to the repository.
    """

    root: Path
    wheel: Path | None
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        """Add a file; its first line has the version, and a digest of all others."""
        first, _, rest = text.partition("\n")
        self.texts[name] = f"{first[:-1]} ({_digest(rest)}).\n{rest}"

    def parts(self) -> tuple[list[str], list[str]]:
        """The names of what is not there yet, and of what is."""
        there = [name for name in self.texts if (self.root / name).exists()]
        return [name for name in self.texts if name not in there], there

    def write(self) -> None:
        """Write what is not there. Raises `OSError`, and then nothing is left."""
        made: list[Path] = []
        try:
            for name in self.parts()[0]:
                # "x": what somebody else has made since is not overwritten.
                with (self.root / name).open("x", encoding="utf-8") as file:
                    made.append(self.root / name)
                    file.write(self.texts[name])
            if self.wheel:
                self._take(self.wheel)
        except OSError:
            for path in made:
                path.unlink()
            raise

    def _take(self, wheel: Path) -> None:
        """Put the wheel into the build's context, where git does not see it."""
        place = self.root / WHEELS
        is_new = not place.exists()
        try:
            place.mkdir(exist_ok=True)
            (place / ".gitignore").write_text("*\n")
            shutil.copyfile(wheel, place / wheel.name)
        except OSError:
            if is_new:
                shutil.rmtree(place, ignore_errors=True)
            raise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digests(text: str) -> tuple[str, str]:
    """Of a file of ours, that of what was written and that of what it is now; else both empty."""
    first, _, rest = text.partition("\n")
    written = re.search(r"\(([0-9a-f]{12})\)\.$", first) if MARK in first else None
    return (written[1], _digest(rest)) if written else ("", "")


def make(repository: Repository, findings: Findings) -> Plan:
    """The files for what was found."""
    plan = Plan(repository.root, findings.wheel)
    plan.add(repository.our_compose_file, _compose(repository, findings))
    plan.add(repository.our_dockerfile, _dockerfile(repository, findings))
    plan.add("chain.toml", _chain(findings))
    if repository.has_dockerfile:  # .dockerignore is for theirs
        plan.add(f"{repository.our_dockerfile}.dockerignore", _filled("dockerignore.bascule"))
    else:
        written = filter(None, (*findings.data, findings.media))
        kept = "\n".join(f"/{each.rstrip('/')}" for each in written)
        plan.add(".dockerignore", _filled("dockerignore", DATA=kept))
    settings = findings.static_files.settings
    django = (
        f"# Django's settings, also when the image is built.\nDJANGO_SETTINGS_MODULE={settings}"
    )
    plan.add(
        ".env.example",
        _filled(
            "env.example",
            DEV="" if repository.has_dockerfile else _DEV_SETTINGS,
            DJANGO=django if settings else "",
        ),
    )
    return plan


def _chain(findings: Findings) -> str:
    target, static = findings.candidate.target, findings.static_files
    quoted = f"'{target}'" if '"' in target and "'" not in target else json.dumps(target)
    words = {"TARGET": quoted}
    for key, value in (("static", static.named), ("media", findings.media.rstrip("/"))):
        words[key.upper()] = f"{key} = {json.dumps(value)}" if value else f'# {key} = "{key}"'
    return _filled("chain.toml", **words)


def _compose(repository: Repository, findings: Findings) -> str:
    words: dict[str, str] = {"DOCKERFILE": repository.our_dockerfile, "BASE": _BASE}
    if settings := findings.static_files.settings:
        words["DJANGO"] = "    DJANGO_SETTINGS_MODULE:"
        name = "DJANGO_SETTINGS_MODULE"
        words["DJANGO_SERVER"] = f"      {name}: ${{{name}:-{settings}}}"
    if findings.data:
        words["DATA"] = f"      # What the application writes.\n      - data:{data.PLACE}"
        words["DATA_VOLUME"] = "  data:"
    if repository.has_dockerfile:
        words["SERVER_BASE"] = _SERVER_BASE
        words["BASE"] = f"APPLICATION: {_APPLICATION}"
        if findings.names_contexts:
            words["BASE"] = "APPLICATION: application"
            words["CONTEXTS"] = "  additional_contexts:\n    application: service:server-base"
    else:
        words |= {"DEV": _dev(findings, words), "DEV_USER": "    DEV_UID:\n    DEV_GID:"}
        words["DEV_VOLUME"] = "  dev-data:" if _written_in_development(findings) else ""
    depends = ["server-base: {condition: service_started}"] if repository.has_dockerfile else []
    if findings.procfile:
        words |= _of_procfile(findings, words, depends)
    if RELEASE in findings.procfile:
        depends.append("release: {condition: service_completed_successfully}")
    words["DEPENDS"] = _depending(depends)
    return _filled("compose.yaml", **words)


def _dev(findings: Findings, words: Mapping[str, str]) -> str:
    """The service in which the project is developed."""
    requirements = findings.requirements
    files = [requirements.told] if requirements.needs_all else requirements.files
    watched = "\n".join(f"        - path: {each}\n          action: rebuild" for each in files)
    own = {"WATCHED": watched}
    if "DJANGO_SERVER" in words:
        own["DJANGO_ENVIRONMENT"] = f"    environment:\n{words['DJANGO_SERVER']}"
    if _written_in_development(findings):
        own["DATA"] = f"    volumes:\n      - dev-data:{data.PLACE}"
    return _filled("dev", **own)


def _written_in_development(findings: Findings) -> list[str]:
    """What the application writes; there is no nginx which would serve some of it."""
    return [*findings.data, *filter(None, [findings.media])]


def _depending(conditions: Sequence[str]) -> str:
    return "\n".join(
        ["    depends_on:", *(f"      {each}" for each in conditions)] if conditions else []
    )


def _of_procfile(
    findings: Findings, words: Mapping[str, str], depends: Sequence[str]
) -> dict[str, str]:
    """The services of what the Procfile has beside web."""
    indented = {
        "DJANGO_PROCESS": words.get("DJANGO_SERVER", "")[2:],
        "DATA_PROCESS": words.get("DATA", "").replace("      ", "    "),
    }
    texts = [
        _filled("release.yaml", DEPENDS=_depending(depends))
        if name == RELEASE
        else _filled("process.yaml", NAME=name, SETTING=setting(name))
        for name in findings.procfile
    ]
    # Each begins with an empty line.
    return {
        "PROCESS_BASE": _filled("processes.yaml", **indented),
        "PROCESSES": "".join(texts),
    }


def _dockerfile(repository: Repository, findings: Findings) -> str:
    wheel, static = findings.wheel, findings.static_files
    is_on_theirs = repository.has_dockerfile
    words = {
        "BASCULE": f"/opt/{wheel.name}" if wheel else f"bascule=={__version__}",
        "COPY_WHEEL": f"COPY {WHEELS}/{wheel.name} /opt/" if wheel else "",
        "NGINX_FILES": _filled("nginx_files"),
        "SERVER": _filled("server"),
        "STATIC": _static(static.settings),
        "DATA": _data(findings.data, findings.media),
    }
    if static.settings:
        words["COPY_STATIC"] = f"COPY --from=project {IN_IMAGE} {IN_IMAGE}"
    if not is_on_theirs:
        words |= _packages(findings)
    written = _written_in_development(findings)
    place = f" {data.PLACE}" if written else ""
    words["DEV"] = _filled("dev_target", DATA=_data(written, ""), DATA_PLACE=place)
    words["NGINX"] = _filled("nginx", **words)
    return _filled("on_theirs.dockerfile" if is_on_theirs else "own.dockerfile", **words)


def _static(settings: str) -> str:
    """What collects Django's static files; others are in the project."""
    if not settings:
        return ""
    return f"""\
ARG DJANGO_SETTINGS_MODULE={settings}
# What nginx serves under /static/.
# What else the settings ask for goes before it: RUN SECRET_KEY=none python3 ...
RUN python3 -m bascule_ops.static.collect {IN_IMAGE} && chmod -R a+rX {IN_IMAGE}"""


def _data(paths: Sequence[str], media: str) -> str:
    """What has the application's own files lead to the volumes."""
    links = {each.rstrip("/"): f"{data.PLACE}/{each.rstrip('/')}" for each in paths}
    made = {f"{data.PLACE}/{each}" if each.endswith("/") else data.PLACE for each in paths}
    if media:
        links[media.rstrip("/")] = data.MEDIA
    if not links:
        return ""
    for name, there in links.items():
        made |= {str(Path(name).parent), str(Path(there).parent)}
    commands = [
        f"rm -rf {shlex.join(links)}",
        f"mkdir -p {shlex.join(sorted(made - {'.'}))}",
        *(f"ln -s {shlex.join((there, name))}" for name, there in links.items()),
        *([f"chown -R 10001:10001 {data.PLACE}"] if paths else []),
    ]
    return "# What the application writes is in a volume.\nRUN " + " \\\n    && ".join(commands)


def _packages(findings: Findings) -> Mapping[str, str]:
    """What installs the requirements: before the code is there, where that is possible."""
    requirements = findings.requirements
    lines = [f"COPY {each} {Path(each).parent}/" for each in requirements.files]
    install = []
    if requirements.needs_all:
        install = ["ARG PIP_INDEX_URL", "ARG PIP_EXTRA_INDEX_URL"]
        install += [f"RUN {each}" for each in requirements.commands]
    else:
        lines += [f"RUN {each}" for each in requirements.commands]
    if findings.candidate.needs_install and not requirements.needs_all:
        install = ["ARG PIP_INDEX_URL", "ARG PIP_EXTRA_INDEX_URL"]
        install += ["RUN /opt/bascule/venv/bin/pip install --no-cache-dir --no-deps ."]
    if findings.is_src:
        lines.append(
            "RUN echo /srv/src >$(echo /opt/bascule/venv/lib/python3*/site-packages)/src.pth"
        )
    return {
        "REQUIREMENTS": "\n".join(lines),
        "INSTALL": "\n".join(install),
        "VENV_FROM": "project" if install else "packages",
    }


def _filled(template: str, **words: str) -> str:
    """A template, with the words in their places; a line that had nothing but an empty one goes."""
    words["MARK"] = f"{MARK}, of Bascule {__version__}; yours to change."
    lines = []
    for line in (TEMPLATES / template).read_text(encoding="utf-8").splitlines():
        filled = _WORD.sub(lambda match: words.get(match[1], "").rstrip("\n"), line)
        if filled.strip() or filled == line:
            lines.append(filled)
    return "\n".join([*lines, ""])
