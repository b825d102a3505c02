"""Every runbook shows its fault, mends it, and prints what it says on the way."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ports import free_port
from tests.harness.processes import ROOT
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.nginx.certificates import make_pair
from tests.runbooks.page import blocks, headings, read
from tests.runbooks.rehearsal import SHAPE, rehearse

RUNBOOKS = ROOT / "ops" / "runbooks"
INDEX = RUNBOOKS / "README.md"
PAGES = sorted(set(RUNBOOKS.glob("*.md")) - {INDEX})
COMMANDS = sorted(
    path.name
    for path in (ROOT / "ops").iterdir()
    if path.is_file() and path.read_bytes().startswith(b"#!")
)
# Faults that the default settings let one wait for.
IMPATIENT = {
    "BASCULE_CHAIN": "app/examples/drill.toml",
    "BASCULE_TIMEOUT": "3",
    "BASCULE_THREADS": "4",
    "BASCULE_BACKLOG_REQUESTS": "4",
}


def impatient(venv: Path | None = None, **settings: str) -> Tree:
    """A tree with those faults and settings in its .env, where pages can change them."""
    tree = Tree(venv, **settings)
    (tree.root / ".env").write_text("".join(f"{n}={v}\n" for n, v in IMPATIENT.items()))
    return tree


@pytest.fixture(scope="module")
def running(venv: Path) -> Iterator[Tree]:
    """A running stack of two workers in local mode, to rehearse in."""
    tree = impatient(venv)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


@pytest.fixture
def on_a_small_disk(venv: Path) -> Iterator[Tree]:
    """One whose run directory is a file system of 8 MiB."""
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true", "only root can mount a file system"
        pytest.skip("only root can mount a file system")
    tree = impatient(venv)
    disk = tree.root / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    try:
        tree.run_dir = disk / "run"
        tree.environ["RUN_DIR"] = str(tree.run_dir)
        (tree.root / ".run").symlink_to(tree.run_dir)  # where the pages say that it is
        done = tree.up()
        assert done.returncode == 0, done.stdout + done.stderr
        yield tree
        tree.run("ops/down")
    finally:
        subprocess.run(["umount", disk], check=True)
        tree.remove()


@pytest.fixture
def with_tls(venv: Path) -> Iterator[Tree]:
    """One that has a certificate."""
    tree = impatient(venv, HTTPS_PORT=str(free_port()))
    tree.environ |= make_pair(tree.root / "tls").settings
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


# Pages whose fault the stack of the others cannot have.
STACKS = {"certificate": "with_tls", "disk-full": "on_a_small_disk"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_the_fixed_shape(page: Path) -> None:
    assert headings(page) == SHAPE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_is_in_the_index(page: Path) -> None:
    assert re.search(rf"^\|.*\]\({page.name}\)", INDEX.read_text(), re.MULTILINE)


@pytest.mark.integration
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_in_a_runbook_or_named_as_not_for_one(command: str) -> None:
    shown = [step.command for page in PAGES for block in blocks(page) for step in block]
    _, _, elsewhere = INDEX.read_text().partition("\n## Not in a runbook\n")
    assert any(f"ops/{command}" in each for each in shown) or f"`ops/{command}`" in elsewhere


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_does_what_it_says(page: Path, request: pytest.FixtureRequest) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
    tree: Tree = request.getfixturevalue(STACKS.get(page.stem, "running"))
    rehearse(page, tree)
    # What a page leaves behind is a stack that serves.
    wait_until(
        lambda: tree.run("ops/health").returncode == 0, "every worker to answer", limit=LIMIT
    )
    assert tree.get("/alice") == (200, b"<h1>Hello, alice!</h1>")


def test_a_page_whose_output_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("- item\n\n  ```console\n  $ echo a; echo b\n  a\n  ...\n  $ true\n  ```\n")
    [[first, second]] = blocks(page)
    assert (first.command, second.command) == ("echo a; echo b", "true")
    assert first.pattern.fullmatch("a\nb")
    assert not first.pattern.fullmatch("c\nb")
    assert not second.pattern.fullmatch("something")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Tree]:
    """A tree without a stack, for pages that need none."""
    tree = Tree()
    yield tree
    tree.remove()


def page_of(tmp_path: Path, fault: str, see: str, do: str, verify: str) -> Path:
    """A page with one command under each heading that needs one."""
    page = tmp_path / "page.md"
    page.write_text(
        f"## When\n```console fault\n$ {fault}\n```\n## See\n```console\n$ cat state\n{see}\n```\n"
        f"## Do\n```console\n$ {do}\n```\n## Verify\n```console\n$ cat state\n{verify}\n```\n"
    )
    return page


def test_a_remedy_that_mends_gets_through(directory: Tree, tmp_path: Path) -> None:
    (directory.root / "state").write_text("well\n")
    page = page_of(tmp_path, "echo ill >state", "ill", "echo well >state", "well")
    rehearse(page, directory)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        (["echo ill >state", "...", "echo well >state", "well"], "See shows the same without"),
        (["echo ill >state", "ill", "echo well >state", "..."], "Verify holds before Do"),
        (["echo ill >state", "ill", "true", "well"], "should print\nwell\n\nbut printed\nill"),
        (["true", "ill", "true", "well"], "should print\nill\n\nbut printed\nwell"),
        (["echo ill >state", "ill", "no-such-command", "well"], "ended with status 127"),
    ],
)
def test_a_page_that_proves_nothing_does_not_get_through(
    directory: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[str],
    complaint: str,
) -> None:
    monkeypatch.setattr("tests.runbooks.rehearsal.PATIENCE", 0.0)
    (directory.root / "state").write_text("well\n")
    with pytest.raises(AssertionError) as caught:
        rehearse(page_of(tmp_path, *parts), directory)
    assert complaint in str(caught.value)


def test_a_block_for_one_mode_is_left_out_in_the_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console local\n$ a\n```\n```console docker\n$ b\n```\n```console\n$ c\n```\n"
    )
    commands = {
        mode: [block.steps[0].command for block in read(page) if block.is_for(mode)]
        for mode in ("local", "docker")
    }
    assert commands == {"local": ["a", "c"], "docker": ["b", "c"]}


def test_a_word_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console falut\n$ a\n```\n")
    with pytest.raises(ValueError, match="console falut"):
        read(page)
