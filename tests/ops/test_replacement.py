"""A model of the one operation: whatever fails in it, and wherever, somebody serves on each socket."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from bascule_ops.control.interrupts import Interrupted, Interrupts
from bascule_ops.errors import CommandError
from bascule_ops.generations.replacement import replace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STEPS = ("prepare", "start", "try_new", "take_over", "tell_nginx", "retire")
BEFORE_THE_TAKE_OVER = STEPS[:3]
ERRORS = {
    "refused": lambda: CommandError("it does not work"),
    "interrupted": lambda: Interrupted(130),
    "broken": lambda: OSError("no room"),
}


class Undisturbed(Interrupts):
    """What would have the test's own process ignore signals."""

    def __init__(self) -> None:
        self.is_ignoring = False

    def ignore(self) -> None:  # type: ignore[override]
        self.is_ignoring = True


@dataclass
class Model:
    """A site: who lives, and who has the socket of each worker.

    Attributes:
        workers: how many new workers there are to be; as many as there were.
        fails: in which step, after how many of its parts.
        error: how.
    """

    workers: int
    fails: tuple[str, int]
    error: str
    what: str = "the model"
    note: str = ""
    alive: set[str] = field(default_factory=lambda: {"old"})
    has_been_tried: bool = False
    owners: list[str] = field(default_factory=list)
    undone: int = 0

    def __post_init__(self) -> None:
        self.owners = ["old"] * self.workers

    def part(self, step: str, number: int) -> None:
        """Come to a part of a step: it may fail, and at no time is a socket nobody's."""
        assert all(owner in self.alive for owner in self.owners)
        assert self.has_been_tried or set(self.owners) == {"old"}
        if self.fails == (step, number):
            raise ERRORS[self.error]()

    def prepare(self) -> str:
        self.part("prepare", 0)
        return ""

    def start(self) -> str:
        self.part("start", 0)
        self.alive.add("new")
        self.part("start", 1)
        return ""

    def try_new(self, limit: float) -> int:
        self.part("try_new", 0)
        self.has_been_tried = True
        self.part("try_new", 1)
        return self.workers

    def abandon(self) -> str:
        self.undone += 1
        assert set(self.owners) == {"old"}
        self.alive.discard("new")
        return "the old ones serve"

    def take_over(self) -> None:
        for number in range(self.workers):
            self.part("take_over", number)
            self.owners[number] = "new"
        self.part("take_over", self.workers)

    def tell_nginx(self) -> str:
        self.part("tell_nginx", 0)
        return ""

    def retire(self) -> str:
        self.part("retire", 0)
        self.alive.discard("old")
        self.part("retire", 1)
        return ""


@given(
    workers=st.integers(1, 3),
    fails=st.tuples(st.sampled_from((*STEPS, "nowhere")), st.integers(0, 3)),
    error=st.sampled_from(sorted(ERRORS)),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_each_socket_somebody_serves_whatever_fails(
    capsys: pytest.CaptureFixture[str], workers: int, fails: tuple[str, int], error: str
) -> None:
    site = Model(workers, fails, error)
    interrupts = Undisturbed()
    failed: BaseException | None = None
    try:
        replace(site, 1.0, interrupts)
    except (CommandError, Interrupted, OSError) as caught:
        failed = caught
    said = capsys.readouterr()
    assert all(owner in site.alive for owner in site.owners)
    assert interrupts.is_ignoring
    if failed is None:
        assert (site.alive, set(site.owners)) == ({"new"}, {"new"})
        assert said.out.count(" s\n") == len(STEPS)
    elif fails[0] in BEFORE_THE_TAKE_OVER:
        assert (site.alive, site.undone) == ({"old"}, 1)
        words = str(failed) if error == "refused" else said.err
        assert "Nothing has changed: the old ones serve." in words
    else:
        assert site.undone == 0
    if failed:
        assert said.out.endswith("not done\n")
