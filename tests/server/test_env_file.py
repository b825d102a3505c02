"""What is read in a file .env: the same as compose reads there."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule import env_file
from bascule.config import ConfigError
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.env_files import ENVIRON, FILES


@pytest.mark.parametrize(("text", "value"), FILES.items(), ids=map(repr, FILES))
def test_it_is_read_as_compose_reads_it(tmp_path: Path, text: str, value: str | None) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{text}\n", newline="")
    if value is None:
        with pytest.raises(ConfigError, match=r"\.env, line 1: "):
            env_file.read(file, ENVIRON)
    else:
        assert env_file.read(file, ENVIRON).get("A", "") == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\n\nB C=2\n", 'line 3: "B C" is no name; a line is NAME=VALUE'),
        ("A=1\nB='\n\n", "line 2: the quotation mark has no second one"),
        ('A="1\n2"\nB=${C:?set it}\n', "line 3: C has to be set: set it"),
        ("A=${B\n", 'line 1: "${B" has no closing brace'),
        ("A=${1}\n", 'line 1: "${1}" names no variable'),
        # Compose itself would have one value, and give the application another.
        ("A=1\nB=$C\n\nC=2\n", "line 2: it names C, which line 4 sets: name another"),
        ("C=1\nB=${C:-x}\nC=2\n", "line 2: it names C, which line 3 sets: name another"),
        ("A=x$A\n", "line 1: it names A, which line 1 sets: name another"),
        # Compose takes the last name for an empty one, where no line ends after it.
        ("A=1\nA", 'line 2: "A" is no name; a line is NAME=VALUE'),
        # Compose would give the application U+FFFD in its place.
        (b"A=1\nB=2\nC=\xe9\n", "line 3: it is not text in UTF-8"),
        ("A=1\nB=\0\n", "line 2: it is not text in UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        env_file.read(file, {})
    assert str(caught.value) == f"{file}, {words}"


def test_where_there_is_no_file_nothing_is_set(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / ".env", {}) == {}


@given(text=st.text(st.sampled_from("A=:\"'$\\{}-?+ #\n\té1")))
def test_whatever_it_is_it_is_read_or_refused_with_a_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_text(text)
    said = f"{file}, line 1"
    try:
        env_file.read(file, ENVIRON)
    except ConfigError as error:
        said = str(error)
    assert said.startswith(f"{file}, line ")
