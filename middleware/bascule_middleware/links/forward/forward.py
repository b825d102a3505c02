"""Forwards requests to upstream servers, spread over those that are well.

The link joins four parts: `balance` chooses, `intermediary` says what is passed on, `upstreams`
sends, `retry` says whether another upstream may be asked. Bodies stream both ways in blocks; of a
response one block is in memory.

The threat is a client that makes two servers see two different messages, or reaches another server
than the configured ones. So the address is taken from the settings alone, and the whole head that
an upstream gets is written anew from the environ; what cannot be written safely is answered 400.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import platform
import random
import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from bascule_middleware.exchange.error_page import refuse
from bascule_middleware.exchange.forwarded import MalformedFieldError, parse_host
from bascule_middleware.exchange.request_path import full_path, path_text
from bascule_middleware.links.forward.balance import CHOOSERS, Balancer, Member
from bascule_middleware.links.forward.health import HealthChecks
from bascule_middleware.links.forward.intermediary import (
    EndsHereError,
    RefusedError,
    outgoing,
    response_fields,
)
from bascule_middleware.links.forward.relay import RelayedBody, RequestBodyError, request_blocks
from bascule_middleware.links.forward.retry import STATUSES, UpstreamError, may_retry
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from bascule_middleware.links.forward.intermediary import Outgoing
    from bascule_middleware.links.forward.retry import Failure
    from bascule_middleware.links.forward.upstreams import Upstream

MOST_TRIES = 3  # upstreams that one request is sent to; more would multiply an outage's load

_FIELD_NAME = re.compile(r"[A-Za-z0-9-]*").fullmatch
_TARGET = re.compile(r"/[!-~]*").fullmatch
_log = logging.getLogger("bascule.forward")


class Forward:
    """Forward what is below a path; the rest is the application's."""

    def __init__(
        self,
        application: WSGIApplication | None,
        *,
        upstreams: Sequence[str],
        path: str = "/",
        balance: Literal["round-robin", "least-outstanding", "two-choices", "hash"] = "round-robin",
        weights: Sequence[int] = (),
        hash_field: str = "",
        host: str = "",
        fields: Literal["x-forwarded", "forwarded"] = "x-forwarded",
        connect_timeout: float = 2.0,
        response_timeout: float = 20.0,
        max_failures: int = 3,
        ejection: float = 1.0,
        health_path: str = "",
        health_interval: float = 5.0,
        health_timeout: float = 2.0,
        health_checks: int = 2,
    ) -> None:
        """Make the link. Connects to nobody yet.

        Args:
            application: gets what is not below `path`; None where that is nothing.
            upstreams: "http://host:port" or "unix:/path/of.sock".
            path: the prefix of what is forwarded, in whole segments.
            balance: how an upstream is chosen.
            weights: of the upstreams, in their order; empty for all alike.
            hash_field: the request field that "hash" goes by; empty for the client's address.
            host: the value of Host; empty for the client's own.
            fields: the family of forwarded fields that is written.
            connect_timeout: seconds to connect.
            response_timeout: seconds of silence before an upstream is too slow.
            max_failures: in a row, after which an upstream is ejected.
            ejection: seconds of the first ejection; doubles up to 30.
            health_path: what active checks ask for; empty for no checks.
            health_interval: seconds between checks.
            health_timeout: seconds for the answer to a check.
            health_checks: in a row that make an upstream unhealthy, or healthy again.
        """
        if application is None and path != "/":
            raise SettingError("path", 'must be "/": there is no application for other paths')
        self._application = application
        self._prefix = _prefix(path)
        self._host = _checked_host(host)
        self._family = fields
        self._key = _key_variable(hash_field)
        for name, number in (
            ("connect_timeout", connect_timeout),
            ("response_timeout", response_timeout),
            ("max_failures", max_failures),
            ("ejection", ejection),
            ("health_interval", health_interval),
            ("health_timeout", health_timeout),
            ("health_checks", health_checks),
        ):
            if not 0 < number < math.inf:
                raise SettingError(name, f"{number} must be more than 0")
        members = _members(upstreams, weights)
        self._upstreams = _connected(members, connect_timeout, response_timeout)
        self._balancer = Balancer(
            members,
            CHOOSERS[balance],
            max_failures=max_failures,
            ejection=ejection,
            checks=health_checks,
            clock=time.monotonic,
            dice=random.Random(),  # noqa: S311 (spreads load, keeps no secret)
        )
        self._health: HealthChecks | None = None
        if health_path:
            if not _TARGET(health_path):
                raise SettingError("health_path", f'"{health_path}" must be like "/health"')
            self._health = HealthChecks(
                self._upstreams,
                self._balancer,
                path=health_path,
                host=self._host or "health-check",
                interval=health_interval,
                timeout=health_timeout,
            )
        # The same for all processes here, and another where other servers are forwarded to: so a
        # chain of gateways is no loop.
        identity = "\n".join([platform.node(), path, *upstreams]).encode()
        self._via = f"bascule-{hashlib.blake2b(identity, digest_size=4).hexdigest()}"
        self._unknown_wait = health_interval

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Forward the request, or run the application where the path is not ours."""
        path = full_path(environ)
        if self._application is not None and not f"{path}/".startswith(self._prefix):
            return self._application(environ, start_response)
        if self._health:
            self._health.start()
        try:
            request = outgoing(environ, host=self._host, via=self._via, family=self._family)
        except EndsHereError:
            start_response("204 No Content", [])
            return []
        except RefusedError as error:
            _tell(environ, logging.WARNING, "request_refused", f"not forwarded: {error}")
            return refuse(environ, start_response, error.status)
        return self._forward(environ, start_response, request)

    def _forward(
        self, environ: WSGIEnvironment, start_response: StartResponse, request: Outgoing
    ) -> Iterable[bytes]:
        key = environ.get(self._key) or environ.get("REMOTE_ADDR", "")
        tried: list[Member] = []
        failure: Failure | None = None
        while len(tried) < MOST_TRIES and (member := self._balancer.acquire(key, tried)):
            try:
                relayed = self._exchange(environ, start_response, request, member)
            except UpstreamError as error:
                tried.append(member)
                failure = error.failure
                if not may_retry(failure, request.method, has_body=request.has_body):
                    break
            except RequestBodyError as error:
                _tell(environ, logging.WARNING, "request_refused", f"the body broke off: {error}")
                return refuse(environ, start_response, "400 Bad Request")
            else:
                return relayed
        if failure is not None:
            return refuse(environ, start_response, STATUSES[failure])
        _tell(environ, logging.ERROR, "no_upstream", "no upstream is available")
        wait = self._balancer.retry_after()
        seconds = math.ceil(self._unknown_wait if wait is None else wait)
        fields = [("Retry-After", str(max(1, seconds)))]
        return refuse(environ, start_response, "503 Service Unavailable", fields)

    def _exchange(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        request: Outgoing,
        member: Member,
    ) -> Iterable[bytes]:
        """Send the request to one upstream and start the response; raises UpstreamError."""

        def failed(error: UpstreamError) -> None:
            text = f"upstream {member.name} failed: {error}"
            _tell(environ, logging.WARNING, "upstream_failed", text, member)
            seconds = self._balancer.failed(member)
            if seconds:
                text = f"is left out for {seconds:g} s"
                _tell_of(member, logging.WARNING, "upstream_ejected", text)

        relayed = None
        try:
            source = environ["wsgi.input"]
            body = request_blocks(source, request.length) if request.has_body else None
            response = self._upstreams[member].send(request, body)
            release = functools.partial(self._balancer.release, member)
            relayed = RelayedBody(response, failed, release)
            if self._balancer.served(member):
                _tell_of(member, logging.INFO, "upstream_restored", "is back")
            environ["bascule.upstream"] = member.name
            passed = response_fields(response.fields, version=response.version, via=self._via)
            start_response(response.status, passed)
        except BaseException as error:
            if isinstance(error, UpstreamError):
                failed(error)
            if relayed:
                relayed.close()
            else:
                self._balancer.release(member)
            raise
        return relayed


def _tell(
    environ: WSGIEnvironment, level: int, event: str, text: str, member: Member | None = None
) -> None:
    method = environ.get("REQUEST_METHOD", "")
    path = path_text(environ)
    extra = {
        "event": event,
        "request_id": environ.get("bascule.request_id", ""),
        "method": method,
        "path": path,
    }
    if member:
        extra["upstream"] = member.name
    # Some servers let any method in; a line break in it must not begin a line of its own.
    name = method if method.isprintable() else ascii(method)
    _log.log(level, "%s %r: %s", name, path, text, extra=extra)


def _tell_of(member: Member, level: int, event: str, text: str) -> None:
    extra = {"event": event, "upstream": member.name}
    _log.log(level, "upstream %s %s", member.name, text, extra=extra)


def _prefix(path: str) -> str:
    if not path.startswith("/"):
        raise SettingError("path", f'"{path}" must begin with "/"')
    return path.rstrip("/").encode().decode("latin-1") + "/"


def _checked_host(host: str) -> str:
    try:
        if host:
            parse_host(host)
    except MalformedFieldError as error:
        raise SettingError("host", str(error)) from None
    return host


def _key_variable(field: str) -> str:
    if not _FIELD_NAME(field):
        raise SettingError("hash_field", f'"{field}" is not the name of a field')
    return "HTTP_" + field.upper().replace("-", "_") if field else "REMOTE_ADDR"


def _members(upstreams: Sequence[str], weights: Sequence[int]) -> list[Member]:
    if not upstreams:
        raise SettingError("upstreams", 'empty; name at least one, as in "http://127.0.0.1:9001"')
    if len(set(upstreams)) != len(upstreams):
        raise SettingError("upstreams", "has an address twice; give it a weight instead")
    if weights and len(weights) != len(upstreams):
        raise SettingError("weights", f"has {len(weights)} for {len(upstreams)} upstreams")
    for index, weight in enumerate(weights):
        if weight < 1:
            raise SettingError("weights", f"{weight} must be 1 or more", index)
    return [
        Member(name, weight)
        for name, weight in zip(upstreams, weights or [1] * len(upstreams), strict=True)
    ]


def _connected(
    members: Sequence[Member], connect_timeout: float, response_timeout: float
) -> dict[Member, Upstream]:
    try:
        from bascule_middleware.links.forward.upstreams import Upstream, parse_address  # noqa: PLC0415 (needs urllib3)
    except ModuleNotFoundError as error:
        message = f'the link needs the package "{error.name}"; install it: pip install urllib3'
        raise SettingError("use", message) from None
    connected = {}
    for index, member in enumerate(members):
        try:
            address = parse_address(member.name)
        except ValueError as error:
            raise SettingError("upstreams", str(error), index) from None
        connected[member] = Upstream(address, connect_timeout, response_timeout)
    return connected
