"""The borders that DESIGN draws: who may import whom. Read from the source, nothing is run."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("server", "middleware", "app")

# The server's modules, lowest layer first. An import goes to a lower layer only.
LAYERS = (
    {"errors", "config", "grammar", "event_log", "http_date", "memo", "stacks"},
    {"request", "head_memo", "body", "response", "file_wrapper", "load"},
    {
        "environ",
        "gateway",
        "cgi",
        "cgi_request",
        "cgi_response",
        "access_log",
        "counters",
        "metrics",
        "overload",
        "recent_errors",
    },
    {"listen", "loop", "crew", "outgoing"},
    {"service", "connection", "counted", "accept", "deadlines", "room"},
    {
        "forks",
        "hung_calls",
        "in_flight",
        "memory",
        "request_ids",
        "slow_calls",
        "status",
        "status_socket",
        "worker",
        "__main__",
        "cli",
    },
)

# Imports within a layer, each with its reason.
WITHIN_A_LAYER = {
    ("request", "head_memo"): "what the parser remembers of heads",
    ("body", "request"): "a body's framing follows from the head; trailers are field lines",
    ("cgi", "cgi_request"): "a process of CGI is one request",
    ("cgi", "cgi_response"): "and its response",
    ("counters", "metrics"): "what is counted goes into the file",
    ("counted", "connection"): "a kind of connection",
    ("counted", "service"): "a service is what the connections of a process share",
    ("accept", "counted"): "what is accepted becomes a connection",
    ("accept", "connection"): "what is accepted becomes a connection",
    ("accept", "room"): "what is accepted needs room",
    ("room", "service"): "its clients are what room is made of",
    ("deadlines", "service"): "its clients are what has deadlines",
    ("accept", "service"): "a service is what the connections of a process share",
    ("connection", "service"): "a service is what the connections of a process share",
    ("slow_calls", "in_flight"): "what is slow is among what is in flight",
    ("status", "in_flight"): "part of the status",
    ("status", "memory"): "part of the status",
    ("status", "slow_calls"): "part of the status",
    ("worker", "request_ids"): "one of the things that the process looks after",
    ("worker", "slow_calls"): "one of the things that the process looks after",
    ("worker", "status"): "one of the things that the process looks after",
    ("worker", "status_socket"): "one of the things that the process looks after",
    ("worker", "forks"): "one of the things that the process looks after",
    ("worker", "memory"): "one of the things that the process looks after",
    ("worker", "hung_calls"): "one of the things that the process looks after",
    ("__main__", "worker"): "the process begins by running its worker",
    ("__main__", "cli"): "the process begins by reading its arguments",
}

# What a layer may not know of, by module of the standard library.
SOCKETS = {"socket", "socketserver", "select", "selectors", "ssl"}
THREADS = {"asyncio", "threading", "_thread", "concurrent", "queue", "multiprocessing"}
UNKNOWN_TO_LAYER = {
    1: SOCKETS | THREADS,
    2: SOCKETS,
}
# Of `time`, rendering a given moment is fine; layer 1 is told the moment.
CLOCK = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "localtime"}
# Listening, polling and scheduling serve any protocol.
HTTP = (LAYERS[1] | LAYERS[2] | {"grammar"}) - {"file_wrapper"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


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


def layer(module: str) -> int:
    """Return a module's layer. A module that is in none counts as above all, until it is listed."""
    return next((n for n, names in enumerate(LAYERS) if module in names), len(LAYERS))


def server_imports(path: Path) -> set[str]:
    """Return the modules of the server that a module imports; not names of the package itself."""
    found = {name.split(".")[1] for name in imports(path) if name.startswith("server.")}
    return {name for name in found if (ROOT / "server" / f"{name}.py").exists()}


def server_modules() -> list[Path]:
    return [path for path in modules("server") if path.name != "__init__.py"]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_has_modules(package: str) -> None:
    assert modules(package), "a test over no files would pass for nothing"


@pytest.mark.parametrize("package", PACKAGES)
def test_server_middleware_and_app_import_nothing_of_one_another(package: str) -> None:
    others = set(PACKAGES) - {package}
    for path in modules(package):
        reached = {name for name in imports(path) if name.split(".")[0] in others}
        # The one exception: the entry point asks for the chain around its application.
        if path == ROOT / "app" / "wsgi.py":
            reached -= {"middleware.chain"}
        assert not reached, f"{path.relative_to(ROOT)} imports {sorted(reached)}"


# What a link needs besides the standard library: one module imports it, and the link that module.
THIRD_PARTY = {
    "middleware/rate_valkey.py": {"valkey"},
    "middleware/stylesheets.py": {"lxml"},
    "middleware/transformation.py": {"lxml"},
    "middleware/upstreams.py": {"urllib3"},
}


@pytest.mark.parametrize("package", ["server", "middleware"])
def test_server_and_middleware_need_the_standard_library_only(package: str) -> None:
    allowed = sys.stdlib_module_names | {package, "_typeshed"}  # _typeshed: type checkers only
    for path in modules(package):
        module = str(path.relative_to(ROOT))
        theirs = allowed | THIRD_PARTY.get(module, set())
        reached = {name for name in imports(path) if name.split(".")[0] not in theirs}
        assert not reached, f"{module} imports {sorted(reached)}"


def test_every_module_of_the_server_is_in_a_layer() -> None:
    listed = set[str]().union(*LAYERS)
    missing = sorted({path.stem for path in server_modules()} - listed)
    assert not missing, f"list them in LAYERS of tests/architecture/test_borders.py: {missing}"


def test_the_servers_layers_import_strictly_downward() -> None:
    for path in server_modules():
        for reached in server_imports(path):
            downward = layer(reached) < layer(path.stem)
            assert downward or (path.stem, reached) in WITHIN_A_LAYER, (
                f"server/{path.name} (layer {layer(path.stem)}) imports {reached} "
                f"(layer {layer(reached)})"
            )


def test_no_layer_knows_what_it_may_not() -> None:
    for path in server_modules():
        forbidden = UNKNOWN_TO_LAYER.get(layer(path.stem), set())
        reached = {name.split(".")[0] for name in imports(path)} & forbidden
        assert not reached, f"server/{path.name} imports {sorted(reached)}"


def test_bytes_are_read_and_written_without_a_clock() -> None:
    for path in server_modules():
        if layer(path.stem) == 1:
            read = {
                node.attr
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "time"
            }
            assert not read & CLOCK, f"server/{path.name} reads the clock"
            assert not any(name.startswith("time.") for name in imports(path))


def test_listening_polling_and_scheduling_know_no_http() -> None:
    for path in server_modules():
        if layer(path.stem) == 3:
            assert not server_imports(path) & HTTP, f"server/{path.name} knows HTTP"


def test_a_connection_does_not_parse() -> None:
    for path in server_modules():
        if layer(path.stem) == 4:
            reached = imports(path) & {"re"} | server_imports(path) & {"grammar"}
            assert not reached, f"server/{path.name} imports {sorted(reached)}"
