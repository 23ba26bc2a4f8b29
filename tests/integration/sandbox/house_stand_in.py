"""The house's internal API for tests of the hub alone: real sockets, real folders, two people, no trail.

`python house_stand_in.py STATE RUN` serves `house.sock` and `enclave.sock` in RUN and a data socket a session.
A file `down` in STATE makes it answer 503 to whatever needs a receipt; `away` holds people no longer known.
"""

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

PASSWORD = "a long phrase for tests"
PEOPLE = {
    "researcher-a": {"roles": ["researcher"], "projects": ["study-one", "study-two"]},
    "researcher-b": {"roles": ["researcher"], "projects": ["study-one"]},
    "auditor-a": {"roles": ["auditor"], "projects": []},
}


class House:
    """State of the double; every call is kept in `calls.jsonl`, for tests to read."""

    def __init__(self, state: Path, run: Path) -> None:
        self.state, self.run = state, run
        self.data_servers: dict[str, web.AppRunner] = {}

    def note(self, call: str, **told: Any) -> None:
        with (self.state / "calls.jsonl").open("a") as stream:
            stream.write(json.dumps({"call": call, **told}) + "\n")

    def is_down(self) -> bool:
        return (self.state / "down").exists()

    def away(self) -> str:
        file = self.state / "away"
        return file.read_text() if file.exists() else ""

    def known(self, person: str) -> dict[str, Any] | None:
        found = PEOPLE.get(person)
        return {"person": person, **found} if found and person not in self.away() else None


def refusal(status: int, code: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": code, "to_do": ""}}, status=status)


async def login(request: web.Request) -> web.Response:
    house, body = request.app["house"], await request.json()
    known = house.known(body["person"])
    if house.is_down():
        return refusal(503, "recorder_down")
    if known is None or body["password"] != PASSWORD:
        return refusal(401, "login_refused")
    return web.json_response(known)


async def person(request: web.Request) -> web.Response:
    known = request.app["house"].known(request.match_info["person"])
    return web.json_response(known) if known else refusal(404, "no_such_person")


async def open_session(request: web.Request) -> web.Response:
    house, body = request.app["house"], await request.json()
    known = house.known(body["person"])
    if house.is_down():
        return refusal(503, "recorder_down")
    if known is None or body["project"] not in known["projects"]:
        return refusal(403, "not_a_member")
    session = secrets.token_hex(5)
    places = house.run / "n" / session
    workspace = house.state / "workspaces" / body["person"] / body["project"]
    for folder in (places / "nb", places / "data", workspace):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    house.data_servers[session] = await serve_data(places / "data" / "data.sock", body)
    house.note("open", session=session, **body)
    answer = {"nb_dir": str(places / "nb"), "data_dir": str(places / "data"), "workspace": str(workspace)}
    return web.json_response({"session": session, **answer}, status=201)


async def serve_data(socket: Path, who: dict[str, str]) -> web.AppRunner:
    async def me(request: web.Request) -> web.Response:
        return web.json_response(who)

    app = web.Application()
    app.router.add_get("/api/v1/me", me)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    return runner


async def started(request: web.Request) -> web.Response:
    request.app["house"].note("started", session=request.match_info["session"], **await request.json())
    return web.Response(status=204)


async def close_session(request: web.Request) -> web.Response:
    house, session = request.app["house"], request.match_info["session"]
    runner = house.data_servers.pop(session, None)
    if runner is not None:
        await runner.cleanup()
    house.note("close", session=session)
    return web.Response(status=204)


async def meter(request: web.Request) -> web.Response:
    house = request.app["house"]
    if house.is_down():
        return refusal(503, "recorder_down")
    house.note("meter", **await request.json())
    return web.Response(status=204)


async def pages(request: web.Request) -> web.Response:
    return web.Response(text="<p>pages</p>", content_type="text/html")


async def serve(state: Path, run: Path) -> None:
    internal, public = web.Application(), web.Application()
    internal["house"] = House(state, run)
    internal.add_routes(
        [
            web.post("/internal/v1/login", login),
            web.get("/internal/v1/people/{person}", person),
            web.post("/internal/v1/sessions", open_session),
            web.post("/internal/v1/sessions/{session}/started", started),
            web.delete("/internal/v1/sessions/{session}", close_session),
            web.post("/internal/v1/meter", meter),
        ]
    )
    public.router.add_route("*", "/enclave/{path:.*}", pages)
    for app, name in ((internal, "house.sock"), (public, "enclave.sock")):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(run / name)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
