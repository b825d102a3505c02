"""Every row of docs/http.md is what the server does, however the bytes are cut."""

from __future__ import annotations

import re

import pytest
from bascule.errors import ProtocolError
from bascule.http.response import error_response

from tests.rfc9112 import page
from tests.rfc9112.feeding import Outcome, fields_of, outcome_of

ROWS = list(page.rows())


def described(outcome: Outcome) -> dict[str, str]:
    """Return an accepted message in the words of the page."""
    request = outcome.request
    assert request is not None
    words = {
        "method": request.method,
        "target": request.target,
        "path": request.path,
        "query": request.query,
        "version": f"HTTP/1.{request.minor}",
        "length": "none" if request.content_length is None else str(request.content_length),
        "chunked": "yes" if request.chunked else "no",
        "persists": "yes" if request.keep_alive else "no",
        "continue": "yes" if request.expects_continue else "no",
        "body": (outcome.body or b"").decode("latin-1"),
        "rest": outcome.rest.decode("latin-1"),
    }
    return words | fields_of(outcome.environ)


@pytest.mark.parametrize("row", ROWS, ids=[f"line-{row.line}" for row in ROWS])
def test_the_server_does_what_the_row_says(row: page.Row) -> None:
    outcome = outcome_of(row.message)

    assert outcome.status == row.status
    assert outcome.complete == (row.status is None and not row.waits)
    if outcome.complete:
        words = described(outcome)
        said = {name: words.get(name, "absent") for name in row.attributes}
        assert said == row.attributes


@pytest.mark.parametrize("row", ROWS, ids=[f"line-{row.line}" for row in ROWS])
def test_the_row_says_which_section_decides(row: page.Row) -> None:
    assert re.search(r"RFC \d+ §\d|--limit-|this server", row.section)


def test_the_page_has_rows_for_every_status_that_a_reader_answers() -> None:
    assert {row.status for row in ROWS if row.status} == {400, 411, 413, 414, 417, 431, 501, 505}


def test_the_refusal_that_the_page_shows_is_the_one_that_is_sent() -> None:
    lines = page.PAGE.read_text("utf-8").splitlines()
    start = lines.index("    HTTP/1.1 400 Bad Request")
    end = next(at for at in range(start, len(lines)) if lines[at].startswith("## "))
    shown = "\r\n".join(line.removeprefix("    ") for line in lines[start : end - 1])
    sent = error_response(ProtocolError(400, "no Host field"), 784111777.0).decode()
    assert shown == sent.removesuffix("\n")
