"""The link `allowlist`: who is answered 403, and how its file is followed."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.allowlist.allowlist import Allowlist
from bascule_middleware.links.allowlist.rule_file import RuleFile
from bascule_middleware.settings import SettingError

from tests.harness.waiting import wait_until
from tests.middleware.gateway import respond


def greets(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_a_client_that_is_admitted_reaches_the_application() -> None:
    link = Allowlist(validator(greets), rules=["allow 192.0.2.0/24"])
    response = respond(validator(link), REMOTE_ADDR="192.0.2.1")
    assert (response.status, response.body) == ("200 OK", b"hello")


def test_a_client_that_is_denied_gets_403_in_the_form_that_it_prefers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    link = Allowlist(validator(greets), rules=["allow 192.0.2.0/24 /shop"])
    response = respond(
        validator(link),
        REMOTE_ADDR="198.51.100.1",
        SCRIPT_NAME="/shop",
        PATH_INFO="/小明\n".encode().decode("latin-1"),
        HTTP_ACCEPT="application/json",
        **{"bascule.request_id": "the-id"},
    )
    assert response.status == "403 Forbidden"
    assert response.body == b'{"error": "Forbidden", "request_id": "the-id"}'
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bascule.allowlist", logging.INFO)
    extra = vars(record)
    assert (extra["event"], extra["request_id"]) == ("denied", "the-id")
    assert (extra["address"], extra["path"]) == ("198.51.100.1", "/shop/小明\n")
    assert record.getMessage() == r"'198.51.100.1' may not reach '/shop/小明\n'"


@pytest.mark.parametrize(
    "name", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_CLIENT_IP"]
)
def test_a_field_that_a_client_may_write_changes_nothing(name: str) -> None:
    link = Allowlist(greets, rules=["allow 192.0.2.1"])
    field = {name: "for=192.0.2.1" if name == "HTTP_FORWARDED" else "192.0.2.1"}
    assert respond(link, REMOTE_ADDR="198.51.100.1", **field).status == "403 Forbidden"


def test_a_server_that_names_no_peer_is_refused_where_there_are_rules() -> None:
    def without_a_peer(environ: dict[str, Any], start_response: Any) -> Any:
        del environ["REMOTE_ADDR"]
        return Allowlist(greets, rules=["deny 192.0.2.1"])(environ, start_response)

    assert respond(without_a_peer).status == "403 Forbidden"


def test_a_peer_of_a_unix_socket_is_named_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    respond(Allowlist(greets, rules=["deny unix"]), REMOTE_ADDR="")
    assert caplog.messages == ["'unix' may not reach '/'"]


def test_head_of_a_refusal_has_no_body() -> None:
    link = Allowlist(greets, rules=["deny all"])
    assert respond(validator(link), REQUEST_METHOD="HEAD").body == b""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, 'setting "rules": missing; write rules, or name a file of them as "file"'),
        ({"rules": ["deny all", "deny x"]}, 'setting "rules": "x" is not a network'),
        ({"file": "nowhere.rules"}, "nowhere.rules: No such file or directory"),
        ({"file": "."}, "Is a directory"),
        ({"file": "wrong.rules"}, "wrong.rules:2: "),
        ({"file": "latin.rules"}, "latin.rules: not UTF-8, from byte 2 on"),
    ],
)
def test_a_wrong_setting_is_refused_at_start(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.rules").write_text("# one\ndeny 192.0.2.1 shop\n")
    (tmp_path / "latin.rules").write_bytes(b"# \xe9\n")
    if "file" in settings:
        settings = {"file": tmp_path / settings["file"]}
    with pytest.raises(SettingError) as caught:
        Allowlist(greets, **settings)
    assert message in str(caught.value)


# --- The file ---


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def replace(path: Path, text: str) -> None:
    """Write a file as a tool should: whole, or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "access.rules"
    path.write_text("deny 192.0.2.1\n")
    return path


def test_a_change_is_in_force_within_a_second_and_not_looked_for_all_the_time(path: Path) -> None:
    clock = Clock()
    file = RuleFile(path, [], clock)
    replace(path, "deny 192.0.2.2\n")
    assert not file.current().admits("192.0.2.1", "/")
    clock.now += 0.2
    assert not file.current().admits("192.0.2.1", "/")
    clock.now += 0.8
    assert file.current().admits("192.0.2.1", "/")
    assert not file.current().admits("192.0.2.2", "/")


def test_rules_are_kept_as_they_are_while_the_file_stays_the_same(path: Path) -> None:
    clock = Clock()
    file = RuleFile(path, [], clock)
    before = file.current()
    clock.now += 10
    assert file.current() is before


def test_a_file_of_the_same_size_and_time_is_noticed_when_it_replaces_the_other(path: Path) -> None:
    clock = Clock()
    file = RuleFile(path, [], clock)
    new = path.with_suffix(".new")
    new.write_text("deny 192.0.2.2\n")
    times = path.stat()
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
    new.rename(path)
    clock.now += 1
    assert not file.current().admits("192.0.2.2", "/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deny 192.0.2.2\nnonsense\n", 'access.rules:2: "nonsense" is not a rule'),
        (None, "access.rules: No such file or directory"),
    ],
)
def test_an_invalid_or_lost_file_keeps_the_rules_and_is_logged_once(
    path: Path, text: str | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    file = RuleFile(path, [], clock)
    if text is None:
        path.unlink()
    else:
        replace(path, text)
    for _ in range(5):
        clock.now += 1
        assert not file.current().admits("192.0.2.1", "/")
        assert file.current().admits("192.0.2.2", "/")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert vars(record)["event"] == "rules_refused"
    assert message in record.getMessage()
    assert record.getMessage().endswith("; the rules before it stay in force")

    caplog.set_level(logging.INFO)
    replace(path, "deny 192.0.2.3\n")
    clock.now += 1
    assert file.current().admits("192.0.2.1", "/")
    assert vars(caplog.records[-1])["event"] == "rules_read"


def test_the_rules_of_the_chain_stay_in_force_beside_those_of_the_file(path: Path) -> None:
    link = Allowlist(greets, rules=["allow 10.0.0.0/8 /admin"], file=path)

    def status(address: str, path: str) -> str:
        return respond(link, REMOTE_ADDR=address, PATH_INFO=path).status

    assert status("192.0.2.1", "/") == "403 Forbidden"
    assert status("192.0.2.2", "/") == "200 OK"
    assert status("192.0.2.2", "/admin") == "403 Forbidden"


def test_a_client_is_blocked_and_unblocked_while_the_link_serves(path: Path) -> None:
    link = Allowlist(greets, file=path)

    def seconds_until(status: str) -> float:
        began = time.monotonic()
        wait_until(lambda: respond(link, REMOTE_ADDR="198.51.100.7").status == status, status)
        return time.monotonic() - began

    assert seconds_until("200 OK") < 1
    replace(path, path.read_text() + "deny 198.51.100.7\n")
    assert seconds_until("403 Forbidden") < 1
    replace(path, path.read_text().replace("deny 198.51.100.7\n", ""))
    assert seconds_until("200 OK") < 1
