"""Kinto: https://docs.kinto-storage.org/en/stable/tutorials/install.html.

With its storage in memory, as `kinto init` offers it, which is for one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.foreign.application import Application
from tests.foreign.site import Site


def make(site: Site) -> None:
    """What `kinto init` makes."""
    (site.root / "requirements.txt").write_text("kinto\n")
    backends = ("--backend", "memory", "--cache-backend", "memory")
    site.shell("kinto", "init", "--ini", "config/kinto.ini", *backends)


def walk(site: Site) -> Sequence[str]:
    """Its own client, in the environment that has it."""
    return site.client_calls(use)


def use(url: str) -> None:
    """An account, its bucket, and records that are made, sorted, changed and removed."""
    import kinto_http  # type: ignore[import-not-found]
    import requests  # type: ignore[import-untyped]

    server = f"{url}/v1"
    body = {"data": {"password": "alice's"}}
    assert requests.put(f"{server}/accounts/alice", json=body, timeout=20).status_code == 201
    print("makes an account")
    client = kinto_http.Client(server_url=server, auth=("alice", "alice's"), bucket="default")
    assert client.server_info()["user"]["id"] == "account:alice"
    assert client.server_info()["url"] == f"{server}/"
    client.create_collection(id="jars")
    for number in range(5):
        client.create_record(collection="jars", data={"number": number, "of": "märmalade"})
    records = client.get_records(collection="jars", _sort="-number")
    assert [each["number"] for each in records] == [4, 3, 2, 1, 0]
    print("makes records, and sorts them")
    paged = client.get_records(collection="jars", _limit=2, pages=5)
    assert len(paged) == 5, paged
    print("follows the pages that the server names")
    first = records[0] | {"number": 40}
    client.update_record(collection="jars", data=first)
    assert client.get_record(collection="jars", id=first["id"])["data"]["number"] == 40
    stale = {**first, "last_modified": 1}
    try:
        client.update_record(collection="jars", data=stale, safe=True, if_match=1)
    except kinto_http.KintoException as error:
        status = error.response.status_code
    else:
        status = 200
    assert status == 412
    client.delete_records(collection="jars")
    assert client.get_records(collection="jars") == []
    print("changes one, is refused with a stale one, deletes all")


KINTO: Final = Application(
    distribution="kinto",
    framework="Pyramid",
    clients=["kinto-http", "requests"],
    settings={"WORKERS": "1"},
    make=make,
    walk=walk,
)
