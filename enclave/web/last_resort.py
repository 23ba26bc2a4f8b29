"""The outermost layer: an error nobody foresaw is told without its text, which could hold a value."""

import logging
import traceback

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("enclave.web")


class LastResort:
    """Answers 500 in the house's words and logs where it happened, never what the exception said."""

    def __init__(self, app: ASGIApp, answer: ASGIApp) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; once an answer has started there is nothing better than to stop."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as unforeseen:  # noqa: BLE001 - this is the last door before the log
            log.error("%s at %s", type(unforeseen).__name__, _place(unforeseen))  # noqa: TRY400 - the text stays out
            if scope["type"] == "http" and not started:
                await self._answer(scope, receive, send)


def _place(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
