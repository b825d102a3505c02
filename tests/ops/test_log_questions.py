"""ops/requests, slow and report: what they make of a log."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bascule_ops.logs import nginx_access
from bascule_ops.logs.record import parsed
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.processes import ROOT
from tests.ops.log_lines import ID, call, line, request

Save = Callable[..., str]


def counted(path: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """The groups that ops/requests finds, by their keys."""
    done = call("requests", "--file", path, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return {group["key"]: group for group in json.loads(done.stdout)["groups"]}


# --- ops/requests ------------------------------------------------------------------------------


def test_a_group_says_how_many_failed_how_long_they_took_and_since_when(saved: Save) -> None:
    lines = [request(f"10:00:{n:02}.000", duration_ms=n + 1, bytes=10) for n in range(50)]
    lines += [request("10:01:00.000", status=500, duration_ms=9000, bytes=1)]
    lines += [request("10:02:00.000", status=404, duration_ms=1, bytes=1)]
    group = counted(saved(*lines))["GET /slow"]
    assert group == {
        "key": "GET /slow",
        "requests": 52,
        "4xx": 1,
        "5xx": 1,
        "5xx_share": round(1 / 52, 6),
        "bytes": 502,
        "p50_ms": 25,
        "p95_ms": 49,
        "p99_ms": 9000,
        "max_ms": 9000,
        "first": "2026-11-21T10:00:00.000Z",
        "last": "2026-11-21T10:02:00.000Z",
    }


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/item/17", "/item/{}"),
        ("/item/17/?page=3", "/item/{}/"),
        ("/u/3e2b8e0a-5b1c-4c53-9d7a-0f7d3c1f2b4e/x", "/u/{}/x"),
        ("/blob/d41d8cd98f00b204e9800998ecf8427e", "/blob/{}"),
        ("/v1/face", "/v1/face"),
        ("/", "/"),
    ],
)
def test_paths_that_differ_in_a_name_are_one(target: str, route: str, saved: Save) -> None:
    assert list(counted(saved(request("10:00:00.000", target=target)))) == [f"GET {route}"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("path", {"GET /a": 2, "POST /b": 1}),
        ("status", {"200": 1, "404": 1, "502": 1}),
        ("address", {"203.0.113.9": 2, "2001:db8::1": 1}),
        ("worker", {"worker-0": 1, "worker-1": 1, "(nginx itself)": 1}),
        ("user-agent", {'a "quoted" one\u001b[31m': 1, "(none)": 1, "curl/8.0": 1}),
    ],
)
def test_requests_can_be_grouped_by(by: str, expected: dict[str, int], saved: Save) -> None:
    retried = "unix:/run/bascule/worker-0.sock, unix:/run/bascule/worker-1.sock"
    path = saved(
        request("10:00:00.000", target="/a", user_agent='a "quoted" one\u001b[31m'),
        request("10:00:01.000", target="/a", status=404, upstream="", user_agent=""),
        request(
            "10:00:02.000",
            target="/b",
            method="POST",
            status=502,
            upstream=retried,
            remote_addr="2001:db8::1",
        ),
    )
    found = {key: group["requests"] for key, group in counted(path, "--by", by).items()}
    assert found == expected


def test_what_fails_comes_first_then_what_takes_the_time(saved: Save) -> None:
    path = saved(
        *(request("10:00:00.000", target="/often", duration_ms=1) for _ in range(9)),
        request("10:00:00.000", target="/long", duration_ms=5000),
        request("10:00:00.000", target="/fails", status=503, duration_ms=1),
    )
    assert list(counted(path)) == ["GET /fails", "GET /long", "GET /often"]
    assert list(counted(path, "--top", "1")) == ["GET /fails"]


def test_filters_say_which_requests_count(saved: Save) -> None:
    path = saved(
        request("10:00:00.000", target="/a", status=500),
        request("10:00:00.000", target="/b", status=500, duration_ms=2),
        request("10:00:00.000", target="/c"),
    )
    assert list(counted(path, "--status", "5xx", "--slower", "100ms")) == ["GET /a"]
    assert list(counted(path, "--path", "/c")) == ["GET /c"]
    assert counted(path, "--since", "2026-11-21T10:00:01Z") == {}


def test_a_request_counts_once_by_nginxs_line(saved: Save) -> None:
    health = request("09:59:59.000", worker="0", request_id="health", target="/")
    worker = request("10:00:00.300", worker="0", duration_ms=299.5)
    path = saved(health, worker, request("10:00:00.300"), worker)
    assert {key: group["requests"] for key, group in counted(path).items()} == {"GET /slow": 1}


def test_nginxs_lines_need_no_parser_of_json() -> None:
    """The form of nginx/snippets/log_json.conf is known; else reading would take twice as long."""
    config = (ROOT / "nginx/snippets/log_json.conf").read_text(encoding="utf-8")
    form = "".join(re.findall("'(.*)'", config.partition("log_format bascule_json")[2]))
    form = form.replace("${log_second}.${log_millisecond}", "2026-11-21T10:00:00.000")
    form = re.sub(r'"\$\w+"', '"text"', form)
    assert nginx_access.matched(re.sub(r"\$\w+", "200", form).encode())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"target": "/ä/ö?x=\U0001f40d", "user_agent": 'it\'s, "status":'},
        {"target": "/ä", "referer": "}", "host": '","status":500,'},
        {"user_agent": "a\\b"},
        {"user_agent": "a\x01b"},
        {"status": 499, "duration_ms": 0, "bytes": 10**17},
        {"duration_ms": 1.5},
        {"status": "200"},
        {"bytes": 10**30},
        {"one_more": 1},
    ],
)
def test_without_a_parser_they_say_the_same(more: dict[str, Any]) -> None:
    raw = request("10:00:00.000", **more).encode()
    match = nginx_access.matched(raw)
    assert match or more
    if match:
        found = nginx_access.record(match)
        assert found == {key: parsed(raw)[key] for key in found}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"status":200', b'"status":0200'),  # none of these is JSON
        (b"curl/8.0", b"curl\t8.0"),
        (b"}", b"}}"),
        (b"{", b" {"),
    ],
)
def test_what_is_no_json_is_not_taken_for_a_request(old: bytes, new: bytes) -> None:
    assert not nginx_access.matched(request("10:00:00.000").encode().replace(old, new))


def test_bytes_that_are_no_text_are_read_alike() -> None:
    raw = request("10:00:00.000").encode().replace(b"/slow", b"/\xff\xe4\x82")
    match = nginx_access.matched(raw)
    assert match
    assert nginx_access.record(match)["target"] == parsed(raw)["target"]


def test_without_nginx_the_workers_lines_count(saved: Save) -> None:
    group = counted(saved(request("10:00:00.300", worker="1", duration_ms=0.5)), "--by", "worker")
    assert group["1"]["max_ms"] == 0.5


def test_a_person_gets_a_table(saved: Save) -> None:
    path = saved(
        request("10:00:00.000", duration_ms=12, bytes=1500),
        request("10:09:59.000", duration_ms=2000, status=500, bytes=1500),
    )
    done = call("requests", "--file", path)
    summary, header, row = done.stdout.splitlines()
    assert summary == (
        "2 requests, 50.0 % 5xx, - 4xx, 2026-11-21 10:00:00 to 2026-11-21 10:09:59 UTC "
        "(lines of nginx)"
    )
    assert " ".join(header.split()) == (
        "requests 4xx 5xx p50 p95 p99 max sent first last over time 5xx over time path"
    )
    assert " ".join(row.split()) == (
        "2 - 50.0 % 12 ms 2.0 s 2.0 s 2.0 s 3.0 kB 10:00:00 10:09:59 █ █ █ GET /slow"
    )
    # In the first and the last twentieth.
    assert re.search(r"  █ {18}█  ", row)


def test_one_request_is_not_called_several(saved: Save) -> None:
    done = call("requests", "--file", saved(request("10:00:00.000")))
    assert done.stdout.startswith("1 request, - 5xx, - 4xx, ")


def test_no_request_is_said_to_be_none(saved: Save) -> None:
    assert call("requests", "--file", saved()).stdout == "No such request.\n"
    assert call("slow", "--file", saved()).stdout == "No call was slow, and none hung.\n"


# --- ops/slow ----------------------------------------------------------------------------------

SERVER = [
    "/lib/bascule/wsgi/gateway.py:106 run",
    "/lib/bascule_middleware/links/request_id.py:54 __call__",
]
QUERY = [*SERVER, "/srv/shop.py:8 item", "/srv/db.py:5 query", "/usr/lib/python3.11/ssl.py:9 read"]
LOCK = [*SERVER, "/srv/shop.py:9 <genexpr>"]


def slow_log(saved: Save) -> str:
    """A log with four samples."""
    stack = "".join(
        f'  File "{place.rpartition(":")[0]}", line {place.rpartition(":")[2].split()[0]}, in '
        f"{place.split()[1]}\n    source()\n"
        for place in QUERY
    )
    return saved(
        line("10:00:00.000", "slow_call", request_id="a", path="/item/1", frames=QUERY),
        line(
            "10:00:01.000",
            "slow_call",
            request_id="b",
            path="/item/2",
            frames=QUERY,
            location="/srv/db.py:5 query",
        ),
        line("10:00:02.000", "slow_call", request_id="c", path="/basket", frames=LOCK),
        line(
            "10:00:03.000",
            "hung_request",
            level="error",
            request_id=ID,
            path="/item/3",
            stack=stack,
        ),
        request("10:00:04.000"),
    )


def test_slow_and_hung_calls_are_told_by_the_applications_line(saved: Save) -> None:
    done = call("slow", "--file", slow_log(saved), "--json")
    report = json.loads(done.stdout)
    assert report["samples"] == 4
    assert report["locations"] == [
        {
            "location": "/srv/db.py:5 query",
            "samples": 3,
            "share": 0.75,
            "slow_calls": 2,
            "hung_requests": 1,
            "paths": {"/item/{}": 3},
            "last": "2026-11-21T10:00:03.000Z",
            "last_request_id": ID,
        },
        {
            "location": "/srv/shop.py:9 <genexpr>",
            "samples": 1,
            "share": 0.25,
            "slow_calls": 1,
            "hung_requests": 0,
            "paths": {"/basket": 1},
            "last": "2026-11-21T10:00:02.000Z",
            "last_request_id": "c",
        },
    ]


def test_of_a_hung_call_in_the_server_the_applications_line_is_told(saved: Save) -> None:
    """An application whose own package is called server is no less the application."""
    places = ["bascule/engine/crew.py", "shop.py", "shop/server/views.py"]
    places += ["bascule/wsgi/gateway.py", "lib/python3.11/threading.py"]
    stack = "".join(f'  File "/srv/{place}", line 7, in it\n' for place in places)
    log = saved(line("10:00:00.000", "hung_request", level="error", request_id="a", stack=stack))
    (found,) = json.loads(call("slow", "--file", log, "--json").stdout)["locations"]
    assert found["location"] == "/srv/shop/server/views.py:7 it"


def test_a_person_gets_the_locations_as_a_table(saved: Save) -> None:
    header, first, _ = call("slow", "--file", slow_log(saved)).stdout.splitlines()
    assert header.split() == ["samples", "share", "hung", "location", "paths", "last"]
    assert first.split() == f"3 75.0 % 1 /srv/db.py:5 query /item/{{}} 10:00:03 {ID}".split()


SVG = "{http://www.w3.org/2000/svg}"


def test_the_flame_graph_is_drawn_to_scale(saved: Save, tmp_path: Path) -> None:
    drawing = tmp_path / "flame.svg"
    call("slow", "--file", slow_log(saved), "--flame-graph", str(drawing))
    boxes = {}
    for group in ET.parse(drawing).iter(f"{SVG}g"):
        title, box = group.findtext(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title
        assert box is not None
        boxes[title] = box.attrib
    assert list(boxes) == [
        "all: 4 samples, 100.0 %",
        "/srv/shop.py:8 item: 3 samples, 75.0 %",
        "/srv/db.py:5 query: 3 samples, 75.0 %",
        "/usr/lib/python3.11/ssl.py:9 read: 3 samples, 75.0 %",
        "/srv/shop.py:9 <genexpr>: 1 sample, 25.0 %",
    ]
    whole, item, query, _, lock = boxes.values()
    assert float(item["width"]) == pytest.approx(0.75 * float(whole["width"]))
    assert float(lock["x"]) == pytest.approx(float(item["x"]) + float(item["width"]), abs=0.2)
    assert float(query["y"]) < float(item["y"]) < float(whole["y"])


def test_the_flame_graph_needs_nothing_else_and_shows_no_markup_of_the_logs(saved: Save) -> None:
    hostile = "/srv/<script>alert(1)</script>\"'&.py:1 </text><script>\u0007"
    path = saved(line("10:00:00.000", "slow_call", frames=[hostile]))
    drawn = call("slow", "--file", path, "--flame-graph", "-").stdout
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(drawn).iter()}
    assert tags == {"svg", "style", "g", "title", "rect", "text"}
    links = set(re.findall(r"https?://[^\"]*", drawn))
    assert links == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in drawn


def test_a_recursion_without_an_end_can_be_drawn(saved: Save) -> None:
    frames = [f"/srv/shop.py:{n} again" for n in range(3000)]
    path = saved(line("10:00:00.000", "slow_call", frames=frames))
    drawn = call("slow", "--file", path, "--flame-graph", "-").stdout
    assert drawn.count("<rect") == 101


# --- ops/report, and lnav ----------------------------------------------------------------------


def needs(program: str) -> None:
    """Skip where a program is missing, unless that is CI, which has it."""
    if not shutil.which(program):
        assert os.environ.get("CI") != "true", f"{program} is not installed"
        pytest.skip(f"{program} is not installed")


def report(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ops/report."""
    environ = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(
        [ROOT / "ops/report", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_goaccess_reads_every_request_and_is_given_none_twice(saved: Save, tmp_path: Path) -> None:
    needs("goaccess")
    script = "</script><script>alert(1)</script>"
    path = saved(
        request("10:00:00.000", target="/one?query"),
        request("10:00:00.000", worker="0"),
        request(
            "10:00:01.000", target="/été/小明", user_agent='"quoted\\', remote_addr="2001:db8::1"
        ),
        request(
            "10:00:02.000", target=f"/{script}", user_agent=script, referer=script, host=script
        ),
        request("10:00:03.000", method="", target="", protocol="", host="", status=400),
        request("11:00:00.000", target="/later"),
        "2026/11/21 10:00:00 [warn] 1#1: words",
    )
    out = tmp_path / "out.html"
    done = report("--file", path, "--until", "2026-11-21T10:30Z", str(out))
    assert (done.returncode, done.stdout) == (0, f"The report is in {out}.\n")
    html = out.read_text()
    assert re.search(r'"valid_requests": 3,\s*"failed_requests": 0', html)
    assert "/one" in html.replace("\\", "")
    assert "/later" not in html.replace("\\", "")
    assert script not in html


def test_a_report_that_fails_leaves_the_one_before_it(tmp_path: Path) -> None:
    needs("goaccess")
    out = tmp_path / "out.html"
    out.write_text("the one before")
    done = report("--file", "/nowhere", str(out))
    assert done.returncode == 2
    assert "cannot read /nowhere" in done.stderr
    assert out.read_text() == "the one before"


def test_without_goaccess_its_package_is_named(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "basename"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    done = report("--file", "-", path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "ops/report: GoAccess is not installed: it is in Debian's package goaccess\n"
    )


def test_lnav_reads_every_key_of_the_log(saved: Save, tmp_path: Path) -> None:
    needs("lnav")
    path = saved(
        request("10:00:00.000"),
        line(
            "10:00:00.500",
            "exception",
            level="error",
            request_id=ID,
            message="raised",
            exception="T",
        ),
    )
    environ = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}

    def lnav(*arguments: str) -> str:
        return subprocess.run(
            ["lnav", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    lnav("-i", str(ROOT / "ops/stack/lnav/bascule.json"))
    query = (
        ";SELECT log_time, log_level, worker, event, request_id, status, duration_ms, target, exception "
        "FROM bascule_log"
    )
    rows = json.loads(lnav("-n", "-N", "-c", query, "-c", ":write-json-to -", path))
    assert [list(row.values()) for row in rows] == [
        ["2026-11-21 10:00:00.000", "info", "nginx", "request", ID, 200, 300.0, "/slow?x=1", None],
        ["2026-11-21 10:00:00.500", "error", "0", "exception", ID, None, None, None, "T"],
    ]
    assert "nginx     request       200 GET /slow?x=1" in lnav("-n", "-N", path)


# --- lines that an application made up ---------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
impossible_times = st.sampled_from(["2026-02-30T10:00:00.000Z", "2026-13-01T24:61:61.000Z"])
KEYS = ["time", "level", "worker", "message", "request_id", "status", "bytes", "duration_ms"]
KEYS += ["method", "target", "upstream", "upstream_status", "upstream_time", "remote_addr", "host"]
KEYS += ["user_agent", "connection", "frames", "stack", "exception", "location", "path", "age_s"]
KEYS += ["last_words", "process", "address", "request", "logger", "event"]
EVENTS = ["request", "slow_call", "hung_request", "process_state", "rate_limited", "exception"]


@given(
    records=st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.sampled_from(["0", "nginx", "supervise"]),
            st.dictionaries(st.sampled_from(KEYS), anything | impossible_times, max_size=12),
        ),
        max_size=4,
    ),
    noise=st.lists(st.binary(max_size=40), max_size=2),
)
@settings(deadline=None, max_examples=150)
def test_no_line_whatever_it_holds_stops_a_command(
    records: list[tuple[str, str, dict[str, Any]]], noise: list[bytes]
) -> None:
    usual = request("10:00:00.000", status=502)
    made = [
        json.dumps(json.loads(line("10:00:00.000", event, worker, request_id=ID)) | more)
        for event, worker, more in records
    ]
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join([usual.encode(), *map(str.encode, made), *noise, b""]))
        file.flush()
        for command, *arguments in (
            ("logs", "--text", "--lines", "all"),
            ("logs", "--text", "--slower", "1ms", "--path", "/*", "--level", "info"),
            ("logs", "--text", "--request-id", ID),
            ("logs", "--json", "--request-id", ID),
            ("requests", "--by", "worker"),
            ("requests", "--json"),
            ("slow", "--flame-graph", "-"),
            ("slow", "--json"),
        ):
            done = call(command, "--file", file.name, *arguments)
            assert (done.returncode, done.stderr) == (0, "")
