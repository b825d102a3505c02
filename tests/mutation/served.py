"""Runs tests in a copy of the tree, each order in a process of its own that is forked when it comes.

``python -m tests.mutation.served preloaded PATH ...`` has collected the tests of the paths, and all
that they import, before it forks: an order costs what its tests cost. A change to a function takes
the place of the function in the fork. ``served bare`` has imported no more than pytest: there, the
tests find the package as it is on the disk, as do processes that tests start.

An order is a line of JSON on standard input; what came of it is one on standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import IO, Any, Final

import pytest

from tests.harness.processes import tree
from tests.mutation import traced

ENDINGS: Final = {0: "survived", 1: "killed"}
UNCHANGED: Final = 64  # of a fork in which no function was found to change; no code of pytest's
# Of a session that found no such tests, which is no verdict of theirs.
NOT_RUN: Final = (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED)
MEMORY: Final = 4 << 30  # bytes of addresses, for a change that fills lists for ever
PR_SET_CHILD_SUBREAPER: Final = 36
# A test may take this long (seconds), and so many times as long as it did unchanged.
PATIENCE: Final = 6.0
SLACK: Final = 5.0

Order = dict[str, Any]


class Served:
    """A plugin that obeys orders in place of running all that was collected."""

    def __init__(self, orders: Iterator[Order], tell: Callable[[Any], None]) -> None:
        self._orders = orders
        self._tell = tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self._tell(sorted(items))
        # Looked for before the objects are frozen, which forks then need no copies of.
        functions = [each for each in gc.get_objects() if type(each) is FunctionType]
        gc.freeze()
        for order in self._orders:
            chosen = [items[each] for each in order["tests"] if each in items]
            self._tell(_in_fork(order, functools.partial(_run, order, chosen, functions)))
        return True


class _Chosen:
    """A plugin that runs the tests of an order, under whatever names a change has them have."""

    def __init__(self, order: Order) -> None:
        self._tests = order["tests"]

    @property
    def files(self) -> list[str]:
        """Where they are."""
        return list(dict.fromkeys(each.partition("::")[0] for each in self._tests))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        chosen = {each: found[each] for each in self._tests if each in found}
        # Values of the package's may be part of a test's name.
        renamed = {each.partition("[")[0] for each in self._tests if each not in found}
        others = [each for each in items if each.nodeid.partition("[")[0] in renamed]
        items[:] = {**chosen, **{each.nodeid: each for each in others}}.values()


class _Watch:
    """A plugin that ends a process at its first failure, or when a test takes too long."""

    def __init__(self, order: Order) -> None:
        self._seconds = order["seconds"]
        self._last = Path(order["write"])

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        usual = self._seconds.get(nodeid, 1.0)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE + SLACK * usual)
        self._last.write_text(nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:  # a file of tests cannot even be imported any more
            os._exit(1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)


def _run(order: Order, items: Sequence[pytest.Item], functions: Sequence[FunctionType]) -> int:
    """Run tests in this process, which is a fork, with a change to one of the functions."""
    if "trace" in order:
        return _trace(order, items)
    if order.get("text") and not _replace(order, functions):
        return UNCHANGED
    items[0].session.config.pluginmanager.register(_Watch(order))
    for item, after in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    return 0


def _trace(order: Order, items: Sequence[pytest.Item]) -> int:
    """Run tests, noting the lines that each runs, how long it takes, and whether it passes."""
    directory = Path(order["trace"])
    taken: dict[str, float] = {}
    failed: set[str] = set()

    class _Reports:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            taken[report.nodeid] = taken.get(report.nodeid, 0.0) + report.duration
            if report.failed or report.skipped:
                failed.add(report.nodeid)

    items[0].session.config.pluginmanager.register(_Reports())
    os.environ[traced.VARIABLE] = str(directory)
    os.environ[f"{traced.VARIABLE}_OF"] = order["package"]
    number = directory / "test"
    number.write_text(f"{0:0{traced.WIDTH}}")
    traced.begin()
    for index, (item, after) in enumerate(zip(items, [*items[1:], None], strict=True)):
        with number.open("r+") as file:
            file.write(f"{index:0{traced.WIDTH}}")
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    (directory / "seconds").write_text(
        json.dumps({each: taken[each] for each in taken if each not in failed})
    )
    return 0


def _replace(order: Order, functions: Sequence[FunctionType]) -> bool:
    """Give the functions of a module their changed code; return whether one was found."""
    path = order["path"]
    if "__code__" in order["text"]:  # it knows its functions by the code that they had
        return False
    changed = {
        (code.co_qualname, code.co_firstlineno): code
        for code in _codes(compile(order["text"], path, "exec", dont_inherit=True))
    }
    names = {(name, line) for name, line in changed if _encloses(order["name"], name)}
    found = False
    for each in functions:
        if each.__code__.co_filename == path:
            key = (each.__code__.co_qualname, each.__code__.co_firstlineno)
            if key in names:
                try:
                    each.__code__ = changed[key]
                except ValueError:  # it takes other variables from those around it
                    return False
                found = True
    return found


def _encloses(inner: str, outer: str) -> bool:
    """Whether a function's name is that of the outermost one around a place."""
    plain = outer.replace("<locals>.", "")
    return inner == plain or inner.startswith(f"{plain}.")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _in_fork(order: Order, run: Callable[[], int]) -> Any:
    """Run something in a fork; return what came of it, and leave nothing of it behind."""
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            if "trace" not in order:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os._exit(run())
        except BaseException:
            os._exit(2)
    descriptor = os.pidfd_open(pid)
    if not select.select([descriptor], [], [], order["limit"])[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    _kill_all_below()
    _clear(Path(os.environ["TMPDIR"]))
    code = os.waitstatus_to_exitcode(status)
    return {
        "ending": ENDINGS.get(code, "killed") if code != UNCHANGED else "unchanged",
        "code": code,
        "seconds": time.monotonic() - began,
    }


def _kill_all_below() -> None:
    """End what the tests have left running: it has become this process's own."""
    while below := [pid for pid in tree(os.getpid()) if pid != os.getpid()]:
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.wait()


def _stop(*_: object) -> None:
    _kill_all_below()
    os._exit(128 + signal.SIGTERM)


def _clear(directory: Path) -> None:
    for each in directory.iterdir():
        shutil.rmtree(each, ignore_errors=True)
        with contextlib.suppress(OSError):
            each.unlink()


def _orders(file: IO[str]) -> Iterator[Order]:
    for line in file:
        yield json.loads(line)


def _arguments() -> list[str]:
    base = Path(os.environ["TMPDIR"]) / "b"
    return ["-q", "--override-ini=timeout=0", "-p", "no:cacheprovider", f"--basetemp={base}"]


def _bare(orders: Iterator[Order], tell: Callable[[Any], None]) -> None:
    tell([])
    for order in orders:

        def run(order: Order = order) -> int:
            chosen = _Chosen(order)
            status = pytest.main([*_arguments(), *chosen.files], plugins=[_Watch(order), chosen])
            return UNCHANGED if status in NOT_RUN else int(status)

        tell(_in_fork(order, run))


def main() -> None:
    """Serve until the input ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _stop)
    # Neither may tests read an order, nor may what they print be taken for an answer.
    orders = _orders(os.fdopen(os.dup(0)))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def tell(answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    kind, *paths = sys.argv[1:]
    if kind == "bare":
        _bare(orders, tell)
    else:
        expression = ["-m", "not stack and not alone"]
        status = pytest.main([*_arguments(), *expression, *paths], plugins=[Served(orders, tell)])
        sys.exit(status)


if __name__ == "__main__":
    main()
