"""The borders that DESIGN draws: who may import whom. Read from the source, nothing is run."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {
    "bascule": ROOT / "server",
    "bascule_middleware": ROOT / "middleware",
    "bascule_ops": ROOT / "ops",
    "app": ROOT,
}
# Each package's rooms, the lowest first: a module imports from its own room and from lower ones.
# What stands beside the rooms is either below all of them or above all of them.
ROOMS = {
    "bascule": ("http", "told", "wsgi", "engine", "watch", "development"),
    "bascule_middleware": ("exchange", "links"),
}
BELOW = {
    "bascule": {"version", "errors", "config", "guard", "streams", "systemd"},
    "bascule_middleware": {"__init__", "settings", "renamed", "imports"},
}

SOCKETS = {"socket", "socketserver", "select", "selectors", "ssl"}
THREADS = {"asyncio", "threading", "_thread", "concurrent", "queue", "multiprocessing"}
# What a room of the server may not know of, by module of the standard library.
UNKNOWN = {"http": SOCKETS | THREADS, "wsgi": SOCKETS, "told": SOCKETS}
# Of `time`, rendering a given moment is fine; bytes are read and written without a clock.
CLOCK = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "localtime"}
# Who knows nothing of HTTP: listening, polling and scheduling serve any protocol.
ANY_PROTOCOL = {"listen", "loop", "call", "expectations", "places", "crew", "outgoing"}


def modules(package: str) -> list[Path]:
    return sorted((PLACES[package] / package).rglob("*.py"))


def name_of(package: str, path: Path) -> str:
    """Return a module's dotted name; a package's is that of its folder."""
    parts = path.relative_to(PLACES[package]).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it, type checking included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide what they reach"
            assert node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def arrows(package: str) -> Iterator[tuple[str, str]]:
    """Yield who imports whom within a package, both as names of modules."""
    known = {name_of(package, path) for path in modules(package)}
    for path in modules(package):
        for reached in imports(path):
            while reached and reached not in known:
                reached = reached.rpartition(".")[0]  # noqa: PLW2901
            if reached:
                yield name_of(package, path), reached


def layer(package: str, module: str) -> int:
    """Return a module's layer: its room's place; what stands beside the rooms is below or above."""
    room = module.split(".")[1]
    if room in ROOMS[package]:
        return ROOMS[package].index(room)
    return -1 if room in BELOW[package] else len(ROOMS[package])


@pytest.mark.parametrize("package", PLACES)
def test_the_package_has_modules(package: str) -> None:
    assert modules(package), "a test over no files would pass for nothing"


@pytest.mark.parametrize("package", ["bascule", "bascule_middleware", "app"])
def test_server_middleware_and_app_import_nothing_of_one_another(package: str) -> None:
    others = PLACES.keys() - {package}
    for path in modules(package):
        reached = {name for name in imports(path) if name.split(".")[0] in others}
        assert not reached, f"{path.relative_to(ROOT)} imports {sorted(reached)}"


# What a link needs besides the standard library: one module imports it, and the link that module.
THIRD_PARTY = {
    "bascule_middleware.links.ratelimit.rate_valkey": {"valkey"},
    "bascule_middleware.links.xslt.stylesheets": {"lxml"},
    "bascule_middleware.links.xslt.transformation": {"lxml"},
    "bascule_middleware.links.forward.upstreams": {"urllib3"},
}


@pytest.mark.parametrize("package", ["bascule", "bascule_middleware"])
def test_server_and_middleware_need_the_standard_library_only(package: str) -> None:
    allowed = sys.stdlib_module_names | {package, "_typeshed"}  # _typeshed: type checkers only
    for path in modules(package):
        module = name_of(package, path)
        theirs = allowed | THIRD_PARTY.get(module, set())
        reached = {name for name in imports(path) if name.split(".")[0] not in theirs}
        assert not reached, f"{module} imports {sorted(reached)}"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_downward_only(package: str) -> None:
    for module, reached in arrows(package):
        assert layer(package, reached) <= layer(package, module), f"{module} imports {reached}"


@pytest.mark.parametrize("package", [*ROOMS, "bascule_ops"])
def test_no_imports_go_in_a_circle(package: str) -> None:
    graph: dict[str, set[str]] = {}
    for module, reached in arrows(package):
        if module != reached:
            graph.setdefault(module, set()).add(reached)
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("room", UNKNOWN)
def test_no_room_knows_what_it_may_not(room: str) -> None:
    for path in (PLACES["bascule"] / "bascule" / room).rglob("*.py"):
        reached = {name.split(".")[0] for name in imports(path)} & UNKNOWN[room]
        assert not reached, f"{room}/{path.name} imports {sorted(reached)}"


def test_bytes_are_read_and_written_without_a_clock() -> None:
    for path in (PLACES["bascule"] / "bascule" / "http").rglob("*.py"):
        read = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "time"
        }
        assert not read & CLOCK, f"{path.name} reads the clock"
        assert not any(name.startswith("time.") for name in imports(path))


def test_listening_polling_and_scheduling_know_no_http() -> None:
    for module, reached in arrows("bascule"):
        if module.rpartition(".")[2] in ANY_PROTOCOL:
            is_like = reached.rpartition(".")[2] in {*ANY_PROTOCOL, "file_wrapper"}
            allowed = layer("bascule", reached) == -1 or is_like
            assert allowed, f"{module} imports {reached}"


def test_the_engine_does_not_parse() -> None:
    for module, reached in arrows("bascule"):
        if module.startswith("bascule.engine."):
            assert reached != "bascule.http.grammar", f"{module} imports {reached}"
    for path in (PLACES["bascule"] / "bascule" / "engine").rglob("*.py"):
        assert "re" not in imports(path), f"{path.name} has an expression"
