import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from enclave.errors import ComponentDown
from enclave.hub.roles import PAGES_CLIENT, PAGES_SERVICE
from enclave.web.hub_sign_in import CLIENT, SCOPE, HubSignIn, challenge, new_verifier

TOKEN = "a" * 64


async def exchange(request: Request) -> Response:
    form = parse_qs((await request.body()).decode())
    right = (
        form["client_id"] == [CLIENT] and form["client_secret"] == [TOKEN] and form["code_verifier"] == ["v"]
    )
    if form["code"] != ["good"] or not right:
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    return JSONResponse({"access_token": "users-token"})


async def user(request: Request) -> Response:
    token = request.headers["authorization"].removeprefix("token ")
    if token == "users-token":
        return JSONResponse({"name": "steward-a", "scopes": [SCOPE]})
    if token == "other-token":
        return JSONResponse({"name": "steward-a", "scopes": ["read:users:name"]})
    return Response(status_code=403)


@contextmanager
def hub(path: Path) -> Iterator[None]:
    """The two addresses of a hub that a sign-in asks, behind a real unix socket."""
    app = Starlette(
        routes=[Route("/hub/api/oauth2/token", exchange, methods=["POST"]), Route("/hub/api/user", user)]
    )
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def sign_in(folder: Path) -> HubSignIn:
    token_file = folder / "pages-token"
    token_file.write_text(TOKEN + "\n")
    return HubSignIn(folder / "hub.sock", token_file)


async def closing(story: object) -> object:
    from jupyterhub.httpclient import JupyterHubHTTPClient

    try:
        return await story  # type: ignore[misc]
    finally:
        await JupyterHubHTTPClient.loop_instance().close()


def test_client_and_scope_are_those_the_hub_is_told():
    assert CLIENT == PAGES_CLIENT
    assert f"access:services!service={PAGES_SERVICE}" == SCOPE


def test_the_challenge_is_the_one_of_the_standards_example():
    # RFC 7636, appendix B
    assert (
        challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    assert len(new_verifier()) >= 43
    assert new_verifier() != new_verifier()


def test_the_authorize_address_names_client_state_and_challenge(tmp_path: Path):
    query = parse_qs(urlsplit(sign_in(tmp_path).authorize_url("the-state", "the-challenge")).query)
    assert query["client_id"] == [CLIENT]
    assert query["state"] == ["the-state"]
    assert query["code_challenge"] == ["the-challenge"]
    assert query["code_challenge_method"] == ["S256"]


def test_a_code_is_exchanged_and_a_person_read_over_the_hubs_socket(tmp_path: Path):
    door = sign_in(tmp_path)

    async def story() -> tuple[str, str | None, str | None, str | None]:
        token = await door.token("good", "v")
        return token, await door.person(token), await door.person("other-token"), await door.person("revoked")

    with hub(tmp_path / "hub.sock"):
        assert asyncio.run(closing(story())) == ("users-token", "steward-a", None, None)


def test_a_code_or_a_verifier_that_is_wrong_signs_nobody_in(tmp_path: Path):
    door = sign_in(tmp_path)
    with hub(tmp_path / "hub.sock"):
        for code, verifier in (("bad", "v"), ("good", "other")):
            with pytest.raises(ComponentDown):
                asyncio.run(closing(door.token(code, verifier)))


def test_a_hub_that_does_not_answer_signs_nobody_in(tmp_path: Path):
    door = sign_in(tmp_path)
    with pytest.raises(ComponentDown):
        asyncio.run(closing(door.person("users-token")))
    early = HubSignIn(tmp_path / "hub.sock", tmp_path / "not-there-yet")
    with pytest.raises(ComponentDown):
        asyncio.run(closing(early.person("users-token")))
