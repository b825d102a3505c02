"""The population of a web site: browsers and robots, its pages, its forms.

Clients and pages are drawn by Zipf's law. The fields, their order and their spelling are those of
the browsers; two thirds of them speak HTTP/2 to nginx, which passes their names on as they are
there, in lower case.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus

from tests.bench.population import Fields, Request, Zipf, distinct

CLIENTS: Final = 2000
PAGES: Final = 1000
# A few clients and pages make most of the traffic of a site, pages more so.
CLIENT_EXPONENT: Final = 0.7
PAGE_EXPONENT: Final = 1.0

QUERY_SHARE: Final = 0.5
FORM_SHARE: Final = 0.06
SCRIPT_SHARE: Final = 0.25  # requests that a page's script makes
CONDITIONAL_SHARE: Final = 0.1  # of those that GET: the browser has the page
LOWER_CASE_SHARE: Final = 0.65
IPV6_SHARE: Final = 0.25

HOSTS: Final = ("www.example.org", "shop.example.org", "example.org")
WORDS: Final = [
    "winter",
    "shoes",
    "garden",
    "table",
    "red",
    "bicycle",
    "lamp",
    "kitchen",
    "knife",
    "summer",
    "dress",
    "coffee",
    "grinder",
    "wool",
    "blanket",
    "notebook",
    "pencil",
    "camera",
    "strap",
    "Fahrradschloss",
    "Öl",
    "Käse",
    "crème",
    "brûlée",
    "été",
    "año",
    "niño",
    "żółty",
    "ключ",
    "книга",
    "東京",
    "カメラ",
    "서울",
    "שלום",
    "قهوة",
]
LANGUAGES: Final = (
    "en-US,en;q=0.9",
    "en-US,en;q=0.5",
    "en-GB,en;q=0.9,de;q=0.8",
    "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
    "de,en-US;q=0.7,en;q=0.3",
    "fr-FR,fr;q=0.9,en;q=0.8",
    "es-ES,es;q=0.9",
    "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7",
    "ja,en-US;q=0.9,en;q=0.8",
    "zh-CN,zh;q=0.9",
    "pl,en-US;q=0.7,en;q=0.3",
    "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7,uk;q=0.6",
)
ALPHABET: Final = string.ascii_letters + string.digits

DOCUMENT_ACCEPT: Final = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)
PLAIN_ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

# The orders in which they send their fields; what a request does not have is left out.
CHROMIUM_ORDER: Final = (
    "Cache-Control",
    *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"),
    *("Origin", "Content-Type", "Upgrade-Insecure-Requests", "User-Agent", "X-Requested-With"),
    *("Accept", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-User", "Sec-Fetch-Dest"),
    *("Referer", "Accept-Encoding", "Accept-Language", "Cookie"),
    *("If-None-Match", "If-Modified-Since", "Priority"),
)
FIREFOX_ORDER: Final = (
    *("User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Referer", "Content-Type"),
    *("X-Requested-With", "Origin", "DNT", "Sec-GPC", "Cookie", "Upgrade-Insecure-Requests"),
    *("Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User"),
    *("If-Modified-Since", "If-None-Match", "Priority"),
)
SAFARI_ORDER: Final = (
    *("Content-Type", "Origin", "Accept", "If-None-Match", "Sec-Fetch-Site", "Cookie"),
    *("Sec-Fetch-Dest", "Accept-Language", "Sec-Fetch-Mode", "User-Agent", "Referer"),
    *("X-Requested-With", "Accept-Encoding", "Priority"),
)
ROBOT_ORDER: Final = ("User-Agent", "From", "Accept", "Accept-Encoding", "If-Modified-Since")


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, and how a browser knows whether it has it already."""

    host: str
    path: str
    etag: str
    modified: str


@dataclass(slots=True)
class Client:
    """One browser or robot, with what it sends each time."""

    order: tuple[str, ...]
    address: str
    fields: Mapping[str, str]
    lower_case: bool
    is_robot: bool
    cookies: str
    analytics: str  # the name of a cookie that changes with each page; "" for none
    visits: int = 0
    counted: int = field(default=0)

    def cookie(self, rng: random.Random) -> str:
        """Return what it sends as ``Cookie`` this time; "" for nothing."""
        if not self.analytics:
            return self.cookies
        self.visits += 1
        self.counted += rng.randrange(1, 90)
        moved = f"{self.analytics}=GS1.1.{self.counted}.{self.visits}.1.{self.counted + 7}.0.0.0"
        return f"{self.cookies}; {moved}"


def requests(seed: int, count: int) -> Iterator[Request]:
    """Yield the population's requests, no two alike; the same seed, the same ones."""
    rng = random.Random(seed)
    pages = [_page(rng) for _ in range(PAGES)]
    clients = [_client(rng) for _ in range(CLIENTS)]
    by_page, by_client = Zipf(PAGES, PAGE_EXPONENT), Zipf(CLIENTS, CLIENT_EXPONENT)

    def draw() -> Request:
        client = clients[by_client.draw(rng)]
        page, before = pages[by_page.draw(rng)], pages[by_page.draw(rng)]
        return _request(rng, client, page, before)

    return distinct(draw, count)


def _request(rng: random.Random, client: Client, page: Page, before: Page) -> Request:
    target = page.path
    if rng.random() < QUERY_SHARE:
        target += f"?{_query(rng)}"
    has = dict(client.fields)
    body = b""
    kind = rng.random()
    if client.is_robot:
        if rng.random() < CONDITIONAL_SHARE:
            has["If-Modified-Since"] = page.modified
    else:
        has["Cookie"] = client.cookie(rng)
        _refer(rng, has, page, before)
        if kind < FORM_SHARE:
            body = _form(rng)
            has["Origin"] = f"https://{page.host}"
            has["Content-Type"] = "application/x-www-form-urlencoded"
            has["Cache-Control"] = "max-age=0"
            has["Sec-Fetch-User"] = "?1"
        else:
            if kind < FORM_SHARE + SCRIPT_SHARE:
                _by_script(rng, has)
            else:
                has["Sec-Fetch-User"] = "?1"
            if rng.random() < CONDITIONAL_SHARE / (1 - FORM_SHARE):
                has["If-None-Match"] = page.etag
                has["If-Modified-Since"] = page.modified
    fields: Fields = tuple((name, has[name]) for name in client.order if has.get(name))
    return Request(
        method="POST" if body else "GET",
        target=target,
        host=page.host,
        fields=fields,
        address=client.address,
        body=body,
        lower_case=client.lower_case,
    )


def _refer(rng: random.Random, has: dict[str, str], page: Page, before: Page) -> None:
    """Say where the browser comes from: here, elsewhere, nowhere (Fetch metadata says the same)."""
    chance = rng.random()
    site = "none"
    if chance < 0.6:
        has["Referer"] = f"https://{before.host}{before.path}"
        if rng.random() < 0.4:
            has["Referer"] += f"?{_query(rng)}"
        site = "same-origin" if before.host == page.host else "same-site"
    elif chance < 0.8:
        has["Referer"] = rng.choice(("https://www.google.com/", "https://duckduckgo.com/"))
        site = "cross-site"
    if "Sec-Fetch-Site" in has:
        has["Sec-Fetch-Site"] = site


def _by_script(rng: random.Random, has: dict[str, str]) -> None:
    has["Accept"] = rng.choice(("*/*", "application/json", "application/json, text/plain, */*"))
    has.pop("Upgrade-Insecure-Requests", None)
    if rng.random() < 0.5:
        has["X-Requested-With"] = "XMLHttpRequest"
    if "Sec-Fetch-Mode" in has:
        has["Sec-Fetch-Mode"], has["Sec-Fetch-Dest"] = "cors", "empty"
    if "Priority" in has:
        has["Priority"] = "u=1, i"


def _query(rng: random.Random) -> str:
    found = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
        match rng.randrange(6):
            case 0:
                found.append(f"page={rng.randrange(1, 400)}")
            case 1:
                words = rng.choices(WORDS, k=rng.randrange(1, 4))
                found.append(f"q={quote_plus(' '.join(words))}")
            case 2:
                found.append(f"sort={rng.choice(('price', 'name', 'new', '-price'))}")
            case 3:
                source = rng.choice(("newsletter", "social", "cpc"))
                found.append(f"utm_source={source}&utm_campaign={_text(rng, 8)}")
            case 4:
                found.append(f"{rng.choice(('gclid', 'fbclid', 'ref'))}={_text(rng, 40)}")
            case _:
                found.append(f"filter%5B{_text(rng, 4)}%5D={rng.randrange(10_000)}")
    return "&".join(found)


def _form(rng: random.Random) -> bytes:
    pairs = [f"csrf_token={_text(rng, 43)}"]
    for _ in range(rng.randrange(1, 6)):
        words = rng.choices(WORDS, k=rng.randrange(1, 7))
        pairs.append(f"{_text(rng, 6)}={quote_plus(' '.join(words))}")
    return "&".join(pairs).encode("ascii")


def _page(rng: random.Random) -> Page:
    parts = [quote(rng.choice(WORDS).lower()) for _ in range(rng.randrange(1, 4))]
    path = "/".join(["", *parts, rng.choice(("", f"{rng.randrange(100_000)}", _text(rng, 9)))])
    day, second = rng.randrange(1, 29), rng.randrange(60)
    return Page(
        host=rng.choice(HOSTS),
        path=path,
        etag=rng.choice((f'"{rng.getrandbits(64):x}"', f'W/"{rng.getrandbits(128):032x}"')),
        modified=f"Mon, {day:02} Sep 2025 10:{rng.randrange(60):02}:{second:02} GMT",
    )


def _client(rng: random.Random) -> Client:
    order, fields = rng.choices(
        (_chrome, _edge, _mobile_chrome, _firefox, _safari, _phone_safari, _robot),
        weights=(30, 8, 22, 12, 6, 14, 8),
    )[0](rng)
    is_robot = order is ROBOT_ORDER
    lower_case = rng.random() < LOWER_CASE_SHARE
    if not lower_case:  # browsers send it over HTTP/2 only
        fields.pop("Priority", None)
    cookies, analytics = ("", "") if is_robot else _cookies(rng)
    return Client(
        order=order,
        address=_address(rng),
        fields=fields,
        lower_case=lower_case,
        is_robot=is_robot,
        cookies=cookies,
        analytics=analytics,
        counted=1_700_000_000 + rng.randrange(10_000_000),
    )


Browser = tuple[tuple[str, ...], dict[str, str]]


def _chrome(rng: random.Random) -> Browser:
    system = rng.choice(
        (
            ("Windows", "Windows NT 10.0; Win64; x64"),
            ("Windows", "Windows NT 10.0; Win64; x64"),
            ("macOS", "Macintosh; Intel Mac OS X 10_15_7"),
            ("Linux", "X11; Linux x86_64"),
        )
    )
    return _chromium(rng, system, "Google Chrome", "", "?0")


def _edge(rng: random.Random) -> Browser:
    return _chromium(rng, ("Windows", "Windows NT 10.0; Win64; x64"), "Microsoft Edge", "Edg", "?0")


def _mobile_chrome(rng: random.Random) -> Browser:
    model = f"{rng.choice(('SM-A', 'SM-S', 'Pixel ', 'M2', 'CPH'))}{rng.randrange(3, 999)}"
    system = ("Android", f"Linux; Android {rng.randrange(9, 16)}; {rng.choice(('K', model))}")
    return _chromium(rng, system, "Google Chrome", "Mobile", "?1")


def _chromium(
    rng: random.Random, system: tuple[str, str], brand: str, kind: str, mobile: str
) -> Browser:
    platform, described = system
    version = rng.randrange(118, 143)
    agent = f"Mozilla/5.0 ({described}) AppleWebKit/537.36 (KHTML, like Gecko)"
    agent += f" Chrome/{version}.0.0.0{' Mobile' if kind == 'Mobile' else ''} Safari/537.36"
    if kind == "Edg":
        agent += f" Edg/{version}.0.{rng.randrange(2000, 3999)}.{rng.randrange(100)}"
    brands = [f'"Chromium";v="{version}"', f'"{brand}";v="{version}"', '"Not?A_Brand";v="24"']
    rng.shuffle(brands)
    return CHROMIUM_ORDER, {
        "sec-ch-ua": ", ".join(brands),
        "sec-ch-ua-mobile": mobile,
        "sec-ch-ua-platform": f'"{platform}"',
        "Upgrade-Insecure-Requests": "1",
        "User-Agent": agent,
        "Accept": DOCUMENT_ACCEPT,
        "Sec-Fetch-Site": "none",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Accept-Encoding": rng.choice(("gzip, deflate, br", "gzip, deflate, br, zstd")),
        "Accept-Language": rng.choice(LANGUAGES),
        "Priority": "u=0, i",
    }


def _firefox(rng: random.Random) -> Browser:
    system = rng.choice(("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Android 14; Mobile"))
    version = rng.randrange(115, 145)
    has = {
        "User-Agent": f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0",
        "Accept": PLAIN_ACCEPT,
        "Accept-Language": rng.choice(LANGUAGES),
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Upgrade-Insecure-Requests": "1",
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "none",
        "Priority": "u=0, i",
    }
    if rng.random() < 0.3:
        has |= {"DNT": "1", "Sec-GPC": "1"}
    return FIREFOX_ORDER, has


def _safari(rng: random.Random) -> Browser:
    return _webkit(rng, "Macintosh; Intel Mac OS X 10_15_7", "")


def _phone_safari(rng: random.Random) -> Browser:
    release = f"{rng.randrange(15, 19)}_{rng.randrange(7)}"
    build = f"Mobile/15E{rng.randrange(100, 400)} "
    return _webkit(rng, f"iPhone; CPU iPhone OS {release} like Mac OS X", build)


def _webkit(rng: random.Random, system: str, mobile: str) -> Browser:
    version = f"{rng.randrange(15, 19)}.{rng.randrange(7)}"
    return SAFARI_ORDER, {
        "Accept": PLAIN_ACCEPT,
        "Sec-Fetch-Site": "none",
        "Sec-Fetch-Dest": "document",
        "Accept-Language": rng.choice(LANGUAGES),
        "Sec-Fetch-Mode": "navigate",
        "User-Agent": f"Mozilla/5.0 ({system}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        f"Version/{version} {mobile}Safari/{rng.choice(('604.1', '605.1.15'))}",
        "Accept-Encoding": "gzip, deflate, br",
        "Priority": "u=0, i",
    }


def _robot(rng: random.Random) -> Browser:
    name = rng.choice(
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            f"python-requests/2.{rng.randrange(20, 33)}.{rng.randrange(4)}",
            f"curl/8.{rng.randrange(12)}.0",
        )
    )
    has = {"User-Agent": name, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    if "bot" in name:
        has["From"] = "robot(at)example.com"
    return ROBOT_ORDER, has


def _cookies(rng: random.Random) -> tuple[str, str]:
    """Return a client's cookies, of several lengths, and the name of one that changes."""
    kind = rng.random()
    if kind < 0.12:
        return "", ""
    session = f"session={rng.getrandbits(128):032x}"
    if kind < 0.4:
        return session, ""
    signed = f"sessionid={_text(rng, 32)}; csrftoken={_text(rng, 64)}; theme=dark"
    if kind < 0.6:
        return signed, ""
    visitor = f"_ga=GA1.1.{rng.randrange(10**9)}.{rng.randrange(10**9)}"
    analytics = f"_ga_{_text(rng, 10).upper()}"
    if kind < 0.85:
        return f"{session}; {visitor}", analytics
    consent = quote('{"v":2,"choices":["' + _text(rng, rng.randrange(200, 1000)) + '"]}')
    return f"{signed}; {visitor}; consent={consent}", analytics


def _address(rng: random.Random) -> str:
    if rng.random() < IPV6_SHARE:
        groups = ":".join(f"{rng.getrandbits(16):x}" for _ in range(4))
        return f"2001:db8:{rng.getrandbits(16):x}:{rng.getrandbits(8):x}:{groups}"
    # The three networks that documentation has (RFC 5737).
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"


def _text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(ALPHABET, k=length))
