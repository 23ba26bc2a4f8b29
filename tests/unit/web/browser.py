"""A browser for the pages, without the network: cookies, redirects by hand, and the headers a browser sets itself."""

import re
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.types import ASGIApp

from enclave.errors import ComponentDown
from enclave.web.browser_sessions import BrowserSessions
from enclave.web.pages import pages_app
from tests.unit.web.house_for_tests import HouseForTests

OWN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class HubForTests:
    """Signs in whoever the test says; a revoked token is nobody's."""

    def __init__(self) -> None:
        self.next_person = ""
        self.revoked: set[str] = set()
        self.verifiers: list[str] = []
        self.down = False

    def authorize_url(self, state: str, challenge: str) -> str:
        return f"/hub/api/oauth2/authorize?state={state}&code_challenge={challenge}"

    async def token(self, code: str, verifier: str) -> str:
        self.verifiers.append(verifier)
        return f"token of {code}"

    async def person(self, token: str) -> str | None:
        if self.down:
            raise ComponentDown("sign_in_failed", "The hub did not confirm who you are.", "Sign in again.")
        return None if token in self.revoked else token.removeprefix("token of ")


class Browser:
    """One person's browser in front of the pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://enclave.test", headers=OWN
        )

    async def sign_in(self, person: str) -> httpx.Response:
        sent = await self.http.get("/enclave/login?next=/enclave/requests")
        state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
        return await self.http.get(f"/enclave/oauth_callback?state={state}&code={person}")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(
            f"/enclave/{path}", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    async def csrf(self) -> str:
        home = await self.get("")
        found = re.search(r'name="csrf" value="([^"]+)"', home.text)
        assert found is not None
        return found.group(1)

    async def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
        data = {"csrf": await self.csrf()} | form
        return await self.http.post(f"/enclave/{path}", data=data, headers=headers)


class World:
    """The house, the hub and the pages of one test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.house = HouseForTests()
        self.hub = HubForTests()
        self.sessions = BrowserSessions(lambda: self.now)
        self.app = pages_app(self.house, self.hub, secure=False, sessions=self.sessions)

    async def browser(self, person: str) -> Browser:
        browser = Browser(self.app)
        await browser.sign_in(person)
        return browser
