"""Where each prefix leads: the hub, the pages, and one socket for each running notebook server."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from enclave.errors import ComponentDown, NotFound
from enclave.hub.allowed import Door, Passage, server_prefix

HUB_PREFIX = "/"
ANSWER_SECONDS = 300.0
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Route:
    """A prefix, where it leads as the hub wrote it, and the client that reaches it."""

    target: str
    data: dict[str, Any]
    client: aiohttp.ClientSession
    pinned: int | None = None

    async def close(self) -> None:
        await self.client.close()
        if self.pinned is not None:
            os.close(self.pinned)


def _client(socket: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(socket, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS),
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
    )


def pin_socket(path: Path) -> int:
    """Hold the very socket that is at `path`, so that no link put there later is followed.

    Raises `ComponentDown` when what is there is no socket.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ComponentDown("no_socket", "The notebook server's socket is not a socket.")
    return descriptor


def _socket_of(target: str) -> Path:
    parts = urlsplit(target)
    if parts.scheme != "http+unix":
        raise ComponentDown("not_a_socket", "Components are reached by unix sockets only.")
    return Path(unquote(parts.netloc))


class Routes:
    """The gateway's table, as the hub writes it, and the fixed route of the pages."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._pages: aiohttp.ClientSession | None = None

    def set_pages(self, socket: Path) -> None:
        """Name the pages' socket; reached anew for each connection, as the service may start again."""
        self._pages = _client(str(socket))

    async def add(self, prefix: str, target: str, data: dict[str, Any]) -> None:
        """Add or replace a route. Raises `ComponentDown` for what is no unix socket."""
        socket = _socket_of(target)
        await self.remove(prefix)
        if "user" in data:
            pinned = pin_socket(socket)
            self._routes[prefix] = Route(target, data, _client(f"/proc/self/fd/{pinned}"), pinned)
        else:
            self._routes[prefix] = Route(target, data, _client(str(socket)))

    async def remove(self, prefix: str) -> None:
        route = self._routes.pop(prefix, None)
        if route is not None:
            await route.close()

    async def close(self) -> None:
        for prefix in list(self._routes):
            await self.remove(prefix)
        if self._pages is not None:
            await self._pages.close()

    def as_hub_reads_them(self) -> dict[str, dict[str, Any]]:
        return {
            prefix: {"routespec": prefix, "target": route.target, "data": route.data}
            for prefix, route in self._routes.items()
        }

    def has_server(self, passage: Passage) -> bool:
        """Say whether the passage's notebook server runs."""
        return server_prefix(passage) in self._routes

    def client_for(self, passage: Passage) -> aiohttp.ClientSession:
        """Give the client behind a passage. Raises `NotFound` for a server that does not run."""
        if passage.door is Door.PAGES:
            client = self._pages
        else:
            route = self._routes.get(server_prefix(passage) if passage.person else HUB_PREFIX)
            client = route.client if route is not None else None
        if client is None:
            raise NotFound("no_server", "Nothing runs behind this address.")
        return client
