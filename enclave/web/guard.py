"""What a browser's request must look like before the pages listen to it.

Notebook servers share this origin, so a cookie alone proves nothing: a script in a notebook's output could send
requests with it. Fetch metadata (W3C) is set by the browser and cannot be forged by a script: pages answer
navigations only, and acts come from our own forms with the session's token.
"""

import hmac
from collections.abc import Mapping

from enclave.errors import Refused

SAFE_SITES = frozenset({None, "same-origin", "none"})
NAVIGATIONS = frozenset({None, "navigate"})


def navigation(headers: Mapping[str, str]) -> None:
    """Refuse a page to a script, an image, a frame: whatever is not a person going there."""
    if headers.get("sec-fetch-mode") not in NAVIGATIONS or headers.get("sec-fetch-dest") not in {
        None,
        "document",
    }:
        raise Refused("not_a_visit", "This page opens for a person, not for a script.", "Open it in a tab.")


def came_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Tell a link on somebody else's page from one of ours or the address bar."""
    return headers.get("sec-fetch-site") not in SAFE_SITES


def act(headers: Mapping[str, str], expected: str, given: str) -> None:
    """Refuse a form that is not ours or not this session's (OWASP: synchronizer token, fetch metadata)."""
    navigation(headers)
    if came_from_elsewhere(headers):
        raise Refused(
            "cross_site", "The form came from another site; nothing was done.", "Use the page's own form."
        )
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise Refused("form_expired", "The form is too old; nothing was done.", "Open the page again.")


def own_page(path: str, base: str) -> str:
    """Give a path back if it is one of our pages, else the home page: no open redirect."""
    odd = "//" in path or "\\" in path or any(ord(letter) < 0x21 or ord(letter) == 0x7F for letter in path)  # noqa: PLR2004
    return path if path.startswith(base) and not odd else base
