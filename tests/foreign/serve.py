"""From nothing to a client's walk: one application in one mode."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path

from tests.foreign.application import Application
from tests.foreign.images import ensure
from tests.foreign.site import (
    CONTAINERS,
    VERSIONS,
    CommandError,
    Site,
    clock,
    inherited,
    new_files,
    run,
)
from tests.harness import repositories


@dataclass(frozen=True, slots=True)
class Environments:
    """Virtual environments that applications share from one mode to the other.

    Attributes:
        place: where they are.
        wheel: Bascule's own.
    """

    place: Path
    wheel: Path

    def of(self, application: Application) -> Path:
        """The one that is active in its repository, as its documentation has it."""
        packages = (application.distribution, *application.packages, str(self.wheel))
        return self._made(application.distribution, *packages)

    def of_client(self, application: Application) -> Path:
        """That of its client."""
        return self._made(f"{application.distribution}-client", *application.clients)

    def _made(self, name: str, *packages: str) -> Path:
        venv = self.place / name
        if not venv.exists():
            run(sys.executable, "-m", "venv", str(venv), cwd=self.place, environment=inherited())
            if packages:
                pip = (str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet")
                pinned = ("--constraint", str(VERSIONS))
                run(*pip, *pinned, *packages, cwd=self.place, environment=inherited())
        return venv


def version(application: Application, venv: Path) -> str:
    """The version that is installed."""
    (place,) = venv.glob(f"lib/python3*/site-packages/{application.distribution}-*.dist-info")
    return PathDistribution(place).version


@contextmanager
def served(
    application: Application, mode: str, environments: Environments, root: Path
) -> Iterator[Site]:
    """A site that answers; nothing of it is left.

    Raises `AssertionError` where `basculectl init` leaves anything that git sees and should not.
    """
    root.mkdir(parents=True)
    venv, clients = environments.of(application), environments.of_client(application)
    site = Site(root, mode, venv, clients)
    application.make(site)
    repositories.commit(root)
    try:
        if mode == CONTAINERS:
            for image in application.base_images:
                ensure(image)
        with clock(site):
            init = ("basculectl", "init", *application.init)
            said = site.shell(*init, "--bascule", str(environments.wheel))
            site.commands[-1] = " ".join(site.commands[-1].split(" --bascule ")[:1])
            _check(site, said)
            if application.settings:
                lines = [f"{name}={value}\n" for name, value in application.settings.items()]
                (root / ".env").write_text("".join(lines))
            application.before(site)
            seen = new_files(site)
            site.up()
        since = set(new_files(site)) - set(seen)
        assert not [each for each in since if not each.startswith(application.written)], since
        yield site
    finally:
        with suppress(CommandError):
            site.down()


def _check(site: Site, said: str) -> None:
    """Its files, all of them said, and nothing else."""
    new = set(new_files(site)) - {".env"}
    told = said.partition("Written: ")[2].splitlines()[0].split(", ")
    assert new == set(told), f"git sees {sorted(new)}, and said is {told}"


def walked(site: Site, application: Application) -> Sequence[str]:
    """What the client did; its `AssertionError` has the end of the log."""
    try:
        return application.walk(site)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{site.log()}") from error
