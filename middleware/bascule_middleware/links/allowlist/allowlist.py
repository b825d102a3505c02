"""Admits and refuses clients by their address, and by the path that they ask for.

It reads REMOTE_ADDR only, so it stands inside of `proxy_headers`, which puts the client's address
there and is the one judge of who may say what that is. Any other field, a client may write itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bascule_middleware.exchange.error_page import refuse
from bascule_middleware.exchange.request_path import full_path, path_text
from bascule_middleware.exchange.trust import UNIX
from bascule_middleware.links.allowlist.access_rules import Rule, parse_rule
from bascule_middleware.links.allowlist.rule_file import FixedRules, RuleFile
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger("bascule.allowlist")


class Allowlist:
    """Answer 403 where the rules do not admit a client."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        rules: Sequence[str] = (),
        file: Path | None = None,
    ) -> None:
        """Read the rules, as `access_rules` describes them.

        `rules`: rules that hold until the server is restarted; `file`: a file with more of them,
        which is followed as it changes.
        """
        self._application = application
        if file is None and not rules:
            raise SettingError("rules", 'missing; write rules, or name a file of them as "file"')
        fixed = [_parsed(rules, index) for index in range(len(rules))]
        try:
            self._rules: FixedRules | RuleFile = (
                RuleFile(file, fixed) if file else FixedRules(fixed)
            )
        except ValueError as error:
            raise SettingError("file", str(error)) from None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application where the client is admitted."""
        address = environ.get("REMOTE_ADDR", "unknown")
        if self._rules.current().admits(address, full_path(environ)):
            return self._application(environ, start_response)
        _log_denied(environ, address)
        return refuse(environ, start_response, "403 Forbidden")


def _parsed(rules: Sequence[str], index: int) -> Rule:
    try:
        return parse_rule(rules[index])
    except ValueError as error:
        raise SettingError("rules", str(error), index) from None


def _log_denied(environ: WSGIEnvironment, address: str) -> None:
    path = path_text(environ)
    extra = {
        "event": "denied",
        "request_id": environ.get("bascule.request_id", ""),
        "address": address,
        "path": path,
    }
    _log.info("%r may not reach %r", address or UNIX, path, extra=extra)
