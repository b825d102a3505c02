"""ops/top's live view of a scene: python -m tests.page.top_of_scene SCENE [still].

With `still` there is one snapshot and never another.
"""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any

from bascule_ops.observe.top import show_live
from rich.console import Console

from tests.page import scenes

if __name__ == "__main__":
    moments = itertools.count(2.0, 2.0)
    scene = getattr(scenes, sys.argv[1])
    is_still = sys.argv[2:] == ["still"]

    def take() -> dict[str, Any]:
        now = next(moments)
        if is_still and now > 2.0:
            threading.Event().wait()
        taken: dict[str, Any] = scene(now)
        return taken

    show_live(take, Console(highlight=False))
