"""How much a caller may send: the body is counted before anything reads it."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KIB = 1024
# 16 MiB of files (OpenSAFELY's limit for one output) as base64, plus their names
UPLOAD = 23 * 1024 * KIB
SMALL = 256 * KIB


class BodyLimit:
    """Answers 413 to a body larger than its path allows; a length that lies is counted, not believed."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int], refuse: ASGIApp) -> None:
        self._app = app
        self._limit = limit
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to its limit, then hand it to the application whole."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        body = None if _announced(scope) > limit else await _read(receive, limit)
        if body is None:
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _read(receive: Receive, limit: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
