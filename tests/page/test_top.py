"""The terminal view on a terminal: what it shows, and what its keys do."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator

import pytest
from bascule_ops.observe.history import History
from bascule_ops.observe.panels import Choice
from bascule_ops.observe.screen import screen
from rich.console import Console

from tests.page import scenes
from tests.page.fixture_server import Scene
from tests.page.terminal import Terminal

UP, DOWN, ENTER = "\x1b[A", "\x1b[B", "\r"


def frame(
    scene: Scene,
    width: int = 100,
    height: int = 40,
    choice: Choice = Choice(),  # noqa: B008 (frozen)
    *,
    fits: bool = True,
) -> list[str]:
    """The lines that are shown of a scene after a minute."""
    history = History()
    for number in range(30):
        history.add(scene(2.0 * number))
    console = Console(width=width, height=height, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(screen(history, choice, console, fits=fits))
    return captured.get().splitlines()


def test_a_healthy_stack_is_one_word_and_a_sick_one_says_what_is_wrong_and_the_remedy() -> None:
    assert frame(scenes.calm)[0].endswith("✓ healthy")
    sick = frame(scenes.trouble)
    assert sick[0].endswith("✗ 1 check fails: worker-1")
    assert sick[1:3] == [
        "✗ its status socket refuses connections",
        "  remedy: ops/restart; its last words: ops/logs --level error",
    ]


def test_what_is_worth_a_note_stands_below_the_verdict() -> None:
    lines = frame(scenes.restarting)
    assert lines[0].endswith("✓ healthy")
    assert lines[1] == "note: worker-1 is being restarted (2 of 2)"


def test_rates_percentiles_and_the_last_minutes_are_shown() -> None:
    lines = frame(scenes.calm)
    (rates,) = (line for line in lines if line.startswith("requests/s"))
    assert re.split(r"  +", rates.strip()) == ["requests/s", "300", "4xx 7.5", "5xx 1.5", "█" * 29]
    (latency,) = (line for line in lines if line.startswith("latency"))
    assert re.split(r"  +", latency)[1:4] == ["p50 806 µs", "p95 16.8 ms", "p99 229 ms"]


def test_requests_workers_slow_calls_and_errors_are_shown() -> None:
    lines = [re.split(r"  +", line.strip()) for line in frame(scenes.trouble, 120)]
    hung = [
        "1m 10s",
        "hung",
        "b7c1f09e5d2a4c86",
        "0",
        "POST /checkout",
        "shop/payment.py:214 charge",
    ]
    assert lines[lines.index(["Requests in flight 3"]) + 2] == hung
    at = lines.index(["Workers 2"]) + 2
    assert lines[at][:5] == ["0", "serving", "2h 0m", "220", "100%"]
    assert lines[at + 1][:3] == ["1", "no answer", "-"]
    at = lines.index(["Where calls are slow"]) + 2
    assert lines[at] == ["41", "96.2 s", "2.35 s", "shop/payment.py:214 charge", "/checkout"]
    at = lines.index(["Recent errors"]) + 2
    assert lines[at][2:] == [
        "b7c1f09e5d2a4c86",
        "0",
        "POST /checkout has run for 10.0 s",
    ]


@pytest.mark.parametrize("scene", [scenes.calm, scenes.trouble, scenes.hostile, scenes.crowd])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 32), (200, 60)])
@pytest.mark.parametrize("choice", [Choice(), Choice(0, True), Choice(3, True)])
def test_it_fits_the_terminal_with_its_keys_in_the_last_line(
    scene: Scene, width: int, height: int, choice: Choice
) -> None:
    lines = frame(scene, width, height, choice)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("q quit")


def test_what_is_printed_to_a_file_leaves_nothing_out() -> None:
    lines = frame(scenes.crowd, height=24, fits=False)
    assert sum("/upload/" in line for line in lines) == 40
    assert not any(line.startswith("q quit") for line in lines)


def test_what_a_client_writes_cannot_move_the_cursor() -> None:
    def scene(now: float) -> dict[str, object]:
        attack = scenes.request("id", 1.0, "running", path="/\x1b[2J\x1b]0;owned\x07\r\n\u202e")
        return scenes.snapshot(now, [scenes.worker("0", now, 1.0, requests=[attack])])

    text = "\n".join(frame(scene, 160))
    assert r"GET /\x1b[2J\x1b]0;owned\x07\r\n\u202e" in text
    assert not {"\x1b", "\x07", "\r", "\u202e"} & {*text}


Open = Callable[..., Terminal]


@pytest.fixture
def open_scene() -> Iterator[Open]:
    """Opens the live view of a scene on a terminal: a name, and ``still`` for one snapshot."""
    terminals: list[Terminal] = []

    def make(*arguments: str) -> Terminal:
        made = Terminal(sys.executable, "-m", "tests.page.top_of_scene", *arguments)
        terminals.append(made)
        made.wait_for("q quit")
        return made

    yield make
    for each in terminals:
        each.close()


@pytest.mark.integration
def test_it_follows_the_stack_until_q_and_leaves_the_terminal_as_it_was(open_scene: Open) -> None:
    top = open_scene("calm")
    assert "requests/s  - " in top.text
    top.wait_for("requests/s  300 ", "09:00:04 UTC")
    top.send("q")
    assert top.wait() == 0
    assert top.is_as_it_was


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(open_scene: Open, number: signal.Signals) -> None:
    top = open_scene("calm")
    top.process.send_signal(number)
    top.wait()
    assert top.is_as_it_was


@pytest.mark.integration
def test_the_arrows_choose_a_request_and_enter_shows_its_stack(open_scene: Open) -> None:
    top = open_scene("trouble")
    assert top.is_reversed("POST /checkout")
    top.send(DOWN)
    top.wait_until(lambda: top.is_reversed("GET /report"))
    top.send(DOWN + DOWN + UP + ENTER)
    top.wait_for("ops/logs --request-id 0d9e8f7a6b5c4d3e", "shop/views.py:87 checkout")
    top.send(ENTER)
    top.wait_for("Recent errors", gone="--request-id")


@pytest.mark.integration
def test_the_choice_stays_with_its_request_while_others_come_and_go(open_scene: Open) -> None:
    top = open_scene("queue")
    top.send(DOWN)
    top.wait_until(lambda: top.is_reversed("/second"))
    top.wait_for("09:00:04", gone="/first")
    assert top.is_reversed("/second")
    assert top.line("/second").split()[0:2] == ["6.0", "s"]


@pytest.mark.integration
def test_it_uses_a_window_that_becomes_larger(open_scene: Open) -> None:
    top = open_scene("crowd", "still")
    before = top.text.count("/upload/")
    top.resize(100, 60)
    top.wait_until(lambda: top.text.count("/upload/") > before)
