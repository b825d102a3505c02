"""``basculectl dev``: serves the project while it is written."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bascule.config import CHAIN_ENTRY, ConfigError, build
from bascule.errors import StartError
from bascule_middleware import chain
from bascule_middleware.chain import ChainError

from bascule_ops import front
from bascule_ops.control import init
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.errors import CommandError, Refused
from bascule_ops.init import applications
from bascule_ops.init.sources import Sources
from bascule_ops.static import source

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

PORT: Final = 8000
HELP: Final = "serve the project while you write it"
DESCRIPTION: Final = """\
Serves the project's application right here: no nginx, no supervisor, one process. What is saved is
served within a second, templates and static files too. An error is a page in the browser of this
machine, and in the terminal; the next save mends it. breakpoint() works, best with --threads 1.

What is served is what `up` serves: BASCULE_APP, BASCULE_CHAIN, chain.toml; where there is none,
what `init` would find. --app goes before all of them."""
EPILOG: Final = """\
Settings come from the environment and from the project's file .env, and are read once. What
BASCULE_MAX_REQUESTS, BASCULE_MAX_MEMORY and BASCULE_TIMEOUT say does not count here.

Exit status 0: ended by Ctrl-C. 1: it cannot listen there. 2: wrong arguments or settings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--app",
        metavar="MODULE:CALLABLE",
        help="the application, such as shop.wsgi:application or shop:create_app()",
    )
    parser.add_argument(
        *("-b", "--bind"),
        metavar="ADDRESS",
        help=f"PORT of 127.0.0.1, HOST:PORT, or :PORT for every address (default: $PORT of "
        f"127.0.0.1, else {PORT})",
    )
    parser.add_argument(
        "--threads", metavar="N", help="calls at the same time (default: BASCULE_THREADS, else 8)"
    )


def run(options: argparse.Namespace, project: Project) -> int:
    """Serve until told to stop; return the exit status."""
    # The server, for which no other command has a use.
    from bascule import reload  # noqa: PLC0415
    from bascule.command import lead_logs  # noqa: PLC0415

    project.load_env()
    os.chdir(project.root)
    application = _application(project.root, options.app)
    flags = {"bind": [options.bind or os.environ.get("PORT") or str(PORT)]}
    if options.threads:
        flags["threads"] = [options.threads]
    try:
        config = build(application, flags, os.environ)
        lead_logs(config)
    except ConfigError as error:
        raise Refused(str(error)) from error
    places = _places(project.root)

    def dressed(given: WSGIApplication) -> WSGIApplication:
        found = front.of_django(given)
        if found is None and (project.root / "static").is_dir():
            places.setdefault("static", project.root / "static")
        return front.Files(found or given, places)

    try:
        return reload.run(config, dressed)
    except StartError as error:
        raise CommandError(f"{error}; --bind PORT takes another port") from error


def _application(root: Path, given: str | None) -> str:
    """What is to be served."""
    if application := given or os.environ.get("BASCULE_APP"):
        return application
    if path := chain.find(root, os.environ.get("BASCULE_CHAIN", "")):
        os.environ["BASCULE_CHAIN"] = str(path)
        with suppress(ChainError):  # for the server to say
            say(f"Application: {chain.load(path).application} ({os.path.relpath(path, root)})")
        return CHAIN_ENTRY
    sources = Sources(root)
    found = init.best(root, sources, applications.find(sources))
    if sources.is_src:
        os.environ["BASCULE_PYTHONPATH"] = str(root / "src")
    say(f"Application: {found.target} ({found.path}, without a chain file)")
    return found.target


def _places(root: Path) -> dict[str, Path]:
    """The directories of files that nginx would serve, by the first part of their paths."""
    named = {
        "static": source.static(os.environ),
        "media": os.environ.get("MEDIA_DIR") or source.media(os.environ),
    }
    return {part: root / place for part, place in named.items() if place}
