"""The policy of `forward`: who is chosen, who is left out, and when they are back."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from bascule_middleware.links.forward.balance import (
    CHOOSERS,
    LONGEST_EJECTION,
    Balancer,
    Chooser,
    Member,
    consistent_hash,
    least_outstanding,
    round_robin,
    two_choices,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

weights = st.lists(st.integers(1, 9), min_size=1, max_size=6)
loaded = st.lists(
    st.builds(Member, st.uuids().map(str), st.integers(1, 9), st.integers(0, 50)),
    min_size=1,
    max_size=6,
)


class Clock:
    """A clock that stands still until it is set forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def members(*weights: int) -> list[Member]:
    return [Member(f"http://10.0.0.{n}", weight) for n, weight in enumerate(weights)]


def balancer(
    of: Sequence[Member], clock: Clock, *, choose: Chooser = round_robin, max_failures: int = 3
) -> Balancer:
    return Balancer(
        of,
        choose,
        max_failures=max_failures,
        ejection=1.0,
        checks=2,
        clock=clock,
        dice=random.Random(7),
    )


@given(weights)
def test_round_robin_gives_each_its_weight_in_every_round(weights: list[int]) -> None:
    those = members(*weights)
    for _ in range(3):
        chosen = Counter(round_robin(those, "", random.Random()).name for _ in range(sum(weights)))
        assert [chosen[member.name] for member in those] == weights


def test_round_robin_does_not_send_the_heaviest_a_burst() -> None:
    heavy, *_ = those = members(4, 1, 1)
    chosen = [round_robin(those, "", random.Random()) for _ in range(6)]
    assert [member is heavy for member in chosen] == [True, True, False, True, False, True]


@given(loaded, st.randoms(use_true_random=False))
def test_least_outstanding_takes_one_with_the_least_load(
    those: list[Member], dice: random.Random
) -> None:
    chosen = least_outstanding(those, "", dice)
    assert all(
        chosen.outstanding * other.weight <= other.outstanding * chosen.weight for other in those
    )


def test_least_outstanding_takes_turns_among_equals() -> None:
    those = members(1, 1, 1)
    assert {least_outstanding(those, "", random.Random()).name for _ in range(3)} == {
        member.name for member in those
    }


@given(loaded, st.randoms(use_true_random=False))
def test_two_choices_never_take_the_one_with_the_most_load(
    those: list[Member], dice: random.Random
) -> None:
    loads = sorted((member.outstanding / member.weight, member.name) for member in those)
    chosen = two_choices(those, "", dice)
    if len(loads) > 1 and loads[-1][0] > loads[-2][0]:
        assert chosen.name != loads[-1][1]


def test_two_choices_even_out_what_draws_alone_would_not() -> None:
    those = members(*[1] * 10)
    dice = random.Random(1)
    for _ in range(1000):
        two_choices(those, "", dice).outstanding += 1
    assert max(member.outstanding for member in those) <= 105


@given(st.text(), st.data())
def test_a_key_stays_with_its_upstream_when_another_goes(key: str, data: st.DataObject) -> None:
    those = members(*data.draw(weights))
    chosen = consistent_hash(those, key, random.Random())
    rest = [m for m in those if m is chosen or data.draw(st.booleans())]
    assert consistent_hash(rest, key, random.Random()) is chosen


def test_the_keys_of_one_that_goes_spread_over_all_others() -> None:
    gone, *rest = those = members(1, 1, 1, 1)
    keys = [str(n) for n in range(400)]
    orphans = [key for key in keys if consistent_hash(those, key, random.Random()) is gone]
    heirs = {consistent_hash(rest, key, random.Random()).name for key in orphans}
    assert heirs == {member.name for member in rest}


def test_consistent_hashing_keeps_to_the_weights() -> None:
    light, heavy = those = members(1, 3)
    chosen = Counter(consistent_hash(those, str(n), random.Random()).name for n in range(4000))
    assert chosen[heavy.name] / chosen[light.name] == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)
def test_one_that_was_tried_is_not_chosen_again(choose: Chooser) -> None:
    balance = balancer(members(5, 1, 1), Clock(), choose=choose)
    tried: list[Member] = []
    while (member := balance.acquire("key", tried)) is not None:
        assert member not in tried
        tried.append(member)
    assert len(tried) == 3


def test_an_upstream_is_ejected_after_some_failures_in_a_row() -> None:
    (member,) = those = members(1)
    balance = balancer(those, Clock())
    assert [balance.failed(member), balance.failed(member)] == [0, 0]
    balance.served(member)
    assert [balance.failed(member) for _ in range(3)] == [0, 0, 1]
    assert balance.acquire("") is None
    assert balance.retry_after() == 1


def ejected(balance: Balancer, member: Member) -> float:
    """Fail until it is ejected; return for how long."""
    while not (seconds := balance.failed(member)):
        pass
    return seconds


def test_an_ejected_upstream_is_tried_by_one_request_when_its_time_is_over() -> None:
    clock = Clock()
    (member,) = those = members(1)
    balance = balancer(those, clock)
    clock.now += ejected(balance, member)
    assert balance.acquire("") is member
    assert balance.acquire("") is None, "a second request before the first has its answer"
    assert balance.served(member), "it is back"
    assert balance.acquire("") is member
    assert not balance.served(member), "it was back before"


def test_a_trial_without_an_outcome_is_followed_by_another() -> None:
    clock = Clock()
    (member,) = those = members(1)
    balance = balancer(those, clock)
    clock.now += ejected(balance, member)
    assert balance.acquire("") is member
    clock.now += 1
    assert balance.acquire("") is member


def test_each_failed_trial_doubles_the_time_up_to_a_bound() -> None:
    clock = Clock()
    (member,) = those = members(1)
    balance = balancer(those, clock)
    times = [ejected(balance, member)]
    for _ in range(1100):
        clock.now += times[-1]
        assert balance.acquire("") is member
        times.append(balance.failed(member))
    assert times[:6] == [1, 2, 4, 8, 16, LONGEST_EJECTION]
    assert set(times[6:]) == {LONGEST_EJECTION}


def test_failures_of_requests_that_were_under_way_do_not_lengthen_an_ejection() -> None:
    clock = Clock()
    (member,) = those = members(1)
    balance = balancer(those, clock)
    ejected(balance, member)
    assert [balance.failed(member) for _ in range(10)] == [0] * 10
    assert balance.retry_after() == 1


def test_checks_take_an_upstream_out_and_bring_it_back_after_some_in_a_row() -> None:
    (member,) = those = members(1)
    balance = balancer(those, Clock())
    verdicts = [balance.checked(member, passed=passed) for passed in (False, True, False, False)]
    assert verdicts == [False, False, False, True]
    assert balance.acquire("") is None
    assert balance.retry_after() is None
    assert [balance.checked(member, passed=True) for _ in range(2)] == [False, True]
    assert balance.acquire("") is member


def test_passed_checks_end_an_ejection_that_came_before_them() -> None:
    (member,) = those = members(1)
    balance = balancer(those, Clock())
    ejected(balance, member)
    for passed in (False, False, True, True):
        balance.checked(member, passed=passed)
    assert balance.acquire("") is member


class Traffic(RuleBasedStateMachine):
    """Requests that are answered, fail or get stuck, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.members = members(1, 2, 5)
        self.balance = balancer(self.members, self.clock, max_failures=2)
        self.under_way: list[Member] = []

    @rule(key=st.text(max_size=2), tried=st.sets(st.integers(0, 2)))
    def request(self, key: str, tried: set[int]) -> None:
        those = [self.members[n] for n in tried]
        member = self.balance.acquire(key, those)
        if member:
            assert member not in those
            assert member.healthy
            self.under_way.append(member)

    @precondition(lambda self: self.under_way)
    @rule(ending=st.sampled_from(["served", "failed", "abandoned"]))
    def end(self, ending: str) -> None:
        member = self.under_way.pop(0)
        if ending == "served":
            self.balance.served(member)
        elif ending == "failed":
            assert 0 <= self.balance.failed(member) <= LONGEST_EJECTION
        self.balance.release(member)

    @rule(number=st.integers(0, 2), passed=st.booleans())
    def check(self, number: int, passed: bool) -> None:
        self.balance.checked(self.members[number], passed=passed)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def every_request_is_counted_until_it_is_released(self) -> None:
        counts = Counter(member.name for member in self.under_way)
        assert all(member.outstanding == counts[member.name] for member in self.members)

    @invariant()
    def nobody_is_left_out_for_long(self) -> None:
        bound = self.clock.now + LONGEST_EJECTION
        assert all(member.ejected_until <= bound for member in self.members)

    @invariant()
    def whoever_is_well_or_will_be_is_announced(self) -> None:
        wait = self.balance.retry_after()
        healthy = any(member.healthy for member in self.members)
        assert (wait is not None) == healthy
        assert wait is None or 0 <= wait < math.inf


Traffic.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTraffic = Traffic.TestCase
