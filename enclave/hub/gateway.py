"""The one listener: every request of a browser passes here, on a canonical path, through a listed door, metered.

A JupyterHub `Proxy` that runs in the hub's process. What may pass is said in `allowed`, which headers in `headers`,
how much in `meter`; this module joins them and moves the bytes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import WSMsgType, web
from jupyterhub.proxy import Proxy
from traitlets import Integer, Unicode
from yarl import URL

from enclave.errors import BadInput, ComponentDown, EnclaveError, NotFound, Refused
from enclave.hub import words
from enclave.hub.allowed import Door, Passage, find_passage, server_prefix
from enclave.hub.assets import Assets
from enclave.hub.canonical import Target, read_target
from enclave.hub.headers import (
    HOP_BY_HOP,
    OWN_ANSWER_HEADERS,
    answer_headers,
    cookie_stays_below,
    is_attachment,
    is_own_place,
    request_headers,
)
from enclave.hub.house import house_at
from enclave.hub.meter import BudgetSpent, DayCount, Meter, NotMetered
from enclave.hub.routes import Routes
from enclave.hub.standing import Standing

HOME_PAGE = "/enclave/"
LOOPBACK = "127.0.0.1"
SAFE_METHODS = frozenset({"GET", "HEAD"})
BODY_BYTES_MAX = 64 << 20
CHUNK_BYTES = 64 * 1024
MESSAGE_BYTES_MAX = 32 << 20
STANDING_SECONDS = 5.0
CLOSED_BY_ENCLAVE = 4403
TRY_LATER = 1013
KERNEL_PROTOCOL = "v1.kernel.websocket.jupyter.org"

NOWHERE = Passage(Door.DATA)
PAGE = (
    '<!doctype html><html lang="fr"><meta charset="utf-8"><title>Enclave</title>'
    f'<p>{{fr}}</p><p lang="en">{{en}}</p><p><a href="{HOME_PAGE}">Enclave — mes projets</a></p></html>'
)


class BodyTooLargeError(Exception):
    """The browser sends more than passes."""


def _told(error: EnclaveError) -> tuple[int, words.Words]:
    """Give the status and the words a refusal is answered with."""
    table: list[tuple[type[EnclaveError], int, words.Words]] = [
        (BudgetSpent, 429, words.BUDGET_SPENT),
        (NotMetered, 503, words.NOT_METERED),
        (BadInput, 400, words.BAD_ADDRESS),
        (NotFound, 404, words.NO_SERVER),
        (ComponentDown, 503, words.HOUSE_DOWN),
    ]
    by_code = {
        "other_origin": words.OTHER_ORIGIN,
        "not_yours": words.NOT_YOURS,
        "no_download": words.NO_DOWNLOAD,
    }
    for kind, status, told in table:
        if isinstance(error, kind):
            return status, told
    return 403, by_code.get(error.code, words.CLOSED)


def refusal(error: EnclaveError, request: web.Request) -> web.Response:
    """Answer with a status, the two languages, and nothing of the request."""
    status, told = _told(error)
    body = {"message": str(told), "error": {"code": error.code, "message": told.en, "fr": told.fr}}
    as_page = "text/html" in request.headers.get("Accept", "")
    return web.Response(
        status=status,
        text=PAGE.format(fr=told.fr, en=told.en) if as_page else json.dumps(body, ensure_ascii=False),
        content_type="text/html" if as_page else "application/json",
        headers=answer_headers(NOWHERE, ""),
    )


def _is_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _limited(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    sent = 0
    async for chunk in stream.iter_chunked(CHUNK_BYTES):
        sent += len(chunk)
        if sent > BODY_BYTES_MAX:
            raise BodyTooLargeError
        yield chunk


class Gateway(Proxy):
    """Routes, filters and meters."""

    house_socket = Unicode(config=True, help="the service's internal socket")
    pages_socket = Unicode(config=True, help="the pages' unix socket")
    origin = Unicode(config=True, help="scheme and host under which browsers reach the gateway")
    venv = Unicode(config=True, help="notebook environment, whose web files are served")
    count_file = Unicode(config=True, help="where the day's output bytes are kept")
    output_bytes_per_day = Integer(config=True, help="bytes a day towards one person's browser")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        house = house_at(self.house_socket)
        count = DayCount.read(Path(self.count_file))
        self._meter = Meter(count, self.output_bytes_per_day, house.meter)
        self._standing = Standing(house.person)
        self._assets = Assets(Path(self.venv))
        self._routes = Routes()
        self._runner: web.AppRunner | None = None
        self._open: set[web.WebSocketResponse] = set()

    # What the hub asks of a proxy.

    async def start(self) -> None:
        """Listen."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        self._routes.set_pages(Path(self.pages_socket))
        place = urlsplit(self.public_url)
        await web.TCPSite(self._runner, place.hostname, place.port).start()

    async def stop(self) -> None:
        """Close every websocket, then the listener."""
        await asyncio.gather(*(socket.close() for socket in set(self._open)), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._routes.close()

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        await self._routes.add(routespec, target, data)

    async def delete_route(self, routespec: str) -> None:
        await self._routes.remove(routespec)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return self._routes.as_hub_reads_them()

    # What a browser asks.

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            target = read_target(request.raw_path)
            passage = find_passage(request.method, target)
            if self._is_typed_localhost(request):
                return self._redirect(f"{self.origin}{request.raw_path}", passage)
            self._check_origin(request)
            return await self._pass(request, target, passage)
        except BodyTooLargeError:
            return web.Response(status=413, text=str(words.TOO_LARGE), headers=answer_headers(NOWHERE, ""))
        except EnclaveError as error:
            self.log.info("refused: %s %s", error.code, request.method)
            return refusal(error, request)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            down = ComponentDown("no_answer", "The component behind the gateway does not answer.")
            return refusal(down, request)

    def _is_typed_localhost(self, request: web.Request) -> bool:
        """Say whether a person typed `localhost`: sent on, as cookies and origins are for one name only."""
        own = urlsplit(self.origin)
        typed = own.hostname == LOOPBACK and request.host == f"localhost:{own.port}"
        return typed and request.method in SAFE_METHODS

    def _check_origin(self, request: web.Request) -> None:
        """Refuse another host's name (DNS rebinding) and what another site's page sends.

        Raises `Refused`.
        """
        own_host = urlsplit(self.origin).netloc
        origin = request.headers.get("Origin")
        must_tell = _is_websocket(request)
        wrong = origin != self.origin if origin is not None or must_tell else False
        changes = request.method not in SAFE_METHODS
        from_elsewhere = request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
        if request.host != own_host or wrong or (changes and from_elsewhere):
            raise Refused("other_origin", "The request names another origin.")

    async def _pass(self, request: web.Request, target: Target, passage: Passage) -> web.StreamResponse:
        if passage.door is Door.HOME:
            return self._redirect(HOME_PAGE, passage)
        if passage.door is Door.ASSET:
            return self._asset(passage, target)
        if passage.person:
            await self._standing.check(passage.person, passage.project)
        if passage.door is Door.LAB and not self._routes.has_server(passage):
            return self._redirect(f"/hub{server_prefix(passage)}", passage)
        if _is_websocket(request):
            return await self._websocket(request, target, passage)
        return await self._forward(request, target, passage)

    def _redirect(self, place: str, passage: Passage) -> web.Response:
        headers = answer_headers(passage, self.origin) | {"Location": place}
        return web.Response(status=302, headers=headers)

    def _asset(self, passage: Passage, target: Target) -> web.StreamResponse:
        file = self._assets.find(passage.rest)
        headers = answer_headers(passage, self.origin) | {
            "Cache-Control": self._assets.cache_for(target.query)
        }
        return web.FileResponse(file, headers=headers)

    def _request_headers(self, request: web.Request, passage: Passage) -> list[tuple[str, str]]:
        scheme = urlsplit(self.origin).scheme
        return request_headers(
            request.headers.items(), request.headers, passage, request.remote or "", scheme
        )

    async def _forward(self, request: web.Request, target: Target, passage: Passage) -> web.StreamResponse:
        if (request.content_length or 0) > BODY_BYTES_MAX:
            raise BodyTooLargeError
        client = self._routes.client_for(passage)
        sent = client.request(
            request.method,
            _url(target),
            headers=self._request_headers(request, passage),
            data=_limited(request.content) if request.can_read_body else None,
            allow_redirects=False,
        )
        async with sent as upstream:
            answer = web.StreamResponse(
                status=upstream.status, headers=self._answer_headers(upstream, passage)
            )
            return await self._move(request, upstream, answer, passage)

    def _answer_headers(self, upstream: aiohttp.ClientResponse, passage: Passage) -> Any:
        """Choose the answer's headers. Raises `Refused` for a download or a redirect to elsewhere."""
        headers = upstream.headers.copy()
        if passage.person and is_attachment(headers.get("Content-Disposition", "")):
            raise Refused("no_download", "Downloads are closed.")
        if not is_own_place(headers.get("Location", ""), self.origin):
            raise Refused("other_origin", "The answer leads to another origin.")
        cookies = headers.popall("Set-Cookie", [])
        for name in {*HOP_BY_HOP, *OWN_ANSWER_HEADERS}:
            headers.popall(name, None)
        for cookie in cookies:
            # A server in a sandbox sets cookies for itself only: one for the hub would be somebody else's login.
            if not passage.person or cookie_stays_below(cookie, server_prefix(passage)):
                headers.add("Set-Cookie", cookie)
        headers.update(answer_headers(passage, self.origin))
        return headers

    async def _move(
        self,
        request: web.Request,
        upstream: aiohttp.ClientResponse,
        answer: web.StreamResponse,
        passage: Passage,
    ) -> web.StreamResponse:
        """Send the answer on; what is metered is drawn before it leaves."""
        known = int(upstream.headers.get("Content-Length", 0)) if request.method != "HEAD" else 0
        await self._draw(passage, known + sum(len(name) + len(text) for name, text in answer.headers.items()))
        await answer.prepare(request)
        async for chunk in upstream.content.iter_any():
            if not known:
                await self._draw_or_cut(request, passage, len(chunk))
            await answer.write(chunk)
        await answer.write_eof()
        return answer

    async def _draw(self, passage: Passage, count: int) -> None:
        if passage.person:
            await self._meter.draw(passage.person, passage.project, passage.channel.value, count)

    async def _draw_or_cut(self, request: web.Request, passage: Passage, count: int) -> None:
        """Draw in the middle of an answer; too late for a status, so a refusal cuts the connection."""
        try:
            await self._draw(passage, count)
        except EnclaveError as error:
            self.log.warning("cut an answer to %s: %s", passage.person, error.code)
            if request.transport is not None:
                request.transport.abort()
            raise

    # Websockets: a kernel's messages and the server's events.

    async def _websocket(self, request: web.Request, target: Target, passage: Passage) -> web.StreamResponse:
        if not passage.person:
            raise Refused("address_closed", "No websocket here.")
        await self._draw(passage, 1)
        kept = [
            pair
            for pair in self._request_headers(request, passage)
            if not pair[0].lower().startswith("sec-websocket")
        ]
        wanted = (
            [KERNEL_PROTOCOL] if KERNEL_PROTOCOL in request.headers.get("Sec-WebSocket-Protocol", "") else []
        )
        client = self._routes.client_for(passage)
        opened = client.ws_connect(
            _url(target), headers=kept, protocols=wanted, max_msg_size=MESSAGE_BYTES_MAX
        )
        async with opened as upstream:
            protocols = [upstream.protocol] if upstream.protocol else []
            browser = web.WebSocketResponse(
                protocols=protocols, max_msg_size=MESSAGE_BYTES_MAX, compress=False, timeout=1.0
            )
            browser.headers.update(answer_headers(passage, self.origin))
            await browser.prepare(request)
            await self._join(browser, upstream, passage)
            return browser

    async def _join(
        self, browser: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse, passage: Passage
    ) -> None:
        """Carry messages both ways until one side closes, the budget is spent or the person may no longer."""
        self._open.add(browser)
        ways: list[Callable[[], Awaitable[None]]] = [
            lambda: _copy(browser, upstream),
            lambda: self._copy_metered(upstream, browser, passage),
            lambda: self._watch(passage),
        ]
        tasks = [asyncio.ensure_future(way()) for way in ways]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._close(browser, next((task.exception() for task in done if task.exception()), None))
        finally:
            self._open.discard(browser)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _copy_metered(
        self, upstream: aiohttp.ClientWebSocketResponse, browser: web.WebSocketResponse, passage: Passage
    ) -> None:
        async for message in upstream:
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            await self._draw(passage, len(data))
            await _send(browser, message)

    async def _watch(self, passage: Passage) -> None:
        """Ask again now and then; raises `Refused` when the person may no longer be here."""
        while True:
            await asyncio.sleep(STANDING_SECONDS)
            await self._standing.check(passage.person, passage.project)

    async def _close(self, browser: web.WebSocketResponse, error: BaseException | None) -> None:
        if isinstance(error, EnclaveError):
            self.log.warning("closed a websocket: %s", error.code)
            _, told = _told(error)
            await browser.close(code=CLOSED_BY_ENCLAVE, message=_short(told))
        else:
            await browser.close(code=TRY_LATER if error else 1000)


def _short(told: words.Words) -> bytes:
    """Cut a close reason to what a control frame holds (RFC 6455 section 5.5: 125 bytes with the code)."""
    return told.fr.encode()[:120].decode(errors="ignore").encode()


def _url(target: Target) -> URL:
    query = f"?{target.query}" if target.query else ""
    return URL(f"http://component{target.path}{query}", encoded=True)


async def _send(to: Any, message: aiohttp.WSMessage) -> None:
    if message.type is WSMsgType.TEXT:
        await to.send_str(message.data)
    elif message.type is WSMsgType.BINARY:
        await to.send_bytes(message.data)


async def _copy(browser: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse) -> None:
    async for message in browser:
        await _send(upstream, message)
