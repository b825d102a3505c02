"""What is judged about what a stack has of its machine: disks, memory, the log, certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bascule_ops.observe.findings import Check, Document, bad, count, good, noted

DISK_SHARE: Final = 0.05  # of a file system, that should be free: of its bytes and of its files
DISK_BYTES: Final = 100 * 1024 * 1024  # that should be free, where there is so much at all
SMALL_DISK: Final = 1024 * 1024 * 1024  # bytes; of a smaller one, such as a tmpfs, only the share
MEMORY_SHARE: Final = 0.95  # of the limit, that may be used; pages of files do not count
CERTIFICATE_DAYS: Final = 14.0  # time to renew one by hand
MAKE_ROOM: Final = "ops/runbooks/disk-full.md: remove what is not needed"


def disk(document: Document) -> Iterator[Check]:
    """Whatever is written to has room, and can be written to."""
    findings = [found for each in document["disk"] for found in _disk(each)]
    yield from findings
    if not findings:
        yield good("disk", "there is room on every disk that is written to")


def _disk(each: dict[str, Any]) -> Iterator[Check]:
    if each["read_only"]:
        yield bad(
            "disk",
            f"{each['path']} is mounted read-only, and has to be written to",
            "mount it read-write; the kernel's log (dmesg) says whether its disk has failed",
        )
    if each["free_bytes"] < DISK_SHARE * each["total_bytes"] or (
        each["free_bytes"] < DISK_BYTES and each["total_bytes"] >= SMALL_DISK
    ):
        yield bad(
            "disk",
            f"{each['path']} has {each['free_bytes'] / 2**20:.0f} MiB left "
            f"of {each['total_bytes'] / 2**20:.0f}",
            f"{MAKE_ROOM}; in local mode the log (ops/logs) may be emptied",
        )
    if each["free_files"] < DISK_SHARE * each["total_files"]:
        yield bad(
            "disk",
            f"{each['path']} has room for {each['free_files']:,} more files "
            f"of {each['total_files']:,} (inodes)",
            f"{MAKE_ROOM}; df --inodes shows it, and the directory with the most files is the one",
        )


def spool(document: Document) -> Iterator[Check]:
    """nginx can keep an upload."""
    found = document["spool"]
    if not found:
        return  # that nginx does not answer is another check's to tell
    if found["works"]:
        yield good("spool", "nginx can keep uploads")
    else:
        yield bad(
            "spool",
            "nginx cannot write to its disk: uploads of more than 64 KiB are answered "
            f"{found['status']}",
            f"{MAKE_ROOM}; it is the disk of .run/nginx, with containers nginx's /run/nginx",
        )


def log(document: Document) -> Iterator[Check]:
    """The log has every line."""
    lost = document["lost_log"]
    if not lost:
        yield good("log", "the log has every line")
        return
    words = count(lost["lines"], "line of the log is missing", "lines of the log are missing")
    words = f"at least {words}"  # nginx does not say how many of its own
    if lost["why"]:
        yield bad("log", f"{words} since {lost['since']}: {lost['why']}", MAKE_ROOM)
    else:
        yield noted("log", f"{words} since {lost['since']}; it is written again")


def memory(document: Document) -> Iterator[Check]:
    """The stack's processes have memory left, and none was killed for want of it."""
    found = document["memory"]
    if not found:
        return  # this kernel counts none
    kills = found["oom_kills"] or 0
    killed = count(kills, "process was killed", "processes were killed")
    if (limit := found["limit_bytes"]) and found["used_bytes"] >= MEMORY_SHARE * limit:
        words = f"{found['used_bytes'] / 2**20:.0f} MiB of memory are used, {limit / 2**20:.0f} are"
        yield bad(
            "memory",
            f"{words} the limit; then the kernel kills a process"
            + (f" ({killed} so far)" if kills else ""),
            "ops/runbooks/memory.md: ops/status shows which worker is large; SERVER_MEMORY is the "
            "limit of the container",
        )
    elif kills:
        yield noted("memory", f"{killed} by the kernel for want of memory since the stack began")
    else:
        yield good("memory", "there is memory left")


def certificates(document: Document) -> Iterator[Check]:
    """No certificate is about to expire."""
    if error := document["errors"]["certificates"]:
        yield bad("certificates", error, "correct NGINX_TLS_CERTIFICATE or the file's mode")
        return
    ending = [each for each in document["certificates"] if each["days_left"] <= CERTIFICATE_DAYS]
    for each in ending:
        yield bad(
            "certificates",
            f"the certificate {each['subject'] or 'without a name'} in {each['path']} "
            f"{_when(each['days_left'])}",
            "renew it, then have nginx read it",
        )
    if not ending and document["certificates"]:
        yield good("certificates", "every certificate is good for more than 14 days")


def served(document: Document) -> Iterator[Check]:
    """Clients are shown the certificate that is in the file."""
    if error := document["errors"]["served certificate"]:
        yield bad(
            "served-certificate",
            f"nginx shows no certificate to a client: {error}",
            "ops/certificate says more; ops/logs shows nginx's last words",
        )
    elif found := document["served_certificate"]:
        if found["is_in_file"]:
            yield good("served-certificate", "nginx serves the certificate that is in the file")
        else:
            yield bad(
                "served-certificate",
                "nginx serves another certificate than the one in the file; "
                f"the one that it serves {_when(found['days_left'])}",
                "ops/certificate reload has nginx read the file",
            )


def _when(days_left: float) -> str:
    return f"expires in {days_left:.1f} days" if days_left > 0 else "has expired"
