"""What a generation of local mode is known by: its environment, whatever is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bascule_ops.supervision import slots
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.binary().filter(lambda value: b"\0" not in value).map(os.fsdecode)


@given(value=VALUES)
def test_every_byte_of_an_environment_is_read_again_by_its_owner_only(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "environment"
    file.unlink(missing_ok=True)
    slots.write_environment(file, {"A": value, "B": "2"})
    assert slots.read_environment(file) == {"A": value, "B": "2"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_slot_gets_the_name_of_what_serves_and_the_first_is_what_it_was(
    tmp_path: Path,
) -> None:
    first, second = slots.SLOTS
    slots.prepare(tmp_path, first, {"WORKERS": "2"}, is_held=False)
    slots.let_serve(tmp_path, first)
    slots.prepare(tmp_path, second, {"WORKERS": "3"}, is_held=True)
    assert slots.serving(tmp_path) == first
    slots.let_serve(tmp_path, second)
    assert (slots.serving(tmp_path), slots.other(second)) == (second, first)
    served = slots.read_environment(tmp_path / slots.SERVING / slots.ENVIRONMENT)
    assert served == {
        "WORKERS": "3",
        "SUPERVISOR_DIR": str(tmp_path / second),
        "NGINX_ACCESS_LOG": f"{tmp_path}/fd/1",
    }
    slots.clear(tmp_path, first)
    assert {path.name for path in tmp_path.iterdir()} == {slots.SERVING, second}
