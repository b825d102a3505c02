"""``tests/foreign/run``: all of them, in both modes, and what came of it as a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

from tests.foreign.all import APPLICATIONS
from tests.foreign.application import Application
from tests.foreign.serve import Environments, served, version, walked
from tests.foreign.site import CONTAINERS, LOCAL
from tests.harness import wheel

RESULTS: Final = Path(__file__).parent / "results.md"
HEAD: Final = """\
# Applications that nobody here wrote

`tests/foreign/run` makes a repository of each by the commands of its own documentation, calls
`basculectl init`, serves it, and uses it through a client of its own. The seconds are those from
`basculectl init` to the first answer, migrations and images included; what pip fetches is in them
in containers only. The machine had other work as well. Nothing of an application is changed. Where
no registry answers, what Wagtail's Dockerfile is built on is a stand-in, with Debian's Python.

"""
COLUMNS: Final = (
    *("application", "framework", "mode", "commands", "s to the first answer"),
    *("what the client did", "what it met"),
)


def main() -> int:
    """Do what is named; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests/foreign/run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="APPLICATION", help="these only")
    parser.add_argument("--mode", choices=(LOCAL.split()[0], CONTAINERS), help="this one only")
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="keep what pip installs there"
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    for name in options.names:
        if name not in APPLICATIONS:
            parser.error(f"there is no {name}: {', '.join(APPLICATIONS)}")
    modes = [each for each in (LOCAL, CONTAINERS) if each.startswith(options.mode or "")]
    rows, are_well = [], True
    # Short, because unix sockets lie below it.
    with tempfile.TemporaryDirectory(prefix="foreign-") as name:
        environments = Environments(options.keep or Path(name), wheel.build(Path(name)))
        for each in options.names or APPLICATIONS:
            for mode in modes:
                row = tried(
                    APPLICATIONS[each], mode, environments, Path(name) / f"{each}-{mode[0]}"
                )
                are_well = are_well and row[-1] == "nothing"
                rows.append(row)
                print(" | ".join(row), flush=True)
    if options.write:
        RESULTS.write_text(HEAD + "".join(f"| {' | '.join(row)} |\n" for row in table(rows)))
    return 0 if are_well else 1


def tried(
    application: Application, mode: str, environments: Environments, root: Path
) -> tuple[str, ...]:
    """Serve it and use it; return the row."""
    venv = environments.of(application)
    names = f"{application.distribution} {version(application, venv)}"
    began = time.monotonic()
    try:
        with served(application, mode, environments, root) as site:
            did = walked(site, application)
    except AssertionError:
        traceback.print_exc()
        seconds = time.monotonic() - began
        return (names, application.framework, mode, "", f"{seconds:.1f}", "", "see what it printed")
    commands = "<br>".join(f"`{each}`" for each in site.commands)
    done = "; ".join(did)
    return (names, application.framework, mode, commands, f"{site.seconds:.1f}", done, "nothing")


def table(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows under their heads."""
    return [COLUMNS, ("---",) * len(COLUMNS), *rows]


if __name__ == "__main__":
    sys.exit(main())
