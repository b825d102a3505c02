"""A model of the one operation: whatever fails in it or kills it, somebody serves on each socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from bascule_ops.control.interrupts import Interrupted, Interrupts
from bascule_ops.errors import CommandError
from bascule_ops.generations.replacement import Left, mend, replace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STEPS = ("prepare", "start", "try_new", "take_over", "tell_nginx", "retire")
BEFORE_THE_TAKE_OVER = STEPS[:3]
NOWHERE = ("nowhere", 0)


class Killed(BaseException):
    """The process that does it is no more: nothing that it would have done is done."""


ERRORS = {
    "refused": lambda: CommandError("it does not work"),
    "interrupted": lambda: Interrupted(130),
    "broken": lambda: OSError("no room"),
    "killed": Killed,
}


class Undisturbed(Interrupts):
    """What would have the test's own process ignore signals."""

    def __init__(self) -> None:
        self.is_ignoring = False

    def ignore(self) -> None:  # type: ignore[override]
        self.is_ignoring = True


@dataclass
class World:
    """Who lives, and who has the socket of each worker; it outlives whoever works on it.

    Attributes:
        workers: how many new workers there are to be; as many as there were.
        named: which generation has the name of what serves.
        held: which are kept from the sockets that others have.
        taken: which were let have them.
        tried: which answered before they were let have them.
        proofs: which were there when it was told that they serve.
    """

    workers: int
    alive: set[str] = field(default_factory=lambda: {"old"})
    named: str = "old"
    held: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=lambda: {"old"})
    proofs: set[str] = field(default_factory=set)
    owners: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owners = ["old"] * self.workers

    def let_go_on(self) -> None:
        """Have the workers that are let have the sockets take them, which they do by themselves."""
        for each in self.alive - self.held:
            if each in self.taken:
                self.owners = [each] * self.workers


@dataclass
class Model:
    """A site, as one process knows it.

    Attributes:
        world: what is there.
        fails: in which step, after how many of its parts.
        error: how.
    """

    world: World
    fails: tuple[str, int] = NOWHERE
    error: str = "refused"
    what: str = "the model"
    note: str = ""
    old: str = "old"
    new: str = "new"
    is_dead: bool = False
    undone: int = 0

    def part(self, step: str, number: int) -> None:
        """Come to a part of a step: it may fail, and at no time is a socket nobody's."""
        if self.is_dead:
            raise Killed
        assert all(owner in self.world.alive for owner in self.world.owners)
        assert set(self.world.owners) <= self.world.tried
        if self.fails == (step, number):
            self.is_dead = self.error == "killed"
            raise ERRORS[self.error]()

    def left(self) -> Left | None:
        self.old = self.world.named
        others = self.world.alive - {self.old}
        if not others:
            return None
        (self.new,) = others
        has_taken_over = self.new in self.world.taken - self.world.held
        serves, other = (self.new, self.old) if has_taken_over else (self.old, self.new)
        return Left("generation", serves, other, has_taken_over)

    def prepare(self) -> str:
        self.part("prepare", 0)
        return ""

    def release(self) -> None:
        self.part("release", 0)

    def start(self) -> str:
        self.part("start", 0)
        self.world.alive.add("new")
        self.world.held.add("new")
        self.part("start", 1)
        return ""

    def try_new(self, limit: float) -> int:
        self.part("try_new", 0)
        self.world.tried.add("new")
        self.part("try_new", 1)
        return self.world.workers

    def abandon(self) -> str:
        self.part("abandon", 0)
        self.undone += 1
        if self.old in self.world.held:
            self.give(self.old, "abandon")
        assert set(self.world.owners) == {self.old}
        self.world.alive.discard(self.new)
        self.part("abandon", self.world.workers + 2)
        return "the old ones serve"

    def take_over(self) -> None:
        self.part("take_over", 0)
        self.world.held.add(self.old)
        self.give(self.new, "take_over")

    def give(self, taker: str, step: str) -> None:
        self.part(step, 1)
        self.world.taken.add(taker)
        self.world.held.discard(taker)
        for number in range(self.world.workers):
            self.world.owners[number] = taker
            self.part(step, number + 2)

    def tell_nginx(self) -> str:
        self.part("tell_nginx", 0)
        return ""

    def retire(self, limit: float, proven: Callable[[], None]) -> str:
        self.part("retire", 0)
        proven()
        self.part("retire", 1)
        self.world.named = self.new
        self.part("retire", 2)
        self.world.alive.discard(self.old)
        self.part("retire", 3)
        return ""

    def prove(self) -> None:
        """What is done as soon as the new ones serve."""
        self.part("prove", 0)
        self.world.proofs |= set(self.world.owners)


PLACES = st.tuples(st.sampled_from((*STEPS, "abandon", "prove", "nowhere")), st.integers(0, 4))
QUIETLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(
    workers=st.integers(1, 3),
    fails=st.tuples(st.sampled_from((*STEPS, "nowhere")), st.integers(0, 3)),
    error=st.sampled_from(["refused", "interrupted", "broken"]),
)
@QUIETLY
def test_on_each_socket_somebody_serves_whatever_fails(
    capsys: pytest.CaptureFixture[str], workers: int, fails: tuple[str, int], error: str
) -> None:
    world = World(workers)
    site = Model(world, fails, error)
    interrupts = Undisturbed()
    failed: BaseException | None = None
    try:
        replace(site, 1.0, interrupts, site.prove)
    except (CommandError, Interrupted, OSError) as caught:
        failed = caught
    said = capsys.readouterr()
    assert all(owner in world.alive for owner in world.owners)
    assert interrupts.is_ignoring
    if failed is None:
        assert (world.alive, set(world.owners), world.named) == ({"new"}, {"new"}, "new")
        assert world.proofs == {"new"}
        assert said.out.count(" s\n") == 6
    elif fails[0] in BEFORE_THE_TAKE_OVER:
        assert (world.alive, world.named, site.undone) == ({"old"}, "old", 1)
        words = str(failed) if error == "refused" else said.err
        assert "Nothing has changed: the old ones serve." in words
    else:
        assert site.undone == 0
    if failed:
        assert said.out.endswith("not done\n")


@given(workers=st.integers(1, 3), deaths=st.lists(PLACES, min_size=1, max_size=4))
@QUIETLY
def test_an_operation_that_is_killed_anywhere_is_brought_to_its_end(
    workers: int, deaths: list[tuple[str, int]]
) -> None:
    world = World(workers)
    for number, death in enumerate([*deaths, NOWHERE]):
        site = Model(world, death, "killed")
        left = site.left()
        try:
            if number == 0:
                replace(site, 1.0, Undisturbed(), site.prove)
            elif left:
                mend(site, left, 1.0, Undisturbed(), site.prove)
        except Killed:
            pass
        world.let_go_on()
        assert all(owner in world.alive for owner in world.owners)
        found = site.left()
        if found and not world.held >= {found.serves, found.other}:
            assert set(world.owners) == {found.serves}
    assert world.alive == {world.named} == set(world.owners)
    # What serves is what was begun before only if it was never told that the new ones do.
    # It was told that the new ones serve if they do, and never of others.
    assert world.proofs == ({"new"} if world.named == "new" else set())
