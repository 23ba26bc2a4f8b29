"""What the hub asks of the house over its internal socket; it holds no rule and no record itself."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from enclave.errors import ComponentDown, EnclaveError, NotFound, Refused

SECONDS = 10.0
# A stop never waits for the house (acts that only close).
CLOSING_SECONDS = 1.0


@dataclass(frozen=True)
class Known:
    """A person as the house knows them at this moment."""

    person: str
    roles: frozenset[str]
    projects: frozenset[str]


@dataclass(frozen=True)
class Session:
    """A recorded notebook session and its places on this machine."""

    id: str
    nb_dir: Path
    data_dir: Path
    workspace: Path


def _down() -> ComponentDown:
    return ComponentDown(
        "house_down", "The service does not answer; nothing was done.", "Run `enclave status`."
    )


def _error_from(status: int, body: Any) -> EnclaveError:
    told = body.get("error", {}) if isinstance(body, dict) else {}
    kind = {404: NotFound, 401: Refused, 403: Refused, 409: Refused, 422: Refused}.get(status, ComponentDown)
    message = str(told.get("message", "The service refused."))
    return kind(str(told.get("code", "refused")), message, str(told.get("to_do", "")))


class House:
    """The internal API, one method a question. Raises `Refused`, `NotFound` or `ComponentDown`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._client: aiohttp.ClientSession | None = None

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None or self._client.closed:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket)), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._client

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(self, method: str, path: str, body: Any = None, seconds: float = SECONDS) -> Any:
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            request = self._http().request(
                method, f"http://house/internal/v1{path}", json=body, timeout=limit
            )
            async with request as answer:
                content = await answer.json(content_type=None) if answer.status != 204 else {}  # noqa: PLR2004
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            raise _down() from None
        if answer.ok:
            return content
        raise _error_from(answer.status, content)

    @staticmethod
    def _known(answer: Any) -> Known:
        return Known(str(answer["person"]), frozenset(answer["roles"]), frozenset(answer["projects"]))

    async def login(self, person: str, password: str, client: str = "", browser: str = "") -> Known:
        """Have a password checked, and from where it came recorded."""
        body = {"person": person, "password": password, "client": client, "browser": browser}
        return self._known(await self._ask("POST", "/login", body))

    async def person(self, person: str) -> Known:
        return self._known(await self._ask("GET", f"/people/{person}"))

    async def open_session(self, person: str, project: str) -> Session:
        """Have a session recorded and its folders and data socket made, before anything starts."""
        answer = await self._ask("POST", "/sessions", {"person": person, "project": project})
        places = (Path(answer["nb_dir"]), Path(answer["data_dir"]), Path(answer["workspace"]))
        return Session(str(answer["session"]), *places)

    async def started(self, session: str, *, ok: bool) -> None:
        await self._ask("POST", f"/sessions/{session}/started", {"ok": ok})

    async def close_session(self, session: str) -> None:
        await self._ask("DELETE", f"/sessions/{session}", seconds=CLOSING_SECONDS)

    async def meter(self, person: str, project: str, channel: str, count: int) -> None:
        """Have `count` bytes towards the browser recorded."""
        body = {"person": person, "project": project, "channel": channel, "bytes": count}
        await self._ask("POST", "/meter", body)


@functools.cache
def house_at(socket: str) -> House:
    """Give the one client of a socket: the hub's parts share its connections."""
    return House(Path(socket))
