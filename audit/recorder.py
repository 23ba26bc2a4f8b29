"""The recorder: an HTTP server on a unix socket, the only writer of the trail and the only holder of its key.

Whoever may open the socket may record; the socket has mode 0600 and lives where only the services reach.
"""

import asyncio
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from audit import __version__, retention_doors
from audit.checkpoint import Signer
from audit.details import MAX_DETAIL_BYTES, parse_submitted
from audit.errors import AuditError, BadInput, LogUnavailable, NotFound, TooLarge
from audit.event import MAX_EVENT_BYTES, Event, new_id, utc_now
from audit.log import Log
from audit.second_signature import SecondSigner
from audit.store import EQUAL, Trouble
from audit.store_search import COUNTED, MAX_ROWS, Search

SERVICE: Final = "recorder"
ANSWER_SECONDS: Final = 2.0  # a caller is refused after this; an event not yet begun is then never written
SEARCH_WORDS: Final = frozenset({*EQUAL, "object", "before", "after", "below", "limit", "text"})
DEFAULT_LIMIT: Final = 100
MOST_WORDS: Final = 16
HEARTBEAT_SECONDS: Final = 3_600.0
PRIVATE_UMASK: Final = 0o077


def create_app(log: Log) -> Starlette:
    """Give the recorder's HTTP interface over an open log."""
    app = Starlette(
        routes=[
            Route("/v1/events", _record, methods=["POST"]),
            Route("/v1/events", _search, methods=["GET"]),
            Route("/v1/open", _open_intents, methods=["GET"]),
            Route("/v1/health", _health, methods=["GET"]),
            Route("/v1/proof/{index:int}", _proof, methods=["GET"]),
            *retention_doors.routes(),
        ],
        exception_handlers={AuditError: _refuse, HTTPException: _no_such_address, Trouble: _fault},
    )
    app.state.log = log
    app.state.keeper = retention_doors.Keeper(log)
    return app


async def _record(request: Request) -> Response:
    event, detail = parse_submitted(await _body(request))
    waiting = asyncio.wrap_future(_log(request).submit(event, detail))
    try:
        accepted = await asyncio.wait_for(waiting, ANSWER_SECONDS)
    except TimeoutError:
        raise LogUnavailable(
            "log_too_slow",
            f"the trail's disk did not answer within {ANSWER_SECONDS:g} s; do not act",
            "check the disk of the trail; the same event may be sent again",
        ) from None
    return JSONResponse(
        {"index": accepted.index, "id": accepted.event_id, "leaf_sha256": accepted.leaf_sha256.hex()},
        status_code=201,
    )


async def _body(request: Request) -> bytes:
    """Read the body, and no more of it than an event and a detail beside it may have."""
    held = b""
    async for part in request.stream():
        held += part
        if len(held) > MAX_EVENT_BYTES + MAX_DETAIL_BYTES:
            raise TooLarge(
                "event_too_large",
                f"the event has more than {MAX_EVENT_BYTES} bytes; nothing was recorded",
                "record counts and hashes, not contents",
            )
    return held


async def _search(request: Request) -> Response:
    found, total = await run_in_threadpool(_log(request).search, _wanted(request))
    return JSONResponse({"events": found, "total": min(total, COUNTED), "more": total > COUNTED})


def _wanted(request: Request) -> Search:
    asked = {key: value for key, value in request.query_params.items() if value}
    if unknown := sorted(set(asked) - SEARCH_WORDS):
        raise BadInput(
            "unknown_filter",
            f"{len(unknown)} of the search words are not known",
            f"use {', '.join(sorted(SEARCH_WORDS))}",
        )
    limit = asked.get("limit", str(DEFAULT_LIMIT))
    if not limit.isdecimal() or not 0 < int(limit) <= MAX_ROWS:
        raise BadInput("bad_limit", f"limit is a number from 1 to {MAX_ROWS}")
    below = asked.get("below")
    if below is not None and not below.isdecimal():
        raise BadInput("bad_below", "below is the index of an entry")
    equal: dict[str, str] = {name: asked[name] for name in EQUAL if name in asked}
    times = asked.get("before"), asked.get("after")
    place = None if below is None else int(below)
    wanted = Search(equal, asked.get("object"), *times, int(limit), place, asked.get("text", ""))
    if wanted.text and not 0 < len(wanted.words) <= MOST_WORDS:
        raise BadInput("bad_text", f"a text to look for has 1 to {MOST_WORDS} words of letters and digits")
    return wanted


async def _open_intents(request: Request) -> Response:
    service = request.query_params.get("service")
    if not service:
        raise BadInput("no_service", "say whose open intents: ?service=NAME")
    return JSONResponse({"events": await run_in_threadpool(_log(request).store.open_intents, service)})


async def _health(request: Request) -> Response:
    log = _log(request)
    log.check()
    log.check_files()
    head = log.head
    return JSONResponse(
        {"origin": head.origin, "size": head.size, "root": head.root.hex(), "version": __version__}
    )


async def _proof(request: Request) -> Response:
    return PlainTextResponse(await run_in_threadpool(_log(request).prove, request.path_params["index"]))


def _log(request: Request) -> Log:
    log: Log = request.app.state.log
    return log


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AuditError)  # noqa: S101  (Starlette hands over what it was asked to)
    return JSONResponse(error.as_json(), status_code=error.http_status())


async def _no_such_address(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    told = NotFound("no_such_address", "the recorder has no such address or method", "see `audit --help`")
    response = await _refuse(request, told)
    response.status_code = status
    return response


async def _fault(request: Request, _error: Exception) -> Response:
    return await _refuse(
        request, LogUnavailable("log_state_unknown", "the trail's database failed", "check its disk")
    )


def own_event(
    act: Literal["audit.start", "audit.stop", "audit.heartbeat"], counts: dict[str, int] | None = None
) -> Event:
    """Give the event the recorder writes about itself."""
    told: dict[str, Any] = {
        "v": 1,
        "id": new_id(),
        "type": act,
        "phase": "single",
        "corr": new_id(),
        "occurred": utc_now(),
        "actor": {"id": SERVICE, "kind": "service"},
        "source": {"service": SERVICE, "version": __version__},
        "outcome": "success",
    }
    return Event.model_validate(told if counts is None else {**told, "counts": counts})


@contextmanager
def beating(log: Log, seconds: float) -> Iterator[None]:
    """Record that the log is alive, so that silence is seen: a trail without heartbeats was not running."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(seconds):
            log.submit(own_event("audit.heartbeat", {"entries": log.head.size}))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def bind(path: Path) -> socket.socket:
    """Listen on a unix socket of mode 0600, replacing one that a killed recorder left.

    Raises LogUnavailable when a living process answers there or the path cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _refuse_living(path)
        path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise LogUnavailable(
            "socket_not_opened", f"cannot listen on {path} ({why})", "check the path"
        ) from None
    except BaseException:
        listener.close()
        raise
    return listener


def _refuse_living(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        code = probe.connect_ex(os.fspath(path))
    if code not in {errno.ENOENT, errno.ECONNREFUSED}:
        raise LogUnavailable("socket_in_use", f"something answers on {path} already", "stop it first")


@contextmanager
def _private_umask() -> Iterator[None]:
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def serve(
    directory: Path,
    signer: Signer,
    path: Path,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    details_key: bytes | None = None,
    second: SecondSigner | None = None,
) -> None:
    """Run the recorder until it is told to stop (SIGTERM, SIGINT), between its own start and stop events.

    Raises LogUnavailable or LogDamaged when the trail or the socket cannot be opened.
    """
    with (
        _private_umask(),
        closing(Log(directory, signer, details_key=details_key, second=second)) as log,
        closing(bind(path)) as listener,
    ):
        log.record(own_event("audit.start"))
        config = uvicorn.Config(
            create_app(log), log_level="warning", access_log=False, lifespan="off", server_header=False
        )
        with _signals_end_here(), beating(log, heartbeat_seconds):
            uvicorn.Server(config).run(sockets=[listener])
        path.unlink(missing_ok=True)
        log.record(own_event("audit.stop"))


@contextmanager
def _signals_end_here() -> Iterator[None]:
    """Keep the stop signal, which uvicorn raises again once it has stopped, from ending us before the log is."""
    handler: Callable[[int, Any], None] = lambda _number, _frame: None  # noqa: E731
    before = {each: signal.signal(each, handler) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, held in before.items():
            signal.signal(each, held)
