"""Which failures of an application that is loaded may mend themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bascule.errors import LoadError
from bascule.wsgi.load import load_application, may_load_later

CHAIN = "bascule_middleware.wsgi:application"


def failure(
    directory: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str = "shop:application"
) -> LoadError:
    """What loading an application raises that is made of `source`."""
    (directory / "shop.py").write_text(source)
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    for module in ("shop", CHAIN.partition(":")[0]):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(LoadError) as error:
        load_application(name)
    return error.value


@pytest.mark.parametrize(
    "source",
    [
        "raise ConnectionRefusedError('the database')",
        "class OperationalError(Exception): pass\nraise OperationalError('the database')",
        "import os; os.environ['NOT_THERE']",
        "try:\n    open('/nowhere')\nexcept OSError as error:\n    raise RuntimeError('x') from error",
    ],
)
def test_what_the_applications_own_code_raises_may_not_be_raised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    assert may_load_later(failure(tmp_path, monkeypatch, source))


@pytest.mark.parametrize(
    "source",
    [
        "import not_there",
        "from os import not_there",
        "application =",
        "application = undefined",
        "raise SystemExit('a script')",
        "other = 1",
        "application = 1",
        "try:\n    import not_there\nexcept ImportError as error:\n    raise RuntimeError('x') from error",
    ],
)
def test_a_mistake_of_its_source_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    assert not may_load_later(failure(tmp_path, monkeypatch, source))


@pytest.mark.parametrize(
    ("source", "links", "may"),
    [
        ("raise OSError('the database')", "", True),
        ("import not_there", "", False),
        ("def application(): pass", '[[links]]\nuse = "request_id"\nnonsense = 1\n', False),
        ("def application(): pass", '[[links]]\nuse = "request_idd"\n', False),
    ],
)
def test_it_is_the_same_behind_the_chain_whose_own_mistakes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, links: str, may: bool
) -> None:
    (tmp_path / "chain.toml").write_text(f'application = "shop:application"\n{links}')
    monkeypatch.delenv("BASCULE_CHAIN", raising=False)
    assert may_load_later(failure(tmp_path, monkeypatch, source, CHAIN)) is may
