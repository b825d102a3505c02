"""The limit to a process's memory: where it lies, and when it is looked at."""

from __future__ import annotations

import mmap

import pytest
from bascule.errors import StartError
from bascule.watch import memory
from bascule.watch.memory import LOOK_INTERVAL, SPREAD, MemoryLimit

MOST = 1000
LEAST = MOST - MOST // SPREAD


class Machine:
    """What the process has (bytes), how often it was asked for, and what chance says."""

    def __init__(self) -> None:
        self.resident = 0
        self.looks = 0
        self.chance = 0

    def look(self) -> int:
        self.looks += 1
        return self.resident

    def random(self, size: int) -> bytes:
        return self.chance.to_bytes(size, "big")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(memory, "resident", found.look)
    monkeypatch.setattr("os.urandom", found.random)
    return found


@pytest.mark.parametrize(
    ("chance", "limit"),
    [(0, MOST), (1, MOST - 1), (MOST // SPREAD, LEAST), (MOST // SPREAD + 1, MOST)],
)
def test_each_process_has_a_limit_of_its_own_somewhat_below_the_setting(
    machine: Machine, chance: int, limit: int
) -> None:
    machine.chance = chance
    found = MemoryLimit(MOST)
    machine.resident = limit
    assert found.excess(0.0) == 0
    machine.resident = limit + 1
    assert found.excess(LOOK_INTERVAL) == limit + 1


def test_it_is_looked_at_once_an_interval(machine: Machine) -> None:
    limit = MemoryLimit(MOST)
    machine.looks, machine.resident = 0, MOST + 1
    found = [limit.excess(LOOK_INTERVAL * tenths / 10) for tenths in range(21)]
    assert machine.looks == 3
    assert found == [MOST + 1 if tenths in (0, 10, 20) else 0 for tenths in range(21)]


def test_a_process_that_is_to_end_at_once_does_not_start(machine: Machine) -> None:
    machine.resident = LEAST
    MemoryLimit(MOST)
    machine.resident = LEAST + 1
    with pytest.raises(StartError, match=f"has {LEAST + 1} bytes .* is to end from {LEAST} on"):
        MemoryLimit(MOST)


def test_without_a_limit_nothing_is_too_much_and_nobody_looks(machine: Machine) -> None:
    machine.resident = 1 << 60
    assert MemoryLimit(0).excess(0.0) == 0
    assert machine.looks == 0


def test_the_memory_of_a_process_is_what_it_has_touched() -> None:
    before, size = memory.resident(), 64 << 20
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
        mapped.write(b"x" * size)
        assert memory.resident() - before > size // 2
