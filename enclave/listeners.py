"""Many unix sockets in one process, each with the app that answers on it; reachable by this user only."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

LISTEN_SECONDS = 5.0
GRACE_SECONDS = 2


class _Server(uvicorn.Server):
    """A server among several on one loop: the process, not the server, answers to signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def private_socket(path: Path) -> socket.socket:
    """Listen on a unix socket that only this user can reach, in place of whatever lay there."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(old)
    listening.listen(128)
    listening.setblocking(False)
    return listening


class Listeners:
    """Every socket of the process, each with the app that answers on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._beside: list[asyncio.Task[object]] = []
        self._open: dict[Path, tuple[_Server, asyncio.Task[None]]] = {}

    def add(self, path: Path, app: Any) -> None:
        """Open a socket; from any thread. Opening it anew replaces it."""
        asyncio.run_coroutine_threadsafe(self._add(path, app), self._loop).result(LISTEN_SECONDS)

    def remove(self, path: Path) -> None:
        """Close a socket; from any thread."""
        asyncio.run_coroutine_threadsafe(self._remove(path), self._loop).result(LISTEN_SECONDS)

    def in_the_background(self, work: Callable[[], object]) -> None:
        """Do something beside serving, in a thread of its own."""
        self._beside.append(self._loop.create_task(asyncio.to_thread(work)))

    async def _add(self, path: Path, app: Any) -> None:
        await self._remove(path)
        # h11 and no access log: a request line can carry what a person typed
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = _Server(config)
        self._open[path] = server, self._loop.create_task(server.serve(sockets=[private_socket(path)]))

    async def _remove(self, path: Path) -> None:
        server, task = self._open.pop(path, (None, None))
        if server is not None and task is not None:
            server.should_exit = True
            await task
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - one unlink of a socket in memory

    async def remove_all(self) -> None:
        """Close every socket, at the end."""
        await asyncio.gather(*(self._remove(path) for path in list(self._open)))


async def until_told_to_stop(lay_out: Callable[[Listeners], Awaitable[None]]) -> None:
    """Lay the sockets out, serve on them, and close them all at SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listeners = Listeners(loop)
    await lay_out(listeners)
    await stop.wait()
    await listeners.remove_all()
