"""An application that nobody here wrote, in containers; `tests/foreign/run` has more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.flaskr import FLASKR
from tests.foreign.serve import Environments, served, walked
from tests.foreign.site import CONTAINERS
from tests.harness import wheel

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_it_is_used_as_its_users_do(engine: None, tmp_path: Path) -> None:
    environments = Environments(tmp_path, wheel.build(tmp_path))
    with served(FLASKR, CONTAINERS, environments, tmp_path / "site") as site:
        assert walked(site, FLASKR)
