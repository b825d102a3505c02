"""The changes that tests/mutation makes, and the verdicts on them."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from tests.mutation import results, verdicts
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.results import Row


def changes(text: str) -> list[str]:
    """Return what the changed lines become."""
    return [each.after for each in mutants("a.py", dedent(text))]


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("x = a < b", ["x = a <= b", "x = a >= b"]),
        ("x = a is not b", ["x = a is b"]),
        ("x = a not in b", ["x = a in b"]),
        ("x = not a", ["x = a"]),
        ("x = a and b and c", ["x = a or b or c"]),
        ("x = (a or b) + c", ["x = (a or b) - c", "x = (a and b) + c"]),
        ("x += y", ["x -= y"]),
        ("x = f(3)", ["x = f(4)"]),
        ("x = 64 * 1024", ["x = 0"]),
        ("x = 0", ["x = 1"]),
        ("x = -y", ["x = y"]),
        ("x = True", ["x = False"]),
        (r"x = b'\r\n'", [r"x = b'\r\n!'"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("f(a)", ["pass"]),
        ("raise E", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a.b = True", ["pass"]),
        ("x = a if b else c", ["x = a if (not (b)) else c"]),
        ("x = [a for a in b if a.c]", ["x = [a for a in b if (not (a.c))]"]),
        ("x = 'a %s' % b", []),
        ("x = f'{a + 1}'", []),
        ("x: int | str", []),
        ("assert a", []),
    ],
)
def test_each_place_is_changed_by_itself(line: str, becomes: list[str]) -> None:
    assert changes(line) == becomes


def test_statements_that_end_something_are_changed() -> None:
    text = """\
        def f(x):
            for each in x:
                if each:
                    break
                continue
            return x
        """
    assert changes(text) == ["if (not (each)):", "continue", "break", "return None"]


def test_what_an_attribute_is_set_to_first_stays() -> None:
    text = """\
        class A:
            def __init__(self, b):
                self.b = b
            def f(self, b):
                self.b = b
        """
    (mutant,) = mutants("a.py", dedent(text))
    assert (mutant.name, mutant.line, mutant.before) == ("A.f", 5, "self.b = b")


def test_a_decorator_that_makes_no_other_kind_of_thing_is_left_out() -> None:
    text = """\
        class A:
            @property
            def f(self): ...
            @cache
            def g(self): ...
        """
    (mutant,) = mutants("a.py", dedent(text))
    assert mutant.before == "@cache"
    assert mutant.at_import


def test_all_other_lines_keep_their_numbers() -> None:
    text = """\
        x = f(
            a,
            b,
        )
        f(
            a,
        )
        y = 1
        """
    for mutant in mutants("a.py", dedent(text)):
        assert ast.parse(mutant.text).body[-1].lineno == 8


def test_a_constant_is_known_by_its_name() -> None:
    found = mutants("a.py", "LIMIT: Final = 3\n")
    assert [(each.names, each.at_import) for each in found] == [(("LIMIT",), True)]


def mutant_of(line: str) -> Mutant:
    return mutants("a.py", f"def f(x):\n    {line}\n")[0]


VERDICT = """\
[["a.py"]]
in = "f"
line = "x += y"
becomes = "x -= y"
why = "nobody reads it"
"""


def test_a_verdict_holds_wherever_the_line_stands() -> None:
    known = verdicts.read(VERDICT)
    before, after = mutant_of("x += y"), mutants("a.py", "\n\ndef f(x):\n    x += y\n")[0]
    assert before.key in known.reasons
    assert after.key in known.reasons
    assert known.unneeded([before], [before]) == []


def test_a_verdict_on_what_a_test_notices_is_not_needed() -> None:
    known = verdicts.read(VERDICT)
    mutant = mutant_of("x += y")
    assert known.unneeded([mutant], []) == [mutant.key]


@pytest.mark.parametrize("text", [VERDICT + VERDICT, VERDICT.replace("why", "because")])
def test_a_verdict_that_is_twice_there_or_gives_no_reason_is_refused(text: str) -> None:
    with pytest.raises(verdicts.VerdictError):
        verdicts.read(text)


def test_a_verdict_may_be_on_several_changes_of_a_line() -> None:
    known = verdicts.read(VERDICT.replace('"x -= y"', '["x -= y", "pass"]'))
    assert {key[3] for key in known.reasons} == {"x -= y", "pass"}


def test_the_verdicts_that_there_are_can_be_read() -> None:
    verdicts.read(verdicts.FILE.read_text())


def test_a_table_keeps_the_rows_of_other_modules() -> None:
    first = results.written("", [Row("a.py", 3, 1, 0), Row("b.py", 5, 0, 0)])
    second = results.written(first, [Row("a.py", 4, 0, 1)])
    assert "| `a.py` | 5 | 4 | 0 | 1 |" in second
    assert "| `b.py` | 5 | 5 | 0 | 0 |" in second
    assert "| **all** | 10 | 9 | 0 | 1 |" in second
