"""The gateway in front of a notebook server that has turned hostile: what it says, sets and sends is not believed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from enclave.hub import gateway as gateway_module
from enclave.hub.gateway import Gateway

PERSON = {"person": "a", "roles": ["researcher"], "projects": ["b"]}
BASE = "/user/a/b/"
BUDGET = 300_000


async def serve(app: web.Application, socket: Path) -> web.AppRunner:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    return runner


def house() -> web.Application:
    async def person(request: web.Request) -> web.Response:
        return web.json_response(PERSON)

    async def meter(request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.get("/internal/v1/people/a", person), web.post("/internal/v1/meter", meter)])
    return app


def hostile(answer: Callable[[web.Request], Any]) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@contextlib.asynccontextmanager
async def in_front_of(
    answer: Callable[[web.Request], Any], folder: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Give a function that asks the gateway, which has one server behind it that answers as told."""
    port = 18_000 + abs(hash(str(folder))) % 10_000
    origin = f"http://127.0.0.1:{port}"
    runners = [await serve(house(), folder / "h.sock"), await serve(hostile(answer), folder / "n.sock")]
    gateway = Gateway(
        public_url=origin,
        origin=origin,
        house_socket=str(folder / "h.sock"),
        pages_socket=str(folder / "e.sock"),
        count_file=str(folder / "bytes.json"),
        venv=str(folder),
        output_bytes_per_day=BUDGET,
    )
    await gateway.start()
    target = "http+unix://" + str(folder / "n.sock").replace("/", "%2F")
    await gateway.add_route(BASE, target, {"user": "a", "server_name": "b"})
    try:
        async with aiohttp.ClientSession(base_url=origin, headers={"Origin": origin}) as http:
            yield http
    finally:
        await gateway.stop()
        for runner in runners:
            await runner.cleanup()
        await gateway_module.house_at(str(folder / "h.sock")).close()


def ask(
    folder: Path, answer: Callable[[web.Request], Any], path: str = f"{BASE}api/contents", **options: Any
) -> Any:
    """Send one request through the gateway; gives status, headers and body."""

    async def story() -> Any:
        async with (
            in_front_of(answer, folder) as http,
            http.request(options.pop("method", "GET"), path, allow_redirects=False, **options) as got,
        ):
            return got.status, got.headers, await got.read()

    return asyncio.run(story())


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("g")


def test_a_download_is_not_passed_on(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="rows", headers={"Content-Disposition": "attachment; filename=x.csv"})

    status, _, body = ask(folder, answer)
    assert status == 403
    assert b"rows" not in body


def test_a_redirect_to_elsewhere_is_not_passed_on(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "https://elsewhere.example/?rows"})

    status, headers, _ = ask(folder, answer, f"{BASE}lab")
    assert status == 403
    assert "Location" not in headers


def test_a_servers_own_policy_and_cookies_for_others_are_dropped(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        loose = {
            "Content-Security-Policy": "default-src *",
            "Access-Control-Allow-Origin": "*",
            "Refresh": "0; url=https://elsewhere.example",
            "Service-Worker-Allowed": "/",
            "Clear-Site-Data": '"*"',
            "Set-Cookie": "jupyterhub-hub-login=forged; Path=/hub/",
        }
        return web.Response(text="x", headers=loose)

    _, headers, _ = ask(folder, answer, f"{BASE}lab")
    assert "*" not in headers["Content-Security-Policy"]
    for name in (
        "Access-Control-Allow-Origin",
        "Refresh",
        "Service-Worker-Allowed",
        "Clear-Site-Data",
        "Set-Cookie",
    ):
        assert name not in headers


def test_the_canonical_path_and_the_gateways_own_word_arrive(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"path": request.raw_path, **dict(request.headers)})

    path = URL(f"{BASE}%61pi/contents/%c3%a9.py?hash=1", encoded=True)
    _, _, body = ask(
        folder, answer, path, headers={"X-Forwarded-For": "10.0.0.1", "Connection": "X-A", "X-A": "1"}
    )
    told = json.loads(body)
    assert told["path"] == f"{BASE}api/contents/%C3%A9.py?hash=1"
    assert told["X-Forwarded-For"] == "127.0.0.1"
    assert "X-A" not in told


def test_a_body_passes_whole_and_one_too_large_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(len(await request.read()))

    monkeypatch.setattr(gateway_module, "BODY_BYTES_MAX", 1000)
    status, _, body = ask(folder, answer, method="PUT", data=b"x" * 1000)
    assert (status, body) == (200, b"1000")
    assert ask(folder, answer, method="PUT", data=b"x" * 1001)[0] == 413


def test_an_answer_above_the_budget_does_not_begin(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (BUDGET + 1))

    status, _, body = ask(folder, answer)
    assert status == 429
    assert b"xxx" not in body


def test_an_answer_of_unknown_length_is_cut_at_the_budget(folder: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for _ in range(100):
            await stream.write(b"x" * 10_000)
        return stream

    with pytest.raises(aiohttp.ClientError):
        ask(folder, answer)


def test_a_websocket_is_closed_at_the_budget(folder: Path) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await socket.send_bytes(b"x" * 10_000)
        return socket

    async def story() -> tuple[int, int | None]:
        received = 0
        async with (
            in_front_of(answer, folder) as http,
            http.ws_connect(f"{BASE}api/kernels/k/channels") as socket,
        ):
            async for message in socket:
                received += len(message.data)
            return received, socket.close_code

    received, code = asyncio.run(story())
    assert received <= BUDGET
    assert code == gateway_module.CLOSED_BY_ENCLAVE


def test_a_server_that_does_not_answer_is_a_503(folder: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    assert ask(folder, answer)[0] == 503
