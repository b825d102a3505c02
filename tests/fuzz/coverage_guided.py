"""The coverage-guided fuzz: ``python -m tests.fuzz.coverage_guided [LIBFUZZER OPTION ...]``.

Atheris changes streams so that they reach code of the server's parser that none has reached, and
each is held against the same as in the other fuzz. It starts from the committed streams, runs for
60 seconds (``-max_total_time=N`` or ``-runs=N`` say otherwise), and ends at the first finding,
with the smallest stream that shows it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(
    include=["bascule.http.request", "bascule.http.body", "bascule.http.grammar"]
):
    from tests.fuzz import compare, corpus, differences, generate, hunt, minimise


def one_input(data: bytes) -> None:
    """Hold everything against one stream; end the process at a finding."""
    try:
        compare.check(data, Random(len(data)), differences.explanation)
    except compare.Finding as finding:
        kind = finding.kind

        def shows(shorter: bytes) -> bool:
            other = hunt.finding_of(shorter)
            return other is not None and other.kind == kind

        smallest = minimise.minimise(data, shows) if shows(data) else data
        print(f'FOUND {finding}\n  again: tests/fuzz/run --replay "{smallest!r}"', flush=True)
        os._exit(1)


def main() -> None:
    """Run libFuzzer, in a child, because it ends its process and would leave its files."""
    with tempfile.TemporaryDirectory() as directory:
        seeds = Path(directory, "seeds")
        seeds.mkdir()
        for number, stream in enumerate(corpus.streams().values()):
            Path(seeds, str(number)).write_bytes(stream)
        words = Path(directory, "words")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in generate.words()))
        arguments = [
            sys.argv[0],
            f"-dict={words}",
            f"-artifact_prefix={directory}/",
            "-max_len=2048",
            *([] if _bounded(sys.argv[1:]) else ["-max_total_time=60"]),
            *sys.argv[1:],
            str(seeds),
        ]
        child = os.fork()
        if child == 0:
            atheris.Setup(arguments, one_input)
            atheris.Fuzz()
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _bounded(arguments: list[str]) -> bool:
    return any(each.startswith(("-runs=", "-max_total_time=")) for each in arguments)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
