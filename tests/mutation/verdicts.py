"""What is known of changes that no test notices: ``verdicts.toml``, which people write."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Mutant

FILE: Final = Path(__file__).with_name("verdicts.toml")
Key = tuple[str, str, str, str]


class VerdictError(Exception):
    """The file is not as it must be."""


@dataclass(frozen=True)
class Verdicts:
    """Changes after which the package does the same, or may do what it does then, and why.

    Attributes:
        reasons: by the change's key.
    """

    reasons: dict[Key, str]

    def unneeded(self, all_of: Collection[Mutant], survivors: Iterable[Mutant]) -> list[Key]:
        """Return the verdicts on changes that a test notices now, or that cannot be made any more.

        Args:
            all_of: every change to the modules that were looked at.
            survivors: those of them that no test noticed.
        """
        modules = {each.module for each in all_of}
        found = {each.key for each in survivors}
        return [key for key in self.reasons if key[0] in modules and key not in found]


def read(text: str) -> Verdicts:
    """Read verdicts: ``[["engine/accept.py"]]`` tables of ``in``, ``line``, ``becomes``, ``why``.

    ``becomes`` may be a list: of changes to one line that have the same reason.

    Raises:
        VerdictError: one lacks something, or is there twice.
    """
    reasons: dict[Key, str] = {}
    for module, tables in tomllib.loads(text).items():
        for table in tables:
            if table.keys() != {"in", "line", "becomes", "why"}:
                raise VerdictError(f"{module}: a verdict has in, line, becomes and why: {table}")
            becomes = table["becomes"]
            for each in [becomes] if isinstance(becomes, str) else becomes:
                key = (module, table["in"], table["line"], each)
                if key in reasons:
                    raise VerdictError(f"{module}: there are two verdicts on {each!r}")
                reasons[key] = table["why"]
    return Verdicts(reasons)
