"""What ops/logs shows of a log: which lines, in which form, and the story of a request."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import ROOT, Process
from tests.ops.log_lines import ID, Done, call, line, request

Run = Callable[..., str]

FOLLOW = """
import sys
from pathlib import Path
from bascule_ops.logs.files import Files
for line in Files((Path(sys.argv[1]),)).follow(None):
    print(line.decode(), flush=True)
"""


def nginx_error(time: str, connection: int = 7) -> str:
    """A line of nginx's error log."""
    return (
        f"2026/11/21 {time} [error] 71#71: *{connection} upstream prematurely closed connection "
        'while reading response header from upstream, client: 203.0.113.9, server: _, request: "GET '
        '/slow?x=1 HTTP/1.1", upstream: "http://unix:/run/bascule/worker-0.sock:/slow?x=1", '
        'host: "example.org"'
    )


def show(*arguments: str) -> Done:
    """Do what ops/logs does, with the output going to a script."""
    return call("logs", *arguments)


def shown(path: str, *arguments: str) -> list[dict[str, Any]]:
    """What a script reads of a saved log."""
    done = show("--file", path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(each) for each in done.stdout.splitlines()]


def test_lines_are_piped_as_they_were_logged(saved: Run) -> None:
    lines = [request("10:00:00.000"), line("10:00:01.000", message="é\u001b[31m")]
    assert show("--file", saved(*lines)).stdout.splitlines() == lines


def test_the_last_lines_are_the_last_of_the_file(saved: Run) -> None:
    path = saved(*(line("10:00:00.000", number=number) for number in range(2000)))
    assert [each["number"] for each in shown(path, "--lines", "3")] == [1997, 1998, 1999]
    assert len(shown(path)) == 100
    assert len(shown(path, "--lines", "all")) == 2000
    assert shown(path, "--lines", "0") == []
    # More than one block from the end.
    assert [each["number"] for each in shown(path, "--lines", "1500")] == list(range(500, 2000))


def test_nginxs_errors_become_objects(saved: Run) -> None:
    [error] = shown(saved(nginx_error("10:00:00")))
    assert error == {
        "time": "2026-11-21T10:00:00.000Z",
        "level": "error",
        "event": "nginx_error",
        "worker": "nginx",
        "message": "upstream prematurely closed connection while reading response header from upstream",
        "client": "203.0.113.9",
        "server": "_",
        "request": "GET /slow?x=1 HTTP/1.1",
        "upstream": "http://unix:/run/bascule/worker-0.sock:/slow?x=1",
        "host": "example.org",
        "pid": 71,
        "connection": 7,
    }


def test_what_is_no_line_of_the_log_is_kept_with_the_time_before_it(saved: Run) -> None:
    path = saved(line("10:00:00.000"), "Fatal Python error: boom", '{"torn', "nginx: [emerg] no")
    _, output, torn, emergency = shown(path)
    assert (output["event"], output["message"]) == ("output", "Fatal Python error: boom")
    assert output["time"] == "2026-11-21T10:00:00.000Z"
    assert torn["message"] == '{"torn'
    assert (emergency["event"], emergency["level"]) == ("nginx_error", "critical")


def test_what_docker_compose_puts_before_a_line_is_taken_off(saved: Run) -> None:
    [only] = shown(saved("\x1b[2K" + line("10:00:00.000", message="hello") + "\r"))
    assert only["message"] == "hello"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--status", "5xx"], [2]),
        (["--status", "404,500"], [2, 3]),
        (["--slower", "1s"], [2, 4]),
        (["--slower", "0.5s", "--status", "5xx"], [2]),
        (["--path", "/item"], [2]),
        (["--path", "*/1"], [2, 3]),
        (["--event", "slow_call"], [4]),
        (["--level", "warning"], [5]),
        (["--worker", "1"], [4]),
        (["--since", "2026-11-21T10:00:04Z"], [4, 5]),
        (["--since", "2026-11-21T11:00:03+01:00", "--until", "2026-11-21T10:00:05Z"], [3, 4]),
        (["--status", "2xx", "--lines", "1"], [1]),
    ],
)
def test_filters_leave_what_fits_all_of_them(
    arguments: list[str], expected: list[int], saved: Run
) -> None:
    path = saved(
        request("10:00:00.000", n=0),
        request("10:00:01.000", n=1, target="/other"),
        request("10:00:02.000", n=2, target="/item/1?a", status=500, duration_ms=1500),
        request("10:00:03.000", n=3, target="/old/1", status=404, duration_ms=99.5),
        line("10:00:04.000", "slow_call", "1", n=4, path="/blocks", age_s=1.25),
        line("10:00:05.000", level="error", n=5),
    )
    assert [each["n"] for each in shown(path, *arguments)] == expected


def test_since_may_be_a_while_ago(saved: Run) -> None:
    ago = [datetime.now(UTC) - timedelta(minutes=minutes) for minutes in (61, 30, 1)]
    lines = [
        json.dumps({"time": f"{each:%FT%T.000Z}", "level": "info", "event": "log", "n": n})
        for n, each in enumerate(ago)
    ]
    path = saved(*lines)
    assert [each["n"] for each in shown(path, "--since", "1h")] == [1, 2]
    assert [each["n"] for each in shown(path, "--since", "1h", "--until", "90s")] == [1]


def test_a_time_is_found_in_the_middle_of_a_large_file(saved: Run) -> None:
    times = [f"{hour:02}:{minute:02}:00.000" for hour in range(24) for minute in range(60)]
    path = saved(*(line(time, message="x" * 1000) for time in times))
    found = shown(path, "--since", "2026-11-21T13:30Z", "--until", "2026-11-21T13:33Z")
    assert [each["time"][11:16] for each in found] == ["13:30", "13:31", "13:32"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"],
        ["--until", "10"],
        ["--status", "77"],
        ["--slower", "fast"],
        ["--level", "loud"],
        ["--lines", "some"],
        ["--request-id", "$(reboot)"],
        ["--request-id", "a", "--follow"],
        ["--nonsense"],
    ],
)
def test_a_wrong_argument_is_named_in_one_line(arguments: list[str], saved: Run) -> None:
    done = show("--file", saved(), *arguments)
    assert done.returncode == 2
    [message] = done.stderr.splitlines()
    assert message.startswith("ops/logs: ")
    assert arguments[0] in message
    assert message.endswith("see ops/logs --help")


def test_the_command_reads_a_saved_log_where_no_stack_runs(saved: Run) -> None:
    command = ["ops/logs", "--file", saved(line("10:00:00.000", n=1)), "--event", "log"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["n"] == 1


def test_a_file_that_cannot_be_read_is_named() -> None:
    done = show("--file", "/nowhere/at.all")
    assert done.returncode == 2
    assert "cannot read /nowhere/at.all: No such file or directory" in done.stderr


def test_standard_input_is_sorted_by_time_because_several_logs_may_be_in_it() -> None:
    lines = [line(f"10:00:0{n}.000", n=n) for n in (3, 1, 2)]
    done = subprocess.run(
        ["ops/logs", "--file", "-", "--lines", "2"],
        cwd=ROOT,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(each)["n"] for each in done.stdout.splitlines()] == [2, 3]


# --- the story of a request --------------------------------------------------------------------


STACK = (
    'Traceback (most recent call last):\n  File "/lib/bascule_middleware/links/exceptions.py", line 41, in __call__\n'
    "    iterable = self._application(environ, start_response)\n"
    '  File "/lib/bascule_middleware/links/proxy_headers.py", line 113, in __call__\n    return 1\n'
    '  File "/srv/shop.py", line 15, in application\n    price()\nKeyError: 1\n'
)


def story(path: str, request_id: str = ID) -> str:
    """The story as a person reads it."""
    done = show("--file", path, "--request-id", request_id, "--text")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_story_tells_who_did_what_when(saved: Run) -> None:
    path = saved(
        request("09:59:00.000", request_id="another"),
        line(
            "10:00:00.050",
            "exception",
            "0",
            "error",
            request_id=ID,
            exception=STACK,
            message="raised",
        ),
        request("10:00:00.310", worker="0", status=500, bytes=200, duration_ms=305.5, upstream=""),
        request("10:00:00.300", status=500, upstream_status="500"),
        request("10:00:01.000", request_id="another"),
    )
    assert story(path) == (
        f"Request {ID}\n"
        "GET /slow?x=1 to example.org from 203.0.113.9 (curl/8.0)\n"
        "2026-11-21, times in UTC\n"
        "\n"
        "10:00:00.000      +0 ms  nginx     has the request\n"
        "10:00:00.050     +50 ms  worker 0  exception: raised\n"
        "                         Traceback (most recent call last):\n"
        "                           (2 frames of the server and the chain)\n"
        '                           File "/srv/shop.py", line 15, in application\n'
        "                             price()\n"
        "                         KeyError: 1\n"
        "10:00:00.300    +300 ms  nginx     answers 500, 274 B, after 300 ms; worker-0: 500 after 300 ms\n"
        "10:00:00.310    +310 ms  worker 0  answers 500, 200 B, after 306 ms\n"
        "\n"
        "The client got 500 after 300 ms.\n"
    )


def test_a_story_has_nginxs_error_and_the_end_of_the_worker(saved: Run) -> None:
    state = {"process": "bascule:worker-0", "message": "bascule:worker-0 is EXITED (was RUNNING)"}
    other = {"process": "bascule:worker-1", "message": "bascule:worker-1 is EXITED (was RUNNING)"}
    path = saved(
        nginx_error("10:00:00", connection=8),
        nginx_error("09:50:00"),
        nginx_error("10:00:00"),
        request("10:00:00.300", status=502, upstream_status="502"),
        line("10:00:00.900", "process_state", "supervise", "error", **state),
        line("10:00:00.950", "process_state", "supervise", "error", **other),
        line("10:05:00.000", "process_state", "supervise", "error", **state),
    )
    told = story(path)
    assert told.count("upstream prematurely closed connection") == 1
    assert told.count("worker-0 is EXITED") == 1
    assert "worker-1 is EXITED" not in told
    assert "The client got 502 after 300 ms." in told
    as_json = shown(path, "--request-id", ID)
    assert [each["event"] for each in as_json] == ["nginx_error", "request", "process_state"]
    assert as_json[0]["request_id"] == ID


def test_a_story_names_the_limit_though_that_line_was_about_an_earlier_refusal(saved: Run) -> None:
    limited = {
        "address": "203.0.113.9",
        "message": "refused by '2/minute'",
        "request_id": "earlier",
    }
    path = saved(
        line("09:00:00.000", "rate_limited", "1", "warning", **limited | {"message": "long ago"}),
        line("09:59:59.500", "rate_limited", "1", "warning", **limited),
        line(
            "09:59:59.600", "rate_limited", "1", "warning", **limited | {"address": "203.0.113.8"}
        ),
        request("10:00:00.000", status=429, duration_ms=1),
    )
    told = story(path)
    assert told.count("rate_limited:") == 1
    assert "refused by '2/minute'" in told


def test_nobody_gets_into_anothers_story_by_writing_its_id_somewhere(saved: Run) -> None:
    path = saved(
        request("10:00:00.000"),
        request("10:00:00.100", request_id="forger", user_agent=ID, target=f"/{ID}"),
    )
    assert "forger" not in story(path)
    assert story(path).count("answers 200") == 1


def test_a_retry_is_told_as_such(saved: Run) -> None:
    sockets = "unix:/run/bascule/worker-0.sock, unix:/run/bascule/worker-1.sock"
    times = {"upstream_status": "502, 200", "upstream_time": "0.001, 0.299"}
    told = story(saved(request("10:00:00.000", upstream=sockets, **times)))
    assert "worker-0: 502 after 1 ms, then worker-1: 200 after 299 ms" in told


def test_a_request_that_has_not_ended_says_so(saved: Run) -> None:
    told = story(saved(line("10:00:00.000", "slow_call", request_id=ID, message="GET / is slow")))
    assert told.endswith("It has not ended, as far as the log goes.\n")


def test_an_unknown_id_is_an_error(saved: Run) -> None:
    done = show("--file", saved(request("10:00:00.000")), "--request-id", "unknown")
    assert done.returncode == 1
    assert done.stderr == "ops/logs: no line of the log has the request id unknown\n"


# --- on a terminal -----------------------------------------------------------------------------


def on_a_terminal(*arguments: str, **environ: str) -> str:
    """What ops/logs writes to a terminal."""
    ours, theirs = pty.openpty()
    inherited = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(
        ["ops/logs", *arguments], cwd=ROOT, env=inherited | environ, stdout=theirs
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while block := os.read(ours, 65536):
                written += block
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def test_a_terminal_gets_coloured_lines_for_people(saved: Run) -> None:
    written = on_a_terminal("--file", saved(line("10:00:00.000", level="error", message="oh")))
    assert "2026-11-21 10:00:00.000 ERROR" in written
    assert written.startswith("\x1b[31m")


def test_no_color_leaves_the_colours_out(saved: Run) -> None:
    path = saved(line("10:00:00.000", level="error", message="oh"))
    assert "\x1b" not in on_a_terminal("--file", path, NO_COLOR="1")


HOSTILE = "a\x1b]0;title\x07b\x9b31mc\u202ed\x7fe\nf\rg\u2028h"


@pytest.mark.parametrize("form", [[], ["--json"], ["--request-id", ID]])
def test_no_control_character_of_the_log_reaches_the_terminal(form: list[str], saved: Run) -> None:
    raw = request("10:00:00.000", target=f"/{HOSTILE}", user_agent=HOSTILE)
    # nginx copies what is above 0x7f, and the deletion.
    raw = json.dumps(json.loads(raw), ensure_ascii=False)
    path = saved(
        raw,
        line("10:00:00.000", request_id=ID, message=HOSTILE, exception=f"x\n{HOSTILE}"),
        f"printed {HOSTILE}",
    )
    written = on_a_terminal("--file", path, "--lines", "all", *form, NO_COLOR="1")
    assert "title" in written
    unsafe = [each for each in written.replace("\r\n", "") if not each.isprintable()]
    assert unsafe == []


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "bascule.log"
    log.write_text(line("10:00:00.000", n=0) + "\n")
    with Process([sys.executable, "-c", FOLLOW, log]) as following:
        numbers = [json.loads(following.read_line())["n"]]
        with log.open("a") as file:
            file.write(line("10:00:01.000", n=1)[:20])
            file.flush()
            file.write(line("10:00:01.000", n=1)[20:] + "\n")
            file.flush()
            numbers.append(json.loads(following.read_line())["n"])
            log.rename(tmp_path / "bascule.log.1")
            file.write(line("10:00:02.000", n=2) + "\n")
        log.write_text(line("10:00:03.000", n=3) + "\n")
        numbers += [json.loads(following.read_line())["n"] for _ in range(2)]
    assert numbers == [0, 1, 2, 3]
    rotated = show("--file", str(tmp_path / "bascule.log.1"))
    assert len(rotated.stdout.splitlines()) == 3
