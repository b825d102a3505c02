"""The corpus: requests as bytes, each sent alike to our server and to gunicorn.

An entry's name is a sentence that says what is special about its bytes. The test sends the bytes
whole, reads one response for each of `methods`, then finds out whether the connection is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = b"Host: example.org"


@dataclass(frozen=True)
class Entry:
    """One exchange.

    `methods` are those of the requests in `sent`, in order: a response to HEAD has no body. An
    exchange may end before all of them are answered. With `half_close` the client says by FIN
    that it sends nothing more, which ends a wait for the rest of a message.
    """

    name: str
    sent: bytes
    application: str = "hello"
    methods: tuple[str, ...] = ("GET",)
    half_close: bool = False


def lines(*parts: bytes, body: bytes = b"") -> bytes:
    """Return a message: its lines, each ended by CRLF, an empty line, the body."""
    return b"".join(part + b"\r\n" for part in parts) + b"\r\n" + body


def chunks(*blocks: bytes) -> bytes:
    """Return blocks in plain chunks with the last chunk (RFC 9112 §7.1)."""
    return b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"


def post(target: bytes, *fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a POST with a Host field and `fields`."""
    return lines(b"POST " + target + b" " + version, HOST, *fields, body=body)


CHUNKED = b"Transfer-Encoding: chunked"

# Where the client has to end the exchange, since one of the two servers waits for more bytes or
# lets its client wait for them.
WAITS = {
    "a size beyond 64 bits",
    "a bare LF after the last chunk",
    "a Content-Length over the limit",
    "file_response: /file-short",
    "no_body: /100",
    "no_body: /101",
    "no_body: /199",
    "wrong_length: /short-list",
    "wrong_length: /short-generator",
    "wrong_length: /short-write",
}

METHODS = [
    Entry(
        f"{method} is passed to the application",
        lines(method.encode() + b" /path HTTP/1.1", HOST, b"Content-Length: 0"),
        "environ_dump",
        (method,),
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
                   "M-SEARCH")
] + [
    Entry("HEAD has the fields of GET and no body", lines(b"HEAD / HTTP/1.1", HOST),
          methods=("HEAD",)),
    Entry("HEAD of a stream has no body", lines(b"HEAD / HTTP/1.1", HOST), "stream", ("HEAD",)),
    Entry("HEAD of a list without length has no body", lines(b"HEAD /several HTTP/1.1", HOST),
          "blocks", ("HEAD",)),
    Entry("HEAD of a file has no body", lines(b"HEAD /file-length HTTP/1.1", HOST),
          "file_response", ("HEAD",)),
    Entry("HEAD of written blocks has no body", lines(b"HEAD /write HTTP/1.1", HOST),
          "write_callable", ("HEAD",)),
    Entry("a lower-case method", lines(b"get / HTTP/1.1", HOST)),
    Entry("a mixed-case method", lines(b"Get / HTTP/1.1", HOST)),
    Entry("a method of one letter", lines(b"X / HTTP/1.1", HOST)),
    Entry("a method of two letters", lines(b"GO / HTTP/1.1", HOST)),
    Entry("a method with a digit", lines(b"GET2 / HTTP/1.1", HOST)),
    Entry("a method with every other token character",
          lines(b"A!$%&'*+-.^_`|~ / HTTP/1.1", HOST)),
    Entry("a method with a number sign", lines(b"GE#T / HTTP/1.1", HOST)),
    Entry("a method of 25 letters", lines(b"A" * 25 + b" / HTTP/1.1", HOST)),
    Entry("CONNECT with an authority", lines(b"CONNECT example.org:443 HTTP/1.1", HOST)),
]  # fmt: skip

TARGETS = [
    Entry(f"the target {target.decode('latin-1')}", lines(b"GET " + target + b" HTTP/1.1", HOST),
          "environ_dump")
    for target in (
        b"/", b"/alice", b"/alice/", b"//", b"//alice//bob", b"/.", b"/..", b"/a/./b", b"/a/../b",
        b"/%2e%2e/a", b"/a%2Fb", b"/a%2fb", b"/a%20b", b"/a+b", b"/%E5%B0%8F%E6%98%8E",
        b"/caf%E9", b"/caf%C3%A9", b"/%00", b"/%0d%0aX-Forged:%20yes", b"/%", b"/%4", b"/%zz",
        b"/%25", b"/%2525", b"/a;b=c", b"/a:b@c", b"/~user", b"/a,b", b"/a'b", b"/(a)", b"/a*b",
        b"/a!$&b", b"/?", b"/??", b"/?a=b", b"/?a=b&c=d", b"/?a=%20+", b"/?a=%E5%B0%8F", b"/?a=/b",
        b"/?a?b", b"/?a=b#c", b"/a#b", b"/a\"b", b"/a<b>", b"/a\\b", b"/a^b", b"/a`b", b"/a{b}",
        b"/a|b", b"/[a]", b"/?[a]=<b>", b"/index.html?x=%2F%3F", b"http://example.org/alice",
        b"http://example.org/alice?a=b", b"http://example.org", b"http://example.org?a=b",
        b"HTTP://EXAMPLE.ORG/alice", b"http://other.test/alice", b"http://example.org:8080/alice",
        b"https://example.org/alice", b"ftp://example.org/alice", b"http://user@example.org/alice",
        b"http://", b"http:///alice", b"http:/alice", b"//example.org/alice", b"alice",
        b"example.org:80", b"?a=b", b"#a", b"*", b"/\xe5\xb0\x8f", b"/\x7f", b"/\x01", b"/a\tb",
    )
] + [
    Entry("OPTIONS of the server as a whole", lines(b"OPTIONS * HTTP/1.1", HOST), "environ_dump",
          ("OPTIONS",)),
    Entry("a target of 4000 bytes", lines(b"GET /" + b"a" * 3999 + b" HTTP/1.1", HOST),
          "environ_dump"),
    Entry("a query of 4000 bytes", lines(b"GET /?" + b"a" * 3998 + b" HTTP/1.1", HOST),
          "environ_dump"),
    Entry("a request line of the limit's length",
          lines(b"GET /" + b"a" * (4094 - 14) + b" HTTP/1.1", HOST)),
    Entry("a request line one byte over the limit",
          lines(b"GET /" + b"a" * (4095 - 14) + b" HTTP/1.1", HOST)),
    Entry("a request line of 100 kB", lines(b"GET /" + b"a" * 100_000 + b" HTTP/1.1", HOST)),
]  # fmt: skip

FIELDS = [
    Entry(f"fields: {name}", lines(b"GET / HTTP/1.1", HOST, *fields), "environ_dump")
    for name, *fields in (
        ("an ordinary browser's", b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)", b"Accept: */*",
         b"Accept-Language: de,en;q=0.5", b"Accept-Encoding: gzip, deflate, br",
         b"Referer: http://example.org/", b"Cookie: a=1; b=2", b"DNT: 1",
         b'If-None-Match: "abc"', b"Cache-Control: max-age=0"),
        ("an empty value", b"X-Empty:"),
        ("a value of spaces only", b"X-Empty:   \t  "),
        ("no space after the colon", b"X-Tight:value"),
        ("spaces and tabs around the value", b"X-Wide: \t  in the  middle \t "),
        ("a tab within the value", b"X-Tab: a\tb"),
        ("names in several cases", b"x-lower: 1", b"X-UPPER: 2", b"x-MiXeD: 3"),
        ("the same name twice", b"X-Twice: first", b"X-Twice: second"),
        ("the same name in two cases, another between", b"X-Twice: first", b"X-Other: a",
         b"x-twice: second"),
        ("the same name twice, one value empty", b"X-Twice: ", b"X-Twice: second"),
        ("a name with every token character", b"X-!#$%&'*+.^`|~1: value"),
        ("a name with an underscore", b"X_Forwarded_For: 10.0.0.1", b"X-Other: a"),
        ("an underscored and a hyphenated name", b"X-Name: right", b"X_Name: wrong"),
        ("an underscored Content_Length", b"Content_Length: 5"),
        ("a colon in the value", b"X-Colon: a:b: c"),
        ("a value of quotes and backslashes", b'X-Quoted: "a\\"b"'),
        ("a value of latin-1 bytes", b"X-Latin: caf\xe9 \xff"),
        ("a value of UTF-8 bytes", b"X-UTF-8: \xe5\xb0\x8f\xe6\x98\x8e"),
        ("Content-Type and an empty body", b"Content-Type: text/plain; charset=utf-8"),
        ("two Content-Type", b"Content-Type: text/plain", b"Content-Type: text/html"),
        ("two Cookie", b"Cookie: a=1", b"Cookie: b=2; c=3"),
        ("Content-Length: 0 on a GET", b"Content-Length: 0"),
        ("an Authorization", b"Authorization: Basic YTpi"),
        ("forwarded fields", b"X-Forwarded-For: 10.0.0.1, 10.0.0.2", b"X-Forwarded-Host: a.test",
         b"X-Forwarded-Port: 8443", b"Forwarded: for=10.0.0.1;proto=https"),
        ("X-Forwarded-Proto: https", b"X-Forwarded-Proto: https"),
        ("Proxy, which must not become a variable that programs obey", b"Proxy: http://evil.test/"),
        ("Upgrade to something unknown", b"Upgrade: h2c", b"Connection: Upgrade"),
        ("TE and Connection", b"TE: trailers", b"Connection: TE"),
        ("Expect: 100-continue without a body", b"Expect: 100-continue"),
        ("Script-Name", b"Script-Name: /mounted"),
        ("a value of 8000 bytes", b"X-Long: " + b"v" * 8000),
        ("a hundred at most", *(b"X-%d: %d" % (n, n) for n in range(99))),
        ("a hundred and one", *(b"X-%d: %d" % (n, n) for n in range(100))),
        ("a thousand", *(b"X-%d: %d" % (n, n) for n in range(999))),
        ("one of the limit's size", b"X-Long: " + b"v" * (8190 - 10)),
        ("one a byte over the limit", b"X-Long: " + b"v" * (8191 - 10)),
        ("one of 100 kB", b"X-Long: " + b"v" * 100_000),
    )
]  # fmt: skip

HOSTS = [
    Entry("no Host in HTTP/1.1", lines(b"GET / HTTP/1.1", b"X-A: b")),
    Entry("no field at all in HTTP/1.1", lines(b"GET / HTTP/1.1")),
    Entry("no Host in HTTP/1.0", lines(b"GET / HTTP/1.0"), "environ_dump"),
    Entry("an empty Host", lines(b"GET / HTTP/1.1", b"Host:"), "environ_dump"),
    Entry("two Host fields that differ", lines(b"GET / HTTP/1.1", HOST, b"Host: other.test")),
    Entry("two Host fields that agree", lines(b"GET / HTTP/1.1", HOST, HOST)),
    *(
        Entry(f"Host: {value.decode('latin-1')}",
              lines(b"GET / HTTP/1.1", b"Host: " + value), "environ_dump")
        for value in (b"example.org:8080", b"127.0.0.1", b"[::1]", b"[::1]:8080", b"EXAMPLE.org",
                      b"a_b.test", b"example.org:", b"example.org:port", b"exa mple.org",
                      b"example.org, other.test", b"user@example.org", b"example.org/path",
                      b"ex%41mple.org", b"[::1", b"caf\xe9.test")
    ),
]  # fmt: skip

BODIES = [
    Entry(f"a body read by {way}", post(way.encode(), b"Content-Length: 33",
          body=b"first line\nsecond line\nthird line"), "echo", ("POST",))
    for way in ("/read", "/sized", "/one-byte", "/zero", "/negative", "/readline",
                "/readline-sized", "/readlines", "/readlines-hint", "/iterate", "/mixed", "/past",
                "/ignore", "/half")
] + [
    Entry(f"a chunked body read by {way}", post(way.encode(), CHUNKED,
          body=chunks(b"first li", b"ne\nsecond line\nthird ", b"line")), "echo", ("POST",))
    for way in ("/read", "/sized", "/one-byte", "/zero", "/negative", "/readline",
                "/readline-sized", "/readlines", "/iterate", "/mixed", "/past", "/ignore", "/half")
] + [
    Entry(f"no body read by {way}", lines(b"GET " + way.encode() + b" HTTP/1.1", HOST), "echo")
    for way in ("/read", "/sized", "/negative", "/readline", "/readlines", "/iterate", "/past")
] + [
    Entry("a POST without Content-Length has no body", post(b"/read"), "echo", ("POST",)),
    Entry("a PUT without Content-Length has no body", lines(b"PUT /read HTTP/1.1", HOST), "echo",
          ("PUT",)),
    Entry("a GET with a body", lines(b"GET /read HTTP/1.1", HOST, b"Content-Length: 4",
          body=b"body"), "echo"),
    Entry("a DELETE with a body", lines(b"DELETE /read HTTP/1.1", HOST, b"Content-Length: 4",
          body=b"body"), "echo", ("DELETE",)),
    Entry("a body of every byte", post(b"/read", b"Content-Length: 256", body=bytes(range(256))),
          "echo", ("POST",)),
    Entry("a body of 100 kB", post(b"/read", b"Content-Length: 100000",
          body=b"0123456789" * 10_000), "echo", ("POST",)),
    Entry("a body of 3 MiB", post(b"/read", b"Content-Length: 3145728", body=b"abc" * 1048576),
          "echo", ("POST",)),
    Entry("a body of 40 kB that is not read", post(b"/ignore", b"Content-Length: 40000",
          body=b"abcd" * 10_000), "echo", ("POST",)),
    Entry("a form's body and environ", post(b"/form?a=b",
          b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 7",
          body=b"a=b&c=d"), "environ_dump", ("POST",)),
    Entry("a chunked body and environ", post(b"/form?a=b", CHUNKED, b"Content-Type: text/plain",
          body=chunks(b"a=b", b"&c=d")), "environ_dump", ("POST",)),
    Entry("a Content-Length with leading zeroes", post(b"/read", b"Content-Length: 0004",
          body=b"body"), "echo", ("POST",)),
    Entry("an HTTP/1.0 POST", post(b"/read", b"Content-Length: 4", body=b"body",
          version=b"HTTP/1.0"), "echo", ("POST",)),
    Entry("an HTTP/1.0 POST without Content-Length", post(b"/ignore", version=b"HTTP/1.0"), "echo",
          ("POST",)),
    Entry("an HTTP/1.0 PUT without Content-Length", lines(b"PUT /ignore HTTP/1.0", HOST), "echo",
          ("PUT",)),
    Entry("a chunked HTTP/1.0 POST", post(b"/ignore", CHUNKED, body=chunks(b"body"),
          version=b"HTTP/1.0"), "echo", ("POST",)),
]  # fmt: skip

CHUNKS = [
    Entry(f"chunks: {name}", post(b"/read", CHUNKED, *fields, body=body), "echo", ("POST",),
          half_close=name in WAITS)
    for name, body, *fields in (
        ("none but the last", b"0\r\n\r\n"),
        ("one", b"4\r\nbody\r\n0\r\n\r\n"),
        ("of one byte each", chunks(*(b"%c" % byte for byte in b"body in bytes"))),
        ("a size in upper-case hexadecimal", b"A\r\n0123456789\r\n0\r\n\r\n"),
        ("a size in lower-case hexadecimal", b"a\r\n0123456789\r\n0\r\n\r\n"),
        ("a size with leading zeroes", b"0004\r\nbody\r\n0\r\n\r\n"),
        ("a last chunk of several zeroes", b"4\r\nbody\r\n000\r\n\r\n"),
        ("data that looks like a chunk", b"9\r\n0\r\n\r\n4\r\nb\r\n0\r\n\r\n"),
        ("an extension", b"4;name\r\nbody\r\n0\r\n\r\n"),
        ("an extension with a value", b"4;name=value\r\nbody\r\n0;last=yes\r\n\r\n"),
        ("an extension with a quoted value", b'4;name="a;b\\"c"\r\nbody\r\n0\r\n\r\n'),
        ("two extensions", b"4;a=b;c=d\r\nbody\r\n0\r\n\r\n"),
        ("spaces round an extension", b"4 ; a = b\r\nbody\r\n0\r\n\r\n"),
        ("a trailer field", b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ("two trailer fields", b"4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"),
        ("an announced trailer field", b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"),
        ("a trailer field that would change the framing",
         b"4\r\nbody\r\n0\r\nContent-Length: 9\r\n\r\n"),
        ("a trailer that is no field", b"4\r\nbody\r\n0\r\nno field\r\n\r\n"),
        ("a folded trailer field", b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
        ("100 kB in chunks of 1000", chunks(*[b"0123456789" * 100] * 100)),
        ("no size", b"\r\nbody\r\n0\r\n\r\n"),
        ("a size that is no number", b"x\r\nbody\r\n0\r\n\r\n"),
        ("a size with 0x", b"0x4\r\nbody\r\n0\r\n\r\n"),
        ("a signed size", b"+4\r\nbody\r\n0\r\n\r\n"),
        ("a negative size", b"-4\r\nbody\r\n0\r\n\r\n"),
        ("a size with an underscore", b"0_4\r\nbody\r\n0\r\n\r\n"),
        ("a space before the size", b" 4\r\nbody\r\n0\r\n\r\n"),
        ("a space after the size", b"4 \r\nbody\r\n0\r\n\r\n"),
        ("a size of 17 digits", b"00000000000000004\r\nbody\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", b"10000000000000004\r\nbody\r\n0\r\n\r\n"),
        ("a size of other digits", b"\xd9\xa4\r\nbody\r\n0\r\n\r\n"),
        ("a bare LF after the size", b"4\nbody\r\n0\r\n\r\n"),
        ("a bare LF after the data", b"4\r\nbody\n0\r\n\r\n"),
        ("a bare LF after the last chunk", b"4\r\nbody\r\n0\n\n"),
        ("a bare CR after the size", b"4\rbody\r\n0\r\n\r\n"),
        ("data longer than its size", b"4\r\nbody and more\r\n0\r\n\r\n"),
        ("data shorter than its size", b"5\r\nbody\r\n0\r\n\r\n"),
        ("a control byte in an extension", b"4;a=\x01\r\nbody\r\n0\r\n\r\n"),
        ("a bare LF in an extension", b"4;a\nb\r\nbody\r\n0\r\n\r\n"),
        ("an extension of 100 kB", b"4;" + b"e" * 100_000 + b"\r\nbody\r\n0\r\n\r\n"),
    )
]  # fmt: skip

CONTINUE = [
    Entry("Expect: 100-continue with the body right behind",
          post(b"/read", b"Expect: 100-continue", b"Content-Length: 4", body=b"body"), "echo",
          ("POST",)),
    Entry("Expect: 100-Continue in another case",
          post(b"/read", b"Expect: 100-Continue", b"Content-Length: 4", body=b"body"), "echo",
          ("POST",)),
    Entry("Expect: 100-continue with a chunked body",
          post(b"/read", b"Expect: 100-continue", CHUNKED, body=chunks(b"body")), "echo",
          ("POST",)),
    Entry("Expect: 100-continue in HTTP/1.0",
          post(b"/read", b"Expect: 100-continue", b"Content-Length: 4", body=b"body",
               version=b"HTTP/1.0"), "echo", ("POST",)),
    Entry("Expect: something else", post(b"/read", b"Expect: a-miracle", b"Content-Length: 4",
          body=b"body"), "echo", ("POST",)),
    Entry("Expect with two members",
          post(b"/read", b"Expect: 100-continue, a-miracle", b"Content-Length: 4", body=b"body"),
          "echo", ("POST",)),
    Entry("an empty Expect", post(b"/read", b"Expect:", b"Content-Length: 4", body=b"body"),
          "echo", ("POST",)),
]  # fmt: skip

INCOMPLETE = [
    Entry(name, sent, "echo", ("POST",), half_close=True)
    for name, sent in (
        ("nothing at all, then the end", b""),
        ("half a request line, then the end", b"POST /read HT"),
        ("a request line, then the end", b"POST /read HTTP/1.1\r\n"),
        ("half a head, then the end", b"POST /read HTTP/1.1\r\nHost: example.org\r\n"),
        ("half a body, then the end", post(b"/read", b"Content-Length: 10", body=b"body")),
        ("half a chunk, then the end", post(b"/read", CHUNKED, body=b"a\r\nbody")),
        ("no last chunk, then the end", post(b"/read", CHUNKED, body=b"4\r\nbody\r\n")),
        ("no end of the trailer, then the end",
         post(b"/read", CHUNKED, body=b"4\r\nbody\r\n0\r\n")),
        ("a whole request, then the end", post(b"/read", b"Content-Length: 4", body=b"body")),
    )
] + [
    Entry("three requests in one write, then the end", lines(b"GET / HTTP/1.1", HOST) * 3,
          methods=("GET",) * 3, half_close=True),
]  # fmt: skip

GET = lines(b"GET / HTTP/1.1", HOST)
CLOSE = lines(b"GET / HTTP/1.1", HOST, b"Connection: close")

CONNECTIONS = [
    Entry("HTTP/1.1 keeps the connection", GET),
    Entry("Connection: close ends it", CLOSE),
    Entry("Connection: Close in another case", lines(b"GET / HTTP/1.1", HOST,
          b"Connection: Close")),
    Entry("Connection: keep-alive in HTTP/1.1", lines(b"GET / HTTP/1.1", HOST,
          b"Connection: keep-alive")),
    Entry("Connection with several options", lines(b"GET / HTTP/1.1", HOST,
          b"Connection: x-unknown, close")),
    Entry("two Connection fields", lines(b"GET / HTTP/1.1", HOST, b"Connection: x-unknown",
          b"Connection: close")),
    Entry("Connection: close and keep-alive", lines(b"GET / HTTP/1.1", HOST,
          b"Connection: keep-alive, close")),
    Entry("HTTP/1.0 closes the connection", lines(b"GET / HTTP/1.0", HOST)),
    Entry("HTTP/1.0 with keep-alive keeps it", lines(b"GET / HTTP/1.0", HOST,
          b"Connection: keep-alive")),
    Entry("HTTP/1.0 with Keep-Alive in another case", lines(b"GET / HTTP/1.0", HOST,
          b"Connection: Keep-Alive")),
    Entry("HTTP/1.0 with keep-alive and a stream", lines(b"GET / HTTP/1.0", HOST,
          b"Connection: keep-alive"), "stream"),
    Entry("HTTP/1.0 of a stream ends with the connection", lines(b"GET / HTTP/1.0", HOST),
          "stream"),
    Entry("HTTP/1.0 with keep-alive and a list", lines(b"GET /one HTTP/1.0", HOST,
          b"Connection: keep-alive"), "blocks"),
    Entry("HTTP/1.0 with keep-alive and HEAD", lines(b"HEAD / HTTP/1.0", HOST,
          b"Connection: keep-alive"), "hello", ("HEAD",)),
    Entry("two requests in one write", GET * 2, methods=("GET", "GET")),
    Entry("ten requests in one write", GET * 10, methods=("GET",) * 10),
    Entry("a hundred requests in one write", GET * 100, methods=("GET",) * 100),
    Entry("GET, HEAD and GET in one write", GET + lines(b"HEAD / HTTP/1.1", HOST) + GET,
          methods=("GET", "HEAD", "GET")),
    Entry("the second of three asks to close", GET + CLOSE + GET, methods=("GET",) * 3),
    Entry("the second of three is malformed", GET + b"GET /\r\n\r\n" + GET,
          methods=("GET",) * 3),
    Entry("two bodies in one write",
          post(b"/read", b"Content-Length: 3", body=b"one")
          + post(b"/read", CHUNKED, body=chunks(b"two")), "echo", ("POST", "POST")),
    Entry("a body that is not read, then a request",
          post(b"/ignore", b"Content-Length: 3", body=b"one")
          + post(b"/read", b"Content-Length: 3", body=b"two"), "echo", ("POST", "POST")),
    Entry("a body that is half read, then a request",
          post(b"/half", b"Content-Length: 8", body=b"12345678")
          + post(b"/read", b"Content-Length: 3", body=b"two"), "echo", ("POST", "POST")),
    Entry("a chunked body that is not read, then a request",
          post(b"/ignore", CHUNKED, body=chunks(b"one", b"more"))
          + post(b"/read", b"Content-Length: 3", body=b"two"), "echo", ("POST", "POST")),
    Entry("streams in one write", GET * 3, "stream", ("GET",) * 3),
    Entry("a body that looks like a request",
          post(b"/read", b"Content-Length: %d" % len(GET), body=GET), "echo", ("POST",)),
    Entry("an empty line before the request", b"\r\n" + GET),
    Entry("two empty lines before the request", b"\r\n\r\n" + GET),
    Entry("ten empty lines before the request", b"\r\n" * 10 + GET),
    Entry("an empty line between two requests", GET + b"\r\n" + GET, methods=("GET", "GET")),
    Entry("a line feed before the request", b"\n" + GET),
    Entry("an absolute-form target closes nothing",
          lines(b"GET http://example.org/ HTTP/1.1", HOST) + GET, methods=("GET", "GET")),
]  # fmt: skip

ERRORS = [
    Entry(name, sent, half_close=name in WAITS)
    for name, sent in (
        ("one word as request line", lines(b"GET", HOST)),
        ("a request line without version: HTTP/0.9", b"GET /\r\n\r\n"),
        ("a request line without target", lines(b"GET HTTP/1.1", HOST)),
        ("a request line with two spaces", lines(b"GET  / HTTP/1.1", HOST)),
        ("a request line with two spaces before the version", lines(b"GET /  HTTP/1.1", HOST)),
        ("a request line with a tab", lines(b"GET\t/ HTTP/1.1", HOST)),
        ("a request line with a space at its end", lines(b"GET / HTTP/1.1 ", HOST)),
        ("a request line with a space at its start", lines(b" GET / HTTP/1.1", HOST)),
        ("a request line with four words", lines(b"GET / / HTTP/1.1", HOST)),
        ("a request line with a NUL", lines(b"GET /\0 HTTP/1.1", HOST)),
        ("version HTTP/1.2", lines(b"GET / HTTP/1.2", HOST)),
        ("version HTTP/2.0", lines(b"GET / HTTP/2.0", HOST)),
        ("version HTTP/0.9", lines(b"GET / HTTP/0.9", HOST)),
        ("version HTTP/3", lines(b"GET / HTTP/3", HOST)),
        ("version HTTP/1", lines(b"GET / HTTP/1", HOST)),
        ("version HTTP/1.10", lines(b"GET / HTTP/1.10", HOST)),
        ("version HTTP/01.1", lines(b"GET / HTTP/01.1", HOST)),
        ("version http/1.1", lines(b"GET / http/1.1", HOST)),
        ("version HTTPS/1.1", lines(b"GET / HTTPS/1.1", HOST)),
        ("version HTTP 1.1", lines(b"GET / HTTP 1.1", HOST)),
        ("version HTTP/1,1", lines(b"GET / HTTP/1,1", HOST)),
        ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a TLS client's hello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 40
         + b"\r\n\r\n"),
        ("Content-Length with Transfer-Encoding", post(b"/", b"Content-Length: 4", CHUNKED,
         body=chunks(b"body"))),
        ("Transfer-Encoding with Content-Length", post(b"/", CHUNKED, b"Content-Length: 4",
         body=chunks(b"body"))),
        ("two Content-Length that differ", post(b"/", b"Content-Length: 4", b"Content-Length: 5",
         body=b"body")),
        ("two Content-Length that agree", post(b"/", b"Content-Length: 4", b"Content-Length: 4",
         body=b"body")),
        ("Content-Length as a list", post(b"/", b"Content-Length: 4, 4", body=b"body")),
        ("Content-Length: +4", post(b"/", b"Content-Length: +4", body=b"body")),
        ("Content-Length: -4", post(b"/", b"Content-Length: -4", body=b"body")),
        ("Content-Length: 0x4", post(b"/", b"Content-Length: 0x4", body=b"body")),
        ("Content-Length: 4.0", post(b"/", b"Content-Length: 4.0", body=b"body")),
        ("Content-Length: 4 4", post(b"/", b"Content-Length: 4 4", body=b"body")),
        ("Content-Length: 4_0", post(b"/", b"Content-Length: 4_0", body=b"body")),
        ("Content-Length: \u00b2, a digit to Python alone", post(b"/", b"Content-Length: \xb2",
         body=b"body")),
        ("an empty Content-Length", post(b"/", b"Content-Length:", body=b"body")),
        ("a Content-Length of 5000 digits", post(b"/", b"Content-Length: " + b"9" * 5000)),
        ("a Content-Length over the limit", post(b"/", b"Content-Length: 99999999999")),
        ("Transfer-Encoding: gzip", post(b"/", b"Transfer-Encoding: gzip")),
        ("Transfer-Encoding: gzip, chunked", post(b"/", b"Transfer-Encoding: gzip, chunked",
         body=chunks(b"body"))),
        ("Transfer-Encoding: chunked, gzip", post(b"/", b"Transfer-Encoding: chunked, gzip",
         body=chunks(b"body"))),
        ("Transfer-Encoding: chunked, chunked", post(b"/", b"Transfer-Encoding: chunked, chunked",
         body=chunks(b"body"))),
        ("Transfer-Encoding: identity", post(b"/", b"Transfer-Encoding: identity")),
        ("Transfer-Encoding: identity, chunked", post(b"/", b"Transfer-Encoding: identity, chunked",
         body=chunks(b"body"))),
        ("Transfer-Encoding: xchunked", post(b"/", b"Transfer-Encoding: xchunked",
         body=chunks(b"body"))),
        ('Transfer-Encoding: "chunked"', post(b"/", b'Transfer-Encoding: "chunked"',
         body=chunks(b"body"))),
        ("Transfer-Encoding: chunked;a=b", post(b"/", b"Transfer-Encoding: chunked;a=b",
         body=chunks(b"body"))),
        ("Transfer-Encoding: CHUNKED", post(b"/", b"Transfer-Encoding: CHUNKED",
         body=chunks(b"body"))),
        ("an empty Transfer-Encoding", post(b"/", b"Transfer-Encoding:")),
        ("Transfer-Encoding with a vertical tab", post(b"/", b"Transfer-Encoding: \x0bchunked",
         body=chunks(b"body"))),
        ("two Transfer-Encoding fields", post(b"/", CHUNKED, CHUNKED, body=chunks(b"body"))),
        ("a space before the colon", lines(b"GET / HTTP/1.1", HOST, b"X-A : b")),
        ("a tab before the colon", lines(b"GET / HTTP/1.1", HOST, b"X-A\t: b")),
        ("a space before the colon of Content-Length", post(b"/", b"Content-Length : 4",
         body=b"body")),
        ("a line without colon among the fields", lines(b"GET / HTTP/1.1", HOST, b"no colon")),
        ("a field with an empty name", lines(b"GET / HTTP/1.1", HOST, b": value")),
        ("a field's name in brackets", lines(b"GET / HTTP/1.1", HOST, b"[X-A]: b")),
        ("a field's name with a latin-1 byte", lines(b"GET / HTTP/1.1", HOST, b"X-\xe9: b")),
        ("a folded field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b", b" c")),
        ("a field folded by a tab", lines(b"GET / HTTP/1.1", HOST, b"X-A: b", b"\tc")),
        ("a first field line that begins with a space", lines(b"GET / HTTP/1.1", b" " + HOST)),
        ("bare LF throughout", b"GET / HTTP/1.1\nHost: example.org\n\n"),
        ("bare LF after the request line", b"GET / HTTP/1.1\nHost: example.org\r\n\r\n"),
        ("bare LF after a field", b"GET / HTTP/1.1\r\nHost: example.org\nX-A: b\r\n\r\n"),
        ("bare LF at the end of the head", b"GET / HTTP/1.1\r\nHost: example.org\r\n\n\r\n\r\n"),
        ("bare CR within a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\rc")),
        ("bare CR at the end of a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\r")),
        ("bare CR within the request line", lines(b"GET /\r HTTP/1.1", HOST)),
        ("NUL within a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\0c")),
        ("DEL within a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\x7fc")),
        ("a control byte within a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\x01c")),
        ("a vertical tab within a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\x0bc")),
        ("a control byte at the end of a field", lines(b"GET / HTTP/1.1", HOST, b"X-A: b\x1f")),
        ("NUL within a field's name", lines(b"GET / HTTP/1.1", HOST, b"X\0-A: b")),
        ("fields of 1 MB in all", lines(b"GET / HTTP/1.1", HOST,
         *(b"X-%d: " % n + b"v" * 8000 for n in range(125)))),
        ("a head that looks like a body", b"body\r\n\r\n"),
    )
]  # fmt: skip

RESPONSES = [
    Entry(f"{application}: {path}", lines(b"GET " + path.encode() + b" HTTP/1.1", HOST),
          application, half_close=f"{application}: {path}" in WAITS)
    for application, paths in {
        "stream": "/",
        "blocks": "/one /several /tuple /with-length /same-fields",
        "empty": "/list /generator /empty-strings /zero-length",
        "write_callable": "/write /mixed /with-length /inside /empty",
        "late_start": "/ /with-length /after-empty /never",
        "exc_info": "/before /in-stream /after /twice",
        "raises": "/call /started /first-block /midstream /midstream-length /after-write /close "
                  "/not-iterable",
        "file_response": "/file /file-length /file-offset /file-part /file-short "
                         "/file-block-size /empty-file /memory /memory-length /pipe /no-close",
        "no_body": "/204 /204-body /204-length /205 /304 /304-body /304-length /100 /101 /199",
        "wrong_length": "/short-list /short-generator /short-write /long-list /long-generator "
                        "/long-write /not-a-number /negative /twice /twice-alike",
        "hop_by_hop": "/connection /keep-alive /transfer-encoding /upgrade /te /trailers "
                      "/proxy-authenticate",
        "injected": "/value-crlf /value-lf /value-cr /value-nul /value-beyond-latin-1 "
                    "/value-latin-1 /value-spaces /value-empty /name-space /name-colon /name-crlf "
                    "/name-empty /status-crlf /status-no-reason /status-empty-reason "
                    "/status-two-digits /status-word /status-unknown /status-latin-1 /status-600",
        "wrong_types": "/status-bytes /status-int /name-bytes /value-bytes /value-int "
                       "/fields-tuple /fields-none /body-str /body-str-later /body-plain-str "
                       "/body-bytes /body-bytearray /write-str",
        "own_server_fields": "/",
        "cookies": "/",
        "large_fields": "/",
        "big": "/list /length /generator /file /write",
        "iterable_class": "/",
        "callable_instance": "/",
        "mutates_environ": "/",
        "writes_errors": "/",
        "sleeps": "/?seconds=0.05",
    }.items()
    for path in paths.split()
] + [
    Entry(f"{application} in HTTP/1.0: {path}",
          lines(b"GET " + path.encode() + b" HTTP/1.0", HOST), application)
    for application, paths in {
        "stream": "/",
        "blocks": "/one /several",
        "write_callable": "/write",
        "file_response": "/file /memory",
        "no_body": "/204 /304",
        "raises": "/midstream",
        "big": "/generator",
    }.items()
    for path in paths.split()
] + [
    Entry(f"{application} twice in one write: {path}",
          lines(b"GET " + path.encode() + b" HTTP/1.1", HOST) * 2, application, ("GET", "GET"))
    for application, path in (
        ("no_body", "/204-body"), ("no_body", "/304-body"), ("wrong_length", "/long-list"),
        ("raises", "/call"), ("raises", "/close"), ("file_response", "/file-part"),
        ("mutates_environ", "/"), ("empty", "/generator"),
    )
]  # fmt: skip

CORPUS: tuple[Entry, ...] = tuple(
    METHODS + TARGETS + FIELDS + HOSTS + BODIES + CHUNKS + CONTINUE + INCOMPLETE
    + CONNECTIONS + ERRORS + RESPONSES
)  # fmt: skip
