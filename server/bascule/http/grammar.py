"""The rules of RFC 9110, RFC 9112 and RFC 3986 that the server reads, as expressions over bytes.

Every expression is meant for ``fullmatch`` unless its name says otherwise. None can backtrack
over more than a run of white space.
"""

from __future__ import annotations

import re
from typing import Final

# token = 1*tchar
# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~"
#         / DIGIT / ALPHA                                                  (RFC 9110 §5.6.2)
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TOKEN: Final = re.compile(_TOKEN)

# request-line = method SP request-target SP HTTP-version                  (RFC 9112 §3)
# HTTP-version = HTTP-name "/" DIGIT "." DIGIT                             (RFC 9112 §2.3)
# The target is taken as any run of visible bytes and of bytes from 0x80: clients send raw UTF-8
# in paths, and PEP 3333 hands bytes to the application as they came.
REQUEST_LINE: Final = re.compile(
    rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])"
)

# absolute-form = absolute-URI, here of the http and https schemes         (RFC 9112 §3.2.2)
ABSOLUTE_FORM: Final = re.compile(rb"(?i:https?)://([^/?#]*)([^#]*)")

# pct-encoded = "%" HEXDIG HEXDIG                                          (RFC 3986 §2.1)
# Searched for: a "%" that begins none.
NOT_PCT_ENCODED: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# field-line = field-name ":" OWS field-value OWS                          (RFC 9112 §5)
# field-name = token                                                       (RFC 9110 §5.1)
FIELD_NAME: Final = TOKEN

# field-vchar = VCHAR / obs-text; between them SP and HTAB                 (RFC 9110 §5.5)
# Searched for: a byte that no field value holds.
NOT_IN_FIELD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# The bytes that it may hold; whatever else a head has is a line's end, or wrong.
TEXT: Final = bytes(each for each in range(256) if not NOT_IN_FIELD_VALUE.match(bytes([each])))

# Host = uri-host [ ":" port ]                                             (RFC 9110 §7.2)
# uri-host = IP-literal / IPv4address / reg-name                           (RFC 3986 §3.2.2)
# An empty host names no http resource (RFC 9110 §4.2.1) and is refused.
HOST: Final = re.compile(
    rb"(\[[0-9A-Fa-f:.]+\]|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]"
    rb"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::([0-9]{0,5}))?"
)

# Content-Length = 1*DIGIT                                                 (RFC 9110 §8.6)
# Eighteen digits are more than any disk holds, and fit a signed 64-bit number.
LENGTH_DIGITS: Final = 18
CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,%d}" % LENGTH_DIGITS)

# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE                  (RFC 9110 §5.6.4)
_QUOTED_STRING: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'

# chunk-size = 1*HEXDIG                                                    (RFC 9112 §7.1)
# chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )   (RFC 9112 §7.1.1)
# BWS = OWS, which "A recipient MUST parse [...] and remove"               (RFC 9110 §5.6.3)
_BWS: Final = rb"[ \t]*"
CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})"
    rb"(?:%(bws)b;%(bws)b%(token)b(?:%(bws)b=%(bws)b(?:%(token)b|%(quoted)b))?)*"
    % {b"bws": _BWS, b"token": _TOKEN, b"quoted": _QUOTED_STRING}
)

# status = three digits, a space and a reason phrase                       (PEP 3333)
# reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )                       (RFC 9112 §4)
STATUS: Final = re.compile(r"[1-9][0-9]{2} [\t \x21-\x7e\x80-\xff]*")

# As FIELD_NAME and NOT_IN_FIELD_VALUE, over the native strings of PEP 3333.
NATIVE_FIELD_NAME: Final = re.compile(_TOKEN.decode("ascii"))
NOT_IN_RESPONSE_FIELD_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
