"""What there is to say of an application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.foreign.site import Site


def nothing(site: Site) -> None:
    """Nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application, and a client's walk through it.

    Attributes:
        distribution: its name on the package index.
        framework: what it is written with.
        make: makes its repository, by what its documentation says.
        walk: uses it as its users do; returns what was done, in words. Raises `AssertionError`.
        packages: what is installed to make it, beside the distribution.
        clients: what is installed for the client, in an environment of its own.
        init: the arguments of `basculectl init`.
        settings: its secrets and its hosts, and where its documentation has it look for its files.
        before: what its documentation has its users do before the first start.
        written: directories of the repository that its own settings have files written to.
        base_images: what its Dockerfile is built on.
    """

    distribution: str
    framework: str
    make: Callable[[Site], None]
    walk: Callable[[Site], Sequence[str]]
    packages: Sequence[str] = ()
    clients: Sequence[str] = ()
    init: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Site], None] = nothing
    written: tuple[str, ...] = ()
    base_images: Sequence[str] = ()
