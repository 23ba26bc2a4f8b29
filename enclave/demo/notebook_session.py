"""A notebook without a browser: sign in, start a project's server, run cells. For the demonstration's check and tests.

Everything goes through the gateway, as a browser's requests would: form, cookies, OAuth, websocket.
"""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import aiohttp
from yarl import URL

from enclave.errors import ComponentDown, EnclaveError, NotAuthenticated, Refused

START_SECONDS = 90.0
CELL_SECONDS = 60.0
LOOK_SECONDS = 0.3
XSRF = "_xsrf"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_TAG = re.compile(r"<[^>]+>")
_ERROR = re.compile(r"<div class=\"error\">(.*?)</div>", re.DOTALL)
_REFUSED_FROM = 400


@dataclass(frozen=True)
class CellOutput:
    """What a cell showed as text, and the name of the exception it ended in, if any."""

    text: str
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class NotebookSession:
    """One person at one project's notebook server, signed in."""

    def __init__(self, http: aiohttp.ClientSession, origin: str, person: str, project: str) -> None:
        self._http = http
        self.origin = origin
        self.base = f"/user/{person}/{project}/"
        self.person = person
        self.project = project
        self._kernel = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    def _xsrf(self, path: str) -> str:
        cookies = self._http.cookie_jar.filter_cookies(URL(self.origin + path))
        return cookies[XSRF].value if XSRF in cookies else ""

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request as JupyterLab would; `path` is absolute and is sent as it is spelt."""
        headers = {"Origin": self.origin, "X-XSRFToken": self._xsrf(self.base), **options.pop("headers", {})}
        url = URL(self.origin + path, encoded=True)
        sent = self._http.request(method, url, headers=headers, allow_redirects=False, **options)
        async with sent as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def api(self, method: str, path: str, **options: Any) -> Any:
        """Call the notebook server; `path` below the project's prefix. Raises `Refused` with the status."""
        answer = await self.request(method, self.base + path, **options)
        if answer.status >= _REFUSED_FROM:
            raise Refused(
                "notebook_refused", f"The notebook server answered {answer.status}.", status=answer.status
            )
        return answer.json() if answer.body else None

    async def sign_in(self, password: str) -> None:
        """Fill in the hub's form. Raises `NotAuthenticated`."""
        await self.request("GET", "/hub/login")
        form = {"username": self.person, "password": password, XSRF: self._xsrf("/hub/")}
        answer = await self.request("POST", "/hub/login", data=form)
        if answer.status not in {302, 303}:
            raise NotAuthenticated("not_signed_in", f"The hub answered {answer.status} to the login form.")

    async def start_server(self) -> None:
        """Start the project's server, or find it running. Raises `Refused` or `ComponentDown`."""
        end = time.monotonic() + START_SECONDS
        url = f"{self.origin}/hub/spawn/{self.person}/{self.project}"
        while time.monotonic() < end:
            async with self._http.get(url, headers={"Origin": self.origin}) as answer:
                if answer.status >= _REFUSED_FROM:
                    raise Refused("not_started", _plain(await answer.text()), status=answer.status)
                if answer.url.path.startswith(self.base):
                    return
                url = str(answer.url)
            await asyncio.sleep(LOOK_SECONDS)
        raise ComponentDown("not_started", "The notebook server did not start in time.")

    async def start_kernel(self) -> str:
        """Start a kernel and join its channels; gives its id."""
        model = await self.api("POST", "api/kernels", json={"name": "enclave", "path": ""})
        self._kernel = str(model["id"])
        await self.join()
        return self._kernel

    async def join(self) -> None:
        """Open the kernel's channels (again)."""
        if self._socket is not None:
            await self._socket.close()
        url = f"{self.origin}{self.base}api/kernels/{self._kernel}/channels?session_id={uuid.uuid4().hex}"
        self._socket = await self._http.ws_connect(url, headers={"Origin": self.origin}, max_msg_size=0)

    async def run(self, code: str, seconds: float = CELL_SECONDS) -> CellOutput:
        """Run a cell and give its text. Raises `ComponentDown` when the channel is closed on the way."""
        if self._socket is None:
            await self.start_kernel()
        message = _execute_request(code)
        assert self._socket is not None  # noqa: S101 - just opened
        await self._socket.send_json(message)
        return await asyncio.wait_for(self._collect(message["header"]["msg_id"]), seconds)

    async def _collect(self, asked: str) -> CellOutput:
        texts: list[str] = []
        error, replied, idle = "", False, False
        while not (replied and idle):
            message = await self._receive()
            if message.get("parent_header", {}).get("msg_id") != asked:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            texts.append(_text_in(kind, content))
            error = content["ename"] if kind == "error" else error
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
        return CellOutput("".join(texts), error)

    async def _receive(self) -> dict[str, Any]:
        assert self._socket is not None  # noqa: S101 - `run` opened it
        received = await self._socket.receive()
        if received.type is not aiohttp.WSMsgType.TEXT:
            code = self._socket.close_code or 0
            raise ComponentDown("channel_closed", f"The kernel's channel was closed ({code}).", status=code)
        message: dict[str, Any] = received.json()
        return message

    async def close(self) -> None:
        """Stop the server."""
        if self._socket is not None:
            await self._socket.close()
        path = f"/hub/api/users/{self.person}/servers/{self.project}"
        await self.request("DELETE", path, headers={"X-XSRFToken": self._xsrf("/hub/")}, json={})


def _plain(page: str) -> str:
    """Give what an error page of the hub says."""
    told = _ERROR.search(page)
    return unescape(" ".join(_TAG.sub(" ", told[1] if told else page).split()))[:400]


def _text_in(kind: str, content: dict[str, Any]) -> str:
    """Give what one message shows as text."""
    if kind == "stream":
        return str(content["text"])
    if kind == "error":
        return _ESCAPES.sub("", "\n".join(content["traceback"]))
    if kind in {"execute_result", "display_data"}:
        return str(content["data"].get("text/plain", ""))
    return ""


def _execute_request(code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


@contextlib.asynccontextmanager
async def open_notebook(
    origin: str, person: str, password: str, project: str
) -> AsyncIterator[NotebookSession]:
    """Sign in and start the project's server; it is stopped at the end. Raises `EnclaveError`."""
    jar = aiohttp.CookieJar(unsafe=True)  # an address of digits is a host here
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        session = NotebookSession(http, origin, person, project)
        await session.sign_in(password)
        try:
            await session.start_server()
            yield session
        finally:
            with contextlib.suppress(EnclaveError, aiohttp.ClientError):
                await session.close()
