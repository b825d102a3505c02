"""``python -m bascule_middleware app/chain.toml``: checks a chain file and shows what it means."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bascule_middleware.chain import ChainError, build_in_project, load
from bascule_middleware.imports import NameRefusedError
from bascule_middleware.schema import chain_schema
from bascule_middleware.tree import lines, tree

EXIT_WRONG = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 2 where the chain is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m bascule_middleware",
        description="Checks a chain file as a start would, and prints the chain as a tree: its "
        "links, outermost first, with every setting and its default.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("chain", metavar="FILE", nargs="?", type=Path, help="such as app/chain.toml")
    what.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of chain files instead"
    )
    arguments = parser.parse_args(argv)
    try:
        if arguments.schema:
            text = json.dumps(chain_schema(), indent=2, ensure_ascii=False)
        else:
            chain = load(arguments.chain)
            build_in_project(chain)
            text = "\n".join(lines(tree(chain)))
    except (ChainError, NameRefusedError) as error:
        print(f"python -m bascule_middleware: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_WRONG
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale: chain files are, too
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
