"""Plays a runbook through in a running stack, as whoever is on call would.

A page whose fault is brought about has to prove itself: without the fault, See looks otherwise;
with it, See shows it and Verify does not hold; after Do, Verify holds. So neither an alarm that
always rings nor a remedy that does nothing gets through.
"""

from __future__ import annotations

from pathlib import Path

from tests.harness.processes import Process
from tests.harness.tree import Tree
from tests.harness.waiting import wait_until
from tests.runbooks.page import Block, Step, read
from tests.runbooks.shell import LIMIT, check_output, run_block

PATIENCE = 20.0  # seconds until what See and Verify say must be so; a person would look again, too
SHAPE = ["When", "See", "Do", "Verify", "Undo", "If it fails"]


def rehearse(page: Path, tree: Tree, mode: str = "local") -> None:
    """Run a page's blocks in their order: first the faults under When.

    What only a rehearsal does elsewhere, such as mending the code, has its place there.
    """
    found = [block for block in read(page) if block.is_for(mode)]
    assert found, f"{page.name} has no command for {mode}"
    faults = [block for block in found if block.is_fault and block.heading == "When"]
    see, verify = (
        [block for block in found if block.heading == heading and not block.is_fault]
        for heading in ("See", "Verify")
    )
    if faults:
        assert not _all_hold(page, tree, see), f"{page.name}: See shows the same without the fault"
    for block in faults:
        _check(page, tree, block)
    for heading in SHAPE:
        if heading == "Do" and faults:
            assert not _all_hold(page, tree, verify), f"{page.name}: Verify holds before Do"
        for block in found:
            if block.heading == heading and block not in faults:
                _play(page, tree, block)


def _play(page: Path, tree: Tree, block: Block) -> None:
    if "--follow" in block.steps[0].command:
        _follow(tree, block.steps[0])
    elif block.heading in ("See", "Verify") and not block.is_fault:
        _look_until_it_holds(page, tree, block)
    else:
        _check(page, tree, block)


def _check(page: Path, tree: Tree, block: Block) -> None:
    outputs = run_block(tree, block.steps, may_fail=block.heading in ("See", "Verify"))
    for step, output in zip(block.steps, outputs, strict=True):
        check_output(page, step, output)


def _all_hold(page: Path, tree: Tree, blocks: list[Block]) -> bool:
    try:
        for block in blocks:
            if "--follow" not in block.steps[0].command:
                _check(page, tree, block)
    except AssertionError:
        return False
    return True


def _look_until_it_holds(page: Path, tree: Tree, block: Block) -> None:
    def holds() -> bool:
        _check(page, tree, block)
        return True

    what = f"{page.name}: {block.heading}"
    wait_until(holds, what, limit=PATIENCE, passing=(AssertionError,), interval=0.2)


def _follow(tree: Tree, step: Step) -> None:
    """Run a command that does not end by itself until it has printed what is expected."""
    with Process(step.command.split(), cwd=tree.root, env=tree.environ) as process:
        process.wait_until(
            lambda: any(map(step.pattern.match, process.out.splitlines(keepends=True))),
            f"{step.command} to print {step.expected}",
            limit=LIMIT,
        )
