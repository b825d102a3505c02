"""Where a thread is: the application's frames, and the innermost of them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bascule.watch.stacks import FRAMES, Stack, stacks

from tests.harness.waiting import wait_until


def here() -> Stack:
    """Where this thread is, as another one sees it."""
    me, found = threading.get_ident(), list[Stack]()
    looker = threading.Thread(target=lambda: found.append(stacks([me])[me]))
    looker.start()
    looker.join(10)
    return found[0]


def deep(depth: int) -> Stack:
    return deep(depth - 1) if depth else here()


def waits_in_the_library(inside: threading.Event, go_on: threading.Event) -> None:
    inside.set()
    go_on.wait()


@contextmanager
def waiting_thread() -> Iterator[int]:
    """Run a thread that waits inside the standard library; give its identifier."""
    inside, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=waits_in_the_library, args=(inside, go_on))
    thread.start()
    assert inside.wait(10)
    assert thread.ident is not None
    wait_until(
        lambda: stacks([thread.ident])[thread.ident].frames[-1].endswith(" wait"), "it waits"
    )
    yield thread.ident
    go_on.set()
    thread.join(10)


def test_frames_say_file_line_and_function_innermost_last() -> None:
    found = [frame for frame in here().frames if __file__ in frame]
    line = test_frames_say_file_line_and_function_innermost_last.__code__.co_firstlineno + 1
    name = "test_frames_say_file_line_and_function_innermost_last"
    assert found[-2] == f"{__file__}:{line} {name}"
    assert found[-1].endswith(" here")


def test_the_location_is_the_applications_innermost_frame() -> None:
    with waiting_thread() as thread:
        found = stacks([thread])[thread]
    assert "threading.py" in found.frames[-1]
    assert found.location.startswith(f"{__file__}:")
    assert found.location.endswith(" waits_in_the_library")


def test_what_the_library_calls_is_the_applications_again() -> None:
    found = functools.reduce(lambda _, depth: deep(depth), [0, 1])
    assert isinstance(found, Stack)
    assert found.location.endswith(" here")


def test_frames_begin_with_the_applications_first() -> None:
    with waiting_thread() as thread:
        assert stacks([thread])[thread].frames[0].endswith(" waits_in_the_library")


def test_of_many_frames_the_innermost_are_told() -> None:
    found = deep(3 * FRAMES)
    assert len(found.frames) == FRAMES
    assert found.location.endswith(" here")


def test_a_thread_without_application_has_all_its_frames_and_no_location() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    assert thread.ident is not None
    found = stacks([thread.ident])[thread.ident]
    go_on.set()
    thread.join(10)
    assert (found.location, found.in_server) == ("", True)
    assert "_bootstrap" in found.frames[0]


def test_what_the_server_does_for_the_application_is_not_the_applications() -> None:
    me = threading.get_ident()
    found = stacks([me])[me]
    assert found.frames[-1].endswith(" stacks")
    assert found.location == found.frames[-2]
    assert found.in_server
    assert not here().in_server


def test_a_thread_that_has_ended_is_nowhere() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join(10)
    assert thread.ident is not None
    assert stacks([thread.ident]) == {}
