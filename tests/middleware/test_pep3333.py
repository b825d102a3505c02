"""Every link keeps to PEP 3333 on both sides, and leaves streams, write() and close() alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.allowlist.allowlist import Allowlist
from bascule_middleware.links.dispatch import Dispatch
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.links.forward.forward import Forward
from bascule_middleware.links.proxy_headers import ProxyHeaders
from bascule_middleware.links.ratelimit.ratelimit import RateLimit
from bascule_middleware.links.request_id import RequestId
from bascule_middleware.links.xslt.xslt import Xslt

from tests.middleware import hostile
from tests.middleware.gateway import Gateway, respond

FIELDS_OF_LINKS = ("X-Request-ID", "RateLimit-Policy", "RateLimit")

dispatch = partial(Dispatch, mounts={"/elsewhere": "app.hello:application"})
forward = partial(Forward, path="/elsewhere", upstreams=["http://nowhere.invalid"])
allowlist = partial(Allowlist, rules=["allow 192.0.2.0/24", "allow unix"])
xslt = partial(Xslt, stylesheets=Path(__file__).parent)
ratelimit = partial(RateLimit, limits=["1000000/second"], entries=8)


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_DIR", str(tmp_path))


def whole_chain(application: Any) -> Any:
    return RequestId(
        Exceptions(ProxyHeaders(allowlist(ratelimit(xslt(forward(dispatch(application)))))))
    )


links = pytest.mark.parametrize(
    "link",
    [
        RequestId,
        Exceptions,
        ProxyHeaders,
        allowlist,
        ratelimit,
        dispatch,
        xslt,
        forward,
        whole_chain,
    ],
)


@links
@pytest.mark.parametrize("application", hostile.BEHAVED)
def test_a_link_passes_the_validator_on_both_sides_and_changes_nothing(
    link: Callable[[Any], Any], application: Any
) -> None:
    bare = respond(application)
    # The validator demands a parameter-less `write` and positional arguments, as servers may.
    response = respond(validator(link(validator(application))))
    assert (response.status, response.blocks) == (bare.status, bare.blocks)
    assert [field for field in response.fields if field[0] not in FIELDS_OF_LINKS] == bare.fields


@links
@pytest.mark.parametrize("application", hostile.BEHAVED)
def test_a_link_passes_head_and_post_with_forwarded_fields(
    link: Callable[[Any], Any], application: Any
) -> None:
    for method in ("HEAD", "POST"):
        respond(
            validator(link(validator(application))),
            REQUEST_METHOD=method,
            HTTP_X_FORWARDED_FOR="192.0.2.1",
            HTTP_X_REQUEST_ID="abc",
        )


@links
def test_a_stream_arrives_block_by_block(link: Callable[[Any], Any]) -> None:
    made: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", list(hostile.TEXT))
        for name in ("one", "two"):
            made.append(name)
            yield name.encode()

    gateway = Gateway(link(application))
    blocks = iter(link(application)(gateway.environ, gateway.start_response))
    assert next(blocks) == b"one"
    assert made == ["one"]


@links
def test_a_response_is_closed_once_when_it_is_read_to_its_end(link: Callable[[Any], Any]) -> None:
    response = hostile.Closing()
    assert respond(link(response)).body == b"onetwo"
    assert response.closings == 1


@links
def test_a_response_is_closed_once_when_the_client_goes_away(link: Callable[[Any], Any]) -> None:
    response = hostile.Closing()
    assert Gateway(link(response)).run(blocks=1).body == b"one"
    assert response.closings == 1


@links
def test_a_generator_that_is_not_read_to_its_end_runs_its_cleanup(
    link: Callable[[Any], Any],
) -> None:
    cleaned = []

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", list(hostile.TEXT))
        try:
            yield b"one"
            yield b"two"
        finally:
            cleaned.append(True)

    Gateway(link(application)).run(blocks=1)
    assert cleaned == [True]


@links
def test_a_list_reaches_the_server_itself_so_that_it_can_count_the_bytes(
    link: Callable[[Any], Any],
) -> None:
    blocks = [b"hello"]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", list(hostile.TEXT))
        return blocks

    assert respond(link(application)).iterable is blocks


@links
def test_a_length_stays_known(link: Callable[[Any], Any]) -> None:
    response = hostile.Closing(sized=True)
    gateway = Gateway(link(response))
    assert len(link(response)(gateway.environ, gateway.start_response)) == 2


@links
def test_a_file_wrapper_reaches_the_server_itself_so_that_it_can_use_sendfile(
    link: Callable[[Any], Any],
) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", list(hostile.TEXT))
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"))

    response = respond(link(application))
    assert type(response.iterable) is FileWrapper
    assert response.body == b"a file"
