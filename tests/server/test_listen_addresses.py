"""Addresses at the edge: the longest paths, abstract sockets, IPv4 and IPv6 on one port."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bascule.engine.listen import Listener, open_listener
from bascule.errors import StartError

from tests.harness.ports import free_port

LONGEST = 107
Open = Callable[..., Listener]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open listeners, and close them."""
    with ExitStack() as stack:

        def open_one(address: str, *beside: str) -> Listener:
            listener = open_listener(address, 16, beside=beside)
            stack.callback(listener.socket.close)
            return listener

        yield open_one


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory whose name is short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="b-"))
    yield path
    shutil.rmtree(path)


def deep(directory: Path, size: int) -> Path:
    """Return a path of so many bytes whose last name is short."""
    middle = directory / ("d" * (size - len(str(directory)) - len("/") - len("/s")))
    middle.mkdir(exist_ok=True)
    return middle / "s"


def long(directory: Path, size: int) -> Path:
    """Return a path of so many bytes whose last name is long."""
    return directory / ("s" * (size - len(str(directory)) - len("/")))


def connects(address: str | bytes) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0


# --- long paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [deep, long])
@pytest.mark.parametrize("size", [LONGEST, LONGEST - 1, LONGEST - 10, 70])
def test_a_path_may_be_as_long_as_clients_can_connect_to(
    opened: Open, directory: Path, shape: Callable[[Path, int], Path], size: int
) -> None:
    path = shape(directory, size)
    assert len(os.fsencode(path)) == size
    old = opened(f"unix:{path}")
    old.publish()
    new = opened(f"unix:{path}")
    assert new.has_rival()
    new.publish()
    assert connects(str(path))
    new.socket.accept()[0].close()
    old.withdraw()
    assert path.exists()
    assert path.stat().st_mode & 0o777 == 0o660
    new.withdraw()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("shape", [deep, long])
def test_a_long_path_costs_no_other_descriptor_than_the_socket_s(
    directory: Path, shape: Callable[[Path, int], Path]
) -> None:
    address = f"unix:{shape(directory, LONGEST)}"
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    listener = open_listener(address, 16)
    listener.withdraw()
    listener.socket.close()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_two_long_names_in_one_directory_are_two_sockets(opened: Open, directory: Path) -> None:
    paths = [directory / (letter + "s" * 80) for letter in "ab"]
    for listener in [opened(f"unix:{path}") for path in paths]:
        listener.publish()
    assert sorted(directory.iterdir()) == paths


@pytest.mark.parametrize("shape", [deep, long])
def test_a_path_that_is_too_long_is_said_with_the_limit(
    directory: Path, shape: Callable[[Path, int], Path]
) -> None:
    path = shape(directory, LONGEST + 1)
    with pytest.raises(StartError, match="its path has 108 bytes, and 107 are the most"):
        open_listener(f"unix:{path}", 16)
    assert list(path.parent.glob(".*")) == []


def test_a_path_s_length_is_counted_in_bytes(directory: Path) -> None:
    with pytest.raises(StartError, match=r"has 1[0-9]+ bytes"):
        open_listener(f"unix:{directory}/{'ü' * 50}", 16)


# --- abstract sockets ---------------------------------------------------------------------------------------


def test_an_abstract_socket_is_no_file(
    opened: Open, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    name = f"bascule-test-{os.getpid()}"
    listener = opened(f"unix:@{name}")
    assert listener.url == f"unix:@{name}"
    assert listener.is_unix
    assert listener.server == ("localhost", "80")
    assert not listener.has_rival()
    listener.publish()
    assert connects(b"\0" + name.encode())
    assert list(directory.iterdir()) == []
    with pytest.raises(StartError, match=f"cannot listen on unix:@{name}: Address already in use"):
        open_listener(f"unix:@{name}", 16)
    listener.refuse()
    assert not connects(b"\0" + name.encode())
    listener.socket.accept()[0].close()  # it was in the backlog
    listener.withdraw()


def test_an_inherited_abstract_socket_says_its_name(opened: Open) -> None:
    name = f"bascule-inherited-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as shared:
        shared.bind(b"\0" + name.encode())
        shared.listen()
        listener = opened(f"fd://{os.dup(shared.fileno())}")
        assert listener.url == f"unix:@{name}"
        listener.refuse()
        assert connects(b"\0" + name.encode())  # others may share it


def test_an_abstract_name_that_is_too_long_is_said_with_the_limit() -> None:
    with pytest.raises(StartError, match="its name has 108 bytes, and 107 are the most"):
        open_listener("unix:@" + "x" * 108, 16)


# --- IPv4 and IPv6 --------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    """Give a free port of a machine with IPv6."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    return free_port()


def serves(host: str, port: int, listener: Listener) -> bool:
    """Return whether who connects there is accepted by this listener."""
    try:
        client = socket.create_connection((host, port), timeout=10)
    except OSError:
        return False
    with client:
        try:
            listener.socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("order", [1, -1], ids=["IPv4 first", "IPv6 first"])
@pytest.mark.parametrize("ipv4", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_all_addresses_of_both_kinds_can_be_listened_on(
    opened: Open, port: int, ipv4: str, order: int
) -> None:
    if ipv4 == "localhost" and socket.getaddrinfo(ipv4, port)[0][0] != socket.AF_INET:
        pytest.skip("localhost is ::1 here")
    addresses = [f"{ipv4}:{port}", f"[::]:{port}"][::order]
    listeners = {each: opened(each, *addresses) for each in addresses}
    assert serves("127.0.0.1", port, listeners[f"{ipv4}:{port}"])
    assert serves("::1", port, listeners[f"[::]:{port}"])


def test_ipv6_alone_serves_ipv4_too(opened: Open, port: int) -> None:
    addresses = [f"[::]:{port}", "0.0.0.0:0", "unix:/run/a.sock:1", "fd://3"]
    listener = opened(addresses[0], *addresses)
    assert serves("::1", port, listener)
    if Path("/proc/sys/net/ipv6/bindv6only").read_text().strip() == "0":
        assert serves("127.0.0.1", port, listener)
