"""An error as a page: HTML for a browser, JSON or text for others.

Whatever comes from the error, its source or the request is text in the page; no script runs there,
and nothing is fetched (Content-Security-Policy). Fields and parameters that may be secrets are not
shown, since pages are: in a meeting, in a report.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final

from bascule.development.report import Call, Raised, folded, text

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

HIDDEN: Final = "(hidden)"
_SECRET: Final = re.compile(
    r"auth|cookie|credential|csrf|key|pass|secret|session|signature|token|xsrf", re.IGNORECASE
)
_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; white-space: pre-wrap; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; white-space: pre-wrap; }
summary { cursor: pointer; }
details { margin: .4rem 0; }
code, pre, td { font: .85rem/1.5 ui-monospace, monospace; }
pre { margin: .4rem 0; padding: .5rem; overflow-x: auto; border: 1px solid #8886;
  overflow-wrap: normal; }
mark { background: #d332; color: inherit;
  font-weight: bold; }
th { text-align: left; vertical-align: top; padding-right: 1rem; font-weight: normal;
  white-space: nowrap; }
.folded { color: #777; }
"""
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_FIELDS: Final = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]


def answer(
    environ: WSGIEnvironment, title: str, errors: Sequence[Raised]
) -> tuple[list[tuple[str, str]], bytes]:
    """Return the fields and the body of what a client is answered, in the form that it accepts.

    Args:
        environ: the request's.
        title: what went wrong; the last error's summary where it is empty.
        errors: the first cause first.
    """
    title = title or errors[-1].summary
    accepted = environ.get("HTTP_ACCEPT", "")
    if "text/html" in accepted:
        kind, body = "text/html", _html(environ, title, errors)
    elif "json" in accepted:
        document = {"error": title, "traceback": text(errors).splitlines()}
        kind, body = "application/json", json.dumps(document, indent=2) + "\n"
    else:
        traces = text(errors)
        end = "" if errors and traces.endswith(title) else f"{title}\n"
        kind, body = "text/plain", f"{traces}\n{end}" if errors else end
    data = body.encode("utf-8", "backslashreplace")
    return [("Content-Type", f"{kind}; charset=utf-8"), *_FIELDS], data


def _html(environ: WSGIEnvironment, title: str, errors: Sequence[Raised]) -> str:
    shown = escape(title)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>{escape(title.splitlines()[-1])}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
        f"<h1>{shown}</h1>",
        "<p>The terminal says the same. Save what mends it, and load this page again.</p>",
    ]
    for raised in errors:
        is_said = len(errors) == 1 and raised.summary == title
        parts += _raised(raised, "" if is_said else raised.summary)
    parts += ["<h2>Request</h2>", *_request(environ), "</html>", ""]
    return "\n".join(parts)


def _raised(raised: Raised, heading: str) -> Iterator[str]:
    if raised.relation:
        yield f"<p>{escape(raised.relation)}</p>"
    if heading:
        yield f"<h2>{escape(heading)}</h2>"
    for is_own, group in groupby(raised.calls, key=lambda call: call.is_own):
        calls = list(group)
        if is_own:
            for call in calls:
                yield from _call(call, "details open")
        else:
            yield f'<details class="folded"><summary>{escape(folded(calls))}</summary>'
            for call in calls:
                yield from _call(call, "details")
            yield "</details>"


def _call(call: Call, tag: str) -> Iterator[str]:
    within = f" in {escape(call.function)}" if call.function else ""
    yield f"<{tag}><summary><code>{escape(call.file)}:{call.line}</code>{within}</summary>"
    if call.source:
        lines = "".join(_line(number, line, call.line) for number, line in call.source)
        yield f"<pre>{lines}</pre>"
    yield "</details>"


def _line(number: int, line: str, marked: int) -> str:
    shown = f"{number:5}  {escape(line)}"
    return f"<mark>{shown}</mark>\n" if number == marked else f"{shown}\n"


def _request(environ: WSGIEnvironment) -> Iterator[str]:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    if query := environ.get("QUERY_STRING", ""):
        path += "?" + "&".join(map(_parameter, query.split("&")))
    yield f"<p><code>{escape(environ.get('REQUEST_METHOD', ''))} {escape(path)}</code></p>"
    yield "<table>"
    for name, value in _request_fields(environ):
        shown = HIDDEN if _SECRET.search(name) else value
        yield f"<tr><th>{escape(name)}</th><td>{escape(shown)}</td></tr>"
    yield "</table>"


def _parameter(given: str) -> str:
    name, equals, _ = given.partition("=")
    return f"{name}{equals}{HIDDEN}" if equals and _SECRET.search(name) else given


def _request_fields(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_") or (key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value):
            yield key.removeprefix("HTTP_").replace("_", "-").title(), str(value)
