"""Listening: TCP, unix sockets that take a path over, and descriptors that are inherited."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bascule.engine.listen import UNIX_SOCKET_MODE, Listener, open_listener
from bascule.errors import StartError

from tests.harness.ports import free_port, listen

Open = Callable[[str], Listener]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open listeners, and close them."""
    with ExitStack() as stack:

        def open_one(address: str) -> Listener:
            listener = open_listener(address, 16)
            stack.callback(listener.socket.close)
            return listener

        yield open_one


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory whose name is short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="bascule-"))
    yield path
    shutil.rmtree(path)


def reaches(path: Path, listener: Listener) -> bool:
    """Return whether who connects to the path is accepted by this listener."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        try:
            accepted, _ = listener.socket.accept()
        except BlockingIOError:
            return False
        accepted.close()
        return True


def refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) != 0


# --- TCP ------------------------------------------------------------------------------------------------


def test_a_tcp_listener_says_where_it_serves(opened: Open) -> None:
    listener = opened("127.0.0.1:0")
    port = listener.socket.getsockname()[1]
    assert listener.url == f"http://127.0.0.1:{port}"
    assert listener.server == ("127.0.0.1", str(port))
    assert not listener.is_unix
    assert not listener.socket.getblocking()
    socket.create_connection(("127.0.0.1", port), timeout=10).close()


def test_what_is_accepted_sends_at_once_and_holds_little_that_is_not_taken(opened: Open) -> None:
    listener = opened("127.0.0.1:0")
    with socket.create_connection(listener.socket.getsockname(), timeout=10):
        accepted, _ = listener.socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            unsent = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert unsent == 256 * 1024


def test_a_port_can_be_taken_again_while_old_connections_are_on_their_way_out(
    opened: Open,
) -> None:
    listener = opened("127.0.0.1:0")
    address = listener.socket.getsockname()
    with socket.create_connection(address, timeout=10) as client:
        accepted, _ = listener.socket.accept()
        accepted.close()  # first, so that it is this side which remembers the connection
        assert client.recv(1) == b""
    listener.socket.close()
    opened(f"127.0.0.1:{address[1]}")


@pytest.mark.parametrize("kind", ["unix", "abstract", "TCP"])
def test_an_address_that_cannot_be_listened_on_after_all_is_given_back(
    directory: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    address = {
        "unix": f"unix:{directory}/app.sock",
        "abstract": f"unix:@bascule-{os.getpid()}-again",
        "TCP": f"127.0.0.1:{free_port()}",
    }[kind]
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "listen", fail)
        with pytest.raises(StartError, match="Cannot allocate memory") as caught:
            open_listener(address, 16)
    assert set(os.listdir("/proc/self/fd")) == before, caught  # noqa: PTH208
    assert list(directory.iterdir()) == []


def test_an_ipv6_address_stands_in_brackets(opened: Open) -> None:
    if not socket.has_ipv6:
        pytest.fail("this Python has no IPv6")
    try:
        listener = opened("[::1]:0")
    except StartError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    assert listener.url.startswith("http://[::1]:")
    assert listener.server[0] == "::1"


def test_a_port_in_use_is_said_with_its_address(opened: Open) -> None:
    port = opened("127.0.0.1:0").socket.getsockname()[1]
    with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
        open_listener(f"127.0.0.1:{port}", 16)


def test_an_unknown_host_is_said() -> None:
    with pytest.raises(StartError, match=r"cannot listen on nowhere\.invalid:80"):
        open_listener("nowhere.invalid:80", 16)


def test_publishing_and_withdrawing_tcp_does_nothing(opened: Open) -> None:
    listener = opened("127.0.0.1:0")
    listener.publish()
    listener.withdraw()
    socket.create_connection(listener.socket.getsockname(), timeout=10).close()


# --- unix sockets ----------------------------------------------------------------------------------------


def test_a_path_is_there_only_once_it_is_published(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    held = directory / f".app.sock.{os.getpid()}"
    assert list(directory.iterdir()) == [held]
    assert reaches(held, listener)
    listener.publish()
    assert reaches(path, listener)
    assert [each.name for each in directory.iterdir()] == ["app.sock"]


def test_a_unix_listener_says_where_it_serves(opened: Open, directory: Path) -> None:
    listener = opened(f"unix:{directory}/app.sock")
    assert listener.url == f"unix:{directory}/app.sock"
    assert listener.server == ("localhost", "80")
    assert listener.is_unix
    assert not listener.socket.getblocking()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_owner_and_group_may_connect_and_nobody_else(
    opened: Open, directory: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        opened(f"unix:{directory}/app.sock").publish()
    finally:
        os.umask(before)
    mode = stat.S_IMODE((directory / "app.sock").stat().st_mode)
    assert mode == UNIX_SOCKET_MODE == 0o660


def test_a_new_listener_takes_the_path_over_in_one_step(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    old = opened(f"unix:{path}")
    old.publish()
    new = opened(f"unix:{path}")
    assert reaches(path, old)  # until the new one is ready
    new.publish()
    assert reaches(path, new)
    assert not reaches(path, old)


def test_who_was_waiting_at_the_old_listener_is_still_accepted(
    opened: Open, directory: Path
) -> None:
    path = directory / "app.sock"
    old = opened(f"unix:{path}")
    old.publish()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        opened(f"unix:{path}").publish()
        accepted, _ = old.socket.accept()
        accepted.close()


def test_the_old_listener_leaves_the_path_to_the_new_one(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    old = opened(f"unix:{path}")
    old.publish()
    new = opened(f"unix:{path}")
    new.publish()
    os.utime(directory, (0, 0))
    old.withdraw()
    assert directory.stat().st_mtime == 0  # the path has not been away either
    assert reaches(path, new)
    assert [each.name for each in directory.iterdir()] == ["app.sock"]


TAKES_OVER = """
import sys
from bascule.engine.listen import open_listener

path = sys.argv[1]
old = open_listener(f"unix:{path}", 16)
old.publish()
new = open_listener(f"unix:{path}", 16)

def take_over(event, arguments):
    if event == "os.rename" and arguments[0] == path:
        new.publish()

sys.addaudithook(take_over)
old.withdraw()
"""


def test_a_path_that_is_taken_over_while_it_is_withdrawn_stays(directory: Path) -> None:
    path = directory / "app.sock"
    subprocess.run([sys.executable, "-c", TAKES_OVER, path], check=True, timeout=60)
    assert [each.name for each in directory.iterdir()] == ["app.sock"]


def test_a_path_that_is_gone_by_now_is_withdrawn_all_the_same(
    opened: Open, directory: Path
) -> None:
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    listener.publish()
    path.unlink()
    listener.withdraw()
    assert list(directory.iterdir()) == []


def test_a_path_is_taken_over_once(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    listener.publish()
    new = opened(f"unix:{path}")
    new.publish()
    listener.publish()
    assert reaches(path, new)


def test_a_rival_is_who_listens_at_the_path_and_not_a_left_over(
    opened: Open, directory: Path
) -> None:
    path = directory / "app.sock"
    old = opened(f"unix:{path}")
    assert not old.has_rival()
    old.publish()
    new = opened(f"unix:{path}")
    assert new.has_rival()
    old.socket.close()
    assert path.exists()
    assert not new.has_rival()
    new.publish()
    assert not new.has_rival()


def test_a_rival_may_have_no_time_for_another_client(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    with ExitStack() as stack:
        rival = stack.enter_context(socket.socket(socket.AF_UNIX))
        rival.bind(str(path))
        rival.listen(0)
        full = 0
        while not full:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            full = client.connect_ex(str(path))
        assert full == errno.EAGAIN
        assert opened(f"unix:{path}").has_rival()


def test_a_listener_that_refuses_still_accepts_who_was_waiting(
    opened: Open, directory: Path
) -> None:
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    listener.publish()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        listener.refuse()
        assert refuses(path)
        accepted, _ = listener.socket.accept()
        accepted.close()
        with pytest.raises(BlockingIOError):
            listener.socket.accept()


def test_an_inherited_socket_goes_on_for_those_who_share_it(opened: Open, directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as shared:
        shared.bind(str(directory / "shared.sock"))
        shared.listen()
        opened(f"fd://{os.dup(shared.fileno())}").refuse()
        assert not refuses(directory / "shared.sock")


def test_a_listener_withdraws_its_own_path(opened: Open, directory: Path) -> None:
    listener = opened(f"unix:{directory}/app.sock")
    listener.publish()
    listener.withdraw()
    assert list(directory.iterdir()) == []
    listener.withdraw()


def test_a_listener_that_was_never_published_leaves_nothing(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    old = opened(f"unix:{path}")
    old.publish()
    opened(f"unix:{path}").withdraw()
    assert [each.name for each in directory.iterdir()] == ["app.sock"]
    assert reaches(path, old)


def test_a_socket_that_nobody_listens_on_any_more_is_replaced(
    opened: Open, directory: Path
) -> None:
    path = directory / "app.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert refuses(path)
    listener = opened(f"unix:{path}")
    listener.publish()
    assert reaches(path, listener)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(directory: Path, kind: str) -> None:
    path = directory / "app.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(directory / "elsewhere")
    with pytest.raises(StartError, match="is no socket"):
        open_listener(f"unix:{path}", 16)
    assert [each.name for each in directory.iterdir()] == ["app.sock"]
    if kind == "file":
        assert path.read_text() == "precious"


@pytest.mark.parametrize("path", ["nowhere/app.sock", "x" * 120])
def test_a_path_that_cannot_be_bound_is_said(directory: Path, path: str) -> None:
    with pytest.raises(StartError, match="cannot listen on unix:"):
        open_listener(f"unix:{directory}/{path}", 16)
    assert list(directory.iterdir()) == []


# --- unix sockets in a directory that others may write to ----------------------------------------------------

# Where a file's mode is changed by its name, the name is a link to another file by then.
SWAPS = """
import os, sys
from pathlib import Path
from bascule.engine.listen import open_listener

directory = Path(sys.argv[1])
temporary = directory / f".app.sock.{os.getpid()}"

def swap(event, arguments):
    if event == "os.chmod":
        temporary.unlink()
        temporary.symlink_to(directory / "precious")

sys.addaudithook(swap)
open_listener(f"unix:{directory}/app.sock", 16).publish()
"""

# In /tmp and its like, only a file's owner may replace it.
STICKY = 0o1777
AS_NOBODY = """
import os, sys
from bascule.engine.listen import open_listener

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
open_listener(f"unix:{sys.argv[1]}", 16).publish()
"""


def test_a_link_in_place_of_the_temporary_name_is_not_followed(
    opened: Open, directory: Path
) -> None:
    precious = directory / "precious"
    precious.write_text("keep me")
    precious.chmod(0o600)
    (directory / f".app.sock.{os.getpid()}").symlink_to(precious)
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    listener.publish()
    assert reaches(path, listener)
    assert not path.is_symlink()
    assert precious.read_text() == "keep me"
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


def test_a_link_that_appears_after_the_bind_changes_no_other_file(directory: Path) -> None:
    precious = directory / "precious"
    precious.write_text("keep me")
    precious.chmod(0o600)
    subprocess.run([sys.executable, "-c", SWAPS, directory], check=True, timeout=60)
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


def test_the_umask_is_what_it_was(opened: Open, directory: Path) -> None:
    before = os.umask(0o027)
    try:
        opened(f"unix:{directory}/app.sock")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_path_that_cannot_be_taken_over_is_said(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    listener = opened(f"unix:{path}")
    path.mkdir()
    with pytest.raises(StartError, match=f"cannot take over unix:{path}: Is a directory"):
        listener.publish()
    assert [each.name for each in directory.iterdir()] == ["app.sock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play two users")
def test_another_users_socket_is_not_taken_over_in_a_sticky_directory(directory: Path) -> None:
    directory.chmod(STICKY)
    path = directory / "app.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "StartError: cannot take over" in done.stderr
    assert "Operation not permitted" in done.stderr
    assert [each.name for each in directory.iterdir()] == ["app.sock"]


# --- inherited descriptors ---------------------------------------------------------------------------------


def test_an_inherited_socket_is_used_as_it_is(opened: Open) -> None:
    given = listen()
    given.set_inheritable(True)
    address = given.getsockname()
    listener = opened(f"fd://{given.detach()}")
    assert listener.url == f"http://127.0.0.1:{address[1]}"
    assert not listener.socket.get_inheritable()  # by the application's programs
    assert not listener.socket.getblocking()
    socket.create_connection(address, timeout=10).close()


def test_the_path_of_an_inherited_unix_socket_is_not_ours(opened: Open, directory: Path) -> None:
    path = directory / "app.sock"
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(path))
    given.listen()
    listener = opened(f"fd://{given.detach()}")
    listener.publish()
    assert listener.is_unix
    assert listener.url == f"unix:{path}"
    assert reaches(path, listener)
    listener.withdraw()
    assert path.exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("bound", "the descriptor is no listening socket"),
        ("datagram", "the descriptor is no listening socket"),
        ("file", "Socket operation on non-socket"),
        ("closed", "Bad file descriptor"),
    ],
)
def test_a_descriptor_that_does_not_listen_is_refused(
    kind: str, reason: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        if kind == "file":
            descriptor = os.open(tmp_path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
        elif kind == "closed":
            descriptor = os.open(tmp_path, os.O_RDONLY)
            os.close(descriptor)
        else:
            type_ = socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM
            given = stack.enter_context(socket.socket(socket.AF_INET, type_))
            given.bind(("127.0.0.1", 0))
            descriptor = os.dup(given.fileno())
        with pytest.raises(StartError, match=f"cannot listen on fd://{descriptor}: {reason}"):
            open_listener(f"fd://{descriptor}", 16)
