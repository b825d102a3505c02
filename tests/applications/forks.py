"""Forks, in the ways that applications and their libraries do.

/exit             fork; the child ends at once
/return           fork; the child returns from the call, as the parent does
/sys-exit         fork; the child calls sys.exit(3)
/stream           fork in the middle of a generator; the child goes on with it
/stay             fork; the child lives on
/multi?fork       a multiprocessing.Process, waited for
/multi?spawn      the same, by spawn
/terminate        a multiprocessing.Process that lives on, and is terminated at once
/leave?fork       a multiprocessing.Process that lives on when the worker wants to end
/program          a program that lists its descriptors
/system           the same by os.system, which closes none
/threads          forks by several threads at a time
Anything else answers at once.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time

LIST = "ls -l /proc/self/fd"


def wait_for_ever():
    """Live on, for as long as a test may take."""
    time.sleep(100)


def work(connection):
    """Answer in another process."""
    connection.send(os.getpid())
    connection.close()


def fork_and(what):
    """Fork; the child does something, and the parent answers with its process id."""
    child = os.fork()
    if child == 0:
        what()
        return b"the child's answer\n"
    return b"%d\n" % child


def fork_and_wait(what):
    """Do the same, and wait; answer with the child's exit status."""
    child = os.fork()
    if child == 0:
        what()
        return b"the child's answer\n"
    return b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def multi(way):
    """Have another process answer."""
    context = multiprocessing.get_context(way)
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,))
    process.start()
    answer = ours.recv()
    process.join()
    ours.close()
    theirs.close()
    assert answer == process.pid
    return b"%d\n" % process.exitcode


def terminate(_way):
    """Start a process and terminate it, before and after it has begun."""
    context = multiprocessing.get_context("fork")
    codes = []
    for pause in (0, 0.05) * 5:
        process = context.Process(target=wait_for_ever)
        process.start()
        time.sleep(pause)
        process.terminate()
        process.join()
        codes.append(process.exitcode)
    return repr(codes).encode()


def leave(way):
    """Start a process that the interpreter will wait for at its end."""
    process = multiprocessing.get_context(way).Process(target=wait_for_ever)
    process.start()
    return b"%d\n" % process.pid


def by_system(_way):
    """List the descriptors that a program inherits where nobody closes them."""
    with tempfile.NamedTemporaryFile() as listing:
        os.system(f"{LIST} >{listing.name}")
        return listing.read()


def by_threads(_way):
    """Fork by several threads at the same time."""
    codes = []
    threads = [
        threading.Thread(target=lambda: codes.append(fork_and_wait(lambda: os._exit(0))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return b"".join(codes)


def streamed():
    """Fork between two blocks."""
    yield b"one\n"
    if os.fork() == 0:
        yield b"the child's\n"
    else:
        os.wait()
    yield b"two\n"


WAYS = {
    "/exit": lambda _way: fork_and_wait(lambda: os._exit(0)),
    "/return": lambda _way: fork_and_wait(lambda: None),
    "/sys-exit": lambda _way: fork_and_wait(lambda: sys.exit(3)),
    "/stay": lambda _way: fork_and(wait_for_ever),
    "/multi": multi,
    "/terminate": terminate,
    "/leave": leave,
    "/program": lambda _way: subprocess.run(LIST.split(), capture_output=True, check=True).stdout,
    "/system": by_system,
    "/threads": by_threads,
}


def application(environ, start_response):
    """Fork, and answer."""
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return streamed()
    answer = WAYS[path](environ["QUERY_STRING"]) if path in WAYS else b"well\n"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer]
