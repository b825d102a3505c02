"""The applications that misbehave, as a collection: enough of them, from life, and each proven."""

from __future__ import annotations

import re

import pytest

from tests.misbehaviour.cases import all_cases
from tests.misbehaviour.drive import ROOT
from tests.misbehaviour.mechanisms import MECHANISMS, REPLACEMENT

CASES = all_cases()
# Whose bug trackers count; the others that are cited are of libraries.
SERVERS = (
    "benoitc/gunicorn",
    "cherrypy/cheroot",
    "cherrypy/cherrypy",
    "emmett-framework/granian",
    "GrahamDumpleton/mod_wsgi",
    "Pylons/waitress",
    "python/cpython",
    "unbit/uwsgi",
)


def test_there_are_sixty_of_which_twenty_come_from_bug_reports_of_servers() -> None:
    assert len(CASES) >= 60
    reports = {case.report for case in CASES.values() if case.report}
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", report) for report in reports)
    assert len([each for each in reports if each.partition("#")[0] in SERVERS]) >= 20


def test_at_most_five_may_end_a_worker() -> None:
    assert len([case for case in CASES.values() if case.ends_worker]) <= 5


@pytest.mark.parametrize("name", CASES)
def test_each_says_what_it_does_and_what_bears_it(name: str) -> None:
    case = CASES[name]
    assert case.title.endswith((".", "?"))
    assert case.logged
    assert case.borne_by in {*MECHANISMS, REPLACEMENT}


@pytest.mark.parametrize("name", MECHANISMS)
def test_what_is_taken_out_of_a_mechanism_stands_in_the_server_once(name: str) -> None:
    for edit in MECHANISMS[name].edits:
        text = (ROOT / "server" / "bascule" / edit.file).read_text()
        assert text.count(edit.old) == 1, f"{edit.file}: {edit.old}"


def test_each_mechanism_bears_something() -> None:
    assert set(MECHANISMS) == {case.borne_by for case in CASES.values()} - {REPLACEMENT}
