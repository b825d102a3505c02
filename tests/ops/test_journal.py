"""Which operation is at work on a stack: `bascule_ops.control.journal`."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule_ops.control import journal
from bascule_ops.control.journal import Entry, Order
from bascule_ops.errors import CommandError


def test_one_operation_at_a_time(tmp_path: Path) -> None:
    path = journal.path(tmp_path)
    with journal.alone(path) as entries:
        entries.write(Entry(17, Order("deploy")))
        with pytest.raises(CommandError, match=r"deploy \(process 17\) is at work"):
            journal.alone(path).__enter__()
        assert not journal.cut_off(path)
    with journal.alone(path) as entries:
        assert entries.read() == Entry(17, Order("deploy"))


def test_stacks_of_one_project_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with (
        journal.alone(journal.path(tmp_path)),
        journal.alone(journal.path(tmp_path, "shop")),
        journal.alone(journal.path(tmp_path, "staging")),
    ):
        pass


def test_what_ended_leaves_nothing_and_what_was_cut_off_stays(tmp_path: Path) -> None:
    path = journal.path(tmp_path)
    with journal.alone(path):
        pass
    assert not path.exists()
    with journal.alone(path) as entries:
        entries.write(Entry(17, Order("deploy")))
        entries.clear()
    assert not path.exists()
    with journal.alone(path) as entries:
        entries.write(Entry(17, Order("deploy")))
    assert journal.cut_off(path).endswith("deploy (process 17)")
    journal.forget(path)
    assert not path.exists()


def test_one_that_waited_for_the_file_does_not_take_one_that_is_gone(tmp_path: Path) -> None:
    path = journal.path(tmp_path)
    with journal.alone(path) as first:
        first.write(Entry(17, Order("deploy")))
        first.clear()
        # The path is free, and the next one's file is not this one's.
        with journal.alone(path) as second:
            second.write(Entry(18, Order("restart")))
    assert journal.cut_off(path).endswith("restart (process 18)")
