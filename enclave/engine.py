"""The engine process: keeps the ledger, opens the research shelf, answers questions; it has no network of its own.

Only the service reaches its socket. Exact aggregates never leave this process.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from anonymisation import noise
from anonymisation.errors import AnonymisationError
from enclave.errors import EnclaveError, Told, as_json, http_status
from enclave.journeys.ledger_guard import LedgerGuard
from enclave.journeys.objection_list import Said
from enclave.journeys.question import Desk, Order
from enclave.listeners import Listeners, until_told_to_stop
from enclave.recording import Actor
from enclave.settings import Settings, read_settings
from enclave.wiring import engine_desk, ledger_guard
from vault.errors import VaultError
from vault.shelf import keep_pages

# An order carries the policy (at most a few MB of domains) and a question of at most 64 kB.
ORDER_BYTES_MAX = 16 << 20


def application(desk: Desk, guard: LedgerGuard) -> Starlette:
    """Give the engine's HTTP face; nothing that reads or spends a budget is done while the guard refuses."""

    def answering(act: Callable[[Order], dict[str, Any]]) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def endpoint(request: Request) -> JSONResponse:
            asked = Order.model_validate_json(await _body(request))
            guard.check()
            return JSONResponse(await run_in_threadpool(act, asked))

        return endpoint

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"engine": "ready"})

    async def running(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse({"running": desk.running.told(str(body["person"]), str(body["project"]))})

    async def population(request: Request) -> JSONResponse:
        body = await request.json()
        guard.check()
        actor = Actor(**body["actor"])
        await run_in_threadpool(desk.declare_population, body["population"], body["cap"], actor)
        return JSONResponse({})

    async def told_population(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(desk.population, request.path_params["population"]))

    async def caps(request: Request) -> JSONResponse:
        cap = await request.json()
        guard.check()
        actor = Actor(**cap.pop("actor"))
        await run_in_threadpool(
            desk.set_cap, cap["scope"], cap["population"], cap["own"], cap["rho_micro"], actor
        )
        return JSONResponse({})

    async def forget(request: Request) -> JSONResponse:
        desk.warm.purge(str((await request.json())["dataset"]))
        return JSONResponse({})

    routes = [
        Route("/v1/health", health),
        Route("/v1/catalogue", answering(desk.catalogue), methods=["POST"]),
        Route("/v1/price", answering(desk.price), methods=["POST"]),
        Route("/v1/ask", answering(desk.ask), methods=["POST"]),
        Route("/v1/profile", answering(desk.profile), methods=["POST"]),
        Route("/v1/profile/make", answering(desk.make_profile), methods=["POST"]),
        Route("/v1/cancel", answering(desk.cancel), methods=["POST"]),
        Route("/v1/running", running, methods=["POST"]),
        Route("/v1/left", answering(desk.left), methods=["POST"]),
        Route("/v1/population", population, methods=["POST"]),
        Route("/v1/forget", forget, methods=["POST"]),
        Route("/v1/populations/{population}", told_population),
        Route("/v1/caps", caps, methods=["POST"]),
        *_book_routes(desk, guard),
        *_objection_routes(desk),
    ]
    told = dict.fromkeys((EnclaveError, AnonymisationError, VaultError), _refused)
    return Starlette(routes=routes, exception_handlers=told)  # type: ignore[arg-type]  # starlette types handlers by Exception


def _book_routes(desk: Desk, guard: LedgerGuard) -> list[Route]:
    """Give what is done with the ledger itself, also while the guard refuses."""

    async def reenter(request: Request) -> JSONResponse:
        actor = Actor(**(await request.json())["actor"])
        return JSONResponse({"entered": await run_in_threadpool(guard.reenter, actor)})

    async def records(_: Request) -> JSONResponse:
        return JSONResponse({"records": await run_in_threadpool(desk.ledger_records)})

    return [Route("/v1/records", records), Route("/v1/reenter", reenter, methods=["POST"])]


def _objection_routes(desk: Desk) -> list[Route]:
    """Give what the data protection officer has the engine told, also while the guard refuses."""

    async def record(request: Request) -> JSONResponse:
        told = await request.json()
        said, actor = Said(**told["said"]), Actor(**told["actor"])
        listed = await run_in_threadpool(desk.objections.record, said, told["known"], actor)
        return JSONResponse(vars(listed))

    async def withdraw(request: Request) -> JSONResponse:
        told = await request.json()
        said, actor = Said(**told["said"]), Actor(**told["actor"])
        return JSONResponse(vars(await run_in_threadpool(desk.objections.withdraw, said, actor)))

    return [
        Route("/v1/objections", record, methods=["POST"]),
        Route("/v1/objections/withdraw", withdraw, methods=["POST"]),
    ]


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > ORDER_BYTES_MAX:
            break
    return body


async def _refused(_: Request, error: Told) -> JSONResponse:
    told = as_json(error)
    return JSONResponse({"error": {**told["error"], "params": error.params}}, http_status(error))


async def serve(settings: Settings) -> None:
    """Close what a crash left open, then serve until told to stop."""

    async def lay_out(listeners: Listeners) -> None:
        desk = await asyncio.to_thread(engine_desk, settings)
        guard = ledger_guard(settings, desk.ledger)
        await asyncio.to_thread(guard.look)
        await asyncio.to_thread(listeners.add, settings.socket("engine"), application(desk, guard))
        # the noise library takes seconds to load: not at the first researcher's expense
        listeners.in_the_background(noise.warm)

    await until_told_to_stop(lay_out)


def main() -> int:
    """Run the engine; says why it cannot on stderr."""
    keep_pages()
    try:
        asyncio.run(serve(read_settings()))
    except (EnclaveError, AnonymisationError, VaultError) as error:
        print(f"{error.message} {error.to_do}", file=sys.stderr)  # noqa: T201 - the process's log
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
