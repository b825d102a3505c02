"""Changes to a module's text, one place each, that a test should notice.

What is changed: comparisons, ``not``, ``and``/``or``, conditions, arithmetic, numbers, ``True`` and
``False``, bytes, ``min``/``max``; what a function returns; ``break``/``continue``; a statement that
calls, raises or sets an attribute is left out, and so is a decorator. Not text: most of it is
messages. A number that a module has a name for is a choice that may be another, so it becomes none:
zero, or one where it was that. Lines keep their numbers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, ...]]] = {
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
OPERATOR: Final = re.compile(
    r"<=|>=|==|!=|<<|>>|//|\bis\s+not\b|\bnot\s+in\b|\bis\b|\bin\b|[-+*/%<>&|]"
)
# What stands for a decorator that makes a function something else altogether: no test can miss it.
STRUCTURAL: Final = frozenset(
    {"property", "staticmethod", "classmethod", "setter", "contextmanager", "dataclass", "override"}
)


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        module: its path below the package.
        name: of the function or class that it is in, with those around it; empty for none.
        line: the first line that was changed, counted from 1.
        lines: those of which a test has to run one to notice, as a range.
        names: of the module's constants that it changes: who reads them may notice.
        at_import: whether what it changes runs when the module is imported.
        before: the line as it stands, without the space around it.
        after: what it becomes.
        text: the whole changed module.
    """

    module: str
    name: str
    line: int
    lines: range
    names: tuple[str, ...]
    at_import: bool
    before: str
    after: str
    text: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names the change as long as the line stands, wherever it stands."""
        return (self.module, self.name, self.before, self.after)


def mutants(module: str, text: str) -> list[Mutant]:
    """Return all changes to a module, in the order of their places."""
    found = _Finder(module, text)
    found.visit(ast.parse(text))
    return sorted(found.found, key=lambda each: each.line)


class _Finder(ast.NodeVisitor):
    """Goes through a module and notes what can be changed."""

    def __init__(self, module: str, text: str) -> None:
        self.found: list[Mutant] = []
        self._module = module
        self._data = text.encode()
        starts = [0]
        for line in self._data.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._scopes: list[ast.AST] = []
        self._statement: ast.stmt | None = None

    # --- where things stand --------------------------------------------------------------------

    def _begin(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _is_in_function(self) -> bool:
        return any(isinstance(each, ast.FunctionDef | ast.Lambda) for each in self._scopes)

    def _add(self, begin: int, end: int, becomes: str) -> None:
        """Note a change of the bytes from ``begin`` to ``end``."""
        assert self._statement is not None
        old, new = self._data[begin:end], becomes.encode()
        new += b"\n" * (old.count(b"\n") - new.count(b"\n"))
        text = (self._data[:begin] + new + self._data[end:]).decode()
        try:
            ast.parse(text)
        except SyntaxError:  # a line end where none may be
            return
        line = self._data.count(b"\n", 0, begin) + 1
        last = self._data.count(b"\n", 0, end) + 1
        statement = self._statement
        first, end_line = statement.lineno, statement.end_lineno or statement.lineno
        if isinstance(statement, ast.If | ast.While | ast.For | ast.With | ast.Try | ast.Match):
            first, end_line = line, last  # not its body
        at_import = not self._is_in_function()
        if isinstance(statement, ast.FunctionDef):  # a default or a decorator
            at_import = True
        self.found.append(
            Mutant(
                module=self._module,
                name=".".join(
                    each.name
                    for each in self._scopes
                    if isinstance(each, ast.FunctionDef | ast.ClassDef)
                ),
                line=line,
                lines=range(first, end_line + 1),
                names=_assigned(statement) if at_import else (),
                at_import=at_import,
                before=self._shown(self._data, begin, len(old)),
                after=self._shown(self._data[:begin] + new + self._data[end:], begin, len(new)),
                text=text,
            )
        )

    @staticmethod
    def _shown(data: bytes, begin: int, size: int) -> str:
        """Return the lines in which something stands, as one."""
        first = data.rfind(b"\n", 0, begin) + 1
        last = data.find(b"\n", begin + size)
        shown = data[first : last if last >= 0 else len(data)].decode()
        return " ".join(shown.split())

    def _between(self, left: ast.expr, right: ast.expr, becomes: str) -> None:
        """Change the operator between two operands."""
        begin = self._end(left)
        found = OPERATOR.search(self._data[begin : self._begin(right)].decode())
        if found:
            self._add(begin + found.start(), begin + found.end(), becomes)

    # --- what is gone through -------------------------------------------------------------------

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            before, self._statement = self._statement, node
            super().visit(node)
            self._statement = before
        else:
            super().visit(node)

    def _within(self, node: ast.AST) -> None:
        self._scopes.append(node)
        for field in ast.iter_child_nodes(node):
            self.visit(field)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            self._decorator(decorator)
        self._scopes.append(node)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self._scopes.pop()

    def _decorator(self, node: ast.expr) -> None:
        name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
        if name.rpartition(".")[2] not in STRUCTURAL:
            self._add(self._begin(node) - 1, self._end(node), "")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scopes.append(node)
        for statement in node.body:
            self.visit(statement)
        self._scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._within(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and not self._choice(node.value):
            self._assignment(node, node.target, node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    # --- expressions ----------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            for becomes in COMPARISONS[type(operator)]:
                self._between(left, right, becomes)
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        is_and = isinstance(node.op, ast.And)
        begin, end = self._begin(node), self._end(node)
        parts, at = [], begin
        for left, right in zip(node.values, node.values[1:], strict=False):
            parts.append(self._data[at : self._end(left)])
            between = self._data[self._end(left) : self._begin(right)].decode()
            parts.append(
                re.sub(r"\b(and|or)\b", "or" if is_and else "and", between, count=1).encode()
            )
            at = self._begin(right)
        parts.append(self._data[at:end])
        self._add(begin, end, b"".join(parts).decode())
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(self._begin(node), self._begin(node) + len("not "), "")
        elif isinstance(node.op, ast.USub):
            self._add(self._begin(node), self._begin(node) + 1, "")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        is_text = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
        if type(node.op) in ARITHMETIC and not is_text:
            self._between(node.left, node.right, ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        begin, end = self._begin(node), self._end(node)
        if isinstance(value, bool):
            self._add(begin, end, str(not value))
        elif isinstance(value, int | float):
            self._add(begin, end, repr(value + 1))
        elif isinstance(value, bytes):
            self._add(begin, end, repr(value + b"!"))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in {"min", "max"}:
            other = "max" if node.func.id == "min" else "min"
            self._add(self._begin(node.func), self._end(node.func), other)
        self.generic_visit(node)

    def _condition(self, node: ast.expr) -> None:
        """Turn a condition round, where nothing in it that is changed by itself does so."""
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                self._condition(value)
        elif not isinstance(node, ast.Compare | ast.Constant) and not (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            segment = self._data[self._begin(node) : self._end(node)].decode()
            self._add(self._begin(node), self._end(node), f"(not ({segment}))")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for each in node.ifs:
            self._condition(each)
        self.generic_visit(node)

    # --- statements -----------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Leave alone what is there for the type checker."""

    def visit_Return(self, node: ast.Return) -> None:
        value = node.value
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            self._add(self._begin(value), self._end(value), "None")
            self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._add(self._begin(node), self._end(node), "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(self._begin(node), self._end(node), "break")

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add(self._begin(node), self._end(node), "pass")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._add(self._begin(node), self._end(node), "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        is_slots = any(
            isinstance(each, ast.Name) and each.id == "__slots__" for each in node.targets
        )
        if not is_slots and not self._choice(node.value):
            self._assignment(node, node.targets[0], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC:
            begin = self._end(node.target)
            segment = self._data[begin : self._begin(node.value)].decode()
            found = OPERATOR.search(segment)
            if found:
                becomes = ARITHMETIC[type(node.op)]
                self._add(begin + found.start(), begin + found.end(), becomes)
        self.generic_visit(node)

    def _choice(self, value: ast.expr) -> bool:
        """Change a number that has a name; return whether it is one."""
        parts = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
        is_number = not self._scopes and all(
            isinstance(each, parts)
            and not (isinstance(each, ast.Constant) and type(each.value) not in (int, float))
            for each in ast.walk(value)
        )
        if is_number:
            segment = self._data[self._begin(value) : self._end(value)].decode()
            becomes = "1" if segment in ("0", "0.0") else "0"
            self._add(self._begin(value), self._end(value), becomes)
        return is_number

    def _assignment(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        """Leave out what sets an attribute that was set before: not in ``__init__``."""
        scope = self._scopes[-1] if self._scopes else None
        is_first = isinstance(scope, ast.FunctionDef) and scope.name == "__init__"
        if isinstance(target, ast.Attribute) and not is_first:
            self._add(self._begin(node), self._end(node), "pass")
            if isinstance(value, ast.Constant) and isinstance(value.value, bool):
                return  # the other value is what it was before
        self.visit(target)
        self.visit(value)


def _assigned(statement: ast.stmt) -> tuple[str, ...]:
    targets: Iterator[ast.expr] = iter(())
    if isinstance(statement, ast.Assign):
        targets = iter(statement.targets)
    elif isinstance(statement, ast.AnnAssign):
        targets = iter((statement.target,))
    return tuple(each.id for each in targets if isinstance(each, ast.Name))
