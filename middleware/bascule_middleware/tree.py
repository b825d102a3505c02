"""A chain as a tree of text: its links, outermost first, with every setting, and the application.

app/chain.toml
├── request_id  (bascule_middleware.links.request_id:RequestId)
│       trusted = ["unix"]
├── dispatch  (bascule_middleware.links.dispatch:Dispatch)
│   │   default = true  # default
│   └── "/forms/class"  app.forms:Greeting
└── app.hello:application
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bascule_middleware import settings
from bascule_middleware.chain import Chain, Link
from bascule_middleware.imports import imported
from bascule_middleware.links.dispatch import Dispatch
from bascule_middleware.settings import REQUIRED


@dataclass(frozen=True)
class Node:
    """A line of the tree, with lines that belong to it and what branches off."""

    title: str
    details: Sequence[str] = ()
    branches: Sequence[Node] = ()


def tree(chain: Chain) -> Node:
    """Return the tree of a chain that `chain.build` accepts."""
    links = [_link(link) for link in chain.links]
    return Node(str(chain.source.path), branches=[*links, Node(chain.application)])


def lines(node: Node) -> Iterator[str]:
    """Give the text of a tree, line by line."""
    yield node.title
    for detail in node.details:
        yield f"{'│' if node.branches else ' '}   {detail}"
    for branch in node.branches:
        is_last = branch is node.branches[-1]
        first, *rest = lines(branch)
        yield f"{'└' if is_last else '├'}── {first}"
        for line in rest:
            yield f"{' ' if is_last else '│'}   {line}"


def _link(link: Link) -> Node:
    constructor = imported(link.target)
    title = link.use if link.use == link.target else f"{link.use}  ({link.target})"
    given = dict(link.settings)
    mounts: Any = given.pop("mounts") if constructor is Dispatch else {}
    return Node(title, _settings(constructor, given), _mounts(mounts))


def _mounts(mounts: Mapping[str, str]) -> list[Node]:
    """Return what a dispatch leads to; a dispatch that is mounted branches again."""
    nodes = []
    for mount, name in mounts.items():
        application = imported(name)
        inner = _mounts(application.mounts) if isinstance(application, Dispatch) else []
        nodes.append(Node(f"{json.dumps(mount, ensure_ascii=False)}  {name}", branches=inner))
    return nodes


def _settings(constructor: Callable[..., object], given: Mapping[str, object]) -> list[str]:
    """Return a line for each setting: first those that the link declares, in its order."""
    declared = settings.declared(constructor)
    found = []
    for name, setting in declared.items():
        if name in given:
            found.append(f"{name} = {_written(given[name])}")
        elif setting.default is None:
            found.append(f"{name} is not set  # default")
        elif setting.default is not REQUIRED:
            found.append(f"{name} = {_written(setting.default)}  # default")
    return found + [f"{name} = {_written(given[name])}" for name in given if name not in declared]


def _written(value: object) -> str:
    """Return a value as TOML writes it, tables inline."""
    if isinstance(value, Mapping):
        items = (f"{json.dumps(key, ensure_ascii=False)} = {_written(value[key])}" for key in value)
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
