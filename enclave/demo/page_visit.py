"""A person at the pages without a browser: signs in at the hub's form, follows links, sends the pages' own forms."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from enclave.errors import NotAuthenticated

PAGES: Final = "/enclave/"
_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_TAG: Final = re.compile(r"<[^>]+>")
# What a browser says of a person's navigation (W3C Fetch Metadata); the pages answer nothing else.
NAVIGATION: Final = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "same-origin",
}


@dataclass(frozen=True)
class Page:
    """A page as it came."""

    status: int
    address: str
    text: str
    body: bytes
    headers: dict[str, str]

    @property
    def words(self) -> str:
        """The page's text without its tags."""
        return " ".join(html.unescape(_TAG.sub(" ", self.text)).split())


class PageVisit:
    """One signed-in person."""

    def __init__(self, http: aiohttp.ClientSession, origin: str) -> None:
        self._http = http
        self._origin = origin
        self._csrf = ""

    async def sign_in(self, person: str, password: str) -> Page:
        """Fill in the hub's form and go to the home page; raises `NotAuthenticated`."""
        await self._read("GET", "/hub/login")
        xsrf = self._http.cookie_jar.filter_cookies(URL(self._origin + "/hub/"))["_xsrf"].value
        form = {"username": person, "password": password, "_xsrf": xsrf}
        await self._read("POST", "/hub/login", data=form, headers={"Origin": self._origin})
        page = await self.open(PAGES)
        if page.status != 200 or not page.address.startswith(PAGES):  # noqa: PLR2004 - HTTP 200
            raise NotAuthenticated("not_signed_in", f"The pages answered {page.status} at {page.address}.")
        return page

    async def open(self, path: str) -> Page:
        """Go to a page."""
        page = await self._read("GET", path, headers=NAVIGATION)
        found = _CSRF.search(page.text)
        self._csrf = found[1] if found else self._csrf
        return page

    async def send(self, path: str, **fields: str) -> Page:
        """Send one of the pages' forms."""
        return await self._read(
            "POST", path, data={"csrf": self._csrf, **fields}, headers={**NAVIGATION, "Origin": self._origin}
        )

    async def _read(self, method: str, path: str, **options: object) -> Page:
        async with self._http.request(method, self._origin + path, **options) as answer:  # type: ignore[arg-type]  # aiohttp's own options
            body = await answer.read()
            text = body.decode(errors="replace") if answer.content_type.startswith("text/") else ""
            return Page(answer.status, answer.url.path, text, body, dict(answer.headers))


@asynccontextmanager
async def at_the_pages(origin: str, person: str, password: str) -> AsyncIterator[PageVisit]:
    """Sign a person in at the pages."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        visit = PageVisit(http, origin)
        await visit.sign_in(person, password)
        yield visit
