"""The page about an error: what it shows, to whom, and that nothing of it is more than text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from bascule.development import page, report
from hypothesis import given
from hypothesis import strategies as st

HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
OURS = {
    *("html", "meta", "title", "style", "h1", "h2", "p", "details", "summary", "code", "pre"),
    *("mark", "table", "tr", "th", "td"),
}


class Parsed(HTMLParser):
    """A page as a browser has it: its elements, their attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as found:
        return found


def answered(error: BaseException, environ: dict[str, Any]) -> tuple[dict[str, str], str]:
    fields, body = page.answer(environ, "", report.of(error))
    return dict(fields), body.decode()


def source_raising(place: Path, name: str, source: str) -> BaseException:
    path = place / name
    path.write_text(source, encoding="utf-8")
    try:
        exec(compile(source, str(path), "exec"), {"__name__": "shop"})
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


# What decodes to something else in HTML is not told apart: line ends, and what is no character.
TEXT = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), min_size=1)


@given(message=TEXT, name=TEXT, value=TEXT, path=TEXT, query=TEXT)
def test_whatever_is_in_it_is_text(
    message: str, name: str, value: str, path: str, query: str
) -> None:
    environ = {
        **HTML,
        "REQUEST_METHOD": message,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        f"HTTP_{name.upper()}": value,
    }
    _, body = answered(raised(ValueError(message)), environ)
    parsed = Parsed(body)
    assert parsed.tags <= OURS
    assert {key for key, _ in parsed.attributes} <= {
        *("lang", "charset", "name", "content", "open", "class"),
    }
    assert message.rstrip("\n") in parsed.text
    assert path in parsed.text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_a_message_with_markup_is_inert(text: str, tmp_path: Path) -> None:
    error = source_raising(tmp_path, "shop.py", f"# {text}\nraise ValueError({text!r})\n")
    fields, body = answered(error, {**HTML, "HTTP_X": text})
    assert text not in body
    assert Parsed(body).text.count(text) == 5  # title, heading, two lines of the source, a field
    policy = fields["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("HTTP_COOKIE", False),
        ("HTTP_AUTHORIZATION", False),
        ("HTTP_PROXY_AUTHORIZATION", False),
        ("HTTP_X_API_KEY", False),
        ("HTTP_X_CSRFTOKEN", False),
        ("HTTP_USER_AGENT", True),
        ("CONTENT_TYPE", True),
    ],
)
def test_secrets_of_the_request_are_not_shown(name: str, is_shown: bool) -> None:
    environ = {**HTML, name: "a secret", "QUERY_STRING": "page=2&access_token=another+secret"}
    _, body = answered(raised(ValueError()), environ)
    assert ("a secret" in body) is is_shown
    assert "another+secret" not in body
    assert "page=2&amp;access_token=" in body


def test_calls_of_the_project_are_open_and_those_of_libraries_folded(tmp_path: Path) -> None:
    source = "import json\ndef read():\n    return json.loads('{')\nread()\n"
    error = source_raising(tmp_path, "shop.py", source)
    _, body = answered(error, HTML)
    own, _, folded = body.partition('<details class="folded">')
    assert own.count("<details open>") >= 2
    assert f"{tmp_path}/shop.py:3</code> in read" in own
    assert "<mark>    3      return json.loads(&#x27;{&#x27;)</mark>" in own
    assert "<details open>" not in folded
    assert folded.startswith("<summary>3 calls of json</summary>")


def test_the_chain_of_errors_is_shown_the_first_cause_first() -> None:
    first, second, third = (
        raised(each) for each in (KeyError("first"), ValueError("second"), OSError("third"))
    )
    second.__cause__, third.__context__ = first, second
    shown = Parsed(answered(third, HTML)[1]).text
    steps = ["KeyError: 'first'", report.CAUSE, "ValueError: second", report.CONTEXT, "Request"]
    places = [shown.index(each) for each in steps]
    assert places == sorted(places)
    assert shown.index("OSError: third") < places[0]  # the heading


def test_an_error_that_arose_in_a_circle_or_very_deep_has_an_end() -> None:
    first, second = raised(ValueError("first")), raised(ValueError("second"))
    first.__context__, second.__context__ = second, first
    assert [each.summary for each in report.of(first)] == [
        "ValueError: second",
        "ValueError: first",
    ]

    def deep() -> None:
        deep()

    with pytest.raises(RecursionError) as found:
        deep()
    (only,) = report.of(found.value)
    assert len(only.calls) == report.MOST_CALLS


def test_errors_of_a_group_are_shown() -> None:
    group = ExceptionGroup("several", [ValueError("one"), KeyError("two")])
    text = report.text(report.of(raised(group)))
    assert "ExceptionGroup: several (2 sub-exceptions)" in text
    assert "1 of 2 in the group:\n\nValueError: one" in text
    assert "2 of 2 in the group:\n\nKeyError: 'two'" in text


def test_a_mistake_of_syntax_is_shown_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text("good = 1\ndef (\n")
    with pytest.raises(SyntaxError) as found:
        compile(path.read_text(), str(path), "exec")
    _, body = answered(found.value, HTML)
    assert f"<details open><summary><code>{path}:2</code></summary>" in body
    assert "<mark>    2  def (</mark>" in body


def test_an_error_that_cannot_be_put_into_words_is_shown_all_the_same() -> None:
    class WordlessError(Exception):
        def __str__(self) -> str:
            raise ValueError

    _, body = answered(raised(WordlessError()), HTML)
    assert "WordlessError: &lt;exception str() failed&gt;" in body


def test_programs_get_json_and_others_text(tmp_path: Path) -> None:
    error = source_raising(tmp_path, "shop.py", "raise ValueError('bad')\n")
    fields, body = answered(error, {"HTTP_ACCEPT": "application/problem+json"})
    assert fields["Content-Type"] == "application/json; charset=utf-8"
    document = json.loads(body)
    assert document["error"] == "ValueError: bad"
    assert document["traceback"][-1] == "ValueError: bad"
    fields, body = answered(error, {"HTTP_ACCEPT": "*/*"})
    assert fields["Content-Type"] == "text/plain; charset=utf-8"
    assert body.endswith(
        f"  File \"{tmp_path}/shop.py\", line 1, in <module>\n    raise ValueError('bad')\nValueError: bad\n"
    )
