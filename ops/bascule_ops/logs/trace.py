"""Stacks, as text and as frames; which of their frames are the application's."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Final

# How Python writes a frame in a traceback; what follows, indented by more, is its source.
_FRAME: Final = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+), in (?P<function>.*)')
# Frames through which every call of the application goes: threads, the server, the chain.
_OUTER: Final = re.compile(
    r"/threading\.py|/bascule/(?:(?:http|told|wsgi|engine|watch)/\w+|worker)\.py"
    r"|/bascule_middleware/(?:\w+/)*\w+\.py"
)
# A frame of the server below which are all calls; its directory is the server's.
_SERVER: Final = re.compile(r"(.*/bascule/)(?:engine/crew|worker)\.py:")
# Code that the application calls.
_LIBRARY: Final = re.compile(r"/lib/python\d|/(?:site|dist)-packages/|<frozen ")


def folded(text: str) -> list[str]:
    """The lines of a traceback, the outer frames that say nothing about the application as one."""
    lines = text.splitlines()
    begin = next((n for n, line in enumerate(lines) if _FRAME.match(line)), len(lines))
    end, count = begin, 0
    for number in range(begin, len(lines)):
        if match := _FRAME.match(lines[number]):
            end = number
            if not _OUTER.search(match["file"]):
                break
            count += 1
        elif not lines[number].startswith("    "):
            return lines  # only outer frames: what failed is in them
    else:
        return lines
    if count < 2:
        return lines
    return [*lines[:begin], f"  ({count} frames of the server and the chain)", *lines[end:]]


def frames(text: str) -> list[str]:
    """The frames of a traceback, ``file:line function`` each, innermost last."""
    matches = map(_FRAME.match, text.splitlines())
    return [f"{match['file']}:{match['line']} {match['function']}" for match in matches if match]


def inner(stack: list[str]) -> list[str]:
    """The frames without those through which every call goes; all, where no other is there."""
    outer = list(takewhile(_OUTER.search, stack))
    return stack[len(outer) :] or stack


def location(stack: list[str]) -> str:
    """The innermost frame of the application's own code; empty for an empty stack."""
    server = next((match[1] for frame in stack if (match := _SERVER.match(frame))), None)
    own = [
        frame
        for frame in inner(stack)
        if not _LIBRARY.search(frame) and not (server and frame.startswith(server))
    ]
    return (own or stack or [""])[-1]
