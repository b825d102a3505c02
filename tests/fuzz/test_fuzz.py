"""A bounded fuzz: no unexplained difference from llhttp and h11, and no exception."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import command, corpus, generate, hunt, read_ours
from tests.fuzz.compare import check
from tests.fuzz.differences import DIFFERENCES, explanation, table
from tests.fuzz.reading import Ending, Reading

ROOT = Path(__file__).parents[2]


def findings(seed: int, inputs: int, read=read_ours.read) -> list[hunt.Found]:
    reports = list(hunt.hunt(seed, inputs, read=read))
    assert sum(report.inputs for report in reports) == inputs
    return [found for report in reports for found in report.found]


def test_the_same_streams_hold_on_every_run() -> None:
    assert findings(seed=9112, inputs=30_000) == []


def test_new_streams_hold() -> None:
    seed = secrets.randbelow(10**9)
    print(f"again: tests/fuzz/run --seed {seed} --jobs 1 --inputs 20000")
    assert findings(seed, inputs=20_000) == []


streams = st.lists(st.sampled_from(generate.words()) | st.binary(max_size=4), max_size=20)
heads = st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.0\r\n"])
codings = st.sampled_from(
    [b"", b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 5\r\n\r\n"]
)


@given(head=heads, coding=codings, words=streams, seed=st.integers(0, 99))
def test_streams_of_such_words_hold(
    head: bytes, coding: bytes, words: list[bytes], seed: int
) -> None:
    stream = head + coding + b"".join(words) + generate.SENTINEL
    check(stream, Random(seed), explanation, byte_by_byte=1.0)


@pytest.mark.parametrize("name", corpus.streams())
def test_a_committed_stream_holds(name: str) -> None:
    stream = corpus.streams()[name]
    for seed in range(20):
        check(stream, Random(seed), explanation, byte_by_byte=1.0)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: f"{each.peer} {each.what}")
def test_a_difference_on_the_list_is_still_there(difference) -> None:
    shown = check(difference.example, Random(0), explanation)
    assert difference in [explanation(each, difference.example) for each in shown]


def test_the_list_in_the_documentation_is_the_one_that_is_used() -> None:
    assert table() in (ROOT / "docs" / "hardening.md").read_text()


def test_the_generator_makes_the_same_streams_from_the_same_seed() -> None:
    first, second = (generate.Generator(Random(3)) for _ in range(2))
    assert [first.stream() for _ in range(500)] == [second.stream() for _ in range(500)]


def test_the_generator_makes_requests_that_are_read_as_well_as_refused() -> None:
    generator = generate.Generator(Random(3))
    endings = [read_ours.read([generator.stream()]).ending for _ in range(2000)]
    assert min(endings.count(each) for each in (Ending.BOUNDARY, Ending.REFUSED)) > 200
    assert min(endings.count(each) for each in (Ending.CLOSED, Ending.WAITS)) > 0


def joined_read(pieces: Iterable[bytes], old: bytes, new: bytes) -> Reading:
    return read_ours.read([b"".join(pieces).replace(old, new)])


def accepts_bare_line_feeds(pieces: Iterable[bytes]) -> Reading:
    data = re.sub(rb"(?<!\r)\n", b"\r\n", b"".join(pieces))
    return read_ours.read([data])


def overlooks_the_coding(pieces: Iterable[bytes]) -> Reading:
    return joined_read(pieces, b"Transfer-Encoding: chunked", b"X-Ignored: chunked")


def forgets_a_field(pieces: Iterable[bytes]) -> Reading:
    return joined_read(pieces, b"Connection: close\r\n", b"")


def depends_on_the_cut(pieces: Iterable[bytes]) -> Reading:
    pieces = list(pieces)
    return read_ours.read(pieces if len(pieces) < 5 else pieces[:-1])


def fails(pieces: Iterable[bytes]) -> Reading:
    if b"\xa0" in b"".join(pieces):
        raise UnicodeDecodeError("ascii", b"", 0, 0, "")
    return read_ours.read(pieces)


def answers_otherwise(pieces: Iterable[bytes]) -> Reading:
    reading = read_ours.read(pieces)
    return reading._replace(status=418) if reading.status == 417 else reading


@pytest.mark.parametrize(
    "read",
    [
        accepts_bare_line_feeds,
        overlooks_the_coding,
        forgets_a_field,
        depends_on_the_cut,
        fails,
        answers_otherwise,
    ],
)
def test_a_parser_that_is_wrong_is_found_out(read) -> None:
    found = findings(seed=1, inputs=3000, read=read)
    assert found
    assert any(hunt.finding_of(each.stream, read) for each in found)


def test_a_finding_is_made_small() -> None:
    kinds = {each.kind: each for each in findings(1, 3000, fails)}
    assert kinds["an exception: UnicodeDecodeError"].stream == b"\xa0"


def test_the_command_tells_what_it_did_and_how_to_repeat_it(capsys) -> None:
    assert command.main(["--inputs", "2000", "--seed", "5", "--jobs", "2"]) == 0
    output = capsys.readouterr().out
    assert "seed 5, 2 jobs" in output
    assert "2,000 inputs" in output
    assert "No unexplained difference" in output


def test_the_command_replays_a_stream(capsys) -> None:
    assert command.main(["--replay", repr(generate.SENTINEL)]) == 0
    assert "All holds." in capsys.readouterr().out
    assert command.main(["--replay", "GET / HTTP/1.1"]) == 2
    assert "bytes literal" in capsys.readouterr().err


def coverage_guided(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(directory), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments, "-seed=1"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_coverage_guided_fuzz_runs(tmp_path: Path) -> None:
    run = coverage_guided("-m", "tests.fuzz.coverage_guided", "-runs=2000", directory=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Done 2000 runs" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_coverage_guided_fuzz_ends_at_a_finding(tmp_path: Path) -> None:
    program = (
        "from tests.fuzz import coverage_guided as it; it.differences.DIFFERENCES = (); it.main()"
    )
    run = coverage_guided("-c", program, "-runs=2000", directory=tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "FOUND " in run.stdout
    assert "tests/fuzz/run --replay" in run.stdout
    assert list(tmp_path.iterdir()) == []
