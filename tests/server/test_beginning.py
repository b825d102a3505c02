"""The first moments of a command: what Ctrl-C does while modules are imported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bascule.beginning import imported


def own(_number: int, _frame: object) -> None:
    """Handle a signal."""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the name of a module that notes what Ctrl-C would do while it is imported."""
    name = "imported_at_the_beginning"
    text = "import signal\nmeanwhile = signal.getsignal(signal.SIGINT)\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    yield name
    signal.signal(signal.SIGINT, before)
    del sys.modules[name]


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        (signal.default_int_handler, signal.SIG_DFL),
        (signal.SIG_IGN, signal.SIG_IGN),
        (own, own),
    ],
)
def test_ctrl_c_ends_the_process_at_once_unless_somebody_has_said_what_it_does(
    module: str, before: signal.Handlers, meanwhile: signal.Handlers
) -> None:
    signal.signal(signal.SIGINT, before)
    assert imported(module).meanwhile == meanwhile
    assert signal.getsignal(signal.SIGINT) == before
