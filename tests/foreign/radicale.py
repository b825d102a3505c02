"""Radicale: https://radicale.org/v3.html, with "WSGI Server", "Authentication" and "Storage"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.foreign.application import Application
from tests.foreign.site import Site

PASSWORD: Final = "alice's"
CONFIG: Final = """\
[auth]
type = htpasswd
htpasswd_filename = users
htpasswd_encryption = plain

[storage]
filesystem_folder = collections
"""


def make(site: Site) -> None:
    """Its configuration, and one user."""
    (site.root / "requirements.txt").write_text("radicale\n")
    (site.root / "config").write_text(CONFIG)
    (site.root / "users").write_text(f"alice:{PASSWORD}\n")


def walk(site: Site) -> Sequence[str]:
    """A CalDAV client, in the environment that has one."""
    return site.client_calls(use, PASSWORD)


def use(url: str, password: str) -> None:
    """A calendar, with an event that is found, changed and removed."""
    import datetime

    import caldav  # type: ignore[import-not-found]

    try:
        caldav.DAVClient(url, username="alice", password="other").principal()
    except caldav.lib.error.AuthorizationError:
        print("is refused with another password")
    else:
        raise AssertionError("a wrong password was taken")
    with caldav.DAVClient(url, username="alice", password=password) as client:
        calendar = client.principal().make_calendar(name="Kitchen & garden")
        print("makes a calendar")
        begin = datetime.datetime(2026, 5, 1, 9, tzinfo=datetime.UTC)
        event = calendar.save_event(
            dtstart=begin, dtend=begin + datetime.timedelta(hours=1), summary="Marmalade, ünïcode"
        )
        day = datetime.timedelta(days=1)
        (found,) = calendar.search(start=begin - day, end=begin + day, event=True)
        assert "Marmalade, ünïcode".replace(",", "\\,") in found.data, found.data
        assert not calendar.search(start=begin + day, end=begin + 2 * day, event=True)
        print("saves an event, finds it by its date")
        event.vobject_instance.vevent.summary.value = "Changed"
        event.save()
        (found,) = client.principal().calendars()[0].events()
        assert "SUMMARY:Changed" in found.data
        event.delete()
        assert not calendar.events()
        calendar.delete()
        assert not client.principal().calendars()
        print("changes and deletes it")


RADICALE: Final = Application(
    distribution="radicale",
    framework="none",
    clients=["caldav", "vobject"],
    init=["--app", "radicale:application", "--data", "collections/"],
    settings={"RADICALE_CONFIG": "config"},
    make=make,
    walk=walk,
)
