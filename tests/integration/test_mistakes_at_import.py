"""An application that cannot be loaded: its author sees his own lines, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .project import HELLO, project

CHAIN = 'application = "site_:application"\n'
DEEP = """
import settings_

def application(environ, start_response):
    pass
"""
SETTINGS = """
def read(path):
    with open(path) as file:
        return file.read()

def all_of_them():
    return read("/no/such/secret")

SECRET = all_of_them()
"""


def said(
    source: str, *arguments: str, files: Mapping[str, str] | None = None, name: str = ""
) -> list[str]:
    """Return the lines that the start ends with."""
    with project(source, *arguments, files=files) as server:
        if name:
            server.argv[-1] = name
        server.start_there()
        assert server.wait() == 4
        return server.err.replace(f"{server.directory}/", "").splitlines()


@pytest.mark.parametrize("arguments", [(), ("--check-config",), ("--chain", "chain.toml")])
def test_an_error_shows_each_line_of_the_application_s_and_no_other(
    arguments: tuple[str, ...],
) -> None:
    files = {"settings_.py": SETTINGS, "chain.toml": CHAIN}
    lines = said(DEEP, *arguments, files=files)
    assert [line.strip() for line in lines if line.startswith("  File ")] == [
        'File "site_.py", line 2, in <module>',
        'File "settings_.py", line 9, in <module>',
        'File "settings_.py", line 7, in all_of_them',
        'File "settings_.py", line 3, in read',
    ]
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2] == "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/secret'"
    assert lines[-1].startswith("bascule: cannot load ")
    assert lines[-1].endswith(lines[-2])


def test_a_dependency_that_is_not_there_is_shown_with_who_wants_it() -> None:
    lines = said("\nimport no_such_dependency\n" + HELLO)
    assert lines == [
        "Traceback (most recent call last):",
        '  File "site_.py", line 2, in <module>',
        "    import no_such_dependency",
        "ModuleNotFoundError: No module named 'no_such_dependency'",
        "bascule: cannot load site_:application: ModuleNotFoundError: "
        "No module named 'no_such_dependency'",
    ]


@pytest.mark.parametrize("source", ["\ndef application(:\n", "import broken_\n" + HELLO])
def test_a_syntax_error_is_shown_where_it_is(source: str) -> None:
    lines = said(source, files={"broken_.py": "\ndef application(:\n"})
    file = "site_.py" if source.startswith("\n") else "broken_.py"
    assert f'  File "{file}", line 2' in lines
    assert "    def application(:" in lines
    assert lines[-2] == "SyntaxError: invalid syntax"
    assert lines[-1].startswith("bascule: cannot load site_:application: SyntaxError")


def test_a_module_that_ends_the_process_is_shown_where_it_does() -> None:
    lines = said("import sys\n\nsys.exit('usage: site_ FILE')\n")
    assert '  File "site_.py", line 3, in <module>' in lines
    assert lines[-1] == "bascule: cannot load site_:application: SystemExit: usage: site_ FILE"


def test_what_led_to_an_error_is_shown_before_it() -> None:
    source = """
try:
    {}["key"]
except KeyError as error:
    raise RuntimeError("no key") from error
"""
    lines = said(source)
    files = [line for line in lines if line.startswith("  File ")]
    assert files == [f'  File "site_.py", line {line}, in <module>' for line in (3, 5)]
    assert lines.index("KeyError: 'key'") < lines.index("RuntimeError: no key")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("sit_:application", "No module named 'sit_'; did you mean 'site_'?"),
        ("site_:aplication", "has no attribute 'aplication'; did you mean 'application'?"),
        ("pack.wsgy:application", "No module named 'pack.wsgy'; did you mean 'pack.wsgi'?"),
        ("pac.wsgi:application", "No module named 'pac'; did you mean 'pack'?"),
        ("nothing_like_it:application", "No module named 'nothing_like_it'"),
        ("site_:nothing_like_it", "has no attribute 'nothing_like_it'"),
    ],
)
def test_a_name_that_is_nearly_right_is_corrected_in_one_line(name: str, remedy: str) -> None:
    files = {"pack/__init__.py": "", "pack/wsgi.py": HELLO}
    (line,) = said(HELLO, files=files, name=name)
    assert line.startswith(f"bascule: cannot load {name}: ")
    assert line.endswith(remedy)
