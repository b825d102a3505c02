"""The Python modules of a repository: read, and never imported."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

MAX_DEPTH: Final = 4  # directories; applications are near the top, and node_modules is deep
MAX_SIZE: Final = 1 << 20  # bytes; nobody writes larger modules by hand
# What no application is looked for in.
PASSED_OVER: Final = frozenset(
    (
        *("build", "dist", "doc", "docs", "env", "example", "examples", "migrations"),
        *("node_modules", "test", "tests", "venv"),
    )
)
_NO_MODULES: Final = frozenset(("conftest", "setup", "noxfile", "manage"))

Statement = ast.expr | ast.FunctionDef | ast.ClassDef | ast.ImportFrom | ast.Import


@dataclass(frozen=True)
class Module:
    """A module of the repository.

    Attributes:
        name: as it is imported; a package's is that of its directory.
        path: of its file, relative to the repository.
        tree: what is in it.
    """

    name: str
    path: Path
    tree: ast.Module

    @cached_property
    def bindings(self) -> Mapping[str, list[Statement]]:
        """What each name of the module is bound to, in the order of the file."""
        found: dict[str, list[Statement]] = {}
        for name, bound in _bindings(self.tree.body):
            found.setdefault(name, []).append(bound)
        return found

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Dotted names by what the module calls them: ``{"Flask": "flask.Flask"}``."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    top = each.name.partition(".")[0]
                    found[each.asname or top] = each.name if each.asname else top
            elif isinstance(node, ast.ImportFrom):
                module = self.imported_from(node)
                for each in node.names:
                    found[each.asname or each.name] = f"{module}.{each.name}"
        return found

    def imported_from(self, node: ast.ImportFrom) -> str:
        """The absolute name of the module that an import statement takes from."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        is_package = self.path.name == "__init__.py"
        kept = parts[: len(parts) - node.level + is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def resolved(self, node: ast.expr) -> str:
        """The dotted name that an expression such as ``flask.Flask`` stands for; else empty."""
        match node:
            case ast.Name(id=name):
                return self.imports.get(name, f"{self.name}.{name}")
            case ast.Attribute(value=value, attr=attribute):
                before = self.resolved(value)
                return f"{before}.{attribute}" if before else ""
        return ""


def _bindings(body: Iterable[ast.stmt | ast.ExceptHandler]) -> Iterator[tuple[str, Statement]]:
    """What an import of the module binds; what stands under ``__main__`` is not bound then."""
    for node in body:
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((each.id, value) for each in targets if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((each.asname or each.name.partition(".")[0], node) for each in names)
            case ast.If(test=test, orelse=other) if "__main__" in ast.unparse(test):
                yield from _bindings(other)
            case ast.With(body=inner) | ast.ExceptHandler(body=inner):
                yield from _bindings(inner)
            case ast.If(body=inner, orelse=other):
                yield from _bindings([*inner, *other])
            case ast.Try(body=inner, orelse=other, handlers=handlers, finalbody=final):
                yield from _bindings([*inner, *handlers, *other, *final])


class Sources:
    """All modules of a repository, by their names.

    Args:
        root: where it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        src = root / "src"
        self.is_src = src.is_dir() and not (src / "__init__.py").exists()
        """Whether its packages are in ``src/``, which then has to be on the path."""
        self.modules: dict[str, Module] = {}
        for top in [src, root] if self.is_src else [root]:
            for path in sorted(_files(top, src)):
                if module := read(root, top, path):
                    self.modules.setdefault(module.name, module)

    def has(self, name: str) -> bool:
        """Whether a package or module of that name is here, whatever is in it."""
        place = Path(*name.split("."))
        tops = [self.root, self.root / "src"] if self.is_src else [self.root]
        return any((t / place).is_dir() or (t / place).with_suffix(".py").is_file() for t in tops)


def read(root: Path, top: Path, path: Path) -> Module | None:
    """A module that is imported from the directory `top`; None where Python cannot read it."""
    parts = path.relative_to(top).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        if not path.is_file() or path.stat().st_size > MAX_SIZE:
            return None
        return Module(name, path.relative_to(root), ast.parse(path.read_bytes()))
    # The last two: it is nested too deeply for the parser.
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _files(top: Path, src: Path) -> Iterator[Path]:
    for place, directories, files in os.walk(top):
        here = Path(place)
        depth = len(here.relative_to(top).parts)
        directories[:] = [
            name
            for name in directories
            if name.isidentifier()
            and name not in PASSED_OVER
            and depth < MAX_DEPTH
            and here / name != src
            and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            stem = name.removesuffix(".py")
            is_module = name.endswith(".py") and stem.isidentifier() and stem not in _NO_MODULES
            if is_module and not stem.startswith("test_") and (stem != "__init__" or depth):
                yield here / name
