"""Which tests run which lines of the package: found by running them, and kept.

Running all of them with their lines noted takes some twenty minutes, so what was found is kept in
``.mutation/`` and stays good until the package or the test's file changes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.harness.processes import ROOT
from tests.mutation.copies import Copy
from tests.mutation.server import Server

KEPT: Final = ROOT / ".mutation"
UNIT: Final = ("tests/server", "tests/rfc9112", "tests/fuzz", "tests/architecture")
INTEGRATION: Final = ("tests/integration",)


@dataclass
class Covering:
    """What is known.

    Attributes:
        seconds: what each test takes, by its id; those that do not pass are left out.
        tests: that run a line, by its module and number.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))

    def of(self, module: str, lines: Iterable[int]) -> set[str]:
        """Return the tests that run one of a module's lines."""
        found: set[str] = set()
        for line in lines:
            found |= self.tests.get((module, line), set())
        return {each for each in found if each in self.seconds}

    def add(self, document: dict[str, Any]) -> None:
        """Add what was found of one file of tests."""
        self.seconds.update(document["seconds"])
        for module, lines in document["lines"].items():
            for line, tests in lines.items():
                self.tests[module, int(line)].update(tests)


def covering(
    copy: Copy, server: Server, directories: Sequence[str], tell: Callable[[str], None]
) -> Covering:
    """Return which tests of some directories run which lines."""
    found = Covering()
    package = _digest(sorted(copy.package.rglob("*.py")))
    files: dict[str, list[str]] = defaultdict(list)
    for test in server.collected:
        files[test.partition("::")[0]].append(test)
    for number, (name, tests) in enumerate(sorted(files.items()), 1):
        if not name.startswith(tuple(f"{each}/" for each in directories)):
            continue
        kept = KEPT / f"{package}-{_digest([copy.root / name])}.json"
        if not kept.exists():
            tell(f"{number} of {len(files)}: which lines does {name} run")
            document = _traced(copy, server, tests)
            KEPT.mkdir(exist_ok=True)
            kept.write_text(json.dumps(document))
        found.add(json.loads(kept.read_text()))
    return found


def _digest(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def _traced(copy: Copy, server: Server, tests: Sequence[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lines-") as directory:
        server.trace(tests, Path(directory), copy.package)
        kept = Path(directory) / "seconds"
        seconds = json.loads(kept.read_text()) if kept.exists() else {}
        lines: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for path in Path(directory).iterdir():
            if path.name.isdigit():
                for found in path.read_text().splitlines():
                    number, line, module = found.split(" ", 2)
                    lines[module][line].add(tests[int(number)])
    plain = {
        module: {line: sorted(each) for line, each in found.items()}
        for module, found in lines.items()
    }
    return {"seconds": seconds, "lines": plain}
