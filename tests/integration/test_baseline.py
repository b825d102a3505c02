"""Every entry of the corpus, byte for byte to our server and to gunicorn: the answers agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from tests.harness.client import Ending
from tests.harness.processes import ROOT

from .corpus import CORPUS, Entry
from .differences import ABSENT, ANY, DIFFERENCES, EVERY, Difference, rows
from .exchange import Aspects, Exchange, aspects, run

BY_NAME = {entry.name: entry for entry in CORPUS}
# One byte a packet up to here; beyond it as many pieces, so that a large body takes no minutes.
PIECES = 600
# IMF-fixdate (RFC 9110 §5.6.7)
DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")

Outcome = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def exchanges(bascule, gunicorn) -> Callable[[Entry], tuple[Exchange, Exchange]]:
    """Return a function that gives both servers' exchange for an entry, made once."""
    made: dict[str, tuple[Exchange, Exchange]] = {}

    def give(entry: Entry) -> tuple[Exchange, Exchange]:
        if entry.name not in made:
            both = []
            for servers in (bascule, gunicorn):
                with servers[entry.application].client() as client:
                    both.append(run(client, entry))
            made[entry.name] = (both[0], both[1])
        return made[entry.name]

    return give


def disagreement(ours: Aspects, baseline: Aspects) -> Outcome:
    """Return the aspects that differ, with the values of both.

    Where one server answers what the other passes to the application, their answers have nothing
    in common: then the status alone counts, and so it does where only one gave a response.
    """
    outcome = {}
    for aspect in sorted(ours.keys() | baseline.keys()):
        values = (ours.get(aspect, ABSENT), baseline.get(aspect, ABSENT))
        prefix, _, name = aspect.rpartition(": ")
        status = f"{prefix}: status" if prefix else "status"
        pair = (ours.get(status, ABSENT), baseline.get(status, ABSENT))
        incomparable = (" by the server" in pair[0]) != (" by the server" in pair[1])
        per_response = name not in ("responses", "interim responses", "connection", "malformed")
        if per_response and name != "status" and (ABSENT in pair or incomparable):
            continue
        if values[0] != values[1]:
            outcome[aspect] = values
    return outcome


def allows(difference: Difference, aspect: str, values: tuple[str, str]) -> bool:
    """Whether a listed difference is this one; the number of a response does not matter."""
    listed = (difference.ours, difference.baseline)
    return aspect.rpartition(": ")[2] == difference.aspect and all(
        expected in (ANY, value) for expected, value in zip(listed, values, strict=True)
    )


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)
def test_both_servers_do_the_same_but_for_listed_differences(entry: Entry, exchanges) -> None:
    ours, baseline = exchanges(entry)
    outcome = disagreement(aspects(entry, ours), aspects(entry, baseline))
    listed = [d for d in DIFFERENCES if d.entries == EVERY or entry.name in d.entries]
    unlisted = {
        aspect: values
        for aspect, values in outcome.items()
        if not any(allows(difference, aspect, values) for difference in listed)
    }
    assert not unlisted, f"(ours, gunicorn) differ for {entry.sent[:300]!r}"
    gone = [
        difference
        for difference in listed
        if difference.entries != EVERY
        and not any(allows(difference, *item) for item in outcome.items())
    ]
    assert not gone, "listed, but no longer so"


def test_every_general_difference_occurs_somewhere(exchanges) -> None:
    general = {d for d in DIFFERENCES if d.entries == EVERY}
    for entry in CORPUS:
        ours, baseline = exchanges(entry)
        outcome = disagreement(aspects(entry, ours), aspects(entry, baseline))
        general -= {d for d in general for item in outcome.items() if allows(d, *item)}
    assert not general, "listed for every entry, but nowhere so"


def test_listed_differences_name_entries_of_the_corpus() -> None:
    named = {name for difference in DIFFERENCES for name in difference.entries}
    assert named - BY_NAME.keys() - set(EVERY) == set()


def test_no_connection_to_our_server_ends_by_reset(exchanges) -> None:
    """A reset would take the answer away from a client that has not read it yet."""
    endings = {entry.name: exchanges(entry)[0].ending for entry in CORPUS}
    broken_off = {
        entry.name
        for entry in CORPUS
        if any(not response.complete for response in exchanges(entry)[0].responses)
    }
    reset = {name for name, ending in endings.items() if ending is Ending.RST}
    assert reset - broken_off == set()


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)
def test_every_answer_of_ours_has_one_date_and_one_server(entry: Entry, exchanges) -> None:
    for response in exchanges(entry)[0].responses:
        assert DATE.fullmatch(response.one("Date") or "")
        assert response.one("Server") == "bascule"


def pieces(data: bytes) -> Sequence[bytes]:
    """Return `data` in single bytes, or in PIECES parts where there are more bytes than that."""
    size = max(1, len(data) // PIECES)
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(
    "entry", [entry for entry in CORPUS if len(entry.sent) > 1], ids=lambda entry: entry.name
)
def test_our_server_does_the_same_however_the_bytes_arrive(
    entry: Entry, exchanges, bascule
) -> None:
    whole = aspects(entry, exchanges(entry)[0])
    with bascule[entry.application].client() as client:
        apart = aspects(entry, run(client, entry, pieces(entry.sent)))
    differing = disagreement(apart, whole)
    # 100 Continue may be left out where the body is there already (RFC 9110 §10.1.1), and of two
    # faults the one that came first is named.
    may_differ = ("interim responses", "error answer")
    assert {a: v for a, v in differing.items() if a.rpartition(": ")[2] not in may_differ} == {}


def test_the_page_lists_exactly_the_allowed_differences() -> None:
    page = (ROOT / "docs" / "baseline.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| ")]
    assert table == rows()
