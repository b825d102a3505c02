"""What supervisord writes of the programs' output: pieces in, whole lines out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from bascule_ops.supervision.log_writing import LONGEST_BEGUN, LogFile
from hypothesis import given
from hypothesis import strategies as st


def say(file: LogFile, data: bytes) -> None:
    file.emit(SimpleNamespace(msg=data))


def test_a_line_that_was_begun_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    one, other = LogFile(str(log)), LogFile(str(log))
    say(one, b'a whole one\n  File "')
    say(other, b"{}\n")
    say(one, b'shop.py"\nits last')
    assert log.read_bytes() == b'a whole one\n{}\n  File "shop.py"\n'
    one.close()
    other.close()
    assert log.read_bytes().endswith(b"\nits last\n")


def test_a_line_that_never_ends_does_not_wait_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "log"
    file = LogFile(str(log))
    say(file, b"a" * LONGEST_BEGUN)
    assert log.read_bytes() == b""
    say(file, b"b")
    assert log.read_bytes() == b"a" * LONGEST_BEGUN + b"b"
    file.close()


def test_what_was_begun_when_the_log_is_rotated_is_whole_in_the_new_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    file = LogFile(str(log))
    say(file, b"before\nbeg")
    log.rename(tmp_path / "aside")
    file.reopen()
    say(file, b"un\n")
    file.close()
    assert (tmp_path / "aside").read_bytes() == b"before\n"
    assert log.read_bytes() == b"begun\n"


@pytest.mark.parametrize("end", [b"", b"\n"])
@given(pieces=st.lists(st.binary(max_size=20).map(lambda each: each.replace(b"x", b"\n"))))
def test_in_whichever_pieces_it_comes_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, end: bytes, pieces: list[bytes]
) -> None:
    log = tmp_path_factory.mktemp("written") / "log"
    file = LogFile(str(log))
    text = b"".join(pieces) + end
    for each in [*pieces, end]:
        say(file, each)
    file.close()
    assert log.read_bytes() == (text if text.endswith(b"\n") or not text else text + b"\n")
