"""The one table of differences between our server and gunicorn that the tests allow.

Each is matched by the entry's name and the aspect, with the value of both sides; one that no
longer occurs fails a test. `docs/baseline.md` lists the same table for readers:
``python -m tests.integration.differences`` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass

EVERY = ("every entry",)
ABSENT = "absent"
ANY = "any"


@dataclass(frozen=True)
class Difference:
    """An aspect in which the two servers differ on purpose."""

    entries: tuple[str, ...]
    aspect: str
    ours: str
    baseline: str
    reason: str


SERVER_400 = "400 by the server, which closes"
SERVER_500 = "500 by the server, which keeps the connection"

# fmt: off
DIFFERENCES: tuple[Difference, ...] = (
    # --- everywhere
    Difference(
        EVERY, "persistence", "not mentioned", "keep-alive",
        "HTTP/1.1 connections persist unless somebody says close (RFC 9112 §9.3): the field says "
        "nothing",
    ),
    Difference(
        EVERY, "error answer", ANY, ANY,
        "the text of a server's own error answers is its own: ours is one line of plain text, "
        "gunicorn's a page of HTML; that it is whole and well framed is checked",
    ),
    Difference(
        EVERY, "status", SERVER_500, "500 by the server, which closes",
        "an application's error before its first byte leaves the connection in order: the 500 is "
        "framed, and nothing of the request is unread",
    ),
    Difference(
        EVERY, "environ SERVER_SOFTWARE", ANY, ANY, "each server's own name and version",
    ),
    Difference(
        EVERY, "environ wsgi.multiprocess", "bool True", "bool False",
        "PEP 3333 asks whether another process may call an equivalent application; a supervisor "
        "may run more of ours, while gunicorn counts its own workers, here one",
    ),
    Difference(
        EVERY, "environ gunicorn.socket", ABSENT, "object socket",
        "gunicorn's own: an application that writes to the socket escapes the server",
    ),
    Difference(
        EVERY, "environ wsgi.early_hints", ABSENT, "object callable",
        "gunicorn's own; not of PEP 3333",
    ),
    # --- requests that we refuse
    Difference(
        ("no Host in HTTP/1.1", "no field at all in HTTP/1.1"),
        "status", SERVER_400, "200 OK",
        "a server MUST answer 400 to an HTTP/1.1 request without Host (RFC 9112 §3.2)",
    ),
    Difference(
        ("Host: example.org:port", "Host: exa mple.org", "Host: example.org, other.test",
         "Host: user@example.org", "Host: example.org/path", "Host: [::1", "Host: café.test"),
        "status", SERVER_400, "200 OK",
        "a server MUST answer 400 to a Host whose value is invalid (RFC 9112 §3.2)",
    ),
    Difference(
        ("an empty Host",),
        "status", SERVER_400, "200 OK",
        "an http URI with an empty host is to be rejected (RFC 9110 §4.2.1)",
    ),
    Difference(
        ("the target /a#b", "the target /?a=b#c"),
        "status", SERVER_400, "200 OK",
        "a request-target has no fragment (RFC 9112 §3.2, RFC 9110 §7.1)",
    ),
    Difference(
        ("the target ftp://example.org/alice", "the target http://user@example.org/alice",
         "the target http://", "the target http:///alice"),
        "status", SERVER_400, "200 OK",
        "we serve http and https alone; a host must be there, and userinfo is to be treated as an "
        "error (RFC 9110 §4.2.1, §4.2.4)",
    ),
    Difference(
        ("the target http://other.test/alice", "the target http://example.org:8080/alice"),
        "status", SERVER_400, "200 OK",
        "a client MUST send the target's authority as Host (RFC 9112 §3.2): a request with two "
        "opinions about its host is refused, not guessed at",
    ),
    Difference(
        ("CONNECT with an authority",),
        "status", "501 by the server, which closes", "200 OK",
        "we are no proxy; a 200 would tell the client that a tunnel stands (RFC 9110 §9.3.6)",
    ),
    Difference(
        ("an HTTP/1.0 POST without Content-Length", "an HTTP/1.0 PUT without Content-Length"),
        "status", "411 by the server, which closes", "200 OK",
        "where an HTTP/1.0 body ends cannot be known without a length (RFC 1945 §7.2.2), and "
        "taking it as empty would lose it",
    ),
    Difference(
        ("a Content-Length over the limit",),
        "status", "413 by the server, which closes", "200 OK",
        "we bound the body (--limit-request-body); gunicorn does not",
    ),
    Difference(
        ("Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity, chunked"),
        "status", "501 by the server, which closes", "200 OK",
        "we do not decode that coding (RFC 9112 §6.1), nor hand the application a body that it "
        "has to decode; identity is no coding since RFC 7230",
    ),
    Difference(
        ("Transfer-Encoding: xchunked", 'Transfer-Encoding: "chunked"',
         "Transfer-Encoding: chunked;a=b", "an empty Transfer-Encoding"),
        "status", SERVER_400, "501 by the server, which closes",
        "where chunked is not the last coding, a server MUST answer 400 (RFC 9112 §6.3); 501 is "
        "for an unknown coding below it",
    ),
    Difference(
        ("version HTTP/2.0", "version HTTP/0.9", "the HTTP/2 preface"),
        "status", "505 by the server, which closes", SERVER_400,
        "well-formed, but another major version (RFC 9110 §15.6.6)",
    ),
    Difference(
        ("chunks: a size of 17 digits",),
        "status", SERVER_400, "200 OK",
        "no honest sender needs more than 16 digits, and others overflow on them (RFC 9112 §7.1)",
    ),
    Difference(
        ("chunks: a size beyond 64 bits", "chunks: a bare LF after the last chunk"),
        "responses", "1", "0",
        "we answer 400 at the malformed byte; gunicorn waits for more until the client leaves",
    ),
    Difference(
        ("chunks: a size beyond 64 bits", "chunks: a bare LF after the last chunk"),
        "status", SERVER_400, ABSENT, "see above",
    ),
    Difference(
        ("half a body, then the end", "no end of the trailer, then the end"),
        "responses", "0", "1",
        "an incomplete request is not handled (RFC 9112 §8); gunicorn gives the application half "
        "a body",
    ),
    Difference(
        ("half a body, then the end",), "status", ABSENT, "200 OK", "see above",
    ),
    Difference(
        ("no end of the trailer, then the end",), "status", ABSENT, SERVER_400, "see above",
    ),
    # --- requests that we accept
    Difference(
        ("a lower-case method", "a mixed-case method", "a method of one letter",
         "a method of two letters", "a method with a number sign", "a method of 25 letters"),
        "status", "200 OK", SERVER_400,
        "any token is a method (RFC 9110 §9.1); the application answers 405 or 501 as it likes",
    ),
    Difference(
        ("the target /å°\x8f",),
        "status", "200 OK", SERVER_400,
        "curl and others send a typed /小明 as raw UTF-8; PEP 3333's PATH_INFO holds any byte",
    ),
    Difference(
        ("chunks: a trailer field that would change the framing",),
        "status", "200 OK", SERVER_400,
        "we discard every trailer field, so that none can change anything (RFC 9110 §6.5.1)",
    ),
    Difference(
        ("an empty Expect",),
        "status", "200 OK", "417 by the server, which closes",
        "an empty list holds no expectation (RFC 9110 §5.6.1, §10.1.1)",
    ),
    Difference(
        ("version HTTP/1.2",), "malformed", ABSENT, "no status line",
        "a higher minor version is answered as HTTP/1.1 (RFC 9110 §2.5); gunicorn answers as "
        "HTTP/1.2, which does not exist",
    ),
    Difference(
        ("version HTTP/1.2",), "responses", "1", "0", "see above",
    ),
    Difference(
        ("version HTTP/1.2",), "status", "200 OK", ABSENT, "see above",
    ),
    # --- what the application sees
    Difference(
        ("the target http://example.org", "the target http://example.org?a=b"),
        "environ PATH_INFO", "str /", "str",
        "an empty path is the path / (RFC 9110 §4.2.3)",
    ),
    Difference(
        ("the target HTTP://EXAMPLE.ORG/alice",),
        "environ HTTP_HOST", "str EXAMPLE.ORG", "str example.org",
        "with a target in absolute form, Host is taken from the target (RFC 9112 §3.2.2)",
    ),
    Difference(
        ("OPTIONS of the server as a whole",),
        "environ PATH_INFO", "str", "str *",
        "PEP 3333 wants PATH_INFO empty or beginning with a slash; RAW_URI says *",
    ),
    Difference(
        ("fields: two Cookie",),
        "environ HTTP_COOKIE", "str a=1; b=2; c=3", "str a=1,b=2; c=3",
        "cookies are joined by a semicolon (RFC 6265 §5.4, RFC 9113 §8.2.3): a comma would become "
        "part of a value",
    ),
    Difference(
        ("a chunked body and environ",),
        "environ CONTENT_LENGTH", "str 7", ABSENT,
        "the body is complete before the call, so its length is known: applications that know "
        "nothing of chunks can read it",
    ),
    Difference(
        ("a chunked body and environ",),
        "environ HTTP_TRANSFER_ENCODING", ABSENT, "str chunked",
        "the coding is undone (RFC 9112 §7.1.3), and nobody is to undo it twice",
    ),
    Difference(
        ("a body read by /readlines-hint",),
        "body", "first line\n,;,second line\n,;,third line,;",
        "first line\n,second line\n,third line,;",
        "the hint of readlines() may be ignored (PEP 3333), as gunicorn does; ours heeds it",
    ),
    Difference(
        ("a body read by /readlines-hint",),
        "framing", "Content-Length: 41", "Content-Length: 37", "see above",
    ),
    # --- connections
    Difference(
        ("Connection with several options", "two Connection fields",
         "Connection: close and keep-alive"),
        "persistence", "close", "keep-alive",
        "Connection is a list: close anywhere in it closes (RFC 9110 §7.6.1, RFC 9112 §9.6)",
    ),
    Difference(
        ("HTTP/1.0 with keep-alive and a list",),
        "persistence", "keep-alive", "close",
        "the computed Content-Length lets the connection persist (RFC 9112 §9.3)",
    ),
    Difference(
        ("no Host in HTTP/1.0", "an HTTP/1.0 POST", "Expect: 100-continue in HTTP/1.0",
         "HTTP/1.0 closes the connection", "HTTP/1.0 with keep-alive keeps it",
         "HTTP/1.0 with Keep-Alive in another case", "HTTP/1.0 with keep-alive and a stream",
         "HTTP/1.0 of a stream ends with the connection", "HTTP/1.0 with keep-alive and a list",
         "HTTP/1.0 with keep-alive and HEAD", "stream in HTTP/1.0: /", "blocks in HTTP/1.0: /one",
         "blocks in HTTP/1.0: /several", "write_callable in HTTP/1.0: /write",
         "file_response in HTTP/1.0: /file", "file_response in HTTP/1.0: /memory",
         "no_body in HTTP/1.0: /204", "no_body in HTTP/1.0: /304",
         "raises in HTTP/1.0: /midstream", "big in HTTP/1.0: /generator"),
        "version", "HTTP/1.1", "HTTP/1.0",
        "a server sends its own highest version of the same major version (RFC 9110 §6.2)",
    ),
    Difference(
        ("fields: Expect: 100-continue without a body",
         "Expect: 100-continue with the body right behind",
         "Expect: 100-Continue in another case", "Expect: 100-continue with a chunked body"),
        "interim responses", "none", "100",
        "100 may be left out where the body, or some of it, is there already or where there is "
        "none (RFC 9110 §10.1.1)",
    ),
    # --- framing of responses
    Difference(
        ("blocks: /one", "blocks: /same-fields"),
        "framing", "Content-Length: 5", "chunked",
        "a list or tuple is complete: its length is computed, as PEP 3333 allows",
    ),
    Difference(
        ("blocks: /several", "blocks: /tuple"),
        "framing", "Content-Length: 8", "chunked", "see above",
    ),
    Difference(
        ("big: /list",), "framing", "Content-Length: 8388608", "chunked", "see above",
    ),
    Difference(
        ("exc_info: /before",), "framing", "Content-Length: 9", "chunked", "see above",
    ),
    Difference(
        ("HTTP/1.0 with keep-alive and a list", "blocks in HTTP/1.0: /one"),
        "framing", "Content-Length: 5", "until close", "see above",
    ),
    Difference(
        ("blocks in HTTP/1.0: /several",),
        "framing", "Content-Length: 8", "until close", "see above",
    ),
    Difference(
        ("HEAD of a list without length has no body",),
        "framing", "no body, Content-Length: 8", "no body, Content-Length: None",
        "the fields are those of GET (RFC 9110 §9.3.2), so with the computed length",
    ),
    Difference(
        ("empty: /list", "empty: /generator", "empty: /empty-strings", "no_body: /205",
         "file_response: /empty-file", "empty twice in one write: /generator"),
        "framing", "Content-Length: 0", "chunked",
        "a response that ended before its first byte has the length 0",
    ),
    Difference(
        ("file_response: /empty-file",), "malformed", ABSENT, ANY,
        "gunicorn ends the chunked body of an empty file twice",
    ),
    Difference(
        ("file_response: /file", "file_response: /file-block-size"),
        "framing", "Content-Length: 262144", "chunked",
        "a regular file's length is known",
    ),
    Difference(
        ("file_response: /file-offset",),
        "framing", "Content-Length: 261144", "chunked", "see above",
    ),
    Difference(
        ("file_response in HTTP/1.0: /file",),
        "framing", "Content-Length: 262144", "until close", "see above",
    ),
    # --- applications that break PEP 3333
    Difference(
        ("hop_by_hop: /connection", "hop_by_hop: /keep-alive", "hop_by_hop: /transfer-encoding",
         "hop_by_hop: /upgrade", "hop_by_hop: /te", "hop_by_hop: /trailers",
         "hop_by_hop: /proxy-authenticate"),
        "status", SERVER_500, "200 OK",
        "hop-by-hop fields are the server's: setting one is an error (PEP 3333); gunicorn drops "
        "them without a word",
    ),
    Difference(
        ("wrong_types: /fields-tuple", "wrong_types: /body-str", "wrong_types: /body-plain-str",
         "wrong_types: /body-str-later", "wrong_types: /body-bytes",
         "wrong_types: /body-bytearray", "wrong_types: /write-str"),
        "status", SERVER_500, "200 OK",
        "fields are a list and blocks are bytes (PEP 3333); we look before the first byte leaves, "
        "so that the client sees a 500, where gunicorn breaks off or lets it pass",
    ),
    Difference(
        ("wrong_types: /body-str", "wrong_types: /body-plain-str", "wrong_types: /body-str-later",
         "wrong_types: /body-bytes", "wrong_types: /body-bytearray", "wrong_types: /write-str"),
        "connection", "as announced", "broken off", "see above",
    ),
    Difference(
        ("wrong_length: /short-list", "wrong_length: /long-list", "file_response: /file-short",
         "wrong_length twice in one write: /long-list"),
        "status", SERVER_500, "200 OK",
        "a Content-Length that a complete list or a file cannot keep is found before anything is "
        "sent (PEP 3333, Handling the Content-Length Header)",
    ),
    Difference(
        ("wrong_length: /negative",), "malformed", ABSENT, "Content-Length: -1",
        "a Content-Length that is no number, or two of them, is the application's error; gunicorn "
        "sends them",
    ),
    Difference(
        ("wrong_length: /twice",), "malformed",
        ABSENT, "Content-Length stands 2 times: ['10', '11']", "see above",
    ),
    Difference(
        ("wrong_length: /twice-alike",), "malformed",
        ABSENT, "Content-Length stands 2 times: ['10', '10']", "see above",
    ),
    Difference(
        ("wrong_length: /negative", "wrong_length: /twice", "wrong_length: /twice-alike"),
        "responses", "1", "0", "see above",
    ),
    Difference(
        ("wrong_length: /negative", "wrong_length: /twice", "wrong_length: /twice-alike"),
        "status", SERVER_500, ABSENT, "see above",
    ),
    Difference(
        ("no_body: /100", "no_body: /101", "no_body: /199"),
        "responses", "1", "0",
        "an interim status cannot end a response: 500; gunicorn leaves the client waiting",
    ),
    Difference(
        ("no_body: /100", "no_body: /101", "no_body: /199"),
        "status", SERVER_500, ABSENT, "see above",
    ),
    Difference(
        ("no_body: /100",), "interim responses", "none", "100", "see above",
    ),
    Difference(
        ("no_body: /101",), "interim responses", "none", "101", "see above",
    ),
    Difference(
        ("no_body: /199",), "interim responses", "none", "199", "see above",
    ),
    Difference(
        ("injected: /status-no-reason",), "malformed", ABSENT, "no status line",
        "a status is three digits, a space and perhaps a reason (PEP 3333): without the space it "
        "is the application's error; gunicorn sends the malformed line (RFC 9112 §4)",
    ),
    Difference(
        ("injected: /status-no-reason",), "responses", "1", "0", "see above",
    ),
    Difference(
        ("injected: /status-no-reason",), "status", SERVER_500, ABSENT, "see above",
    ),
    Difference(
        ("exc_info: /before", "exc_info: /in-stream"),
        "order of fields", "x-application content-type x-attempt",
        "x-application content-type x-attempt x-application content-type x-attempt",
        "the fields of the second start_response replace those of the first (PEP 3333); gunicorn "
        "sends both",
    ),
    Difference(
        ("exc_info: /before", "exc_info: /in-stream"),
        "field x-attempt", "second", "first | second", "see above",
    ),
    Difference(
        ("exc_info: /before", "exc_info: /in-stream"),
        "field content-type", "text/plain", "text/plain | text/plain", "see above",
    ),
    Difference(
        ("exc_info: /before", "exc_info: /in-stream"),
        "field x-application", "exc_info", "exc_info | exc_info", "see above",
    ),
    Difference(
        ("raises: /close", "raises twice in one write: /close"),
        "connection", "as announced", "ends all the same",
        "the response is whole when close() raises: the error is logged, the connection stays",
    ),
    Difference(
        ("raises twice in one write: /close", "raises twice in one write: /call",
         "mutates_environ twice in one write: /"),
        "responses", "2", "1",
        "the second request is answered, since the first did not spoil the connection",
    ),
    Difference(
        ("raises twice in one write: /close", "mutates_environ twice in one write: /"),
        "status", "200 OK", ABSENT, "see above",
    ),
    Difference(
        ("raises twice in one write: /call",), "status", SERVER_500, ABSENT, "see above",
    ),
    Difference(
        ("mutates_environ: /", "mutates_environ twice in one write: /"),
        "status", "200 OK", "500 by the server, which closes",
        "an application may change its environ in any way (PEP 3333); gunicorn looks "
        "wsgi.file_wrapper up in it afterwards",
    ),
)
# fmt: on


def rows() -> list[str]:
    """Return the table's lines as they stand in the page."""
    heading = ["| entries | aspect | ours | gunicorn | reason |"]
    rule = ["| --- | --- | --- | --- | --- |"]
    return heading + rule + [row(difference) for difference in DIFFERENCES]


def row(difference: Difference) -> str:
    """Return one line of the table."""
    cells = [
        "<br>".join(difference.entries),
        difference.aspect,
        difference.ours,
        difference.baseline,
        difference.reason,
    ]
    shown = [cell.replace("|", "\\|").replace("\n", "\\n") for cell in cells]
    return "| " + " | ".join(shown) + " |"


if __name__ == "__main__":
    print("\n".join(rows()))
