"""A flame graph (Brendan Gregg's) of sampled stacks, as one SVG file that needs nothing else.

Each box is a frame; what it called lies on top of it, and its width is its share of the samples. A
box's title, which a browser shows under the pointer and a screen reader reads, has it in full. The
colours follow the viewer's choice of light or dark.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

from bascule_ops.logs.human import counted
from bascule_ops.text.escape import visible

_WIDTH: Final = 1200  # in the units of the drawing, which scales
_ROW: Final = 20
_MARGIN: Final = 10
_TITLE: Final = 40  # height of the heading
_LETTER: Final = 7.3  # width of a letter of the font below
_NARROWEST: Final = 0.5  # boxes below that cannot be seen
_PALETTE: Final = 8
_DEEPEST: Final = 100  # boxes on top of each other: a recursion without an end is seen by then

_STYLE: Final = """
svg { background: #fff; font: 12px monospace; fill: #1a1a1a; }
.heading { font-size: 16px; }
rect { stroke: #fff; stroke-width: 1; rx: 2px; }
g:hover > rect { stroke: #1a1a1a; }
.c0 { fill: #f3c6a5 } .c1 { fill: #f5d08c } .c2 { fill: #f0b8a8 } .c3 { fill: #f7dfa3 }
.c4 { fill: #eec39a } .c5 { fill: #f6c9b9 } .c6 { fill: #e9d29b } .c7 { fill: #f4bd93 }
@media (prefers-color-scheme: dark) {
  svg { background: #16181d; fill: #f0ece4; }
  rect { stroke: #16181d; }
  g:hover > rect { stroke: #f0ece4; }
  .c0 { fill: #7a3f1d } .c1 { fill: #735213 } .c2 { fill: #7c3527 } .c3 { fill: #6b5a1f }
  .c4 { fill: #70471a } .c5 { fill: #80412f } .c6 { fill: #5f5320 } .c7 { fill: #7b4a17 }
}
"""


class Frame:
    """A frame with what it called; `count` samples went through it."""

    def __init__(self) -> None:
        self.count = 0
        self.called: dict[str, Frame] = {}

    def add(self, stack: tuple[str, ...], count: int) -> None:
        """Count samples of a stack, outermost frame first."""
        self.count += count
        if stack:
            self.called.setdefault(stack[0], Frame()).add(stack[1:], count)

    @property
    def depth(self) -> int:
        """How many boxes lie on top of each other, this one included."""
        return 1 + max((frame.depth for frame in self.called.values()), default=0)


def svg(stacks: Mapping[tuple[str, ...], int], heading: str) -> str:
    """The drawing.

    Args:
        stacks: samples by stack; frames are ``file:line function``, outermost first.
        heading: stands above it.
    """
    root = Frame()
    for stack, count in stacks.items():
        root.add(stack[:_DEEPEST], count)
    height = _TITLE + root.depth * _ROW + _MARGIN
    boxes = _boxes("all", root, _MARGIN, height - _MARGIN - _ROW, root.count or 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{_attribute(heading)}">\n'
        f"<style>{_STYLE}</style>\n"
        f'<text class="heading" x="{_MARGIN}" y="24">{escape(visible(heading))}'
        f": {counted(root.count, 'sample')}</text>\n" + "\n".join(boxes) + "\n</svg>\n"
    )


def _boxes(name: str, frame: Frame, x: float, y: int, total: int) -> Iterator[str]:
    width = (_WIDTH - 2 * _MARGIN) * frame.count / total
    if width < _NARROWEST:
        return
    share = 100 * frame.count / total
    colour = zlib.crc32(name.partition(":")[0].encode("utf-8", "replace")) % _PALETTE
    title = f"{visible(name)}: {counted(frame.count, 'sample')}, {share:.1f} %"
    yield (
        f"<g><title>{escape(title)}</title>"
        f'<rect class="c{colour}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW}"/>'
        f'<text x="{x + 4:.1f}" y="{y + 14}">{escape(_label(name, width))}</text></g>'
    )
    for inner in sorted(frame.called):
        yield from _boxes(inner, frame.called[inner], x, y - _ROW, total)
        x += (_WIDTH - 2 * _MARGIN) * frame.called[inner].count / total


def _label(name: str, width: float) -> str:
    """What fits into a box: the function and where it is, or the beginning of that."""
    place, _, function = visible(name).rpartition(" ")
    text = f"{function} ({place.rpartition('/')[2]})" if place else function
    letters = int((width - 8) / _LETTER)
    if len(text) <= letters:
        return text
    return f"{text[: letters - 1]}…" if letters >= 3 else ""


def _attribute(text: str) -> str:
    return escape(visible(text), {'"': "&quot;"})
