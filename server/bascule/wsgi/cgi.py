"""The CGI gateway of PEP 3333: a process that answers one request of a CGI host (RFC 3875).

``run_with_cgi(application)`` is the last line of a script in the host's CGI directory, and
``python -m bascule.wsgi.cgi MODULE:CALLABLE`` the same for an application that is named.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TextIO

from bascule.errors import ClientDisconnected, ProtocolError
from bascule.wsgi import cgi_request
from bascule.wsgi.cgi_response import Output, Response
from bascule.wsgi.load import load_application

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from _typeshed import SupportsRead

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_NO_HOST: Final = """\
bascule: this is a CGI program (RFC 3875): a web server starts it, once for each request. None has
here (GATEWAY_INTERFACE is not set). To try the application out, serve it over HTTP instead:
  python -m bascule app.hello:application
"""
_NO_NAME: Final = """\
bascule: no application given; name one: python -m bascule.wsgi.cgi app.hello:application
"""


def run_with_cgi(application: WSGIApplication) -> None:
    """Answer the request that this process was started for.

    From then on standard output is standard error: what the application, or a process that it
    starts, prints stays out of the response.

    Raises:
        SystemExit: with status 1, the application failed (the client got a 500 without details,
            and the traceback is on standard error); with status 2, no CGI host started this.
    """
    _run(lambda: application)


def _run(load: Callable[[], WSGIApplication]) -> None:
    if "GATEWAY_INTERFACE" not in os.environ:
        sys.stderr.write(_NO_HOST)
        raise SystemExit(EXIT_USAGE)
    # Before anything of the application runs: libraries read it (CVE-2016-5385).
    os.environ.pop("HTTP_PROXY", None)
    with io.FileIO(0, closefd=False) as stdin, _standard_output() as output:
        if not respond(load, os.environb, stdin, output, sys.stderr):
            raise SystemExit(EXIT_FAILED)


def _standard_output() -> io.FileIO:
    """Return the stream of the response, and lead whatever is printed to standard error."""
    descriptor = os.dup(1)
    os.set_blocking(descriptor, True)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return io.FileIO(descriptor, "wb")


def respond(
    load: Callable[[], WSGIApplication],
    variables: Mapping[bytes, bytes],
    stdin: SupportsRead[bytes],
    output: Output,
    errors: TextIO,
) -> bool:
    """Answer one request; return False if the application failed, which is logged, not raised.

    Args:
        load: returns the application.
        variables: the process's environment.
        stdin: the request's body.
        output: the response.
        errors: ``wsgi.errors``, and the log.
    """
    response = Response(os.fsdecode(variables.get(b"REQUEST_METHOD", b"")), output)
    failed = False
    try:
        environ = cgi_request.build(variables, stdin, errors)
        iterable = load()(environ, response.start)
        try:
            response.send(iterable)
        finally:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
    except ProtocolError as error:
        status, message = HTTPStatus(error.status), error.message
    except ClientDisconnected as error:
        status, message = HTTPStatus.BAD_REQUEST, str(error)
    except BaseException:  # SystemExit too: the client must have an answer
        failed = True
        errors.write(f"bascule: {_request_line(variables)}: the application failed\n")
        traceback.print_exc(file=errors)
        status, message = HTTPStatus.INTERNAL_SERVER_ERROR, "the application failed"
    else:
        return True
    with suppress(ClientDisconnected):  # nobody is there to be told
        response.replace(f"{status.value} {status.phrase}", message)
    return not failed


def _request_line(variables: Mapping[bytes, bytes]) -> str:
    """Return method and path for the log, in which no control character can forge a line."""
    names = b"REQUEST_METHOD", b"SCRIPT_NAME", b"PATH_INFO"
    method, script, path = (variables.get(name, b"").decode("latin-1") for name in names)
    return f"{method} {ascii(script + path)[1:-1]}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``python -m bascule.wsgi.cgi MODULE:CALLABLE``.

    Further arguments are the client's words: a host appends the query where it has no ``=``
    (RFC 3875 §4.4). They are ignored.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        sys.stderr.write(_NO_NAME)
        raise SystemExit(EXIT_USAGE)
    _run(lambda: load_application(argv[0]))


if __name__ == "__main__":
    main()
