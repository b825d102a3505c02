"""What clients and applications write (paths, names, messages) is shown and never obeyed."""

from __future__ import annotations

import shlex

import pytest
from playwright.sync_api import expect

from tests.page import scenes
from tests.page.conftest import Visitor

pytestmark = pytest.mark.integration
CLIPBOARD = ["clipboard-read", "clipboard-write"]


def test_markup_in_names_paths_and_messages_is_text(visit: Visitor) -> None:
    one = visit(scenes.hostile)
    page = one.open()
    page.locator("#requests-table .fold").click()
    one.poll(2)
    assert page.locator("img, iframe, object, body script, b").count() == 0
    assert "owned" not in page.title().replace("=`owned`", "")
    expect(page.locator("#requests-table")).to_contain_text("/<img src=x onerror=")
    expect(page.locator("#errors-table")).to_contain_text("</td><script>document.title='owned'")
    expect(page.locator("#slow-table")).to_contain_text("<img src=x")
    expect(page.locator("#failing")).to_contain_text("<img src=x")


def test_the_policy_lets_nothing_but_own_files_in(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))"
    )
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'a{}'}))"
    )
    assert page.title() == "✓ Healthy · Bascule"
    assert len(one.complaints) == 2
    assert all("Content Security Policy" in each for each in one.complaints)
    one.complaints.clear()


def test_a_click_on_an_errors_id_copies_the_command_for_its_story_and_shows_it(
    visit: Visitor,
) -> None:
    one = visit(scenes.trouble, permissions=CLIPBOARD)
    page = one.open()
    page.get_by_role("button", name="77aa12cd34ef5601").click()
    command = "ops/logs --request-id 77aa12cd34ef5601"
    expect(page.locator("#copied")).to_have_text(f"Copied: {command}")
    assert page.evaluate("navigator.clipboard.readText()") == command
    page.clock.run_for(6000)
    expect(page.locator("#copied")).to_be_hidden()


def test_the_command_is_called_as_whoever_started_the_stack_calls_it(visit: Visitor) -> None:
    one = visit(lambda seconds: scenes.trouble(seconds) | {"command_prefix": "basculectl "})
    page = one.open()
    button = page.get_by_role("button", name="77aa12cd34ef5601")
    expect(button).to_have_attribute("title", "Copy: basculectl logs --request-id 77aa12cd34ef5601")


def test_without_a_clipboard_the_command_is_selected_for_copying_by_hand(visit: Visitor) -> None:
    one = visit(scenes.trouble)
    one.page.add_init_script("delete Navigator.prototype.clipboard")
    page = one.open()
    page.get_by_role("button", name="77aa12cd34ef5601").click()
    expect(page.locator("#copied")).to_contain_text("Copy this: ")
    assert page.evaluate("getSelection().toString()") == "ops/logs --request-id 77aa12cd34ef5601"


def test_an_id_that_is_a_shell_command_is_copied_as_one_word(visit: Visitor) -> None:
    one = visit(scenes.hostile, permissions=CLIPBOARD)
    page = one.open()
    page.locator("#requests-table .copy").click()
    expect(page.locator("#copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert shlex.split(command) == ["ops/logs", "--request-id", "id' ; touch /tmp/owned"]
