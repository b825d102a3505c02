"""Runs, for each change, the tests that may notice it: first those that start no process."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from tests.mutation.copies import Copy, copied
from tests.mutation.covering import INTEGRATION, UNIT, Covering
from tests.mutation.mutants import Mutant
from tests.mutation.server import Server, ServerError

# For one change, tests run that take so long together (seconds, with their lines noted, which is some
# three times as long as without): the quickest of each file first.
UNIT_BUDGET: Final = 20.0
INTEGRATION_BUDGET: Final = 60.0
# For a module's own tests there is so many times as much.
OWN: Final = 5
# A test that takes no longer (seconds) goes before those of other files that do.
CHEAP: Final = 0.05


@dataclass(frozen=True)
class Outcome:
    """What came of a change.

    Attributes:
        survived: no test noticed.
        test: the one that noticed.
        tests: how many were asked.
    """

    survived: bool
    test: str = ""
    tests: int = 0


class Hunter:
    """Tries changes in a copy of the tree, while the ``with`` block lasts.

    Args:
        with_integration: whether the tests that start servers are asked as well.
    """

    def __init__(self, *, with_integration: bool) -> None:
        self._stack = ExitStack()
        self._directories = (*UNIT, *INTEGRATION) if with_integration else UNIT
        self._last: dict[str, str] = {}
        self.covering = Covering()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.copy: Copy = stack.enter_context(copied())
            self.server = stack.enter_context(Server(self.copy, "preloaded", *self._directories))
            self._bare = stack.enter_context(Server(self.copy, "bare"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def attempt(self, mutant: Mutant) -> Outcome:
        """Make a change, run the tests that may notice it, and take it back."""
        tests = self._tests(mutant)
        unit = [each for each in tests if each.startswith(UNIT)]
        rest = [each for each in tests if not each.startswith(UNIT)]
        chosen = (
            self._chosen(unit, UNIT_BUDGET, mutant),
            self._chosen(rest, INTEGRATION_BUDGET, mutant),
        )
        path = self.copy.package / mutant.module
        before = path.read_text()
        path.write_text(mutant.text)
        try:
            for each in chosen:
                ending, test = self._run(mutant, each, str(path)) if each else ("survived", "")
                if ending != "survived":
                    self._last[mutant.module] = test
                    return Outcome(False, test, len(chosen[0]) + len(chosen[1]))
        finally:
            path.write_text(before)
        return Outcome(True, tests=len(chosen[0]) + len(chosen[1]))

    def _run(self, mutant: Mutant, tests: Sequence[str], path: str) -> tuple[str, str]:
        seconds = self.covering.seconds
        if not mutant.at_import:
            found = self.server.run(tests, seconds, path=path, name=mutant.name, text=mutant.text)
            if found[0] != "unchanged":
                return found
        found = self._bare.run(tests, seconds)
        if found[0] == "unchanged":
            raise ServerError(f"these tests are not to be found: {' '.join(tests)}")
        return found

    def _tests(self, mutant: Mutant) -> set[str]:
        """Return the tests that run what is changed, or read what it sets."""
        if not mutant.at_import:
            return self.covering.of(mutant.module, mutant.lines)
        # Those of its own may read it and run no line that does.
        found = {each for each in self.covering.seconds if _is_own(mutant.module, each)}
        for module, lines in _readers(self.copy, mutant):
            found |= self.covering.of(module, lines)
        # Whoever starts a process imports it, and need not read it.
        return found or self.covering.of(mutant.module, mutant.lines)

    def _chosen(self, tests: Sequence[str], budget: float, mutant: Mutant) -> list[str]:
        """Return the tests to be run, the most promising first."""
        seconds = self.covering.seconds
        last = self._last.get(mutant.module)
        ranks: dict[str, int] = {}
        ranked = []
        for test in sorted(tests, key=lambda each: seconds[each]):
            file = test.partition("::")[0]
            ranks[file] = ranks.get(file, 0) + 1
            # First a module's own tests, then all that are cheap, and the quickest of each file.
            rank = 0 if _is_own(mutant.module, test) else ranks[file]
            if seconds[test] <= CHEAP:
                rank = min(rank, 1)
            ranked.append((test != last, rank, seconds[test], test))
        chosen: list[str] = []
        total = 0.0
        for _, rank, cost, test in sorted(ranked):
            if total + cost <= (budget if rank else OWN * budget) or not chosen:
                total += cost
                chosen.append(test)
        # One file after the other: what its tests share is made once.
        files = {each.partition("::")[0]: None for each in chosen}
        order = {file: number for number, file in enumerate(files)}
        return sorted(chosen, key=lambda each: order[each.partition("::")[0]])


def _is_own(module: str, test: str) -> bool:
    """Whether a test is one of those that a module has for itself."""
    return module.rpartition("/")[2].removesuffix(".py") in test.partition("::")[0]


def _readers(copy: Copy, mutant: Mutant) -> list[tuple[str, list[int]]]:
    """Return the lines that read the constants that are set where a change is.

    Where it sets none, they are all lines of its class or function, or of its module.
    """
    if mutant.names:
        # In the body of a class, who reads the class may read them all.
        names = {*mutant.names, *([mutant.name.rpartition(".")[2]] if mutant.name else [])}
        trees = _trees(copy)
        # Constants may be made of it.
        for tree in trees.values():
            for each in tree.body:
                if isinstance(each, ast.AnnAssign | ast.Assign) and _reads(each, names):
                    targets = [each.target] if isinstance(each, ast.AnnAssign) else each.targets
                    names |= {target.id for target in targets if isinstance(target, ast.Name)}
        return _reading(trees, names)
    for node in ast.walk(_trees(copy)[mutant.module]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and mutant.name.endswith(node.name):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= mutant.line <= (node.end_lineno or 0):
                return [(mutant.module, list(range(first, (node.end_lineno or 0) + 1)))]
    return [(mutant.module, list(range(1, mutant.text.count("\n") + 2)))]


def _reading(trees: dict[str, ast.Module], names: set[str]) -> list[tuple[str, list[int]]]:
    return [
        (
            module,
            sorted(
                line
                for node in ast.walk(tree)
                if isinstance(node, ast.stmt) and _reads_itself(node, names)
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
            ),
        )
        for module, tree in trees.items()
    ]


def _reads(node: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id in names)
        or (isinstance(each, ast.Attribute) and each.attr in names)
        for each in ast.walk(node)
    )


def _reads_itself(node: ast.stmt, names: set[str]) -> bool:
    """Whether a statement reads a name, and not only those within it."""
    if isinstance(node, ast.FunctionDef):
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        return any(each is not None and _reads(each, names) for each in defaults)
    if isinstance(node, ast.ClassDef):
        return False
    parts = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt)]
    return any(_reads(each, names) for each in parts)


@functools.cache
def _trees(copy: Copy) -> dict[str, ast.Module]:
    return {
        str(path.relative_to(copy.package)): ast.parse(path.read_text())
        for path in sorted(copy.package.rglob("*.py"))
    }
