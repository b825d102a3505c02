"""A model of workers that suffer from anything, and of who replaces them: somebody goes on to serve.

The world is a supervisord with two programs for each worker, of which some load, answer, are silent,
or cannot be started while the code is broken. Whatever happens may happen at any step of a
replacement, and the listener that is at it may be killed there as well.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from bascule_ops.supervision.client import (
    ENDED,
    SUCCESSOR,
    WORKER,
    WORKERS,
    ProcessInfo,
    State,
    Supervisor,
    workers,
)
from bascule_ops.supervision.recycler import given_up, half_replaced
from bascule_ops.supervision.successor import Succession
from bascule_ops.supervision.trial import HOLD_FILE, NotReadyError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

LOADING = 3  # steps of the world that a worker loads
STEPS = 8  # until whoever waits for an answer gives up
ALIVE = (State.STARTING, State.RUNNING)


class KilledError(BaseException):
    """The listener is killed; supervisord starts another one."""


@dataclass
class Program:
    """One of the two programs of a worker."""

    number: str
    name: str
    state: State = State.STOPPED
    pid: int = 0
    start: int = 0
    loads: int = 0  # for so many steps
    is_silent: bool = False

    @property
    def is_able(self) -> bool:
        """Whether it answers, once it has a socket."""
        return self.state in ALIVE and not self.loads and not self.is_silent

    def info(self) -> ProcessInfo:
        """What supervisord tells of it."""
        return ProcessInfo(
            group=WORKERS, name=self.name, pid=self.pid, state=self.state, statename="",
            spawnerr="", exitstatus=0, start=self.start, stop=0, now=0,
        )  # fmt: skip


Event = tuple[str, str]  # what happens, and to which worker


class World:
    """supervisord, and everything that it supervises.

    Args:
        number: of workers.
        hold: the file by which workers are held back.
    """

    def __init__(self, number: int, hold: Path) -> None:
        self._hold = hold
        self._pids = itertools.count(1)
        self.is_broken = False
        self.programs = {
            f"{kind}{at}": Program(str(at), f"{kind}{at}")
            for kind in (WORKER, SUCCESSOR)
            for at in range(number)
        }
        self.owners: dict[str, int] = {}  # of each worker's socket: a process
        self.ahead: list[Event] = []  # what is to happen, one at a step
        for at in range(number):
            self._spawn(self.programs[f"{WORKER}{at}"])
        for _ in range(LOADING):
            self._load_all()

    # --- what supervisord does when it is asked -------------------------------------------------

    def processes(self) -> list[ProcessInfo]:
        return [each.info() for each in self.programs.values()]

    def process(self, name: str) -> ProcessInfo:
        self.step()
        return self._program(name).info()

    def start(self, name: str) -> None:
        self.step()
        program = self._program(name)
        assert program.state in ENDED
        self._spawn(program)

    def stop(self, name: str) -> None:
        self.step()
        program = self._program(name)
        if program.state not in ALIVE:
            return
        assert not self._serves(program), f"{name} serves, and is to end"
        program.state = State.STOPPING

    # --- what is waited for ---------------------------------------------------------------------

    def try_all(self, names: Collection[str], *, is_held: bool) -> list[str]:
        found = [self.programs[name] for name in names]
        for _ in range(STEPS):
            self.step()
            for each in found:
                if each.state in ENDED:
                    raise NotReadyError(f"{each.name} cannot be started")
            if all(each.is_able and (is_held or self._serves(each)) for each in found):
                return []
        raise NotReadyError("no answer")

    # --- what happens ---------------------------------------------------------------------------

    def step(self) -> None:
        """Let some time pass, in which something may happen."""
        what, number = self.ahead.pop(0) if self.ahead else ("", "")
        (of,) = [x for x in self._current() if x.number == number] or [None]
        if what == "the listener is killed":
            raise KilledError
        if what == "breaks":
            self.is_broken = True
        elif what == "is mended":
            self.is_broken = False
        elif of and what == "dies":
            self._die(of)
        elif of and what == "falls silent":
            of.is_silent = of.state in ALIVE
        elif of and what == "goes on":
            of.is_silent = False
        for each in self.programs.values():
            if each.state is State.STOPPING:
                self._end(each, State.STOPPED)
        self._load_all()

    def _current(self) -> list[Program]:
        return [self.programs[info["name"]] for info in workers(self.processes())]

    def _program(self, name: str) -> Program:
        return self.programs[name.removeprefix(f"{WORKERS}:")]

    def _spawn(self, program: Program) -> None:
        program.pid = program.start = next(self._pids)
        program.state = State.STARTING
        program.loads, program.is_silent = LOADING, False

    def _end(self, program: Program, state: State) -> None:
        if self.owners.get(program.number) == program.pid:
            del self.owners[program.number]
        program.state, program.pid, program.is_silent = state, 0, False

    def _die(self, program: Program) -> None:
        if program.state in ALIVE:
            self._end(program, State.EXITED)
            self._spawn(program)

    def _load_all(self) -> None:
        for each in self.programs.values():
            if each.state is State.STARTING:
                each.loads -= 1
                if not each.loads:
                    each.state = State.RUNNING
                    if self.is_broken:
                        self._end(each, State.FATAL)
        for each in self.programs.values():
            owner = self.owners.get(each.number)
            has_rival = any(owner == other.pid != 0 for other in self.programs.values())
            is_new = each.start > max(
                [x.start for x in self._others(each) if x.pid == owner] or [0]
            )
            if each.is_able and is_new and not (self._hold.exists() and has_rival):
                self.owners[each.number] = each.pid

    def _others(self, program: Program) -> list[Program]:
        return [
            x for x in self.programs.values() if x is not program and x.number == program.number
        ]

    def _serves(self, program: Program) -> bool:
        return program.is_able and self.owners.get(program.number) == program.pid

    def served(self) -> set[str]:
        """Which workers' sockets somebody answers on."""
        return {each.number for each in self.programs.values() if self._serves(each)}


DISTURBANCES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["", "", "", "breaks", "is mended", "the listener is killed"]),
            st.just(""),
        ),
        st.tuples(st.sampled_from(["dies", "falls silent", "goes on"]), st.sampled_from("01")),
    ),
    max_size=8,
)


class Successors(RuleBasedStateMachine):
    """Replaces workers for each reason there is, while things happen."""

    number = 1

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="model-")
        self.hold = Path(self.directory.name, HOLD_FILE)
        self.world = World(self.number, self.hold)
        self.over = False

    def succession(self) -> Succession:
        world = self.world

        class Trial:
            def __init__(self, names: Collection[str]) -> None:
                self._names = names

            def try_all(self, limit: float) -> list[str]:
                return world.try_all(self._names, is_held=True)

            def check_all(self) -> list[str]:
                return world.try_all(self._names, is_held=False)

        return Succession(
            cast(Supervisor, world), self.hold.parent, cast(Any, Trial), start_limit=60,
            stop_limit=60, tell=lambda _: None, pause=lambda _: world.step(),
        )  # fmt: skip

    def replace(self, wanted: list[tuple[str, int, bool]], disturbances: list[Event]) -> None:
        """Do as the listener does with what is wanted, until it is killed."""
        self.world.ahead = disturbances
        try:
            for name, pid, is_silent in wanted:
                if self.world.process(f"{WORKERS}:{name}")["pid"] != pid:
                    continue
                try:
                    self.succession().replace(name, is_silent=is_silent)
                except NotReadyError:
                    continue
        except KilledError:
            pass
        self.world.ahead = []

    @rule(number=st.integers(0, 1), disturbances=DISTURBANCES)
    def a_worker_asks(self, number: int, disturbances: list[Event]) -> None:
        found = workers(self.world.processes())
        self.replace(
            [(i["name"], i["pid"], False) for i in found[number : number + 1] if i["pid"]],
            disturbances,
        )

    @rule(disturbances=DISTURBANCES)
    def supervisord_gets_sighup(self, disturbances: list[Event]) -> None:
        found = workers(self.world.processes())
        self.replace([(info["name"], info["pid"], False) for info in found], disturbances)

    @rule(disturbances=DISTURBANCES)
    def somebody_looks(self, disturbances: list[Event]) -> None:
        processes = self.world.processes()
        silent = {each.pid for each in self.world.programs.values() if each.is_silent}
        wanted = [(i["name"], i["pid"], True) for i in workers(processes) if i["pid"] in silent]
        wanted += [(wish.name, wish.pid, False) for wish in half_replaced(processes)]
        self.replace([*wanted, *((name, 0, False) for name in given_up(processes))], disturbances)

    @rule(disturbances=DISTURBANCES)
    def time_passes(self, disturbances: list[Event]) -> None:
        self.world.ahead = [x for x in disturbances if "killed" not in x[0]]
        while self.world.ahead:
            self.world.step()

    @invariant()
    def a_stack_of_which_nothing_is_left_has_ended(self) -> None:
        if hasattr(self, "world") and not self.over:
            self.over = all(each.state in ENDED for each in self.world.programs.values())

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.over:
                self.time_passes([("is mended", "")] + [("", "")] * LOADING)
                for _ in range(3):
                    self.somebody_looks([])
                assert self.world.served() == {str(at) for at in range(self.number)}
                assert not any(each.is_silent for each in self.world.programs.values())
                assert [*half_replaced(self.world.processes())] == []
        finally:
            self.directory.cleanup()


@pytest.mark.parametrize("number", [1, 2])
def test_whatever_workers_suffer_from_somebody_serves(number: int) -> None:
    machine = type(f"Successors{number}", (Successors,), {"number": number})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine, settings=settings(max_examples=150, stateful_step_count=6, deadline=None)
    )


@pytest.mark.parametrize("state", [State.RUNNING, State.FATAL])
def test_a_worker_that_has_no_program_for_a_successor_is_left_alone(state: State) -> None:
    alone = Program("0", "worker-0", state, pid=1).info()  # as with `bascule --workers`
    assert [*half_replaced([alone])] == []
    assert [*given_up([alone])] == []
