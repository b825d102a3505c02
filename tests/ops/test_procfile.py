"""The file Procfile, as Heroku, Dokku and foreman read it; what is no such line is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bascule_ops import procfile
from bascule_ops.errors import Refused
from hypothesis import given
from hypothesis import strategies as st

HEROKU = """\
# What Heroku's documentation has.
release: python manage.py migrate
web: gunicorn myproject.wsgi --log-file -

// Dokku's comments, too
worker:  celery -A shop worker --loglevel=info   # a comment of the shell's
clock : python clock.py && exec python -c 'print("a: b")' || echo $PORT
"""
NAMES = st.text("abcXYZ019_-", min_size=1, max_size=63)
COMMANDS = st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda text: text.strip())


def test_entries_are_in_their_order_with_foreman_s_ports() -> None:
    found = procfile.parsed(HEROKU)
    assert {entry.name: entry.port for entry in found.values()} == {
        "release": 5000, "web": 5100, "worker": 5200, "clock": 5300,
    }  # fmt: skip
    assert found["worker"].command == (
        "celery -A shop worker --loglevel=info   # a comment of the shell's"
    )
    assert found["clock"].command.endswith("""-c 'print("a: b")' || echo $PORT""")
    assert procfile.processes(found) == ["worker", "clock"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: a\n<<<<<<< HEAD\n", "line 2: '<<<<<<< HEAD' is not NAME: COMMAND"),
        ("worker python work.py", "line 1: 'worker python work.py' is not NAME: COMMAND"),
        ("\n\nmy worker: a", "line 3: 'my worker: a' is not"),
        (" web: a", "line 1: 'web: a' is not"),
        ("wörker: a", "line 1: 'wörker: a' is not"),
        ("web: a\nworker:  \n", "line 2: worker has no command"),
        ("web: a\n# b\nweb: c\n", "line 3: web is there already, in line 1"),
        (f"{'a' * 64}: b", "is longer than 63 characters"),
        ("a: b\0c", "line 1: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Refused, match=f"^Procfile, .*{re.escape(said)}"):
        procfile.parsed(text)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_bytes(b"web: a\nworker: \xff\n")
    with pytest.raises(Refused, match="line 2: it is not UTF-8"):
        procfile.read(tmp_path)


def test_where_there_is_none_there_are_no_entries(tmp_path: Path) -> None:
    assert procfile.read(tmp_path) == {}


@given(
    st.dictionaries(NAMES, COMMANDS),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_what_is_written_is_read(commands: dict[str, str], end: str, begin: str) -> None:
    text = begin + "".join(f"{name}: {command}{end}" for name, command in commands.items())
    found = procfile.parsed(text)
    assert {name: entry.command for name, entry in found.items()} == {
        name: command.strip() for name, command in commands.items()
    }


@given(st.text())
def test_whatever_it_is_it_is_read_or_refused(text: str) -> None:
    found: dict[str, procfile.Entry] = {}
    said = "Procfile, line 1: "
    try:
        found = procfile.parsed(text)
    except Refused as error:
        said = str(error)
    assert re.match("Procfile, line [0-9]+: ", said)
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,63}", name) for name in found)


def test_there_is_one_of_each_unless_a_setting_says_otherwise() -> None:
    found = procfile.parsed("web: a\nurgent-worker: b\nclock: c\n")
    assert procfile.wanted(found, {}) == ["urgent-worker.1", "clock.1"]
    environ = {"SCALE_URGENT_WORKER": "2", "SCALE_CLOCK": "0"}
    assert procfile.wanted(found, environ) == ["urgent-worker.1", "urgent-worker.2"]


@pytest.mark.parametrize("value", ["-1", "100", "two", "1.5"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(Refused, match=f'SCALE_A is "{value}": set it to a number of processes'):
        procfile.wanted(procfile.parsed("a: b"), {"SCALE_A": value})


@pytest.mark.parametrize("value", ["0", "30s", "-5"])
def test_a_grace_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="PROCFILE_GRACE"):
        procfile.grace({"PROCFILE_GRACE": value})


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("gunicorn shop.wsgi", "shop.wsgi"),
        ("gunicorn -w 4 -k gevent --log-file - shop.wsgi:application", "shop.wsgi:application"),
        (
            "gunicorn --workers=4 -b localhost:8000 'shop:create_app(\"prod\")'",
            'shop:create_app("prod")',
        ),
        ("env X=1 newrelic-admin run-program gunicorn shop:app --bind 0.0.0.0:$PORT", "shop:app"),
        ("python -m gunicorn shop:app", "shop:app"),
        ("waitress-serve --port=$PORT --call shop:create_app", "shop:create_app()"),
        ("venv/bin/bascule shop:app", "shop:app"),
        ("gunicorn elsewhere:app", ""),
        ("python shop.py", ""),
        ("gunicorn 'shop:app", ""),
    ],
)
def test_web_names_the_application(command: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for name in ("__init__", "wsgi"):
        (tmp_path / "shop" / f"{name}.py").touch()
    assert procfile.target(procfile.parsed(f"web: {command}"), tmp_path) == target
