"""``basculectl init``: finds a repository's application and writes the files that serve it."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bascule import env_file
from bascule.config import ConfigError

from bascule_ops import procfile
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.errors import CommandError, Refused
from bascule_ops.init import (
    applications,
    compose_version,
    data,
    plan,
    repository,
    requirements,
    static_files,
    upgrade,
)
from bascule_ops.init.applications import Candidate
from bascule_ops.init.named import named
from bascule_ops.init.plan import Findings, Plan
from bascule_ops.init.requirements import Requirements
from bascule_ops.init.sources import Sources

HELP: Final = "write the files that serve a project of your own"
DESCRIPTION: Final = """\
Finds the repository's WSGI application by its files (Flask, Django, Bottle, Falcon, Pyramid, or any
callable), its requirements and its static files; nothing of it is imported. Then writes

  compose.yaml, Dockerfile    two images, nginx and server
  chain.toml                  the application and its middleware, for both ways to run
  .dockerignore, .env.example

No file is overwritten. Beside a compose file of yours goes an override with two more services, and
beside a Dockerfile of yours one that is built on its image."""
EPILOG: Final = """\
Exit status 0: written. 1: no application was found, or nothing can be written. 2: wrong call, or
what is there leaves no place for it. Then nothing has been written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--app",
        metavar="MODULE:CALLABLE",
        help="the application, such as shop.wsgi:application or shop:create_app() (default: the "
        "best that is found)",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or DIRECTORY/ of the project that the application writes, for the volume in "
        "containers; may be given several times (default: what the settings of Django and Flask "
        "say)",
    )
    parser.add_argument(
        "--bascule",
        type=Path,
        metavar="WHEEL",
        help="have the images install this wheel of Bascule, not the package index's",
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="show what this version of Bascule would write, and bring in what you have not "
        "changed; name --bascule again where a wheel was named",
    )


def run(options: argparse.Namespace, project: Project) -> int:
    """Write them; return the exit status."""
    root = project.root
    there = repository.look(root)
    _check(there, options.upgrade)
    wheel = _wheel(options.bascule)
    sources = Sources(root)
    found = applications.find(sources)
    chosen = _chosen(root, sources, found, options.app)
    needs = requirements.find(root)
    static = static_files.find(sources, chosen)
    named_data = [*options.data, *data.linked(root / there.our_dockerfile)]
    written = data.find(sources, chosen, named_data)
    names_contexts = there.has_dockerfile and compose_version.names_contexts()
    media = data.media(sources, chosen, named_data)
    names, left = repository.of_procfile(there)
    findings = Findings(
        *(chosen, needs, static, written, media, sources.is_src, wheel, names_contexts, names)
    )
    planned = plan.make(there, findings)
    if options.upgrade:
        _upgrade(planned)
        return 0
    new, kept = planned.parts()
    planned.write()
    _tell_found(chosen, [each for each in found if each is not chosen])
    if not there.has_dockerfile:
        _tell_requirements(needs)
    if static.named:
        say(f"Static files: {static.told} (nginx serves them under /static/)")
    if written:
        say(f"Data: {', '.join(written)} (in containers they are in the volume data)")
    if media:
        say(f"Media: {media} (nginx serves it under /media/; in containers it is a volume)")
    _tell_processes(there, names, left)
    _tell_written(planned, there, new, kept)
    for key, value in (("static", static.named), ("media", media.rstrip("/"))):
        if value and key not in _chain(root):
            say(f"Add to chain.toml, above its links: {key} = {json.dumps(value)}")
    _tell_next(root)
    _tell_compose_files(root, there)
    return 0


def _check(there: repository.Repository, is_upgrade: bool) -> None:
    """Raise `CommandError` where it has been done, or for an upgrade where it has not."""
    if there.ours and not is_upgrade:
        raise CommandError(
            f"it has been done here: {' and '.join(there.ours)} came of it. --upgrade brings them "
            "to this version; to begin anew, remove them first"
        )
    if is_upgrade and not there.ours:
        raise CommandError(
            f"there is nothing to upgrade in {there.root}: call it without --upgrade"
        )


def _chain(root: Path) -> dict[str, Any]:
    """What a chain that is there says; nothing where none is, or none can be read."""
    try:
        return tomllib.loads((root / "chain.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _upgrade(planned: Plan) -> None:
    """Bring in what nobody has changed; show all of it."""
    new, _ = planned.parts()
    found = list(upgrade.changes(planned))
    planned.write()
    for change in found:
        say(change.diff())
        if change.is_untouched:
            upgrade.apply(planned, change)
    done = [*new, *(each.name for each in found if each.is_untouched)]
    left = [each.name for each in found if not each.is_untouched]
    if done:
        say(f"Written: {', '.join(done)}")
    if left:
        say(f"Changed by you, and left as they are: {', '.join(left)}; above is what would change")
    if not (done or left):
        say("All is as this version writes it.")


def _wheel(path: Path | None) -> Path | None:
    if path is None:
        return None
    if not (path.is_file() and re.fullmatch(r"bascule-[\w.!+]+-py3-none-any\.whl", path.name)):
        raise Refused(f'--bascule is "{path}": name the file bascule-VERSION-py3-none-any.whl')
    return path


def _chosen(root: Path, sources: Sources, found: list[Candidate], target: str | None) -> Candidate:
    """The one that is named, on the command line or in a chain that is there; else the best."""
    if target:
        return named(sources, "--app", target, found)
    if target := str(_chain(root).get("application", "")):
        return named(sources, "the application of chain.toml", target, found)
    if candidate := _of_web(root, sources, found):
        return candidate
    return best(root, sources, found)


def _of_web(root: Path, sources: Sources, found: list[Candidate]) -> Candidate | None:
    """What the Procfile's web serves, where that can be told."""
    target = procfile.target(procfile.read(root), root)
    if target and ":" not in target:
        return next((each for each in found if each.target.partition(":")[0] == target), None)
    with suppress(Refused):
        return named(sources, "web of the Procfile", target, found) if target else None
    return None


def best(root: Path, sources: Sources, found: list[Candidate]) -> Candidate:
    """The first; raises `CommandError` where there is none."""
    if found:
        _check_place(root, found[0])
        return found[0]
    for path in sorted(root.glob("*/manage.py")):
        raise CommandError(
            f"no WSGI application is here, but {path.relative_to(root)} is: call it in "
            f"{path.parent.name}/"
        )
    for each in applications.with_arguments(sources):
        raise CommandError(
            f"{each} needs arguments: name it with them, such as --app '{each}(\"production\")'"
        )
    where = f"{len(sources.modules)} Python modules" if sources.modules else "no Python module"
    raise CommandError(
        f"no WSGI application found ({where} in {root}): name it with --app MODULE:CALLABLE, such "
        "as --app shop.wsgi:application or --app 'shop:create_app()'"
    )


def _check_place(root: Path, chosen: Candidate) -> None:
    """Raise `CommandError` where it is of a project in a directory of the repository."""
    if requirements.find(root).told:
        return
    for place in [each for each in chosen.path.parents if each.name]:
        if told := requirements.find(root / place).told:
            raise CommandError(
                f"{chosen.target} is here, but its requirements are in {place / told}: call it in "
                f"{place}/, or name the application with --app"
            )


def _tell_found(chosen: Candidate, others: list[Candidate]) -> None:
    kind = "WSGI" if chosen.framework == applications.PLAIN else chosen.framework
    say(f"Application: {chosen.target} ({kind}, {chosen.path})")
    for each in others:
        say(f"  not taken: {each.target} ({each.path}); --app {shlex.quote(each.target)} takes it")


def _tell_requirements(needs: Requirements) -> None:
    if not needs.told:
        say("Requirements: none found; a requirements.txt or a pyproject.toml would have them")
    elif needs.needs_all:
        say(f"Requirements: {needs.told}, which needs the whole project: each build installs them")
    else:
        say(f"Requirements: {needs.told}")


def _tell_processes(
    there: repository.Repository, names: Sequence[str], left: Sequence[str]
) -> None:
    if names:
        say(f"Procfile: {', '.join(names)} (a service each)")
    for name in left:
        say(
            f"Procfile: {name} is not taken, since {there.compose_file} has a service of that "
            "name; give it another one there, and call init --upgrade"
        )


def _tell_written(
    planned: Plan, there: repository.Repository, new: list[str], kept: list[str]
) -> None:
    say(f"Written: {', '.join(new)}")
    if kept:
        say(f"Kept as they are: {', '.join(kept)}")
    if planned.wheel:
        say(f"Copied: {plan.WHEELS}/{planned.wheel.name}, which git passes over")
    if there.has_dockerfile:
        say("The server's image is built on that of your Dockerfile; its command is not run.")


def _tell_next(root: Path) -> None:
    if (root / "manage.py").exists():
        migrate = "docker compose run --build --rm server python3 manage.py migrate"
        say(f"Next: {migrate}")
        say("      docker compose up --build --detach --wait && curl localhost")
        say("  or: python manage.py migrate && basculectl up --local, without containers")
        return
    say("Next: docker compose up --build --detach --wait && curl localhost")
    say("  or: basculectl up --local, without containers")


def _tell_compose_files(root: Path, there: repository.Repository) -> None:
    """Say what else is to be done where compose is told by name what it reads."""
    try:
        named = os.environ.get("COMPOSE_FILE") or env_file.read(root / ".env", {})["COMPOSE_FILE"]
    except (KeyError, OSError, ConfigError):
        return
    if there.our_compose_file not in re.split("[:,]", named):
        say(f'Compose reads what COMPOSE_FILE names, "{named}": add {there.our_compose_file} to it')
