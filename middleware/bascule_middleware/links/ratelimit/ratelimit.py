"""Refuses what comes more often than allowed: 429, with what the client should wait.

The threat is a client, broken or hostile, that takes what the others need. Every limit of a request
must allow it; one that is refused counts nowhere, so that a client that keeps knocking is let in
again at the rate that is its due.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` names the
limits, `RateLimit` says what is left of them. `Retry-After` is RFC 9110 §10.2.3.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bascule_middleware.exchange.error_page import refuse
from bascule_middleware.exchange.request_path import full_path, path_text
from bascule_middleware.links.ratelimit.limits import Limit, parse_limit
from bascule_middleware.links.ratelimit.rate_store import Claim, Store, StoreAwayError
from bascule_middleware.links.ratelimit.rate_table import shared_table
from bascule_middleware.links.ratelimit.rates import effective_window, seconds
from bascule_middleware.links.ratelimit.throttle import Throttle
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

RETRY_SECONDS = 1  # when to come again where nobody counts
MAX_TIMEOUT = 5.0  # a request that waited longer would be worse off than one not counted
MIN_ENTRIES, MAX_ENTRIES = 8, 1 << 24  # 512 MiB

_log = logging.getLogger("bascule.ratelimit")


class RateLimit:
    """Run the application where all limits allow it; 429 otherwise."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        limits: Sequence[str],
        ipv6_prefix: int = 64,
        table: str | None = None,
        entries: int = 65536,
        valkey: str | None = None,
        timeout: float = 0.1,
        fallback: Literal["local", "open", "closed"] = "local",
    ) -> None:
        """Open the table that all workers share; nothing is asked of Valkey yet.

        `limits`: see `limits`; `ipv6_prefix`: bits of an IPv6 address that make one client;
        `table`: the file of the counts; `entries`: how many clients it has room for; `valkey`: URL
        of a Valkey that counts instead; `timeout`: seconds that it may take; `fallback`: who counts
        while it does not answer: the table, or nobody, and all are admitted or refused.
        """
        self._application = application
        self._limits = _parsed(limits, ipv6_prefix)
        self._refusals = Throttle(1)
        self._fallback = fallback
        self._local: Store | None = None
        if valkey is None:
            self._store = _table(table, entries)
        else:
            self._store = _valkey(valkey, timeout)
            if fallback == "local":
                self._local = _table(table, entries)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Count the request, then run the application or refuse it."""
        path = full_path(environ)
        claims = [
            (limit, limit.counted_by(environ)) for limit in self._limits if limit.applies(path)
        ]
        if not claims:
            return self._application(environ, start_response)
        try:
            admitted, credits_left = self._store.take(claims)
        except StoreAwayError:
            if self._fallback == "open":
                return self._application(environ, start_response)
            if self._local is None:
                fields = [("Retry-After", str(RETRY_SECONDS))]
                return refuse(environ, start_response, "503 Service Unavailable", fields)
            admitted, credits_left = self._local.take(claims)
        if not admitted:
            return self._refuse(environ, start_response, claims, credits_left)
        limit_fields = [_policy(claims), _state(claims, credits_left)]

        def start_with_fields(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            # A new list: the application may use its own for many responses.
            if exc_info:
                return start_response(status, headers + limit_fields, exc_info)
            return start_response(status, headers + limit_fields)

        return self._application(environ, start_with_fields)

    def _refuse(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        claims: Sequence[Claim],
        credits_left: Sequence[int],
    ) -> list[bytes]:
        """Answer 429. RateLimit has only the limits that refuse it, for which the client waits."""
        short = [
            (claim, left)
            for claim, left in zip(claims, credits_left, strict=True)
            if left < claim[0].rate.interval
        ]
        violated, lacking = [claim for claim, _ in short], [left for _, left in short]
        wait = max(seconds(limit.rate.interval - left) for (limit, _), left in short)
        kept_back = self._refusals.kept_back()
        if kept_back is not None:
            _log_refusal(environ, violated[0][0], kept_back)
        fields = [("Retry-After", str(wait)), _policy(claims), _state(violated, lacking)]
        return refuse(environ, start_response, "429 Too Many Requests", fields)


def _parsed(limits: Sequence[str], ipv6_prefix: int) -> list[Limit]:
    if not 1 <= ipv6_prefix <= 128:
        raise SettingError("ipv6_prefix", f"{ipv6_prefix} is not between 1 and 128")
    if not limits:
        raise SettingError("limits", 'there is none; write one as in "100/minute"')
    parsed: dict[str, Limit] = {}
    for index, text in enumerate(limits):
        try:
            limit = parse_limit(text, ipv6_prefix)
        except ValueError as error:
            raise SettingError("limits", str(error), index) from None
        if limit.definition in parsed:
            raise SettingError("limits", f'"{text}" stands there twice', index)
        parsed[limit.definition] = limit
    return list(parsed.values())


def _table(table: str | None, entries: int) -> Store:
    if not MIN_ENTRIES <= entries <= MAX_ENTRIES:
        message = f"{entries} is not between {MIN_ENTRIES} and {MAX_ENTRIES}"
        raise SettingError("entries", message)
    path = Path(table) if table is not None else _default_table()
    try:
        return shared_table(path, entries)
    except OSError as error:
        remedy = "name a file that this user may make, best in memory, as below /dev/shm"
        raise SettingError("table", f'"{path}": {error.strerror}; {remedy}') from None


def _valkey(url: str, timeout: float) -> Store:
    if not 0 < timeout <= MAX_TIMEOUT:
        raise SettingError("timeout", f"{timeout} is not between 0 and {MAX_TIMEOUT} seconds")
    try:
        from bascule_middleware.links.ratelimit.rate_valkey import ValkeyStore  # noqa: PLC0415 (needs valkey)
    except ModuleNotFoundError as error:
        remedy = f'it needs the package "{error.name}"; install it: pip install valkey'
        raise SettingError("valkey", remedy) from None
    try:
        return ValkeyStore(url, timeout)
    except ValueError:
        remedy = 'write it as in "valkey://host:6379/0" or "unix:///run/valkey/valkey.sock"'
        raise SettingError("valkey", f'"{url}" is no URL of a Valkey; {remedy}') from None


def _default_table() -> Path:
    """Return a file that the workers of a stack share: the stack's, else the user's."""
    run_dir = os.environ.get("RUN_DIR")
    if run_dir:
        return Path(run_dir) / "ratelimit.table"
    return Path(f"/dev/shm/bascule-ratelimit-{os.geteuid()}")  # noqa: S108  # rate_file checks whose


def _policy(claims: Sequence[Claim]) -> tuple[str, str]:
    return "RateLimit-Policy", ", ".join([limit.policy for limit, _ in claims])


def _state(claims: Sequence[Claim], credits_left: Sequence[int]) -> tuple[str, str]:
    items = []
    for (limit, _), left in zip(claims, credits_left, strict=True):
        interval = limit.rate.interval
        items.append(f"{limit.label};r={left // interval};t={effective_window(left, interval)}")
    return "RateLimit", ", ".join(items)


def _log_refusal(environ: WSGIEnvironment, limit: Limit, kept_back: int) -> None:
    method, address = environ["REQUEST_METHOD"], environ.get("REMOTE_ADDR", "")
    path = path_text(environ)
    _log.warning(
        "%r %r from %r: refused by %r, and %d more requests since the last such line",
        method,
        path,
        address,
        limit.definition,
        kept_back,
        extra={
            "event": "rate_limited",
            "request_id": environ.get("bascule.request_id", ""),
            "method": method,
            "path": path,
            "address": address,
            "limit": limit.definition,
            "kept_back": kept_back,
        },
    )
