"""Some of the applications in local mode; `tests/foreign/run` has all, in containers as well."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.foreign.application import Application
from tests.foreign.pypiserver import PYPISERVER
from tests.foreign.radicale import RADICALE
from tests.foreign.serve import Environments, served, walked
from tests.foreign.site import LOCAL
from tests.harness import wheel

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """Virtual environments, with the wheel that stands for the package index."""
    place = tmp_path_factory.mktemp("foreign")
    return Environments(place, wheel.build(place))


@pytest.fixture
def root() -> Iterator[Path]:
    """Where the repository is to be: short, because unix sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="foreign-") as name:
        yield Path(name) / "site"


@pytest.mark.parametrize(
    "application", [pytest.param(each, id=each.distribution) for each in (PYPISERVER, RADICALE)]
)
def test_it_is_used_through_a_client_of_its_own(
    application: Application, environments: Environments, root: Path
) -> None:
    with served(application, LOCAL, environments, root) as site:
        assert walked(site, application)
