"""The small parts of the hub: standing, routes, assets, roles, the server's sandbox and its environment."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from enclave.errors import ComponentDown, NotFound, Refused
from enclave.hub import sandbox
from enclave.hub.allowed import Door, Passage
from enclave.hub.assets import A_YEAR, ASK_EACH_TIME, Assets
from enclave.hub.authenticator import hub_user, seen_from
from enclave.hub.house import Known
from enclave.hub.roles import NOTEBOOK_ROLES, ROLES, hub_roles
from enclave.hub.routes import Routes, pin_socket
from enclave.hub.standing import KEPT_SECONDS, Standing
from enclave.people import Role

RESEARCHER = Known("researcher-a", frozenset({"researcher"}), frozenset({"study-one"}))


class Directory:
    """Answers with what `known` holds: a person, nobody, or an error."""

    def __init__(self, known: Known | Exception) -> None:
        self.known = known
        self.asked = 0

    async def person(self, person: str) -> Known:
        self.asked += 1
        if isinstance(self.known, Exception):
            raise self.known
        return self.known


def test_where_somebody_comes_from_is_told_and_no_longer_than_the_house_takes_it():
    request = HTTPServerRequest("POST", "/hub/login", headers=HTTPHeaders({"User-Agent": "Lynx " * 80}))
    request.remote_ip = "192.0.2.17"
    client, browser = seen_from(request)
    assert (client, len(browser)) == ("192.0.2.17", 256)
    request.remote_ip, request.headers = None, HTTPHeaders()
    assert seen_from(request) == ("", "")


def check(standing: Standing, project: str = "study-one") -> None:
    asyncio.run(standing.check("researcher-a", project))


def test_a_member_with_the_role_may() -> None:
    check(Standing(Directory(RESEARCHER).person))


@pytest.mark.parametrize(
    "known",
    [
        NotFound("no_such_person", "nobody"),
        Refused("inactive", "inactive"),
        Known("researcher-a", frozenset({"auditor"}), frozenset({"study-one"})),
        Known("researcher-a", frozenset({"researcher"}), frozenset({"study-two"})),
    ],
)
def test_anybody_else_may_not(known: Known | Exception) -> None:
    with pytest.raises(Refused):
        check(Standing(Directory(known).person))


def test_a_house_that_does_not_answer_is_told_apart() -> None:
    with pytest.raises(ComponentDown):
        check(Standing(Directory(ComponentDown("house_down", "down")).person))


def test_a_standing_is_read_again_after_a_moment() -> None:
    now = [0.0]
    directory = Directory(RESEARCHER)
    standing = Standing(directory.person, lambda: now[0])
    check(standing)
    check(standing)
    assert directory.asked == 1
    now[0], directory.known = KEPT_SECONDS, NotFound("gone", "gone")
    with pytest.raises(Refused):
        check(standing)


def test_a_link_in_place_of_a_servers_socket_is_not_followed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "real.sock"))
        os.close(pin_socket(tmp_path / "real.sock"))
        (tmp_path / "nb.sock").symlink_to("real.sock")
        with pytest.raises(ComponentDown):
            pin_socket(tmp_path / "nb.sock")


def test_a_route_is_found_by_person_and_project_and_forgotten_when_deleted(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "nb.sock"))
            target = "http+unix://" + str(tmp_path / "nb.sock").replace("/", "%2F")
            routes = Routes()
            await routes.add("/user/a/b/", target, {"user": "a", "server_name": "b"})
            assert routes.client_for(Passage(Door.DATA, "a", "b"))
            assert routes.as_hub_reads_them()["/user/a/b/"]["target"] == target
            await routes.remove("/user/a/b/")
            for passage in (Passage(Door.DATA, "a", "b"), Passage(Door.HUB), Passage(Door.PAGES)):
                with pytest.raises(NotFound):
                    routes.client_for(passage)
            with pytest.raises(ComponentDown):
                await routes.add("/", "http://127.0.0.1:1", {})

    asyncio.run(story())


def test_assets_come_from_the_environment_and_no_link_leads_out(tmp_path: Path) -> None:
    web = tmp_path / "share" / "jupyter" / "lab" / "static"
    web.mkdir(parents=True)
    (web / "main.js").write_text("1")
    (tmp_path / "secret").write_text("2")
    (web / "out.js").symlink_to(tmp_path / "secret")
    assets = Assets(tmp_path)
    assert assets.find(("static", "lab", "main.js")) == web / "main.js"
    for names in (("static", "lab"), ("static", "lab", "out.js"), ("static", "lab", "none.js"), ("x",)):
        with pytest.raises(NotFound):
            assets.find(names)
    assert (assets.cache_for("v=1"), assets.cache_for("")) == (A_YEAR, ASK_EACH_TIME)


def test_the_hubs_roles_are_the_houses() -> None:
    assert set(ROLES) == {role.value for role in Role}
    assert set(ROLES) >= NOTEBOOK_ROLES


def test_nobody_may_list_share_or_make_tokens() -> None:
    scopes = {scope for role in hub_roles() for scope in role["scopes"]}
    words = {scope.split("!", maxsplit=1)[0].split(":", maxsplit=1)[0] for scope in scopes}
    assert not words & {"tokens", "shares", "admin", "groups", "list", "inherit", "self"}
    assert all("!" in scope for scope in scopes)


def test_nobody_is_an_administrator_and_unknown_roles_are_left_out() -> None:
    known = Known("operator-a", frozenset({"operator", "admin"}), frozenset())
    assert hub_user(known) == {"name": "operator-a", "admin": False, "groups": ["operator"]}


def test_a_servers_environment_is_named_word_by_word() -> None:
    hub = {"JUPYTERHUB_API_TOKEN": "t", "AWS_SECRET": "x", "PATH": "/evil", "PYTHONPATH": "/evil"}
    variables = sandbox.environment(hub, "/user/a/b/", "a")
    assert "AWS_SECRET" not in variables
    assert "evil" not in "".join(variables.values())
    assert variables["PYTHONSAFEPATH"] == "1"


def test_a_server_sees_no_folder_but_its_own(tmp_path: Path) -> None:
    names = ("nb", "data", "workspace", "hub", "venv", "code")
    places = sandbox.Places(*(tmp_path / name for name in names))
    options = sandbox.options(places, {"A": "b"}, {"/etc/passwd": 9})
    bound = [options[at + 1] for at, option in enumerate(options) if option in {"--bind", "--ro-bind"}]
    assert set(bound) == {"/usr", *(str(tmp_path / name) for name in names)}
    writable = [options[at + 1] for at, option in enumerate(options) if option == "--bind"]
    assert set(writable) == {str(tmp_path / "nb"), str(tmp_path / "workspace")}
    assert {"--unshare-net", "--unshare-user", "--die-with-parent", "--clearenv"} <= set(options)
