"""Which headers pass the gateway in either direction, and which it sets itself."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from enclave.hub.allowed import Door, Passage, server_prefix

# RFC 9110 section 7.6.1; `upgrade` and `connection` are dealt with by whoever opens a websocket.
HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# What a client may say about itself only through the gateway.
SAID_BY_GATEWAY = frozenset({"forwarded", "x-real-ip", "x-scheme", "x-original-url", "x-rewrite-url"})
FORWARDED_PREFIX = "x-forwarded-"
# Set by the gateway for every answer, whatever the component behind it said.
OWN_ANSWER_HEADERS = frozenset(
    {"content-security-policy", "content-security-policy-report-only", "referrer-policy", "x-frame-options",
     "x-content-type-options", "cross-origin-opener-policy", "permissions-policy", "server", "refresh",
     "clear-site-data", "x-jupyterhub-version", "service-worker-allowed", "access-control-allow-origin",
     "access-control-allow-credentials"}
)  # fmt: skip

_CLOSED = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PAGES = (
    f"{_CLOSED}; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; manifest-src 'self'"
)
_LOGIN = f"{_CLOSED}; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'"
# The hub's templates hold their scripts inline.
_HUB = (
    f"{_CLOSED}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'"
)
# JupyterLab compiles settings validators, styles its widgets inline and shows outputs from data: and blob: urls.
# A notebook's output can be a script of this origin: it may speak to its own server, and to no page of the house.
_LAB = (
    "default-src {own}; script-src {own} 'unsafe-inline' 'unsafe-eval'; style-src {own} 'unsafe-inline'; "
    "img-src {own} data: blob:; media-src {own} data: blob:; font-src {own} data:; connect-src {own} {socket}; "
    "worker-src {own} blob:; frame-src {own} blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action {own}; frame-ancestors 'none'"
)
_DATA = f"{_CLOSED}; sandbox"

POLICIES: Mapping[Door, str] = {
    Door.HOME: _CLOSED,
    Door.PAGES: _PAGES,
    Door.HUB: _HUB,
    Door.LOGIN: _LOGIN,
    Door.DATA: _DATA,
    Door.ASSET: _CLOSED,
}
# A window JupyterLab opens on a page of the house is cut off from it, as their policies differ (HTML, 7.1.3).
_OPENER, _LAB_OPENER = "same-origin", "same-origin-allow-popups"


def _lab_policy(passage: Passage, origin: str) -> str:
    own = origin + server_prefix(passage)
    return _LAB.format(own=own, socket=own.replace("http", "ws", 1))


def answer_headers(passage: Passage, origin: str) -> dict[str, str]:
    """Give the headers the gateway puts on every answer to a passage."""
    is_lab = passage.door is Door.LAB
    kept_nowhere = {"Cache-Control": "no-store"} if passage.door in {Door.LAB, Door.DATA} else {}
    return kept_nowhere | {
        "Content-Security-Policy": _lab_policy(passage, origin) if is_lab else POLICIES[passage.door],
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Server": "enclave",
        "Cross-Origin-Opener-Policy": _LAB_OPENER if is_lab else _OPENER,
        "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()",
    }


def _named_in_connection(headers: Mapping[str, str]) -> set[str]:
    return {name.strip().lower() for name in headers.get("Connection", "").split(",") if name.strip()}


def _is_said_by_gateway(name: str) -> bool:
    return name in SAID_BY_GATEWAY or name.startswith(FORWARDED_PREFIX)


def request_headers(
    headers: Iterable[tuple[str, str]],
    connection: Mapping[str, str],
    passage: Passage,
    client: str,
    scheme: str,
) -> list[tuple[str, str]]:
    """Give the headers to forward with a request: no hop-by-hop one, and the gateway's own word on who asks."""
    dropped = HOP_BY_HOP | _named_in_connection(connection) | {"expect"}
    if passage.person:
        # Plain bytes are what the meter counts.
        dropped |= {"accept-encoding"}
    if passage.door in {Door.HUB, Door.LOGIN}:
        # The hub's tokens belong to its servers, which speak to it on its socket.
        dropped |= {"authorization"}
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in dropped and not _is_said_by_gateway(name.lower())
    ]
    return [*kept, ("X-Forwarded-For", client), ("X-Forwarded-Proto", scheme)]


def is_own_place(location: str, origin: str) -> bool:
    """Say whether a redirect stays on this origin; a browser also takes a backslash for the start of a host."""
    if location.startswith(("//", "/\\", "\\")) or any(character < "!" for character in location):
        return False
    parts = urlsplit(location)
    if parts.scheme or parts.netloc:
        return f"{parts.scheme}://{parts.netloc}" == origin
    return True


def is_attachment(disposition: str) -> bool:
    return "attachment" in disposition.lower()


def cookie_stays_below(cookie: str, prefix: str) -> bool:
    """Say whether a `Set-Cookie` value is for this path or deeper, and for this host only."""
    attributes = dict(part.strip().partition("=")[::2] for part in cookie.lower().split(";")[1:])
    return "domain" not in attributes and attributes.get("path", "").startswith(prefix.lower())
