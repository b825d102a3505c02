"""Each command that a check can print as a remedy is in the matrix of faults, which does it."""

from __future__ import annotations

import ast
import re

from tests.harness.processes import ROOT
from tests.survival.faults import ALL, REMEDIES

CHECKS = ("checks", "process_checks", "machine_checks", "absent")
# What changes a stack; the others only show something.
CHANGES = re.compile(
    r"ops/(up|down|restart|deploy|rollback|scale|certificate reload)|docker compose"
)
# Where each is done as printed, or why it is not.
ELSEWHERE = {
    "ops/certificate reload has nginx read the file": "tests/ops/test_certificate.py",
    "ops/restart makes an end of it until then": "the failure's count is of the process before",
    "ops/logs shows why; ops/restart starts it": "supervisord does, before anybody has read that",
    "where a part runs another version": "a check that breaks: tests/ops/test_faults.py",
    "mend that, then ops/deploy --build": "a process that ends again and again needs another image",
    "mend that, then ops/up": "a container that ends again and again needs another image",
    "or ops/runbooks/memory.md; ops/up starts it": "a container killed for want of memory ended",
    "where they do not, ops/restart has them do it": "they do: see that supervisord is killed",
    "docker compose exec server sh -c '": "before kill -CONT",
}


def remedies() -> set[str]:
    """What stands in the modules of the checks and names a command that changes something."""
    found = set()
    for name in CHECKS:
        source = (ROOT / "ops" / "bascule_ops" / "observe" / f"{name}.py").read_text()
        constants = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
        found |= {each.value for each in constants if isinstance(each.value, str)}
    return set(filter(CHANGES.search, found))


def test_each_is_done_by_the_matrix() -> None:
    done = [fault.remedy for fault in (*ALL, *REMEDIES) if fault.remedy]
    known = [*done, *map(re.escape, ELSEWHERE)]
    assert [each for each in sorted(remedies()) if not any(re.search(x, each) for x in known)] == []


def test_no_exception_is_of_what_is_printed_no_more() -> None:
    assert [each for each in ELSEWHERE if not any(each in found for found in remedies())] == []
