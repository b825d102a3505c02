"""Applications that have the standard library replaced: one line says so, and nothing is served."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .project import HELLO, names_in, project

# Stand-ins that answer as the libraries do: neither is among the requirements.
GEVENT = """
patched = set()
def is_module_patched(name):
    return name in patched
"""
EVENTLET = "patched = set()\ndef is_monkey_patched(name):\n    return name in patched\n"
PACKAGES = {
    "gevent": {"gevent/__init__.py": "", "gevent/monkey.py": GEVENT},
    "eventlet": {"eventlet/__init__.py": "", "eventlet/patcher.py": EVENTLET},
}
PATCHES = {
    "gevent": "import gevent.monkey\ngevent.monkey.patched.add({name!r})\n",
    "eventlet": "import eventlet.patcher\neventlet.patcher.patched.add({name!r})\n",
}


@pytest.mark.parametrize("arguments", [(), ("--check-config",)], ids=["serve", "check"])
@pytest.mark.parametrize("name", ["socket", "select", "time", "os", "signal"])
@pytest.mark.parametrize("library", PATCHES)
def test_one_line_names_the_library_and_what_serves_it(
    library: str, name: str, arguments: tuple[str, ...]
) -> None:
    source = PATCHES[library].format(name=name) + HELLO
    with project(source, *arguments, files=PACKAGES[library]) as server:
        server.start_there()
        assert server.wait() == 4
        (line,) = server.err.splitlines()
        assert line.startswith(f"bascule: cannot serve site_:application: it has {library} replace")
        assert line.endswith(f"a server that is made for {library}")
        assert names_in(server.directory) <= {library}


@pytest.mark.parametrize("library", PATCHES)
def test_a_library_that_replaced_nothing_that_is_needed_is_served(library: str) -> None:
    source = PATCHES[library].format(name="ssl") + HELLO
    with project(source, files=PACKAGES[library]) as server:
        server.start_there()
        server.wait_until_it_answers()


REAL: Mapping[str, str] = {
    "gevent": "from gevent import monkey; monkey.patch_all()\n",
    "eventlet": "import eventlet; eventlet.monkey_patch()\n",
}


@pytest.mark.parametrize("library", REAL)
def test_the_library_itself_says_so(library: str) -> None:
    with project(REAL[library] + HELLO) as server:
        server.start_there()
        assert server.wait() == 4
        assert server.err.splitlines()[-1].endswith(f"a server that is made for {library}")
